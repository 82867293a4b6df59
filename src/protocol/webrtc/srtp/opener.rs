//! Opening control packets, which is all that a viewer sends.

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::cipher::{Cipher, Counter};
use super::keys::{KeyError, MasterKey, Packets};

/// What an SRTCP packet has around its plaintext: the readable head and the index.
const HEAD: usize = 8;
const INDEX: usize = 4;
/// Set in the index of a packet that is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// How many packets before the newest may still come (RFC 3711 §3.3.2 wants at least 64).
const WINDOW: u32 = 128;
/// How many senders of control packets a peer may have. Browsers have one for each kind of media.
const SENDERS: usize = 16;

/// Opens the control packets of one peer.
pub struct Opener {
    rtcp: Cipher,
    /// What has been seen of each of the peer's SSRCs: each counts its packets for itself (RFC 3711 §3.2.3).
    senders: Vec<(u32, Window)>,
}

/// The packets of one SSRC that have been seen.
#[derive(Clone, Copy)]
struct Window {
    /// Index of the newest packet.
    newest: u32,
    /// Bit n: the packet n before the newest was seen.
    seen: u128,
}

/// Why a packet was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It is too short.
    #[error("the packet is too short for SRTCP")]
    Short,
    /// It is not encrypted.
    #[error("the packet is not encrypted")]
    Clear,
    /// It was seen before, or is too old to tell.
    #[error("the packet was seen before")]
    Replayed,
    /// The peer has used more SSRCs than anybody needs.
    #[error("the packet is from one SSRC too many")]
    Sender,
    /// It is not from the peer, or was changed on the way.
    #[error("the packet is not authentic")]
    Forged,
}

impl Opener {
    /// With keys derived from the peer's master key.
    ///
    /// # Errors
    /// When the keys cannot be made.
    pub fn new(master: &MasterKey) -> Result<Self, KeyError> {
        Ok(Self { rtcp: Cipher::new(master, Packets::Rtcp)?, senders: Vec::new() })
    }

    /// Appends the plaintext of a compound control packet. Nothing of the packet is believed before it is authenticated.
    ///
    /// # Errors
    /// When it is not to be believed; `out` is as before then.
    pub fn open_rtcp(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let start = out.len();
        let opened = self.open(packet, out);
        if opened.is_err() {
            out.truncate(start);
        }
        opened
    }

    fn open(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), OpenError> {
        let tag_length = self.rtcp.tag_length();
        let Some(head) = packet.first_chunk::<HEAD>().filter(|_| packet.len() >= HEAD + INDEX + tag_length)
        else {
            return Err(OpenError::Short);
        };
        let ssrc = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let start = out.len();
        // The index is last under AES-GCM, and before the tag under HMAC.
        let number = match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let (sealed, trailer) = packet.split_at(packet.len() - INDEX);
                let number = self.index(ssrc, trailer)?;
                let mut associated = [0; HEAD + INDEX];
                associated[..HEAD].copy_from_slice(head);
                associated[HEAD..].copy_from_slice(trailer);
                out.extend_from_slice(sealed);
                let nonce = Cipher::gcm_nonce(salt, ssrc, number.into());
                let length = Cipher::open_gcm(key, nonce, &associated, &mut out[start + HEAD..])
                    .map_err(|_| OpenError::Forged)?;
                out.truncate(start + HEAD + length);
                number
            }
            Cipher::Counter(counter) => {
                let Counter { key, salt, authentication } = &**counter;
                let (authenticated, tag) = packet.split_at(packet.len() - tag_length);
                let (sealed, trailer) = authenticated.split_at(authenticated.len() - INDEX);
                let number = self.index(ssrc, trailer)?;
                let expected = Cipher::authenticate(authentication, &[authenticated]);
                verify_slices_are_equal(&expected, tag).map_err(|_| OpenError::Forged)?;
                out.extend_from_slice(sealed);
                Cipher::count(key, salt, ssrc, number.into(), &mut out[start + HEAD..]);
                number
            }
        };
        self.remember(ssrc, number);
        Ok(())
    }

    /// The packet's index, if it has not been seen.
    fn index(&self, ssrc: u32, trailer: &[u8]) -> Result<u32, OpenError> {
        let word = u32::from_be_bytes(trailer.try_into().map_err(|_| OpenError::Short)?);
        if word & ENCRYPTED == 0 {
            return Err(OpenError::Clear);
        }
        let number = word & !ENCRYPTED;
        match self.senders.iter().find(|(sender, _)| *sender == ssrc) {
            None if self.senders.len() == SENDERS => Err(OpenError::Sender),
            Some((_, window)) if window.has_seen(number) => Err(OpenError::Replayed),
            _ => Ok(number),
        }
    }

    fn remember(&mut self, ssrc: u32, number: u32) {
        match self.senders.iter_mut().find(|(sender, _)| *sender == ssrc) {
            Some((_, window)) => window.remember(number),
            None => self.senders.push((ssrc, Window { newest: number, seen: 1 })),
        }
    }
}

impl Window {
    /// Whether the packet was seen, or is too old to tell.
    const fn has_seen(self, number: u32) -> bool {
        match self.newest.checked_sub(number) {
            Some(behind) => behind >= WINDOW || self.seen >> behind & 1 == 1,
            None => false,
        }
    }

    fn remember(&mut self, number: u32) {
        if number < self.newest {
            self.seen |= 1 << (self.newest - number);
            return;
        }
        self.seen = self.seen.checked_shl(number - self.newest).unwrap_or(0) | 1;
        self.newest = number;
    }
}
