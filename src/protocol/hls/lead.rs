//! What one packager leaves behind for another, so that what both are given comes out of both as the same bytes.
//!
//! Two packagers differ in more than their frames: in what they promise, in how they count sound, in where their segments
//! begin. One that follows takes over the promises. At each keyframe that a segment of the leading one began with, it begins
//! one as well, and stands from there on as the leading one stood.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::media::{Frame, MediaTime, TrackId};

use super::pace::Pace;
use super::writer::Stance;

/// Beginnings kept: who begins to follow starts as far back as the hub remembers, which is a few segments.
const BEGINNINGS: usize = 8;

/// What a packager leaves behind for those that follow it.
#[derive(Clone, Debug, Default)]
pub(super) struct Lead {
    /// The renditions, the main one first, by what they are called in every variant.
    renditions: Vec<(String, Pace)>,
    /// The tracks in them.
    tracks: Vec<TrackId>,
    beginnings: VecDeque<Arc<Beginning>>,
}

/// A segment that was begun.
#[derive(Debug)]
pub(super) struct Beginning {
    track: TrackId,
    dts: MediaTime,
    /// How the main rendition stood before it, and the others after they had ended theirs.
    pub stances: Vec<Stance>,
}

impl Lead {
    /// The renditions are made of these tracks.
    pub fn carries(&mut self, tracks: Vec<TrackId>) {
        self.tracks = tracks;
    }

    /// There is a rendition, which promises this.
    pub fn promises(&mut self, rendition: &str, pace: Pace) {
        if self.pace_of(rendition).is_none() {
            self.renditions.push((rendition.to_owned(), pace));
        }
    }

    /// A segment began with a frame.
    pub fn begins(&mut self, track: TrackId, dts: MediaTime, stances: Vec<Stance>) {
        if self.beginnings.len() >= BEGINNINGS {
            self.beginnings.pop_front();
        }
        self.beginnings.push_back(Arc::new(Beginning { track, dts, stances }));
    }

    /// What a rendition promises; `None` as long as that is not decided.
    pub fn pace_of(&self, rendition: &str) -> Option<Pace> {
        self.renditions.iter().find(|(name, _)| name == rendition).map(|(_, pace)| *pace)
    }

    /// The tracks that the renditions are made of; none until it is known what is promised.
    pub fn tracks(&self) -> &[TrackId] {
        &self.tracks
    }

    /// The segment that began with a frame of this time, of this track.
    pub fn beginning_with(&self, frame: &Frame) -> Option<Arc<Beginning>> {
        let at_frame =
            |beginning: &&Arc<Beginning>| beginning.track == frame.track && beginning.dts == frame.dts;
        self.beginnings.iter().rev().find(at_frame).filter(|_| frame.keyframe).cloned()
    }
}
