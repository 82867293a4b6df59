//! Durations that were measured, and their percentiles.

use std::time::Duration;

/// Measured durations, to the microsecond.
///
/// They are kept as they are: a run has some hundred thousand of four bytes each, and their percentiles are exact.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<u32>);

impl Samples {
    /// Adds one; from 71 minutes on all are alike.
    pub fn push(&mut self, duration: Duration) {
        self.0.push(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX));
    }

    /// Adds those of another.
    pub fn extend(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// The values in order, for reading percentiles.
    pub fn sorted(mut self) -> Sorted {
        self.0.sort_unstable();
        Sorted(self.0)
    }
}

/// Measured durations in order.
#[derive(Clone, Debug)]
pub struct Sorted(Vec<u32>);

impl Sorted {
    /// The smallest value that at least `percent` of all are not above (nearest rank); `None` without any.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        let micros = self.0.get(rank.clamp(1, self.0.len().max(1)) - 1)?;
        Some(Duration::from_micros(u64::from(*micros)))
    }

    /// The largest value; `None` without any.
    pub fn max(&self) -> Option<Duration> {
        self.percentile(100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(millis: impl IntoIterator<Item = u64>) -> Samples {
        let mut samples = Samples::default();
        millis.into_iter().for_each(|millis| samples.push(Duration::from_millis(millis)));
        samples
    }

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let mut all = samples((1..=50).rev());
        all.extend(&samples(51..=100));
        let sorted = all.sorted();
        for (percent, millis) in [(0.0, 1), (1.0, 1), (50.0, 50), (50.5, 51), (99.0, 99), (100.0, 100)] {
            assert_eq!(sorted.percentile(percent), Some(Duration::from_millis(millis)), "{percent}");
        }
        assert_eq!(sorted.max(), Some(Duration::from_millis(100)));
    }

    #[test]
    fn one_value_is_all_percentiles_and_none_is_none() {
        assert_eq!(samples([7]).sorted().percentile(99.0), Some(Duration::from_millis(7)));
        assert_eq!(samples([]).sorted().percentile(50.0), None);
    }

    #[test]
    fn endless_durations_do_not_wrap() {
        let mut samples = Samples::default();
        samples.push(Duration::MAX);
        assert_eq!(samples.sorted().max(), Some(Duration::from_micros(u64::from(u32::MAX))));
    }
}
