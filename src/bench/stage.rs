//! What the tasks of one measurement share: its clock, what was published, and what counts.

use std::cell::Cell;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::samples::Samples;
use super::source::Mark;
use crate::clock;

/// A viewer who gets nothing for longer than this has a stall.
pub const STALL: Duration = Duration::from_secs(1);
/// The share of the stream that must arrive.
pub const WANTED: f64 = 0.99;

/// The state of a measurement. Its tasks run on one thread.
#[derive(Debug)]
pub struct Stage {
    epoch: Instant,
    /// Numbers of the pictures that count.
    counted: Cell<(u64, u64)>,
    measuring: Cell<bool>,
    paused: Cell<bool>,
    published: Cell<Published>,
}

/// What the publisher has sent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Pictures.
    pub frames: u64,
    /// Bytes of message bodies.
    pub bytes: u64,
    /// The longest that a message was sent after it was due, while measuring.
    pub latest: Duration,
}

impl Default for Stage {
    fn default() -> Self {
        Self {
            epoch: clock::monotonic(),
            counted: Cell::new((u64::MAX, u64::MAX)),
            measuring: Cell::new(false),
            paused: Cell::new(false),
            published: Cell::default(),
        }
    }
}

impl Stage {
    /// Time since the measurement was set up.
    pub fn now(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.epoch)
    }

    /// From the next picture on, all count.
    pub fn begin(&self) {
        self.counted.set((self.published.get().frames, u64::MAX));
        self.published.update(|published| Published { latest: Duration::ZERO, ..published });
        self.measuring.set(true);
    }

    /// No picture counts that is not sent yet.
    pub fn end(&self) {
        self.counted.set((self.counted.get().0, self.published.get().frames));
        self.measuring.set(false);
    }

    /// Nothing more is sent.
    pub fn pause(&self) {
        self.paused.set(true);
    }

    /// Whether the interval runs that counts.
    pub fn is_measuring(&self) -> bool {
        self.measuring.get()
    }

    /// Whether the publisher is to be silent.
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// Numbers of the pictures that count.
    pub fn counted(&self) -> Range<u64> {
        let (first, end) = self.counted.get();
        first..end
    }

    /// Notes what has been sent, and how long after it was due.
    pub fn sent(&self, frames: u64, bytes: usize, late: Duration) {
        self.published.update(|published| Published {
            frames: published.frames + frames,
            bytes: published.bytes + bytes as u64,
            latest: published.latest.max(late),
        });
    }

    /// What has been sent.
    pub fn published(&self) -> Published {
        self.published.get()
    }
}

/// How one viewer fared.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// From the beginning of the connection to the first keyframe.
    pub joined: Option<Duration>,
    /// How old the newest picture was a second after that, if he was asked.
    pub edge: Option<Duration>,
    /// Why he is no longer there.
    pub failure: Option<String>,
    /// Bytes on the wire.
    pub bytes: u64,
    /// Pictures that count.
    pub frames: u64,
    /// From sent to received, of each of them.
    pub delays: Samples,
    /// The longest time without anything, while measuring.
    pub longest_gap: Duration,
    /// When something came last.
    pub last_progress: Duration,
}

impl Record {
    /// Notes a picture that has arrived at `now`.
    pub fn picture(&mut self, mark: Mark, now: Duration, stage: &Stage) {
        if stage.counted().contains(&mark.number) {
            self.frames += 1;
            self.delays.push(now.saturating_sub(mark.sent));
        }
    }

    /// Notes that something has arrived, or that the interval ends.
    pub fn progress(&mut self, now: Duration, stage: &Stage) {
        if stage.is_measuring() {
            self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last_progress));
        }
        self.last_progress = now;
    }

    /// Why he was not served throughout without a stall; `None` if he was.
    pub fn steadiness(&self) -> Option<&str> {
        match &self.failure {
            Some(failure) => Some(failure),
            None if self.joined.is_none() => Some("saw no keyframe"),
            None if self.longest_gap > STALL => Some("stalled"),
            None => None,
        }
    }

    /// Why he did not see everything, but for one in a hundred pictures and stalls of a second; `None` if he did.
    pub fn verdict(&self, stage: &Stage) -> Option<&str> {
        let counted = stage.counted();
        let expected = (counted.end - counted.start) as f64;
        let lacks = (self.frames as f64) < WANTED * expected;
        self.steadiness().or_else(|| lacks.then_some("missed pictures"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { number, sent: Duration::from_millis(number) }
    }

    #[test]
    fn only_pictures_sent_within_the_interval_count() {
        let stage = Stage::default();
        let mut record = Record { joined: Some(Duration::ZERO), ..Record::default() };
        stage.sent(10, 1000, Duration::from_secs(5));
        record.picture(mark(9), Duration::from_secs(1), &stage);
        stage.begin();
        stage.sent(100, 1000, Duration::from_millis(3));
        (10..110).for_each(|number| record.picture(mark(number), Duration::from_millis(number + 4), &stage));
        stage.end();
        record.picture(mark(110), Duration::from_secs(1), &stage);
        assert_eq!((record.frames, stage.counted()), (100, 10..110));
        assert_eq!(record.delays.clone().sorted().max(), Some(Duration::from_millis(4)));
        assert_eq!(record.verdict(&stage), None);
        assert_eq!(stage.published().latest, Duration::from_millis(3));
    }

    #[test]
    fn a_viewer_with_a_stall_or_holes_or_a_failure_is_not_ok() {
        let stage = Stage::default();
        stage.begin();
        stage.sent(100, 1000, Duration::ZERO);
        let mut good = Record { joined: Some(Duration::ZERO), frames: 99, ..Record::default() };
        good.progress(Duration::from_secs(1), &stage);
        let mut stalled = good.clone();
        stalled.progress(Duration::from_millis(2001), &stage);
        stage.end();
        good.progress(Duration::from_secs(9), &stage);
        assert_eq!(good.verdict(&stage), None);
        assert_eq!(stalled.verdict(&stage), Some("stalled"));
        assert_eq!(Record { frames: 98, ..good.clone() }.verdict(&stage), Some("missed pictures"));
        assert_eq!(Record { frames: 0, ..good.clone() }.steadiness(), None);
        assert_eq!(Record { joined: None, ..good.clone() }.verdict(&stage), Some("saw no keyframe"));
        assert_eq!(Record { failure: Some("gone".to_owned()), ..good }.verdict(&stage), Some("gone"));
    }
}
