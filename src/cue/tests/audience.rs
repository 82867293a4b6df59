//! The engagement trigger: a moment stands out of the broadcast's own baseline, and nothing else does.

use std::time::Duration;

use super::*;
use crate::media::Signal;
use crate::random::Random;

/// How many of chance events come in a second (Poisson, by Knuth's method).
fn poisson(mean: f64, random: &mut Random) -> u32 {
    let (limit, mut product, mut count) = ((-mean).exp(), 1.0, 0);
    loop {
        product *= (random.next() >> 11) as f64 / (1_u64 << 53) as f64;
        if product <= limit {
            return count;
        }
        count += 1;
    }
}

/// Tells the bus of seconds with so many comments each; gives the slots, with the second each was announced in.
fn watch(bus: &mut CueBus, seconds: std::ops::Range<i64>, mut comments: impl FnMut(i64) -> u32) -> Vec<i64> {
    let mut opened = Vec::new();
    for second in seconds {
        let now = at(second * 1000);
        bus.signal(&Signal::Comments { at: now.media, count: comments(second) }, now);
        while let Some(slot) = bus.poll() {
            assert_eq!(slot.cue.origin, CueOrigin::Engagement);
            opened.push(second);
        }
    }
    opened
}

fn selling() -> CueBus {
    live(|policy| policy.on_engagement = OnEngagement::Sell)
}

#[test]
fn chance_and_slow_growth_are_no_moments() {
    for (seed, mean) in [(1, 0.05), (2, 0.4), (3, 3.0), (4, 40.0)] {
        let mut random = Random::new(seed);
        // Three hours in which the audience becomes four times as large.
        let growing = |second: i64| mean * (1.0 + 3.0 * second as f64 / 10_800.0);
        let opened = watch(&mut selling(), 0..10_800, |second| poisson(growing(second), &mut random));
        assert_eq!(opened, [] as [i64; 0], "with {mean} a second");
    }
}

#[test]
fn a_moment_is_found_within_ten_seconds_and_sold_once() {
    for (seed, mean) in [(1, 0.5), (2, 3.0), (3, 40.0)] {
        let mut random = Random::new(seed);
        let moment = |second| if (1800..1830).contains(&second) { 6.0 * mean } else { mean };
        let opened = watch(&mut selling(), 0..3600, |second| poisson(moment(second), &mut random));
        assert_eq!(opened.len(), 1, "{opened:?} with {mean} a second");
        assert!((1800..=1810).contains(&opened[0]), "{opened:?} with {mean} a second");
    }
}

#[test]
fn nothing_stands_out_before_there_is_a_baseline_or_after_a_long_silence() {
    let mut bus = selling();
    assert_eq!(watch(&mut bus, 0..100, |_| 1000), [] as [i64; 0]);
    assert_eq!(watch(&mut bus, 5000..5100, |_| 1000), [] as [i64; 0], "the baseline begins anew");
    bus.signal(&Signal::Comments { at: MediaTime::MAX, count: u32::MAX }, at(5_101_000));
    bus.signal(&Signal::Reactions { at: millis(i64::MIN), count: u32::MAX }, at(5_101_000));
    assert!(bus.engagement().is_finite());
}

#[test]
fn a_channel_may_rather_keep_the_moment_free() {
    let mut bus = live(|policy| {
        policy.on_engagement = OnEngagement::HoldOff;
        policy.engagement_gap = Duration::from_secs(30);
    });
    watch(&mut bus, 0..600, |_| 2);
    let coming = bus.propose(proposal(Some(620_000)), at(600_000)).unwrap();
    assert_eq!(given(&mut bus).len(), 1);
    bus.signal(&Signal::Hashtag { at: millis(601_000), tag: "goal".into(), count: 5000 }, at(601_000));
    assert_eq!(bus.slots(at(601_000)).count(), 1, "tags are in comments, which count");
    bus.signal(&Signal::Reactions { at: millis(602_000), count: 100 }, at(602_000));
    assert!(bus.engagement() > 6.0);
    assert_eq!(given(&mut bus), [slot(coming.as_str(), 2, 620_000, -1)]);
    assert_eq!(bus.propose(proposal(None), at(610_000)), Err(Refused::HeldOff));
    assert_eq!(bus.propose(proposal(Some(632_000)), at(610_000)).map(|_| ()), Ok(()));
}
