//! Converted renditions: made while somebody reads them, once for all who do.
//!
//! The hub does not know a codec. Who does registers a [`Converter`]; the hub starts its [`Conversion`] with the first
//! subscriber, feeds it the items of the rendition that it is made from, and ends it after the last.

use std::collections::HashMap;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::Handle;

use super::SubscribeError;
use super::broadcast::Broadcast;
use super::feed::{Feed, Reader, Start};
use super::item::{Batch, Item};
use super::program;
use super::rendition::Rendition;
use super::ring::Budget;
use super::standing::{Preamble, Standing};
use super::subscriber::Subscriber;
use super::takeover::Takeovers;
use crate::clock;
use crate::media::{Frame, MediaTime, Track, TrackId};

/// So many items are converted before other tasks get their turn: a GOP that a joining conversion gets at once has
/// hundreds, and an audio frame costs up to 0.2 ms.
const SLICE: usize = 32;

/// Knows how to make a kind of renditions.
pub trait Converter: Send + Sync + 'static {
    /// A new conversion that makes `rendition`, which is a [`Rendition::Converted`], of the items of its `of`. `tracks`
    /// are those that are known at this moment: there may be none yet, and they may change.
    ///
    /// `None` when this is another converter's trade.
    ///
    /// # Errors
    /// Why these tracks are not converted.
    fn conversion(
        &self,
        rendition: &Rendition,
        tracks: &[Arc<Track>],
    ) -> Option<Result<Box<dyn Conversion>, Refusal>>;
}

/// Why a conversion is not made, in words for the viewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// These tracks cannot be converted.
    Unconvertible(String),
    /// There is no room for one more conversion.
    Busy(String),
}

impl From<Refusal> for SubscribeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unconvertible(reason) => Self::Unconvertible(reason),
            Refusal::Busy(reason) => Self::Busy(reason),
        }
    }
}

/// What a conversion will give, as soon as it is there.
pub type Later<'a> = Pin<Box<dyn Future<Output = Result<Batch, String>> + Send + 'a>>;

/// One conversion that runs: items in, items out, media time unchanged. Most are pure, and give what becomes of an item
/// at once; some have the work done elsewhere, and give it [`later`](Self::later).
pub trait Conversion: Send {
    /// Appends what becomes of an item at once. It gets every item of a subscriber, and passes on what is none of its
    /// business. It never waits.
    fn convert(&mut self, item: Item, out: &mut Batch);

    /// What becomes of items later. Cancel-safe.
    ///
    /// # Errors
    /// Why this conversion is broken. It is replaced by another then, which begins at a keyframe before what it has given last.
    fn later(&mut self) -> Later<'_> {
        Box::pin(pending())
    }

    /// What is still inside, after the last item.
    fn finish(&mut self) -> Later<'_> {
        Box::pin(async { Ok(Batch::new()) })
    }

    /// This one takes the place of another, which has given frames up to these decoding times: those, and what is earlier, are
    /// of no use to anybody. Said before the first item.
    fn resume_after(&mut self, _newest: &[(TrackId, MediaTime)]) {}
}

/// All converters there are.
pub(super) struct Converters {
    all: RwLock<Vec<Registered>>,
    running: Gauge,
}

/// A converter, and where its conversions run: a subscriber's thread may have better things to do.
struct Registered {
    converter: Box<dyn Converter>,
    runtime: Handle,
}

impl Converters {
    /// None yet; `running` counts their conversions.
    pub const fn new(running: Gauge) -> Self {
        Self { all: RwLock::new(Vec::new()), running }
    }

    /// Adds a converter, whose conversions run on the runtime that this is called on.
    pub fn register(&self, converter: Box<dyn Converter>) {
        let registered = Registered { converter, runtime: Handle::current() };
        self.all.write().unwrap_or_else(PoisonError::into_inner).push(registered);
    }

    /// A conversion by the first converter that takes the rendition for its trade.
    pub fn conversion(
        &self,
        rendition: &Rendition,
        tracks: &[Arc<Track>],
    ) -> Result<Running, SubscribeError> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let (offer, runtime) = all
            .iter()
            .find_map(|Registered { converter, runtime }| {
                Some((converter.conversion(rendition, tracks)?, runtime.clone()))
            })
            .ok_or(SubscribeError::Unavailable)?;
        let conversion = offer?;
        self.running.inc();
        Ok(Running { conversion, runtime, running: self.running.clone() })
    }
}

impl fmt::Debug for Converters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converters").field("running", &self.running).finish_non_exhaustive()
    }
}

/// A conversion that is counted while it lives.
pub(super) struct Running {
    conversion: Box<dyn Conversion>,
    runtime: Handle,
    running: Gauge,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.running.dec();
    }
}

/// The conversions of a broadcast that have subscribers.
#[derive(Debug, Default)]
pub(super) struct Conversions(HashMap<Rendition, Weak<Converted>>);

impl Conversions {
    /// The one that makes this rendition, if somebody reads it and it was not given up.
    pub fn running(&self, rendition: &Rendition) -> Option<Arc<Converted>> {
        self.0.get(rendition).and_then(Weak::upgrade).filter(|converted| !converted.0.is_closed())
    }

    /// Starts a conversion, unless somebody else was faster.
    pub fn start(
        &mut self,
        rendition: &Rendition,
        budget: Budget,
        source: Subscriber,
        running: Running,
    ) -> Arc<Converted> {
        self.running(rendition).unwrap_or_else(|| {
            let converted = Arc::new(Converted(Feed::new(budget)));
            self.0.insert(rendition.clone(), Arc::downgrade(&converted));
            let runtime = running.runtime.clone();
            let task = Task {
                rendition: rendition.clone(),
                source,
                running,
                replacements: Takeovers::default(),
                writer: Writer::new(Arc::downgrade(&converted)),
            };
            runtime.spawn(task.run());
            converted
        })
    }
}

/// The items of a converted rendition; the conversion ends when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Converted(Feed<Item, Arc<Preamble>>);

impl Converted {
    pub fn reader(&self, start: Start) -> Reader<Item, Arc<Preamble>> {
        self.0.reader(start)
    }
}

/// A conversion at work.
struct Task {
    rendition: Rendition,
    source: Subscriber,
    running: Running,
    /// Conversions that broke down: as many in as short a time as publishers may take over from each other.
    replacements: Takeovers,
    writer: Writer,
}

impl Task {
    /// Converts until the source has ended, the last subscriber has left, or nothing works any more.
    async fn run(mut self) {
        loop {
            let given = tokio::select! {
                batch = self.source.next_batch() => match self.convert(batch).await {
                    Taken::GoOn => continue,
                    Taken::Unwanted => return,
                    Taken::Ended => {
                        if let Ok(batch) = self.running.conversion.finish().await {
                            self.writer.write_all(batch);
                        }
                        return;
                    }
                },
                given = self.running.conversion.later() => given,
            };
            match given {
                Ok(batch) => {
                    if !self.writer.write_all(batch) {
                        return;
                    }
                }
                Err(reason) if !self.replace() => {
                    tracing::error!(reason, rendition = ?self.rendition, "a conversion is given up");
                    return;
                }
                Err(reason) => {
                    tracing::warn!(reason, rendition = ?self.rendition, "a conversion broke down and was replaced");
                }
            }
        }
    }

    async fn convert(&mut self, batch: Batch) -> Taken {
        let mut out = Batch::new();
        for (index, item) in batch.into_iter().enumerate() {
            if index % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
            let ended = matches!(item, Item::Ended);
            self.running.conversion.convert(item, &mut out);
            if !self.writer.write_all(out.drain(..)) {
                return Taken::Unwanted;
            }
            if ended {
                return Taken::Ended;
            }
        }
        Taken::GoOn
    }

    /// Puts another conversion, which begins at the newest keyframe that all is there of, in the place of this one. `false` when there is none, or
    /// too many broke down already.
    fn replace(&mut self) -> bool {
        if !self.replacements.allow(clock::monotonic()) {
            return false;
        }
        let broadcast: Arc<Broadcast> = Arc::clone(self.source.broadcast());
        let start = self.writer.newest.iter().map(|(_, dts)| *dts).min().map_or(Start::Newest, Start::At);
        match broadcast.conversion(start, &self.rendition) {
            Ok((source, mut running)) => {
                running.conversion.resume_after(&self.writer.newest);
                (self.source, self.running) = (source, running);
                true
            }
            Err(error) => {
                tracing::warn!(%error, "a conversion has no replacement");
                false
            }
        }
    }
}

/// What came of a batch.
enum Taken {
    GoOn,
    /// Nobody reads what it becomes.
    Unwanted,
    /// The source is over.
    Ended,
}

/// What comes out of a conversion goes into its feed, which ends with it: also when a conversion panics, nobody is left
/// waiting.
struct Writer {
    converted: Weak<Converted>,
    standing: Standing,
    /// Decoding time of the newest frame of each track.
    newest: Vec<(TrackId, MediaTime)>,
}

impl Writer {
    fn new(converted: Weak<Converted>) -> Self {
        Self { converted, standing: Standing::default(), newest: Vec::new() }
    }

    /// `false` when nobody reads it.
    fn write_all(&mut self, items: impl IntoIterator<Item = Item>) -> bool {
        let Some(converted) = self.converted.upgrade() else { return false };
        items.into_iter().for_each(|item| self.write(&converted.0, item));
        true
    }

    fn write(&mut self, feed: &Feed<Item, Arc<Preamble>>, item: Item) {
        match &item {
            Item::Frame(frame) if self.standing.kind(frame.track).is_some() && !self.is_new(frame) => {}
            // The feed is closed when the writer is dropped, and says so itself.
            Item::Ended => {}
            _ => program::write(&mut self.standing, feed, item),
        }
    }

    /// Whether the frame is later than those before: a conversion that takes another's place gets some of them again.
    fn is_new(&mut self, frame: &Frame) -> bool {
        match self.newest.iter_mut().find(|(track, _)| *track == frame.track) {
            Some((_, newest)) if frame.dts <= *newest => false,
            Some((_, newest)) => {
                *newest = frame.dts;
                true
            }
            None => {
                self.newest.push((frame.track, frame.dts));
                true
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(converted) = self.converted.upgrade() {
            converted.0.close();
        }
    }
}
