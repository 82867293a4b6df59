//! Spares a bidder that does not answer, and everybody else its requests: a circuit breaker.
//!
//! ```text
//! closed ──5 failures in a row, or half of the last 64──▶ open ──after its time──▶ half-open: one request
//!   ▲                                                     ▲                           │          │
//!   └──────────────────────────── it was answered ────────┼───────────────────────────┘          │
//!                                                         └── it was not: twice the time ────────┘
//! ```

use std::time::{Duration, Instant};

/// Failures in a row that open it.
const IN_A_ROW: u32 = 5;
/// Outcomes that are remembered.
const REMEMBERED: u32 = u64::BITS;
/// Of so many at least, half must have failed to open it.
const ENOUGH: u32 = 32;
/// How long it is open at first.
const SHORTEST: Duration = Duration::from_secs(5);
/// How long it is open at most.
const LONGEST: Duration = Duration::from_secs(60);
/// A trial of which nothing was heard counts as lost after so long: nobody waits longer for an answer.
const LOST: Duration = Duration::from_secs(10);

/// The breaker of one bidder.
#[derive(Debug)]
pub struct Breaker {
    state: State,
    in_a_row: u32,
    /// The last outcomes, the newest in the lowest bit; a failure is 1.
    failures: u64,
    seen: u32,
    opened: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant, wait: Duration },
    HalfOpen { since: Instant, wait: Duration },
}

/// How a breaker stands, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Requests go through.
    Closed,
    /// One request is tried.
    HalfOpen,
    /// No request goes through.
    Open,
}

/// A request may go through; its outcome is to be told with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    is_trial: bool,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: State::Closed, in_a_row: 0, failures: 0, seen: 0, opened: 0 }
    }
}

impl Breaker {
    /// Whether a request may go through now.
    pub fn admit(&mut self, now: Instant) -> Option<Pass> {
        match self.state {
            State::Closed => Some(Pass { is_trial: false }),
            State::Open { until, wait } if until <= now => {
                self.state = State::HalfOpen { since: now, wait };
                Some(Pass { is_trial: true })
            }
            State::HalfOpen { since, wait } if now.saturating_duration_since(since) >= LOST => {
                self.state = State::HalfOpen { since: now, wait };
                Some(Pass { is_trial: true })
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// What came of a request.
    pub fn tell(&mut self, pass: Pass, is_answered: bool, now: Instant) {
        match self.state {
            State::Closed => {
                self.seen = (self.seen + 1).min(REMEMBERED);
                self.failures = self.failures << 1 | u64::from(!is_answered);
                self.in_a_row = if is_answered { 0 } else { self.in_a_row + 1 };
                let failures = self.failures.count_ones();
                let is_bad = self.seen >= ENOUGH && failures * 2 >= self.seen;
                if !is_answered && (self.in_a_row >= IN_A_ROW || is_bad) {
                    self.open(SHORTEST, now);
                }
            }
            // What was asked before it opened says nothing new.
            State::HalfOpen { .. } if !pass.is_trial => {}
            State::HalfOpen { .. } if is_answered => *self = Self { opened: self.opened, ..Self::default() },
            State::HalfOpen { wait, .. } => self.open(wait.saturating_mul(2).min(LONGEST), now),
            State::Open { .. } => {}
        }
    }

    /// How it stands.
    pub const fn standing(&self) -> Standing {
        match self.state {
            State::Closed => Standing::Closed,
            State::HalfOpen { .. } => Standing::HalfOpen,
            State::Open { .. } => Standing::Open,
        }
    }

    /// How often it has opened.
    pub const fn opened(&self) -> u64 {
        self.opened
    }

    fn open(&mut self, wait: Duration, now: Instant) {
        self.state = State::Open { until: now + wait, wait };
        self.opened += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn ask(breaker: &mut Breaker, is_answered: bool, now: Instant) -> bool {
        let pass = breaker.admit(now);
        if let Some(pass) = pass {
            breaker.tell(pass, is_answered, now);
        }
        pass.is_some()
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_an_answer_between_them_does_not() {
        let (mut breaker, now) = (Breaker::default(), clock::monotonic());
        for is_answered in [false, false, false, false, true, false, false, false, false] {
            assert!(ask(&mut breaker, is_answered, now));
        }
        assert_eq!(breaker.standing(), Standing::Closed);
        assert!(ask(&mut breaker, false, now));
        assert_eq!((breaker.standing(), breaker.opened()), (Standing::Open, 1));
        assert!(!ask(&mut breaker, true, now), "nothing goes through");
    }

    #[test]
    fn half_of_many_open_it_though_some_are_answered() {
        let (mut breaker, now) = (Breaker::default(), clock::monotonic());
        let asked = (0..1000).take_while(|turn| ask(&mut breaker, turn % 2 == 0, now)).count();
        assert_eq!((asked, breaker.standing()), (32, Standing::Open));
        let mut breaker = Breaker::default();
        assert!((0..1000).all(|turn| ask(&mut breaker, turn % 3 != 0, now)), "a third is borne");
    }

    #[test]
    fn one_trial_decides_and_each_failure_doubles_the_time_up_to_a_minute() {
        let (mut breaker, mut now) = (Breaker::default(), clock::monotonic());
        while ask(&mut breaker, false, now) {}
        let mut waits = Vec::new();
        for _ in 0..6 {
            let before = now;
            while breaker.admit(now).is_none() {
                now += Duration::from_secs(1);
            }
            assert_eq!(breaker.standing(), Standing::HalfOpen);
            assert_eq!(breaker.admit(now), None, "one trial at a time");
            breaker.tell(Pass { is_trial: false }, true, now);
            assert_eq!(breaker.standing(), Standing::HalfOpen, "what was asked before says nothing");
            breaker.tell(Pass { is_trial: true }, false, now);
            waits.push((now - before).as_secs());
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
        now += LONGEST;
        assert!(ask(&mut breaker, true, now));
        assert_eq!(breaker.standing(), Standing::Closed);
        assert!((0..4).all(|_| ask(&mut breaker, false, now)), "what was before is forgotten");
        assert_eq!(breaker.standing(), Standing::Closed);
    }

    #[test]
    fn a_trial_that_nothing_is_heard_of_does_not_keep_it_closed_for_ever() {
        let (mut breaker, now) = (Breaker::default(), clock::monotonic());
        while ask(&mut breaker, false, now) {}
        assert!(breaker.admit(now + SHORTEST).is_some());
        assert!(breaker.admit(now + SHORTEST + LOST - Duration::from_millis(1)).is_none());
        assert!(breaker.admit(now + SHORTEST + LOST).is_some());
    }
}
