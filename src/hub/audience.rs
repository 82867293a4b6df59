//! Who watches a channel over a connection of ours, and what of the programme each has been sent.
//!
//! A [`Viewer`] is the guard of one who watches. Whoever writes to his socket tells the guard what has been written, in two
//! atomic stores; whoever asks for the [`audience`](super::Channel::audience) reads them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use aws_lc_rs::rand;
use bytes::Bytes;

use super::arrangement::Arrangement;
use super::{Channel, Protocol, Rendition};
use crate::media::{Cohort, MediaTime};

/// Somebody who watches at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    /// Names the session: a random number, until [`Viewer::identify`] gives another.
    pub session: u64,
    /// How he watches.
    pub protocol: Protocol,
    /// What he has been sent without a gap; `None` before the first frame, and in the midst of a gap.
    pub seen: Option<Seen>,
    /// Of which variant of the programme that was.
    pub variant: u8,
    /// What is known of him.
    pub cohort: Arc<Cohort>,
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
    /// The variant of the programme that it is.
    pub variant: u8,
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
    cohort: Arc<Cohort>,
    random: u64,
    given: OnceLock<u64>,
    /// Nanoseconds of media time, both. Stored in this order and loaded in the other: whoever loads the end of a stretch
    /// does not load the beginning of an earlier one.
    since: AtomicI64,
    until: AtomicI64,
    /// The variant of the programme that he was sent last, and the one that he is to get.
    variant: AtomicU8,
    wanted: AtomicU8,
}

/// Before anything was sent.
const NOTHING: i64 = i64::MIN;

impl Viewer {
    /// A viewer of the channel; `is_audience` when he gets the programme over a connection of ours.
    fn new(channel: Arc<Channel>, place: Place, is_audience: bool) -> Self {
        let (protocol, place) = (place.protocol, Arc::new(place));
        let key = is_audience.then(|| channel.audience.enter(&place, |cohort| channel.variant_of(cohort)));
        channel.count(protocol, 1);
        Self { channel, protocol, key, place }
    }

    /// Names the session as its page knows it. Once: `false` when it has been done before.
    pub fn identify(&self, session: u64) -> bool {
        self.place.given.set(session).is_ok()
    }

    /// The channel that he watches.
    pub(super) const fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    /// The variant of the programme that he is to get, if he gets another.
    pub fn goes_over(&self) -> Option<u8> {
        let wanted = self.place.wanted.load(Ordering::Relaxed);
        (wanted != self.place.variant.load(Ordering::Relaxed)).then_some(wanted)
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

impl Channel {
    /// Counts a viewer of the programme, of whom nothing is known, for as long as the guard lives.
    pub fn viewer(self: &Arc<Self>, protocol: Protocol) -> Viewer {
        self.viewer_of(&Rendition::PROGRAM, protocol, Arc::default())
    }

    /// Counts a viewer of this rendition for as long as the guard lives.
    pub fn viewer_of(
        self: &Arc<Self>,
        rendition: &Rendition,
        protocol: Protocol,
        cohort: Arc<Cohort>,
    ) -> Viewer {
        let is_audience = protocol != Protocol::Hls && rendition.shows_program();
        Viewer::new(Arc::clone(self), Place::new(protocol, cohort, rendition.variant()), is_audience)
    }

    /// Everybody who watches the programme, or what is made from it, over a connection that lasts: all but HLS. In no order.
    pub fn audience(&self) -> Vec<Watching> {
        self.audience.watching()
    }
}

impl Audience {
    /// Says who is to get which variant.
    pub fn arrange(&self, arrangement: &Arrangement) {
        for place in self.present().places.values() {
            place.wanted.store(arrangement.variant_of(&place.cohort), Ordering::Relaxed);
        }
    }

    /// All of them at this moment.
    pub fn watching(&self) -> Vec<Watching> {
        self.present().places.values().map(|place| place.watching()).collect()
    }

    /// Somebody comes. Viewers may have been arranged anew since it was looked up what he gets: his connection took its time.
    fn enter(&self, place: &Arc<Place>, variant_of: impl FnOnce(&Cohort) -> u8) -> u64 {
        let mut present = self.present();
        place.wanted.store(variant_of(&place.cohort), Ordering::Relaxed);
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
    fn new(protocol: Protocol, cohort: Arc<Cohort>, variant: u8) -> Self {
        let mut random = [0; 8];
        if rand::fill(&mut random).is_err() {
            tracing::warn!("the system gives no random numbers: a session is named 0");
        }
        Self {
            protocol,
            cohort,
            random: u64::from_be_bytes(random),
            given: OnceLock::new(),
            since: AtomicI64::new(NOTHING),
            until: AtomicI64::new(NOTHING),
            variant: AtomicU8::new(variant),
            wanted: AtomicU8::new(variant),
        }
    }

    fn saw(&self, shown: Shown) {
        let mut since = shown.since;
        if self.variant.load(Ordering::Relaxed) != shown.variant {
            self.variant.store(shown.variant, Ordering::Relaxed);
            // Of another variant he has seen nothing yet.
            since = since.or(Some(shown.until));
        }
        if let Some(since) = since {
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
            variant: self.variant.load(Ordering::Relaxed),
            cohort: Arc::clone(&self.cohort),
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
