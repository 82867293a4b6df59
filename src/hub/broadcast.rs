//! One broadcast: the items that a channel's publishers write while it is on the air, and what is made of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::SubscribeError;
use super::conversion::{Conversions, Converters};
use super::feed::{Feed, Start};
use super::item::Item;
use super::rendition::Rendition;
use super::ring::Budget;
use super::standing::{Entry, Preamble, Standing};
use super::stats::{SourceFigures, SourceStats};
use super::subscriber::Subscriber;
use super::timeline::Timeline;
use super::wire::WireForms;
use crate::clock;
use crate::media::{Cue, Frame, MediaTime, Track};

/// Between the last frame of a publisher and the first of the next.
const STEP: MediaTime = MediaTime::from_millis(1);

/// One time on the air.
#[derive(Debug)]
pub(super) struct Broadcast {
    created: SystemTime,
    budget: Budget,
    feed: Feed<Item, Arc<Preamble>>,
    state: Mutex<State>,
    converters: Arc<Converters>,
    conversions: Mutex<Conversions>,
    pub(super) wire: Mutex<WireForms>,
}

#[derive(Debug)]
struct State {
    /// When the first frame arrived: media time zero on both clocks.
    began: Option<(Instant, SystemTime)>,
    standing: Standing,
    timeline: Timeline,
    publisher_began: Instant,
    stats: SourceStats,
}

impl Broadcast {
    pub fn new(budget: Budget, converters: Arc<Converters>) -> Self {
        let now = clock::monotonic();
        let state = State {
            began: None,
            standing: Standing::default(),
            timeline: Timeline::new(MediaTime::ZERO),
            publisher_began: now,
            stats: SourceStats::new(now),
        };
        Self {
            created: clock::wall(),
            budget,
            feed: Feed::new(budget),
            state: Mutex::new(state),
            converters,
            conversions: Mutex::default(),
            wire: Mutex::default(),
        }
    }

    /// A number that no other broadcast of this channel has: when it was created, in Unix milliseconds.
    pub fn id(&self) -> u64 {
        let since_1970 = self.created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
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
                MediaTime::from(now.saturating_duration_since(began)).max(state.standing.newest() + STEP)
            }
        };
        state.timeline = Timeline::new(base);
        state.publisher_began = now;
        state.stats = SourceStats::new(now);
    }

    pub fn configure(&self, track: Track) {
        let mut state = self.state();
        state.stats.track(&track);
        let entry = state.standing.track(Arc::new(track));
        self.push(entry);
    }

    /// Puts a frame with the source's timestamps on the broadcast's clock and hands it on.
    pub fn write(&self, mut frame: Frame) {
        let now = clock::monotonic();
        let mut state = self.state();
        let Some(kind) = state.standing.kind(frame.track) else { return };
        if state.began.is_none() {
            state.began = Some((now, clock::wall()));
            state.publisher_began = now;
        }
        let elapsed = now.saturating_duration_since(state.publisher_began);
        let composition = frame.pts - frame.dts;
        frame.dts = state.timeline.place(frame.track, frame.dts, elapsed);
        frame.pts = frame.dts + composition;
        state.stats.frame(kind, &frame, now);
        let (entry, wake) = state.standing.frame(kind, frame);
        self.feed.push(entry);
        drop(state);
        if wake {
            self.feed.wake();
        }
    }

    pub fn cue(&self, cue: Cue) {
        let mut state = self.state();
        let entry = state.standing.cue(cue);
        self.push(entry);
    }

    /// The publisher went away.
    pub fn interrupt(&self) {
        let state = self.state();
        self.feed.push(state.standing.other(Item::Interrupted));
        drop(state);
        self.feed.wake();
    }

    /// The broadcast is over.
    pub fn end(&self) {
        self.feed.close();
    }

    /// Decoding time of the newest frame.
    pub fn newest(&self) -> MediaTime {
        self.state().standing.newest()
    }

    /// A place in a rendition. A converted one is made from the first subscription on.
    ///
    /// # Errors
    /// When nothing makes this rendition of the tracks of this moment.
    pub fn subscribe(
        self: &Arc<Self>,
        start: Start,
        rendition: &Rendition,
    ) -> Result<Subscriber, SubscribeError> {
        let Rendition::Converted { of, .. } = rendition else {
            // Until something is burned in, the programme is the source.
            return Ok(Subscriber::new(self.feed.reader(start), Arc::clone(self), None));
        };
        let running = self.conversions().running(rendition);
        let converted = match running {
            Some(running) => running,
            None => {
                let conversion = self.converters.conversion(rendition, &self.tracks_of(of))?;
                let source = self.subscribe(start, of)?;
                self.conversions().start(rendition, self.budget, source, conversion)
            }
        };
        Ok(Subscriber::new(converted.reader(start), Arc::clone(self), Some(converted)))
    }

    pub fn tracks(&self) -> Vec<Arc<Track>> {
        self.state().standing.tracks().to_vec()
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

    /// The tracks of a rendition at this moment, as far as they are known before it is read.
    fn tracks_of(&self, rendition: &Rendition) -> Vec<Arc<Track>> {
        match rendition {
            Rendition::Converted { .. } => Vec::new(),
            _ => self.tracks(),
        }
    }

    fn push(&self, entry: Option<Entry>) {
        if let Some(entry) = entry {
            self.feed.push(entry);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conversions(&self) -> MutexGuard<'_, Conversions> {
        self.conversions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
