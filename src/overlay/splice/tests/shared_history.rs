//! Random histories of variants that share workers: slots, sources, failures.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::model::Failure;
use super::random::Random;
use super::shared_stage::{Next, SharedStage};
use super::shared_worker::Health;
use super::source::{Shape, interleave};
use crate::hub::Item;
use crate::media::{Frame, MediaTime, Params, Track, VideoParams};
use crate::overlay::splice::{LEAD, Limits};

pub fn ms(millis: u64) -> MediaTime {
    MediaTime::from_millis(millis as i64)
}

/// A random time from `from` to `to`, in milliseconds.
fn between(random: &mut Random, from: u64, to: u64) -> MediaTime {
    MediaTime::from_nanos((from * 1_000_000 + random.below((to - from) * 1_000_000)) as i64)
}

/// A slot, and when it is asked for.
#[derive(Clone, Debug)]
pub struct Slot {
    pub id: u64,
    pub variants: Vec<usize>,
    pub asked: MediaTime,
    pub start: Option<MediaTime>,
    pub duration: MediaTime,
}

impl Slot {
    /// Slots that do not overlap within a variant: of one variant or several, some back to back. All are asked for in time.
    pub fn random(variants: usize, random: &mut Random) -> Vec<Self> {
        let mut free: Vec<MediaTime> = (0..variants).map(|_| between(random, 3_500, 7_000)).collect();
        let mut asked_after = vec![MediaTime::ZERO; variants];
        let mut slots = Vec::new();
        for id in 1..=1 + random.below(2 * variants as u64 + 1) {
            let all = random.chance(3);
            let one = random.below(variants as u64) as usize;
            let of: Vec<usize> =
                (0..variants).filter(|&variant| all || variant == one || random.chance(3)).collect();
            let latest =
                |times: &[MediaTime]| of.iter().map(|&variant| times[variant]).max().unwrap_or_default();
            let (begin, after) = (latest(&free), latest(&asked_after) + MediaTime::from_nanos(1));
            // Longer than from one picture to the next.
            let duration = between(random, 500, 5_000);
            let (asked, start, end) = if random.chance(4) {
                let asked = begin.max(after);
                // It begins soon after it was asked for; the next slot is to be clear of it.
                (asked, None, asked + duration + MediaTime::from_millis(3_000) + LEAD)
            } else {
                let asked = (begin - LEAD - between(random, 200, 2_000)).max(after);
                (asked, Some(begin), begin + duration)
            };
            let pause = if random.chance(3) { MediaTime::ZERO } else { between(random, 0, 5_000) };
            for &variant in &of {
                free[variant] = end + pause;
                asked_after[variant] = asked;
            }
            slots.push(Self { id, variants: of, asked, start, duration });
        }
        slots
    }

    pub fn over(&self) -> MediaTime {
        self.start.unwrap_or(self.asked) + self.duration
    }

    pub fn is_early_enough(&self) -> bool {
        self.start.is_some_and(|start| start - self.asked >= LEAD)
    }
}

/// What happens beside the source.
#[derive(Clone, Debug)]
pub enum Act {
    Ask(Slot),
    Shorten(u64, Option<MediaTime>),
    Expect(Vec<usize>, MediaTime),
    ExpectNothing,
    Kill,
    HoldUp(Duration),
}

fn act(stage: &mut SharedStage, act: &Act) {
    match act {
        Act::Ask(slot) => stage.ask(&slot.variants, slot.id, slot.start, slot.duration),
        Act::Shorten(id, at) => stage.shorten(*id, *at),
        Act::Expect(variants, until) => stage.expect(variants, *until),
        Act::ExpectNothing => stage.expect_nothing(),
        Act::Kill => stage.kill(),
        Act::HoldUp(time) => stage.hold_up(*time),
    }
}

/// Plays a source while these things happen, each at its time, and waits until all is over.
pub fn play(stage: &mut SharedStage, items: &[(MediaTime, Item)], acts: &mut [(MediaTime, Act)]) {
    acts.sort_by_key(|(at, _)| *at);
    let mut acts = acts.iter().peekable();
    for (at, item) in items {
        while let Some((when, next)) = acts.next_if(|(when, _)| when <= at) {
            stage.advance(*when);
            act(stage, next);
        }
        stage.source(*at, item);
    }
    let end = items.last().map_or(MediaTime::ZERO, |(at, _)| *at);
    stage.source(end, &Item::Ended);
    stage.advance(end + MediaTime::from_millis(60_000));
    assert!(!stage.has_worker(), "nobody works when all is over");
    for variant in &stage.variants {
        assert_eq!(variant.splicer.next_timeout(), None);
        let ends = variant.programme.items.iter().filter(|item| matches!(item, Item::Ended)).count();
        assert!(ends == 1 && matches!(variant.programme.items.last(), Some(Item::Ended)), "everything ends");
        variant.programme.check(items);
    }
}

/// Where a source's parts meet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joint {
    /// Nothing comes for a while, and the time goes on.
    Silence,
    /// The same, and it is said.
    Interrupted,
    Lagged,
    /// Another track follows.
    Track,
}

/// A source of several parts, with all that it says.
pub struct Source {
    pub items: Vec<(MediaTime, Item)>,
    /// Pictures in the longest GOP.
    pub gop: usize,
    /// How long it takes from one keyframe to the next, at most.
    pub gop_time: Duration,
}

impl Source {
    pub fn random(stage: &mut SharedStage, first: Shape, limits: Limits, random: &mut Random) -> Self {
        let mut source = Self { items: Vec::new(), gop: 0, gop_time: Duration::ZERO };
        let (mut shape, mut track) = (first, Arc::new(first.track()));
        let (mut start, mut number) = (0, 0);
        let parts = random.of(&[1, 1, 2, 3]);
        for part in 1..=parts {
            let seconds = 20 / parts + random.below(8);
            let count = (seconds as i64 * 1_000_000_000 / shape.interval) as usize;
            source.append(&shape, &shape.pictures(number, count, start, random));
            number += count;
            let last = source.items.last().map_or(MediaTime::ZERO, |(at, _)| *at);
            let end = last + MediaTime::from_nanos(shape.interval);
            if part == parts {
                break;
            }
            let joint = random.of(&[Joint::Silence, Joint::Interrupted, Joint::Lagged, Joint::Track]);
            let pause = if joint == Joint::Track { 0 } else { random.of(&[0, 50, 500, 900, 4_000]) };
            let next = end + ms(pause);
            match joint {
                Joint::Silence | Joint::Track => {}
                Joint::Interrupted => source.items.push((end, Item::Interrupted)),
                Joint::Lagged => source.items.push((end, Item::Lagged(7))),
            }
            if joint == Joint::Track || joint == Joint::Interrupted && random.chance(2) {
                shape = Shape::random(random);
                let reorder_depth = shape.promises.then_some(shape.depth() as u8);
                let params = Params::Video(VideoParams { width: 640, height: 360, reorder_depth });
                let config = Bytes::from(format!("source {part}"));
                track = Arc::new(Track { config, params, ..shape.track() });
                stage.knows(&track, &shape);
            }
            if joint != Joint::Silence {
                source.items.push((next, Item::Track(Arc::clone(&track))));
            }
            start = next.as_nanos() + (1 + shape.depth() as i64) * shape.interval;
        }
        // What comes late comes at once, and is not more than may wait.
        if limits.held_frames >= Limits::default().held_frames && random.chance(3) {
            let (from, length) = (between(random, 3_000, 15_000), between(random, 100, 1_500));
            for (at, _) in source.items.iter_mut().filter(|(at, _)| *at >= from) {
                *at = (*at).max(from + length);
            }
        }
        source
    }

    fn append(&mut self, shape: &Shape, pictures: &[Frame]) {
        self.items.extend(interleave(shape, pictures));
        self.gop = self.gop.max(shape.gop);
        self.gop_time = self.gop_time.max(Duration::from_nanos(shape.gop as u64 * shape.interval as u64));
    }
}

/// A worker that fails, is late, slow, or sound.
pub fn health(random: &mut Random) -> Next {
    let well = SharedStage::healthy(random);
    let frames = random.of(&[3, 100, 400]);
    let after = random.below(frames);
    let failing = |failure| Next::Starts(Health { failure: Some(failure), ..well });
    match random.below(9) {
        0 => Next::Refused,
        1 => failing(Failure::Dies(after)),
        2 | 3 => failing(Failure::Hangs(after)),
        4 => failing(Failure::Lies(after)),
        5 => Next::Starts(Health { cost: Duration::from_millis(10 + random.below(60)), ..well }),
        6 => Next::Starts(Health { start: Duration::from_millis(300 + random.below(4_000)), ..well }),
        _ => Next::Starts(well),
    }
}

/// Things that happen near the beginnings and ends of slots.
pub fn troubles(slots: &[Slot], random: &mut Random) -> Vec<(MediaTime, Act)> {
    let mut acts = Vec::new();
    for slot in slots {
        let start = slot.start.unwrap_or(slot.asked);
        let near = random.of(&[start - LEAD, start, start + slot.duration]);
        let at = (near + between(random, 0, 800) - MediaTime::from_millis(400)).max(MediaTime::ZERO);
        let all: Vec<usize> = slot.variants.clone();
        acts.extend(match random.below(12) {
            0 | 1 => Some((at, Act::Kill)),
            2 | 3 => Some((at, Act::HoldUp(Duration::from_millis(random.of(&[100, 600, 900, 2_500]))))),
            4 => Some((at, Act::Shorten(slot.id, random.chance(2).then_some(at + ms(500))))),
            5 => Some((at, Act::Expect(all, at + between(random, 500, 4_000)))),
            6 => Some((at, Act::ExpectNothing)),
            _ => None,
        });
    }
    acts
}
