//! From what DTLS exports to session keys (RFC 5764 §4.2, RFC 3711 §4.3, RFC 7714 §11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};

/// The ciphers that peers agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// AES-128 in Galois/counter mode: preferred, an order of magnitude faster than the next.
    AeadAes128Gcm,
    /// AES-256 in Galois/counter mode.
    AeadAes256Gcm,
    /// AES-128 in counter mode with an 80-bit HMAC-SHA-1, which RFC 8827 §6.5 obliges everybody to speak.
    Aes128CmHmacSha1_80,
}

impl Profile {
    /// Length of a master key in bytes.
    pub const fn key_length(self) -> usize {
        match self {
            Self::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Length of a master salt in bytes.
    pub const fn salt_length(self) -> usize {
        match self {
            Self::Aes128CmHmacSha1_80 => 14,
            _ => 12,
        }
    }
}

/// What DTLS exports for SRTP: keys and salts of both sides. It has no `Debug`: it never belongs into a log.
pub struct KeyingMaterial {
    bytes: Vec<u8>,
    profile: Profile,
}

/// One side's master key and salt.
pub struct MasterKey {
    pub(super) profile: Profile,
    key: Vec<u8>,
    salt: Vec<u8>,
}

/// Why keys cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The exported material is too short for its profile.
    #[error("the keying material is too short")]
    Length,
    /// The cryptography library refused.
    #[error("the cryptography library refused the key")]
    Refused,
}

/// What a session key is for (RFC 3711 §4.3.2); SRTCP's are three above.
#[derive(Clone, Copy)]
pub(super) enum Label {
    Encryption = 0,
    Authentication = 1,
    Salt = 2,
}

/// Media or control packets.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Packets {
    Rtp,
    Rtcp,
}

impl KeyingMaterial {
    /// Material as exported, client's key first.
    pub fn new(bytes: Vec<u8>, profile: Profile) -> Self {
        Self { bytes, profile }
    }

    /// Our master key and the peer's; `is_client` when we are the DTLS client.
    ///
    /// # Errors
    /// When there is too little of it.
    pub fn split(&self, is_client: bool) -> Result<(MasterKey, MasterKey), KeyError> {
        let (key, salt) = (self.profile.key_length(), self.profile.salt_length());
        let part = |at: usize, length: usize| self.bytes.get(at..at + length).ok_or(KeyError::Length);
        let of = |index: usize| {
            let (key_bytes, salt_bytes) = (part(index * key, key)?, part(2 * key + index * salt, salt)?);
            Ok(MasterKey { profile: self.profile, key: key_bytes.to_vec(), salt: salt_bytes.to_vec() })
        };
        let (client, server) = (of(0)?, of(1)?);
        Ok(if is_client { (client, server) } else { (server, client) })
    }
}

impl MasterKey {
    /// A master key and salt of the lengths that the profile wants.
    ///
    /// # Errors
    /// When they are not.
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, KeyError> {
        if key.len() != profile.key_length() || salt.len() != profile.salt_length() {
            return Err(KeyError::Length);
        }
        Ok(Self { profile, key: key.to_vec(), salt: salt.to_vec() })
    }

    /// A session key of `length` bytes. Keys are not changed in mid-session: the key derivation rate is 0.
    pub(super) fn derive(&self, packets: Packets, label: Label, length: usize) -> Result<Vec<u8>, KeyError> {
        let label = label as u8 + if packets == Packets::Rtcp { 3 } else { 0 };
        // Salts of 96 bits are followed by zeros (RFC 7714 §11).
        let mut block = [0; 16];
        block[..self.salt.len()].copy_from_slice(&self.salt);
        block[7] ^= label;
        let algorithm = if self.key.len() == 32 { &AES_256 } else { &AES_128 };
        let key = UnboundCipherKey::new(algorithm, &self.key).map_err(|_| KeyError::Refused)?;
        let key = EncryptingKey::ctr(key).map_err(|_| KeyError::Refused)?;
        let mut stream = vec![0; length];
        let context = EncryptionContext::Iv128(block.into());
        key.less_safe_encrypt(&mut stream, context).map_err(|_| KeyError::Refused)?;
        Ok(stream)
    }
}
