//! A thousand random slots on random sources: what was asked is drawn, nothing else changes.

use super::model::read;
use super::random::Random;
use std::collections::HashMap;

use super::source::{Shape, interleave};
use super::stage::Stage;
use crate::hub::Item;
use crate::media::{Frame, MediaTime};
use crate::overlay::splice::{LEAD, Phase, Why};

const SLOTS: u64 = 1000;
const SECOND: i64 = 1_000_000_000;

fn seconds(random: &mut Random, from: f64, to: f64) -> MediaTime {
    let share = random.below(1_000_000) as f64 / 1e6;
    MediaTime::from_nanos(((from + (to - from) * share) * 1e9) as i64)
}

/// A slot, and when it is asked for.
#[derive(Clone, Copy, Debug)]
struct Plan {
    id: u64,
    asked: MediaTime,
    start: Option<MediaTime>,
    duration: MediaTime,
}

impl Plan {
    /// Slots that do not overlap, some of them back to back.
    fn random(first_id: u64, random: &mut Random) -> Vec<Self> {
        let mut plans: Vec<Self> = Vec::new();
        let mut free = seconds(random, 3.5, 6.0);
        for id in first_id..first_id + 1 + random.below(4) {
            let duration = seconds(random, 0.3, 8.0);
            let asked_after =
                plans.last().map_or(MediaTime::ZERO, |plan| plan.asked + MediaTime::from_nanos(1));
            if random.chance(3) {
                let asked = free.max(asked_after);
                plans.push(Self { id, asked, start: None, duration });
                // It begins soon after it was asked for; the next slot is to be clear of it.
                free = asked + duration + MediaTime::from_millis(3_000) + LEAD;
            } else {
                let asked = (free - LEAD - seconds(random, 0.2, 3.0)).max(asked_after);
                plans.push(Self { id, asked, start: Some(free), duration });
                free += duration;
            }
            if !random.chance(3) {
                free += seconds(random, 0.0, 9.0);
            }
        }
        plans
    }

    fn is_early_enough(&self) -> bool {
        self.start.is_some_and(|start| start - self.asked >= LEAD)
    }
}

fn times(pictures: &[Frame], from: MediaTime, to: MediaTime) -> Vec<MediaTime> {
    let mut times: Vec<_> =
        pictures.iter().map(|frame| frame.pts).filter(|pts| (from..to).contains(pts)).collect();
    times.sort();
    times
}

/// Plays a random source with random slots, and gives the number of slots.
fn play(seed: u64, first_id: u64) -> u64 {
    let mut random = Random::new(seed);
    let shape = Shape::random(&mut random);
    let plans = Plan::random(first_id, &mut random);
    let last = *plans.last().unwrap();
    let over = last.start.unwrap_or(last.asked) + last.duration;
    let length = over.as_nanos() + 4 * SECOND + shape.gop as i64 * shape.interval;
    let pictures = shape.pictures(0, (length / shape.interval) as usize, 0, &mut random);
    let items = interleave(&shape, &pictures);
    let mut stage = Stage::new(&shape, seed);
    let mut waiting = plans.iter().peekable();
    for (at, item) in &items {
        while let Some(plan) = waiting.next_if(|plan| plan.asked <= *at) {
            stage.advance(plan.asked);
            stage.ask(plan.id, plan.start, plan.duration);
        }
        stage.source(*at, item.clone());
    }
    let what = format!("seed {seed}, {shape:?}, {plans:?}");
    let ended_in = stage.splicer.phase();
    stage.source(items.last().unwrap().0, Item::Ended);
    stage.advance(items.last().unwrap().0 + MediaTime::from_millis(5_000));
    println!("{what}");
    check(&stage, &shape, &plans, &pictures);
    stage.check_programme(&items);
    if !shape.open {
        assert_eq!(ended_in, Phase::Pass, "{what}: handed back");
        check_way_back(&stage, &plans, &pictures);
    }
    plans.len() as u64
}

fn check(stage: &Stage, shape: &Shape, plans: &[Plan], pictures: &[Frame]) {
    let shown = stage.pictures();
    assert_eq!(shown.len(), pictures.len(), "every picture is shown");
    let originals: HashMap<usize, &Frame> =
        pictures.iter().map(|frame| (read(&frame.payload).number, frame)).collect();
    for (frame, picture) in shown.iter().filter(|(_, picture)| !picture.by_worker) {
        assert_eq!(*frame, originals[&picture.number], "outside of the splice nothing changes");
    }
    assert!(shown.iter().all(|(frame, _)| frame.dts <= frame.pts), "nothing is shown before it is decoded");
    for plan in plans {
        let (told, why) = stage.closed(plan.id).unwrap_or_else(|| panic!("slot {} is closed", plan.id));
        assert_eq!(why, Why::Completed, "slot {}", plan.id);
        let drawn = stage.drawn(plan.id);
        let start = if plan.is_early_enough() { plan.start } else { told.first_pts };
        let start = start.expect("a slot that was shown");
        let end = plan.start.unwrap_or(start) + plan.duration;
        let mut wanted = times(pictures, start, end);
        if plan.start.is_none() {
            // It may begin between two pictures: with all after the newest at the moment of asking.
            let shorter = drawn.len().max(wanted.len().saturating_sub(2));
            wanted.truncate(shorter);
        }
        assert_eq!(drawn, wanted, "slot {}: exactly what was asked", plan.id);
        if !shape.uneven {
            let usual = (shape.depth() as i64 + 2) * shape.interval + 50_000_000;
            let delay = stage.delay(plan.id).unwrap();
            assert!(delay.as_nanos() as i64 <= usual, "slot {}: late by {delay:?}", plan.id);
        }
    }
}

/// After the last slot the first IDR picture is the source's again, and all that follow.
fn check_way_back(stage: &Stage, plans: &[Plan], pictures: &[Frame]) {
    let last = stage.closed(plans.last().unwrap().id).unwrap().0;
    let end = last.last_pts.unwrap() + MediaTime::from_nanos(1);
    let back = pictures.iter().find(|frame| frame.keyframe && frame.pts >= end).unwrap().pts;
    for (frame, picture) in stage.pictures() {
        if frame.pts >= back {
            assert!(!picture.by_worker, "{picture:?} at {:?}, back at {back:?}", frame.pts);
        } else if frame.pts >= end {
            assert!(picture.by_worker, "{picture:?}");
        }
    }
    assert!(!stage.has_worker());
}

#[test]
fn a_thousand_random_slots_are_drawn_exactly() {
    let (mut seed, mut slots) = (1, 0);
    // More of them, where somebody has the time: see CONTRIBUTING.
    let wanted =
        std::env::var("ONAIR_SPLICE_SLOTS").ok().and_then(|slots| slots.parse().ok()).unwrap_or(SLOTS);
    while slots < wanted {
        slots += play(seed, slots + 1);
        seed += 1;
    }
}
