//! Media time: the one clock that frames, cues, comments and replays share.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::time::Duration;

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Signed nanoseconds since the broadcast began, on the source's clock.
///
/// The same number names the same moment in every rendition and every protocol. Differences of two media times
/// are media times as well. Arithmetic saturates: a peer's absurd timestamp must never panic or wrap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(i64);

impl MediaTime {
    /// The start of the broadcast.
    pub const ZERO: Self = Self(0);
    /// Later than every frame.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds, the unit of RTMP and FLV.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(NANOS_PER_MILLI))
    }

    /// From ticks of a clock that runs at `timescale` ticks a second, rounded to the nearest nanosecond.
    ///
    /// # Panics
    /// When `timescale` is zero; a timescale from the wire is checked by the parser that reads it.
    pub const fn from_ticks(ticks: i64, timescale: u32) -> Self {
        Self(clamp(div_round(ticks as i128 * NANOS_PER_SECOND, timescale as i128)))
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Milliseconds, rounded to the nearest: a time made with [`from_millis`](Self::from_millis) comes back exactly.
    pub const fn as_millis(self) -> i64 {
        clamp(div_round(self.0 as i128, NANOS_PER_MILLI as i128))
    }

    /// Ticks of a clock that runs at `timescale` ticks a second, rounded to the nearest tick.
    pub const fn to_ticks(self, timescale: u32) -> i64 {
        clamp(div_round(self.0 as i128 * timescale as i128, NANOS_PER_SECOND))
    }

    /// Seconds, for people and playlists.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_SECOND as f64
    }

    /// The distance from `earlier` to `self`, zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The absolute distance from zero.
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
}

impl From<Duration> for MediaTime {
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl Add for MediaTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MediaTime {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for MediaTime {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl SubAssign for MediaTime {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Neg for MediaTime {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl fmt::Debug for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.as_secs_f64())
    }
}

const fn div_round(numerator: i128, denominator: i128) -> i128 {
    (numerator + denominator / 2).div_euclid(denominator)
}

const fn clamp(value: i128) -> i64 {
    if value > i64::MAX as i128 {
        i64::MAX
    } else if value < i64::MIN as i128 {
        i64::MIN
    } else {
        value as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_and_ticks_round_trip() {
        for millis in [-40, -1, 0, 1, 33, 67, 3_600_000, 16_777_216, 4_294_967_296] {
            let time = MediaTime::from_millis(millis);
            assert_eq!(time.as_millis(), millis);
            assert_eq!(MediaTime::from_ticks(time.to_ticks(90_000), 90_000), time);
        }
        assert_eq!(MediaTime::from_ticks(1024, 44_100).to_ticks(44_100), 1024);
    }

    #[test]
    fn absurd_times_saturate() {
        assert_eq!(MediaTime::MAX + MediaTime::from_millis(1), MediaTime::MAX);
        assert_eq!(MediaTime::MAX.to_ticks(u32::MAX), i64::MAX);
        assert_eq!(MediaTime::from_nanos(i64::MIN).abs(), MediaTime::MAX);
        assert_eq!(MediaTime::ZERO.since(MediaTime::from_millis(5)), Duration::ZERO);
    }
}
