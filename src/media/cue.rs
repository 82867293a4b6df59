//! A cue: the announcement of a slot in the programme.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::MediaTime;

/// Names a cue within its broadcast. Repetitions, updates and cancellations of one cue carry the same id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(from = "String", into = "String")]
pub struct CueId(Arc<str>);

impl CueId {
    /// The longest id that is kept, in bytes.
    pub const MAX_LEN: usize = 128;

    /// An id from what the announcer calls the cue; longer ones than [`MAX_LEN`](Self::MAX_LEN) are cut at a
    /// character boundary.
    pub fn new(id: &str) -> Self {
        Self(id[..id.floor_char_boundary(Self::MAX_LEN)].into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for CueId {
    fn from(id: String) -> Self {
        Self::new(&id)
    }
}

impl From<CueId> for String {
    fn from(id: CueId) -> Self {
        id.as_str().to_owned()
    }
}

impl fmt::Debug for CueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for CueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The announcement of a slot: from `start`, for `duration`.
///
/// Its place among the frames orders announcements; its `start` says when. A later announcement with the same id
/// and a higher revision replaces an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cue {
    /// Which cue this speaks of.
    pub id: CueId,
    /// Rises with every update; a repetition carries the same one.
    pub revision: u32,
    /// Announced or withdrawn.
    pub state: CueState,
    /// When the slot begins.
    pub start: MediaTime,
    /// How long it lasts; `None` until an update tells.
    pub duration: Option<MediaTime>,
    /// Who announced it.
    pub origin: CueOrigin,
    /// The SCTE-35 `splice_info_section` it came as, if it did.
    pub scte35: Option<Bytes>,
}

impl Cue {
    /// When the slot ends, if that is known.
    pub fn end(&self) -> Option<MediaTime> {
        self.duration.map(|duration| self.start + duration)
    }
}

/// Whether a cue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CueState {
    /// The slot is to come, or running.
    Announced,
    /// The slot is withdrawn, or cut short if it is running.
    Cancelled,
}

/// Who announced a cue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CueOrigin {
    /// The publisher's stream.
    Publisher,
    /// An operator or broadcaster, over the API.
    Api,
    /// The broadcaster, with the studio's button.
    Studio,
    /// The channel's schedule.
    Schedule,
    /// The audience, whose engagement stood out.
    Engagement,
}
