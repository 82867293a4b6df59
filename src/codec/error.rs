//! The one error of all parsers here.

/// Why bytes are not what they claim to be.
///
/// `element` is the name that the codec's specification gives the syntax element. Positions inside parameter sets
/// count the bits after emulation prevention bytes are taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The data ends before the element does.
    #[error("{element} is cut off: it begins at byte {}, bit {}", .bit / 8, .bit % 8)]
    Truncated {
        /// What should have been there.
        element: &'static str,
        /// Where it begins, in bits from the start of the record, NAL unit, OBU or frame.
        bit: usize,
    },
    /// A length speaks of more bytes than there are.
    #[error("{element} at byte {at} claims {len} bytes where {remaining} remain")]
    Overrun {
        /// What the length measures.
        element: &'static str,
        /// Where the length stands, in bytes.
        at: usize,
        /// The length claimed.
        len: u64,
        /// The bytes that remain.
        remaining: usize,
    },
    /// The value is above what the specification or the server allows.
    #[error("{element} is {value}, more than {max}")]
    TooLarge {
        /// Which value.
        element: &'static str,
        /// What it is.
        value: u64,
        /// The most it may be.
        max: u64,
    },
    /// The value is none that has a meaning.
    #[error("{element} is {value}, which is not allowed")]
    Invalid {
        /// Which value.
        element: &'static str,
        /// What it is.
        value: u64,
    },
    /// Something that must be there is not.
    #[error("{element} is missing")]
    Missing {
        /// What is not there.
        element: &'static str,
    },
    /// Something is there and has no bytes.
    #[error("{element} is empty")]
    Empty {
        /// What has no bytes.
        element: &'static str,
    },
}

impl Malformed {
    /// Checks that `value` is at most `max`.
    pub(super) fn check_max(element: &'static str, value: usize, max: usize) -> Result<(), Self> {
        if value > max {
            return Err(Self::TooLarge { element, value: value as u64, max: max as u64 });
        }
        Ok(())
    }
}
