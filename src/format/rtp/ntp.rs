//! The timestamps of the Network Time Protocol, as sender reports carry them (RFC 3550 §4).

use std::time::{SystemTime, UNIX_EPOCH};

const NANOS_PER_SECOND: i128 = 1_000_000_000;
/// 1970 in seconds since 1900, where NTP begins to count.
const UNIX_EPOCH_SECONDS: i128 = 2_208_988_800;

/// The time in units of 2⁻³² s since 1900, modulo 2³² s: it begins anew in 2036, and receivers know.
pub fn ntp(time: SystemTime) -> u64 {
    // A time that the platform can tell fits: 2⁶⁴ s in nanoseconds have 94 bits.
    let since_1970 = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    };
    let since_1900 = since_1970 + UNIX_EPOCH_SECONDS * NANOS_PER_SECOND;
    let seconds = since_1900.div_euclid(NANOS_PER_SECOND) as u64;
    let fraction = (since_1900.rem_euclid(NANOS_PER_SECOND) << 32) / NANOS_PER_SECOND;
    seconds << 32 | fraction as u64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_wall_clock_becomes_ntp_time() {
        assert_eq!(ntp(UNIX_EPOCH), 2_208_988_800 << 32);
        assert_eq!(ntp(UNIX_EPOCH + Duration::from_millis(1_500)), 2_208_988_801 << 32 | 1 << 31);
        assert_eq!(ntp(UNIX_EPOCH - Duration::from_millis(250)), 2_208_988_799 << 32 | 3 << 30);
    }

    #[test]
    fn the_count_begins_anew_in_2036() {
        let last_second = Duration::from_secs(u64::from(u32::MAX) - 2_208_988_800);
        assert_eq!(ntp(UNIX_EPOCH + last_second), u64::from(u32::MAX) << 32);
        assert_eq!(ntp(UNIX_EPOCH + last_second + Duration::from_secs(1)), 0);
    }
}
