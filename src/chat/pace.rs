//! How fast somebody may do something: a bucket of tokens.

use std::time::Duration;

/// Holds at most `burst` tokens; one is added every `interval`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many at once.
    pub burst: u32,
    /// How long until one more.
    pub interval: Duration,
}

/// Where one person stands. Starts full.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When the bucket will be full again, as uptime: all that has to be kept.
    full_at: Duration,
}

impl Bucket {
    /// Takes a token, or says how long until there is one.
    ///
    /// # Errors
    /// The wait until the next token; nothing is taken then.
    pub fn take(&mut self, pace: Pace, now: Duration) -> Result<(), Duration> {
        let full_at = self.full_at.max(now) + pace.interval;
        let room = pace.interval.saturating_mul(pace.burst);
        match (full_at - now).checked_sub(room) {
            None | Some(Duration::ZERO) => {
                self.full_at = full_at;
                Ok(())
            }
            Some(wait) => Err(wait),
        }
    }

    /// Takes as many of `wanted` tokens as there are, and says how many.
    pub fn take_up_to(&mut self, wanted: u32, pace: Pace, now: Duration) -> u32 {
        (0..wanted).take_while(|_| self.take(pace, now).is_ok()).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { burst: 3, interval: Duration::from_secs(1) };

    #[test]
    fn a_burst_passes_and_then_one_an_interval() {
        let mut bucket = Bucket::default();
        let at = |millis| Duration::from_secs(100) + Duration::from_millis(millis);
        assert_eq!(bucket.take_up_to(5, PACE, at(0)), 3);
        assert_eq!(bucket.take(PACE, at(400)), Err(Duration::from_millis(600)));
        assert_eq!(bucket.take(PACE, at(1000)), Ok(()));
        assert!(bucket.take(PACE, at(1000)).is_err());
        assert_eq!(bucket.take_up_to(10, PACE, at(60_000)), 3, "it does not overflow");
    }
}
