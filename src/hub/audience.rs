//! Who watches a channel over a connection of ours, and what of the programme each has been sent.
//!
//! A [`Viewer`] is the guard of one who watches. Whoever writes to his socket tells the guard what has been written, in two
//! atomic stores; whoever asks for the [`audience`](super::Channel::audience) reads them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use aws_lc_rs::rand;
use bytes::Bytes;

use super::{Channel, Protocol};
use crate::media::MediaTime;

/// Somebody who watches at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watching {
    /// Names the session: a random number, until [`Viewer::identify`] gives another.
    pub session: u64,
    /// How he watches.
    pub protocol: Protocol,
    /// What he has been sent without a gap; `None` before the first frame, and in the midst of a gap.
    pub seen: Option<Seen>,
}

/// A stretch of the programme's picture, or of its sound where there is no picture, in media time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The frame that it begins with: where he joined, or went on after something was missing.
    pub since: MediaTime,
    /// The newest frame that was handed to the kernel.
    pub until: MediaTime,
}

/// What a viewer was sent at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The frame with which he begins anew: he has just joined, or something is missing before it.
    pub since: Option<MediaTime>,
    /// The newest frame, by its decoding time: all that is to be shown up to then is there.
    pub until: MediaTime,
}

/// Counts a viewer while it lives, and knows what he has been sent.
#[derive(Debug)]
pub struct Viewer {
    channel: Arc<Channel>,
    protocol: Protocol,
    /// His key among the audience; none for those whom nobody sees there.
    key: Option<u64>,
    place: Arc<Place>,
}

/// Those who watch a channel, by the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Audience(Mutex<Present>);

#[derive(Debug, Default)]
struct Present {
    places: HashMap<u64, Arc<Place>>,
    /// How many have come so far.
    came: u64,
}

/// What is known of a viewer.
#[derive(Debug)]
struct Place {
    protocol: Protocol,
    random: u64,
    given: OnceLock<u64>,
    /// Nanoseconds of media time, both. Stored in this order and loaded in the other: whoever loads the end of a stretch
    /// does not load the beginning of an earlier one.
    since: AtomicI64,
    until: AtomicI64,
}

/// Before anything was sent.
const NOTHING: i64 = i64::MIN;

impl Viewer {
    /// A viewer of the channel; `is_audience` when he gets the programme over a connection of ours.
    pub(super) fn new(channel: Arc<Channel>, protocol: Protocol, is_audience: bool) -> Self {
        let place = Arc::new(Place::new(protocol));
        let key = is_audience.then(|| channel.audience.enter(&place));
        channel.count(protocol, 1);
        Self { channel, protocol, key, place }
    }

    /// Names the session as its page knows it. Once: `false` when it has been done before.
    pub fn identify(&self, session: u64) -> bool {
        self.place.given.set(session).is_ok()
    }

    /// Something was written to his socket. Two stores, for those who write to thousands.
    pub fn saw(&self, shown: Shown) {
        self.place.saw(shown);
    }

    /// The same bytes, which say that they were written when they are dropped: for those whose socket belongs to somebody
    /// who knows nothing of viewers. What is dropped because the connection failed says so too, a moment before its viewer is
    /// gone.
    pub fn saw_when_written(&self, bytes: Bytes, shown: Shown) -> Bytes {
        Bytes::from_owner(OnItsWay { bytes, shown, place: Arc::clone(&self.place) })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.channel.audience.leave(key);
        }
        self.channel.count(self.protocol, -1);
    }
}

impl Audience {
    /// All of them at this moment.
    pub fn watching(&self) -> Vec<Watching> {
        self.present().places.values().map(|place| place.watching()).collect()
    }

    fn enter(&self, place: &Arc<Place>) -> u64 {
        let mut present = self.present();
        let key = present.came;
        present.came += 1;
        present.places.insert(key, Arc::clone(place));
        key
    }

    fn leave(&self, key: u64) {
        self.present().places.remove(&key);
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    fn new(protocol: Protocol) -> Self {
        let mut random = [0; 8];
        if rand::fill(&mut random).is_err() {
            tracing::warn!("the system gives no random numbers: a session is named 0");
        }
        Self {
            protocol,
            random: u64::from_be_bytes(random),
            given: OnceLock::new(),
            since: AtomicI64::new(NOTHING),
            until: AtomicI64::new(NOTHING),
        }
    }

    fn saw(&self, shown: Shown) {
        if let Some(since) = shown.since {
            self.since.store(since.as_nanos(), Ordering::Relaxed);
        }
        self.until.store(shown.until.as_nanos(), Ordering::Release);
    }

    fn watching(&self) -> Watching {
        let until = self.until.load(Ordering::Acquire);
        let since = self.since.load(Ordering::Relaxed);
        // Between the two stores of a beginning the end is the old one.
        let is_stretch = since != NOTHING && since <= until;
        let [since, until] = [since, until].map(MediaTime::from_nanos);
        Watching {
            session: self.given.get().copied().unwrap_or(self.random),
            protocol: self.protocol,
            seen: is_stretch.then_some(Seen { since, until }),
        }
    }
}

/// Bytes that are not written yet.
struct OnItsWay {
    bytes: Bytes,
    shown: Shown,
    place: Arc<Place>,
}

impl AsRef<[u8]> for OnItsWay {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.place.saw(self.shown);
    }
}
