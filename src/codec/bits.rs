//! A bounded bit reader, with the Exp-Golomb codes of H.264 and H.265, and its counterpart for writing.

use std::borrow::Cow;

use super::Malformed;

/// Reads bits, most significant first; every read names the syntax element it is for.
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// The next bit to read; at most `data.len() * 8`.
    position: usize,
}

impl<'a> BitReader<'a> {
    /// A reader at the first bit of `data`.
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0 }
    }

    /// Bits read so far.
    pub const fn position(&self) -> usize {
        self.position
    }

    /// Bits left.
    pub const fn remaining(&self) -> usize {
        self.data.len() * 8 - self.position
    }

    /// One bit.
    pub fn flag(&mut self, element: &'static str) -> Result<bool, Malformed> {
        Ok(self.bits(element, 1)? == 1)
    }

    /// An unsigned number of `count` bits, at most 32.
    pub fn bits(&mut self, element: &'static str, count: u32) -> Result<u32, Malformed> {
        debug_assert!(count <= 32);
        if self.remaining() < count as usize {
            return Err(self.truncated(element));
        }
        let mut value = 0u64;
        let mut wanted = count;
        while wanted > 0 {
            let Some(&byte) = self.data.get(self.position / 8) else {
                return Err(self.truncated(element));
            };
            let available = 8 - (self.position % 8) as u32;
            let taken = available.min(wanted);
            let chunk = (u32::from(byte) >> (available - taken)) & ((1 << taken) - 1);
            value = value << taken | u64::from(chunk);
            self.position += taken as usize;
            wanted -= taken;
        }
        Ok(value as u32)
    }

    /// An unsigned number of at most 8 bits.
    pub fn byte(&mut self, element: &'static str, count: u32) -> Result<u8, Malformed> {
        debug_assert!(count <= 8);
        Ok(self.bits(element, count)? as u8)
    }

    /// Passes over `count` bits.
    pub fn skip(&mut self, element: &'static str, count: usize) -> Result<(), Malformed> {
        if self.remaining() < count {
            return Err(self.truncated(element));
        }
        self.position += count;
        Ok(())
    }

    /// Passes over the bits up to the next byte boundary.
    pub fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }

    /// An unsigned Exp-Golomb code `ue(v)` (H.264 §9.1, H.265 §9.2), at most 2³² − 2.
    pub fn ue(&mut self, element: &'static str) -> Result<u32, Malformed> {
        let start = self.position;
        let mut zeros = 0;
        while !self.flag(element).map_err(|_| Malformed::Truncated { element, bit: start })? {
            zeros += 1;
            if zeros > 31 {
                return Err(Malformed::TooLarge {
                    element,
                    value: u64::from(u32::MAX),
                    max: u64::from(u32::MAX) - 1,
                });
            }
        }
        let suffix = self.bits(element, zeros)?;
        Ok(((1u64 << zeros) - 1 + u64::from(suffix)) as u32)
    }

    /// An unsigned Exp-Golomb code of at most `max`.
    pub fn ue_max(&mut self, element: &'static str, max: u32) -> Result<u32, Malformed> {
        let value = self.ue(element)?;
        Malformed::check_max(element, value as usize, max as usize)?;
        Ok(value)
    }

    /// A signed Exp-Golomb code `se(v)` (H.264 §9.1.1, H.265 §9.2.2).
    pub fn se(&mut self, element: &'static str) -> Result<i32, Malformed> {
        let code = i64::from(self.ue(element)?);
        let magnitude = (code + 1) / 2;
        Ok(if code % 2 == 1 { magnitude } else { -magnitude } as i32)
    }

    fn truncated(&self, element: &'static str) -> Malformed {
        Malformed::Truncated { element, bit: self.position }
    }
}

/// Writes bits, most significant first; the last byte is filled with zeros.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// Bits already used in the last byte, 0 to 7; 0 means that the last byte is full.
    used: u32,
}

impl BitWriter {
    /// Appends the low `count` bits of `value`.
    pub fn bits(&mut self, value: u32, count: u32) {
        for shift in (0..count).rev() {
            if self.used == 0 {
                self.bytes.push(0);
            }
            let bit = (value >> shift & 1) as u8;
            if let Some(last) = self.bytes.last_mut() {
                *last |= bit << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    /// Appends an unsigned Exp-Golomb code.
    #[cfg(test)]
    pub(super) fn ue(&mut self, value: u32) {
        let code = u64::from(value) + 1;
        let suffix = code.ilog2();
        self.bits(0, suffix);
        self.bits(1, 1);
        self.bits((code - (1 << suffix)) as u32, suffix);
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A NAL unit without its emulation prevention bytes (H.264 §7.3.1, H.265 §7.3.1.1): each 3 after two zeros is
/// taken out. Borrows when there is none.
pub fn without_emulation_prevention(nal: &[u8]) -> Cow<'_, [u8]> {
    if !nal.windows(3).any(|window| window == [0, 0, 3]) {
        return Cow::Borrowed(nal);
    }
    let mut plain = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        plain.push(byte);
    }
    Cow::Owned(plain)
}

/// A NAL unit with a 3 between two zeros and a byte of at most 3.
#[cfg(test)]
pub(super) fn with_emulation_prevention(plain: &[u8]) -> Vec<u8> {
    let mut nal = Vec::new();
    for &byte in plain {
        if byte <= 3 && nal.ends_with(&[0, 0]) {
            nal.push(3);
        }
        nal.push(byte);
    }
    nal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_read_across_bytes_and_never_past_the_end() {
        let mut reader = BitReader::new(&[0b1010_0101, 0xff, 0x00, 0x12, 0x34]);
        assert_eq!(reader.bits("a", 3), Ok(0b101));
        assert_eq!(reader.bits("b", 32), Ok(0b0010_1111_1111_1000_0000_0000_1001_0001));
        assert_eq!(reader.bits("c", 6), Err(Malformed::Truncated { element: "c", bit: 35 }));
        assert_eq!(reader.bits("d", 5), Ok(0b10100));
        assert_eq!(reader.flag("e"), Err(Malformed::Truncated { element: "e", bit: 40 }));
        assert_eq!(reader.bits("nothing", 0), Ok(0));
    }

    #[test]
    fn exp_golomb_codes_are_those_of_the_standards() {
        // 1 | 010 | 011 | 00100 | 00111 | 0001000
        let data = [0b1010_0110, 0b0100_0011, 0b1000_1000];
        let mut reader = BitReader::new(&data);
        let codes: Vec<_> = (0..6).map(|_| reader.ue("code").unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 6, 7]);
        let mut reader = BitReader::new(&data);
        let codes: Vec<_> = (0..6).map(|_| reader.se("code").unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -3, 4]);
    }

    #[test]
    fn exp_golomb_codes_round_trip() {
        let values = [0, 1, 2, 6, 7, 254, 255, 65_535, u32::MAX / 2, u32::MAX - 1];
        let mut writer = BitWriter::default();
        values.iter().for_each(|&value| writer.ue(value));
        let bytes = writer.finish();
        let mut reader = BitReader::new(&bytes);
        assert_eq!(values.map(|_| reader.ue("code").unwrap()), values);
    }

    #[test]
    fn the_longest_exp_golomb_code_is_read_and_longer_ones_are_refused() {
        let mut longest = BitWriter::default();
        longest.bits(0, 31);
        longest.bits(u32::MAX, 32);
        let bytes = longest.finish();
        assert_eq!(BitReader::new(&bytes).ue("code"), Ok(u32::MAX - 1));
        assert_eq!(BitReader::new(&bytes).se("code"), Ok(-i32::MAX));
        assert!(matches!(BitReader::new(&[0; 64]).ue("code"), Err(Malformed::TooLarge { .. })));
        assert_eq!(BitReader::new(&[0; 2]).ue("code"), Err(Malformed::Truncated { element: "code", bit: 0 }));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = BitWriter::default();
        let fields = [(5, 3), (0, 1), (0xdead_beef, 32), (1, 1), (77, 7)];
        for (value, count) in fields {
            writer.bits(value, count);
        }
        let bytes = writer.finish();
        assert_eq!(bytes.len(), 6);
        let mut reader = BitReader::new(&bytes);
        for (value, count) in fields {
            assert_eq!(reader.bits("field", count), Ok(value));
        }
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        let plain = without_emulation_prevention(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 3, 0, 0, 3]).into_owned();
        assert_eq!(plain, [0, 0, 1, 0, 0, 0, 0, 3, 0, 0]);
        assert!(matches!(without_emulation_prevention(&[0, 3, 0, 1, 2, 3]), Cow::Borrowed(_)));
        let zeros = [0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 3, 0, 0, 4];
        assert_eq!(without_emulation_prevention(&with_emulation_prevention(&zeros)).into_owned(), zeros);
    }
}
