//! Whether a worker works as fast as time goes by.

use std::time::{Duration, Instant};

use crate::media::MediaTime;

/// A worker that is behind by no more than this keeps step: two frames at 4 a second.
const IN_STEP: MediaTime = MediaTime::from_millis(500);

/// What is wrong with a worker's pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It owes something and says nothing.
    Silent,
    /// It is behind, and does not get through as much media time as goes by.
    Slow,
}

/// Watches one worker.
#[derive(Debug)]
pub struct Pace {
    limit: Duration,
    /// Decoding time of the newest frame that it was given.
    given: Option<MediaTime>,
    /// Decoding time of the newest frame that it has worked off; before the first, that of the first that it was given.
    done: Option<MediaTime>,
    /// Since when it owes something without having said anything.
    silent_since: Option<Instant>,
    /// While it is behind: since when, and what was done then.
    behind_since: Option<(Instant, MediaTime)>,
}

impl Pace {
    /// Nothing longer than `limit` is accepted.
    pub const fn new(limit: Duration) -> Self {
        Self { limit, given: None, done: None, silent_since: None, behind_since: None }
    }

    /// It is expected to say something.
    pub fn expect(&mut self, now: Instant) {
        self.silent_since.get_or_insert(now);
    }

    /// It was given a frame that it will report when it is done.
    pub fn given(&mut self, dts: MediaTime, now: Instant) {
        self.given = self.given.max(Some(dts));
        self.done.get_or_insert(dts);
        self.expect(now);
        self.look(now);
    }

    /// It said something, which may be all that is expected.
    pub fn heard(&mut self, now: Instant) {
        self.silent_since = self.silent_since.map(|_| now);
    }

    /// It has worked off all frames up to this one.
    pub fn done(&mut self, dts: MediaTime, now: Instant) {
        self.done = self.done.max(Some(dts));
        self.silent_since = (self.given > self.done).then_some(now);
        self.look(now);
    }

    /// What is wrong at this moment.
    pub fn fault(&mut self, now: Instant) -> Option<Fault> {
        if self.silent_since.is_some_and(|since| now.saturating_duration_since(since) >= self.limit) {
            return Some(Fault::Silent);
        }
        let (since, done_then) = self.behind_since?;
        let went_by = now.saturating_duration_since(since);
        if went_by < self.limit {
            return None;
        }
        let done = self.done?;
        if done.since(done_then) < went_by {
            return Some(Fault::Slow);
        }
        self.behind_since = Some((now, done));
        None
    }

    fn look(&mut self, now: Instant) {
        let (Some(given), Some(done)) = (self.given, self.done) else { return };
        if given - done <= IN_STEP {
            self.behind_since = None;
        } else {
            self.behind_since.get_or_insert((now, done));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(2);

    /// A worker that is given a frame every 40 ms of `seconds` and reports those that `speed` times real time get through,
    /// after a burst of so many milliseconds at the start.
    fn run(burst: i64, speed: f64, seconds: i64) -> Option<(Fault, Duration)> {
        let start = crate::clock::monotonic();
        let mut pace = Pace::new(LIMIT);
        for frame in 0..burst / 40 {
            pace.given(MediaTime::from_millis(frame * 40), start);
        }
        let mut reported = -1;
        for tick in 0..seconds * 100 {
            let now = start + Duration::from_millis(tick as u64 * 10);
            let live = burst + tick * 10;
            if live % 40 == 0 {
                pace.given(MediaTime::from_millis(live), now);
            }
            let done = ((tick as f64 * 10.0 * speed) as i64).min(live) / 40;
            if done > reported {
                reported = done;
                pace.done(MediaTime::from_millis(done * 40), now);
            }
            if let Some(fault) = pace.fault(now) {
                return Some((fault, now - start));
            }
        }
        None
    }

    #[test]
    fn a_worker_that_keeps_step_or_catches_up_is_fine() {
        assert_eq!(run(0, 1.5, 60), None);
        assert_eq!(run(10_000, 3.0, 60), None, "ten seconds of a GOP are worked off in five");
        assert_eq!(run(60_000, 1.2, 60), None, "however long it takes");
    }

    #[test]
    fn slower_than_real_time_for_the_limit_is_a_fault() {
        let (fault, after) = run(0, 0.8, 60).unwrap();
        assert_eq!(fault, Fault::Slow);
        // It has half a second to fall behind by, which takes two and a half, and then the limit.
        assert!((Duration::from_millis(4_000)..Duration::from_millis(5_000)).contains(&after), "{after:?}");
        let (fault, after) = run(10_000, 0.9, 60).unwrap();
        assert_eq!((fault, after), (Fault::Slow, LIMIT));
    }

    #[test]
    fn silence_is_a_fault_when_something_is_owed() {
        let start = crate::clock::monotonic();
        let mut pace = Pace::new(LIMIT);
        assert_eq!(pace.fault(start + Duration::from_secs(100)), None, "nothing is owed");
        let given = start + Duration::from_secs(100);
        pace.given(MediaTime::ZERO, given);
        assert_eq!(pace.fault(given + LIMIT / 2), None);
        assert_eq!(pace.fault(given + LIMIT), Some(Fault::Silent));
        pace.given(MediaTime::from_millis(40), given + LIMIT / 2);
        assert_eq!(pace.fault(given + LIMIT), Some(Fault::Silent), "more work does not excuse it");
        pace.done(MediaTime::from_millis(40), given + LIMIT);
        assert_eq!(pace.fault(given + LIMIT * 50), None, "a source that pauses");
        pace.expect(given + LIMIT * 50);
        pace.heard(given + LIMIT * 50 + LIMIT / 2);
        assert_eq!(pace.fault(given + LIMIT * 51), None, "it is at it");
        assert_eq!(pace.fault(given + LIMIT * 52), Some(Fault::Silent));
    }
}
