//! What becomes of slots.

use std::sync::Arc;

use super::*;
use crate::auction::Cohorts;
use crate::av::worker::ipc::OverlayId;
use crate::hub::{Protocol, Seen, Watching};
use crate::ledger::{Event, SessionId, SlotId};
use crate::media::Cohort;
use crate::overlay::splice::{self, Why};
use crate::sale::Outcome;
use crate::sale::slots::{Burned, Live, Slots, Todo};
use crate::sale::variants::{Arranged, Variants};

const BURNED: OverlayId = OverlayId(3);
const NUMBER: CueNumber = CueNumber(9);
const DELAY_MS: i64 = 30_000;

const fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn of(country: &str) -> Cohort {
    Cohort { consent: true, country: country.parse().ok(), ..Cohort::default() }
}

/// Viewers of each of these countries, who get variants 0, 1, …; everybody where there is none.
fn arranged(countries: &[&str]) -> Arranged {
    let viewers = countries.iter().rev().zip(2..).flat_map(|(country, count)| vec![of(country); count]);
    Variants::default().arrange(Cohorts::group(
        viewers.chain(countries.is_empty().then(Cohort::everybody)),
        1,
        4,
    ))
}

fn burned(overlay: OverlayId, lot: u16, arranged: &Arranged) -> Burned {
    let group = (0..).find(|group| arranged.variant(*group) == u8::try_from(lot).unwrap()).unwrap();
    Burned::new(overlay, lot, group, arranged)
}

/// A slot from 60 to 75 s that was sold.
fn sold(is_burned: bool, guided: bool) -> (Slots, Slot) {
    let slot = slot("a cue", CueOrigin::Api);
    let mut slots = Slots::default();
    slots.open(NUMBER, slot.clone());
    assert_eq!((slots.next_start(), slots.due(ms(59_999)).len()), (Some(ms(60_000)), 0));
    assert_eq!(slots.due(ms(60_000)), [(NUMBER, slot.clone())]);
    assert_eq!((slots.next_start(), slots.due(ms(60_000)).len()), (None, 0), "it is being decided");
    let overlays: Vec<_> = is_burned.then(|| burned(BURNED, 0, &arranged(&[]))).into_iter().collect();
    let expected = Todo::EndAt(overlays.iter().map(|burned| burned.overlay).collect(), slot.end());
    let live = Live::new(SlotId(5), &slot, overlays, guided, 200_000);
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
    assert_eq!(slots.revise(&shorter), Some((NUMBER, Todo::EndAt(vec![BURNED], ms(65_000)))));
    let mut cancelled = slot.clone();
    cancelled.cue.state = CueState::Cancelled;
    assert_eq!(slots.revise(&cancelled), Some((NUMBER, Todo::Withdraw(vec![BURNED]))));
    for change in
        [|slot: &mut Slot| slot.cue.start = ms(70_000), |slot: &mut Slot| slot.format = OverlayFormat::Corner]
    {
        let (mut slots, mut slot) = sold(true, false);
        change(&mut slot);
        assert_eq!(slots.revise(&slot), Some((NUMBER, Todo::SellAgain(vec![BURNED], SlotId(5)))));
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
    let live = Live::new(SlotId(5), &super::slot("a cue", CueOrigin::Api), Vec::new(), true, 200_000);
    assert_eq!(slots.sold(&slot.cue.id, live), Some((NUMBER, Todo::SellAgain(Vec::new(), SlotId(5)))));
    slot.cue.state = CueState::Cancelled;
    assert_eq!(slots.revise(&slot), Some((NUMBER, Todo::Forget)));
    assert_eq!(slots.remove(&slot.cue.id), Some(NUMBER));
    assert_eq!(slots.unsold(), []);
}

#[test]
fn an_overlay_ends_once_and_as_it_was_shown() {
    let (mut slots, slot) = sold(true, false);
    let cue = &slot.cue.id;
    assert_eq!(slots.began(cue, BURNED, ms(60_000), ms(1000)), Some(NUMBER));
    assert_eq!(slots.began(cue, BURNED, ms(60_000), ms(1000)), None);
    assert_eq!(slots.drawn(), [(cue.clone(), BURNED)]);
    let closing = slots
        .closed(cue, BURNED, (shown(60_000, 74_960, 375), Why::Completed), ms(75_000), 100_000, DELAY_MS)
        .unwrap();
    assert_eq!((closing.outcome, closing.event), (Outcome::Completed, None));
    assert_eq!(
        slots.closed(
            cue,
            BURNED,
            (shown(60_000, 74_960, 375), Why::Completed),
            ms(75_000),
            100_000,
            DELAY_MS
        ),
        None
    );
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
    slots.began(cue, BURNED, ms(60_000), ms(1000));
    let closing = slots
        .closed(cue, BURNED, (shown(60_000, 60_400, 11), Why::WorkerLost), ms(75_000), 100_000, DELAY_MS)
        .unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "worker_lost".to_owned() });
    assert_eq!(closing.event, Some(Event::Shorten { slot: SlotId(5), deadline: 135_000 }));
    assert_eq!(slots.displays(&watching(64_000)), [], "it was on for less than a second");

    let (mut slots, slot) = sold(true, false);
    let nothing = splice::Shown::default();
    let closing =
        slots.closed(&slot.cue.id, BURNED, (nothing, Why::Late), ms(75_000), 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.outcome, Outcome::NotShown { why: "late".to_owned() });
    assert_eq!(closing.event, Some(Event::Release { slot: SlotId(5) }));
    assert_eq!(slots.numbers().count(), 0);
}

#[test]
fn what_is_withdrawn_after_the_sale_and_before_its_beginning_is_withdrawn_for_pages_too() {
    let nothing = (splice::Shown::default(), Why::Cancelled);
    for is_guided in [false, true] {
        let (mut slots, slot) = sold(true, is_guided);
        let closing = slots.closed(&slot.cue.id, BURNED, nothing, ms(59_999), 100_000, DELAY_MS).unwrap();
        assert_eq!(closing.outcome, Outcome::Withdrawn);
        assert_eq!(closing.event, Some(Event::Release { slot: SlotId(5) }));
        assert_eq!(slots.numbers().count(), 0);
    }
    let (mut slots, slot) = sold(true, true);
    let closing = slots.closed(&slot.cue.id, BURNED, nothing, ms(60_001), 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "cancelled".to_owned() }, "pages had begun");
}

#[test]
fn an_overlay_of_which_nobody_knows_how_long_it_was_on_counts_no_further() {
    let (mut slots, slot) = sold(true, false);
    slots.began(&slot.cue.id, BURNED, ms(60_000), ms(1000));
    let unknown = splice::Shown { first_pts: Some(ms(60_000)), ..splice::Shown::default() };
    let closing = slots
        .closed(&slot.cue.id, BURNED, (unknown, Why::BroadcastEnded), ms(75_000), 100_000, DELAY_MS)
        .unwrap();
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
    let closing = slots
        .closed(&slot.cue.id, BURNED, (nothing, Why::WorkerLost), ms(75_000), 100_000, DELAY_MS)
        .unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "worker_lost".to_owned() });
    assert_eq!(closing.event, None);
}

/// Two overlays of one slot, for viewers of two countries.
fn sold_apart() -> (Slots, Slot, [OverlayId; 2]) {
    let slot = slot("a cue", CueOrigin::Api);
    let overlays = [OverlayId(3), OverlayId(4)];
    let arranged = arranged(&["de", "fr"]);
    let both = overlays.into_iter().zip(0..).map(|(overlay, lot)| burned(overlay, lot, &arranged));
    let live = Live::new(SlotId(5), &slot, both.collect(), false, 200_000);
    let mut slots = Slots::default();
    slots.open(NUMBER, slot.clone());
    assert_eq!(slots.sold(&slot.cue.id, live), Some((NUMBER, Todo::EndAt(overlays.to_vec(), slot.end()))));
    (slots, slot, overlays)
}

#[test]
fn each_overlay_counts_for_those_who_get_it_and_to_whom_it_was_sold() {
    let (mut slots, slot, overlays) = sold_apart();
    for overlay in overlays {
        assert_eq!(slots.of_overlay(overlay).as_ref(), Some(&slot.cue.id));
        slots.began(&slot.cue.id, overlay, ms(60_000), ms(1000));
    }
    let viewer = |session, country, variant| {
        let [watching] = watching(62_000);
        Watching { session, variant, cohort: Arc::new(of(country)), ..watching }
    };
    // One is not where he belongs, and one belongs to nobody that was sold.
    let audience = [viewer(1, "de", 0), viewer(2, "fr", 1), viewer(3, "fr", 0), viewer(4, "it", 0)];
    let due: Vec<_> = slots.displays(&audience).into_iter().map(|due| (due.lot, due.sessions)).collect();
    assert_eq!(due, [(0, vec![SessionId(1)]), (1, vec![SessionId(2)])]);
    slots.uncount(&slot.cue.id, SlotId(5), 1, &[SessionId(1), SessionId(2)]);
    let due: Vec<_> = slots.displays(&audience).into_iter().map(|due| (due.lot, due.sessions)).collect();
    assert_eq!(due, [(1, vec![SessionId(2)])], "it could not be charged");
}

#[test]
fn a_slot_of_two_overlays_is_over_with_the_second_and_says_what_came_of_both() {
    let (mut slots, slot, [one, other]) = sold_apart();
    let cue = &slot.cue.id;
    slots.began(cue, one, ms(60_000), ms(1000));
    assert_eq!(
        slots.closed(cue, one, (shown(60_000, 74_960, 375), Why::Completed), ms(75_000), 100_000, DELAY_MS),
        None
    );
    assert_eq!(slots.drawn(), [(cue.clone(), other)]);
    let closing =
        slots.closed(cue, other, (shown(60_040, 74_960, 374), Why::Completed), ms(75_000), 100_000, DELAY_MS);
    let closing = closing.unwrap();
    assert_eq!((closing.outcome, closing.event), (Outcome::Completed, None));
    let shown_of_both = closing.shown.unwrap();
    assert_eq!((shown_of_both.first_pts_ns, shown_of_both.frames), (Some(ms(60_000).as_nanos()), 375));

    let (mut slots, slot, [one, other]) = sold_apart();
    let cue = &slot.cue.id;
    let nothing = splice::Shown::default();
    assert_eq!(slots.closed(cue, other, (nothing, Why::Late), ms(75_000), 100_000, DELAY_MS), None);
    let closing = slots
        .closed(cue, one, (shown(60_000, 74_960, 375), Why::Completed), ms(75_000), 100_000, DELAY_MS)
        .unwrap();
    assert_eq!(closing.outcome, Outcome::CutShort { why: "late".to_owned() });

    let (mut slots, slot, [one, other]) = sold_apart();
    let cue = &slot.cue.id;
    slots.closed(cue, other, (nothing, Why::Late), ms(75_000), 100_000, DELAY_MS);
    let closing = slots.closed(cue, one, (nothing, Why::WorkerLost), ms(75_000), 100_000, DELAY_MS).unwrap();
    assert_eq!(closing.event, Some(Event::Release { slot: SlotId(5) }));
    assert!(matches!(closing.outcome, Outcome::NotShown { .. }));
}
