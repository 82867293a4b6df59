//! What a splicer hears and says.

use std::sync::Arc;
use std::time::Duration;

use crate::av::worker::ipc::OverlayId;
use crate::hub::Item;
use crate::media::{Frame, MediaTime, Track};

/// What the splicer wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// The next item of the programme.
    Route(Item),
    /// Something for the worker.
    Worker(Order),
    /// The publisher is to be asked for a keyframe, if that is possible.
    RequestKeyframe,
    /// Something has become of a slot.
    Slot(OverlayId, SlotEvent),
}

/// What the worker is to do. The messages mean what they mean in [`ipc`](crate::av::worker::ipc).
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// A new worker is to burn into this track.
    Start(Arc<Track>),
    /// A frame of the source.
    Frame(Frame),
    /// An overlay is to be drawn on `[start, end)`.
    Overlay {
        /// Which.
        id: OverlayId,
        /// The first moment with it.
        start: MediaTime,
        /// The first moment without it.
        end: MediaTime,
    },
    /// An overlay ends at `at`, or where it would have if that is earlier.
    Cancel {
        /// Which.
        id: OverlayId,
        /// The first moment without it.
        at: MediaTime,
    },
    /// Pictures are wanted from here on.
    Cut {
        /// Decoding time of the first frame that is not let pass.
        dts: MediaTime,
        /// The smallest presentation time of that and all later frames.
        pts: MediaTime,
    },
    /// Only the pictures before this presentation time are wanted.
    Stop {
        /// The first moment that is not wanted.
        before: MediaTime,
    },
    /// The worker is of no more use, whatever it does.
    Drop,
    /// The same, because it does not do its work, or is lost.
    Abandon,
}

/// What has become of the worker that was started last.
#[derive(Clone, Debug)]
pub enum Report {
    /// What its frames are.
    Track(Track),
    /// A frame.
    Frame(Frame),
    /// Frames up to this decoding time are worked off.
    Progress {
        /// Decoding time of the newest of them.
        dts: MediaTime,
    },
    /// It has given all that was wanted.
    Ended,
    /// There is none, or it is gone, or it does not do its work.
    Lost,
}

/// What has become of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotEvent {
    /// A worker has caught up with the source: drawing may begin with the next frames.
    Ready,
    /// The first picture with the overlay was sent.
    Began {
        /// That picture's time.
        first_pts: MediaTime,
        /// By how much later pictures come out than they would without the splice.
        delay: Duration,
    },
    /// Nothing will be drawn any more.
    Closed {
        /// What was.
        shown: Shown,
        /// Why it is over.
        why: Why,
    },
}

/// The pictures that were sent with an overlay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// The first one's time.
    pub first_pts: Option<MediaTime>,
    /// The last one's time.
    pub last_pts: Option<MediaTime>,
    /// How many they were.
    pub frames: u64,
}

/// Why a slot is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// It was shown up to its end.
    Completed,
    /// It was withdrawn.
    Cancelled,
    /// Its time was over, or too long ago, before a worker was ready.
    Late,
    /// The publisher was away, or frames were missed, at its end.
    Interrupted,
    /// The picture changed and could not be drawn on again before its end.
    SourceChanged,
    /// The worker failed, and another could not take over before its end.
    WorkerLost,
    /// The broadcast ended.
    BroadcastEnded,
}

impl Why {
    /// A word for traces and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Late => "late",
            Self::Interrupted => "interrupted",
            Self::SourceChanged => "source_changed",
            Self::WorkerLost => "worker_lost",
            Self::BroadcastEnded => "broadcast_ended",
        }
    }
}
