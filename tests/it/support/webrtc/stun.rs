//! STUN messages by hand, right and wrong (RFC 8489).

use aws_lc_rs::hmac;
use str0m::IceCreds;

const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
/// Attribute types.
pub const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const FINGERPRINT: u16 = 0x8028;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const ICE_CONTROLLING: u16 = 0x802a;
/// What the checksum of a fingerprint is xored with.
const FINGERPRINT_XOR: u32 = 0x5354_554e;

/// A message that is being built.
#[derive(Clone, Debug)]
pub struct Stun {
    bytes: Vec<u8>,
}

impl Stun {
    /// A Binding request without attributes.
    pub fn request(transaction: u8) -> Self {
        let mut bytes = vec![0, 1, 0, 0];
        bytes.extend(MAGIC_COOKIE);
        bytes.extend([transaction; 12]);
        Self { bytes }
    }

    /// A connectivity check as a browser sends it.
    pub fn check(transaction: u8, server: &IceCreds, client: &IceCreds) -> Self {
        Self::request(transaction)
            .with(USERNAME, format!("{}:{}", server.ufrag, client.ufrag).as_bytes())
            .with(ICE_CONTROLLING, &[1; 8])
            .with(USE_CANDIDATE, &[])
            .with(PRIORITY, &[0x7e, 0, 0, 1])
    }

    /// With an attribute.
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.bytes.extend(kind.to_be_bytes());
        self.bytes.extend(u16::try_from(value.len()).expect("a length").to_be_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.set_length(0);
        self
    }

    /// With the integrity that this password gives.
    pub fn authentic(mut self, password: &str) -> Self {
        self.set_length(24);
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        let tag = hmac::sign(&key, &self.bytes);
        self.with(MESSAGE_INTEGRITY, tag.as_ref())
    }

    /// With a fingerprint.
    pub fn fingerprinted(mut self) -> Self {
        self.set_length(8);
        let checksum = (crc32(&self.bytes) ^ FINGERPRINT_XOR).to_be_bytes();
        self.with(FINGERPRINT, &checksum)
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Sets the length as if so much more were there.
    fn set_length(&mut self, more: usize) {
        let length = u16::try_from(self.bytes.len() - 20 + more).expect("a length");
        self.bytes[2..4].copy_from_slice(&length.to_be_bytes());
    }
}

/// CRC-32 as of Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
