//! Sealing packets.

use super::cipher::{Cipher, Counter};
use super::keys::{KeyError, MasterKey, Packets};

/// The most control packets under one key (RFC 3711 §9.2).
const MOST_CONTROL: u32 = 1 << 31;
/// Set in the index of a control packet that is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// Seals what one side sends.
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    /// Index of the next control packet.
    control: u32,
}

/// As many control packets were sealed as a key may seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key has sealed as many control packets as it may")]
pub struct Exhausted;

impl Sealer {
    /// With keys derived from this master key.
    ///
    /// # Errors
    /// When the keys cannot be made.
    pub fn new(master: &MasterKey) -> Result<Self, KeyError> {
        Ok(Self {
            rtp: Cipher::new(master, Packets::Rtp)?,
            rtcp: Cipher::new(master, Packets::Rtcp)?,
            control: 0,
        })
    }

    /// How much longer a media packet becomes, in bytes.
    pub const fn overhead(&self) -> usize {
        self.rtp.tag_length()
    }

    /// Appends a sealed media packet: `header`, the encrypted `payload` and the tag. `index` is the packet's number in 48
    /// bits, the low 16 of which are its sequence number; no two packets of an SSRC may have the same one.
    pub fn seal_rtp(&self, ssrc: u32, index: u64, header: &[u8], payload: &[&[u8]], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(header);
        payload.iter().for_each(|part| out.extend_from_slice(part));
        let head = start + header.len();
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                Cipher::seal_gcm(key, Cipher::gcm_nonce(salt, ssrc, index), header, out, head);
            }
            Cipher::Counter(counter) => {
                let Counter { key, salt, authentication } = &**counter;
                Cipher::count(key, salt, ssrc, index, &mut out[head..]);
                let rollover = ((index >> 16) as u32).to_be_bytes();
                let tag = Cipher::authenticate(authentication, &[&out[start..], &rollover]);
                out.extend_from_slice(&tag);
            }
        }
    }

    /// Appends a sealed compound control packet, whose first eight bytes stay readable.
    ///
    /// # Errors
    /// After 2^31 packets; nothing is appended then.
    pub fn seal_rtcp(&mut self, compound: &[u8], out: &mut Vec<u8>) -> Result<(), Exhausted> {
        let (Some(head), true) = (compound.first_chunk::<8>(), self.control < MOST_CONTROL) else {
            return Err(Exhausted);
        };
        let number = self.control;
        self.control += 1;
        let ssrc = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let trailer = (ENCRYPTED | number).to_be_bytes();
        let start = out.len();
        out.extend_from_slice(compound);
        match &self.rtcp {
            Cipher::Gcm { key, salt } => {
                let mut associated = [0; 12];
                associated[..8].copy_from_slice(head);
                associated[8..].copy_from_slice(&trailer);
                let nonce = Cipher::gcm_nonce(salt, ssrc, number.into());
                Cipher::seal_gcm(key, nonce, &associated, out, start + 8);
                out.extend_from_slice(&trailer);
            }
            Cipher::Counter(counter) => {
                let Counter { key, salt, authentication } = &**counter;
                Cipher::count(key, salt, ssrc, number.into(), &mut out[start + 8..]);
                out.extend_from_slice(&trailer);
                let tag = Cipher::authenticate(authentication, &[&out[start..]]);
                out.extend_from_slice(&tag);
            }
        }
        Ok(())
    }
}
