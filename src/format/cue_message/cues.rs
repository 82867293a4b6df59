//! From announcements to cues: which slot is meant, and what is news.

use std::collections::VecDeque;

use bytes::Bytes;

use super::section::{Change, SlotEvent, SlotTypes};
use super::{Action, Announcement, CueError, MAX_SPAN_SECONDS, Start};
use crate::media::{Cue, CueId, CueOrigin, CueState, MediaTime};

/// Slots that are remembered, the ones that are over included, which are forgotten first.
const MAX_SLOTS: usize = 64;
/// Announcements whose times differ by less speak of the same time: frames, not clocks, decide where a slot begins.
const TOLERANCE: MediaTime = MediaTime::from_millis(100);
const MAX_DISTANCE: MediaTime = MediaTime::from_millis(MAX_SPAN_SECONDS as i64 * 1000);

/// The present moment on both clocks: that of the newest frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the publisher's clock, as its timestamps tell it.
    pub publisher: MediaTime,
    /// In media time.
    pub media: MediaTime,
}

/// Makes cues of a publisher's announcements.
///
/// - A repetition is no news and gives nothing; an announcement that changes a slot gives the cue with its revision
///   raised by one. Revisions begin with 1.
/// - A slot whose start has come keeps it. The end of a slot sets its duration, or cancels it where it had not begun.
/// - The cue has the announcer's id; one that is used again, when the slot it named is over, gets the new start in
///   milliseconds added behind `@`. A slot without an id is named `cue-` and its start in milliseconds.
///
/// Memory is bounded: 64 slots, the oldest that is over making room.
#[derive(Debug, Default)]
pub struct Cues {
    types: SlotTypes,
    /// In the order of announcement, at most `MAX_SLOTS`.
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    announced_as: Option<String>,
    cue: Cue,
}

/// An announcement of one slot with its time found.
struct Out<'a> {
    id: Option<String>,
    start: MediaTime,
    /// The start is just "now": of a slot that is known it says nothing.
    is_immediate: bool,
    duration: Option<MediaTime>,
    scte35: Option<&'a Bytes>,
}

impl Cues {
    /// For slots of these types.
    pub fn new(types: SlotTypes) -> Self {
        Self { types, slots: VecDeque::new() }
    }

    /// Takes an announcement that came at `now`; what it changes comes back, in order: a section may change several
    /// cues. After an error nothing has changed.
    pub fn announce(&mut self, announcement: Announcement, now: Moment) -> Result<Vec<Cue>, CueError> {
        let start = match announcement.start {
            Start::Immediate => now.media,
            Start::After(offset) => now.media + offset,
            Start::At(time) => now.media + (time - now.publisher),
        };
        if (start - now.media).abs() > MAX_DISTANCE {
            return Err(CueError::FarAway);
        }
        let mut news = Vec::new();
        match self.apply(announcement, start, now.media, &mut news) {
            // What has changed must be told, though a later slot of the section found no room.
            Err(error) if news.is_empty() => Err(error),
            _ => Ok(news),
        }
    }

    fn apply(
        &mut self,
        announcement: Announcement,
        start: MediaTime,
        now: MediaTime,
        news: &mut Vec<Cue>,
    ) -> Result<(), CueError> {
        let Announcement { id, action, start: told, duration } = announcement;
        let is_immediate = told == Start::Immediate;
        let (section, bytes) = match action {
            Action::Out => {
                return self.out(Out { id, start, is_immediate, duration, scte35: None }, now, news);
            }
            Action::In => {
                news.extend(self.end(id.as_deref(), start, now));
                return Ok(());
            }
            Action::Section { section, bytes } => (section, bytes),
        };
        for SlotEvent { id, change } in self.types.events(&section)? {
            match change {
                Change::Out { duration: of_section } => {
                    let duration = of_section.or(duration);
                    let out = Out { id: Some(id), start, is_immediate, duration, scte35: Some(&bytes) };
                    self.out(out, now, news)?;
                }
                Change::In => news.extend(self.end(Some(&id), start, now)),
                Change::Cancel => news.extend(self.cancel(&id, now)),
            }
        }
        Ok(())
    }

    fn out(&mut self, out: Out<'_>, now: MediaTime, news: &mut Vec<Cue>) -> Result<(), CueError> {
        let known = self.slots.iter_mut().rev().find(|slot| match &out.id {
            Some(_) => slot.announced_as == out.id,
            None => {
                slot.announced_as.is_none()
                    && (out.is_immediate && slot.is_running(now) || slot.starts_at(out.start))
            }
        });
        let Some(slot) = known else { return self.open(out, false, now, news) };
        let has_same_start = slot.starts_at(out.start);
        if slot.is_over(now) {
            let is_withdrawn = slot.cue.state == CueState::Cancelled;
            if !has_same_start {
                return self.open(out, true, now, news);
            }
            if !is_withdrawn {
                return Ok(());
            }
        } else if slot.cue.start <= now && !has_same_start && !out.is_immediate {
            // The name of a slot that is running, for another one after it.
            match slot.cue.end() {
                Some(end) if out.start < end => {}
                Some(_) => return self.open(out, true, now, news),
                None => {
                    news.extend(slot.end(out.start));
                    return self.open(out, true, now, news);
                }
            }
        }
        news.extend(slot.update(&out, now));
        Ok(())
    }

    /// Adds a slot; `again` when its name has been used before.
    fn open(
        &mut self,
        out: Out<'_>,
        again: bool,
        now: MediaTime,
        news: &mut Vec<Cue>,
    ) -> Result<(), CueError> {
        if self.slots.len() >= MAX_SLOTS {
            let over =
                self.slots.iter().position(|slot| slot.is_over(now)).ok_or(CueError::TooMany(MAX_SLOTS))?;
            self.slots.remove(over);
        }
        let millis = out.start.as_millis();
        let id = match &out.id {
            None => CueId::new(&format!("cue-{millis}")),
            Some(id) if !again => CueId::new(id),
            Some(id) => {
                let suffix = format!("@{millis}");
                let kept = id.floor_char_boundary(CueId::MAX_LEN - suffix.len());
                CueId::new(&format!("{}{suffix}", &id[..kept]))
            }
        };
        let cue = Cue {
            id,
            revision: 1,
            state: CueState::Announced,
            start: out.start,
            duration: out.duration,
            origin: CueOrigin::Publisher,
            scte35: out.scte35.cloned(),
        };
        news.push(cue.clone());
        self.slots.push_back(Slot { announced_as: out.id, cue });
        Ok(())
    }

    fn end(&mut self, id: Option<&str>, end: MediaTime, now: MediaTime) -> Option<Cue> {
        let named = |slot: &&mut Slot| id.is_none() || slot.announced_as.as_deref() == id;
        let slot = self.slots.iter_mut().rev().find(named).filter(|slot| !slot.is_over(now))?;
        slot.end(end)
    }

    fn cancel(&mut self, id: &str, now: MediaTime) -> Option<Cue> {
        let named = |slot: &&mut Slot| slot.announced_as.as_deref() == Some(id);
        let slot = self.slots.iter_mut().rev().find(named).filter(|slot| !slot.is_over(now))?;
        slot.cue.state = CueState::Cancelled;
        Some(slot.revised())
    }
}

impl Slot {
    fn starts_at(&self, time: MediaTime) -> bool {
        (self.cue.start - time).abs() < TOLERANCE
    }

    fn is_over(&self, now: MediaTime) -> bool {
        self.cue.state == CueState::Cancelled || self.cue.end().is_some_and(|end| end <= now)
    }

    fn is_running(&self, now: MediaTime) -> bool {
        self.cue.start <= now && !self.is_over(now)
    }

    /// Takes what an announcement says about this slot.
    fn update(&mut self, out: &Out<'_>, now: MediaTime) -> Option<Cue> {
        let mut is_news = false;
        if self.cue.state == CueState::Cancelled {
            self.cue.state = CueState::Announced;
            is_news = true;
        }
        if self.cue.start > now && !self.starts_at(out.start) && !out.is_immediate {
            self.cue.start = out.start;
            is_news = true;
        }
        if let Some(duration) = out.duration
            && self.cue.duration.is_none_or(|known| (known - duration).abs() >= TOLERANCE)
        {
            self.cue.duration = Some(duration);
            is_news = true;
        }
        if !is_news {
            return None;
        }
        if let Some(scte35) = out.scte35 {
            self.cue.scte35 = Some(scte35.clone());
        }
        Some(self.revised())
    }

    fn end(&mut self, end: MediaTime) -> Option<Cue> {
        let duration = end - self.cue.start;
        if duration <= MediaTime::ZERO {
            self.cue.state = CueState::Cancelled;
        } else if self.cue.duration.is_some_and(|known| (known - duration).abs() < TOLERANCE) {
            return None;
        } else {
            self.cue.duration = Some(duration);
        }
        Some(self.revised())
    }

    /// The cue with the next revision.
    fn revised(&mut self) -> Cue {
        self.cue.revision = self.cue.revision.saturating_add(1);
        self.cue.clone()
    }
}
