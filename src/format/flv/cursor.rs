//! Reads the fields of a tag body.

use bytes::{Buf, Bytes};

use super::FlvError;

/// What is left of a tag body; every read past its end is an error that names the field.
#[derive(Clone, Debug)]
pub(super) struct Cursor(pub(super) Bytes);

impl Cursor {
    pub(super) fn byte(&mut self, field: &'static str) -> Result<u8, FlvError> {
        self.0.try_get_u8().map_err(|_| FlvError::Truncated(field))
    }

    /// A big-endian number of 16 bits.
    pub(super) fn short(&mut self, field: &'static str) -> Result<u16, FlvError> {
        self.0.try_get_u16().map_err(|_| FlvError::Truncated(field))
    }

    /// A big-endian number of 24 bits.
    pub(super) fn medium(&mut self, field: &'static str) -> Result<u32, FlvError> {
        let [a, b, c] = self.array(field)?;
        Ok(u32::from_be_bytes([0, a, b, c]))
    }

    /// A big-endian signed number of 24 bits.
    pub(super) fn signed_medium(&mut self, field: &'static str) -> Result<i32, FlvError> {
        let [a, b, c] = self.array(field)?;
        Ok(i32::from_be_bytes([a, b, c, 0]) >> 8)
    }

    pub(super) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FlvError> {
        let array = *self.0.first_chunk().ok_or(FlvError::Truncated(field))?;
        self.0.advance(N);
        Ok(array)
    }

    pub(super) fn take(&mut self, length: usize, field: &'static str) -> Result<Bytes, FlvError> {
        if length > self.0.len() {
            return Err(FlvError::Truncated(field));
        }
        Ok(self.0.split_to(length))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.0)
    }
}
