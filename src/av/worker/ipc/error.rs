//! What can be wrong with a message.

use crate::codec::Malformed;

/// A message is larger than the other end takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{element} is {len} long, more than {max}")]
pub struct TooLarge {
    /// What is too long.
    pub element: &'static str,
    /// How long it is.
    pub len: usize,
    /// How long it may be.
    pub max: usize,
}

/// Bytes from the other end that are no message. There is no way to go on after one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unreadable {
    /// No message is of this kind.
    #[error("there is no message of kind {kind}")]
    Kind {
        /// The kind on the wire.
        kind: u8,
    },
    /// A length or count is above its limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The body ends before the element does.
    #[error("{element} is cut off")]
    Truncated {
        /// What should have been there.
        element: &'static str,
    },
    /// The body goes on after its last element.
    #[error("{len} bytes follow the end of a message of kind {kind}")]
    Excess {
        /// The kind on the wire.
        kind: u8,
        /// How many bytes.
        len: usize,
    },
    /// The value is none that has a meaning.
    #[error("{element} is {value}, which is not allowed")]
    Invalid {
        /// Which value.
        element: &'static str,
        /// What it is.
        value: u64,
    },
    /// Text that is not UTF-8.
    #[error("{element} is not UTF-8")]
    Text {
        /// Which text.
        element: &'static str,
    },
    /// A configuration record that describes nothing.
    #[error("configuration record: {0}")]
    Config(#[from] Malformed),
}
