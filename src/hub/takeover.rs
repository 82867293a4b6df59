//! Who wins when a second publisher comes with a channel's key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many takeovers within [`WINDOW`] are a fight of two encoders, not a person who reconnects.
const MOST: usize = 3;

/// The stretch in which takeovers are counted.
const WINDOW: Duration = Duration::from_secs(30);

/// The newest publisher wins, unless takeovers come so fast that two encoders must be fighting: then the
/// incumbent stays, so that viewers see one of them.
#[derive(Debug, Default)]
pub struct Takeovers {
    recent: VecDeque<Instant>,
}

impl Takeovers {
    /// Whether a newcomer may replace a publisher that is on the air; counts it if so.
    pub fn allow(&mut self, now: Instant) -> bool {
        self.recent.retain(|&at| now.saturating_duration_since(at) < WINDOW);
        if self.recent.len() >= MOST {
            return false;
        }
        self.recent.push_back(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn b35_the_newest_wins_until_it_is_a_fight() {
        let start = clock::monotonic();
        let mut takeovers = Takeovers::default();
        let allowed: Vec<bool> = (0..5).map(|n| takeovers.allow(start + Duration::from_secs(n))).collect();
        assert_eq!(allowed, [true, true, true, false, false]);
        assert!(takeovers.allow(start + Duration::from_secs(30)), "the first is forgotten");
        assert!(!takeovers.allow(start + Duration::from_secs(30)));
    }
}
