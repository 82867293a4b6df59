//! Proposals, changes, the publisher's stream, the broadcaster's word, the schedule.

use std::time::Duration;

use super::*;
use crate::media::OverlayFormat;

#[test]
fn a_slot_is_announced_changed_and_withdrawn_with_rising_revisions() {
    let mut bus = live(|_| {});
    let id = bus.propose(proposal(Some(20_000)), at(1000)).unwrap();
    let change = SlotChange { start: Some(millis(21_000)), duration: Some(millis(12_000)), format: None };
    bus.update(&id, change, at(2000)).unwrap();
    bus.update(&id, change, at(2000)).unwrap();
    bus.cancel(&id, at(3000)).unwrap();
    assert_eq!(bus.cancel(&id, at(3000)), Err(Refused::Unknown));
    let expected =
        [slot("api-1", 1, 20_000, 30_000), slot("api-1", 2, 21_000, 33_000), slot("api-1", 3, 21_000, -1)];
    assert_eq!(given(&mut bus), expected, "the same change again is none");
    let named = Proposal { id: Some(CueId::new("goal")), ..proposal(None) };
    assert_eq!(bus.propose(named.clone(), at(4000)).unwrap().as_str(), "goal");
    assert_eq!(given(&mut bus), [slot("goal", 1, 4300, 14_300)], "as soon as a decision can be there");
    assert_eq!(bus.propose(named, at(90_000)), Err(Refused::Conflict));
}

#[test]
fn a_slot_that_runs_keeps_its_start_and_can_be_cut_or_made_longer() {
    let mut bus = live(|policy| policy.gap = Duration::ZERO);
    let id = bus.propose(proposal(Some(5000)), at(0)).unwrap();
    given(&mut bus);
    let change = |start: Option<i64>, duration: Option<i64>| SlotChange {
        start: start.map(millis),
        duration: duration.map(millis),
        format: None,
    };
    assert_eq!(bus.update(&id, change(Some(9000), None), at(6000)), Err(Refused::Begun));
    let corner = SlotChange { format: Some(OverlayFormat::Corner), ..SlotChange::default() };
    assert_eq!(bus.update(&id, corner, at(6000)), Err(Refused::Begun));
    bus.update(&id, change(None, Some(15_000)), at(6000)).unwrap();
    assert_eq!(bus.update(&id, change(None, Some(121_000)), at(6000)), Err(Refused::Duration));
    bus.update(&id, change(None, Some(500)), at(7000)).unwrap();
    assert_eq!(
        given(&mut bus),
        [slot("api-1", 2, 5000, 20_000), slot("api-1", 3, 5000, 7000)],
        "now at the earliest"
    );
    assert_eq!(bus.update(&id, change(None, Some(15_000)), at(7001)), Err(Refused::Unknown), "it is over");
    let before = bus.propose(proposal(Some(20_000)), at(8000)).unwrap();
    bus.update(&before, corner, at(8000)).unwrap();
    assert_eq!(bus.slots(at(8000)).next().unwrap().format, OverlayFormat::Corner);
}

#[test]
fn a_late_cue_is_served_whole_or_skipped_whole() {
    for late in (-8000..=8000).step_by(50) {
        let mut bus = live(|_| {});
        let served = bus.propose(proposal(Some(10_000 - late)), at(10_000));
        match given(&mut bus).first() {
            Some((_, _, start, end)) => {
                assert_eq!(end - start, 10_000, "whole");
                assert_eq!(*start, (10_000 - late).max(10_300), "not before a decision can be there");
                assert!(late <= 700, "{late}");
            }
            None => assert_eq!((served, late > 700), (Err(Refused::TooLate), true), "{late}"),
        }
    }
}

#[test]
fn slots_do_not_overlap_whoever_wants_them() {
    let mut bus = live(|_| {});
    bus.propose(proposal(Some(30_000)), at(0)).unwrap();
    for start in [11_000, 30_000, 35_000, 49_900] {
        assert_eq!(bus.propose(proposal(Some(start)), at(0)), Err(Refused::Overlap), "{start}");
    }
    assert_eq!(bus.hear(cue("x", 35_000, Some(5000)), at(0)), Err(Refused::Overlap));
    let before = bus.propose(proposal(Some(10_000)), at(0)).unwrap();
    bus.propose(proposal(Some(50_000)), at(0)).unwrap();
    let longer = SlotChange { duration: Some(millis(10_100)), ..SlotChange::default() };
    assert_eq!(bus.update(&before, longer, at(0)), Err(Refused::Overlap));
    bus.cancel(&before, at(0)).unwrap();
    bus.propose(proposal(Some(9000)), at(0)).unwrap();
}

#[test]
fn b38_absurd_cues_are_refused() {
    let mut bus = live(|_| {});
    for duration in [i64::MIN, -1, 0, 999, 120_001, i64::MAX / 2_000_000, i64::MAX] {
        let absurd = Proposal { duration: Some(millis(duration)), ..proposal(None) };
        assert_eq!(bus.propose(absurd, at(0)), Err(Refused::Duration), "{duration}");
        assert_eq!(bus.hear(cue("x", 5000, Some(duration)), at(0)), Err(Refused::Duration), "{duration}");
    }
    assert_eq!(bus.propose(proposal(Some(86_400_001)), at(0)), Err(Refused::FarAhead));
    assert_eq!(bus.propose(proposal(Some(i64::MAX)), at(0)), Err(Refused::FarAhead));
    assert_eq!(bus.propose(proposal(Some(i64::MIN)), at(0)), Err(Refused::TooLate));
    let mut offline = CueBus::new(Policy::default(), []);
    assert_eq!(offline.propose(proposal(None), at(0)), Err(Refused::Offline));
    bus.propose(proposal(Some(5000)), at(0)).unwrap();
    bus.end(at(1000));
    assert_eq!(bus.propose(proposal(None), at(2000)), Err(Refused::Offline));
    assert_eq!(
        given(&mut bus).last(),
        Some(&slot(&given_id(), 2, 5000, -1)),
        "what was announced is cancelled"
    );
}

fn given_id() -> String {
    // Refused proposals have used up numbers.
    format!("api-{}", 7 + 3 + 1)
}

#[test]
fn the_stream_needs_a_permission_and_has_a_budget_that_outlives_the_broadcast() {
    let mut closed = live(|policy| policy.publisher_cues = false);
    assert_eq!(closed.hear(cue("x", 5000, None), at(0)), Err(Refused::NotPermitted));
    let mut bus = live(|policy| policy.publisher_slots_per_hour = 3);
    for number in 0..3 {
        bus.hear(cue(&number.to_string(), 5000 + number * 60_000, None), at(number * 60_000)).unwrap();
    }
    let later = |bus: &mut CueBus, millis| bus.hear(cue("again", millis + 4000, None), at(millis));
    assert_eq!(later(&mut bus, 200_000), Err(Refused::OverBudget));
    bus.hear(cue("2", 125_000, Some(20_000)), at(130_000)).unwrap();
    bus.end(at(210_000));
    bus.begin();
    assert_eq!(later(&mut bus, 300_000), Err(Refused::OverBudget), "starting again is no way around it");
    bus.propose(proposal(Some(330_000)), at(310_000)).unwrap();
    later(&mut bus, 3_600_000).unwrap();
    let mut restarted =
        CueBus::new(Policy { publisher_cues: true, publisher_slots_per_hour: 1, ..Policy::default() }, [0]);
    restarted.begin();
    assert_eq!(later(&mut restarted, 1000), Err(Refused::OverBudget), "nor is a restart");
}

#[test]
fn the_stream_repeats_itself_and_ends_slots_early() {
    let mut bus = live(|_| {});
    for now in [0, 2000, 4000, 20_100] {
        bus.hear(cue("x", 20_000, None), at(now)).unwrap();
    }
    assert_eq!(given(&mut bus), [slot("x", 1, 20_000, 35_000)], "as long as the channel's slots");
    // Back in the network after eight seconds.
    bus.hear(cue("x", 20_000, Some(8000)), at(27_000)).unwrap();
    bus.hear(cue("x", 20_000, Some(8000)), at(27_500)).unwrap();
    assert_eq!(given(&mut bus), [slot("x", 2, 20_000, 28_000)]);
    bus.hear(cue("y", 60_000, Some(9000)), at(50_000)).unwrap();
    bus.hear(Cue { state: CueState::Cancelled, ..cue("y", 60_000, Some(9000)) }, at(51_000)).unwrap();
    assert_eq!(given(&mut bus), [slot("y", 1, 60_000, 69_000), slot("y", 2, 60_000, -1)]);
    bus.hear(cue("y", 60_000, Some(9000)), at(52_000)).unwrap();
    assert_eq!(given(&mut bus), [slot("y", 3, 60_000, 69_000)], "wanted after all");
    bus.hear(cue("late", 79_500, None), at(79_800)).unwrap();
    bus.hear(cue("late", 79_500, Some(6000)), at(85_500)).unwrap();
    let late = [slot("late", 1, 80_100, 95_100), slot("late", 2, 80_100, 85_500)];
    assert_eq!(given(&mut bus), late, "it began late and ends when the stream says so");
    let unknown = Cue { state: CueState::Cancelled, ..cue("z", 60_000, None) };
    assert_eq!(bus.hear(unknown, at(51_000)), Err(Refused::Unknown));
    bus.propose(Proposal { id: Some(CueId::new("goal")), ..proposal(Some(99_000)) }, at(86_000)).unwrap();
    for duration in [2000, 3000] {
        let foreign = bus.hear(cue("goal", 99_000, Some(duration)), at(87_000));
        assert_eq!(foreign, Err(Refused::Conflict), "another's slot, told once or twice");
    }
}

#[test]
fn what_is_sold_ends_earlier_and_never_later_unless_it_is_moved() {
    let mut bus = live(|_| {});
    let id = bus.propose(proposal(Some(20_000)), at(0)).unwrap();
    let lasts = |duration| SlotChange { duration: Some(millis(duration)), ..SlotChange::default() };
    bus.update(&id, lasts(12_000), at(1000)).unwrap();
    bus.commit(&id);
    assert_eq!(bus.update(&id, lasts(13_000), at(18_000)), Err(Refused::Sold));
    bus.update(&id, lasts(8000), at(18_000)).unwrap();
    assert_eq!(bus.update(&id, lasts(9000), at(21_000)), Err(Refused::Sold), "also what it had been before");
    let changes = [slot("api-1", 1, 20_000, 30_000), slot("api-1", 2, 20_000, 32_000)];
    assert_eq!(given(&mut bus), [changes.as_slice(), &[slot("api-1", 3, 20_000, 28_000)]].concat());

    bus.hear(cue("x", 50_000, Some(5000)), at(30_000)).unwrap();
    bus.commit(&CueId::new("x"));
    assert_eq!(bus.hear(cue("x", 50_000, Some(9000)), at(48_000)), Err(Refused::Sold), "the stream neither");
    bus.hear(cue("x", 52_000, Some(9000)), at(48_000)).unwrap();
    bus.hear(cue("x", 52_000, Some(10_000)), at(48_500)).unwrap();
    let moved = [slot("x", 2, 52_000, 61_000), slot("x", 3, 52_000, 62_000)];
    assert_eq!(given(&mut bus)[1..], moved, "it is sold anew");
}

#[test]
fn the_broadcaster_vetoes_and_holds_off() {
    let mut bus = live(|_| {});
    bus.hear(cue("x", 20_000, None), at(0)).unwrap();
    bus.veto(&CueId::new("x"), at(1000)).unwrap();
    assert_eq!(bus.hear(cue("x", 21_000, None), at(2000)), Err(Refused::Vetoed), "nobody brings it back");
    let running = bus.propose(proposal(Some(20_000)), at(2000)).unwrap();
    let coming = bus.propose(proposal(Some(50_000)), at(2000)).unwrap();
    let after = bus.propose(proposal(Some(80_000)), at(2000)).unwrap();
    bus.hold_off(millis(60_000), at(25_000));
    let standing: Vec<&CueId> = bus.slots(at(25_000)).map(|slot| &slot.cue.id).collect();
    assert_eq!(standing, [&running, &after], "what runs goes on");
    assert_eq!(bus.update(&coming, SlotChange::default(), at(25_000)), Err(Refused::Unknown));
    assert_eq!(bus.propose(proposal(None), at(45_000)), Err(Refused::HeldOff));
    bus.hold_off(MediaTime::ZERO, at(46_000));
    bus.propose(proposal(None), at(46_000)).unwrap();
    bus.veto(&running, at(29_000)).unwrap();
}

#[test]
fn the_schedule_opens_a_slot_every_n_minutes_but_in_the_first_m() {
    let mut bus = live(|policy| {
        policy.schedule_every = Duration::from_secs(600);
        policy.schedule_after = Duration::from_secs(300);
    });
    assert_eq!(bus.next_timeout(), Some(millis(296_000)), "announced four seconds before");
    bus.handle_timeout(at(295_999));
    assert_eq!(given(&mut bus), []);
    bus.handle_timeout(at(296_010));
    assert_eq!(given(&mut bus), [slot("schedule-1", 1, 300_000, 315_000)]);
    // Somebody else's slot is there: it is left out.
    bus.propose(proposal(Some(895_000)), at(600_000)).unwrap();
    bus.handle_timeout(at(896_000));
    assert_eq!(given(&mut bus).len(), 1);
    // The publisher was gone for half an hour: what was missed is not made up for.
    bus.handle_timeout(at(2_800_000));
    assert_eq!((given(&mut bus), bus.next_timeout()), (vec![], Some(millis(3_296_000 - 600_000 + 600_000))));
    bus.handle_timeout(at(3_296_000));
    assert_eq!(given(&mut bus)[0].2, 3_300_000);
    bus.end(at(3_296_500));
    assert_eq!(bus.next_timeout(), None);
    assert_eq!(live(|_| {}).next_timeout(), None, "no schedule");
}
