//! The hub: where all protocols meet. It moves immutable frames that it does not understand.
//!
//! A [`Channel`] outlives its [`Publisher`]s; [`Subscriber`]s read a [`Rendition`] at their own pace, and viewers of a
//! byte-stream protocol share a [`WireFormat`] that is made once per stream. What an output cannot carry as it is, a
//! [`Converter`] makes into what it can, once per stream as well.

mod announcements;
mod arrangement;
mod audience;
mod broadcast;
mod channel;
mod conversion;
mod feed;
mod item;
mod lead;
mod metrics;
mod program;
mod publisher;
mod rendition;
mod reordering;
mod ring;
mod standing;
mod stats;
mod subscriber;
mod takeover;
mod timeline;
mod tracks;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, Sender};

pub use announcements::Announcements;
pub use audience::{Seen, Shown, Viewer, Watching};
pub use channel::{Channel, Dismissal, OnAir, Protocol, PublishError, Status, SubscribeError, TakeError};
pub use conversion::{Conversion, Converter, Later, Refusal};
pub use feed::Start;
pub use item::{Batch, Item};
pub use metrics::Metrics;
pub use program::Program;
pub use publisher::Publisher;
pub use rendition::{MAX_VARIANTS, Rendition};
pub use stats::SourceFigures;
pub use subscriber::Subscriber;
pub use tracks::Tracks;
pub use wire::{WireBatch, WireFormat, WireReader};

use crate::media::ChannelName;
use crate::setting;
use conversion::Converters;
use ring::Budget;

/// Broadcasts that somebody who listens for their beginning may be behind.
const BEGUN: usize = 1024;

/// `[broadcast]` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long viewers wait for a publisher who went away.
    #[serde(with = "setting::duration")]
    pub resume_window: Duration,
    /// Media time kept in memory for viewers who fall behind; the newest GOP is kept whatever its length.
    #[serde(with = "setting::duration")]
    pub window: Duration,
    /// Bytes kept in memory per stream and container, whatever the GOP length.
    #[serde(with = "setting::byte_size")]
    pub window_bytes: usize,
    /// Frames kept in memory per stream and container, whatever the GOP length.
    pub window_frames: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resume_window: Duration::from_secs(60),
            window: Duration::from_secs(8),
            window_bytes: 32 << 20,
            window_frames: 20_000,
        }
    }
}

impl Config {
    fn budget(&self) -> Budget {
        Budget { window: self.window.into(), bytes: self.window_bytes, items: self.window_frames }
    }
}

/// All channels.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    metrics: Arc<Metrics>,
    converters: Arc<Converters>,
    /// Channels whose broadcast has begun.
    begun: Sender<ChannelName>,
    channels: RwLock<HashMap<ChannelName, Arc<Channel>>>,
}

impl Hub {
    /// A hub without channels.
    pub fn new(config: Config, metrics: Arc<Metrics>) -> Self {
        let converters = Arc::new(Converters::new(metrics.conversions.clone()));
        let begun = Sender::new(BEGUN);
        Self(Arc::new(Inner { config, metrics, converters, begun, channels: RwLock::default() }))
    }

    /// Adds a converter; of several that take the same rendition for their trade, the first has it. Conversions run on
    /// the runtime that this is called on, whoever subscribes.
    ///
    /// # Panics
    /// When it is not called on a runtime.
    pub fn register(&self, converter: impl Converter) {
        self.0.converters.register(Box::new(converter));
    }

    /// The channel of this name, made if there is none.
    pub fn create(&self, name: &ChannelName) -> Arc<Channel> {
        let mut channels = self.0.channels.write().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let Inner { config, metrics, converters, begun, .. } = &*self.0;
            let (metrics, converters) = (Arc::clone(metrics), Arc::clone(converters));
            Arc::new(Channel::new(name.clone(), config.clone(), metrics, converters, begun.clone()))
        };
        Arc::clone(channels.entry(name.clone()).or_insert_with(new))
    }

    /// Forgets a channel: its publisher is sent away and its broadcast ends.
    pub fn remove(&self, name: &ChannelName) {
        let removed = self.0.channels.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some(channel) = removed {
            channel.remove();
        }
    }

    /// The channel of this name.
    pub fn channel(&self, name: &ChannelName) -> Option<Arc<Channel>> {
        self.0.channels.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All channels, in no order.
    pub fn channels(&self) -> Vec<Arc<Channel>> {
        self.0.channels.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Tells which channel has gone on the air, from now on. Who falls far behind misses some.
    pub fn begun(&self) -> Receiver<ChannelName> {
        self.0.begun.subscribe()
    }

    /// Ends all broadcasts now, so that viewers are let go.
    pub fn end_all(&self) {
        self.channels().iter().for_each(|channel| channel.end());
    }
}
