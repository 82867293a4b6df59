//! An AMF value, whichever version it was written in.

/// An AMF value, whichever version it was written in.
///
/// Numbers are as on the wire: NaN and infinities are possible, and callers that calculate check for them.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number; AMF3 integers become this too.
    Number(f64),
    /// A truth value.
    Boolean(bool),
    /// Text; XML documents become their text, AMF3 byte arrays lower-case hexadecimal digits.
    String(String),
    /// An object's properties, in the order of the wire. The class name of a typed object is dropped.
    Object(Vec<(String, Value)>),
    /// An associative array, in the order of the wire: the usual form of `onMetaData`.
    EcmaArray(Vec<(String, Value)>),
    /// A list.
    StrictArray(Vec<Value>),
    /// A moment, in milliseconds since 1970-01-01T00:00:00Z.
    Date(f64),
    /// Nothing, on purpose.
    Null,
    /// Nothing; AMF0's "unsupported" becomes this too.
    Undefined,
}

impl Value {
    /// The number, if this is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }

    /// The properties of an object or an associative array, in the order of the wire.
    pub fn entries(&self) -> Option<&[(String, Value)]> {
        match self {
            Self::Object(entries) | Self::EcmaArray(entries) => Some(entries),
            _ => None,
        }
    }

    /// The property `name` of an object or an associative array; the last one where a name is written twice.
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.entries()?.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// An object with these properties, for building messages.
    pub fn object<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Self::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// An associative array with these entries, for building messages.
    pub fn ecma_array<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Self::EcmaArray(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Boolean(truth)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(values: Vec<Value>) -> Self {
        Self::StrictArray(values)
    }
}
