//! Workers that die, hang, lie and are too slow.

use std::time::Duration;

use super::model::Failure;
use super::programme::pictures_of;
use super::random::Random;
use super::source::{Shape, interleave};
use super::stage::Stage;
use crate::hub::Item;
use crate::media::MediaTime;
use crate::overlay::splice::{Limits, Phase, Why};

fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn items(shape: &Shape, seconds: i64) -> Vec<(MediaTime, Item)> {
    let count = (seconds * 1_000_000_000 / shape.interval) as usize;
    interleave(shape, &shape.pictures(0, count, 0, &mut Random::new(7)))
}

/// A slot of 3 s at 5 s; the worker is started at 2 s and gets a keyframe at once.
fn with_failures(shape: Shape, failures: &[Failure]) -> (Stage, Vec<(MediaTime, Item)>) {
    let mut stage = Stage::new(&shape, 31);
    stage.failures = failures.iter().copied().map(Some).collect();
    let items = items(&shape, 16);
    stage.ask(1, Some(ms(5_000)), ms(3_000));
    stage.play(&items);
    stage.check_programme(&items);
    (stage, items)
}

#[test]
fn a_worker_that_is_lost_before_the_slot_costs_nothing() {
    for failure in [Failure::Dies(10), Failure::Hangs(10), Failure::Dies(0), Failure::Dies(89)] {
        let (stage, items) = with_failures(Shape::PLAIN, &[failure]);
        assert_eq!(stage.pictures().len(), pictures_of(&items).count(), "{failure:?}");
        assert_eq!(stage.drawn(1).len(), 90, "{failure:?}: another was there in time");
        assert!(
            stage.programme.longest_gap <= Duration::from_millis(120),
            "{:?}",
            stage.programme.longest_gap
        );
    }
}

#[test]
fn a_worker_that_is_lost_while_it_draws_is_replaced_within_a_second() {
    let shapes = [
        Shape::PLAIN,
        Shape { gop: 300, ..Shape::PLAIN },
        Shape { b_frames: 3, pyramid: true, ..Shape::PLAIN },
    ];
    for shape in shapes {
        for failure in [Failure::Dies(150), Failure::Hangs(150), Failure::Lies(150)] {
            let (stage, items) = with_failures(shape, &[failure]);
            let what = format!("{shape:?}, {failure:?}");
            assert_eq!(stage.pictures().len(), pictures_of(&items).count(), "{what}: no picture is lost");
            assert!(
                stage.programme.longest_gap < Duration::from_secs(1),
                "{what}: {:?}",
                stage.programme.longest_gap
            );
            assert_eq!(stage.closed(1).unwrap().1, Why::Completed, "{what}");
            assert!(stage.started >= 2, "{what}");
        }
    }
}

#[test]
fn a_slot_that_begins_when_it_can_begins_with_another_worker() {
    let mut stage = Stage::new(&Shape::PLAIN, 33);
    // The first one is lost between the cut and its first frame.
    stage.failures = vec![Some(Failure::Hangs(95))];
    let items = items(&Shape::PLAIN, 16);
    let at = |millis| items.partition_point(|(at, _)| *at < ms(millis));
    stage.play(&items[..at(3_000)]);
    stage.expect(ms(9_000));
    // From the keyframe at 2 s to here are 94 frames.
    stage.play(&items[at(3_000)..at(5_120)]);
    stage.ask(1, None, ms(2_000));
    stage.splicer.expect_nothing();
    stage.play(&items[at(5_120)..]);
    stage.check_programme(&items);
    assert_eq!(stage.pictures().len(), pictures_of(&items).count());
    assert_eq!((stage.drawn(1).len(), stage.started), (60, 2));
    assert_eq!(stage.closed(1).unwrap().1, Why::Completed);
}

#[test]
fn a_slot_that_was_brought_to_its_end_makes_up_for_the_workers_that_were_lost() {
    let mut stage = Stage::new(&Shape::PLAIN, 31);
    stage.failures = [150, 100, 100, 100, 100].map(|frames| Some(Failure::Dies(frames))).to_vec();
    let items = items(&Shape::PLAIN, 24);
    for slot in 0..6 {
        stage.ask(slot, Some(ms(5_000 + slot as i64 * 2_000)), ms(2_000));
    }
    stage.play(&items);
    stage.check_programme(&items);
    assert_eq!(stage.started, 6, "more are lost than may be in a row");
    assert!(
        (0..6).all(|slot| stage.closed(slot).unwrap().1 == Why::Completed),
        "{:?}",
        stage.programme.events
    );
    assert!(stage.programme.longest_gap < Duration::from_secs(1), "{:?}", stage.programme.longest_gap);
}

#[test]
fn without_workers_the_source_is_back_at_its_next_keyframe() {
    let dead = [Failure::Dies(150), Failure::Dies(0), Failure::Dies(0), Failure::Dies(0), Failure::Dies(0)];
    let (stage, _) = with_failures(Shape::PLAIN, &dead);
    let (shown, why) = stage.closed(1).unwrap();
    assert_eq!(why, Why::WorkerLost);
    assert!(shown.frames > 0 && shown.frames < 90);
    assert_eq!(stage.splicer.phase(), Phase::Pass);
    assert!(stage.keyframe_requests > 0, "the publisher is asked for one");
    let missing = 480 - stage.pictures().len();
    assert!((1..=60).contains(&missing), "{missing} pictures up to the keyframe");
}

#[test]
fn without_workers_an_open_gop_is_better_than_nothing() {
    let shape = Shape { b_frames: 3, open: true, ..Shape::PLAIN };
    let dead = [Failure::Dies(150), Failure::Dies(0), Failure::Dies(0), Failure::Dies(0), Failure::Dies(0)];
    let (stage, _) = with_failures(shape, &dead);
    assert_eq!(stage.splicer.phase(), Phase::Pass);
    let last = stage.pictures().into_iter().max_by_key(|(frame, _)| frame.pts).unwrap().1;
    assert!(!last.by_worker && last.number == 479);
}

#[test]
fn workers_that_never_work_leave_the_programme_alone() {
    let (stage, items) = with_failures(Shape::PLAIN, &[Failure::Dies(0); 20]);
    assert_eq!(stage.pictures().len(), pictures_of(&items).count());
    assert_eq!(stage.closed(1).unwrap().1, Why::WorkerLost);
    assert_eq!(stage.started, 4, "there is an end to trying");
    assert!(stage.splicer.is_idle());
    assert!(stage.programme.longest_gap <= Duration::from_millis(40));
}

#[test]
fn a_hand_over_that_takes_too_long_is_given_up_and_the_source_goes_on() {
    let by_frames = Limits { held_frames: 8, ..Limits::default() };
    let by_bytes = Limits { held_bytes: 60, ..Limits::default() };
    let by_time = Limits { held_time: Duration::from_millis(200), ..Limits::default() };
    for limits in [by_frames, by_bytes, by_time] {
        let mut stage = Stage::with(&Shape::PLAIN, 32, limits);
        // It gets everything before the cut, and nothing comes of the rest.
        stage.failures = vec![Some(Failure::Hangs(90))];
        let items = items(&Shape::PLAIN, 12);
        stage.ask(1, Some(ms(5_000)), ms(3_000));
        stage.play(&items);
        stage.check_programme(&items);
        assert_eq!(stage.pictures().len(), 360, "{limits:?}: nothing has happened");
        assert!(stage.pictures().iter().all(|(_, picture)| !picture.by_worker));
        assert_eq!(stage.closed(1).unwrap().1, Why::Late);
        assert!(stage.splicer.is_idle());
    }
}

#[test]
fn a_worker_that_is_lost_on_the_way_back_is_not_missed() {
    // Its last frames are those before the keyframe at 8 s.
    for failure in [Failure::Dies(179), Failure::Hangs(179)] {
        let (stage, items) = with_failures(Shape::PLAIN, &[failure]);
        let missing = pictures_of(&items).count() - stage.pictures().len();
        assert!(missing <= 1, "{failure:?}: {missing} pictures are missing");
        assert_eq!(stage.splicer.phase(), Phase::Pass);
        assert!(stage.programme.longest_gap < Duration::from_secs(1));
    }
}

#[test]
fn workers_that_fail_at_random_never_break_a_programme() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let shape = Shape::random(&mut random);
        let mut stage = Stage::new(&shape, seed);
        stage.failures = (0..random.below(6))
            .map(|_| {
                let after = random.below(400);
                random.of(&[
                    Some(Failure::Dies(after)),
                    Some(Failure::Hangs(after)),
                    Some(Failure::Lies(after)),
                    None,
                ])
            })
            .collect();
        let items = items(&shape, 30);
        let start = 4_000 + random.below(4_000) as i64;
        stage.ask(1, Some(ms(start)), ms(500 + random.below(6_000) as i64));
        stage.play(&items);
        println!("seed {seed}, {shape:?}");
        stage.check_programme(&items);
        assert!(stage.closed(1).is_some(), "the slot is closed");
        let lost = pictures_of(&items).count() - stage.pictures().len();
        assert!(lost <= 4 * shape.gop + 60, "{lost} pictures are lost");
    }
}
