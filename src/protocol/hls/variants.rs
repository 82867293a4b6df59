//! The variants of a programme, each with a packager of its own that makes the same bytes of the same frames.
//!
//! Everybody's variant goes ahead: a frame of another one waits until everybody's has got as far. So what both have is there
//! already when the other one lists it, and can be listed as what it is.

use std::collections::VecDeque;

use crate::hub::Item;
use crate::media::{Frame, MediaTime, TrackId};

use super::pace::PackagerConfig;
use super::packager::Packager;

/// A variant waits no longer than this for everybody's: a worker that draws into that one has its picture later than the
/// source's by a few frames.
const LONGEST_WAIT: MediaTime = MediaTime::from_millis(1000);
/// Bytes and items that wait at most, whatever their times.
const WAITING_BYTES: usize = 8 << 20;
const WAITING_ITEMS: usize = 2048;

/// The packagers of a programme's variants.
#[derive(Debug)]
pub struct Variants {
    config: PackagerConfig,
    everybody: Packager,
    reached: Reached,
    others: Vec<Follower>,
}

/// How far everybody's variant has got.
#[derive(Debug, Default)]
struct Reached {
    /// Decoding time of each track's newest frame.
    newest: Vec<(TrackId, MediaTime)>,
    /// It stands still, and may do so for long.
    stands: bool,
}

/// A variant that follows everybody's.
#[derive(Debug)]
struct Follower {
    packager: Packager,
    waiting: VecDeque<Item>,
    bytes: usize,
    /// Decoding time of the newest frame that came.
    newest: MediaTime,
    /// Nothing more will come.
    ended: bool,
}

impl Variants {
    /// Everybody's variant alone.
    pub fn new(config: PackagerConfig) -> Self {
        Self { config, everybody: Packager::new(config), reached: Reached::default(), others: Vec::new() }
    }

    /// Begins another variant; its items are to come from a keyframe on.
    pub fn add(&mut self, variant: u8) {
        if !self.has(variant) {
            self.others.push(Follower::new(Packager::following(self.config, variant)));
        }
    }

    /// Everybody's variant.
    pub const fn everybody(&self) -> &Packager {
        &self.everybody
    }

    /// All of them, everybody's first.
    pub fn packagers(&self) -> impl Iterator<Item = &Packager> {
        std::iter::once(&self.everybody).chain(self.others.iter().map(|other| &other.packager))
    }

    /// Whether this one is among them.
    pub fn has(&self, variant: u8) -> bool {
        self.packagers().any(|packager| packager.variant() == variant)
    }

    /// Whether all of them are over.
    pub fn has_ended(&self) -> bool {
        self.packagers().all(Packager::has_ended)
    }

    /// The next item of a variant.
    pub fn feed(&mut self, variant: u8, item: Item) {
        if variant == 0 {
            self.reached.take_note(&item);
            give(&mut self.everybody, item);
        } else if let Some(other) = self.others.iter_mut().find(|other| other.packager.variant() == variant) {
            other.keep(item);
        }
    }

    /// Lets the variants go on as far as everybody's has got; to be called once everybody's has been fed all that was written
    /// before what the others were fed.
    pub fn advance(&mut self) {
        for other in &mut self.others {
            other.packager.follow(&self.everybody);
            other.go_on(&self.reached);
            other.packager.share(&self.everybody);
        }
    }
}

impl Reached {
    fn take_note(&mut self, item: &Item) {
        match item {
            Item::Frame(frame) => {
                self.stands = false;
                match self.newest.iter_mut().find(|(track, _)| *track == frame.track) {
                    Some((_, newest)) => *newest = (*newest).max(frame.dts),
                    None => self.newest.push((frame.track, frame.dts)),
                }
            }
            Item::Interrupted | Item::Ended => self.stands = true,
            _ => {}
        }
    }

    /// Whether a frame like this is there; of a track that only another variant has, none is waited for.
    fn covers(&self, frame: &Frame) -> bool {
        let newest = self.newest.iter().find(|(track, _)| *track == frame.track);
        self.stands || newest.is_none_or(|(_, newest)| *newest >= frame.dts)
    }
}

impl Follower {
    const fn new(packager: Packager) -> Self {
        Self { packager, waiting: VecDeque::new(), bytes: 0, newest: MediaTime::ZERO, ended: false }
    }

    fn keep(&mut self, item: Item) {
        self.bytes += size(&item);
        match &item {
            Item::Frame(frame) => self.newest = self.newest.max(frame.dts),
            Item::Ended => self.ended = true,
            _ => {}
        }
        self.waiting.push_back(item);
    }

    fn go_on(&mut self, reached: &Reached) {
        while self.waiting.front().is_some_and(|item| self.may_pass(item, reached)) {
            let Some(item) = self.waiting.pop_front() else { return };
            self.bytes -= size(&item);
            give(&mut self.packager, item);
        }
    }

    fn may_pass(&self, item: &Item, reached: &Reached) -> bool {
        let Item::Frame(frame) = item else { return true };
        reached.covers(frame)
            || self.ended
            || self.newest - frame.dts > LONGEST_WAIT
            || self.bytes > WAITING_BYTES
            || self.waiting.len() > WAITING_ITEMS
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Frame(frame) => frame.payload.len(),
        _ => 0,
    }
}

fn give(packager: &mut Packager, item: Item) {
    match item {
        Item::Track(track) => packager.track(track),
        Item::Frame(frame) => packager.frame(frame),
        Item::Cue(cue) => packager.cue(cue),
        Item::Lagged(_) | Item::Interrupted => packager.interrupted(),
        Item::Ended => packager.ended(),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn b21_what_waits_is_bounded_whatever_its_times() {
        let mut variants = Variants::new(PackagerConfig::default());
        variants.add(1);
        let frame = |nanos, size| {
            let time = MediaTime::from_nanos(nanos);
            let payload = Bytes::from(vec![0; size]);
            Frame { track: TrackId(0), pts: time, dts: time, keyframe: true, disposable: false, payload }
        };
        variants.feed(0, Item::Frame(frame(0, 1)));
        // All at one moment, and everybody's variant has not come to it.
        for size in [1, 64 << 10] {
            for nanos in 1..5000 {
                variants.feed(1, Item::Frame(frame(nanos, size)));
                variants.advance();
                let Follower { waiting, bytes, .. } = &variants.others[0];
                assert!(waiting.len() <= WAITING_ITEMS && *bytes <= WAITING_BYTES);
                assert_eq!(*bytes, waiting.iter().map(super::size).sum::<usize>());
            }
        }
        assert!(variants.others[0].waiting.len() > 100);
    }
}
