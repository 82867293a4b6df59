//! Cues in playlists: `EXT-X-DATERANGE`.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use crate::clock::rfc3339;
use crate::format::scte35::slot::{self, Boundary};
use crate::media::{Cue, CueState, MediaTime};

use super::media_playlist::MediaPlaylist;

/// Date ranges listed at a time; the oldest go first.
const LISTED: usize = 64;
/// Removed ids that players are told of.
const REMOVED: usize = 64;

/// The date ranges of a broadcast's playlists.
///
/// A player may add up attributes it reads at different times, so none may ever change (RFC 8216bis §4.4.5.1): an
/// update that moves a slot ends the old range and begins another under a new id, one that changes its length or
/// withdraws it adds `DURATION` to `PLANNED-DURATION`. What begins the slot is its `SCTE35-OUT`; when it is over, `SCTE35-IN`
/// joins it in the tag of the same id (§4.4.5.1.1).
#[derive(Debug, Default)]
pub struct DateRanges {
    ranges: VecDeque<DateRange>,
    removed: VecDeque<(String, MediaTime)>,
    revision: u64,
}

#[derive(Debug)]
struct DateRange {
    cue: Cue,
    id: String,
    planned: Option<MediaTime>,
    duration: Option<MediaTime>,
    /// SCTE-35 attributes in the order they came, each name once.
    sections: Vec<(&'static str, Bytes)>,
    /// Its end has come, or it was withdrawn.
    is_over: bool,
    /// End of the playlist when this last changed.
    changed: MediaTime,
}

impl DateRanges {
    /// Whether there are none, and none were removed lately.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty() && self.removed.is_empty()
    }

    /// Rises with every change.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// Takes in an announcement made when playlists ended at `now`; `false` when it says nothing new.
    pub(super) fn announce(&mut self, cue: Cue, now: MediaTime) -> bool {
        let known = self.ranges.iter_mut().rev().find(|range| range.cue.id == cue.id);
        if known.as_ref().is_some_and(|range| range.cue.revision >= cue.revision) {
            return false;
        }
        match (known, cue.state) {
            (None, CueState::Cancelled) => return false,
            (None, CueState::Announced) => {
                let id = cue.id.as_str().to_owned();
                self.add(id, cue, now);
            }
            (Some(range), CueState::Cancelled) => range.end(&cue, now),
            (Some(range), CueState::Announced) if range.cue.start == cue.start => range.update(cue, now),
            (Some(range), CueState::Announced) => {
                range.end(&cue, now);
                self.add(format!("{}-{}", cue.id, cue.revision), cue, now);
            }
        }
        self.revision += 1;
        true
    }

    /// Playlists end at `now`: the slots whose end has come are over.
    pub(super) fn reach(&mut self, now: MediaTime) {
        for range in self.ranges.iter_mut().filter(|range| range.has_come(now)) {
            range.complete(now);
            self.revision += 1;
        }
    }

    /// Forgets ranges that ended before everything `playlist` lists.
    pub(super) fn forget_before(&mut self, playlist: &MediaPlaylist) {
        let Some(first) = playlist.segments().front() else { return };
        let (start, now) = (first.start, playlist.end());
        while let Some(index) = self.ranges.iter().position(|range| range.is_past(start)) {
            self.remove(index, now);
        }
        let forgotten = |at: MediaTime| now - at > MediaTime::from_millis(120_000);
        while self.removed.front().is_some_and(|(_, at)| forgotten(*at)) {
            self.removed.pop_front();
        }
    }

    /// Writes the tags of ranges that changed at or after `since`, on the wall clock that had `epoch` at media time
    /// zero.
    pub(super) fn write(&self, out: &mut String, epoch: SystemTime, since: MediaTime) {
        self.ranges.iter().filter(|range| range.changed >= since).for_each(|range| range.write(out, epoch));
    }

    /// Ids of ranges removed at or after `since`.
    pub(super) fn removed_since(&self, since: MediaTime) -> impl Iterator<Item = &str> {
        self.removed.iter().filter(move |(_, at)| *at >= since).map(|(id, _)| id.as_str())
    }

    fn add(&mut self, id: String, cue: Cue, now: MediaTime) {
        if self.ranges.len() >= LISTED {
            self.remove(0, now);
        }
        let section = slot::of_slot(&cue);
        let sections = vec![(attribute(&cue, &section), section)];
        self.ranges.push_back(DateRange {
            id: quotable(&id),
            planned: cue.duration,
            duration: None,
            sections,
            is_over: false,
            changed: now,
            cue,
        });
    }

    fn remove(&mut self, index: usize, now: MediaTime) {
        let Some(range) = self.ranges.remove(index) else { return };
        if self.removed.len() >= REMOVED {
            self.removed.pop_front();
        }
        self.removed.push_back((range.id, now));
        self.revision += 1;
    }
}

impl DateRange {
    fn update(&mut self, cue: Cue, now: MediaTime) {
        self.changed = now;
        match (self.planned, cue.duration) {
            (None, duration) => self.planned = duration,
            (Some(planned), Some(duration)) if planned != duration => {
                self.duration.get_or_insert(duration);
            }
            _ => {}
        }
        self.add_section(cue.scte35.clone());
        self.cue = cue;
    }

    fn has_come(&self, now: MediaTime) -> bool {
        !self.is_over && self.cue.end().is_some_and(|end| end <= now)
    }

    /// The slot was there up to its end.
    fn complete(&mut self, now: MediaTime) {
        (self.is_over, self.changed) = (true, now);
        if let Some(duration) = self.cue.duration {
            self.duration.get_or_insert(duration);
        }
        self.come_back(slot::end_of_slot(&self.cue));
    }

    /// Players come back from what they went out to.
    fn come_back(&mut self, section: Bytes) {
        if self.sections.iter().any(|(name, _)| *name == SCTE35_OUT) {
            self.add_named(SCTE35_IN, section);
        }
    }

    /// The slot is withdrawn or moved, or cut short if it is running.
    fn end(&mut self, cue: &Cue, now: MediaTime) {
        (self.is_over, self.changed, self.cue.revision) = (true, now, cue.revision);
        let ran = (now - self.cue.start).max(MediaTime::ZERO);
        let ran = *self.duration.get_or_insert(self.planned.map_or(ran, |planned| planned.min(ran)));
        let told = cue.scte35.clone().filter(|section| attribute(cue, section) == SCTE35_IN);
        match (told, cue.state) {
            (Some(section), _) => self.add_named(SCTE35_IN, section),
            (None, CueState::Cancelled) if ran <= MediaTime::ZERO => {
                self.add_named(SCTE35_CMD, slot::overlay_cancel(cue));
            }
            (None, CueState::Cancelled) => {
                let cut = Cue { duration: Some(ran), ..self.cue.clone() };
                self.come_back(slot::end_of_slot(&cut));
            }
            (None, CueState::Announced) => {}
        }
    }

    fn add_section(&mut self, section: Option<Bytes>) {
        if let Some(section) = section {
            self.add_named(attribute(&self.cue, &section), section);
        }
    }

    fn add_named(&mut self, name: &'static str, section: Bytes) {
        if !self.sections.iter().any(|(known, _)| *known == name) {
            self.sections.push((name, section));
        }
    }

    fn is_past(&self, first: MediaTime) -> bool {
        self.cue.start + self.duration.or(self.planned).unwrap_or_default() < first
    }

    fn write(&self, out: &mut String, epoch: SystemTime) {
        let start = date(epoch, self.cue.start);
        let _ = write!(out, "#EXT-X-DATERANGE:ID=\"{}\",START-DATE=\"{start}\"", self.id);
        for (name, duration) in [("PLANNED-DURATION", self.planned), ("DURATION", self.duration)] {
            if let Some(duration) = duration {
                let _ = write!(out, ",{name}={:.3}", duration.max(MediaTime::ZERO).as_secs_f64());
            }
        }
        for (name, section) in &self.sections {
            let _ = write!(out, ",{name}=0x");
            for byte in section {
                let _ = write!(out, "{byte:02X}");
            }
        }
        out.push('\n');
    }
}

const SCTE35_OUT: &str = "SCTE35-OUT";
const SCTE35_IN: &str = "SCTE35-IN";
const SCTE35_CMD: &str = "SCTE35-CMD";

/// The attribute for a `splice_info_section` (RFC 8216bis §4.4.5.1.1): OUT where the slot begins and IN where it ends, CMD for all
/// others. A `splice_insert` is told by its first bytes, whatever else is wrong with it (ANSI/SCTE 35 §9.7.3).
fn attribute(cue: &Cue, section: &[u8]) -> &'static str {
    const COMMAND_TYPE: usize = 13;
    const SPLICE_INSERT: u8 = 5;
    let at = |index: usize| section.get(COMMAND_TYPE + index).copied();
    let cancelled = at(5).is_none_or(|byte| byte & 0x80 != 0);
    match (at(0), at(6)) {
        (Some(SPLICE_INSERT), Some(flags)) if !cancelled && flags & 0x80 != 0 => SCTE35_OUT,
        (Some(SPLICE_INSERT), Some(_)) if !cancelled => SCTE35_IN,
        _ => match slot::boundary_of(cue, section) {
            Some(Boundary::Start) => SCTE35_OUT,
            Some(Boundary::End) => SCTE35_IN,
            None => SCTE35_CMD,
        },
    }
}

/// A text that may stand in a quoted attribute.
fn quotable(text: &str) -> String {
    text.chars().map(|char| if char == '"' || char.is_control() { '_' } else { char }).collect()
}

/// The date of a media time, as playlists write it.
pub(super) fn date(epoch: SystemTime, time: MediaTime) -> String {
    rfc3339(wall(epoch, time))
}

/// The wall clock at a media time.
fn wall(epoch: SystemTime, time: MediaTime) -> SystemTime {
    let distance = Duration::from_nanos(time.as_nanos().unsigned_abs());
    let moment =
        if time < MediaTime::ZERO { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
    // Years that have five digits would not be dates any more.
    moment
        .filter(|moment| moment.duration_since(UNIX_EPOCH).is_ok_and(|age| age < LAST_DATE))
        .unwrap_or(epoch)
}

/// 9999-12-31, counted from 1970.
const LAST_DATE: Duration = Duration::from_secs(253_402_214_400);
