//! Numbers, texts and byte strings of a body: big-endian, lengths in 32 bits before what they measure.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{TooLarge, Unreadable};

/// Bytes before a body: the kind, and the body's length in 32 bits.
pub const HEADER: usize = 5;

/// Appends a message whose body `write` appends. After an error nothing is appended.
pub fn message(
    out: &mut BytesMut,
    kind: u8,
    write: impl FnOnce(&mut BytesMut) -> Result<(), TooLarge>,
) -> Result<(), TooLarge> {
    let start = out.len();
    out.put_u8(kind);
    out.put_u32(0);
    let body = out.len();
    let written = write(out).and_then(|()| {
        let len = out.len() - body;
        u32::try_from(len).map_err(|_| TooLarge { element: "message", len, max: u32::MAX as usize })
    });
    match written {
        Ok(len) => {
            out[body - 4..body].copy_from_slice(&len.to_be_bytes());
            Ok(())
        }
        Err(error) => {
            out.truncate(start);
            Err(error)
        }
    }
}

/// Checks a length or a count.
pub const fn check(element: &'static str, len: usize, max: usize) -> Result<(), TooLarge> {
    if len > max { Err(TooLarge { element, len, max }) } else { Ok(()) }
}

/// Appends a length and that many bytes.
pub fn put_bytes(
    out: &mut BytesMut,
    element: &'static str,
    bytes: &[u8],
    max: usize,
) -> Result<(), TooLarge> {
    check(element, bytes.len(), max)?;
    // No limit is beyond 32 bits.
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
    Ok(())
}

/// Reads a body.
pub struct BodyReader {
    rest: Bytes,
}

impl BodyReader {
    /// From the first byte.
    pub const fn new(body: Bytes) -> Self {
        Self { rest: body }
    }

    /// What was not read.
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn u8(&mut self, element: &'static str) -> Result<u8, Unreadable> {
        self.rest.try_get_u8().map_err(|_| Unreadable::Truncated { element })
    }

    pub fn u16(&mut self, element: &'static str) -> Result<u16, Unreadable> {
        self.rest.try_get_u16().map_err(|_| Unreadable::Truncated { element })
    }

    pub fn u32(&mut self, element: &'static str) -> Result<u32, Unreadable> {
        self.rest.try_get_u32().map_err(|_| Unreadable::Truncated { element })
    }

    pub fn u64(&mut self, element: &'static str) -> Result<u64, Unreadable> {
        self.rest.try_get_u64().map_err(|_| Unreadable::Truncated { element })
    }

    pub fn i64(&mut self, element: &'static str) -> Result<i64, Unreadable> {
        self.rest.try_get_i64().map_err(|_| Unreadable::Truncated { element })
    }

    /// 0 or 1.
    pub fn flag(&mut self, element: &'static str) -> Result<bool, Unreadable> {
        match self.u8(element)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(Unreadable::Invalid { element, value: value.into() }),
        }
    }

    /// So many bytes, uncopied.
    pub fn take(&mut self, element: &'static str, len: usize) -> Result<Bytes, Unreadable> {
        if len > self.rest.len() {
            return Err(Unreadable::Truncated { element });
        }
        Ok(self.rest.split_to(len))
    }

    /// A length of at most `max` and that many bytes, uncopied.
    pub fn bytes(&mut self, element: &'static str, max: usize) -> Result<Bytes, Unreadable> {
        let len = self.u32(element)? as usize;
        check(element, len, max)?;
        self.take(element, len)
    }

    /// A length of at most `max` and that many bytes of UTF-8.
    pub fn text(&mut self, element: &'static str, max: usize) -> Result<String, Unreadable> {
        let bytes = self.bytes(element, max)?;
        String::from_utf8(bytes.into()).map_err(|_| Unreadable::Text { element })
    }
}
