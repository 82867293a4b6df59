//! Why a packet cannot be read.

/// Why an RTP or RTCP packet cannot be read. Positions count from the first byte of the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Something needs more bytes than there are.
    #[error("{element} at byte {at} needs {needed} bytes where {remaining} remain")]
    Overrun {
        /// What the RFC calls it.
        element: &'static str,
        /// Where it begins.
        at: usize,
        /// How many bytes it needs.
        needed: usize,
        /// How many there are.
        remaining: usize,
    },
    /// The value is none that has a meaning.
    #[error("{element} at byte {at} is {value}, which is not allowed")]
    Invalid {
        /// What the RFC calls it.
        element: &'static str,
        /// Where it stands.
        at: usize,
        /// What it is.
        value: u32,
    },
}
