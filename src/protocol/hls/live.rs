//! A channel being packaged: one task from the first player's request until a while after the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Config;
use super::metrics::Metrics;
use super::packager::Packager;
use super::snapshot::{Snapshot, Version};
use crate::context::Life;
use crate::hub::{Channel, Item, Protocol, Subscriber, Viewer};

/// How often players are counted and idleness is looked for.
const TICK: Duration = Duration::from_secs(2);

/// A channel being packaged.
#[derive(Debug)]
pub(super) struct Live {
    /// The folder of this session's files: no two sessions have the same, so that its files never change.
    session: String,
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    /// Somebody asked since the last tick.
    touched: AtomicBool,
    waiting: AtomicUsize,
    ended: AtomicBool,
    /// Playlist requests that name a part: one a part from every low-latency player.
    part_reloads: AtomicU64,
    /// Playlist requests that do not: one a target duration from every other player.
    plain_reloads: AtomicU64,
}

impl Live {
    /// A session called so, with nothing to serve yet.
    pub fn new(session: String) -> Self {
        Self {
            session,
            snapshot: watch::Sender::new(None),
            touched: AtomicBool::new(true),
            waiting: AtomicUsize::new(0),
            ended: AtomicBool::new(false),
            part_reloads: AtomicU64::new(0),
            plain_reloads: AtomicU64::new(0),
        }
    }

    /// The folder of its files.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// What can be served now; `None` until the packager has decided what to promise.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.borrow().clone()
    }

    /// What can be served now and from now on.
    pub fn snapshots(&self) -> watch::Receiver<Option<Arc<Snapshot>>> {
        self.snapshot.subscribe()
    }

    /// Whether its broadcast is over.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Somebody asked for something.
    pub fn touch(&self) {
        self.touched.store(true, Ordering::Relaxed);
    }

    /// Somebody asked for the main media playlist.
    pub fn count_reload(&self, names_part: bool) {
        let counter = if names_part { &self.part_reloads } else { &self.plain_reloads };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that wait; the guard of each counts itself here.
    pub const fn waiting(&self) -> &AtomicUsize {
        &self.waiting
    }

    /// Whether somebody asked since the last call, or waits.
    fn is_watched(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed) || self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Packages what `subscriber` receives until nobody has asked for `config.idle_timeout`, or the server ends.
    pub async fn run(
        self: Arc<Self>,
        channel: Arc<Channel>,
        mut subscriber: Subscriber,
        config: Config,
        metrics: Metrics,
        life: Life,
    ) {
        metrics.packaged.inc();
        let mut packager = Packager::new(config.packager());
        let mut published = Version::default();
        let mut audience = Audience::new(channel);
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut watched_at = None;
        loop {
            tokio::select! {
                batch = subscriber.next_batch(), if !packager.has_ended() => {
                    batch.into_iter().for_each(|item| audience.feed(&mut packager, item));
                    self.ended.store(packager.has_ended(), Ordering::Relaxed);
                    let version = Version::of(&packager);
                    if version != published
                        && let Some(snapshot) = Snapshot::take(&packager, subscriber.epoch(), &self.session)
                    {
                        published = version;
                        metrics.parts.inc();
                        self.snapshot.send_replace(Some(Arc::new(snapshot)));
                    }
                    if packager.has_ended() && packager.main().is_none() {
                        break;
                    }
                }
                now = ticks.tick() => {
                    audience.count(&self, now);
                    if self.is_watched() {
                        watched_at = Some(now);
                    } else if now.saturating_duration_since(watched_at.unwrap_or(now)) >= config.idle_timeout {
                        break;
                    }
                }
                () = life.draining(), if packager.has_ended() => break,
            }
        }
        metrics.packaged.dec();
    }
}

/// The players of a channel, as far as their requests tell.
///
/// HLS has no connections to count. A low-latency player asks for the playlist once a part, any other once a target
/// duration: the rate of requests says how many there are. Players behind a cache show as one.
struct Audience {
    channel: Arc<Channel>,
    counted: Vec<Viewer>,
    part_reloads: u64,
    plain_reloads: u64,
    at: Option<Instant>,
}

impl Audience {
    fn new(channel: Arc<Channel>) -> Self {
        Self { channel, counted: Vec::new(), part_reloads: 0, plain_reloads: 0, at: None }
    }

    fn feed(&self, packager: &mut Packager, item: Item) {
        match item {
            Item::Track(track) => packager.track(track),
            Item::Frame(frame) => packager.frame(frame),
            Item::Cue(cue) => packager.cue(cue),
            Item::Lagged(_) => {
                self.channel.lagged(Protocol::Hls);
                packager.interrupted();
            }
            Item::Interrupted => packager.interrupted(),
            Item::Ended => packager.ended(),
            _ => {}
        }
    }

    fn count(&mut self, live: &Live, now: Instant) {
        let elapsed = self.at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        self.at = Some(now);
        if elapsed < TICK / 2 {
            return;
        }
        let part_reloads = live.part_reloads.load(Ordering::Relaxed);
        let plain_reloads = live.plain_reloads.load(Ordering::Relaxed);
        let snapshot = live.snapshot();
        let pace = snapshot.as_ref().and_then(|snapshot| snapshot.main()).map(|main| *main.pace());
        let seconds = pace.map_or(0.0, |pace| {
            (part_reloads - self.part_reloads) as f64 * pace.part_target.as_secs_f64()
                + (plain_reloads - self.plain_reloads) as f64 * f64::from(pace.target_duration)
        });
        let asking = (seconds / elapsed.as_secs_f64()).round() as usize;
        // While a publisher is away nobody's request is answered, but everybody's waits.
        let players = asking.max(live.waiting.load(Ordering::Relaxed).min(self.counted.len()));
        self.counted.truncate(players);
        while self.counted.len() < players {
            self.counted.push(self.channel.viewer(Protocol::Hls));
        }
        (self.part_reloads, self.plain_reloads) = (part_reloads, plain_reloads);
    }
}
