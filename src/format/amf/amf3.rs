//! AMF3, read only: what a client with `objectEncoding` 3 may put into its commands and metadata.

use std::rc::Rc;

use super::reader::{Budget, Reader};
use super::{AmfError, Value};

const UNDEFINED: u8 = 0x00;
const NULL: u8 = 0x01;
const FALSE: u8 = 0x02;
const TRUE: u8 = 0x03;
const INTEGER: u8 = 0x04;
const DOUBLE: u8 = 0x05;
const STRING: u8 = 0x06;
const XML_DOCUMENT: u8 = 0x07;
const DATE: u8 = 0x08;
const ARRAY: u8 = 0x09;
const OBJECT: u8 = 0x0a;
const XML: u8 = 0x0b;
const BYTE_ARRAY: u8 = 0x0c;
const VECTOR_INT: u8 = 0x0d;
const VECTOR_UINT: u8 = 0x0e;
const VECTOR_DOUBLE: u8 = 0x0f;
const VECTOR_OBJECT: u8 = 0x10;

/// Externalizable classes whose external form is one plain AMF3 value.
const WRAPPERS: [&str; 3] =
    ["flex.messaging.io.ArrayCollection", "flex.messaging.io.ArrayList", "flex.messaging.io.ObjectProxy"];

/// Reads one value with empty reference tables and moves `input` past it.
///
/// # Errors
/// See [`AmfError`]; `input` is then where it was.
pub fn decode(input: &mut &[u8]) -> Result<Value, AmfError> {
    let mut reader = Reader::new(input);
    let value = Decoder::new(&mut reader, &mut Budget::new()).message_value(0)?;
    *input = reader.rest();
    Ok(value)
}

/// A value whose objects are still entries of the object table, so that references share them.
enum Node {
    Plain(Value),
    Shared(usize),
}

/// An entry of the object table.
enum Shared {
    /// Begun and not finished: a reference from inside would be a loop.
    Open,
    Plain(Value),
    Object(Vec<(Rc<str>, Node)>),
    /// An array with named entries, and its dense part.
    Array(Vec<(Rc<str>, Node)>, Vec<Node>),
    /// An externalizable wrapper around one value.
    Wrapper(Node),
}

/// The shape of a class: its name, whether it writes itself, whether it has further properties, its fixed ones.
struct Traits {
    class: Rc<str>,
    externalizable: bool,
    dynamic: bool,
    members: Vec<Rc<str>>,
}

/// What a U29 in front of a complex value says.
enum Header {
    Reference(usize),
    /// The value follows; the number is its length, count or flags.
    Inline(usize),
}

pub(super) struct Decoder<'r, 'a> {
    reader: &'r mut Reader<'a>,
    budget: &'r mut Budget,
    strings: Vec<Rc<str>>,
    objects: Vec<Shared>,
    traits: Vec<Rc<Traits>>,
}

impl<'r, 'a> Decoder<'r, 'a> {
    pub(super) fn new(reader: &'r mut Reader<'a>, budget: &'r mut Budget) -> Self {
        Self { reader, budget, strings: Vec::new(), objects: Vec::new(), traits: Vec::new() }
    }

    /// Reads one value that stands at `depth` of its message, and expands its references.
    pub(super) fn message_value(&mut self, depth: usize) -> Result<Value, AmfError> {
        let node = self.node(depth)?;
        self.expand(&node, depth)
    }

    /// Copies a node out of the tables. Reading paid for what is on the wire, this pays for what comes of it.
    fn expand(&mut self, node: &Node, depth: usize) -> Result<Value, AmfError> {
        // The table is set aside while it is walked; nothing is read or added meanwhile.
        let objects = std::mem::take(&mut self.objects);
        let value = expand(&objects, self.budget, node, depth);
        self.objects = objects;
        value
    }

    fn node(&mut self, depth: usize) -> Result<Node, AmfError> {
        self.budget.value(depth)?;
        let plain = match self.reader.u8()? {
            UNDEFINED => Value::Undefined,
            NULL => Value::Null,
            FALSE => Value::Boolean(false),
            TRUE => Value::Boolean(true),
            INTEGER => Value::Number(f64::from(signed_29(self.u29()?))),
            DOUBLE => Value::Number(self.reader.f64()?),
            STRING => Value::String(self.text()?.as_ref().to_owned()),
            XML_DOCUMENT | XML => {
                return self.leaf(|this, length| {
                    let bytes = this.reader.take(length)?;
                    this.budget.text(bytes).map(Value::String)
                });
            }
            BYTE_ARRAY => {
                return self.leaf(|this, length| {
                    let bytes = this.reader.take(length)?;
                    this.budget.pay_text(length.saturating_mul(2))?;
                    Ok(Value::String(hexadecimal(bytes)))
                });
            }
            DATE => return self.leaf(|this, _| this.reader.f64().map(Value::Date)),
            VECTOR_INT => return self.number_vector(4, |reader| Ok(f64::from(reader.u32()? as i32))),
            VECTOR_UINT => return self.number_vector(4, |reader| reader.u32().map(f64::from)),
            VECTOR_DOUBLE => return self.number_vector(8, Reader::f64),
            VECTOR_OBJECT => return self.object_vector(depth),
            ARRAY => return self.array(depth),
            OBJECT => return self.object(depth),
            marker => return Err(AmfError::UnknownMarker(marker)),
        };
        Ok(Node::Plain(plain))
    }

    /// An unsigned integer of 29 bits: seven a byte, the highest first, eight in the fourth (AMF3 §1.3.1).
    fn u29(&mut self) -> Result<u32, AmfError> {
        let mut number = 0;
        for _ in 0..3 {
            let byte = self.reader.u8()?;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Ok(number << 8 | u32::from(self.reader.u8()?))
    }

    fn header(&mut self) -> Result<Header, AmfError> {
        let number = self.u29()? as usize;
        Ok(if number & 1 == 0 { Header::Reference(number >> 1) } else { Header::Inline(number >> 1) })
    }

    fn text(&mut self) -> Result<Rc<str>, AmfError> {
        match self.header()? {
            Header::Reference(index) => {
                let text = self.strings.get(index).cloned().ok_or(AmfError::UnknownReference(index))?;
                self.budget.pay_text(text.len())?;
                Ok(text)
            }
            // The empty string is never put into the table (AMF3 §1.3.2).
            Header::Inline(0) => Ok("".into()),
            Header::Inline(length) => {
                let text: Rc<str> = self.budget.text(self.reader.take(length)?)?.into();
                self.strings.push(text.clone());
                Ok(text)
            }
        }
    }

    /// Opens an entry of the object table for an inline value, or gives the entry a reference names.
    fn open(&mut self) -> Result<Result<(usize, usize), Node>, AmfError> {
        match self.header()? {
            Header::Reference(index) => match self.objects.get(index) {
                None => Err(AmfError::UnknownReference(index)),
                Some(Shared::Open) => Err(AmfError::ReferenceLoop(index)),
                Some(_) => Ok(Err(Node::Shared(index))),
            },
            Header::Inline(number) => {
                self.objects.push(Shared::Open);
                Ok(Ok((self.objects.len() - 1, number)))
            }
        }
    }

    fn close(&mut self, index: usize, shared: Shared) -> Node {
        if let Some(entry) = self.objects.get_mut(index) {
            *entry = shared;
        }
        Node::Shared(index)
    }

    fn leaf(
        &mut self,
        read: impl FnOnce(&mut Self, usize) -> Result<Value, AmfError>,
    ) -> Result<Node, AmfError> {
        let (index, length) = match self.open()? {
            Ok(opened) => opened,
            Err(node) => return Ok(node),
        };
        let value = read(self, length)?;
        Ok(self.close(index, Shared::Plain(value)))
    }

    fn number_vector(
        &mut self,
        width: usize,
        read: impl Fn(&mut Reader<'a>) -> Result<f64, AmfError>,
    ) -> Result<Node, AmfError> {
        let (index, count) = match self.open()? {
            Ok(opened) => opened,
            Err(node) => return Ok(node),
        };
        let _fixed_length = self.reader.u8()?;
        self.check_count(count, width)?;
        let mut values = Vec::new();
        for _ in 0..count {
            self.budget.value(0)?;
            values.push(Node::Plain(Value::Number(read(self.reader)?)));
        }
        Ok(self.close(index, Shared::Array(Vec::new(), values)))
    }

    fn object_vector(&mut self, depth: usize) -> Result<Node, AmfError> {
        let (index, count) = match self.open()? {
            Ok(opened) => opened,
            Err(node) => return Ok(node),
        };
        let _fixed_length = self.reader.u8()?;
        let _class = self.text()?;
        let values = self.nodes(count, depth)?;
        Ok(self.close(index, Shared::Array(Vec::new(), values)))
    }

    fn array(&mut self, depth: usize) -> Result<Node, AmfError> {
        let (index, count) = match self.open()? {
            Ok(opened) => opened,
            Err(node) => return Ok(node),
        };
        let named = self.dynamic_entries(depth, Vec::new())?;
        let dense = self.nodes(count, depth)?;
        Ok(self.close(index, Shared::Array(named, dense)))
    }

    fn object(&mut self, depth: usize) -> Result<Node, AmfError> {
        let (index, flags) = match self.open()? {
            Ok(opened) => opened,
            Err(node) => return Ok(node),
        };
        let traits = self.traits(flags)?;
        if traits.externalizable {
            if !WRAPPERS.contains(&traits.class.as_ref()) {
                return Err(AmfError::Externalizable);
            }
            let inner = self.node(depth + 1)?;
            return Ok(self.close(index, Shared::Wrapper(inner)));
        }
        let mut entries = Vec::new();
        for member in &traits.members {
            entries.push((member.clone(), self.node(depth + 1)?));
        }
        if traits.dynamic {
            entries = self.dynamic_entries(depth, entries)?;
        }
        Ok(self.close(index, Shared::Object(entries)))
    }

    /// The class of an object, from what is left of its header: bit 0 "inline", bit 1 "externalizable", bit 2
    /// "dynamic", then the number of fixed properties (AMF3 §3.12).
    fn traits(&mut self, flags: usize) -> Result<Rc<Traits>, AmfError> {
        if flags & 1 == 0 {
            let index = flags >> 1;
            return self.traits.get(index).cloned().ok_or(AmfError::UnknownReference(index));
        }
        let class = self.text()?;
        let count = flags >> 3;
        self.check_count(count, 1)?;
        let mut members = Vec::new();
        for _ in 0..count {
            self.budget.value(0)?;
            members.push(self.text()?);
        }
        let (externalizable, dynamic) = (flags & 2 != 0, flags & 4 != 0);
        let traits = Rc::new(Traits { class, externalizable, dynamic, members });
        self.traits.push(traits.clone());
        Ok(traits)
    }

    /// Appends named entries up to the empty name that ends them.
    fn dynamic_entries(
        &mut self,
        depth: usize,
        mut entries: Vec<(Rc<str>, Node)>,
    ) -> Result<Vec<(Rc<str>, Node)>, AmfError> {
        loop {
            if self.reader.rest().is_empty() {
                return Err(AmfError::MissingObjectEnd);
            }
            let name = self.text()?;
            if name.is_empty() {
                return Ok(entries);
            }
            entries.push((name, self.node(depth + 1)?));
        }
    }

    fn nodes(&mut self, count: usize, depth: usize) -> Result<Vec<Node>, AmfError> {
        self.check_count(count, 1)?;
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(self.node(depth + 1)?);
        }
        Ok(nodes)
    }

    /// Refuses a count of items of at least `width` bytes that the input cannot hold.
    fn check_count(&self, count: usize, width: usize) -> Result<(), AmfError> {
        let (needed, remaining) = (count.saturating_mul(width), self.reader.rest().len());
        if needed > remaining {
            return Err(AmfError::Truncated { needed, remaining });
        }
        Ok(())
    }
}

fn expand(objects: &[Shared], budget: &mut Budget, node: &Node, depth: usize) -> Result<Value, AmfError> {
    budget.value(depth)?;
    let index = match node {
        Node::Plain(value) => return copy(budget, value),
        Node::Shared(index) => *index,
    };
    match objects.get(index) {
        // Neither occurs: reading refuses references to what does not exist or is not complete.
        None | Some(Shared::Open) => Err(AmfError::UnknownReference(index)),
        Some(Shared::Plain(value)) => copy(budget, value),
        // One deeper, though the wrapper vanishes: a chain of references through wrappers must end too.
        Some(Shared::Wrapper(inner)) => expand(objects, budget, inner, depth + 1),
        Some(Shared::Object(entries)) => expand_entries(objects, budget, entries, depth).map(Value::Object),
        Some(Shared::Array(named, dense)) => {
            let values = dense
                .iter()
                .map(|node| expand(objects, budget, node, depth + 1))
                .collect::<Result<Vec<_>, _>>()?;
            if named.is_empty() {
                return Ok(Value::StrictArray(values));
            }
            // An array with names is associative; its dense part gets its indices as names, as in AMF0.
            let mut entries = expand_entries(objects, budget, named, depth)?;
            entries.extend(values.into_iter().enumerate().map(|(at, value)| (at.to_string(), value)));
            Ok(Value::EcmaArray(entries))
        }
    }
}

fn copy(budget: &mut Budget, value: &Value) -> Result<Value, AmfError> {
    if let Value::String(text) = value {
        budget.pay_text(text.len())?;
    }
    Ok(value.clone())
}

fn expand_entries(
    objects: &[Shared],
    budget: &mut Budget,
    entries: &[(Rc<str>, Node)],
    depth: usize,
) -> Result<Vec<(String, Value)>, AmfError> {
    let mut expanded = Vec::new();
    for (name, node) in entries {
        budget.pay_text(name.len())?;
        expanded.push((name.as_ref().to_owned(), expand(objects, budget, node, depth + 1)?));
    }
    Ok(expanded)
}

/// The low 29 bits as a two's complement number.
fn signed_29(number: u32) -> i32 {
    (number << 3) as i32 >> 3
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
