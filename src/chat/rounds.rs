//! Rounds through a room's viewers, in each of which everybody is handed what has come since the last.
//!
//! A batch does not wait for the next round: viewers whose turn is still to come get it in this one, the others in the next. So
//! nobody waits longer than a round takes, where a batch that goes to all before the next would take up to two.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::posts::Posts;

/// While a round is under way, events are joined into batches of so much time: each is one more slice of a write.
const JOINED: Duration = Duration::from_millis(20);
/// Rounds begin at least so often where somebody waits, however long one takes.
const MAX_INTERVAL: Duration = Duration::from_millis(100);

/// Batches that not everybody has, and the round under way. Times are uptime.
#[derive(Debug)]
pub struct Rounds {
    /// The least time from the beginning of a round to that of the next.
    least: Duration,
    interval: Duration,
    /// The number of the first batch here.
    first: u64,
    batches: VecDeque<Arc<Posts>>,
    round: Option<Round>,
    began: Duration,
}

/// A round under way.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// The number behind the last batch that its first viewer is handed: all before it are everybody's when the round is over.
    end: u64,
}

impl Rounds {
    /// No round began yet. `least` is the least time between the beginnings of two.
    pub const fn new(least: Duration) -> Self {
        let batches = VecDeque::new();
        Self { least, interval: least, first: 0, batches, round: None, began: Duration::ZERO }
    }

    /// The number of the next batch: whoever comes in now is handed those from there on.
    pub fn end(&self) -> u64 {
        self.first + self.batches.len() as u64
    }

    /// Adds a batch.
    pub fn push(&mut self, posts: Posts) {
        self.batches.push_back(Arc::new(posts));
    }

    /// The batches that not everybody has, and the number of the first.
    pub fn batches(&self) -> (u64, Vec<Arc<Posts>>) {
        (self.first, self.batches.iter().map(Arc::clone).collect())
    }

    /// How long events wait for others now.
    pub fn interval(&self) -> Duration {
        if self.round.is_some() { self.least.min(JOINED) } else { self.interval }
    }

    /// Begins a round if it is time for one.
    pub fn begin(&mut self, now: Duration) -> bool {
        let begins = self.next().is_some_and(|at| now >= at);
        if begins {
            self.began = now;
            self.round = Some(Round { end: self.end() });
        }
        begins
    }

    /// When the next round is to begin, if there is none under way and somebody waits for it.
    pub fn next(&self) -> Option<Duration> {
        (self.round.is_none() && !self.batches.is_empty()).then_some(self.began + self.interval)
    }

    /// The round is over. The next waits until this one has taken three fifths of the time, so that a processor has time for other
    /// things, but not longer than [`MAX_INTERVAL`].
    pub fn finish(&mut self, now: Duration) {
        let Some(Round { end }) = self.round.take() else { return };
        while self.first < end && self.batches.pop_front().is_some() {
            self.first += 1;
        }
        let took = now.saturating_sub(self.began);
        self.interval = (took * 5 / 3).clamp(self.least, MAX_INTERVAL.max(self.least));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn rounds() -> Rounds {
        let mut rounds = Rounds::new(ms(50));
        rounds.push(Posts::new(Vec::new()));
        rounds
    }

    #[test]
    fn a_batch_of_a_quiet_room_goes_out_at_once() {
        let mut rounds = rounds();
        assert!(rounds.begin(ms(1000)));
        assert!(!rounds.begin(ms(1001)), "one at a time");
        rounds.finish(ms(1002));
        assert_eq!((rounds.end(), rounds.batches().1.len()), (1, 0));
        assert!(!rounds.begin(ms(2000)), "nobody waits");
    }

    #[test]
    fn what_comes_during_a_round_is_kept_for_those_who_had_their_turn() {
        let mut rounds = rounds();
        assert!(rounds.begin(ms(1000)));
        assert_eq!(rounds.interval(), JOINED);
        rounds.push(Posts::new(Vec::new()));
        assert_eq!((rounds.batches().0, rounds.batches().1.len()), (0, 2), "who is still to come gets both");
        rounds.finish(ms(1200));
        assert_eq!((rounds.batches().0, rounds.batches().1.len()), (1, 1));
        assert!(rounds.begin(ms(1200)), "a round that takes long is followed by the next");
        rounds.finish(ms(1300));
        assert_eq!(rounds.end(), 2);
    }

    #[test]
    fn the_longer_a_round_takes_the_longer_the_next_waits() {
        for (took, interval) in [(1, 50), (30, 50), (48, 80), (90, 100), (500, 500)] {
            let mut rounds = rounds();
            assert!(rounds.begin(ms(1000)));
            rounds.finish(ms(1000 + took));
            rounds.push(Posts::new(Vec::new()));
            let next = rounds.next().unwrap().max(ms(1000 + took));
            assert_eq!(next, ms(1000 + interval), "{took} ms");
            assert!(!rounds.begin(next - ms(1)) || took >= interval);
            assert!(rounds.round.is_some() || rounds.begin(next));
        }
    }
}
