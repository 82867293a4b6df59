//! Segmentation UPIDs: what identifies the content of a segment (SCTE 35 2022b §10.3.3.1, Table 22).

use bytes::Bytes;

use super::DecodeError;
use super::bits::BitReader;

const TI: u8 = 0x08;
const MPU: u8 = 0x0C;
const MID: u8 = 0x0D;
/// Kinds whose value is text: Ad-ID, TID, ADI, ADS information, URI. The deprecated kinds 1 and 2 are no longer read.
const TEXT: &[u8] = &[0x03, 0x07, 0x09, 0x0E, 0x0F];

/// An identifier of content: its kind and value as they are on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upid {
    /// `segmentation_upid_type`.
    pub kind: u8,
    /// `segmentation_upid()`, at most 255 bytes.
    pub value: Bytes,
}

impl Upid {
    /// No identifier.
    pub const NONE: Self = Self { kind: 0, value: Bytes::new() };

    /// The value of a textual kind, if it is ASCII.
    pub fn text(&self) -> Option<&str> {
        if !TEXT.contains(&self.kind) || !self.value.is_ascii() {
            return None;
        }
        std::str::from_utf8(&self.value).ok()
    }

    /// The number of an airing (kind `TI`, 0x08).
    pub fn airing(&self) -> Option<u64> {
        if self.kind != TI {
            return None;
        }
        self.value.as_ref().try_into().ok().map(u64::from_be_bytes)
    }

    /// Owner and data of a managed private identifier (kind `MPU`, 0x0C).
    pub fn managed(&self) -> Option<([u8; 4], &[u8])> {
        if self.kind != MPU {
            return None;
        }
        let (owner, data) = self.value.split_first_chunk()?;
        Some((*owner, data))
    }

    /// The identifiers that this is a list of (kind `MID`, 0x0D); a list of itself for other kinds.
    pub fn parts(&self) -> Result<Vec<Self>, DecodeError> {
        if self.kind != MID {
            return Ok(vec![self.clone()]);
        }
        let mut reader = BitReader::new(self.value.clone(), "a multiple UPID");
        let mut parts = Vec::new();
        while reader.remaining() > 0 {
            let kind = reader.byte()?;
            let length = reader.byte()?;
            parts.push(Self { kind, value: reader.take(length.into())? });
        }
        Ok(parts)
    }
}
