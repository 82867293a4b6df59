//! How long to wait before the next process is started, when those before it came to nothing.

use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(100);
/// At most.
const LONGEST: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub struct BackOff {
    failures: u32,
}

impl BackOff {
    /// A process came to nothing.
    pub const fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// A process did its job.
    pub const fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next: nothing, then twice as long with every failure.
    pub fn delay(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures => FIRST.saturating_mul(1_u32 << (failures - 1).min(16)).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_longer_with_every_failure_and_not_at_all_after_a_success() {
        let mut back_off = BackOff::default();
        let mut delays = Vec::new();
        for _ in 0..12 {
            delays.push(back_off.delay().as_millis());
            back_off.failed();
        }
        assert_eq!(delays[..5], [0, 100, 200, 400, 800]);
        assert_eq!(delays[11], 30_000);
        (0..100).for_each(|_| back_off.failed());
        assert_eq!(back_off.delay(), LONGEST);
        back_off.succeeded();
        assert_eq!(back_off.delay(), Duration::ZERO);
    }
}
