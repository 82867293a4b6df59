//! Frames held back while a packager only watches, and what they tell.

use crate::media::{Frame, MediaTime, TrackId};

/// Without a second keyframe in so much media, the GOP is taken to be long.
const LONG_GOP: MediaTime = MediaTime::from_millis(2200);
/// Media watched at least before the pace is decided.
pub(super) const MEASURED: MediaTime = MediaTime::from_millis(900);
/// A returning publisher's tracks are waited for so long.
const RETURN_WAIT: MediaTime = MediaTime::from_millis(1000);
/// Bytes and frames held back at most.
const HELD_BYTES: usize = 16 << 20;
const HELD_FRAMES: usize = 8192;

/// The frames held back.
#[derive(Debug, Default)]
pub(super) struct Watch {
    pub frames: Vec<Frame>,
    bytes: usize,
}

impl Watch {
    pub fn push(&mut self, frame: Frame) {
        self.bytes += frame.payload.len();
        self.frames.push(frame);
    }

    /// No more may be held back.
    pub const fn is_full(&self) -> bool {
        self.bytes >= HELD_BYTES || self.frames.len() >= HELD_FRAMES
    }

    /// Frames of all these tracks are there, or were waited for.
    pub fn knows(&self, tracks: &[TrackId]) -> bool {
        !tracks.is_empty() && (tracks.iter().all(|id| self.has_track(*id)) || self.span() >= RETURN_WAIT)
    }

    /// The pace of this picture shows.
    pub fn knows_pace_of(&self, picture: TrackId) -> bool {
        let frames = self.of(picture);
        let span =
            frames.first().zip(frames.last()).map_or(MediaTime::ZERO, |(first, last)| last.0 - first.0);
        let keyframes = frames.iter().filter(|(_, keyframe)| *keyframe).count();
        span >= LONG_GOP || (keyframes > 1 && span >= MEASURED)
    }

    pub fn has_track(&self, id: TrackId) -> bool {
        self.frames.iter().any(|frame| frame.track == id)
    }

    /// Decoding times of a track's frames, and which of them are keyframes.
    pub fn of(&self, id: TrackId) -> Vec<(MediaTime, bool)> {
        let mine = self.frames.iter().filter(|frame| frame.track == id);
        mine.map(|frame| (frame.dts, frame.keyframe)).collect()
    }

    /// From the first to the last.
    pub fn span(&self) -> MediaTime {
        let times = || self.frames.iter().map(|frame| frame.dts);
        times().min().zip(times().max()).map_or(MediaTime::ZERO, |(first, last)| last - first)
    }
}
