//! B38: storms of cues of every kind. What the bus gives is always a row of whole slots that do not overlap.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::media::Signal;
use crate::random::Random;

/// Holds what the bus gives, and what must be true of it.
#[derive(Default)]
struct Programme {
    slots: HashMap<CueId, Slot>,
}

impl Programme {
    fn take(&mut self, slot: Slot, now: Moment, policy: &Policy) {
        let before = self.slots.get(&slot.cue.id);
        let revision = before.map_or(0, |before| before.cue.revision);
        assert_eq!(slot.cue.revision, revision + 1, "revisions rise by one");
        if slot.cue.state == CueState::Announced {
            let length = slot.end() - slot.cue.start;
            assert!(length <= policy.max_duration.into(), "{length:?}");
            let before = before.filter(|before| before.cue.state == CueState::Announced);
            let has_begun = before.is_some_and(|before| before.cue.start <= now.media);
            if has_begun {
                assert_eq!(
                    before.map(|before| before.cue.start),
                    Some(slot.cue.start),
                    "a start that has come stays"
                );
            } else {
                assert!(length >= policy.min_duration.into(), "{length:?}");
                let earliest = now.media + policy.lead.into();
                let is_kept = before.is_some_and(|before| before.cue.start == slot.cue.start);
                assert!(is_kept || slot.cue.start >= earliest, "whole, or not at all");
            }
            for other in self.slots.values().filter(|other| other.cue.id != slot.cue.id) {
                let apart = slot.cue.start >= other.end() + policy.gap.into()
                    || other.cue.start >= slot.end() + policy.gap.into();
                assert!(other.cue.state == CueState::Cancelled || apart, "{slot:?} overlaps {other:?}");
            }
        }
        self.slots.insert(slot.cue.id.clone(), slot);
    }
}

#[test]
fn b38_a_storm_of_cues_gives_whole_slots_that_do_not_overlap() {
    let mut opened = 0;
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let mut bus = live(|policy| {
            policy.publisher_slots_per_hour = 100;
            policy.schedule_every = Duration::from_secs(120);
            policy.schedule_after = Duration::from_secs(30);
            policy.on_engagement = OnEngagement::Sell;
        });
        let policy = Policy { publisher_cues: true, publisher_slots_per_hour: 100, ..Policy::default() };
        let (mut programme, mut now, mut heard) = (Programme::default(), 0, Vec::new());
        for _ in 0..4000 {
            now += random.below(300) as i64;
            let start = now + random.below(60_000) as i64 - 3000;
            let duration = [-5, 0, 400, 8000, 30_000, 500_000][random.below(6)];
            let id = CueId::new(&format!("x{}", now / 60_000 * 10 + random.below(10) as i64));
            let named = programme.slots.keys().nth(random.below(programme.slots.len())).cloned();
            let moment = at(now);
            match random.below(10) {
                0..3 => heard.push(cue(id.as_str(), start, Some(duration).filter(|_| random.below(2) == 0))),
                3 => {
                    drop(bus.propose(
                        Proposal { duration: Some(millis(duration)), ..proposal(Some(start)) },
                        moment,
                    ))
                }
                4 => drop(bus.propose(Proposal { id: Some(id), ..proposal(None) }, moment)),
                5 => {
                    let change = SlotChange {
                        start: Some(millis(start)).filter(|_| random.below(2) == 0),
                        duration: Some(millis(duration)).filter(|_| random.below(2) == 0),
                        format: None,
                    };
                    let _ = named.map(|id| bus.update(&id, change, moment));
                }
                6 if random.below(5) == 0 => drop(named.map(|id| bus.cancel(&id, moment))),
                7 if random.below(20) == 0 => drop(named.map(|id| bus.veto(&id, moment))),
                8 if random.below(50) == 0 => bus.hold_off(moment.media + millis(5000), moment),
                _ => {
                    bus.signal(&Signal::Comments { at: moment.media, count: random.below(30) as u32 }, moment)
                }
            }
            // The stream says things again, in any order, and takes them back.
            if let Some(cue) = heard.get(random.below(heard.len())) {
                let state = if random.below(8) == 0 { CueState::Cancelled } else { CueState::Announced };
                let _ = bus.hear(Cue { state, ..cue.clone() }, moment);
            }
            if heard.len() > 20 {
                heard.remove(0);
            }
            bus.handle_timeout(moment);
            while let Some(slot) = bus.poll() {
                programme.take(slot, moment, &policy);
            }
        }
        opened += programme.slots.len();
    }
    assert!(opened > 300, "{opened}");
}

#[test]
fn more_slots_than_anybody_can_mean_are_refused() {
    let mut bus = live(|policy| policy.gap = Duration::ZERO);
    let short =
        |number: i64| Proposal { duration: Some(millis(1000)), ..proposal(Some(10_000 + number * 1000)) };
    let announced = (0..1000).map_while(|number| bus.propose(short(number), at(0)).ok()).count();
    assert_eq!(announced, 128);
    assert_eq!(bus.propose(short(500), at(0)), Err(Refused::TooMany));
    bus.propose(short(500), at(12_000)).unwrap();
}
