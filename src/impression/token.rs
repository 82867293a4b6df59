//! Tokens: 79 characters of base64url. A version, the fields of an [`Impression`] in network order, and 128 bits of
//! HMAC-SHA-256 over both.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ledger::{SessionId, SlotId, UnixMillis};

const VERSION: u8 = 1;
/// Version, slot, lot, session, creative, start, duration, deadline.
const BODY: usize = 1 + 8 + 2 + 8 + 8 + 8 + 4 + 8;
const TAG: usize = 16;
/// The characters of a token.
pub const TOKEN_LEN: usize = (BODY + TAG).div_ceil(3) * 4 - (3 - (BODY + TAG) % 3) % 3;

/// One overlay before one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impression {
    /// The slot.
    pub slot: SlotId,
    /// Which of its lots.
    pub lot: u16,
    /// Before whom.
    pub session: SessionId,
    /// What is shown.
    pub creative: u64,
    /// When it begins: nothing of it can be true before.
    pub start: UnixMillis,
    /// How long it is shown.
    pub duration_ms: u32,
    /// When nothing of it is taken any more: as the slot's in the ledger.
    pub deadline: UnixMillis,
}

/// Why a token does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It has not the form of a token.
    #[error("this is no token")]
    Malformed,
    /// We did not make it.
    #[error("the token is not ours")]
    Forged,
    /// The slot has not begun.
    #[error("the token does not hold yet")]
    Early,
    /// The slot is over, and the time for telling of it.
    #[error("the token does not hold any more")]
    Expired,
}

/// Makes tokens and knows them again.
#[derive(Clone)]
pub struct Tokens(hmac::Key);

impl Tokens {
    /// With a secret of at least 128 bits that nobody else has.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The token of an impression.
    pub fn sign(&self, impression: &Impression) -> String {
        let body = impression.to_bytes();
        let tag = hmac::sign(&self.0, &body);
        let tag = tag.as_ref().get(..TAG).unwrap_or_default();
        URL_SAFE_NO_PAD.encode([&body[..], tag].concat())
    }

    /// The impression that a token speaks of.
    ///
    /// # Errors
    /// When it is not ours, or not of this time.
    pub fn verify(&self, token: &str, now: UnixMillis) -> Result<Impression, TokenError> {
        if token.len() != TOKEN_LEN {
            return Err(TokenError::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Malformed)?;
        let (body, tag) = bytes.split_first_chunk::<BODY>().ok_or(TokenError::Malformed)?;
        let expected = hmac::sign(&self.0, body);
        let expected = expected.as_ref().get(..TAG).unwrap_or_default();
        verify_slices_are_equal(expected, tag).map_err(|_| TokenError::Forged)?;
        let impression = Impression::from_bytes(body).ok_or(TokenError::Malformed)?;
        if now < impression.start {
            return Err(TokenError::Early);
        }
        if now >= impression.deadline {
            return Err(TokenError::Expired);
        }
        Ok(impression)
    }
}

impl Impression {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(BODY);
        bytes.push(VERSION);
        bytes.extend(self.slot.0.to_be_bytes());
        bytes.extend(self.lot.to_be_bytes());
        bytes.extend(self.session.0.to_be_bytes());
        bytes.extend(self.creative.to_be_bytes());
        bytes.extend(self.start.to_be_bytes());
        bytes.extend(self.duration_ms.to_be_bytes());
        bytes.extend(self.deadline.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; BODY]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version != VERSION {
            return None;
        }
        let (slot, rest) = rest.split_first_chunk()?;
        let (lot, rest) = rest.split_first_chunk()?;
        let (session, rest) = rest.split_first_chunk()?;
        let (creative, rest) = rest.split_first_chunk()?;
        let (start, rest) = rest.split_first_chunk()?;
        let (duration, rest) = rest.split_first_chunk()?;
        let (deadline, _) = rest.split_first_chunk()?;
        Some(Self {
            slot: SlotId(u64::from_be_bytes(*slot)),
            lot: u16::from_be_bytes(*lot),
            session: SessionId(u64::from_be_bytes(*session)),
            creative: u64::from_be_bytes(*creative),
            start: i64::from_be_bytes(*start),
            duration_ms: u32::from_be_bytes(*duration),
            deadline: i64::from_be_bytes(*deadline),
        })
    }
}
