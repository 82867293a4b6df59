//! Wire forms made once per stream: a container's bytes, shared by all viewers of a rendition.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::SubscribeError;
use super::feed::{Feed, Reader, Start};
use super::item::Item;
use super::rendition::Rendition;
use super::ring::{Budget, Slot};
use super::subscriber::Subscriber;
use super::tracks::Tracks;
use crate::media::{Kind, MediaTime, Track};

/// A container that is the same for every viewer. Pure: items in, bytes out.
pub trait WireFormat: Default + Send + 'static {
    /// What a viewer gets before the frames from `time` on: metadata and decoder configurations.
    fn header(&mut self, tracks: &[Arc<Track>], time: MediaTime) -> Bytes;

    /// Appends an item's form, if it has one.
    fn write(&mut self, item: &Item, out: &mut BytesMut);
}

/// A viewer's place in the bytes of a stream.
///
/// What it reads is one `Bytes` a video frame, with the sound that came before it, so that a viewer in step costs
/// one write a frame.
#[derive(Debug)]
pub struct WireReader {
    reader: Reader<Bytes, Bytes>,
    /// Keeps the muxer running.
    _feed: Arc<WireFeed>,
}

/// What a viewer is to be sent.
#[derive(Debug, Default)]
pub struct WireBatch {
    /// Bytes in order.
    pub chunks: Vec<Bytes>,
    /// Video-frame intervals that were skipped because the viewer was too slow.
    pub missed: u64,
    /// The broadcast is over.
    pub ended: bool,
}

impl WireReader {
    /// How many chunks at most are handed out at a time: one vectored write.
    const BATCH: usize = 32;

    /// The next bytes, as soon as there are any. Cancel-safe.
    pub async fn next_batch(&mut self) -> WireBatch {
        poll_fn(|context| self.poll_next_batch(context)).await
    }

    /// The polling form of [`next_batch`](Self::next_batch).
    pub fn poll_next_batch(&mut self, context: &mut Context<'_>) -> Poll<WireBatch> {
        let read = ready!(self.reader.poll_read(context, Self::BATCH));
        let Some(join) = read.join else {
            return Poll::Ready(WireBatch { chunks: read.items, missed: 0, ended: read.closed });
        };
        let mut chunks = Vec::with_capacity(read.items.len() + 1);
        chunks.push(join.preamble);
        chunks.extend(read.items);
        Poll::Ready(WireBatch { chunks, missed: join.missed, ended: read.closed })
    }
}

/// The wire forms of a broadcast that have viewers.
#[derive(Debug, Default)]
pub(super) struct WireForms {
    running: HashMap<(TypeId, Rendition), Weak<dyn Any + Send + Sync>>,
}

#[derive(Debug)]
struct WireFeed(Feed<Bytes, Bytes>);

impl WireForms {
    /// A reader of the form `F` of a rendition; starts the muxer if there is none.
    pub fn reader<F: WireFormat>(
        &mut self,
        rendition: Rendition,
        budget: Budget,
        subscribe: impl FnOnce(&Rendition) -> Result<Subscriber, SubscribeError>,
    ) -> Result<WireReader, SubscribeError> {
        let key = (TypeId::of::<F>(), rendition);
        let running = self.running.get(&key).and_then(Weak::upgrade);
        let running = running.and_then(|feed| feed.downcast::<WireFeed>().ok());
        let feed = match running.filter(|feed| !feed.0.is_closed()) {
            Some(feed) => feed,
            None => {
                let feed = Arc::new(WireFeed(Feed::new(budget)));
                tokio::spawn(mux::<F>(subscribe(&key.1)?, Arc::downgrade(&feed)));
                self.running.insert(key, Arc::downgrade(&feed) as Weak<dyn Any + Send + Sync>);
                feed
            }
        };
        Ok(WireReader { reader: feed.0.reader(Start::Newest), _feed: feed })
    }
}

/// Makes the wire form of a stream until it ends or its last viewer has left.
async fn mux<F: WireFormat>(mut subscriber: Subscriber, feed: Weak<WireFeed>) {
    let mut muxer = Muxer::<F>::default();
    loop {
        let items = subscriber.next_batch().await;
        let Some(feed) = feed.upgrade() else { return };
        let mut ended = false;
        for item in items {
            ended |= matches!(item, Item::Ended);
            muxer.item(&item, &feed.0);
        }
        muxer.flush(&feed.0);
        if ended {
            return feed.0.close();
        }
        feed.0.wake();
    }
}

/// Gathers the bytes of one video frame and of the sound before it.
struct Muxer<F> {
    format: F,
    tracks: Tracks,
    pending: BytesMut,
    /// Decoding time of the newest frame in `pending`.
    time: MediaTime,
    /// What a viewer must be sent who begins with `pending`.
    header: Option<Bytes>,
    /// A header was made.
    began: bool,
}

impl<F: WireFormat> Default for Muxer<F> {
    fn default() -> Self {
        Self {
            format: F::default(),
            tracks: Tracks::default(),
            pending: BytesMut::new(),
            time: MediaTime::ZERO,
            header: None,
            began: false,
        }
    }
}

impl<F: WireFormat> Muxer<F> {
    fn item(&mut self, item: &Item, feed: &Feed<Bytes, Bytes>) {
        if let Item::Track(track) = item {
            let known = self.tracks.as_slice().contains(track);
            self.tracks.set(Arc::clone(track));
            // Everyone begins with a header: only what changes after the first goes among the frames.
            if known || !self.began {
                return;
            }
        }
        let Item::Frame(frame) = item else { return self.format.write(item, &mut self.pending) };
        if frame.keyframe && self.tracks.lead() == Some(frame.track) && self.header.is_none() {
            self.header = Some(self.format.header(self.tracks.as_slice(), frame.dts));
            self.began = true;
        }
        self.format.write(item, &mut self.pending);
        self.time = frame.dts;
        if self.tracks.kind(frame.track) == Some(Kind::Video) {
            self.flush(feed);
        }
    }

    fn flush(&mut self, feed: &Feed<Bytes, Bytes>) {
        if self.pending.is_empty() {
            return;
        }
        let value = self.pending.split().freeze();
        feed.push(Slot { bytes: value.len(), value, time: self.time, preamble: self.header.take() });
    }
}
