//! How far a source's clock is ahead of the server's.

use std::time::Duration;

use crate::media::MediaTime;

/// The earliest frames of so long are looked at, and of as long before: through any delay of the network that a broadcast survives.
const WINDOW: Duration = Duration::from_secs(60);

/// The lead of one publisher.
///
/// Media time goes on as the source says: with a crystal that is a little fast, with a burst, or with a first frame that was
/// long on its way it is ahead of the time since the broadcast began; with an encoder that cannot keep up it falls behind. The
/// network delays frames and never hurries them, so the frame that was the farthest ahead of late says it best.
#[derive(Debug)]
pub struct Lead {
    since: Duration,
    now: MediaTime,
    before: MediaTime,
}

impl Lead {
    /// Of a publisher who comes in at `base`, so long after the broadcast began.
    pub fn new(base: MediaTime, elapsed: Duration) -> Self {
        let lead = base - elapsed.into();
        Self { since: elapsed, now: lead, before: lead }
    }

    /// A frame has come, so long after the broadcast began.
    pub fn frame(&mut self, dts: MediaTime, elapsed: Duration) {
        let lead = dts - elapsed.into();
        if elapsed.saturating_sub(self.since) < WINDOW {
            self.now = self.now.max(lead);
        } else {
            (self.since, self.before, self.now) = (elapsed, self.now, lead);
        }
    }

    /// By how much frames come earlier than media time says. Negative: they come later.
    pub fn get(&self) -> MediaTime {
        self.now.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of a source whose clock runs so fast, each so long on its way; gives the lead at the end, in milliseconds.
    fn lead_of(seconds: u64, speed: f64, delay: impl Fn(u64) -> u64) -> i64 {
        let mut lead = Lead::new(MediaTime::ZERO, Duration::ZERO);
        for millis in (0..seconds * 1000).step_by(40) {
            let media = MediaTime::from_millis((millis as f64 * speed) as i64);
            lead.frame(media, Duration::from_millis(millis + delay(millis)));
        }
        lead.get().as_millis()
    }

    #[test]
    fn a_clock_that_is_fast_or_slow_is_followed() {
        assert_eq!(lead_of(3600, 1.0, |_| 0), 0);
        let fast = lead_of(3600, 1.001, |_| 0);
        assert!((3590..=3600).contains(&fast), "{fast}");
        // What was the most of the last two minutes is too much rather than too little.
        let slow = lead_of(3600, 0.999, |_| 0);
        assert!((-3600..=-3475).contains(&slow), "{slow}");
    }

    #[test]
    fn the_network_delays_and_never_hurries() {
        assert_eq!(lead_of(300, 1.0, |millis| millis % 7 * 30), 0);
        // For fifty seconds everything comes later and later, and then all of it at once.
        assert_eq!(lead_of(200, 1.0, |millis| (millis.clamp(100_000, 150_000) - 100_000) % 50_000 / 2), 0);
    }

    #[test]
    fn a_first_frame_that_was_long_on_its_way_makes_the_others_early() {
        let mut lead = Lead::new(MediaTime::ZERO, Duration::ZERO);
        for millis in (0..10_000).step_by(40) {
            lead.frame(
                MediaTime::from_millis(millis),
                Duration::from_millis(millis.unsigned_abs().saturating_sub(300)),
            );
        }
        assert_eq!(lead.get(), MediaTime::from_millis(300));
    }
}
