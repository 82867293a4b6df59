//! The bus: who may open a slot, when, and that it is one.

mod audience;
mod dialects;
mod rules;
mod storms;

use super::*;
use crate::media::{Cue, CueId, CueOrigin, CueState, MediaTime};

pub(super) fn at(millis: i64) -> Moment {
    Moment { media: MediaTime::from_millis(millis), unix_millis: millis }
}

pub(super) fn millis(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

/// A bus whose channel is on the air and allows everything.
pub(super) fn live(change: impl FnOnce(&mut Policy)) -> CueBus {
    let mut policy = Policy { publisher_cues: true, ..Policy::default() };
    change(&mut policy);
    assert_eq!(policy.problems(), []);
    let mut bus = CueBus::new(policy, []);
    bus.begin();
    bus
}

/// A proposal over the API for a slot of ten seconds.
pub(super) fn proposal(start: Option<i64>) -> Proposal {
    Proposal { duration: Some(millis(10_000)), ..Proposal::of(CueOrigin::Api, start.map(millis)) }
}

/// What the publisher's stream says.
pub(super) fn cue(id: &str, start: i64, duration: Option<i64>) -> Cue {
    Cue {
        id: CueId::new(id),
        revision: 1,
        state: CueState::Announced,
        start: millis(start),
        duration: duration.map(millis),
        origin: CueOrigin::Publisher,
        scte35: None,
    }
}

/// What the bus has given since: id, revision, start and end in milliseconds; a cancelled one ends before it starts.
pub(super) fn given(bus: &mut CueBus) -> Vec<(String, u32, i64, i64)> {
    std::iter::from_fn(|| bus.poll())
        .map(|slot| {
            let end = if slot.cue.state == CueState::Cancelled { -1 } else { slot.end().as_millis() };
            (slot.cue.id.to_string(), slot.cue.revision, slot.cue.start.as_millis(), end)
        })
        .collect()
}

pub(super) fn slot(id: &str, revision: u32, start: i64, end: i64) -> (String, u32, i64, i64) {
    (id.to_owned(), revision, start, end)
}
