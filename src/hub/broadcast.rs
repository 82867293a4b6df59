//! One broadcast: the items that a channel's publishers write while it is on the air, and their readers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::feed::{Feed, Read, Reader, Start};
use super::ring::{Budget, Slot};
use super::stats::{SourceFigures, SourceStats};
use super::timeline::Timeline;
use super::tracks::Tracks;
use super::wire::WireForms;
use crate::clock;
use crate::media::{Cue, CueState, Frame, Kind, MediaTime, TimedMetadata, Track};

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
    /// Metadata for players.
    Metadata(TimedMetadata),
    /// So many items were missed; tracks and cues that stand follow, then the newest keyframe.
    Lagged(u64),
    /// The publisher went away; another may come.
    Interrupted,
    /// The broadcast is over. Nothing follows.
    Ended,
}

/// Items in order.
pub type Batch = Vec<Item>;

/// Audio alone is not held back longer than this; with video, it goes along with the next video frame.
const AUDIO_HOLD: MediaTime = MediaTime::from_millis(40);

/// Between the last frame of a publisher and the first of the next.
const STEP: MediaTime = MediaTime::from_millis(1);

/// Cues that stand at a time; the oldest are forgotten beyond it.
const MOST_CUES: usize = 64;

/// What somebody who begins at a keyframe must know.
#[derive(Debug, Default)]
struct Preamble {
    tracks: Tracks,
    cues: Vec<Cue>,
}

/// One time on the air.
#[derive(Debug)]
pub(super) struct Broadcast {
    created: SystemTime,
    budget: Budget,
    feed: Feed<Item, Arc<Preamble>>,
    state: Mutex<State>,
    pub(super) wire: Mutex<WireForms>,
}

#[derive(Debug)]
struct State {
    /// When the first frame arrived: media time zero on both clocks.
    began: Option<(Instant, SystemTime)>,
    preamble: Arc<Preamble>,
    timeline: Timeline,
    publisher_began: Instant,
    stats: SourceStats,
    newest: MediaTime,
    woken_at: MediaTime,
}

impl Broadcast {
    pub fn new(budget: Budget) -> Self {
        let now = clock::monotonic();
        let state = State {
            began: None,
            preamble: Arc::default(),
            timeline: Timeline::new(MediaTime::ZERO),
            publisher_began: now,
            stats: SourceStats::new(now),
            newest: MediaTime::ZERO,
            woken_at: MediaTime::ZERO,
        };
        Self {
            created: clock::wall(),
            budget,
            feed: Feed::new(budget),
            state: Mutex::new(state),
            wire: Mutex::default(),
        }
    }

    /// The wall clock at media time zero.
    pub fn epoch(&self) -> SystemTime {
        self.state().began.map_or(self.created, |(_, wall)| wall)
    }

    pub const fn budget(&self) -> Budget {
        self.budget
    }

    /// A publisher came in: its clock is put where the wall clock says we are.
    pub fn enter(&self) {
        let now = clock::monotonic();
        let mut state = self.state();
        let base = match state.began {
            None => MediaTime::ZERO,
            // The last encoder may have written ahead of the wall clock; time does not go back for the next.
            Some((began, _)) => {
                MediaTime::from(now.saturating_duration_since(began)).max(state.newest + STEP)
            }
        };
        state.timeline = Timeline::new(base);
        state.publisher_began = now;
        state.stats = SourceStats::new(now);
    }

    pub fn configure(&self, track: Track) {
        let track = Arc::new(track);
        let mut state = self.state();
        state.stats.track(&track);
        let mut tracks = state.preamble.tracks.clone();
        if tracks.as_slice().contains(&track) {
            return;
        }
        tracks.set(Arc::clone(&track));
        state.preamble = Arc::new(Preamble { tracks, cues: state.preamble.cues.clone() });
        self.push(&state, Item::Track(track), 0, None);
    }

    /// Puts a frame with the source's timestamps on the broadcast's clock and hands it on.
    pub fn write(&self, mut frame: Frame) {
        let now = clock::monotonic();
        let mut state = self.state();
        let Some(kind) = state.preamble.tracks.kind(frame.track) else { return };
        if state.began.is_none() {
            state.began = Some((now, clock::wall()));
            state.publisher_began = now;
        }
        let elapsed = now.saturating_duration_since(state.publisher_began);
        let composition = frame.pts - frame.dts;
        frame.dts = state.timeline.place(frame.track, frame.dts, elapsed);
        frame.pts = frame.dts + composition;
        state.stats.frame(kind, &frame, now);
        state.newest = state.newest.max(frame.dts);
        let leads = state.preamble.tracks.lead() == Some(frame.track);
        let preamble = (frame.keyframe && leads).then(|| state.standing_preamble());
        let wake = kind == Kind::Video || frame.dts - state.woken_at >= AUDIO_HOLD;
        if wake {
            state.woken_at = frame.dts;
        }
        let bytes = frame.payload.len();
        self.push(&state, Item::Frame(frame), bytes, preamble);
        drop(state);
        if wake {
            self.feed.wake();
        }
    }

    pub fn cue(&self, cue: Cue) {
        let mut state = self.state();
        let now = state.newest;
        let mut cues = state.preamble.cues.clone();
        let known = cues.iter().position(|known| known.id == cue.id);
        if known.is_some_and(|index| cues[index].revision >= cue.revision) {
            return;
        }
        known.map(|index| cues.remove(index));
        cues.retain(|known| known.end().is_none_or(|end| end > now));
        if cues.len() >= MOST_CUES {
            cues.remove(0);
        }
        if cue.state == CueState::Announced {
            cues.push(cue.clone());
        }
        state.preamble = Arc::new(Preamble { tracks: state.preamble.tracks.clone(), cues });
        self.push(&state, Item::Cue(cue), 0, None);
    }

    /// The publisher went away.
    pub fn interrupt(&self) {
        self.push(&self.state(), Item::Interrupted, 0, None);
        self.feed.wake();
    }

    /// The broadcast is over.
    pub fn end(&self) {
        self.feed.close();
    }

    /// Decoding time of the newest frame.
    pub fn newest(&self) -> MediaTime {
        self.state().newest
    }

    pub fn subscribe(self: &Arc<Self>, start: Start) -> Subscriber {
        Subscriber { reader: self.feed.reader(start), broadcast: Arc::clone(self) }
    }

    pub fn tracks(&self) -> Vec<Arc<Track>> {
        self.state().preamble.tracks.as_slice().to_vec()
    }

    pub fn figures(&self) -> SourceFigures {
        let state = self.state();
        let mut figures = state.stats.figures(clock::monotonic());
        if state.timeline.jumps() > 0 {
            figures.warnings.push(format!(
                "The encoder's timestamps jumped {} times: they were replaced by the time that went by.",
                state.timeline.jumps()
            ));
        }
        figures
    }

    fn push(&self, state: &State, value: Item, bytes: usize, preamble: Option<Arc<Preamble>>) {
        self.feed.push(Slot { value, time: state.newest, bytes, preamble });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The preamble without cues that are over.
    fn standing_preamble(&mut self) -> Arc<Preamble> {
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

/// A place in a rendition's items.
#[derive(Debug)]
pub struct Subscriber {
    reader: Reader<Item, Arc<Preamble>>,
    broadcast: Arc<Broadcast>,
}

impl Subscriber {
    /// How many items are handed out at a time.
    const BATCH: usize = 256;

    /// The wall clock at media time zero.
    pub fn epoch(&self) -> SystemTime {
        self.broadcast.epoch()
    }

    /// A number that no other broadcast of this channel has: when it was created, in Unix milliseconds.
    pub fn broadcast_id(&self) -> u64 {
        let since_1970 = self.broadcast.created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
    }

    /// The next items, as soon as there are any; begins at a keyframe, with the tracks and the cues that
    /// stand there. After [`Item::Ended`] it gives that again. Cancel-safe.
    pub async fn next_batch(&mut self) -> Batch {
        let Read { join, items, closed } = self.reader.read(Self::BATCH).await;
        let mut batch = Batch::new();
        if let Some(join) = join {
            if join.missed > 0 {
                batch.push(Item::Lagged(join.missed));
            }
            batch.extend(join.preamble.tracks.as_slice().iter().cloned().map(Item::Track));
            batch.extend(join.preamble.cues.iter().cloned().map(Item::Cue));
        }
        batch.extend(items);
        if closed {
            batch.push(Item::Ended);
        }
        batch
    }
}
