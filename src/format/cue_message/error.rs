//! Why a cue message cannot be used.

use crate::format::scte35::DecodeError;

/// Why a cue message cannot be used. It is dropped and counted; the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CueError {
    /// A field without which the message means nothing.
    #[error("the cue message has no {0}")]
    Missing(&'static str),
    /// A field of another type.
    #[error("{0} in the cue message is of the wrong type")]
    Type(&'static str),
    /// A number that is negative, not a number or absurd.
    #[error("{0} in the cue message is negative, absurdly large or no number")]
    OutOfRange(&'static str),
    /// A text longer than any that is used.
    #[error("{0} in the cue message is too long")]
    TooLong(&'static str),
    /// The section is not base64.
    #[error("the SCTE 35 section in the cue message is not base64")]
    Base64,
    /// The section cannot be read.
    #[error("the SCTE 35 section in the cue message: {0}")]
    Section(#[source] DecodeError),
    /// The slot is a day or more from now: the announcer's clock is another one.
    #[error("the cue message speaks of a time more than a day away; its clock is not that of the stream")]
    FarAway,
    /// More slots are open than are kept.
    #[error("more than {0} slots are announced at once")]
    TooMany(usize),
}
