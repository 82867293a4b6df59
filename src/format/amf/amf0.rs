//! AMF0, read and written: the encoding of RTMP commands and FLV script data.

use bytes::{BufMut, BytesMut};

use super::amf3;
use super::reader::{Budget, Reader};
use super::{AmfError, Value};

const NUMBER: u8 = 0x00;
const BOOLEAN: u8 = 0x01;
const STRING: u8 = 0x02;
const OBJECT: u8 = 0x03;
const NULL: u8 = 0x05;
const UNDEFINED: u8 = 0x06;
const REFERENCE: u8 = 0x07;
const ECMA_ARRAY: u8 = 0x08;
const OBJECT_END: u8 = 0x09;
const STRICT_ARRAY: u8 = 0x0a;
const DATE: u8 = 0x0b;
const LONG_STRING: u8 = 0x0c;
const UNSUPPORTED: u8 = 0x0d;
const XML_DOCUMENT: u8 = 0x0f;
const TYPED_OBJECT: u8 = 0x10;
const AVMPLUS_OBJECT: u8 = 0x11;

/// Reads one value and moves `input` past it.
///
/// # Errors
/// See [`AmfError`]; `input` is then where it was.
pub fn decode(input: &mut &[u8]) -> Result<Value, AmfError> {
    let mut decoder = Decoder::new(input);
    let value = decoder.value(0)?;
    *input = decoder.reader.rest();
    Ok(value)
}

/// Reads all the values of one message; references reach back over the whole message.
///
/// # Errors
/// See [`AmfError`].
pub fn decode_all(message: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut decoder = Decoder::new(message);
    let mut values = Vec::new();
    while !decoder.reader.rest().is_empty() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

/// Appends `value`. Strings longer than 65,535 bytes are written as long strings; a property name is cut there.
pub fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(NUMBER);
            out.put_f64(*number);
        }
        Value::Boolean(truth) => {
            out.put_u8(BOOLEAN);
            out.put_u8(u8::from(*truth));
        }
        Value::String(text) => encode_string(text, out),
        Value::Object(entries) => {
            out.put_u8(OBJECT);
            encode_entries(entries, out);
        }
        Value::EcmaArray(entries) => {
            out.put_u8(ECMA_ARRAY);
            out.put_u32(u32::try_from(entries.len()).unwrap_or(u32::MAX));
            encode_entries(entries, out);
        }
        Value::StrictArray(values) => {
            out.put_u8(STRICT_ARRAY);
            out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
            for value in values {
                encode(value, out);
            }
        }
        Value::Date(milliseconds) => {
            out.put_u8(DATE);
            out.put_f64(*milliseconds);
            // The time zone field is reserved and always zero (AMF0 §2.13).
            out.put_i16(0);
        }
        Value::Null => out.put_u8(NULL),
        Value::Undefined => out.put_u8(UNDEFINED),
    }
}

fn encode_string(text: &str, out: &mut BytesMut) {
    match u16::try_from(text.len()) {
        Ok(length) => {
            out.put_u8(STRING);
            out.put_u16(length);
        }
        Err(_) => {
            out.put_u8(LONG_STRING);
            out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
    }
    out.put_slice(text.as_bytes());
}

fn encode_entries(entries: &[(String, Value)], out: &mut BytesMut) {
    for (name, value) in entries {
        let kept = name.floor_char_boundary(usize::from(u16::MAX));
        out.put_u16(kept as u16);
        out.put_slice(&name.as_bytes()[..kept]);
        encode(value, out);
    }
    out.put_u16(0);
    out.put_u8(OBJECT_END);
}

/// An object or array that references may point at.
struct Referable<'a> {
    /// The bytes from its type marker on.
    bytes: &'a [u8],
    /// False while it is being read: a reference to it from inside is a loop.
    complete: bool,
}

struct Decoder<'a> {
    reader: Reader<'a>,
    budget: Budget,
    /// In the order in which they begin (AMF0 §2.9).
    referables: Vec<Referable<'a>>,
    /// Set while a reference is being expanded: what is read again is in the table already.
    expanding: bool,
}

impl<'a> Decoder<'a> {
    fn new(message: &'a [u8]) -> Self {
        Self { reader: Reader::new(message), budget: Budget::new(), referables: Vec::new(), expanding: false }
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        self.budget.value(depth)?;
        let start = self.reader.rest();
        match self.reader.u8()? {
            NUMBER => self.reader.f64().map(Value::Number),
            BOOLEAN => self.reader.u8().map(|byte| Value::Boolean(byte != 0)),
            STRING => self.short_text().map(Value::String),
            LONG_STRING | XML_DOCUMENT => self.long_text().map(Value::String),
            NULL => Ok(Value::Null),
            UNDEFINED | UNSUPPORTED => Ok(Value::Undefined),
            DATE => {
                let milliseconds = self.reader.f64()?;
                self.reader.u16()?;
                Ok(Value::Date(milliseconds))
            }
            OBJECT => self.referable(start, |this| this.entries(depth).map(Value::Object)),
            TYPED_OBJECT => {
                self.short_text()?;
                self.referable(start, |this| this.entries(depth).map(Value::Object))
            }
            ECMA_ARRAY => {
                // The count is only a hint, and many encoders write 0 or a wrong one: the end marker decides.
                self.reader.u32()?;
                self.referable(start, |this| this.entries(depth).map(Value::EcmaArray))
            }
            STRICT_ARRAY => self.referable(start, |this| this.strict_array(depth)),
            REFERENCE => self.reference(depth),
            AVMPLUS_OBJECT => amf3::Decoder::new(&mut self.reader, &mut self.budget).message_value(depth),
            marker => Err(AmfError::UnknownMarker(marker)),
        }
    }

    fn short_text(&mut self) -> Result<String, AmfError> {
        let length = self.reader.u16()?;
        self.budget.text(self.reader.take(usize::from(length))?)
    }

    fn long_text(&mut self) -> Result<String, AmfError> {
        let length = usize::try_from(self.reader.u32()?).unwrap_or(usize::MAX);
        self.budget.text(self.reader.take(length)?)
    }

    /// Reads an object or array with `read` and keeps its place for later references.
    fn referable(
        &mut self,
        bytes: &'a [u8],
        read: impl FnOnce(&mut Self) -> Result<Value, AmfError>,
    ) -> Result<Value, AmfError> {
        if self.expanding {
            return read(self);
        }
        let index = self.referables.len();
        self.referables.push(Referable { bytes, complete: false });
        let value = read(self)?;
        if let Some(referable) = self.referables.get_mut(index) {
            referable.complete = true;
        }
        Ok(value)
    }

    /// Reads the object a reference points at once more, so that it costs what it expands to.
    fn reference(&mut self, depth: usize) -> Result<Value, AmfError> {
        let index = usize::from(self.reader.u16()?);
        let target = self.referables.get(index).ok_or(AmfError::UnknownReference(index))?;
        if !target.complete {
            return Err(AmfError::ReferenceLoop(index));
        }
        let after = std::mem::replace(&mut self.reader, Reader::new(target.bytes));
        let outer = std::mem::replace(&mut self.expanding, true);
        let value = self.value(depth)?;
        self.expanding = outer;
        self.reader = after;
        Ok(value)
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        let mut entries = Vec::new();
        loop {
            if self.reader.rest().is_empty() {
                return Err(AmfError::MissingObjectEnd);
            }
            let name = self.short_text()?;
            if name.is_empty() && self.reader.rest().first() == Some(&OBJECT_END) {
                self.reader.u8()?;
                return Ok(entries);
            }
            if self.reader.rest().is_empty() {
                return Err(AmfError::MissingObjectEnd);
            }
            entries.push((name, self.value(depth + 1)?));
        }
    }

    fn strict_array(&mut self, depth: usize) -> Result<Value, AmfError> {
        let count = usize::try_from(self.reader.u32()?).unwrap_or(usize::MAX);
        // Every value takes a byte at least: a count that cannot be true is refused before anything is read.
        let remaining = self.reader.rest().len();
        if count > remaining {
            return Err(AmfError::Truncated { needed: count, remaining });
        }
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(self.value(depth + 1)?);
        }
        Ok(Value::StrictArray(values))
    }
}
