//! What becomes of slots.

use std::sync::Arc;

use super::*;
use crate::av::worker::ipc::OverlayId;
use crate::hub::{Protocol, Seen, Watching};
use crate::ledger::{Event, SessionId, SlotId};
use crate::overlay::splice::{self, Why};
use crate::sale::Outcome;
use crate::sale::slots::{Live, Slots, Todo};

const BURNED: OverlayId = OverlayId(3);
const NUMBER: CueNumber = CueNumber(9);
const DELAY_MS: i64 = 30_000;

const fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

/// A slot from 60 to 75 s that was sold.
fn sold(burned: bool, guided: bool) -> (Slots, Slot) {
    let slot = slot("a cue", CueOrigin::Api);
    let mut slots = Slots::default();
    slots.open(NUMBER, slot.clone());
    assert_eq!((slots.next_start(), slots.due(ms(59_999)).len()), (Some(ms(60_000)), 0));
    assert_eq!(slots.due(ms(60_000)), [(NUMBER, slot.clone())]);
    assert_eq!((slots.next_start(), slots.due(ms(60_000)).len()), (None, 0), "it is being decided");
    let live = Live::new(SlotId(5), &slot, burned.then_some((BURNED, 0)), guided, 200_000);
    let expected = Todo::EndAt(burned.then_some(BURNED), slot.end());
    assert_eq!(slots.sold(&slot.cue.id, live), Some((NUMBER, expected)));
    (slots, slot)
}

fn shown(first: i64, last: i64, frames: u64) -> splice::Shown {
    splice::Shown { first_pts: Some(ms(first)), last_pts: Some(ms(last)), frames }
}

fn watching(until: i64) -> [Watching; 1] {
    let seen = Some(Seen { since: ms(0), until: ms(until) });
    [Watching { session: 1, protocol: Protocol::Rtmp, seen, variant: 0, cohort: Arc::default() }]
}

#[test]
fn a_change_of_what_is_sold_ends_it_earlier_withdraws_it_or_sells_it_again() {
    let (mut slots, slot) = sold(true, false);
    let mut shorter = slot.clone();
    shorter.cue.duration = Some(ms(5000));
    assert_eq!(slots.revise(&shorter), Some((NUMBER, Todo::EndAt(Some(BURNED), ms(65_000)))));
    let mut cancelled = slot.clone();
    cancelled.cue.state = CueState::Cancelled;
    assert_eq!(slots.revise(&cancelled), Some((NUMBER, Todo::Withdraw(Some(BURNED)))));
    for change in
        [|slot: &mut Slot| slot.cue.start = ms(70_000), |slot: &mut Slot| slot.format = OverlayFormat::Corner]
    {
        let (mut slots, mut slot) = sold(true, false);
        change(&mut slot);
        assert_eq!(slots.revise(&slot), Some((NUMBER, Todo::SellAgain(Some(BURNED), SlotId(5)))));
        assert_eq!(slots.of_overlay(BURNED), None);
        assert_eq!(slots.due(ms(70_000)), [(NUMBER, slot)], "its turn comes again");
    }
}

#[test]
fn what_is_withdrawn_before_it_is_sold_is_forgotten_and_one_that_is_being_decided_is_looked_at_then() {
    let mut slot = slot("a cue", CueOrigin::Api);
    let mut slots = Slots::default();
    assert_eq!(slots.revise(&slot), None, "it is new");
    slots.open(NUMBER, slot.clone());
    slots.due(ms(60_000));
    slot.cue.start = ms(61_000);
    assert_eq!(slots.revise(&slot), Some((NUMBER, Todo::Nothing)));
    let live = Live::new(SlotId(5), &super::slot("a cue", CueOrigin::Api), None, true, 200_000);
    assert_eq!(slots.sold(&slot.cue.id, live), Some((NUMBER, Todo::SellAgain(None, SlotId(5)))));
    slot.cue.state = CueState::Cancelled;
    assert_eq!(slots.revise(&slot), Some((NUMBER, Todo::Forget)));
    assert_eq!(slots.remove(&slot.cue.id), Some(NUMBER));
    assert_eq!(slots.unsold(), []);
}

#[test]
fn an_overlay_ends_once_and_as_it_was_shown() {
    let (mut slots, slot) = sold(true, false);
    let cue = &slot.cue.id;
    assert_eq!(slots.began(cue, ms(60_000), ms(1000)), Some(NUMBER));
    assert_eq!(slots.began(cue, ms(60_000), ms(1000)), None);
    assert_eq!(slots.drawn(), [(cue.clone(), BURNED)]);
    let closing = slots.closed(cue, shown(60_000, 74_960, 375), Why::Completed, 100_000, DELAY_MS).unwrap();
    assert_eq!((closing.outcome, closing.event), (Outcome::Completed, None));
    assert_eq!(slots.closed(cue, shown(60_000, 74_960, 375), Why::Completed, 100_000, DELAY_MS), None);
    assert_eq!(slots.drawn(), []);
    assert_eq!(slots.displays(&watching(62_000))[0].sessions, [SessionId(1)]);
    assert_eq!(slots.displays(&watching(63_000)), [], "each once");
    assert_eq!(slots.forget(ms(104_999), ms(DELAY_MS), 199_999), []);
    assert_eq!(slots.forget(ms(104_999), ms(DELAY_MS), 200_000), [NUMBER], "the ledger has its deadline");
}

#[test]
fn what_is_cut_short_takes_displays_of_those_who_are_behind_and_what_was_not_shown_gives_its_money_back() {
    let (mut slots, slot) = sold(true, false);
    let cue = &slot.cue.id;
    slots.began(cue, ms(60_000), ms(1000));
    let closing = slots.closed(cue, shown(60_000, 60_400, 11), Why::WorkerLost, 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "worker_lost".to_owned() });
    assert_eq!(closing.event, Some(Event::Shorten { slot: SlotId(5), deadline: 135_000 }));
    assert_eq!(slots.displays(&watching(64_000)), [], "it was on for less than a second");

    let (mut slots, slot) = sold(true, false);
    let nothing = splice::Shown::default();
    let closing = slots.closed(&slot.cue.id, nothing, Why::Late, 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.outcome, Outcome::NotShown { why: "late".to_owned() });
    assert_eq!(closing.event, Some(Event::Release { slot: SlotId(5) }));
    assert_eq!(slots.numbers().count(), 0);
}

#[test]
fn an_overlay_of_which_nobody_knows_how_long_it_was_on_counts_no_further() {
    let (mut slots, slot) = sold(true, false);
    slots.began(&slot.cue.id, ms(60_000), ms(1000));
    let unknown = splice::Shown { first_pts: Some(ms(60_000)), ..splice::Shown::default() };
    let closing = slots.closed(&slot.cue.id, unknown, Why::BroadcastEnded, 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "broadcast_ended".to_owned() });
    assert!(matches!(closing.event, Some(Event::Shorten { .. })));
    assert_eq!(slots.displays(&watching(70_000)), []);
    assert!(!slots.is_any_counted());
}

#[test]
fn what_pages_alone_draw_ends_by_the_time_or_when_it_is_withdrawn() {
    let (mut slots, slot) = sold(false, true);
    assert_eq!((slots.drawn(), slots.only_guided()), (vec![], vec![slot.cue.id.clone()]));
    assert_eq!(slots.completed(ms(74_999)), []);
    let completed = slots.completed(ms(75_000));
    assert_eq!((completed[0].number, &completed[0].outcome), (NUMBER, &Outcome::Completed));
    assert_eq!(slots.completed(ms(75_001)), []);
    assert_eq!(slots.withdrawn(&slot.cue.id, ms(75_001), Why::Cancelled), None);

    for (now, outcome) in
        [(59_999, Outcome::Withdrawn), (60_000, Outcome::CutShort { why: "cancelled".to_owned() })]
    {
        let (mut slots, slot) = sold(false, true);
        let closing = slots.withdrawn(&slot.cue.id, ms(now), Why::Cancelled).unwrap();
        assert_eq!((closing.outcome, closing.event), (outcome, None));
    }
    // Pages go on where the programme cannot.
    let (mut slots, slot) = sold(true, true);
    let nothing = splice::Shown::default();
    let closing = slots.closed(&slot.cue.id, nothing, Why::WorkerLost, 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "worker_lost".to_owned() });
    assert_eq!(closing.event, None);
}
