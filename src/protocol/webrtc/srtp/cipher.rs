//! The session keys of one direction, for media or for control packets.

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;

use super::keys::{KeyError, Label, MasterKey, Packets, Profile};

/// Length of an AES-GCM tag.
const GCM_TAG: usize = 16;
/// Length of the truncated HMAC.
const HMAC_TAG: usize = 10;

pub(super) enum Cipher {
    Gcm { key: LessSafeKey, salt: [u8; NONCE_LEN] },
    Counter(Box<Counter>),
}

/// Counter mode with an HMAC; boxed, because an HMAC's prepared key is large and the cipher rare.
pub(super) struct Counter {
    pub key: EncryptingKey,
    pub salt: [u8; 14],
    pub authentication: hmac::Key,
}

/// The peer's packet is not what it claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forged;

impl Cipher {
    pub fn new(master: &MasterKey, packets: Packets) -> Result<Self, KeyError> {
        let refused = |_| KeyError::Refused;
        let profile = master.profile;
        let key = master.derive(packets, Label::Encryption, profile.key_length())?;
        let salt = master.derive(packets, Label::Salt, profile.salt_length())?;
        let gcm = |algorithm| -> Result<Self, KeyError> {
            let key = LessSafeKey::new(UnboundKey::new(algorithm, &key).map_err(refused)?);
            Ok(Self::Gcm { key, salt: salt.as_slice().try_into().map_err(|_| KeyError::Length)? })
        };
        match profile {
            Profile::AeadAes128Gcm => gcm(&AES_128_GCM),
            Profile::AeadAes256Gcm => gcm(&AES_256_GCM),
            Profile::Aes128CmHmacSha1_80 => {
                let authentication = master.derive(packets, Label::Authentication, 20)?;
                let key = UnboundCipherKey::new(&AES_128, &key).map_err(refused)?;
                Ok(Self::Counter(Box::new(Counter {
                    key: EncryptingKey::ctr(key).map_err(refused)?,
                    salt: salt.as_slice().try_into().map_err(|_| KeyError::Length)?,
                    authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &authentication),
                })))
            }
        }
    }

    /// How much longer a sealed media packet is.
    pub const fn tag_length(&self) -> usize {
        match self {
            Self::Gcm { .. } => GCM_TAG,
            Self::Counter(_) => HMAC_TAG,
        }
    }

    /// Encrypts `packet[head..]` and, for AES-GCM, appends the tag; `associated` is authenticated with it.
    pub fn seal_gcm(
        key: &LessSafeKey,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        packet: &mut Vec<u8>,
        head: usize,
    ) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        // Fails for plaintexts of gigabytes only.
        if let Ok(tag) = key.seal_in_place_separate_tag(nonce, Aad::from(associated), &mut packet[head..]) {
            packet.extend_from_slice(tag.as_ref());
        }
    }

    /// Decrypts `sealed`, ciphertext and tag, and returns the plaintext's length.
    pub fn open_gcm(
        key: &LessSafeKey,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        sealed: &mut [u8],
    ) -> Result<usize, Forged> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.open_in_place(nonce, Aad::from(associated), sealed).map(|plain| plain.len()).map_err(|_| Forged)
    }

    /// RFC 7714 §8.1 and §9.1: the salt, exclusive-or zeros, SSRC and a number of 48 bits.
    pub fn gcm_nonce(salt: &[u8; NONCE_LEN], ssrc: u32, number: u64) -> [u8; NONCE_LEN] {
        let mut nonce = *salt;
        nonce[2..6].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        nonce[6..].iter_mut().zip(&number.to_be_bytes()[2..]).for_each(|(byte, other)| *byte ^= other);
        nonce
    }

    /// Encrypts or decrypts in counter mode (RFC 3711 §4.1.1).
    pub fn count(key: &EncryptingKey, salt: &[u8; 14], ssrc: u32, number: u64, text: &mut [u8]) {
        let mut block = [0; 16];
        block[..14].copy_from_slice(salt);
        block[4..8].iter_mut().zip(ssrc.to_be_bytes()).for_each(|(byte, other)| *byte ^= other);
        block[8..14].iter_mut().zip(&number.to_be_bytes()[2..]).for_each(|(byte, other)| *byte ^= other);
        // Counter mode takes every length, and the block is of the right one: it cannot fail.
        let done = key.less_safe_encrypt(text, EncryptionContext::Iv128(block.into()));
        debug_assert!(done.is_ok());
    }

    /// The truncated HMAC of `parts`.
    pub fn authenticate(key: &hmac::Key, parts: &[&[u8]]) -> [u8; HMAC_TAG] {
        let mut context = hmac::Context::with_key(key);
        parts.iter().for_each(|part| context.update(part));
        let tag = context.sign();
        let mut short = [0; HMAC_TAG];
        short.copy_from_slice(&tag.as_ref()[..HMAC_TAG]);
        short
    }
}
