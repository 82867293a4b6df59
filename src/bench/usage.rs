//! Readings of clocks and counters at the two ends of the interval that counts.

use std::io;
use std::time::Duration;

use super::machine::{self, Cores, CpuTime};

/// What is read at one end.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    at: Duration,
    server: Option<CpuTime>,
    generator: CpuTime,
    busy: Duration,
    bytes: u64,
}

/// What has happened between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// How long it was.
    pub length: Duration,
    /// Processor time of the server, if its process is known.
    pub server: Option<CpuTime>,
    /// Processor time of publisher and viewers.
    pub generator: Duration,
    /// Processor time of everything else on the same processors; unknown if the server's is.
    pub others: Duration,
    /// Bytes that have arrived.
    pub bytes: u64,
}

impl Reading {
    /// Reads everything; `now` and `bytes` are the caller's.
    ///
    /// # Errors
    /// When the server is gone.
    pub fn take(server: Option<u32>, cores: Cores, now: Duration, bytes: u64) -> io::Result<Self> {
        Ok(Self {
            at: now,
            server: server.map(CpuTime::of_tree).transpose()?,
            generator: CpuTime::of_this_process()?,
            busy: machine::busy(cores)?,
            bytes,
        })
    }

    /// What has happened until a later reading.
    pub fn until(&self, later: &Self) -> Interval {
        let server = self.server.zip(later.server).map(|(before, after)| after.since(before));
        let generator = later.generator.since(self.generator).total();
        let busy = later.busy.saturating_sub(self.busy);
        Interval {
            length: later.at.saturating_sub(self.at),
            server,
            generator,
            others: server.map_or(Duration::ZERO, |server| busy.saturating_sub(generator + server.total())),
            bytes: later.bytes.saturating_sub(self.bytes),
        }
    }
}

impl Interval {
    /// Bits that have arrived.
    pub fn bits(&self) -> f64 {
        self.bytes as f64 * 8.0
    }

    /// Mbit that have arrived a second.
    pub fn mbit_per_second(&self) -> f64 {
        if self.length.is_zero() { 0.0 } else { self.bits() / self.length.as_secs_f64() / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(seconds: u64, server: u64, generator: u64, busy: u64, bytes: u64) -> Reading {
        let time = |seconds| CpuTime { user: Duration::from_secs(seconds), system: Duration::ZERO };
        Reading {
            at: Duration::from_secs(seconds),
            server: Some(time(server)),
            generator: time(generator),
            busy: Duration::from_secs(busy),
            bytes,
        }
    }

    #[test]
    fn an_interval_is_what_lies_between() {
        let interval = reading(10, 1, 2, 100, 1_000).until(&reading(20, 5, 3, 107, 2_501_000));
        assert_eq!(interval.length, Duration::from_secs(10));
        assert_eq!(interval.server.map(CpuTime::total), Some(Duration::from_secs(4)));
        assert_eq!((interval.generator, interval.others), (Duration::from_secs(1), Duration::from_secs(2)));
        assert_eq!(interval.mbit_per_second(), 2.0);
    }

    #[test]
    fn without_the_server_nobody_can_be_blamed() {
        let unknown = Reading { server: None, ..reading(0, 0, 0, 0, 0) };
        let interval = unknown.until(&reading(10, 1, 1, 20, 0));
        assert_eq!((interval.server, interval.others), (None, Duration::ZERO));
    }
}
