//! A channel's cue bus.

use std::collections::VecDeque;

use super::engagement::Engagement;
use super::policy::{OnEngagement, Policy};
use super::refused::Refused;
use super::slot::{Moment, Proposal, Slot, SlotChange};
use super::timetable::Timetable;
use crate::media::{Cue, CueId, CueOrigin, CueState, MediaTime, OverlayFormat, Signal};

/// Slots that are remembered, those that are over included, which are forgotten first.
const MAX_SLOTS: usize = 128;
/// Starts and durations that differ by less are the same: frames decide where a slot begins, not clocks.
const TOLERANCE: MediaTime = MediaTime::from_millis(100);
const HOUR_MILLIS: i64 = 3_600_000;

/// Takes what wants slots, and gives the slots of a channel, one broadcast after the other.
#[derive(Debug)]
pub struct CueBus {
    policy: Policy,
    is_live: bool,
    known: VecDeque<Known>,
    /// When the broadcaster opened slots, with the stream or in the studio, in Unix milliseconds: over the end of a broadcast, or starting again
    /// would be a way around the budget.
    publisher_slots: VecDeque<i64>,
    hold_off_until: MediaTime,
    timetable: Option<Timetable>,
    engagement: Engagement,
    last_moment: Option<MediaTime>,
    last_number: u64,
    changed: VecDeque<Slot>,
}

#[derive(Debug)]
struct Known {
    slot: Slot,
    /// What the publisher said last: a repetition is known by that.
    said: Option<(MediaTime, Option<MediaTime>, CueState)>,
    is_vetoed: bool,
    /// It is sold as it is, or is about to be.
    is_committed: bool,
}

impl CueBus {
    /// Of a channel whose broadcaster has opened slots at these times, in Unix milliseconds.
    pub fn new(policy: Policy, publisher_slots: impl IntoIterator<Item = i64>) -> Self {
        Self {
            policy,
            is_live: false,
            known: VecDeque::new(),
            publisher_slots: publisher_slots.into_iter().collect(),
            hold_off_until: MediaTime::ZERO,
            timetable: None,
            engagement: Engagement::default(),
            last_moment: None,
            last_number: 0,
            changed: VecDeque::new(),
        }
    }

    /// A broadcast begins.
    pub fn begin(&mut self) {
        let Self { policy, publisher_slots, changed, .. } = self;
        let (policy, slots, changed) =
            (policy.clone(), std::mem::take(publisher_slots), std::mem::take(changed));
        let timetable = Timetable::new(policy.schedule_every, policy.schedule_after);
        *self = Self { is_live: true, timetable, changed, ..Self::new(policy, slots) };
    }

    /// The broadcast is over: what is announced or running is cancelled.
    pub fn end(&mut self, now: Moment) {
        self.is_live = false;
        self.timetable = None;
        for place in 0..self.known.len() {
            self.cancel_at(place, now);
        }
    }

    /// Takes a proposal; gives the id of its slot.
    ///
    /// # Errors
    /// When there is no slot.
    pub fn propose(&mut self, proposal: Proposal, now: Moment) -> Result<CueId, Refused> {
        let Proposal { id, start, duration, format, origin } = proposal;
        let id = id.unwrap_or_else(|| self.own_id(origin));
        if self.known.iter().any(|known| known.slot.cue.id == id) {
            return Err(Refused::Conflict);
        }
        let cue = Cue {
            id: id.clone(),
            revision: 1,
            state: CueState::Announced,
            start: start.unwrap_or(now.media),
            duration,
            origin,
            scte35: None,
        };
        self.open(cue, format, start.is_none(), now)?;
        Ok(id)
    }

    /// Takes a cue of the publisher's stream, in any of its revisions. One without a duration lasts as long as the channel's
    /// slots do, unless it is ended before.
    ///
    /// # Errors
    /// When it opens no slot, or changes none.
    pub fn hear(&mut self, cue: Cue, now: Moment) -> Result<(), Refused> {
        if !self.policy.publisher_cues {
            return Err(Refused::NotPermitted);
        }
        let said = (cue.start, cue.duration, cue.state);
        let Some(place) = self.known.iter().position(|known| known.slot.cue.id == cue.id) else {
            if cue.state == CueState::Cancelled {
                return Err(Refused::Unknown);
            }
            let revision = Cue { revision: 1, origin: CueOrigin::Publisher, ..cue };
            self.open(revision, None, false, now)?;
            if let Some(known) = self.known.back_mut() {
                known.said = Some(said);
            }
            return Ok(());
        };
        let Some(known) = self.known.get_mut(place) else { return Err(Refused::Unknown) };
        let before = known.said.ok_or(Refused::Conflict)?;
        known.said = Some(said);
        if before == said {
            return Ok(());
        }
        if known.is_vetoed {
            return Err(Refused::Vetoed);
        }
        if cue.state == CueState::Cancelled {
            self.cancel_at(place, now);
            return Ok(());
        }
        if known.slot.cue.state == CueState::Cancelled {
            return self.reopen(place, cue, now);
        }
        if cue.scte35.is_some() {
            known.slot.cue.scte35.clone_from(&cue.scte35);
        }
        let moved = (before.0 != cue.start).then_some(cue.start);
        // A slot that began late ends when the stream says so all the same.
        let duration = match (moved, cue.end()) {
            (None, Some(end)) => Some(end - known.slot.cue.start),
            _ => cue.duration,
        };
        self.change_at(place, SlotChange { start: moved, duration, format: None }, now)
    }

    /// The stream wants a slot after all that it had withdrawn.
    fn reopen(&mut self, place: usize, cue: Cue, now: Moment) -> Result<(), Refused> {
        let withdrawn = self.known.remove(place).ok_or(Refused::Unknown)?;
        let said = withdrawn.said;
        let revision = withdrawn.slot.cue.revision.saturating_add(1);
        let opened = self.open(Cue { revision, origin: CueOrigin::Publisher, ..cue }, None, false, now);
        match opened {
            Ok(()) => self.known.back_mut().into_iter().for_each(|known| known.said = said),
            // There is room for it: it was just taken out.
            Err(_) => self.known.push_back(withdrawn),
        }
        opened
    }

    /// Changes a slot.
    ///
    /// # Errors
    /// When there is none, or it cannot be so; nothing has changed then.
    pub fn update(&mut self, id: &CueId, change: SlotChange, now: Moment) -> Result<(), Refused> {
        let place = self.standing(id, now)?;
        self.change_at(place, change, now)
    }

    /// A slot is about to be sold as it is: from now on it ends no later, unless it is moved and sold again.
    pub fn commit(&mut self, id: &CueId) {
        if let Some(known) = self.known.iter_mut().find(|known| known.slot.cue.id == *id) {
            known.is_committed = true;
        }
    }

    /// Withdraws a slot, or ends it if it is running.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub fn cancel(&mut self, id: &CueId, now: Moment) -> Result<(), Refused> {
        let place = self.standing(id, now)?;
        self.cancel_at(place, now);
        Ok(())
    }

    /// The broadcaster forbids a slot: as cancelling, and nobody brings it back.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub fn veto(&mut self, id: &CueId, now: Moment) -> Result<(), Refused> {
        let place = self.standing(id, now)?;
        if let Some(known) = self.known.get_mut(place) {
            known.is_vetoed = true;
        }
        self.cancel_at(place, now);
        Ok(())
    }

    /// The broadcaster wants no slot to begin until then; those that would are vetoed. A moment that is over ends it.
    pub fn hold_off(&mut self, until: MediaTime, now: Moment) {
        self.hold_off_until = until;
        for place in 0..self.known.len() {
            let Some(known) = self.known.get_mut(place) else { continue };
            if known.is_standing(now.media)
                && known.slot.cue.start > now.media
                && known.slot.cue.start < until
            {
                known.is_vetoed = true;
                self.cancel_at(place, now);
            }
        }
    }

    /// Takes what the audience does.
    pub fn signal(&mut self, signal: &Signal, now: Moment) {
        self.engagement.signal(signal);
        if !self.is_live || self.engagement.level() < self.policy.engagement_threshold {
            return;
        }
        let gap = MediaTime::from(self.policy.engagement_gap);
        match self.policy.on_engagement {
            OnEngagement::Nothing => {}
            OnEngagement::HoldOff => {
                let until = self.hold_off_until.max(now.media + gap);
                self.hold_off(until, now);
            }
            OnEngagement::Sell if self.last_moment.is_some_and(|last| now.media - last < gap) => {}
            OnEngagement::Sell => {
                // Another slot may be in the way, or the broadcaster's word.
                if self.propose(Proposal::of(CueOrigin::Engagement, None), now).is_ok() {
                    self.last_moment = Some(now.media);
                }
            }
        }
    }

    /// Announces what the schedule has.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some(timetable) = &mut self.timetable
            && timetable.announced_at() <= now.media
        {
            if let Some(start) = timetable.take(now.media) {
                // One that cannot be now is left out: there is another one later.
                drop(self.propose(Proposal::of(CueOrigin::Schedule, Some(start)), now));
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, in media time.
    pub fn next_timeout(&self) -> Option<MediaTime> {
        self.timetable.as_ref().map(Timetable::announced_at)
    }

    /// The next slot that is new or has changed: to be sold, shown, and put into the broadcast.
    pub fn poll(&mut self) -> Option<Slot> {
        self.changed.pop_front()
    }

    /// How far the audience stands out just now, in standard deviations of the broadcast's own baseline.
    pub fn engagement(&self) -> f64 {
        self.engagement.level()
    }

    /// The slots that are announced or running.
    pub fn slots(&self, now: Moment) -> impl Iterator<Item = &Slot> {
        self.known.iter().filter(move |known| known.is_standing(now.media)).map(|known| &known.slot)
    }

    /// Opens a slot, or says why not.
    fn open(
        &mut self,
        mut cue: Cue,
        format: Option<OverlayFormat>,
        is_immediate: bool,
        now: Moment,
    ) -> Result<(), Refused> {
        if !self.is_live {
            return Err(Refused::Offline);
        }
        let duration = cue.duration.unwrap_or_else(|| self.policy.default_duration.into());
        self.check_duration(duration)?;
        cue.duration = Some(duration);
        cue.start = self.servable(cue.start, is_immediate, now)?;
        if cue.start < self.hold_off_until {
            return Err(Refused::HeldOff);
        }
        self.check_room(cue.start, cue.start + duration, None)?;
        let by_broadcaster = matches!(cue.origin, CueOrigin::Publisher | CueOrigin::Studio);
        if by_broadcaster {
            self.publisher_slots.retain(|at| now.unix_millis - at < HOUR_MILLIS);
            if self.publisher_slots.len() >= self.policy.publisher_slots_per_hour as usize {
                return Err(Refused::OverBudget);
            }
        }
        if self.known.len() >= MAX_SLOTS {
            let over = self.known.iter().position(|known| !known.is_standing(now.media));
            self.known.remove(over.ok_or(Refused::TooMany)?);
        }
        if by_broadcaster {
            self.publisher_slots.push_back(now.unix_millis);
        }
        let slot = Slot { cue, format: format.unwrap_or(self.policy.default_format) };
        self.changed.push_back(slot.clone());
        self.known.push_back(Known { slot, said: None, is_vetoed: false, is_committed: false });
        Ok(())
    }

    /// When a slot can begin that should begin at `start`: whole, or not at all.
    fn servable(&self, start: MediaTime, is_immediate: bool, now: Moment) -> Result<MediaTime, Refused> {
        let earliest = now.media + self.policy.lead.into();
        if start > now.media + self.policy.max_ahead.into() {
            return Err(Refused::FarAhead);
        }
        if start >= earliest || is_immediate || earliest - start <= self.policy.late_tolerance.into() {
            return Ok(start.max(earliest));
        }
        Err(Refused::TooLate)
    }

    fn check_duration(&self, duration: MediaTime) -> Result<(), Refused> {
        let (min, max) = (self.policy.min_duration.into(), self.policy.max_duration.into());
        if (min..=max).contains(&duration) { Ok(()) } else { Err(Refused::Duration) }
    }

    /// Whether no other slot is at that time.
    fn check_room(&self, start: MediaTime, end: MediaTime, but: Option<usize>) -> Result<(), Refused> {
        let gap = MediaTime::from(self.policy.gap);
        let is_in_the_way = |(place, known): (usize, &Known)| {
            let other = &known.slot;
            Some(place) != but
                && known.slot.cue.state == CueState::Announced
                && start < other.end() + gap
                && other.cue.start < end + gap
        };
        if self.known.iter().enumerate().any(is_in_the_way) { Err(Refused::Overlap) } else { Ok(()) }
    }

    fn standing(&self, id: &CueId, now: Moment) -> Result<usize, Refused> {
        let place = self.known.iter().position(|known| known.slot.cue.id == *id);
        let standing = place.filter(|place| self.known.get(*place).is_some_and(|k| k.is_standing(now.media)));
        standing.ok_or(Refused::Unknown)
    }

    fn change_at(&mut self, place: usize, change: SlotChange, now: Moment) -> Result<(), Refused> {
        let known =
            self.known.get(place).filter(|known| known.is_standing(now.media)).ok_or(Refused::Unknown)?;
        let (mut start, end, format) = (known.slot.cue.start, known.slot.end(), known.slot.format);
        let has_begun = start <= now.media;
        if let Some(wanted) = change.start.filter(|wanted| (*wanted - start).abs() >= TOLERANCE) {
            if has_begun {
                return Err(Refused::Begun);
            }
            start = self.servable(wanted, false, now)?;
        }
        if has_begun && change.format.is_some_and(|wanted| wanted != format) {
            return Err(Refused::Begun);
        }
        let duration = change.duration.unwrap_or(end - known.slot.cue.start);
        if duration > self.policy.max_duration.into() || duration <= MediaTime::ZERO {
            return Err(Refused::Duration);
        }
        // A slot that is running ends now at the earliest, however short it was to be.
        let duration = if has_begun { duration.max(now.media - start) } else { duration };
        if !has_begun {
            self.check_duration(duration)?;
        }
        if start < self.hold_off_until && !has_begun {
            return Err(Refused::HeldOff);
        }
        self.check_room(start, start + duration, Some(place))?;
        let format = change.format.unwrap_or(format);
        let Some(known) = self.known.get_mut(place) else { return Err(Refused::Unknown) };
        let same = start == known.slot.cue.start && format == known.slot.format;
        if same && (start + duration - end).abs() < TOLERANCE {
            return Ok(());
        }
        if same && known.is_committed && start + duration > end {
            return Err(Refused::Sold);
        }
        // One that is moved, or looks another way, is sold again.
        known.is_committed &= same;
        known.slot.format = format;
        (known.slot.cue.start, known.slot.cue.duration) = (start, Some(duration));
        self.changed.push_back(known.revised());
        Ok(())
    }

    fn cancel_at(&mut self, place: usize, now: Moment) {
        if let Some(known) = self.known.get_mut(place).filter(|known| known.is_standing(now.media)) {
            known.slot.cue.state = CueState::Cancelled;
            self.changed.push_back(known.revised());
        }
    }

    /// A name that nobody else has.
    fn own_id(&mut self, origin: CueOrigin) -> CueId {
        let prefix = match origin {
            CueOrigin::Publisher => "stream",
            CueOrigin::Api => "api",
            CueOrigin::Studio => "studio",
            CueOrigin::Schedule => "schedule",
            CueOrigin::Engagement => "moment",
        };
        loop {
            self.last_number += 1;
            let id = CueId::new(&format!("{prefix}-{}", self.last_number));
            if self.known.iter().all(|known| known.slot.cue.id != id) {
                return id;
            }
        }
    }
}

impl Known {
    /// Whether it is announced or running.
    fn is_standing(&self, now: MediaTime) -> bool {
        self.slot.cue.state == CueState::Announced && self.slot.end() > now
    }

    /// The slot with the next revision.
    fn revised(&mut self) -> Slot {
        self.slot.cue.revision = self.slot.cue.revision.saturating_add(1);
        self.slot.clone()
    }
}
