//! The clocks of the machine, and how a moment is written.
//!
//! Pure code takes `now` as a parameter; everybody else asks here, so that there is one place to look for.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Days of 400 years.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// The monotonic clock, for intervals.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock, for people and files. It may jump, in both directions.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The wall clock in milliseconds since the Unix epoch.
pub fn unix_now() -> i64 {
    unix_millis(wall())
}

/// Milliseconds since the Unix epoch; negative before it.
pub fn unix_millis(moment: SystemTime) -> i64 {
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match moment.duration_since(UNIX_EPOCH) {
        Ok(after) => millis(after),
        Err(before) => -millis(before.duration()),
    }
}

/// The moment in UTC as RFC 3339 writes it, with milliseconds: `2026-03-01T12:00:00.000Z`.
pub fn rfc3339(moment: SystemTime) -> String {
    rfc3339_millis(unix_millis(moment))
}

/// The same of a moment in Unix milliseconds.
pub fn rfc3339_millis(millis: i64) -> String {
    let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil_date(days);
    let (seconds, fraction) = (in_day / 1000, in_day % 1000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}Z")
}

/// Reads a moment as RFC 3339 writes it (§5.6), in Unix milliseconds; finer fractions are cut off, and a leap second is the
/// second after it.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = bytes.get(from..to)?;
        let is_number = digits.iter().all(u8::is_ascii_digit);
        is_number.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    };
    let mark = |at: usize, marks: &[u8]| bytes.get(at).filter(|byte| marks.contains(byte)).map(drop);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    [4, 7].into_iter().try_for_each(|at| mark(at, b"-"))?;
    mark(10, b"Tt ")?;
    [13, 16].into_iter().try_for_each(|at| mark(at, b":"))?;
    let rest = bytes.get(19..)?;
    let fraction = rest.strip_prefix(b".").map_or(&[][..], |rest| {
        let end = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        &rest[..end]
    });
    let zone = 19 + if rest.first() == Some(&b'.') { fraction.len() + 1 } else { 0 };
    if zone == 20 {
        return None;
    }
    let millis =
        (0..3).fold(0, |sum, at| sum * 10 + fraction.get(at).map_or(0, |digit| i64::from(digit - b'0')));
    let offset = match bytes.get(zone..)? {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (number(zone + 1, zone + 3)?, number(zone + 4, zone + 6)?);
            let ahead = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
            if *sign == b'-' { -ahead } else { ahead }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let is_real = civil_date(days) == (year, month, day) && hour <= 23 && minute <= 59 && second <= 60;
    let minutes = (days * 24 + hour) * 60 + minute - offset;
    is_real.then_some((minutes * 60 + second) * 1000 + millis)
}

/// The day of a date, counted from 1970-01-01: the reverse of [`civil_date`], for dates that there are.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - EPOCH
}

/// The proleptic Gregorian date of a day counted from 1970-01-01.
///
/// Years are counted from a first of March, so that the leap day is the last day of its year and the lengths of the
/// months follow one linear rule.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let shifted = days.saturating_add(EPOCH);
    let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_millis(millis)), text);
        }
        assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_millis(1)), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn moments_are_read_as_they_are_written_in_any_time_zone() {
        for day in (-200_000_i64..200_000).step_by(37) {
            let moment = UNIX_EPOCH + Duration::from_millis(86_399_999);
            let text = rfc3339(if day < 0 {
                moment - Duration::from_secs(86_400 * (-day).cast_unsigned())
            } else {
                moment + Duration::from_secs(86_400 * day.cast_unsigned())
            });
            assert_eq!(parse_rfc3339(&text), Some(day * 86_400_000 + 86_399_999), "{text}");
        }
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01t01:00:00+01:00", 0),
            ("1969-12-31 19:30:00.5-04:30", 500),
            ("1970-01-01T00:00:00.123456789z", 123),
            ("1998-12-31T23:59:60Z", 915_148_800_000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(millis), "{text}");
        }
        for bad in [
            "",
            "now",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-13-01T00:00:00Z",
            "1970-02-29T00:00:00Z",
            "1970-01-00T00:00:00Z",
            "1970-00-10T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00+1:00",
            "1970-01-01T00:00:00+24:00",
            "1970-01-01T00:00:00ZZ",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00\u{e4}",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }
}
