//! What stands at the newest item of a stream: its tracks and cues, which a reader who begins is told first, and
//! when readers are woken. Every stream of items has one, whether a publisher or a conversion writes it.

use std::sync::Arc;

use super::item::Item;
use super::ring::Slot;
use super::tracks::Tracks;
use crate::media::{Cue, CueState, Frame, Kind, MediaTime, Track, TrackId};

/// Audio alone is not held back longer than this; with video, it goes along with the next video frame.
const AUDIO_HOLD: MediaTime = MediaTime::from_millis(40);

/// Cues that stand at a time; the oldest are forgotten beyond it.
const MOST_CUES: usize = 64;

/// What somebody who begins at a keyframe must know.
#[derive(Debug, Default)]
pub struct Preamble {
    tracks: Tracks,
    cues: Vec<Cue>,
}

impl Preamble {
    /// The same as items: tracks, then cues.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        let tracks = self.tracks.as_slice().iter().cloned().map(Item::Track);
        tracks.chain(self.cues.iter().cloned().map(Item::Cue))
    }
}

/// An item in its place, with what a reader must know who begins there.
pub type Entry = Slot<Item, Arc<Preamble>>;

/// The bookkeeping of a stream: turns what is written into entries of a ring.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    preamble: Arc<Preamble>,
    newest: MediaTime,
    woken_at: MediaTime,
}

impl Standing {
    /// Decoding time of the newest frame.
    pub const fn newest(&self) -> MediaTime {
        self.newest
    }

    /// The tracks that stand.
    pub fn tracks(&self) -> &[Arc<Track>] {
        self.preamble.tracks.as_slice()
    }

    /// The cues that stand and are not over.
    pub fn cues(&self) -> impl Iterator<Item = &Cue> {
        self.preamble.cues.iter().filter(|cue| cue.end().is_none_or(|end| end > self.newest))
    }

    /// The cues that are over once a frame of this decoding time is there, and were not before.
    pub fn ending(&self, dts: MediaTime) -> Vec<Cue> {
        let ends = |cue: &&Cue| cue.end().is_some_and(|end| end > self.newest && end <= dts);
        self.preamble.cues.iter().filter(ends).cloned().collect()
    }

    /// Picture or sound, for a track that stands.
    pub fn kind(&self, track: TrackId) -> Option<Kind> {
        self.preamble.tracks.kind(track)
    }

    /// A track begins or changes. `None` when it stands already, as it is.
    pub fn track(&mut self, track: Arc<Track>) -> Option<Entry> {
        if self.tracks().contains(&track) {
            return None;
        }
        let mut tracks = self.preamble.tracks.clone();
        tracks.set(Arc::clone(&track));
        self.preamble = Arc::new(Preamble { tracks, cues: self.preamble.cues.clone() });
        Some(self.other(Item::Track(track)))
    }

    /// A frame of a track of this kind, and whether readers are to be woken now that it is there.
    pub fn frame(&mut self, kind: Kind, frame: Frame) -> (Entry, bool) {
        self.newest = self.newest.max(frame.dts);
        let leads = self.preamble.tracks.lead() == Some(frame.track);
        let preamble = (frame.keyframe && leads).then(|| self.forget_past_cues());
        let wake = kind == Kind::Video || frame.dts - self.woken_at >= AUDIO_HOLD;
        if wake {
            self.woken_at = frame.dts;
        }
        let bytes = frame.payload.len();
        (Slot { value: Item::Frame(frame), time: self.newest, bytes, preamble }, wake)
    }

    /// A cue is announced, updated or withdrawn. `None` when a later revision of it is known.
    pub fn cue(&mut self, cue: Cue) -> Option<Entry> {
        let now = self.newest;
        let mut cues = self.preamble.cues.clone();
        let known = cues.iter().position(|known| known.id == cue.id);
        if known.is_some_and(|index| cues[index].revision >= cue.revision) {
            return None;
        }
        known.map(|index| cues.remove(index));
        cues.retain(|known| known.end().is_none_or(|end| end > now));
        if cues.len() >= MOST_CUES {
            cues.remove(0);
        }
        if cue.state == CueState::Announced {
            cues.push(cue.clone());
        }
        self.preamble = Arc::new(Preamble { tracks: self.preamble.tracks.clone(), cues });
        Some(self.other(Item::Cue(cue)))
    }

    /// An item that changes nothing of what stands.
    pub const fn other(&self, item: Item) -> Entry {
        Slot { value: item, time: self.newest, bytes: 0, preamble: None }
    }

    /// Forgets tracks and cues: those that stand are about to be told again.
    pub fn forget(&mut self) {
        self.preamble = Arc::default();
    }

    /// The preamble, without cues that are over.
    fn forget_past_cues(&mut self) -> Arc<Preamble> {
        let now = self.newest;
        let over = |cue: &Cue| cue.end().is_some_and(|end| end <= now);
        if self.preamble.cues.iter().any(over) {
            let Preamble { tracks, cues } = &*self.preamble;
            let cues = cues.iter().filter(|cue| !over(cue)).cloned().collect();
            self.preamble = Arc::new(Preamble { tracks: tracks.clone(), cues });
        }
        Arc::clone(&self.preamble)
    }
}
