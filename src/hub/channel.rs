//! A channel: the lasting name, its publisher of the moment, its broadcast and its viewers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::{broadcast, watch};

use super::announcements::{Announcements, Announcer};
use super::audience::Audience;
use super::broadcast::Broadcast;
use super::conversion::Converters;
use super::feed::Start;
use super::program::Program;
use super::publisher::Publisher;
use super::rendition::Rendition;
use super::stats::SourceFigures;
use super::subscriber::Subscriber;
use super::takeover::Takeovers;
use super::wire::{WireFormat, WireReader};
use super::{Config, Metrics};
use crate::clock;
use crate::media::{ChannelName, Codec, Cue, MediaTime, Track};

/// Cues of a publisher that wait for the one who has taken them.
const CUES_TAKEN: usize = 64;

/// Outlives its publishers: viewers hold on to it while one goes and the next comes.
#[derive(Debug)]
pub struct Channel {
    name: ChannelName,
    config: Config,
    pub(super) metrics: Arc<Metrics>,
    converters: Arc<Converters>,
    state: Mutex<State>,
    viewers: [AtomicU64; Protocol::ALL.len()],
    pub(super) audience: Audience,
    pub(super) announcer: Announcer,
    /// Rises whenever the channel goes on or off the air.
    changes: watch::Sender<u64>,
    /// Told when a broadcast begins.
    begun: broadcast::Sender<ChannelName>,
}

#[derive(Debug, Default)]
struct State {
    broadcast: Option<Arc<Broadcast>>,
    publisher: Option<Incumbent>,
    /// Publishers so far: tells the present one from its predecessors.
    generation: u64,
    takeovers: Takeovers,
    /// Where the publisher's cues go instead of into the broadcast.
    cues: Option<mpsc::Sender<Cue>>,
    removed: bool,
}

#[derive(Debug)]
struct Incumbent {
    protocol: Protocol,
    since: SystemTime,
    dismissal: watch::Sender<Option<Dismissal>>,
    /// Rises when somebody needs a keyframe; only publishers who can be asked for one listen.
    keyframes: watch::Sender<u64>,
}

/// How somebody publishes or watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// RTMP and RTMPS.
    Rtmp,
    /// FLV over HTTP.
    HttpFlv,
    /// HLS and low-latency HLS.
    Hls,
    /// WHIP and WHEP.
    WebRtc,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rtmp, Self::HttpFlv, Self::Hls, Self::WebRtc];

    /// Whether a publisher can be asked for a keyframe.
    const fn takes_requests(self) -> bool {
        matches!(self, Self::WebRtc)
    }

    /// A label for metrics and status pages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Rtmp => "rtmp",
            Self::HttpFlv => "http_flv",
            Self::Hls => "hls",
            Self::WebRtc => "webrtc",
        }
    }
}

/// Why a publisher was sent away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dismissal {
    /// Another publisher came with the same key.
    #[error("another publisher with the same key took over")]
    Replaced,
    /// The channel's key was rotated.
    #[error("the stream key was changed")]
    KeyRotated,
    /// The channel was deleted.
    #[error("the channel was deleted")]
    ChannelRemoved,
}

/// Why a publisher is not let onto a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// Two encoders fight over the channel.
    #[error(
        "two encoders are taking this channel from each other; the one on the air stays: stop one of them"
    )]
    TakeoverFight,
    /// The channel was deleted meanwhile.
    #[error("the channel was deleted")]
    ChannelRemoved,
}

/// Why there is nothing to watch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The channel is not on the air.
    #[error("the channel is not live")]
    Offline,
    /// Nothing makes this rendition.
    #[error("this rendition is not available")]
    Unavailable,
    /// What the broadcaster sends cannot be converted; the text says why.
    #[error("this broadcast cannot be converted: {0}")]
    Unconvertible(String),
    /// It could be converted, but not now; the text says why.
    #[error("this broadcast cannot be converted at the moment: {0}")]
    Busy(String),
}

/// Why the programme cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TakeError {
    /// The channel is not on the air.
    #[error("the channel is not live")]
    Offline,
    /// Somebody else writes it.
    #[error("the programme is taken")]
    Taken,
}

/// A channel at a moment.
#[derive(Clone, Debug)]
pub struct Status {
    /// A publisher is there.
    pub live: bool,
    /// The publisher went away a moment ago and may return; viewers wait.
    pub interrupted: bool,
    /// When the present publisher came in.
    pub since: Option<SystemTime>,
    /// What the present publisher speaks.
    pub publisher: Option<Protocol>,
    /// The broadcast's tracks.
    pub tracks: Vec<Arc<Track>>,
    /// Rates, GOP length and warnings.
    pub figures: SourceFigures,
    /// Viewers by protocol.
    pub viewers: Vec<(Protocol, u64)>,
}

/// A broadcast at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnAir {
    /// A number that no other broadcast of the channel has.
    pub broadcast: u64,
    /// Media time of the newest frame.
    pub newest: MediaTime,
    /// The wall clock at media time zero.
    pub epoch: SystemTime,
    /// The same by the clocks of this moment, in Unix milliseconds: the source's is not ours, and ours may have been set since.
    pub zero: i64,
}

impl OnAir {
    /// When a frame of this media time comes from the source, or came, at the earliest: in Unix milliseconds.
    pub fn arrival(&self, time: MediaTime) -> i64 {
        self.zero.saturating_add(time.as_millis())
    }
}

impl Channel {
    pub(super) fn new(
        name: ChannelName,
        config: Config,
        metrics: Arc<Metrics>,
        converters: Arc<Converters>,
        begun: broadcast::Sender<ChannelName>,
    ) -> Self {
        Self {
            name,
            config,
            metrics,
            converters,
            state: Mutex::default(),
            viewers: Default::default(),
            audience: Audience::default(),
            announcer: Announcer::default(),
            changes: watch::Sender::new(0),
            begun,
        }
    }

    /// The lasting name.
    pub const fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Puts a publisher on the air, in the place of the one that may be there.
    ///
    /// # Errors
    /// When takeovers come so fast that two encoders must be fighting, or the channel is deleted.
    pub fn publish(self: &Arc<Self>, protocol: Protocol) -> Result<Publisher, PublishError> {
        let mut state = self.state();
        if state.removed {
            return Err(PublishError::ChannelRemoved);
        }
        if state.publisher.is_some() {
            if !state.takeovers.allow(clock::monotonic()) {
                self.metrics.takeovers_refused.inc();
                return Err(PublishError::TakeoverFight);
            }
            self.metrics.takeovers.inc();
            state.dismiss(Dismissal::Replaced);
        }
        let new = || Arc::new(Broadcast::new(self.config.budget(), Arc::clone(&self.converters)));
        let begins = state.broadcast.is_none();
        let broadcast = state.broadcast.get_or_insert_with(new).clone();
        broadcast.enter();
        state.generation += 1;
        let (dismissal, dismissed) = watch::channel(None);
        // A request that came before this publisher is none of his: he begins with a keyframe.
        let (keyframes, keyframe_requests) = watch::channel(0);
        state.publisher = Some(Incumbent { protocol, since: clock::wall(), dismissal, keyframes });
        let generation = state.generation;
        drop(state);
        self.metrics.publishers.inc();
        self.changed();
        if begins {
            // Perhaps nobody listens.
            let _ = self.begun.send(self.name.clone());
        }
        Ok(Publisher { channel: Arc::clone(self), broadcast, generation, dismissed, keyframe_requests })
    }

    /// Sends the publisher away, if there is one.
    pub fn dismiss(&self, reason: Dismissal) {
        self.state().dismiss(reason);
    }

    /// Asks the publisher for a keyframe; `false` when there is none, or his protocol has no way to be asked.
    pub fn request_keyframe(&self) -> bool {
        let state = self.state();
        let Some(publisher) =
            state.publisher.as_ref().filter(|publisher| publisher.protocol.takes_requests())
        else {
            return false;
        };
        publisher.keyframes.send_modify(|requests| *requests += 1);
        true
    }

    /// A place in a rendition's items, beginning with the newest keyframe.
    ///
    /// # Errors
    /// When the channel is not on the air, or nothing makes this rendition of what it sends.
    pub fn subscribe(&self, rendition: &Rendition) -> Result<Subscriber, SubscribeError> {
        self.subscribe_from(Start::Newest, rendition)
    }

    /// A place in a rendition's items, beginning where `start` says. The first subscription to a converted rendition
    /// starts the conversion, which begins there as well.
    ///
    /// # Errors
    /// When the channel is not on the air, or nothing makes this rendition of what it sends.
    pub fn subscribe_from(&self, start: Start, rendition: &Rendition) -> Result<Subscriber, SubscribeError> {
        self.broadcast()?.subscribe(start, rendition)
    }

    /// The programme, to be written from what the source sends: what all who subscribe to it get from now on, in each of its
    /// `variants`.
    ///
    /// # Errors
    /// When the channel is not on the air, or somebody else has taken it.
    pub fn take_program(&self, variants: u8) -> Result<Program, TakeError> {
        self.state().broadcast.clone().ok_or(TakeError::Offline)?.take_program(variants)
    }

    /// The broadcast's number and the media time of its newest frame, while there is one.
    pub fn newest(&self) -> Option<(u64, MediaTime)> {
        let broadcast = self.state().broadcast.clone()?;
        Some((broadcast.id(), broadcast.newest()))
    }

    /// A place in the wire form `F` of a rendition, which is made once for all its viewers.
    ///
    /// # Errors
    /// When the channel is not on the air, or nothing makes this rendition of what it sends.
    pub fn wire<F: WireFormat>(&self, rendition: Rendition) -> Result<WireReader, SubscribeError> {
        let broadcast = self.broadcast()?;
        let mut forms = broadcast.wire.lock().unwrap_or_else(PoisonError::into_inner);
        forms.reader::<F>(rendition, broadcast.budget(), |rendition| {
            broadcast.subscribe(Start::Newest, rendition)
        })
    }

    /// A variant of the programme for viewers who take no sound in the codec `unwanted`: made into `instead` where the broadcaster
    /// sends that, and as it is where nobody here can make it. Who comes before a publisher has said what he sends waits for that.
    ///
    /// # Errors
    /// When the channel is not on the air, or there is no room for one more conversion.
    pub async fn wire_without<F: WireFormat>(
        &self,
        variant: u8,
        unwanted: Codec,
        instead: Codec,
    ) -> Result<WireReader, SubscribeError> {
        let program = Rendition::Program { variant };
        self.broadcast()?.until_sound_is_known().await;
        if self.broadcast()?.tracks().iter().any(|track| track.codec == unwanted) {
            match self.wire::<F>(program.clone().with_sound(instead)) {
                Err(SubscribeError::Unavailable | SubscribeError::Unconvertible(_)) => {}
                reader => return reader,
            }
        }
        self.wire::<F>(program)
    }

    /// The publisher's cues, for the one who decides on them: from now on they do not go into the broadcast, until the
    /// receiver is dropped. Who took them before gets no more. What the receiver has no room for is lost, and counted.
    pub fn take_cues(&self) -> mpsc::Receiver<Cue> {
        let (taker, cues) = mpsc::channel(CUES_TAKEN);
        self.state().cues = Some(taker);
        cues
    }

    /// Announces, updates or withdraws a cue, whose times are media time, in what is on the air; `false` when nothing is.
    pub fn announce(&self, cue: Cue) -> bool {
        let Ok(broadcast) = self.broadcast() else { return false };
        if broadcast.announce(cue.clone()) {
            self.announcer.tell(broadcast.id(), cue);
        }
        true
    }

    /// The cues that stand and those to come, for those who tell of them beside the stream.
    pub fn announcements(self: &Arc<Self>) -> Announcements {
        Announcements::new(Arc::clone(self))
    }

    /// The number of the broadcast that is on the air, and the cues that stand there.
    pub(super) fn standing_cues(&self) -> Option<(u64, Vec<Cue>)> {
        let broadcast = self.broadcast().ok()?;
        Some((broadcast.id(), broadcast.standing_cues()))
    }

    /// A cue of the publisher of this broadcast.
    pub(super) fn hear(&self, broadcast: &Broadcast, cue: Cue) {
        let taker = self.state().cues.clone();
        let handed_over = match taker {
            Some(taker) => taker.try_send(cue),
            None => Err(TrySendError::Closed(cue)),
        };
        let cue = match handed_over {
            Ok(()) => return,
            Err(TrySendError::Full(_)) => {
                self.metrics.cues_dropped.inc();
                return;
            }
            Err(TrySendError::Closed(cue)) => cue,
        };
        if broadcast.cue(cue.clone()) {
            self.announcer.tell(broadcast.id(), cue);
        }
    }

    /// Cues are over: those who tell of them beside the stream tell that too.
    pub(super) fn over(&self, broadcast: &Broadcast, cues: Vec<Cue>) {
        cues.into_iter().for_each(|cue| self.announcer.tell(broadcast.id(), cue));
    }

    /// A viewer was too slow and was put on the newest keyframe.
    pub fn lagged(&self, protocol: Protocol) {
        self.metrics.lagged(protocol);
    }

    /// The channel at this moment.
    pub fn status(&self) -> Status {
        let state = self.state();
        let broadcast = state.broadcast.as_ref();
        let live = state.publisher.is_some();
        Status {
            live,
            interrupted: broadcast.is_some() && !live,
            since: state.publisher.as_ref().map(|publisher| publisher.since),
            publisher: state.publisher.as_ref().map(|publisher| publisher.protocol),
            tracks: broadcast.map(|broadcast| broadcast.tracks()).unwrap_or_default(),
            figures: broadcast.filter(|_| live).map(|broadcast| broadcast.figures()).unwrap_or_default(),
            viewers: Protocol::ALL.map(|protocol| (protocol, self.viewers_by(protocol))).to_vec(),
        }
    }

    /// Whether a publisher is there.
    pub fn is_live(&self) -> bool {
        self.state().publisher.is_some()
    }

    /// The broadcast that is on the air, or waits for its publisher's return.
    pub fn on_air(&self) -> Option<OnAir> {
        let broadcast = self.broadcast().ok()?;
        Some(OnAir {
            broadcast: broadcast.id(),
            newest: broadcast.newest(),
            epoch: broadcast.epoch(),
            zero: clock::unix_now().saturating_sub(broadcast.due().as_millis()),
        })
    }

    /// Tells when the channel goes on or off the air.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn remove(&self) {
        let mut state = self.state();
        state.removed = true;
        state.dismiss(Dismissal::ChannelRemoved);
        let broadcast = state.broadcast.take();
        drop(state);
        if let Some(broadcast) = broadcast {
            broadcast.end();
        }
        self.changed();
    }

    /// Ends the broadcast now, for everybody.
    pub(super) fn end(&self) {
        let broadcast = self.state().broadcast.take();
        if let Some(broadcast) = broadcast {
            broadcast.end();
        }
        self.changed();
    }

    pub(super) fn broadcast(&self) -> Result<Arc<Broadcast>, SubscribeError> {
        self.state().broadcast.clone().ok_or(SubscribeError::Offline)
    }

    /// One viewer more, or less.
    pub(super) fn count(&self, protocol: Protocol, change: i64) {
        self.viewers[protocol as usize].fetch_add(change as u64, Ordering::Relaxed);
        self.metrics.viewers(protocol).inc_by(change);
    }

    fn viewers_by(&self, protocol: Protocol) -> u64 {
        self.viewers[protocol as usize].load(Ordering::Relaxed)
    }

    /// The publisher of this generation went away; the broadcast waits for another.
    pub(super) fn depart(self: &Arc<Self>, generation: u64) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        state.publisher = None;
        let broadcast = state.broadcast.clone();
        drop(state);
        if let Some(broadcast) = broadcast {
            broadcast.interrupt();
            let channel = Arc::clone(self);
            tokio::spawn(async move {
                tokio::time::sleep(channel.config.resume_window).await;
                channel.end_unless_resumed(generation);
            });
        }
        self.changed();
    }

    fn end_unless_resumed(&self, generation: u64) {
        let mut state = self.state();
        if state.generation != generation || state.publisher.is_some() {
            return;
        }
        let broadcast = state.broadcast.take();
        drop(state);
        if let Some(broadcast) = broadcast {
            broadcast.end();
            self.changed();
        }
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn dismiss(&mut self, reason: Dismissal) {
        if let Some(incumbent) = &self.publisher {
            incumbent.dismissal.send_replace(Some(reason));
        }
    }
}
