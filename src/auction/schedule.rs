//! When a campaign runs: its flight, and the hours of the week therein.

use serde::{Deserialize, Serialize};

use crate::ledger::UnixMillis;

const HOUR: i64 = 3_600_000;
const HOURS_A_WEEK: usize = 168;
const WEEK: i64 = HOUR * HOURS_A_WEEK as i64;
/// 1970-01-01 was a Thursday: hours from the Monday before it.
const EPOCH_HOUR: i64 = 72;

/// From when to when, and in which hours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Schedule {
    /// The first moment.
    pub start: UnixMillis,
    /// The first moment after it.
    pub end: UnixMillis,
    /// Hours of the week.
    #[serde(default)]
    pub hours: DayParts,
}

/// Hours of the week in which a campaign runs, in a time zone at a fixed distance from UTC.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DayParts {
    /// For each day, Monday first, a bit for each hour, midnight lowest.
    pub days: [u32; 7],
    /// Minutes that the clock there is ahead of UTC.
    pub offset_minutes: i16,
}

impl Default for DayParts {
    /// Always.
    fn default() -> Self {
        Self { days: [0xff_ffff; 7], offset_minutes: 0 }
    }
}

impl DayParts {
    fn has(&self, hour_of_week: usize) -> bool {
        let day = self.days.get(hour_of_week / 24).copied().unwrap_or(0);
        day >> (hour_of_week % 24) & 1 == 1
    }

    /// The time from the Monday before the epoch, on the clock there.
    const fn local(&self, at: UnixMillis) -> i64 {
        at.saturating_add(EPOCH_HOUR * HOUR).saturating_add(self.offset_minutes as i64 * 60_000)
    }
}

impl Schedule {
    /// Whether the campaign runs at a moment.
    pub fn is_running(&self, at: UnixMillis) -> bool {
        let hour = self.hours.local(at).rem_euclid(WEEK) / HOUR;
        (self.start..self.end).contains(&at) && self.hours.has(hour as usize)
    }

    /// For how many milliseconds of an interval it runs.
    pub fn running_between(&self, from: UnixMillis, to: UnixMillis) -> i64 {
        let (from, to) = (from.max(self.start), to.min(self.end));
        if from >= to {
            return 0;
        }
        let (from, to) = (self.hours.local(from), self.hours.local(to));
        self.running_until(to) - self.running_until(from)
    }

    /// From the beginning of local time to a moment of it; only differences mean something.
    fn running_until(&self, local: i64) -> i64 {
        let hours: u32 = self.hours.days.iter().map(|day| (day & 0xff_ffff).count_ones()).sum();
        let (weeks, in_week) = (local.div_euclid(WEEK), local.rem_euclid(WEEK));
        let (hour, in_hour) = ((in_week / HOUR) as usize, in_week % HOUR);
        let whole = (0..hour).filter(|hour| self.hours.has(*hour)).count() as i64;
        let part = if self.hours.has(hour) { in_hour } else { 0 };
        weeks.saturating_mul(i64::from(hours) * HOUR).saturating_add(whole * HOUR + part)
    }
}
