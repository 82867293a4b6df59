//! Why a proposal came to nothing.

/// Why there is no slot, or no change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// Nothing is on the air.
    #[error("the channel is not on the air")]
    Offline,
    /// The channel takes no cues from its publisher's stream.
    #[error("the channel takes no cues from the stream")]
    NotPermitted,
    /// The broadcaster has opened as many slots as he may in an hour.
    #[error("the broadcaster has opened as many slots as the channel allows in an hour")]
    OverBudget,
    /// Zero, negative, too short or too long.
    #[error("the duration is not one that the channel allows")]
    Duration,
    /// Too far in the future.
    #[error("the slot is too far ahead")]
    FarAhead,
    /// It can no longer be shown whole.
    #[error("the slot comes too late to be shown whole")]
    TooLate,
    /// There is another slot at that time.
    #[error("another slot is at that time")]
    Overlap,
    /// The broadcaster wants no slot now, or the moment is not to be covered.
    #[error("no slot may begin at that time")]
    HeldOff,
    /// The broadcaster has forbidden this slot.
    #[error("the broadcaster has forbidden this slot")]
    Vetoed,
    /// There is no such slot.
    #[error("there is no such slot")]
    Unknown,
    /// It has begun, and that cannot be changed any more.
    #[error("the slot has begun already")]
    Begun,
    /// What was sold does not last longer than that.
    #[error("the slot is sold, or being sold: it can end earlier and not later")]
    Sold,
    /// The name is another slot's.
    #[error("another slot has this id")]
    Conflict,
    /// More slots are announced than anybody can mean.
    #[error("too many slots are announced")]
    TooMany,
}
