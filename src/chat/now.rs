//! The moment at which something happens in a room, on both clocks.

use std::time::Duration;

/// Intervals are measured on the monotonic clock; what is kept or shown carries the wall clock's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Since the server started.
    pub uptime: Duration,
    /// Unix time in milliseconds.
    pub unix_millis: i64,
}

impl Now {
    /// The same moment so much later.
    #[must_use]
    pub fn after(self, interval: Duration) -> Self {
        Self {
            uptime: self.uptime + interval,
            unix_millis: self.unix_millis.saturating_add(millis(interval)),
        }
    }
}

/// Whole milliseconds.
pub fn millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}
