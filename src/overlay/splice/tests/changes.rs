//! What the source does in the middle of a slot: it goes away, comes back, changes, ends.

use std::sync::Arc;

use bytes::Bytes;

use super::random::Random;
use super::source::{Shape, VIDEO, interleave};
use super::stage::Stage;
use crate::hub::Item;
use crate::media::{Frame, MediaTime, Params, Track, VideoParams};
use crate::overlay::splice::{Phase, Why};

fn ms(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

/// Two publishers, one after the other: items of the first up to `gone`, of the second from `back` on.
fn publishers(shape: &Shape, gone: i64, back: i64, until: i64) -> [Vec<(MediaTime, Item)>; 2] {
    let mut random = Random::new(3);
    let count = |millis: i64| (millis * 1_000_000 / shape.interval) as usize;
    let first = shape.pictures(0, count(gone), 0, &mut random);
    let start = back * 1_000_000 + shape.depth() as i64 * shape.interval;
    let second = shape.pictures(10_000, count(until - back), start, &mut random);
    [interleave(shape, &first), interleave(shape, &second)]
}

fn changed_track(shape: &Shape) -> Arc<Track> {
    let params = Params::Video(VideoParams { width: 640, height: 360, reorder_depth: None });
    Arc::new(Track { config: Bytes::from_static(b"source, smaller"), params, ..shape.track() })
}

fn position(stage: &Stage, is: impl Fn(&Item) -> bool) -> usize {
    stage.programme.items.iter().position(is).expect("it is in the programme")
}

#[test]
fn a_publisher_who_goes_away_and_comes_back_in_mid_slot() {
    for shape in [Shape::PLAIN, Shape { b_frames: 3, pyramid: true, ..Shape::PLAIN }] {
        let mut stage = Stage::new(&shape, 21);
        let [first, second] = publishers(&shape, 6_000, 7_000, 16_000);
        stage.ask(1, Some(ms(5_000)), ms(6_000));
        stage.play(&first);
        stage.source(ms(6_010), Item::Interrupted);
        stage.advance(ms(6_900));
        assert_eq!(stage.pictures().len(), 180, "all of the first publisher's pictures are shown");
        assert!(!stage.has_worker());
        stage.play(&second);
        let interrupted = position(&stage, |item| matches!(item, Item::Interrupted));
        let after = stage.programme.items[interrupted..].iter().find_map(|item| match item {
            Item::Frame(frame) if frame.track == VIDEO => Some(frame.keyframe),
            _ => None,
        });
        assert_eq!(after, Some(true));
        let drawn = stage.drawn(1);
        assert!(drawn.iter().any(|pts| *pts > ms(7_000)), "the slot goes on");
        assert_eq!(*drawn.last().unwrap(), stage.closed(1).unwrap().0.last_pts.unwrap());
        assert!(drawn.iter().all(|pts| (ms(5_000)..ms(11_000)).contains(pts)));
        assert_eq!(stage.closed(1).unwrap().1, Why::Completed);
        assert_eq!(stage.splicer.phase(), Phase::Pass);
        stage.check_programme(&[first, second].concat());
    }
}

#[test]
fn a_publisher_who_does_not_come_back_ends_the_slot_with_what_was_shown() {
    let mut stage = Stage::new(&Shape::PLAIN, 22);
    let [first, _] = publishers(&Shape::PLAIN, 6_000, 7_000, 8_000);
    stage.ask(1, Some(ms(5_000)), ms(6_000));
    stage.play(&first);
    stage.source(ms(6_010), Item::Interrupted);
    stage.source(ms(66_010), Item::Ended);
    let (shown, why) = stage.closed(1).unwrap();
    assert_eq!((shown.frames, why), (30, Why::BroadcastEnded));
    assert!(matches!(stage.programme.items.last(), Some(Item::Ended)));
    assert!(!stage.has_worker());
    stage.check_programme(&first);
}

#[test]
fn a_broadcast_that_ends_in_mid_slot_shows_all_that_was_sent() {
    let shape = Shape { b_frames: 3, pyramid: true, ..Shape::PLAIN };
    let mut stage = Stage::new(&shape, 23);
    let [first, _] = publishers(&shape, 6_000, 7_000, 8_000);
    stage.ask(1, Some(ms(5_000)), ms(6_000));
    stage.play(&first);
    stage.source(ms(6_070), Item::Ended);
    stage.advance(ms(9_000));
    assert_eq!(stage.pictures().len(), 180);
    assert!(matches!(stage.programme.items.last(), Some(Item::Ended)));
    assert_eq!(stage.closed(1).unwrap().1, Why::BroadcastEnded);
    stage.check_programme(&first);
}

#[test]
fn a_resolution_that_changes_in_mid_slot() {
    for keyframe_follows in [true, false] {
        let shape = Shape::PLAIN;
        let mut stage = Stage::new(&shape, 24);
        let [first, mut second] = publishers(&shape, 6_000, 6_000, 16_000);
        let changed = changed_track(&shape);
        if !keyframe_follows {
            // Up to the next keyframe nothing can be decoded by those who have the worker's frames.
            second.remove(0);
        }
        stage.ask(1, Some(ms(5_000)), ms(6_000));
        stage.play(&first);
        stage.source(ms(6_000), Item::Track(Arc::clone(&changed)));
        stage.play(&second);
        let told = position(&stage, |item| matches!(item, Item::Track(track) if **track == *changed));
        let before = stage.programme.items[..told].iter().rev();
        let newest = before.clone().find_map(|item| match item {
            Item::Frame(frame) if frame.track == VIDEO => Some(frame.pts),
            _ => None,
        });
        assert_eq!(newest, Some(ms(5_967)), "all of the old size comes first");
        let next = stage.programme.items[told..].iter().find_map(|item| match item {
            Item::Frame(frame) if frame.track == VIDEO => Some(frame),
            _ => None,
        });
        assert!(next.is_some_and(|frame: &Frame| frame.keyframe));
        assert!(stage.drawn(1).iter().any(|pts| *pts > ms(6_000)), "the slot goes on at the new size");
        assert_eq!(stage.closed(1).unwrap().1, Why::Completed);
        stage.check_programme(&[first, second].concat());
    }
}

#[test]
fn a_resolution_that_changes_before_a_slot_costs_nothing() {
    let shape = Shape::PLAIN;
    let mut stage = Stage::new(&shape, 25);
    let [first, second] = publishers(&shape, 4_000, 4_000, 14_000);
    stage.ask(1, Some(ms(5_000)), ms(2_000));
    stage.play(&first);
    stage.source(ms(4_000), Item::Track(changed_track(&shape)));
    stage.play(&second);
    assert_eq!(stage.drawn(1).len(), 60);
    assert_eq!(stage.pictures().len(), 420);
    stage.check_programme(&[first, second].concat());
}

#[test]
fn another_codec_in_mid_slot_ends_it() {
    let shape = Shape::PLAIN;
    let mut stage = Stage::new(&shape, 26);
    let [first, second] = publishers(&shape, 6_000, 6_000, 14_000);
    stage.ask(1, Some(ms(5_000)), ms(3_000));
    stage.play(&first);
    let codec = crate::media::Codec::H265;
    stage.source(ms(6_000), Item::Track(Arc::new(Track { codec, ..(*changed_track(&shape)).clone() })));
    stage.play(&second);
    let (shown, why) = stage.closed(1).unwrap();
    assert_eq!((shown.frames, why), (30, Why::SourceChanged));
    assert!(stage.splicer.is_idle());
}

#[test]
fn frames_that_were_missed_in_mid_slot_are_an_interruption() {
    let shape = Shape::PLAIN;
    let mut stage = Stage::new(&shape, 27);
    let [first, second] = publishers(&shape, 6_000, 8_000, 16_000);
    stage.ask(1, Some(ms(5_000)), ms(2_500));
    stage.play(&first);
    stage.source(ms(8_000), Item::Lagged(60));
    stage.source(ms(8_000), Item::Track(Arc::new(shape.track())));
    stage.play(&second);
    let (shown, why) = stage.closed(1).unwrap();
    assert_eq!((shown.frames, why), (30, Why::Interrupted));
    assert_eq!(stage.splicer.phase(), Phase::Pass);
    stage.check_programme(&[first, second].concat());
}
