//! Converted renditions: made while somebody reads them, once for all who do.
//!
//! The hub does not know a codec. Who does registers a [`Converter`]; the hub starts its [`Conversion`] with the first
//! subscriber, feeds it the items of the rendition that it is made from, and ends it after the last.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use prometheus_client::metrics::gauge::Gauge;
use tokio::runtime::Handle;

use super::SubscribeError;
use super::feed::{Feed, Reader, Start};
use super::item::{Batch, Item};
use super::program;
use super::rendition::Rendition;
use super::ring::Budget;
use super::standing::{Preamble, Standing};
use super::subscriber::Subscriber;
use crate::media::Track;

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
    /// Why these tracks cannot be converted, in words for the viewer.
    fn conversion(
        &self,
        rendition: &Rendition,
        tracks: &[Arc<Track>],
    ) -> Option<Result<Box<dyn Conversion>, String>>;
}

/// One conversion that runs. Pure: items in, items out, media time unchanged.
pub trait Conversion: Send {
    /// Appends what becomes of an item. It gets every item of a subscriber, and passes on what is none of its business.
    fn convert(&mut self, item: Item, out: &mut Batch);
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
        let conversion = offer.map_err(SubscribeError::Unconvertible)?;
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
    /// The one that makes this rendition, if somebody reads it.
    pub fn running(&self, rendition: &Rendition) -> Option<Arc<Converted>> {
        self.0.get(rendition).and_then(Weak::upgrade)
    }

    /// Starts a conversion, unless somebody else was faster.
    pub fn start(
        &mut self,
        rendition: &Rendition,
        budget: Budget,
        source: Subscriber,
        conversion: Running,
    ) -> Arc<Converted> {
        self.running(rendition).unwrap_or_else(|| {
            let converted = Arc::new(Converted(Feed::new(budget)));
            self.0.insert(rendition.clone(), Arc::downgrade(&converted));
            let writer = Writer { converted: Arc::downgrade(&converted), standing: Standing::default() };
            conversion.runtime.clone().spawn(convert(source, conversion, writer));
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

/// Converts until the source has ended or the last subscriber has left.
async fn convert(mut source: Subscriber, mut running: Running, mut writer: Writer) {
    let mut out = Batch::new();
    loop {
        for (index, item) in source.next_batch().await.into_iter().enumerate() {
            if index % SLICE == SLICE - 1 {
                tokio::task::yield_now().await;
            }
            let Some(converted) = writer.converted.upgrade() else { return };
            let ended = matches!(item, Item::Ended);
            running.conversion.convert(item, &mut out);
            for item in out.drain(..).filter(|item| !matches!(item, Item::Ended)) {
                program::write(&mut writer.standing, &converted.0, item);
            }
            if ended {
                return;
            }
        }
    }
}

/// What comes out of a conversion goes into its feed, which ends with it: also when a conversion panics, nobody is left
/// waiting.
struct Writer {
    converted: Weak<Converted>,
    standing: Standing,
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(converted) = self.converted.upgrade() {
            converted.0.close();
        }
    }
}
