//! When the audience stands out of the broadcast's own baseline.
//!
//! Comments and reactions are counted in bins of five seconds. For each kind the mean and the variance of the bins are
//! followed with a memory of five minutes; a bin that stands out is counted as just within it, so that a moment does not
//! become its own baseline. At least the variance of chance events (the mean) is taken for granted.

use crate::media::{MediaTime, Signal};

const BIN: i64 = 5_000_000_000;
/// What one bin weighs in the baseline.
const WEIGHT: f64 = 1.0 / 60.0;
/// Bins before anything stands out: two minutes.
const WARM_UP: u32 = 24;
/// Fewer events than this in a bin are no moment, whatever the baseline.
const MIN_EVENTS: f64 = 8.0;
/// Standard deviations at which a bin is cut for the baseline.
const CUT: f64 = 3.0;
/// Bins without any signal that are counted as empty; after a longer silence the baseline begins anew.
const MAX_SILENCE: i64 = 120;

/// Follows a broadcast's audience.
#[derive(Clone, Debug, Default)]
pub struct Engagement {
    comments: Baseline,
    reactions: Baseline,
}

#[derive(Clone, Debug, Default)]
struct Baseline {
    bin: i64,
    count: f64,
    bins: u32,
    mean: f64,
    variance: f64,
}

impl Engagement {
    /// Takes a signal.
    pub fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::Comments { at, count } => self.comments.add(*at, *count),
            Signal::Reactions { at, count } => self.reactions.add(*at, *count),
            Signal::Hashtag { .. } => {}
        }
    }

    /// How far the audience stands out just now, in standard deviations; 0 while that cannot be told.
    pub fn level(&self) -> f64 {
        self.comments.level().max(self.reactions.level())
    }
}

impl Baseline {
    fn add(&mut self, at: MediaTime, count: u32) {
        let bin = at.as_nanos().div_euclid(BIN);
        if bin > self.bin.saturating_add(MAX_SILENCE) {
            *self = Self { bin, ..Self::default() };
        }
        while self.bin < bin {
            self.close();
        }
        self.count += f64::from(count);
    }

    fn close(&mut self) {
        let deviation = self.deviation();
        self.bins = self.bins.saturating_add(1);
        // The first bins are averaged: a single one is no baseline.
        let weight = WEIGHT.max(1.0 / f64::from(self.bins));
        let known = self.bins > WARM_UP;
        let count = if known { self.count.min(self.mean + CUT * deviation) } else { self.count };
        let distance = count - self.mean;
        self.mean += weight * distance;
        self.variance = (1.0 - weight) * (self.variance + weight * distance * distance);
        self.bin += 1;
        self.count = 0.0;
    }

    fn deviation(&self) -> f64 {
        self.variance.max(self.mean).max(1.0).sqrt()
    }

    fn level(&self) -> f64 {
        if self.bins < WARM_UP || self.count < MIN_EVENTS {
            return 0.0;
        }
        ((self.count - self.mean) / self.deviation()).max(0.0)
    }
}
