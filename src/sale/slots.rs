//! A broadcast's slots on their way: waiting for their turn, being decided, sold, taking displays. This says what becomes
//! of them, and what is to be done about it; the director does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::displays::Displays;
use super::record::{CueNumber, Outcome, Shown};
use super::variants::Arranged;
use crate::auction::Cohorts;
use crate::av::worker::ipc::OverlayId;
use crate::cue::Slot;
use crate::hub::Watching;
use crate::ledger::{Event, SessionId, SlotId, UnixMillis};
use crate::media::{CueId, CueState, MediaTime, OverlayFormat};
use crate::overlay::VariantSet;
use crate::overlay::splice::{self, Why};

/// How long after the last viewer has seen its end a slot that was cut short takes displays.
const GRACE_MS: i64 = 5000;

/// The slots that something may still come of.
#[derive(Debug, Default)]
pub struct Slots(BTreeMap<CueId, Running>);

#[derive(Debug)]
struct Running {
    number: CueNumber,
    slot: Slot,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting,
    Deciding,
    Sold(Live),
}

/// A slot that was sold, on its way to the screen and to its last display.
#[derive(Debug)]
pub struct Live {
    /// The ledger's entry.
    pub slot: SlotId,
    /// What is drawn into the programme: one overlay for each group of its viewers that was sold.
    pub burned: Vec<Burned>,
    /// Pages draw it too.
    pub guided: bool,
    /// When it was sold to begin.
    pub start: MediaTime,
    /// As what it was sold.
    pub format: OverlayFormat,
    /// When the ledger takes no more displays.
    pub deadline: UnixMillis,
    /// The last frame of all its overlays was sent, or none will be.
    closed: bool,
}

/// An overlay that is drawn into the programme for a group of its viewers.
#[derive(Debug)]
pub struct Burned {
    /// Its name.
    pub overlay: OverlayId,
    /// The lot that it is.
    pub lot: u16,
    /// All groups of the programme's viewers, and the place of the one that it was sold to.
    cohorts: Arc<Cohorts>,
    group: usize,
    /// The variants that it is drawn in.
    variants: VariantSet,
    /// Its first frame was sent.
    began: bool,
    /// From then on, as long as it is known how long it was on.
    displays: Option<Displays>,
    /// What was shown of it, and why it is over.
    over: Option<(splice::Shown, Why)>,
}

impl Live {
    /// A slot, sold as it is, of which nothing was shown yet.
    pub const fn new(
        slot: SlotId,
        of: &Slot,
        burned: Vec<Burned>,
        guided: bool,
        deadline: UnixMillis,
    ) -> Self {
        let (start, format) = (of.cue.start, of.format);
        Self { slot, burned, guided, start, format, deadline, closed: false }
    }

    fn overlays(&self) -> Vec<OverlayId> {
        self.burned.iter().map(|burned| burned.overlay).collect()
    }

    /// What was shown of all its overlays, and what is said of it when the broadcast is at `now`.
    fn outcome(&self, now: MediaTime) -> (Shown, Outcome) {
        let over = || self.burned.iter().filter_map(|burned| burned.over);
        let nanos = |time: MediaTime| time.as_nanos();
        let shown = Shown {
            first_pts_ns: over().filter_map(|(shown, _)| shown.first_pts).min().map(nanos),
            last_pts_ns: over().filter_map(|(shown, _)| shown.last_pts).max().map(nanos),
            frames: over().map(|(shown, _)| shown.frames).max().unwrap_or(0),
        };
        let was_on = self.burned.iter().any(Burned::was_on);
        let unfinished = self.burned.iter().find_map(|burned| match burned.over {
            Some((_, Why::Completed)) if burned.was_on() => None,
            over => over.map(|(_, why)| why.label().to_owned()),
        });
        let is_cancelled = |burned: &Burned| burned.over.is_some_and(|(_, why)| why == Why::Cancelled);
        let outcome = match unfinished {
            None => Outcome::Completed,
            // Nobody has seen anything of it, in the programme or on a page.
            Some(_) if now < self.start && !was_on && self.burned.iter().all(is_cancelled) => {
                Outcome::Withdrawn
            }
            // Pages go on without the programme.
            Some(why) if was_on || self.guided => Outcome::CutShort { why },
            Some(why) => Outcome::NotShown { why },
        };
        (shown, outcome)
    }
}

impl Burned {
    /// An overlay of which nothing was shown yet.
    pub fn new(overlay: OverlayId, lot: u16, group: usize, arranged: &Arranged) -> Self {
        let (cohorts, variants) = (Arc::clone(&arranged.cohorts), arranged.drawn_in(group));
        Self { overlay, lot, cohorts, group, variants, began: false, displays: None, over: None }
    }

    /// Whether a viewer is one of those that it was sold to, and gets it.
    fn is_for(&self, watching: &Watching) -> bool {
        self.variants.has(watching.variant) && self.cohorts.place(&watching.cohort) == Some(self.group)
    }

    fn was_on(&self) -> bool {
        self.began || self.over.is_some_and(|(shown, _)| shown.frames > 0)
    }
}

/// What is to be done about a slot that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Todo {
    /// Nothing, or nothing yet: a decision that is under way is looked at when it is there.
    Nothing,
    /// It was withdrawn before it was sold.
    Forget,
    /// It was withdrawn after it was sold: these overlays are to end, and what pages draw.
    Withdraw(Vec<OverlayId>),
    /// These overlays, and what pages draw, end at a moment instead of later.
    EndAt(Vec<OverlayId>, MediaTime),
    /// It was moved, or is to look another way, after it was sold and before it began: these overlays are not shown, nothing of this
    /// reservation is spent, and it waits for its turn again.
    SellAgain(Vec<OverlayId>, SlotId),
}

/// What has come of a slot that was sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closing {
    /// Its cue.
    pub number: CueNumber,
    /// What is said of it.
    pub outcome: Outcome,
    /// What was shown of it in the programme.
    pub shown: Option<Shown>,
    /// What the ledger is to be told. Money that is not given back now is given back at the deadline.
    pub event: Option<Event>,
}

/// Displays that are to be charged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The slot's cue.
    pub cue: CueId,
    /// The ledger's entry.
    pub slot: SlotId,
    /// The lot that is burned in.
    pub lot: u16,
    /// Who has seen it.
    pub sessions: Vec<SessionId>,
}

impl Slots {
    /// A slot is announced.
    pub fn open(&mut self, number: CueNumber, slot: Slot) {
        self.0.insert(slot.cue.id.clone(), Running { number, slot, state: State::Waiting });
    }

    /// The cue's number, if something may still come of it.
    pub fn number(&self, cue: &CueId) -> Option<CueNumber> {
        self.0.get(cue).map(|running| running.number)
    }

    /// The cues of all slots.
    pub fn numbers(&self) -> impl Iterator<Item = CueNumber> {
        self.0.values().map(|running| running.number)
    }

    /// A slot has changed; `None` when nothing may come of it any more, or it is new.
    pub fn revise(&mut self, slot: &Slot) -> Option<(CueNumber, Todo)> {
        self.0.get_mut(&slot.cue.id)?.slot.clone_from(slot);
        self.todo(&slot.cue.id)
    }

    /// What is to be done about a slot as it is now.
    fn todo(&mut self, cue: &CueId) -> Option<(CueNumber, Todo)> {
        let running = self.0.get_mut(cue)?;
        let slot = &running.slot;
        let withdrawn = slot.cue.state == CueState::Cancelled;
        let todo = match &running.state {
            State::Waiting if withdrawn => Todo::Forget,
            State::Waiting | State::Deciding => Todo::Nothing,
            State::Sold(live) if withdrawn => Todo::Withdraw(live.overlays()),
            // What was sold ends earlier, if it is to, and never later.
            State::Sold(live) if (live.start, live.format) == (slot.cue.start, slot.format) => {
                Todo::EndAt(live.overlays(), slot.end())
            }
            State::Sold(live) => Todo::SellAgain(live.overlays(), live.slot),
        };
        if matches!(todo, Todo::SellAgain(..)) {
            running.state = State::Waiting;
        }
        Some((running.number, todo))
    }

    /// When the first slot that waits begins.
    pub fn next_start(&self) -> Option<MediaTime> {
        let waiting = self.0.values().filter(|running| matches!(running.state, State::Waiting));
        waiting.map(|running| running.slot.cue.start).min()
    }

    /// The slots that begin by then and whose turn it is: from now on they are being decided.
    pub fn due(&mut self, by: MediaTime) -> Vec<(CueNumber, Slot)> {
        let mut due = Vec::new();
        for running in self.0.values_mut() {
            if matches!(running.state, State::Waiting) && running.slot.cue.start <= by {
                running.state = State::Deciding;
                due.push((running.number, running.slot.clone()));
            }
        }
        due
    }

    /// A slot was sold. It may have changed in the meantime: what is to be done then.
    pub fn sold(&mut self, cue: &CueId, live: Live) -> Option<(CueNumber, Todo)> {
        self.0.get_mut(cue)?.state = State::Sold(live);
        self.todo(cue)
    }

    /// Nothing more comes of a slot.
    pub fn remove(&mut self, cue: &CueId) -> Option<CueNumber> {
        self.0.remove(cue).map(|running| running.number)
    }

    /// Slots that were not sold.
    pub fn unsold(&self) -> Vec<CueId> {
        let unsold = self.0.iter().filter(|(_, running)| !matches!(running.state, State::Sold(_)));
        unsold.map(|(cue, _)| cue.clone()).collect()
    }

    /// Whether there are any that were sold.
    pub fn is_any_sold(&self) -> bool {
        self.0.values().any(|running| matches!(running.state, State::Sold(_)))
    }

    /// Whose overlay this is.
    pub fn of_overlay(&self, overlay: OverlayId) -> Option<CueId> {
        let mut live = self.live();
        live.find_map(|(cue, live)| live.overlays().contains(&overlay).then(|| cue.clone()))
    }

    /// Overlays that have not said that they are over.
    pub fn drawn(&self) -> Vec<(CueId, OverlayId)> {
        let burned = self.live().flat_map(|(cue, live)| live.burned.iter().map(move |burned| (cue, burned)));
        let open = burned.filter(|(_, burned)| burned.over.is_none());
        open.map(|(cue, burned)| (cue.clone(), burned.overlay)).collect()
    }

    /// Slots that only pages draw, and that are not over.
    pub fn only_guided(&self) -> Vec<CueId> {
        let open = self.live().filter(|(_, live)| !live.closed && live.burned.is_empty());
        open.map(|(cue, _)| cue.clone()).collect()
    }

    /// An overlay's first frame was sent: displays take `required` on screen. `None` when that is known.
    pub fn began(
        &mut self,
        cue: &CueId,
        overlay: OverlayId,
        first: MediaTime,
        required: MediaTime,
    ) -> Option<CueNumber> {
        let running = self.0.get_mut(cue)?;
        let State::Sold(live) = &mut running.state else { return None };
        let burned = live.burned.iter_mut().find(|burned| burned.overlay == overlay)?;
        if burned.began || burned.over.is_some() {
            return None;
        }
        burned.began = true;
        burned.displays = Some(Displays::new(first, running.slot.end(), required));
        Some(running.number)
    }

    /// An overlay is over when the broadcast is at `now`, at a moment on the wall clock; viewers may be `delay_ms` behind. `None` when
    /// that is known, or others of the slot are not over.
    pub fn closed(
        &mut self,
        cue: &CueId,
        overlay: OverlayId,
        (shown, why): (splice::Shown, Why),
        now: MediaTime,
        at: UnixMillis,
        delay_ms: i64,
    ) -> Option<Closing> {
        let running = self.0.get_mut(cue)?;
        let State::Sold(live) = &mut running.state else { return None };
        let burned = live.burned.iter_mut().find(|burned| burned.overlay == overlay)?;
        if burned.over.is_some() {
            return None;
        }
        burned.over = Some((shown, why));
        match (&mut burned.displays, shown.last_pts) {
            (Some(displays), Some(last)) => displays.shorten(last + MediaTime::from_nanos(1)),
            // Up to where it was on is not known: what is counted by now was shown, and nothing more is counted.
            _ => burned.displays = None,
        }
        if live.burned.iter().any(|burned| burned.over.is_none()) {
            return None;
        }
        live.closed = true;
        let (number, slot, guided) = (running.number, live.slot, live.guided);
        let (shown, outcome) = live.outcome(now);
        let is_off = matches!(outcome, Outcome::NotShown { .. } | Outcome::Withdrawn);
        let event = match &outcome {
            _ if is_off => Some(Event::Release { slot }),
            Outcome::CutShort { .. } if !guided => {
                let deadline = at.saturating_add(delay_ms).saturating_add(GRACE_MS);
                live.deadline = live.deadline.min(deadline);
                Some(Event::Shorten { slot, deadline: live.deadline })
            }
            _ => None,
        };
        if is_off {
            self.0.remove(cue);
        }
        Some(Closing { number, outcome, shown: Some(shown), event })
    }

    /// What pages alone were to draw is withdrawn at `now`, or the broadcast is over. `None` when it was over before.
    pub fn withdrawn(&mut self, cue: &CueId, now: MediaTime, why: Why) -> Option<Closing> {
        let running = self.0.get_mut(cue)?;
        let State::Sold(live) = &mut running.state else { return None };
        if std::mem::replace(&mut live.closed, true) {
            return None;
        }
        let outcome = match now < live.start {
            true => Outcome::Withdrawn,
            false => Outcome::CutShort { why: why.label().to_owned() },
        };
        Some(Closing { number: running.number, outcome, shown: None, event: None })
    }

    /// Slots that only pages draw come to their end by the time alone.
    pub fn completed(&mut self, now: MediaTime) -> Vec<Closing> {
        let mut completed = Vec::new();
        for running in self.0.values_mut() {
            let State::Sold(live) = &mut running.state else { continue };
            if !live.burned.is_empty() || live.closed || now < running.slot.end() {
                continue;
            }
            live.closed = true;
            let (number, outcome) = (running.number, Outcome::Completed);
            completed.push(Closing { number, outcome, shown: None, event: None });
        }
        completed
    }

    /// Forgets slots that take no more displays: viewers are at most `delay` behind, and the ledger has its deadline.
    pub fn forget(&mut self, now: MediaTime, delay: MediaTime, at: UnixMillis) -> Vec<CueNumber> {
        let mut forgotten = Vec::new();
        self.0.retain(|_, running| {
            let State::Sold(live) = &running.state else { return true };
            let stays = !live.closed || (now < running.slot.end() + delay && at < live.deadline);
            if !stays {
                forgotten.push(running.number);
            }
            stays
        });
        forgotten
    }

    /// Whether somebody may be shown an overlay now, or was a moment ago.
    pub fn is_any_counted(&self) -> bool {
        self.live().any(|(_, live)| live.burned.iter().any(|burned| burned.displays.is_some()))
    }

    /// Displays that there have been by now and that are not counted yet: they are from now on.
    pub fn displays(&mut self, audience: &[Watching]) -> Vec<Due> {
        let mut due = Vec::new();
        for (cue, running) in &mut self.0 {
            let State::Sold(Live { slot, burned, .. }) = &mut running.state else { continue };
            for burned in burned {
                let Some(displays) = &burned.displays else { continue };
                let sessions = displays.due(audience, |watching| burned.is_for(watching));
                if let Some(displays) = &mut burned.displays
                    && !sessions.is_empty()
                {
                    sessions.iter().for_each(|session| displays.count(*session));
                    due.push(Due { cue: cue.clone(), slot: *slot, lot: burned.lot, sessions });
                }
            }
        }
        due
    }

    /// The ledger could not take displays of a slot.
    pub fn uncount(&mut self, cue: &CueId, slot: SlotId, lot: u16, sessions: &[SessionId]) {
        let running = self.0.get_mut(cue).map(|running| &mut running.state);
        let Some(State::Sold(Live { slot: of, burned, .. })) = running else { return };
        let burned = burned.iter_mut().filter(|burned| *of == slot && burned.lot == lot);
        for displays in burned.filter_map(|burned| burned.displays.as_mut()) {
            sessions.iter().for_each(|session| displays.uncount(*session));
        }
    }

    fn live(&self) -> impl Iterator<Item = (&CueId, &Live)> {
        self.0.iter().filter_map(|(cue, running)| match &running.state {
            State::Sold(live) => Some((cue, live)),
            _ => None,
        })
    }
}
