//! The slots that a splicer draws.

use std::time::Instant;

use super::message::{Shown, SlotEvent, Why};
use crate::av::worker::ipc::OverlayId;
use crate::media::MediaTime;

/// A slot to be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its name.
    pub id: OverlayId,
    /// The first moment with the overlay; `None` for as soon as it can be.
    pub start: Option<MediaTime>,
    /// How long it is to be on.
    pub duration: MediaTime,
}

/// A slot that is not over.
#[derive(Debug)]
pub(super) struct Window {
    pub id: OverlayId,
    pub start: Option<MediaTime>,
    pub duration: MediaTime,
    /// It is to begin as soon as it can.
    open: bool,
    /// One that is to begin as soon as it can has until then.
    pub deadline: Instant,
    pub shown: Shown,
    /// The worker knows of it.
    pub told: bool,
    /// Its being ready was told.
    ready: bool,
    /// Withdrawn while it was drawn.
    cancelled: bool,
    /// What stood in its way last.
    obstacle: Option<Why>,
}

impl Window {
    pub const fn new(ask: Ask, deadline: Instant) -> Self {
        let Ask { id, start, duration } = ask;
        Self {
            id,
            start,
            duration,
            open: start.is_none(),
            deadline,
            shown: Shown { first_pts: None, last_pts: None, frames: 0 },
            told: false,
            ready: false,
            cancelled: false,
            obstacle: None,
        }
    }

    /// The first moment without the overlay; `None` while its beginning is open.
    pub fn end(&self) -> Option<MediaTime> {
        self.start.map(|start| start + self.duration)
    }

    /// It begins, or has begun, by this moment.
    pub fn is_due(&self, by: MediaTime) -> bool {
        self.start.is_none_or(|start| start <= by)
    }

    /// The whole of it lies before this moment.
    pub fn is_past(&self, pts: MediaTime) -> bool {
        self.end().is_some_and(|end| end <= pts)
    }

    /// The hand-over at which it was to begin came to nothing: it begins with the next, if it may.
    pub fn unsettle(&mut self) {
        if self.open && self.shown.frames == 0 && !self.cancelled {
            self.start = None;
            self.told = false;
        }
    }

    /// The overlay ends at `at`, or where it would have if that is earlier.
    pub fn cut_short(&mut self, at: MediaTime) {
        if let Some(start) = self.start {
            self.duration = self.duration.min((at - start).max(MediaTime::ZERO));
            self.cancelled = true;
        }
    }

    /// A picture was sent. Tells whether it is the first of this slot.
    pub fn show(&mut self, pts: MediaTime) -> bool {
        if self.start.is_none_or(|start| start > pts) || self.is_past(pts) {
            return false;
        }
        self.shown.frames += 1;
        self.shown.last_pts = Some(pts);
        self.shown.first_pts.replace(self.shown.first_pts.unwrap_or(pts)).is_none()
    }

    /// Whether this is the first time that it is ready.
    pub const fn make_ready(&mut self) -> bool {
        !std::mem::replace(&mut self.ready, true)
    }

    pub const fn obstruct(&mut self, why: Why) {
        self.obstacle = Some(why);
    }

    /// It was drawn up to its end.
    pub const fn completed(&self) -> SlotEvent {
        let why = if self.cancelled { Why::Cancelled } else { Why::Completed };
        SlotEvent::Closed { shown: self.shown, why }
    }

    /// Its time is over, and it was not drawn, or not up to its end.
    pub fn missed(&self) -> SlotEvent {
        let why = if self.cancelled { Why::Cancelled } else { self.obstacle.unwrap_or(Why::Late) };
        SlotEvent::Closed { shown: self.shown, why }
    }

    /// It is over for this reason.
    pub const fn closed(&self, why: Why) -> SlotEvent {
        SlotEvent::Closed { shown: self.shown, why }
    }
}
