//! Hours of the week as people write them: days, from, to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auction::schedule::DayParts;

/// The hours of a day, one bit each.
const ALL_DAY: u32 = 0xff_ffff;

/// Hours of the week, in a time zone at a fixed distance from UTC.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct DayPartsForm {
    /// Minutes that the clock there is ahead of UTC: -720 to 840.
    #[serde(default)]
    offset_minutes: i16,
    /// All of these, up to 100.
    hours: Vec<HoursForm>,
}

/// Some hours of some days.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HoursForm {
    /// On which days.
    days: Vec<Day>,
    /// The first hour, 0 to 23.
    from: u8,
    /// The hour after the last one, 1 to 24.
    to: u8,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

impl Day {
    const ALL: [Self; 7] = [Self::Mon, Self::Tue, Self::Wed, Self::Thu, Self::Fri, Self::Sat, Self::Sun];
}

/// The most entries.
const MAX_ENTRIES: usize = 100;

impl DayPartsForm {
    /// What it says; the error says what is allowed.
    pub fn read(&self) -> Result<DayParts, String> {
        let mut days = [0; 7];
        let is_range = |hours: &HoursForm| hours.from < hours.to && hours.to <= 24;
        if self.hours.len() > MAX_ENTRIES || !self.hours.iter().all(is_range) {
            return Err(format!("day_parts.hours: up to {MAX_ENTRIES} entries with 0 <= from < to <= 24"));
        }
        for HoursForm { days: on, from, to } in &self.hours {
            let hours = ALL_DAY >> (24 - (to - from)) << from;
            for day in on {
                // There are seven, numbered from 0.
                days[*day as usize] |= hours;
            }
        }
        Ok(DayParts { days, offset_minutes: self.offset_minutes })
    }

    /// How it is written; `None` for always.
    pub fn of(parts: &DayParts) -> Option<Self> {
        if *parts == DayParts::default() {
            return None;
        }
        let mut hours: Vec<HoursForm> = Vec::new();
        for (day, mask) in Day::ALL.into_iter().zip(parts.days) {
            for (from, to) in runs(mask) {
                // Days with the same hours stand together.
                match hours.iter_mut().find(|hours| (hours.from, hours.to) == (from, to)) {
                    Some(hours) => hours.days.push(day),
                    None => hours.push(HoursForm { days: vec![day], from, to }),
                }
            }
        }
        Some(Self { offset_minutes: parts.offset_minutes, hours })
    }
}

/// The stretches of hours in a day: the first, and the one after the last.
fn runs(mask: u32) -> Vec<(u8, u8)> {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for hour in (0..24).filter(|hour| mask >> hour & 1 == 1) {
        match runs.last_mut() {
            Some((_, to)) if *to == hour => *to += 1,
            _ => runs.push((hour, hour + 1)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_written_as_they_are_read() {
        for days in [
            [0xff_ffff, 0, 1, 0x80_0000, 0x55_5555, 0xf0_0f0f, 0xff_ffff],
            [0; 7],
            [0x00_ff00, 0x00_ff00, 0x00_ff00, 0x00_ff00, 0x00_ff00, 0, 0],
        ] {
            let parts = DayParts { days, offset_minutes: -90 };
            assert_eq!(DayPartsForm::of(&parts).unwrap().read(), Ok(parts));
        }
        assert_eq!(DayPartsForm::of(&DayParts::default()), None, "always");
        let office = DayParts { days: [0x00_ff00, 0x00_ff00, 0, 0, 0, 0, 0], offset_minutes: 60 };
        let text = serde_json::to_string(&DayPartsForm::of(&office)).unwrap();
        assert_eq!(text, r#"{"offset_minutes":60,"hours":[{"days":["mon","tue"],"from":8,"to":16}]}"#);
    }

    #[test]
    fn hours_that_are_none_are_refused() {
        for (from, to) in [(8, 8), (9, 8), (0, 25), (255, 255), (24, 25)] {
            let form =
                DayPartsForm { offset_minutes: 0, hours: vec![HoursForm { days: vec![Day::Mon], from, to }] };
            assert!(form.read().unwrap_err().contains("day_parts.hours"), "{from} {to}");
        }
    }
}
