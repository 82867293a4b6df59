//! Why bytes are not a readable AMF value.

use thiserror::Error;

use super::{MAX_DEPTH, MAX_TEXT, MAX_VALUES};

/// Why bytes are not a readable AMF value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AmfError {
    /// A number, a string or a list needs more bytes than are left.
    #[error("AMF value needs {needed} more bytes, only {remaining} are left")]
    Truncated {
        /// Bytes the value announces.
        needed: usize,
        /// Bytes the input still has.
        remaining: usize,
    },
    /// The input ends inside an object or an associative array.
    #[error("AMF object has no end marker")]
    MissingObjectEnd,
    /// A type marker that no specification defines, or that is reserved (movie clip, record set).
    #[error("AMF type marker 0x{0:02x} is not supported")]
    UnknownMarker(u8),
    /// An object that writes itself in a form only its own class knows.
    #[error("AMF3 object of an externalizable class cannot be read")]
    Externalizable,
    /// Values nested deeper than [`MAX_DEPTH`].
    #[error("AMF values nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// More values than [`MAX_VALUES`], references counted as what they expand to.
    #[error("AMF message holds more than {MAX_VALUES} values")]
    TooManyValues,
    /// More text than [`MAX_TEXT`] bytes, references counted as what they expand to.
    #[error("AMF message holds more than {MAX_TEXT} bytes of text")]
    TooMuchText,
    /// A reference to an entry that its table does not have.
    #[error("AMF reference {0} points at nothing")]
    UnknownReference(usize),
    /// A reference to an object that is not complete yet: it contains itself.
    #[error("AMF reference {0} makes an object contain itself")]
    ReferenceLoop(usize),
}
