//! Open bitstream units (AV1 §5.3): how they are framed.

use bytes::{BufMut, BytesMut};

use crate::codec::Malformed;

/// A `leb128()` is never longer (AV1 §4.10.5).
const MAX_LEB128: usize = 8;

/// Values of `obu_type` (AV1 §6.2.2).
pub mod obu_type {
    /// Sequence header.
    pub const SEQUENCE_HEADER: u8 = 1;
    /// Temporal delimiter: the start of a temporal unit, which the canonical form leaves out.
    pub const TEMPORAL_DELIMITER: u8 = 2;
    /// Frame header; its tile groups follow.
    pub const FRAME_HEADER: u8 = 3;
    /// Frame header and tile group in one.
    pub const FRAME: u8 = 6;
}

/// One open bitstream unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obu<'a> {
    /// `obu_type`.
    pub kind: u8,
    /// `temporal_id` and `spatial_id` in one byte with three reserved bits, if there is an extension.
    pub extension: Option<u8>,
    /// `obu_has_size_field`.
    pub sized: bool,
    /// What stands behind header and size.
    pub payload: &'a [u8],
}

impl Obu<'_> {
    /// Appends the unit with a size field.
    pub(super) fn put_sized(&self, to: &mut BytesMut) {
        const HAS_EXTENSION: u8 = 4;
        const HAS_SIZE: u8 = 2;
        let extension = if self.extension.is_some() { HAS_EXTENSION } else { 0 };
        to.put_u8(self.kind << 3 | extension | HAS_SIZE);
        if let Some(extension) = self.extension {
            to.put_u8(extension);
        }
        let mut size = self.payload.len();
        while size > 0x7f {
            to.put_u8(size as u8 | 0x80);
            size >>= 7;
        }
        to.put_u8(size as u8);
        to.put_slice(self.payload);
    }
}

/// The OBUs of a temporal unit or of a configuration record. One without a size field reaches to the end. After an
/// error there is nothing more.
pub fn obus(data: &[u8]) -> impl Iterator<Item = Result<Obu<'_>, Malformed>> {
    Obus { data, at: 0 }
}

struct Obus<'a> {
    data: &'a [u8],
    /// The next header; at most `data.len()`.
    at: usize,
}

impl<'a> Obus<'a> {
    fn next_obu(&mut self) -> Result<Obu<'a>, Malformed> {
        let header = self.byte("obu_header")?;
        if header & 0x80 != 0 {
            return Err(Malformed::Invalid { element: "obu_forbidden_bit", value: 1 });
        }
        let extension = if header & 4 != 0 { Some(self.byte("obu_extension_header")?) } else { None };
        let sized = header & 2 != 0;
        let at = self.at;
        let len = if sized { self.leb128("obu_size")? } else { (self.data.len() - self.at) as u64 };
        let rest = self.data.get(self.at..).unwrap_or_default();
        let Some(payload) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            return Err(Malformed::Overrun { element: "OBU", at, len, remaining: rest.len() });
        };
        self.at += payload.len();
        Ok(Obu { kind: header >> 3 & 0xf, extension, sized, payload })
    }

    fn leb128(&mut self, element: &'static str) -> Result<u64, Malformed> {
        let mut value = 0;
        for index in 0..MAX_LEB128 {
            let byte = self.byte(element)?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::TooLarge { element, value, max: u32::MAX.into() })
    }

    fn byte(&mut self, element: &'static str) -> Result<u8, Malformed> {
        let byte = *self.data.get(self.at).ok_or(Malformed::Truncated { element, bit: self.at * 8 })?;
        self.at += 1;
        Ok(byte)
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.data.len() {
            return None;
        }
        let obu = self.next_obu();
        if obu.is_err() {
            self.at = self.data.len();
        }
        Some(obu)
    }
}
