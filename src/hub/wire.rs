//! Wire forms made once per stream: a container's bytes, shared by all viewers of a rendition.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};

use super::SubscribeError;
use super::audience::{Shown, Viewer};
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
    rendition: Rendition,
    reader: Reader<Chunk, Bytes>,
    /// Where it goes over to when that has the same picture.
    goal: Option<Box<Self>>,
    /// The next frame is one that the viewer begins with, or begins anew.
    begins: bool,
    /// Keeps the muxer running.
    _feed: Arc<WireFeed>,
}

/// What a viewer is to be sent.
#[derive(Debug, Default)]
pub struct WireBatch {
    /// Bytes in order.
    pub chunks: Vec<Bytes>,
    /// What of the stream's picture, or of its sound where there is no picture, the bytes show; `None` when they show nothing of it.
    pub shown: Option<Shown>,
    /// Video-frame intervals that were skipped because the viewer was too slow.
    pub missed: u64,
    /// The broadcast is over.
    pub ended: bool,
}

impl WireReader {
    /// How many chunks at most are handed out at a time: one vectored write.
    const BATCH: usize = 32;

    /// What it is the form of.
    pub const fn rendition(&self) -> &Rendition {
        &self.rendition
    }

    /// Sees to it that the viewer gets the variant of the programme that he is to get: goes over to it as soon as both have the
    /// same picture, so that nothing is missing or comes twice. To be called with each batch.
    pub fn follow<F: WireFormat>(&mut self, viewer: &Viewer) {
        let Some(variant) = viewer.goes_over().filter(|variant| *variant != self.rendition.variant()) else {
            self.goal = None;
            return;
        };
        if self.goal.as_ref().is_none_or(|goal| goal.rendition.variant() != variant) {
            let rendition = self.rendition.of_variant(variant);
            self.goal = viewer.channel().wire::<F>(rendition).ok().map(Box::new);
        }
    }

    /// Goes over to the goal, if it has what was read last.
    fn go_over(&mut self) {
        if let Some(mut goal) = self.goal.take() {
            if self.reader.go_over(&mut goal.reader, Chunk::shows_the_same) {
                self.rendition = goal.rendition;
                self._feed = goal._feed;
            } else {
                self.goal = Some(goal);
            }
        }
    }

    /// The next bytes, as soon as there are any. Cancel-safe.
    pub async fn next_batch(&mut self) -> WireBatch {
        poll_fn(|context| self.poll_next_batch(context)).await
    }

    /// The polling form of [`next_batch`](Self::next_batch).
    pub fn poll_next_batch(&mut self, context: &mut Context<'_>) -> Poll<WireBatch> {
        // The other muxer may be a moment behind this one: by now it has what was read before.
        self.go_over();
        let read = ready!(self.reader.poll_read(context, Self::BATCH));
        let mut batch = WireBatch { ended: read.closed, ..WireBatch::default() };
        batch.chunks.reserve(read.items.len() + 1);
        if let Some(join) = read.join {
            self.begins = true;
            batch.missed = join.missed;
            batch.chunks.push(join.preamble);
        }
        for chunk in read.items {
            self.begins |= chunk.follows_gap;
            if let Some(frames) = chunk.frames {
                let since = std::mem::take(&mut self.begins).then_some(frames.first);
                let before = batch.shown.and_then(|shown| shown.since);
                let variant = self.rendition.variant();
                batch.shown = Some(Shown { since: since.or(before), until: frames.newest, variant });
            }
            batch.chunks.push(chunk.bytes);
        }
        Poll::Ready(batch)
    }
}

/// The wire forms of a broadcast that have viewers.
#[derive(Debug, Default)]
pub(super) struct WireForms {
    running: HashMap<(TypeId, Rendition), Weak<dyn Any + Send + Sync>>,
}

#[derive(Debug)]
struct WireFeed(Feed<Chunk, Bytes>);

/// Bytes that are sent together.
#[derive(Clone, Debug)]
struct Chunk {
    bytes: Bytes,
    frames: Option<Frames>,
    /// Something that no viewer gets is missing before it.
    follows_gap: bool,
}

/// The frames of the leading track in a chunk, as far as they can be decoded.
#[derive(Clone, Debug)]
struct Frames {
    /// When the first is shown.
    first: MediaTime,
    /// When the newest is decoded.
    newest: MediaTime,
    /// The newest one's payload.
    payload: Bytes,
}

impl Chunk {
    /// Whether the newest frame of the leading track is the same, decoded at the same time.
    fn shows_the_same(&self, other: &Self) -> bool {
        let frames = self.frames.as_ref().zip(other.frames.as_ref());
        frames.is_some_and(|(one, other)| one.newest == other.newest && one.payload == other.payload)
    }
}

impl WireForms {
    /// A reader of the form `F` of a rendition; starts the muxer if there is none.
    pub fn reader<F: WireFormat>(
        &mut self,
        rendition: Rendition,
        budget: Budget,
        subscribe: impl FnOnce(&Rendition) -> Result<Subscriber, SubscribeError>,
    ) -> Result<WireReader, SubscribeError> {
        let key = (TypeId::of::<F>(), rendition.clone());
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
        let reader = feed.0.reader(Start::Newest);
        Ok(WireReader { rendition, reader, goal: None, begins: true, _feed: feed })
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
    /// The leading track's frames in `pending`, as far as they can be decoded.
    frames: Option<Frames>,
    /// Something is missing before `pending`.
    follows_gap: bool,
    /// Something was missing, and decoders wait for a keyframe.
    broken: bool,
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
            frames: None,
            follows_gap: false,
            broken: false,
            header: None,
            began: false,
        }
    }
}

impl<F: WireFormat> Muxer<F> {
    fn item(&mut self, item: &Item, feed: &Feed<Chunk, Bytes>) {
        if let Item::Track(track) = item {
            let known = self.tracks.as_slice().contains(track);
            self.tracks.set(Arc::clone(track));
            // Everyone begins with a header: only what changes after the first goes among the frames.
            if known || !self.began {
                return;
            }
        }
        if matches!(item, Item::Lagged(_)) {
            (self.follows_gap, self.broken) = (true, true);
        }
        let Item::Frame(frame) = item else { return self.format.write(item, &mut self.pending) };
        let leads = self.tracks.lead() == Some(frame.track);
        if frame.keyframe && leads && self.header.is_none() {
            self.header = Some(self.format.header(self.tracks.as_slice(), frame.dts));
            self.began = true;
        }
        self.format.write(item, &mut self.pending);
        self.time = frame.dts;
        self.broken &= !(leads && frame.keyframe);
        if leads && !self.broken {
            let first = self.frames.as_ref().map_or(frame.pts, |frames| frames.first);
            self.frames = Some(Frames { first, newest: frame.dts, payload: frame.payload.clone() });
        }
        if self.tracks.kind(frame.track) == Some(Kind::Video) {
            self.flush(feed);
        }
    }

    fn flush(&mut self, feed: &Feed<Chunk, Bytes>) {
        if self.pending.is_empty() {
            return;
        }
        let chunk = Chunk {
            bytes: self.pending.split().freeze(),
            frames: self.frames.take(),
            follows_gap: std::mem::take(&mut self.follows_gap),
        };
        let bytes = chunk.bytes.len();
        feed.push(Slot { value: chunk, bytes, time: self.time, preamble: self.header.take() });
    }
}
