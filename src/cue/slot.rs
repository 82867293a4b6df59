//! Slots, and what is said about them.

use crate::media::{Cue, CueId, CueOrigin, MediaTime, OverlayFormat};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// In the broadcast: the time of the newest frame.
    pub media: MediaTime,
    /// On the wall, in Unix milliseconds.
    pub unix_millis: i64,
}

/// Somebody wants a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What the slot is to be called; `None` for a name of the bus's own.
    pub id: Option<CueId>,
    /// When it begins; `None` for as soon as possible.
    pub start: Option<MediaTime>,
    /// How long it lasts; `None` for as long as the channel's slots do.
    pub duration: Option<MediaTime>,
    /// How the overlay and the picture share the screen; `None` as the channel does it.
    pub format: Option<OverlayFormat>,
    /// Who wants it.
    pub origin: CueOrigin,
}

impl Proposal {
    /// For a slot as the channel's slots are; `None` for as soon as possible.
    pub fn of(origin: CueOrigin, start: Option<MediaTime>) -> Self {
        Self { id: None, start, duration: None, format: None, origin }
    }
}

/// What is to change about a slot; `None` stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotChange {
    /// When it begins; only before it has.
    pub start: Option<MediaTime>,
    /// How long it lasts; also while it runs.
    pub duration: Option<MediaTime>,
    /// How the overlay and the picture share the screen; only before it has begun.
    pub format: Option<OverlayFormat>,
}

/// A slot as the bus has decided: with each change its cue's revision rises. Its duration is always known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The cue, as it goes into the broadcast.
    pub cue: Cue,
    /// How the overlay and the picture share the screen.
    pub format: OverlayFormat,
}

impl Slot {
    /// When it is over.
    pub fn end(&self) -> MediaTime {
        self.cue.end().unwrap_or(self.cue.start)
    }
}
