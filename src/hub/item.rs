//! What subscribers receive.

use std::sync::Arc;

use crate::media::{Cue, Frame, Track};

/// What a subscriber receives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item {
    /// A track begins or changes.
    Track(Arc<Track>),
    /// A frame of a track that was announced before.
    Frame(Frame),
    /// A cue is announced, updated or withdrawn.
    Cue(Cue),
    /// So many items were missed; tracks and cues that stand follow, then the newest keyframe.
    Lagged(u64),
    /// The publisher went away; another may come.
    Interrupted,
    /// The broadcast is over. Nothing follows.
    Ended,
}

/// Items in order.
pub type Batch = Vec<Item>;
