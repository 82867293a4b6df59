//! The slots that were asked for: which may be, and what has become of them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::placement::Format;
use super::splice::{Limits, Shown, SlotEvent, Why};
use super::{Config, VariantSet};
use crate::av::worker::ipc::OverlayId;
use crate::media::{ChannelName, MediaTime};

/// A slot to be.
#[derive(Clone, Debug)]
pub struct NewSlot {
    /// Where.
    pub channel: ChannelName,
    /// In which broadcast: its number.
    pub broadcast: u64,
    /// What it looks like.
    pub format: Format,
    /// The first moment with the overlay; `None` for as soon as it can be.
    pub start: Option<MediaTime>,
    /// How long it is to be on.
    pub duration: Duration,
    /// In which variants of the programme.
    pub variants: VariantSet,
}

/// A slot and its trace.
#[derive(Clone, Debug)]
pub struct Slot {
    /// Its name, which no other slot has, also after a restart.
    pub id: OverlayId,
    /// What was asked for.
    pub asked: NewSlot,
    /// When.
    pub asked_at: SystemTime,
    /// The newest frame of the source then.
    pub asked_pts: MediaTime,
    /// When a worker had caught up.
    pub ready_at: Option<SystemTime>,
    /// When the first picture with it was sent.
    pub began_at: Option<SystemTime>,
    /// By how much the programme was late while it was on.
    pub delay: Option<Duration>,
    /// The pictures that were sent with it: the last one is known when it is over.
    pub shown: Shown,
    /// Why it is over, and when that was.
    pub over: Option<(Why, SystemTime)>,
    /// It was withdrawn, and may not be over yet.
    withdrawn: bool,
}

/// How far a slot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its time has not come, or a worker is getting ready.
    Waiting,
    /// A worker is ready.
    Ready,
    /// It is being shown.
    OnAir,
    /// Nothing more will be shown.
    Over,
}

impl Slot {
    /// How far it has come.
    pub const fn state(&self) -> State {
        match self {
            Self { over: Some(_), .. } => State::Over,
            Self { began_at: Some(_), .. } => State::OnAir,
            Self { ready_at: Some(_), .. } => State::Ready,
            _ => State::Waiting,
        }
    }

    /// The media time that it takes, or may take while its beginning is open.
    fn span(&self) -> (MediaTime, MediaTime) {
        let duration = self.asked.duration.into();
        match self.asked.start.or(self.shown.first_pts) {
            Some(start) => (start, start + duration),
            None => (self.asked_pts, self.asked_pts + Limits::default().patience.into() + duration),
        }
    }
}

/// Why a slot may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It is too short or too long.
    #[error("duration_ms: a slot lasts {least} to {most} milliseconds")]
    Duration {
        /// The shortest, in milliseconds.
        least: u128,
        /// The longest.
        most: u128,
    },
    /// Its start has gone by.
    #[error("start_ns: that moment has gone by; the newest frame is at {newest}")]
    Past {
        /// Media time in nanoseconds.
        newest: i64,
    },
    /// Its start is too far ahead.
    #[error("start_ns: a slot is asked for at most {most} seconds ahead; the newest frame is at {newest}")]
    TooFar {
        /// The most, in seconds.
        most: u64,
        /// Media time in nanoseconds.
        newest: i64,
    },
    /// Another slot of the channel has that time, or may take it.
    #[error("another slot of this channel, {}, has that time, or may take it", .other.0)]
    Overlaps {
        /// The other one.
        other: OverlayId,
    },
    /// Too many slots of the channel wait.
    #[error("{most} slots of this channel are waiting already")]
    TooMany {
        /// The most there may be.
        most: usize,
    },
}

/// All slots: those that are not over, and the last of those that are.
#[derive(Debug)]
pub struct Slots {
    config: Config,
    next: u64,
    slots: BTreeMap<OverlayId, Slot>,
    over: usize,
}

impl Slots {
    /// None yet. `first` is the first one's name: more than any before the server was started.
    pub const fn new(config: Config, first: u64) -> Self {
        Self { config, next: first, slots: BTreeMap::new(), over: 0 }
    }

    /// Takes a slot on, where the newest frame of the source is at `newest`.
    ///
    /// # Errors
    /// Why it may not be.
    pub fn ask(&mut self, asked: NewSlot, newest: MediaTime, at: SystemTime) -> Result<OverlayId, Refusal> {
        let Config { min_duration, max_duration, max_ahead, max_waiting, .. } = self.config;
        if !(min_duration..=max_duration).contains(&asked.duration) {
            let (least, most) = (min_duration.as_millis(), max_duration.as_millis());
            return Err(Refusal::Duration { least, most });
        }
        if asked.start.is_some_and(|start| start < newest) {
            return Err(Refusal::Past { newest: newest.as_nanos() });
        }
        if asked.start.is_some_and(|start| start > newest + max_ahead.into()) {
            return Err(Refusal::TooFar { most: max_ahead.as_secs(), newest: newest.as_nanos() });
        }
        let slot = Slot {
            id: OverlayId(self.next),
            asked,
            asked_at: at,
            asked_pts: newest,
            ready_at: None,
            began_at: None,
            delay: None,
            shown: Shown::default(),
            over: None,
            withdrawn: false,
        };
        let (start, end) = slot.span();
        let mut waiting = 0;
        for other in self.of(&slot.asked.channel) {
            let (from, until) = other.span();
            if slot.asked.variants.meets(other.asked.variants) && from < end && start < until {
                return Err(Refusal::Overlaps { other: other.id });
            }
            waiting += 1;
        }
        if waiting >= max_waiting {
            return Err(Refusal::TooMany { most: max_waiting });
        }
        self.next += 1;
        let id = slot.id;
        self.slots.insert(id, slot);
        Ok(id)
    }

    /// The slot of this name.
    pub fn get(&self, id: OverlayId) -> Option<&Slot> {
        self.slots.get(&id)
    }

    /// The slots of a channel that are not over, in the order in which they were asked for.
    pub fn of<'a>(&'a self, channel: &'a ChannelName) -> impl Iterator<Item = &'a Slot> {
        self.slots.values().filter(move |slot| slot.asked.channel == *channel && slot.over.is_none())
    }

    /// Withdraws a slot. Its channel, where it is to be ended; `None` when it is over, or is being ended already.
    pub fn withdraw(&mut self, id: OverlayId) -> Option<ChannelName> {
        let slot = self.slots.get_mut(&id).filter(|slot| slot.over.is_none() && !slot.withdrawn)?;
        slot.withdrawn = true;
        Some(slot.asked.channel.clone())
    }

    /// Forgets a slot that came to nothing before anybody knew of it.
    pub fn forget(&mut self, id: OverlayId) {
        if self.slots.get(&id).is_some_and(|slot| slot.over.is_none()) {
            self.slots.remove(&id);
        }
    }

    /// Writes down what has become of a slot; `false` when it is over already, or forgotten.
    pub fn note(&mut self, id: OverlayId, event: &SlotEvent, at: SystemTime) -> bool {
        let Some(slot) = self.slots.get_mut(&id).filter(|slot| slot.over.is_none()) else { return false };
        match event {
            SlotEvent::Ready => slot.ready_at = Some(at),
            SlotEvent::Began { first_pts, delay } => {
                slot.began_at = Some(at);
                slot.delay = Some(*delay);
                slot.shown.first_pts = Some(*first_pts);
            }
            SlotEvent::Closed { shown, why } => {
                slot.shown = *shown;
                slot.over = Some((*why, at));
                self.over += 1;
            }
        }
        while self.over > self.config.remembered {
            let oldest = self.slots.values().find(|slot| slot.over.is_some()).map(|slot| slot.id);
            oldest.and_then(|id| self.slots.remove(&id));
            self.over -= 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn new(channel: &str, start: Option<i64>, millis: u64) -> NewSlot {
        NewSlot {
            channel: channel.parse().unwrap(),
            broadcast: 1,
            format: Format::Corner,
            start: start.map(MediaTime::from_millis),
            duration: Duration::from_millis(millis),
            variants: VariantSet::ALL,
        }
    }

    fn ask(slots: &mut Slots, start: Option<i64>, millis: u64) -> Result<OverlayId, Refusal> {
        slots.ask(new("kitchen", start, millis), MediaTime::from_millis(60_000), UNIX_EPOCH)
    }

    fn slots() -> Slots {
        Slots::new(Config::default(), 1000)
    }

    #[test]
    fn b38_slots_that_overlap_are_refused_and_back_to_back_ones_are_not() {
        let mut slots = slots();
        let first = ask(&mut slots, Some(70_000), 10_000).unwrap();
        for (start, millis) in
            [(65_000, 5_001), (70_000, 10_000), (75_000, 1_000), (79_999, 5_000), (61_000, 60_000)]
        {
            assert_eq!(ask(&mut slots, Some(start), millis), Err(Refusal::Overlaps { other: first }));
        }
        assert!(ask(&mut slots, Some(80_000), 5_000).is_ok());
        assert!(ask(&mut slots, Some(65_000), 5_000).is_ok());
        let elsewhere = new("garden", Some(70_000), 5_000);
        assert!(slots.ask(elsewhere, MediaTime::from_millis(60_000), UNIX_EPOCH).is_ok());
    }

    #[test]
    fn slots_of_different_variants_are_beside_one_another_and_one_for_all_is_beside_none() {
        let mut slots = slots();
        let mut ask = |variants| {
            let asked = NewSlot { variants, ..new("kitchen", Some(70_000), 10_000) };
            slots.ask(asked, MediaTime::from_millis(60_000), UNIX_EPOCH)
        };
        let first = ask(VariantSet::one(0)).unwrap();
        assert!(ask(VariantSet::one(1)).is_ok());
        for variants in [VariantSet::one(0), VariantSet::one(2).with(0), VariantSet::ALL] {
            assert_eq!(ask(variants), Err(Refusal::Overlaps { other: first }));
        }
    }

    #[test]
    fn a_slot_that_begins_when_it_can_takes_all_the_time_that_it_may() {
        let mut slots = slots();
        let open = ask(&mut slots, None, 10_000).unwrap();
        assert_eq!(ask(&mut slots, None, 5_000), Err(Refusal::Overlaps { other: open }));
        assert_eq!(ask(&mut slots, Some(84_999), 5_000), Err(Refusal::Overlaps { other: open }));
        let first_pts = MediaTime::from_millis(60_300);
        slots.note(open, &SlotEvent::Began { first_pts, delay: Duration::ZERO }, UNIX_EPOCH);
        assert!(ask(&mut slots, Some(70_300), 5_000).is_ok(), "it is known now when it ends");
    }

    #[test]
    fn b38_durations_and_starts_that_make_no_sense_are_refused() {
        let mut slots = slots();
        for millis in [0, 999, 120_001, u64::MAX] {
            assert!(matches!(ask(&mut slots, None, millis), Err(Refusal::Duration { .. })));
        }
        for start in [i64::MIN, -1, 59_999] {
            assert!(matches!(ask(&mut slots, Some(start), 2_000), Err(Refusal::Past { .. })));
        }
        for start in [660_001, i64::MAX] {
            assert!(matches!(ask(&mut slots, Some(start), 2_000), Err(Refusal::TooFar { .. })));
        }
    }

    #[test]
    fn b38_a_storm_of_slots_is_cut_off() {
        let mut slots = slots();
        let taken = (0..100).filter(|n| ask(&mut slots, Some(60_000 + n * 2_000), 2_000).is_ok()).count();
        assert_eq!(taken, 16);
        let refusal = ask(&mut slots, Some(500_000), 2_000).unwrap_err();
        assert_eq!(refusal.to_string(), "16 slots of this channel are waiting already");
    }

    #[test]
    fn a_slot_is_withdrawn_once() {
        let mut slots = slots();
        let id = ask(&mut slots, Some(70_000), 2_000).unwrap();
        assert_eq!(slots.withdraw(id).unwrap().as_str(), "kitchen");
        assert_eq!((slots.withdraw(id), slots.withdraw(OverlayId(7))), (None, None));
    }

    #[test]
    fn a_slot_that_is_over_is_remembered_for_a_while_and_in_nobodys_way() {
        let mut slots = Slots::new(Config { remembered: 2, ..Config::default() }, 1000);
        let mut ids = Vec::new();
        for _ in 0..3 {
            let id = ask(&mut slots, Some(70_000), 2_000).unwrap();
            assert_eq!(slots.get(id).unwrap().state(), State::Waiting);
            slots.note(id, &SlotEvent::Ready, UNIX_EPOCH);
            assert_eq!(slots.get(id).unwrap().state(), State::Ready);
            let closed = SlotEvent::Closed { shown: Shown::default(), why: Why::Cancelled };
            slots.note(id, &closed, UNIX_EPOCH);
            ids.push(id);
        }
        assert!(slots.get(ids[0]).is_none());
        assert_eq!(
            slots.get(ids[2]).map(|slot| (slot.state(), slot.over)),
            Some((State::Over, Some((Why::Cancelled, UNIX_EPOCH))))
        );
        slots.forget(ids[2]);
        assert!(slots.get(ids[2]).is_some(), "what was told is not forgotten");
    }
}
