//! Single slots: phases, exact frames, the ways in and out.

use std::time::Duration;

use super::model::read;
use super::programme::pictures_of;
use super::random::Random;
use super::source::{Shape, interleave};
use super::stage::Stage;
use crate::hub::Item;
use crate::media::MediaTime;
use crate::overlay::splice::{Limits, Phase, Shown, SlotEvent, State, Why};

fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

/// Items of a source of so many seconds.
fn items(shape: &Shape, seconds: f64) -> Vec<(MediaTime, Item)> {
    let count = (seconds * 1e9 / shape.interval as f64) as usize;
    interleave(shape, &shape.pictures(0, count, 0, &mut Random::new(7)))
}

/// Plays them, with slots asked for at times of media time.
fn play(stage: &mut Stage, items: &[(MediaTime, Item)], asks: &[(i64, u64, Option<i64>, i64)]) {
    let mut asks = asks.iter().peekable();
    for (at, item) in items {
        while let Some((_, id, start, duration)) = asks.next_if(|(asked, ..)| ms(*asked) <= *at) {
            stage.ask(*id, start.map(ms), ms(*duration));
        }
        stage.source(*at, item.clone());
    }
    stage.check_programme(items);
}

#[test]
fn a_slot_goes_through_all_phases_and_leaves_nothing_behind() {
    let mut stage = Stage::new(&Shape::PLAIN, 1);
    let items = items(&Shape::PLAIN, 12.0);
    play(&mut stage, &items, &[(1_000, 1, Some(5_000), 2_000)]);
    assert_eq!(stage.phases(), [Phase::Pass, Phase::Prime, Phase::Draw, Phase::Drain, Phase::Pass]);
    let drawn = stage.drawn(1);
    assert_eq!((drawn[0], *drawn.last().unwrap(), drawn.len()), (ms(5_000), ms(6_967), 60));
    assert!(stage.splicer.is_idle() && !stage.has_worker());
    assert_eq!(stage.pictures().len(), pictures_of(&items).count());
    let kinds: Vec<_> = stage
        .programme
        .events
        .iter()
        .map(|(_, event)| match event {
            SlotEvent::Ready => "ready",
            SlotEvent::Began { .. } => "began",
            SlotEvent::Closed { .. } => "closed",
        })
        .collect();
    assert_eq!(kinds, ["ready", "began", "closed"]);
    // The worker works only around the slot.
    let by_worker = stage.pictures().iter().filter(|(_, picture)| picture.by_worker).count();
    assert_eq!(by_worker, 90, "from the slot's start to the next keyframe at 8 s");
}

#[test]
fn a_slot_has_its_frame_though_the_worker_is_a_little_behind_and_one_without_waits_for_it() {
    for (start, first) in [(Some(5_000), 5_000..5_001), (None, 5_100..5_400)] {
        let mut stage = Stage::new(&Shape::PLAIN, 1);
        let items = items(&Shape::PLAIN, 12.0);
        for (at, item) in &items {
            if *at == ms(3_000) && start.is_some() {
                stage.ask(1, start.map(ms), ms(2_000));
            }
            if *at == ms(3_000) {
                stage.expect(ms(6_000));
            }
            if *at == ms(4_800) {
                stage.hold_up(Duration::from_millis(400));
            }
            if *at == ms(5_000) && start.is_none() {
                stage.ask(1, None, ms(2_000));
            }
            stage.source(*at, item.clone());
        }
        stage.check_programme(&items);
        let drawn = stage.drawn(1);
        assert!(first.contains(&drawn[0].as_millis()), "{start:?}: {:?}", drawn[0]);
        let delay = stage.delay(1).expect("it was shown");
        assert!((start.is_some()) == (delay > Duration::from_millis(100)), "{start:?}: {delay:?}");
    }
}

#[test]
fn a_slot_begins_at_once_when_nothing_else_is_said() {
    let mut stage = Stage::new(&Shape::PLAIN, 2);
    play(&mut stage, &items(&Shape::PLAIN, 9.0), &[(3_500, 1, None, 1_000)]);
    let drawn = stage.drawn(1);
    assert!(drawn[0] < ms(3_800), "{:?}: a GOP of 2 s is decoded in a few frames' time", drawn[0]);
    assert_eq!(drawn.len(), 30);
}

#[test]
fn a_slot_that_was_expected_begins_with_the_next_frames() {
    let mut stage = Stage::new(&Shape::PLAIN, 2);
    let items = items(&Shape::PLAIN, 12.0);
    let at = |millis| items.partition_point(|(at, _)| *at < ms(millis));
    stage.play(&items[..at(3_500)]);
    stage.expect(ms(5_500));
    stage.play(&items[at(3_500)..at(4_500)]);
    assert_eq!(stage.splicer.phase(), Phase::Prime);
    stage.ask(1, None, ms(1_000));
    stage.splicer.expect_nothing();
    stage.play(&items[at(4_500)..]);
    stage.check_programme(&items);
    assert_eq!((stage.drawn(1)[0], stage.drawn(1).len()), (ms(4_500), 30));
    assert!(stage.splicer.is_idle());
}

#[test]
fn what_is_expected_and_does_not_come_costs_nothing() {
    let mut stage = Stage::new(&Shape::PLAIN, 2);
    let items = items(&Shape::PLAIN, 9.0);
    let (before, after) = items.split_at(items.partition_point(|(at, _)| *at < ms(3_500)));
    stage.play(before);
    stage.expect(ms(4_500));
    stage.play(after);
    stage.check_programme(&items);
    assert_eq!(stage.started, 1);
    assert!(stage.splicer.is_idle() && !stage.has_worker());
    assert_eq!(stage.phases(), [Phase::Pass, Phase::Prime, Phase::Pass]);
    assert!(stage.pictures().iter().all(|(_, picture)| !picture.by_worker));
}

#[test]
fn back_to_back_slots_do_not_go_back_to_the_source_between() {
    let mut stage = Stage::new(&Shape::PLAIN, 3);
    let asks = [(500, 1, Some(4_000), 1_000), (600, 2, Some(5_000), 3_000), (700, 3, Some(10_000), 1_000)];
    play(&mut stage, &items(&Shape::PLAIN, 16.0), &asks);
    assert_eq!((stage.drawn(1).len(), stage.drawn(2).len(), stage.drawn(3).len()), (30, 90, 30));
    assert_eq!(stage.started, 1, "one worker for all of them");
    // A keyframe between two slots that are near to each other is no way out.
    assert!(stage.pictures().iter().filter(|(frame, _)| frame.pts == ms(8_000)).all(|(_, p)| p.by_worker));
}

#[test]
fn slots_asked_for_while_the_programme_is_the_workers_begin_with_the_next_frame() {
    let mut stage = Stage::new(&Shape { gop: 600, ..Shape::PLAIN }, 4);
    let asks = [(1_000, 1, Some(4_500), 500), (6_010, 2, None, 500)];
    play(&mut stage, &items(&Shape { gop: 600, ..Shape::PLAIN }, 22.0), &asks);
    let drawn = stage.drawn(2);
    assert!(drawn[0] <= ms(6_067), "{drawn:?}");
    assert_eq!(drawn.len(), 15);
}

#[test]
fn a_slot_is_withdrawn_while_it_is_on() {
    let mut stage = Stage::new(&Shape::PLAIN, 5);
    let items = items(&Shape::PLAIN, 12.0);
    stage.ask(1, Some(ms(4_000)), ms(5_000));
    for (at, item) in &items {
        stage.source(*at, item.clone());
        if matches!(item, Item::Frame(frame) if frame.pts == ms(5_000)) {
            stage.cancel(1);
        }
    }
    stage.check_programme(&items);
    assert_eq!(*stage.drawn(1).last().unwrap(), ms(5_000), "the newest frame was on its way already");
    assert_eq!(stage.closed(1).unwrap().1, Why::Cancelled);
    assert!(stage.splicer.is_idle());
}

#[test]
fn a_slot_that_is_to_end_earlier_ends_on_that_frame() {
    // Told before anything was begun, while a worker gets ready, while it is on, and just before.
    for told_at in [500, 3_500, 4_500, 4_960] {
        let mut stage = Stage::new(&Shape::PLAIN, 6);
        let items = items(&Shape::PLAIN, 8.0);
        stage.ask(1, Some(ms(4_000)), ms(2_000));
        let (before, after) = items.split_at(items.partition_point(|(at, _)| *at < ms(told_at)));
        stage.play(before);
        stage.shorten(1, ms(5_000));
        stage.shorten(1, ms(7_000));
        stage.play(after);
        stage.check_programme(&items);
        let drawn = stage.drawn(1);
        let interval = drawn[1] - drawn[0];
        assert!(drawn[0] >= ms(4_000) && drawn[0] - interval < ms(4_000));
        let last = *drawn.last().unwrap();
        assert!(last < ms(5_000) && last + interval >= ms(5_000), "told at {told_at}: {last:?}");
        assert_eq!(stage.closed(1).unwrap().1, Why::Cancelled);
        assert!(stage.splicer.is_idle());
    }
}

#[test]
fn a_slot_is_withdrawn_before_it_is_on() {
    for cancelled_at in [500, 2_500, 3_990] {
        let mut stage = Stage::new(&Shape::PLAIN, 6);
        let items = items(&Shape::PLAIN, 8.0);
        stage.ask(1, Some(ms(4_000)), ms(2_000));
        let (before, after) = items.split_at(items.partition_point(|(at, _)| *at < ms(cancelled_at)));
        stage.play(before);
        stage.cancel(1);
        stage.play(after);
        stage.check_programme(&items);
        assert_eq!(stage.drawn(1), []);
        assert_eq!(stage.closed(1).unwrap().1, Why::Cancelled);
        assert!(stage.pictures().iter().all(|(_, picture)| !picture.by_worker));
        assert!(!stage.has_worker(), "nobody works for a slot that is no more");
    }
}

#[test]
fn a_slot_is_withdrawn_while_frames_are_kept_for_a_cut_that_is_not_sure_yet() {
    let shape = Shape { b_frames: 3, pyramid: true, promises: false, ..Shape::PLAIN };
    let mut stage = Stage::new(&shape, 6);
    let items = items(&shape, 14.0);
    stage.ask(1, Some(ms(4_000)), ms(2_000));
    // It keeps the worker and the cut.
    stage.ask(2, Some(ms(6_500)), ms(2_000));
    for (at, item) in &items {
        stage.source(*at, item.clone());
        if matches!(&stage.splicer.state, State::Enter(enter) if !enter.is_cut()) {
            stage.cancel(1);
        }
    }
    stage.check_programme(&items);
    assert_eq!(stage.drawn(1), []);
    assert_eq!(stage.closed(1), Some((Shown::default(), Why::Cancelled)));
    assert_eq!(stage.drawn(2).len(), 60);
}

#[test]
fn a_slot_is_exact_with_long_gops_slow_and_fast_and_upright_sources() {
    let b_frames = Shape { b_frames: 3, pyramid: true, promises: false, ..Shape::PLAIN };
    let shapes = [
        Shape { interval: 250_000_000, gop: 8, ..Shape::PLAIN },
        Shape { interval: 16_666_667, gop: 120, ..Shape::PLAIN },
        Shape { gop: 300, ..Shape::PLAIN },
        b_frames,
        Shape { uneven: true, b_frames: 1, ..Shape::PLAIN },
        Shape { interval: 250_000_000, gop: 8, ..b_frames },
    ];
    for shape in shapes {
        let mut stage = Stage::new(&shape, 7);
        let items = items(&shape, 26.0);
        play(&mut stage, &items, &[(1_000, 1, Some(5_010), 3_000)]);
        let mut wanted: Vec<_> = pictures_of(&items)
            .map(|frame| frame.pts)
            .filter(|pts| (ms(5_010)..ms(8_010)).contains(pts))
            .collect();
        wanted.sort();
        assert_eq!(stage.drawn(1), wanted, "{shape:?}");
        assert_eq!(stage.splicer.phase(), Phase::Pass, "{shape:?}");
    }
}

#[test]
fn without_a_keyframe_for_a_minute_the_worker_goes_on_and_the_publisher_is_asked() {
    let shape = Shape { gop: 2_100, ..Shape::PLAIN };
    let mut stage = Stage::new(&shape, 8);
    play(&mut stage, &items(&shape, 75.0), &[(1_000, 1, Some(5_000), 4_000)]);
    assert_eq!(stage.pictures().iter().filter(|(_, p)| p.by_worker).count(), 2_100 - 150);
    assert!((50..=70).contains(&stage.keyframe_requests), "{} requests", stage.keyframe_requests);
    assert_eq!(stage.splicer.phase(), Phase::Pass);
}

#[test]
fn a_publisher_who_heeds_the_request_gets_his_programme_back_at_once() {
    let shape = Shape { gop: 10_000, ..Shape::PLAIN };
    let mut stage = Stage::new(&shape, 9);
    let mut random = Random::new(1);
    stage.ask(1, Some(ms(4_000)), ms(2_000));
    let (mut number, mut played) = (0, Vec::new());
    let mut answered = false;
    while number < 300 {
        let key =
            stage.keyframe_requests > 0 && !std::mem::replace(&mut answered, stage.keyframe_requests > 0);
        let kind = if key || number == 0 { Shape { gop: 1, ..shape } } else { Shape { gop: 2, ..shape } };
        let start = number as i64 * shape.interval;
        // The first of two is a keyframe; the second is not.
        let mut pictures = kind.pictures(number, 2, start, &mut random);
        let mut frame = pictures.remove(usize::from(!(key || number == 0)));
        if !frame.keyframe {
            frame = shape.pictures(number - 1, 2, start - shape.interval, &mut random).remove(1);
        }
        played.push((frame.pts, Item::Frame(frame.clone())));
        stage.source(frame.pts, Item::Frame(frame));
        number += 1;
    }
    assert_eq!(stage.keyframe_requests, 1);
    assert_eq!(stage.pictures().iter().filter(|(_, p)| p.by_worker).count(), 61, "one frame after the end");
    stage.check_programme(&played);
}

#[test]
fn b22_an_open_gop_is_no_way_back() {
    let shape = Shape { b_frames: 3, open: true, ..Shape::PLAIN };
    let mut stage = Stage::new(&shape, 10);
    let items = items(&shape, 14.0);
    play(&mut stage, &items, &[(1_000, 1, Some(5_000), 1_000)]);
    let first = stage.pictures().iter().position(|(_, picture)| picture.by_worker).unwrap();
    assert!(stage.pictures()[first..].iter().all(|(_, picture)| picture.by_worker));
    assert_eq!(stage.splicer.phase(), Phase::Drain);
    assert_eq!(stage.drawn(1).len(), 30);
}

#[test]
fn b21_a_gop_that_is_forgotten_delays_the_slot_to_the_next_keyframe() {
    let shape = Shape { gop: 300, ..Shape::PLAIN };
    let limits = Limits { memory_frames: 100, ..Limits::default() };
    let mut stage = Stage::with(&shape, 11, limits);
    play(&mut stage, &items(&shape, 24.0), &[(6_000, 1, None, 2_000)]);
    let drawn = stage.drawn(1);
    assert!(drawn[0] > ms(10_000) && drawn[0] < ms(10_400), "{:?}", drawn[0]);
    assert_eq!(drawn.len(), 60);
    assert!(stage.keyframe_requests > 0, "the publisher is asked for one");
}

#[test]
fn a_slot_whose_time_passes_without_a_keyframe_is_given_up() {
    let shape = Shape { gop: 10_000, ..Shape::PLAIN };
    let limits = Limits { memory_frames: 100, ..Limits::default() };
    for start in [None, Some(10_000)] {
        let mut stage = Stage::with(&shape, 12, limits);
        let items = items(&shape, 40.0);
        play(&mut stage, &items, &[(6_000, 1, start, 2_000)]);
        stage.advance(ms(45_000));
        assert_eq!(stage.closed(1).unwrap().1, Why::Late);
        assert!(stage.pictures().iter().all(|(_, picture)| !picture.by_worker));
        assert!(stage.splicer.is_idle());
    }
}

#[test]
fn what_happened_before_the_splicer_came_is_recalled() {
    let shape = Shape { b_frames: 2, ..Shape::PLAIN };
    let mut stage = Stage::new(&shape, 13);
    let items = items(&shape, 12.0);
    let (before, after) = items.split_at(items.partition_point(|(at, _)| *at < ms(3_500)));
    before.iter().for_each(|(_, item)| stage.splicer.recall(item));
    stage.advance(ms(3_500));
    stage.ask(1, None, ms(1_000));
    stage.play(after);
    assert_eq!(stage.drawn(1).len(), 30);
    assert!(stage.drawn(1)[0] < ms(3_900));
    let first = stage.pictures().first().map(|(frame, _)| frame.pts);
    assert_eq!(first, pictures_of(after).next().map(|frame| frame.pts), "nothing is shown again");
    assert!(stage.pictures().windows(2).all(|pair| pair[0].0.dts < pair[1].0.dts));
    assert_eq!(read(&pictures_of(&items).next().unwrap().payload).number, 0);
}
