//! Variants of a programme that share workers: random histories of slots, sources and failures, and what they have found.

use std::collections::HashMap;
use std::time::Duration;

use super::model::{Failure, read};
use super::programme::{Programme, pictures_of};
use super::random::Random;
use super::shared_history::{Act, Slot, Source, health, ms, play, troubles};
use super::shared_stage::{Next, SharedStage};
use super::shared_worker::Health;
use super::source::{Shape, VIDEO, interleave};
use crate::av::worker::ipc::OverlayId;
use crate::hub::Item;
use crate::media::{Frame, MediaTime};
use crate::overlay::splice::{LEAD, Limits, Shown, Why};

/// Histories of each kind, where nobody asks for more: see CONTRIBUTING.
const HISTORIES: u64 = 75;

fn histories() -> u64 {
    std::env::var("ONAIR_SHARING_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(HISTORIES)
}

/// Sources that go on and workers that work: what was asked is drawn, in its variants alone, and nothing else changes.
#[test]
fn variants_that_share_a_worker_have_their_own_slots_exactly() {
    for seed in 0..histories() {
        let mut random = Random::new(seed);
        let shape = Shape::random(&mut random);
        let variants = 2 + usize::from(random.chance(3));
        let slots = Slot::random(variants, &mut random);
        println!("seed {seed}, {shape:?}, {variants} variants, {slots:#?}");
        let over = slots.iter().map(Slot::over).max().unwrap_or_default();
        let length = over.as_nanos() + 4_000_000_000 + shape.gop as i64 * shape.interval;
        let pictures = shape.pictures(0, (length / shape.interval) as usize, 0, &mut random);
        let items = interleave(&shape, &pictures);
        let mut stage = SharedStage::new(variants, &shape, seed, Limits::default());
        let mut acts: Vec<_> = slots.iter().map(|slot| (slot.asked, Act::Ask(slot.clone()))).collect();
        play(&mut stage, &items, &mut acts);
        for (number, variant) in stage.variants.iter().enumerate() {
            let own: Vec<&Slot> = slots.iter().filter(|slot| slot.variants.contains(&number)).collect();
            check_exact(&variant.programme, &own, &pictures, &shape);
            assert_eq!(variant.abandoned, 0);
        }
    }
}

fn check_exact(programme: &Programme, slots: &[&Slot], pictures: &[Frame], shape: &Shape) {
    let shown = programme.pictures();
    assert_eq!(shown.len(), pictures.len(), "every picture is shown");
    let originals: HashMap<usize, &Frame> =
        pictures.iter().map(|frame| (read(&frame.payload).number, frame)).collect();
    // A cut is made with the frame that is on time, and pictures that it is decoded before come with it.
    let early = if shape.uneven { 500_000_000 } else { 0 };
    let lead = MediaTime::from_nanos((shape.b_frames as i64 + 1) * shape.interval + early);
    let mut on = Vec::new();
    for slot in slots {
        let (told, why) = programme.closed(slot.id).unwrap_or_else(|| panic!("slot {} is closed", slot.id));
        assert_eq!(why, Why::Completed, "slot {}", slot.id);
        let drawn = programme.drawn(slot.id);
        let start = if slot.is_early_enough() { slot.start } else { told.first_pts };
        let start = start.expect("a slot that was shown");
        let end = slot.start.unwrap_or(start) + slot.duration;
        let mut wanted: Vec<_> = pictures.iter().map(|frame| frame.pts).collect();
        wanted.retain(|pts| (start..end).contains(pts));
        wanted.sort();
        if slot.start.is_none() {
            // It may begin between two pictures: with all after the newest at the moment of asking.
            wanted.truncate(drawn.len().max(wanted.len().saturating_sub(2)));
        }
        assert_eq!(drawn, wanted, "slot {}: exactly what was asked", slot.id);
        on.push((start - lead, end));
    }
    let asked: Vec<u64> = slots.iter().map(|slot| slot.id).collect();
    let idr: Vec<MediaTime> = pictures
        .iter()
        .map(|frame| (frame.pts, read(&frame.payload)))
        .filter(|(_, picture)| picture.is_idr)
        .map(|(pts, _)| pts)
        .collect();
    for (frame, picture) in shown {
        assert!(
            picture.drawn.iter().all(|id| asked.contains(id)),
            "{picture:?} has what is another variant's"
        );
        if !picture.by_worker {
            assert_eq!(frame, originals[&picture.number], "outside of the splice nothing changes");
            continue;
        }
        if shape.open {
            continue;
        }
        // The programme is the worker's from a slot's start to the first way back.
        let before = on.iter().filter(|(start, _)| *start <= frame.pts).map(|(_, end)| *end).max();
        let end = before.unwrap_or_else(|| panic!("{picture:?} is before all slots"));
        let wanted = |at: MediaTime| on.iter().any(|(start, end)| *start <= at + LEAD && at < *end);
        let ways = idr.iter().filter(|at| (end..=frame.pts).contains(at));
        assert!(ways.clone().all(|at| wanted(*at)), "{picture:?} after a way back");
    }
}

/// Whatever happens to workers and to the source.
#[test]
fn variants_that_share_workers_go_on_whatever_becomes_of_them() {
    for seed in 0..histories() {
        let mut random = Random::new(1_000_000 + seed);
        let shape = Shape::random(&mut random);
        let variants = 2 + usize::from(random.chance(3));
        let small = Limits { held_frames: 40, memory_frames: 300, ..Limits::default() };
        let limits = random.of(&[Limits::default(), Limits::default(), small]);
        let mut stage = SharedStage::new(variants, &shape, seed, limits);
        let mut source = Source::random(&mut stage, shape, limits, &mut random);
        let slots = Slot::random(variants, &mut random);
        if random.chance(4) {
            source.items.truncate(source.items.len() / 2);
        }
        if !random.chance(4) {
            stage.next = (0..random.below(6)).map(|_| health(&mut random)).collect();
        }
        if random.chance(8) {
            stage.too_large = Some(OverlayId(1));
        }
        let mut acts = if random.chance(4) { Vec::new() } else { troubles(&slots, &mut random) };
        println!(
            "seed {seed}, {shape:?}, {variants} variants, {limits:?}, {:?}, {acts:?}, {slots:#?}",
            stage.next
        );
        acts.extend(slots.iter().map(|slot| (slot.asked, Act::Ask(slot.clone()))));
        play(&mut stage, &source.items, &mut acts);
        for (number, variant) in stage.variants.iter().enumerate() {
            let own: Vec<&Slot> = slots.iter().filter(|slot| slot.variants.contains(&number)).collect();
            check_own(&variant.programme, &own, &source);
            let lost = pictures_of(&source.items).count() - variant.programme.pictures().len();
            let most = stage.bad * (source.gop + limits.held_frames);
            assert!(lost <= most, "{lost} pictures are lost, with {} workers that are no good", stage.bad);
            check_gap(&variant.programme, &source, lost > 0, limits, stage.bad);
        }
    }
}

/// A variant's slots are closed, drawn within their time and in no other variant, and nobody works before the first of them.
fn check_own(programme: &Programme, slots: &[&Slot], source: &Source) {
    let over = source.items.last().map_or(MediaTime::ZERO, |(at, _)| *at);
    for slot in slots.iter().filter(|slot| slot.asked < over) {
        assert!(programme.closed(slot.id).is_some(), "slot {} is closed", slot.id);
        let drawn = programme.drawn(slot.id);
        // One that begins as soon as possible may have to wait for others.
        let start = slot.start.or(drawn.first().copied()).unwrap_or_default();
        let time = start..start + slot.duration;
        assert!(drawn.iter().all(|pts| time.contains(pts)), "slot {}", slot.id);
    }
    let first = slots.iter().map(|slot| slot.start.unwrap_or(slot.asked)).min();
    // A hand-over begins a little before a slot.
    let earliest = first.map(|first| first - MediaTime::from_millis(1_500));
    for (frame, picture) in programme.pictures().into_iter().filter(|(_, picture)| picture.by_worker) {
        assert!(earliest.is_some_and(|earliest| frame.pts >= earliest), "{picture:?} without a slot");
        let is_own = |id: &u64| slots.iter().any(|slot| slot.id == *id);
        assert!(picture.drawn.iter().all(is_own), "{picture:?} has what is another variant's");
    }
}

/// However many workers fail, a variant waits no longer than its splicer's limits allow.
fn check_gap(programme: &Programme, source: &Source, is_lossy: bool, limits: Limits, bad: usize) {
    let is_picture = |item: &Item| matches!(item, Item::Frame(frame) if frame.track == VIDEO);
    let times: Vec<MediaTime> =
        source.items.iter().filter(|(_, item)| is_picture(item)).map(|(at, _)| *at).collect();
    let pause = times.windows(2).map(|pair| pair[1].since(pair[0])).max().unwrap_or_default();
    let gop = if is_lossy { source.gop_time } else { Duration::ZERO };
    let most = pause * 2 + limits.held_time + limits.stall + limits.start * bad as u32 + gop;
    let gap = programme.longest_gap;
    assert!(gap <= most, "{gap:?} without a picture, {most:?} at most");
}

/// Two variants with the same slot, 3 s from 5 s on, and what else happens. Gives the number of the source's pictures.
fn two_of_the_same(stage: &mut SharedStage, shape: Shape, acts: &[(MediaTime, Act)]) -> usize {
    let items = interleave(&shape, &shape.pictures(0, 360, 0, &mut Random::new(5)));
    let (variants, start) = (vec![0, 1], Some(ms(5_000)));
    let slot = Slot { id: 1, variants, asked: ms(500), start, duration: ms(3_000) };
    play(stage, &items, &mut [&[(slot.asked, Act::Ask(slot))], acts].concat());
    pictures_of(&items).count()
}

#[test]
fn variants_that_leave_together_have_all_the_frames_that_a_worker_gave_before_it_ended() {
    let shape = Shape { b_frames: 3, pyramid: true, ..Shape::PLAIN };
    let mut stage = SharedStage::new(2, &shape, 5, Limits::default());
    let count = two_of_the_same(&mut stage, shape, &[]);
    for variant in &stage.variants {
        assert_eq!((variant.programme.pictures().len(), variant.abandoned), (count, 0));
        assert_eq!(variant.programme.closed(1).unwrap().1, Why::Completed);
    }
}

#[test]
fn a_worker_that_hangs_is_given_up_by_all_at_once_and_the_next_is_not() {
    let shape = Shape::PLAIN;
    let mut stage = SharedStage::new(2, &shape, 5, Limits::default());
    let well = SharedStage::healthy(&mut stage.random);
    stage.next = [Next::Starts(Health { failure: Some(Failure::Hangs(150)), ..well })].into();
    let count = two_of_the_same(&mut stage, shape, &[]);
    assert_eq!(stage.started(), 2, "one more for all");
    for variant in &stage.variants {
        assert_eq!((variant.programme.pictures().len(), variant.abandoned), (count, 1));
    }
}

#[test]
fn a_worker_that_is_too_far_behind_is_not_replaced_by_one_that_would_be_too() {
    let shape = Shape::PLAIN;
    let mut stage = SharedStage::new(2, &shape, 5, Limits { held_frames: 15, ..Limits::default() });
    let held_up = (ms(5_100), Act::HoldUp(Duration::from_millis(650)));
    let count = two_of_the_same(&mut stage, shape, &[held_up]);
    assert_eq!(stage.started(), 2, "the second is for what is left of the slot, from the next keyframe on");
    for variant in &stage.variants {
        assert_eq!(variant.abandoned, 1);
        assert!(count - variant.programme.pictures().len() <= shape.gop);
    }
}

#[test]
fn an_overlay_that_cannot_be_drawn_is_not_told_as_shown() {
    let shape = Shape { b_frames: 1, ..Shape::PLAIN };
    for start in [None, Some(ms(5_000))] {
        let mut stage = SharedStage::new(2, &shape, 5, Limits::default());
        stage.too_large = Some(OverlayId(1));
        let items = interleave(&shape, &shape.pictures(0, 300, 0, &mut Random::new(5)));
        let slot = Slot { id: 1, variants: vec![0, 1], asked: ms(3_000), start, duration: ms(1_000) };
        play(&mut stage, &items, &mut [(slot.asked, Act::Ask(slot))]);
        for variant in &stage.variants {
            assert_eq!(
                variant.programme.closed(1),
                Some((Shown::default(), Why::SourceChanged)),
                "{start:?}"
            );
            assert_eq!(variant.programme.pictures().len(), 300);
        }
    }
}
