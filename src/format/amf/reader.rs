//! Bounded reading shared by both AMF decoders: the cursor over the input and the budget of what may come out.

use super::AmfError;

/// Deepest nesting of objects and arrays that is read.
pub const MAX_DEPTH: usize = 32;

/// Most values one message may hold, with references counted as what they expand to.
pub const MAX_VALUES: usize = 1 << 16;

/// Most bytes of strings and property names one message may hold, with references counted as what they expand to.
pub const MAX_TEXT: usize = 1 << 20;

/// A cursor over the bytes of one message.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], AmfError> {
        let short = AmfError::Truncated { needed: count, remaining: self.bytes.len() };
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let short = AmfError::Truncated { needed: N, remaining: self.bytes.len() };
        let (taken, rest) = self.bytes.split_first_chunk::<N>().ok_or(short)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, AmfError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, AmfError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, AmfError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, AmfError> {
        self.array().map(f64::from_be_bytes)
    }
}

/// What one message may still bring into memory.
#[derive(Debug)]
pub(super) struct Budget {
    values: usize,
    text: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { values: MAX_VALUES, text: MAX_TEXT }
    }

    /// Pays for one value at `depth`, where a message's own values have depth 0.
    pub(super) fn value(&mut self, depth: usize) -> Result<(), AmfError> {
        if depth > MAX_DEPTH {
            return Err(AmfError::TooDeep);
        }
        self.values = self.values.checked_sub(1).ok_or(AmfError::TooManyValues)?;
        Ok(())
    }

    /// Pays for `text` and copies it. Bytes that are not UTF-8 become replacement characters: old encoders write
    /// their metadata in the code page of the machine, and that is no reason to refuse a broadcast.
    pub(super) fn text(&mut self, text: &[u8]) -> Result<String, AmfError> {
        self.pay_text(text.len())?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Pays for `bytes` of text.
    pub(super) fn pay_text(&mut self, bytes: usize) -> Result<(), AmfError> {
        self.text = self.text.checked_sub(bytes).ok_or(AmfError::TooMuchText)?;
        Ok(())
    }
}
