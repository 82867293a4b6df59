//! A channel being packaged: one task from the first player's request until a while after the last.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Config;
use super::feeds::Feeds;
use super::metrics::Metrics;
use super::snapshot::Snapshot;
use super::variants::Variants;
use crate::context::Life;
use crate::hub::{Channel, Item, MAX_VARIANTS, Protocol, Rendition, Start, Subscriber, Viewer};

/// How often players are counted and idleness is looked for.
const TICK: Duration = Duration::from_secs(2);

/// A channel being packaged.
#[derive(Debug)]
pub(super) struct Live {
    /// The folder of this session's files: no two sessions have the same, so that its files never change.
    session: String,
    snapshot: watch::Sender<Option<Arc<Snapshot>>>,
    /// The variants of the programme that players have asked for besides everybody's, a bit each.
    wanted: watch::Sender<u8>,
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
            wanted: watch::Sender::new(0),
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

    /// Somebody is to get this variant of the programme.
    pub fn want(&self, variant: u8) {
        self.wanted.send_if_modified(|wanted| {
            let before = *wanted;
            *wanted |= 1 << variant.min(MAX_VARIANTS);
            *wanted != before
        });
    }

    /// Somebody asked for a main media playlist.
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

    /// Packages what `everybody` receives, and the other variants of the programme from when they are wanted, until nobody has
    /// asked for `config.idle_timeout`, or the server ends.
    pub async fn run(
        self: Arc<Self>,
        channel: Arc<Channel>,
        everybody: Subscriber,
        config: Config,
        metrics: Metrics,
        life: Life,
    ) {
        metrics.packaged.inc();
        let mut feeds = Feeds::new(everybody);
        let mut variants = Variants::new(config.packager());
        let mut wanted = self.wanted.subscribe();
        wanted.mark_changed();
        let mut snapshot = Snapshot::default();
        let mut audience = Audience::new(Arc::clone(&channel));
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut watched_at = None;
        loop {
            tokio::select! {
                items = feeds.next() => {
                    for (variant, item) in items {
                        if matches!(item, Item::Lagged(_)) {
                            channel.lagged(Protocol::Hls);
                        }
                        variants.feed(variant, item);
                    }
                    variants.advance();
                    self.ended.store(variants.has_ended(), Ordering::Relaxed);
                    let changed = |packager: &&_| snapshot.update(packager, feeds.epoch(), &self.session);
                    let changed = variants.packagers().filter(changed).count() as u64;
                    if changed > 0 {
                        metrics.parts.inc_by(changed);
                        self.snapshot.send_replace(Some(Arc::new(snapshot.clone())));
                    }
                    if variants.has_ended() && variants.everybody().main().is_none() {
                        break;
                    }
                }
                Ok(()) = wanted.changed() => {
                    let wanted = *wanted.borrow_and_update();
                    for variant in (1..MAX_VARIANTS).filter(|variant| wanted & 1 << variant != 0) {
                        begin(variant, &channel, &mut feeds, &mut variants);
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
                () = life.draining(), if variants.has_ended() => break,
            }
        }
        metrics.packaged.dec();
    }
}

/// Begins to package one more variant, from all of it that is in memory.
fn begin(variant: u8, channel: &Channel, feeds: &mut Feeds, variants: &mut Variants) {
    let rendition = Rendition::Program { variant };
    if variants.has(variant) || variants.has_ended() {
        return;
    }
    // Where another broadcast has begun in the meantime, its players find another session.
    if let Ok(subscriber) = channel.subscribe_from(Start::Oldest, &rendition)
        && feeds.add(variant, subscriber)
    {
        variants.add(variant);
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
