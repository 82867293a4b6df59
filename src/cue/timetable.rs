//! The schedule: every N minutes, not in the first M.

use std::time::Duration;

use crate::media::MediaTime;

/// How long before its beginning a slot of the schedule is announced: SCTE 35 asks for four seconds.
const NOTICE: MediaTime = MediaTime::from_millis(4000);

/// When the next slot of the schedule is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timetable {
    every: MediaTime,
    next: MediaTime,
}

impl Timetable {
    /// From the beginning of a broadcast; `None` when there is no schedule.
    pub fn new(every: Duration, after: Duration) -> Option<Self> {
        let (every, after) = (MediaTime::from(every), MediaTime::from(after));
        (every > MediaTime::ZERO).then_some(Self { every, next: after.max(NOTICE) })
    }

    /// When to look again.
    pub fn announced_at(&self) -> MediaTime {
        self.next - NOTICE
    }

    /// The slot to announce now, if one is due. Those that were missed are gone.
    pub fn take(&mut self, now: MediaTime) -> Option<MediaTime> {
        if now < self.announced_at() {
            return None;
        }
        let due = self.next;
        let behind = (now - due).max(MediaTime::ZERO).as_nanos() / self.every.as_nanos();
        let missed = MediaTime::from_nanos(self.every.as_nanos().saturating_mul(behind));
        self.next = due + missed + self.every;
        (now <= due).then_some(due)
    }
}
