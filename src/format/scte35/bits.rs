//! Reading and writing the bit fields of a section, most significant bit first.

use bytes::{Buf, Bytes};

use super::{DecodeError, EncodeError};

/// How the reserved bits of a section differ from the ones they should be, field by field in the order of the wire,
/// without equal ones at the end. Kept so that encoding gives back the very bytes that were decoded.
pub(super) type ReservedBits = Vec<u8>;

/// Reads bit fields; every read past the end is an error that names the structure.
pub(super) struct BitReader {
    bytes: Bytes,
    /// Bits of the first byte of `bytes` that have been read already, 0..8.
    used: u32,
    structure: &'static str,
    reserved: ReservedBits,
}

impl BitReader {
    /// A reader of `bytes`; `structure` names them in errors.
    pub(super) fn new(bytes: Bytes, structure: &'static str) -> Self {
        Self { bytes, used: 0, structure, reserved: ReservedBits::new() }
    }

    /// The next `count` bits, 1 to 57.
    pub(super) fn bits(&mut self, count: u32) -> Result<u64, DecodeError> {
        let end = self.used + count;
        let needed = end.div_ceil(8);
        let Some(window) = self.bytes.get(..needed as usize) else {
            return Err(DecodeError::Truncated(self.structure));
        };
        let value = window.iter().fold(0, |value, &byte| (value << 8) | u64::from(byte));
        self.bytes.advance((end / 8) as usize);
        self.used = end % 8;
        Ok((value >> (needed * 8 - end)) & ones(count))
    }

    /// One flag.
    pub(super) fn flag(&mut self) -> Result<bool, DecodeError> {
        Ok(self.bits(1)? == 1)
    }

    /// `count` reserved bits, at most 8, of any value.
    pub(super) fn reserved(&mut self, count: u32) -> Result<(), DecodeError> {
        let difference = self.bits(count)? ^ ones(count);
        self.reserved.push(difference as u8);
        Ok(())
    }

    /// The next 8 bits.
    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.bits(8)? as u8)
    }

    /// The next 16 bits.
    pub(super) fn short(&mut self) -> Result<u16, DecodeError> {
        Ok(self.bits(16)? as u16)
    }

    /// The next 32 bits.
    pub(super) fn word(&mut self) -> Result<u32, DecodeError> {
        Ok(self.bits(32)? as u32)
    }

    /// The next `count` bytes; the reader stands at a byte boundary.
    pub(super) fn take(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        debug_assert_eq!(self.used, 0, "bytes are taken at byte boundaries");
        if count > self.bytes.len() {
            return Err(DecodeError::Truncated(self.structure));
        }
        Ok(self.bytes.split_to(count))
    }

    /// Reads a structure that takes up exactly the next `length` bytes.
    pub(super) fn nested<T>(
        &mut self,
        length: usize,
        structure: &'static str,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let bytes = self.take(length)?;
        let mut inner = Self { bytes, used: 0, structure, reserved: std::mem::take(&mut self.reserved) };
        let value = read(&mut inner)?;
        if !inner.bytes.is_empty() {
            return Err(DecodeError::TrailingBytes(structure));
        }
        self.reserved = inner.reserved;
        Ok(value)
    }

    /// Whole bytes that are left.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - usize::from(self.used > 0)
    }

    /// Whether the bytes that are left begin with `prefix`.
    pub(super) fn starts_with(&self, prefix: &[u8]) -> bool {
        self.bytes.starts_with(prefix)
    }

    /// All that is left; the reader stands at a byte boundary.
    pub(super) fn rest(&mut self) -> Bytes {
        debug_assert_eq!(self.used, 0, "the rest begins at a byte boundary");
        std::mem::take(&mut self.bytes)
    }

    /// The reserved bits that were read.
    pub(super) fn into_reserved(mut self) -> ReservedBits {
        let end = self.reserved.iter().rposition(|&difference| difference != 0).map_or(0, |last| last + 1);
        self.reserved.truncate(end);
        self.reserved
    }
}

/// Writes bit fields.
pub(super) struct BitWriter<'a> {
    bytes: Vec<u8>,
    /// Bits of the last byte of `bytes` that are free, 0..8.
    free: u32,
    /// For the reserved bits to come.
    reserved: &'a [u8],
}

impl<'a> BitWriter<'a> {
    /// A writer whose reserved bits are as `reserved` says.
    pub(super) fn new(reserved: &'a [u8]) -> Self {
        Self { bytes: Vec::new(), free: 0, reserved }
    }

    /// Appends the low `count` bits of `value`, at most 57; an error that names `field` when it needs more.
    pub(super) fn bits(&mut self, value: u64, count: u32, field: &'static str) -> Result<(), EncodeError> {
        if value & !ones(count) != 0 {
            return Err(EncodeError::OutOfRange(field));
        }
        let mut left = count;
        while left > 0 {
            if self.free == 0 {
                self.bytes.push(0);
                self.free = 8;
            }
            let taken = left.min(self.free);
            left -= taken;
            self.free -= taken;
            let part = ((value >> left) & ones(taken)) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= part << self.free;
            }
        }
        Ok(())
    }

    /// Appends one flag.
    pub(super) fn flag(&mut self, value: bool) -> Result<(), EncodeError> {
        self.bits(u64::from(value), 1, "flag")
    }

    /// Appends `count` reserved bits, at most 8.
    pub(super) fn reserved(&mut self, count: u32) -> Result<(), EncodeError> {
        let difference = self.reserved.split_off_first().copied().unwrap_or(0);
        self.bits((u64::from(difference) ^ ones(count)) & ones(count), count, "reserved")
    }

    /// Appends a byte.
    pub(super) fn byte(&mut self, value: u8) -> Result<(), EncodeError> {
        self.bits(value.into(), 8, "byte")
    }

    /// Appends 16 bits.
    pub(super) fn short(&mut self, value: u16) -> Result<(), EncodeError> {
        self.bits(value.into(), 16, "short")
    }

    /// Appends 32 bits.
    pub(super) fn word(&mut self, value: u32) -> Result<(), EncodeError> {
        self.bits(value.into(), 32, "word")
    }

    /// Appends a length or count field of `count` bits.
    pub(super) fn length(
        &mut self,
        value: usize,
        count: u32,
        field: &'static str,
    ) -> Result<(), EncodeError> {
        self.bits(value as u64, count, field)
    }

    /// Appends bytes; the writer stands at a byte boundary.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        debug_assert_eq!(self.free, 0, "bytes are put at byte boundaries");
        self.bytes.extend_from_slice(bytes);
    }

    /// What `write` writes, as bytes to be put in later behind their length.
    pub(super) fn nested(
        &mut self,
        write: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<Vec<u8>, EncodeError> {
        let mut inner = Self::new(self.reserved);
        write(&mut inner)?;
        self.reserved = inner.reserved;
        Ok(inner.bytes)
    }

    /// What was written.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// The `count` lowest bits, at most 63.
const fn ones(count: u32) -> u64 {
    (1 << count) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_cross_bytes_round_trip() {
        let mut writer = BitWriter::new(&[]);
        let fields = [(5u64, 3u32), (0x1_ABCD_EF01, 33), (1, 1), (0, 7), (0xFF_FFFF_FFFF, 40), (2, 4)];
        for (value, count) in fields {
            writer.bits(value, count, "test").unwrap();
        }
        let mut reader = BitReader::new(writer.finish().into(), "test");
        for (value, count) in fields {
            assert_eq!(reader.bits(count).unwrap(), value);
        }
        assert_eq!(reader.bits(1), Err(DecodeError::Truncated("test")));
    }

    #[test]
    fn a_value_too_wide_for_its_field_is_refused() {
        assert_eq!(BitWriter::new(&[]).bits(4, 2, "tier"), Err(EncodeError::OutOfRange("tier")));
    }
}
