//! XML as a small tree. There are no entities but the five of XML and characters by number, no document types, no
//! namespaces (prefixes are dropped), and bounds on everything.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::Mode;

/// The largest document, in bytes.
pub const MAX_DOCUMENT: usize = 512 << 10;
/// Elements nested deeper are not read.
const MAX_DEPTH: usize = 24;
/// The most elements of a document.
const MAX_ELEMENTS: usize = 5000;
/// The most attributes of an element.
const MAX_ATTRIBUTES: usize = 32;

/// An element.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    attributes: Vec<(String, String)>,
    text: String,
    pub children: Vec<Element>,
}

/// The document cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable;

impl Element {
    /// Reads a document: one element with all that is in it.
    pub fn read(document: &str, mode: Mode) -> Result<Self, Unreadable> {
        if document.len() > MAX_DOCUMENT {
            return Err(Unreadable);
        }
        let mut reader = Reader::from_str(document.trim_start_matches('\u{feff}'));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = mode == Mode::Strict;
        config.allow_dangling_amp = mode == Mode::Lenient;
        let mut tree = Tree::default();
        loop {
            match reader.read_event().map_err(|_| Unreadable)? {
                Event::Start(start) => tree.open(&start)?,
                Event::End(_) => tree.close()?,
                Event::Text(text) => tree.text(&text.xml10_content())?,
                Event::CData(text) => tree.text(&text.xml10_content())?,
                Event::GeneralRef(reference) => {
                    let character = reference.resolve_char_ref().map_err(|_| Unreadable)?;
                    let named = || predefined(&reference.xml10_content());
                    let character = character.or_else(named).ok_or(Unreadable)?;
                    tree.text(character.encode_utf8(&mut [0; 4]))?;
                }
                Event::DocType(_) => return Err(Unreadable),
                Event::Eof => break,
                Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        if tree.open.is_empty() { tree.root.ok_or(Unreadable) } else { Err(Unreadable) }
    }

    /// An attribute's value, without surrounding space.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// An attribute's value as a number or whatever else is parsed; `None` also when it is not one.
    pub fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attribute(name)?.parse().ok()
    }

    /// Its own text, without surrounding space.
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// Its children of a name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Its first child of a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The texts of its children of a name.
    pub fn texts(&self, name: &str) -> Vec<String> {
        self.all(name).map(|child| child.text().to_owned()).collect()
    }

    /// The text of its first child of a name.
    pub fn text_of(&self, name: &str) -> Option<String> {
        self.child(name).map(|child| child.text().to_owned())
    }
}

#[derive(Default)]
struct Tree {
    root: Option<Element>,
    open: Vec<Element>,
    elements: usize,
}

impl Tree {
    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), Unreadable> {
        self.elements += 1;
        let is_second_root = self.open.is_empty() && self.root.is_some();
        if self.elements > MAX_ELEMENTS || self.open.len() >= MAX_DEPTH || is_second_root {
            return Err(Unreadable);
        }
        let mut element = Element { name: start.local_name().into_inner().to_owned(), ..Element::default() };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| Unreadable)?;
            if element.attributes.len() >= MAX_ATTRIBUTES {
                return Err(Unreadable);
            }
            let value =
                attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| Unreadable)?.into_owned();
            element.attributes.push((attribute.key.local_name().into_inner().to_owned(), value));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unreadable> {
        let element = self.open.pop().ok_or(Unreadable)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Unreadable> {
        match self.open.last_mut() {
            Some(element) => element.text.push_str(text),
            None if text.trim().is_empty() => {}
            None => return Err(Unreadable),
        }
        Ok(())
    }
}

fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => return None,
    })
}
