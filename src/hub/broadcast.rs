//! One broadcast: the items that a channel's publishers write while it is on the air, and what is made of them.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::arrangement::Arrangement;
use super::conversion::{Conversions, Converters, Running};
use super::feed::{Branch, Feed, Start, Tail};
use super::item::{Batch, Item};
use super::lead::Lead;
use super::program::{Author, Program};
use super::rendition::{MAX_VARIANTS, Rendition};
use super::reordering::Reordering;
use super::ring::Budget;
use super::standing::{Entry, Preamble, Standing};
use super::stats::{SourceFigures, SourceStats};
use super::subscriber::Subscriber;
use super::timeline::Timeline;
use super::wire::WireForms;
use super::{SubscribeError, TakeError};
use crate::clock;
use crate::media::{Cue, Frame, Kind, MediaTime, Track, TrackId};

/// A publisher who has said nothing of sound so long after his first frame sends none.
const SILENT: Duration = Duration::from_millis(250);
/// Nobody waits longer than this to be told of sound.
const LONGEST_WAIT: Duration = Duration::from_millis(500);
/// How the source is forked off the programme; variants are so by their numbers.
const SOURCE: Branch = Branch(0);
/// Between the last frame of a publisher and the first of the next.
const STEP: MediaTime = MediaTime::from_millis(1);

/// One time on the air.
#[derive(Debug)]
pub(super) struct Broadcast {
    created: SystemTime,
    budget: Budget,
    /// What viewers get.
    program: Feed<Item, Arc<Preamble>>,
    /// What the publisher sends, once that is not the same any more.
    source: OnceLock<Feed<Item, Arc<Preamble>>>,
    /// What viewers of variants 1, 2, … get, once that may be something else.
    variants: [OnceLock<Feed<Item, Arc<Preamble>>>; MAX_VARIANTS as usize - 1],
    state: Mutex<State>,
    /// A track was described, the first frame came, or it is over.
    told: Notify,
    converters: Arc<Converters>,
    conversions: Mutex<Conversions>,
    pub(super) wire: Mutex<WireForms>,
}

#[derive(Debug)]
struct State {
    author: Author,
    arrangement: Arrangement,
    ended: bool,
    /// When the first frame arrived: media time zero on both clocks.
    began: Option<(Instant, SystemTime)>,
    standing: Standing,
    timeline: Timeline,
    lead: Lead,
    reordering: Reordering,
    publisher_began: Instant,
    stats: SourceStats,
}

impl Broadcast {
    pub fn new(budget: Budget, converters: Arc<Converters>) -> Self {
        let now = clock::monotonic();
        let state = State {
            author: Author::Source,
            arrangement: Arrangement::default(),
            ended: false,
            began: None,
            standing: Standing::default(),
            timeline: Timeline::new(MediaTime::ZERO),
            lead: Lead::new(MediaTime::ZERO, Duration::ZERO),
            reordering: Reordering::default(),
            publisher_began: now,
            stats: SourceStats::new(now),
        };
        Self {
            created: clock::wall(),
            budget,
            program: Feed::new(budget),
            source: OnceLock::new(),
            variants: Default::default(),
            state: Mutex::new(state),
            told: Notify::new(),
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

    /// The media time of frames that come now, if nothing delays them.
    pub fn due(&self) -> MediaTime {
        let state = self.state();
        let elapsed = state
            .began
            .map_or(Duration::ZERO, |(began, _)| clock::monotonic().saturating_duration_since(began));
        MediaTime::from(elapsed) + state.lead.get()
    }

    pub const fn budget(&self) -> Budget {
        self.budget
    }

    /// A publisher came in: its clock is put where the wall clock says we are.
    pub fn enter(&self) {
        let now = clock::monotonic();
        let mut state = self.state();
        let elapsed = state.began.map_or(Duration::ZERO, |(began, _)| now.saturating_duration_since(began));
        let base = match state.began {
            None => MediaTime::ZERO,
            // The last encoder may have written ahead of the wall clock; time does not go back for the next.
            Some(_) => MediaTime::from(elapsed).max(state.standing.newest() + STEP),
        };
        state.timeline = Timeline::new(base);
        state.lead = Lead::new(base, elapsed);
        state.reordering = Reordering::default();
        state.publisher_began = now;
        state.stats = SourceStats::new(now);
    }

    pub fn configure(&self, track: Track) {
        let mut state = self.state();
        state.stats.track(&track);
        let track = state.reordering.describe(track);
        let entry = state.standing.track(Arc::new(track));
        entry.into_iter().for_each(|entry| self.push(&state, entry));
        drop(state);
        self.told.notify_waiters();
    }

    /// Puts a frame with the source's timestamps on the broadcast's clock and hands it on. Gives the cues that are over with it.
    pub fn write(&self, mut frame: Frame) -> Vec<Cue> {
        let now = clock::monotonic();
        let mut state = self.state();
        let Some(kind) = state.standing.kind(frame.track) else { return Vec::new() };
        if state.began.is_none() {
            state.publisher_began = now;
            self.told.notify_waiters();
        }
        let (began, _) = *state.began.get_or_insert_with(|| (now, clock::wall()));
        let elapsed = now.saturating_duration_since(state.publisher_began);
        let composition = frame.pts - frame.dts;
        frame.dts = state.timeline.place(frame.track, frame.dts, elapsed);
        frame.pts = frame.dts + composition;
        state.lead.frame(frame.dts, now.saturating_duration_since(began));
        state.stats.frame(kind, &frame, now);
        if state.reordering.frame(&frame) {
            self.redescribe(&mut state, frame.track);
        }
        let over = state.standing.ending(frame.dts);
        let (entry, wake) = state.standing.frame(kind, frame);
        self.push(&state, entry);
        let author = state.author;
        drop(state);
        if wake {
            self.wake(author);
        }
        over
    }

    /// More is known of a track than when it was announced.
    fn redescribe(&self, state: &mut State, track: TrackId) {
        let known = state.standing.tracks().iter().find(|known| known.id == track).cloned();
        if let Some(known) = known {
            let track = state.reordering.describe((*known).clone());
            let entry = state.standing.track(Arc::new(track));
            entry.into_iter().for_each(|entry| self.push(state, entry));
        }
    }

    /// `false` when a later revision of it is known.
    pub fn cue(&self, cue: Cue) -> bool {
        let mut state = self.state();
        let Some(entry) = state.standing.cue(cue) else { return false };
        self.push(&state, entry);
        true
    }

    /// The same, told at once: it comes from somebody who does not write frames, and they may be long in coming.
    pub fn announce(&self, cue: Cue) -> bool {
        let is_news = self.cue(cue);
        let author = self.state().author;
        self.wake(author);
        is_news
    }

    /// Cues that stand, and are not over.
    pub fn standing_cues(&self) -> Vec<Cue> {
        self.state().standing.cues().cloned().collect()
    }

    /// The publisher went away.
    pub fn interrupt(&self) {
        let state = self.state();
        self.push(&state, state.standing.other(Item::Interrupted));
        let author = state.author;
        drop(state);
        self.wake(author);
    }

    /// The broadcast is over.
    pub fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        self.told.notify_waiters();
        if let Some(source) = self.source.get() {
            source.close();
        }
        // Whoever has taken the programme ends it when he has written the last of it.
        if state.author == Author::Source {
            self.programs().for_each(Feed::close);
        }
    }

    /// Gives the programme to whoever writes it from now on, each of so many variants by itself.
    ///
    /// # Errors
    /// When somebody else has it, or the broadcast is over.
    pub fn take_program(self: &Arc<Self>, variants: u8) -> Result<Program, TakeError> {
        let mut state = self.state();
        if state.ended {
            return Err(TakeError::Offline);
        }
        if state.author == Author::Taken {
            return Err(TakeError::Taken);
        }
        state.author = Author::Taken;
        let source = self.source.get_or_init(|| self.program.fork(SOURCE));
        for (place, variant) in self.variants.iter().zip(1..variants) {
            place.get_or_init(|| self.program.fork(Branch(variant)));
        }
        let Tail { since_join, reader } = source.tail();
        let history: Batch = match since_join {
            Some((preamble, items)) => preamble.items().chain(items).collect(),
            None => state.standing.tracks().iter().cloned().map(Item::Track).collect(),
        };
        let source = Subscriber::new(reader, Arc::clone(self), None);
        let feeds = self.programs().map(|feed| (feed.clone(), state.standing.clone())).collect();
        Ok(Program::new(Arc::clone(self), feeds, source, history))
    }

    /// Says who gets which variant of the programme from now on.
    pub fn arrange(&self, arrangement: Arrangement) {
        self.state().arrangement = arrangement;
    }

    pub fn arrangement(&self) -> Arrangement {
        self.state().arrangement.clone()
    }

    /// The source's items go into the programme again, if they were all read; `false` when there are more.
    pub(super) fn resume(&self, read: &Subscriber) -> bool {
        let mut state = self.state();
        if !read.is_at_end() {
            return false;
        }
        state.author = Author::Source;
        self.end_program(&state);
        true
    }

    /// The source's items go into the programme again, after something is missing there.
    pub(super) fn resume_after_gap(&self) {
        let mut state = self.state();
        state.author = Author::Source;
        let tracks = state.standing.tracks().iter().cloned().map(Item::Track);
        for item in std::iter::once(Item::Lagged(1)).chain(tracks) {
            self.programs().for_each(|program| program.push(state.standing.other(item.clone())));
        }
        self.end_program(&state);
        self.programs().for_each(Feed::wake);
    }

    fn end_program(&self, state: &State) {
        if state.ended {
            self.programs().for_each(Feed::close);
        }
    }

    /// The programme, in each of its variants that has a feed of its own.
    fn programs(&self) -> impl Iterator<Item = &Feed<Item, Arc<Preamble>>> {
        std::iter::once(&self.program).chain(self.variants.iter().filter_map(OnceLock::get))
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
        match rendition {
            Rendition::Source => {
                // Until something is burned in, both are the same.
                let reader = match self.source.get() {
                    Some(source) => source.reader(start),
                    None => self.program.following_reader(start, SOURCE),
                };
                return Ok(Subscriber::new(reader, Arc::clone(self), None));
            }
            Rendition::Program { variant: 0 } => {
                return Ok(Subscriber::new(self.program.reader(start), Arc::clone(self), None));
            }
            Rendition::Program { variant } => {
                let feed = self.variants.get(usize::from(*variant) - 1).ok_or(SubscribeError::Unavailable)?;
                let reader = match feed.get() {
                    Some(feed) => feed.reader(start),
                    None => self.program.following_reader(start, Branch(*variant)),
                };
                return Ok(Subscriber::new(reader, Arc::clone(self), None));
            }
            Rendition::Converted { .. } => {}
        }
        let running = self.conversions().running(rendition);
        let converted = match running {
            Some(running) => running,
            None => {
                let (source, running) = self.conversion(start, rendition)?;
                self.conversions().start(rendition, self.budget, source, running)
            }
        };
        Ok(Subscriber::new(converted.reader(start), Arc::clone(self), Some(converted)))
    }

    /// A new conversion that makes this rendition, and what it is to be fed.
    ///
    /// # Errors
    /// When nothing makes this rendition of the tracks of this moment.
    pub fn conversion(
        self: &Arc<Self>,
        start: Start,
        rendition: &Rendition,
    ) -> Result<(Subscriber, Running), SubscribeError> {
        let Rendition::Converted { of, .. } = rendition else { return Err(SubscribeError::Unavailable) };
        let running = self.converters.conversion(rendition, &self.tracks_of(of))?;
        Ok((self.subscribe(start, of)?, running))
    }

    pub fn tracks(&self) -> Vec<Arc<Track>> {
        self.state().standing.tracks().to_vec()
    }

    /// Waits until the publisher has described his sound, or sends none; not long. Cancel-safe.
    pub async fn until_sound_is_known(&self) {
        let longest = clock::monotonic() + LONGEST_WAIT;
        loop {
            let mut told = pin!(self.told.notified());
            // Before the look: what is told from here on is not missed.
            told.as_mut().enable();
            let deadline = {
                let state = self.state();
                if state.ended || state.standing.tracks().iter().any(|track| track.kind() == Kind::Audio) {
                    return;
                }
                state.began.map_or(longest, |_| longest.min(state.publisher_began + SILENT))
            };
            if clock::monotonic() >= deadline {
                return;
            }
            // Whichever comes first, it is looked at again.
            let _ = timeout_at(deadline.into(), told).await;
        }
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
            Rendition::Converted { of, video, audio } => {
                let mut tracks = self.tracks_of(of);
                tracks.retain(|track| match track.kind() {
                    Kind::Video => video.is_none(),
                    Kind::Audio => audio.is_none(),
                });
                tracks
            }
            _ => self.tracks(),
        }
    }

    /// What the publisher sends.
    fn push(&self, state: &State, entry: Entry) {
        match (self.source.get(), state.author) {
            (None, _) => self.program.push(entry),
            (Some(source), Author::Taken) => source.push(entry),
            (Some(source), Author::Source) => {
                source.push(entry.clone());
                self.programs().for_each(|program| program.push(entry.clone()));
            }
        }
    }

    fn wake(&self, author: Author) {
        if let Some(source) = self.source.get() {
            source.wake();
        }
        if author == Author::Source {
            self.programs().for_each(Feed::wake);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn conversions(&self) -> MutexGuard<'_, Conversions> {
        self.conversions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
