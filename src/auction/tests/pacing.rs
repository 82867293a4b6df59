//! The pacing simulator: channels, an audience that comes and goes, sales that reserve more than they spend.

use super::*;
use crate::random::Random;

const MINUTE: i64 = 60_000;
const CHANNELS: usize = 8;
const COHORTS: usize = 4;
/// Five units of the currency for a thousand impressions.
const PRICE: f64 = 5_000_000.0;
/// When money that was not spent is back: a slot of 15 s, the longest delay of a viewer, and five seconds.
const SETTLED_AFTER: i64 = 50_000;

/// A simulated flight.
struct Run {
    spent: f64,
    budget: f64,
    /// What was spent in each hour.
    hours: Vec<f64>,
}

/// Viewers of a channel at a moment: a day's curve, and chance.
fn daily(at: i64, random: &mut Random) -> f64 {
    let phase = (at % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
    let noise = 0.8 + random.below(1000) as f64 / 2500.0;
    1500.0 * (1.0 - 0.4 * phase.cos()) * noise
}

/// Each channel has a cue about once a minute; each cohort of it is sold, to this campaign if it bids.
fn simulate(campaign: &Campaign, budget: f64, seed: u64, audience: impl Fn(i64) -> f64) -> Run {
    let mut random = Random::new(seed);
    let mut pacer = Pacer::new(Money::ZERO, campaign.schedule.start);
    let (mut left, mut spent) = (budget, 0.0);
    let mut open: Vec<(i64, f64, f64)> = Vec::new();
    let mut hours = vec![0.0; (campaign.schedule.end / HOUR) as usize];
    let money = |nanos: f64| Money::from_nanos(nanos as i64);
    let mut next: Vec<i64> = (0..CHANNELS).map(|_| random.below(60_000) as i64).collect();
    for now in (campaign.schedule.start..campaign.schedule.end).step_by(1000) {
        open.retain(|(at, reserved, cost)| {
            if *at <= now {
                pacer.settled(money(*reserved), money(*cost));
                left += reserved - cost;
            }
            *at > now
        });
        for cue in &mut next {
            if *cue > now {
                continue;
            }
            *cue = now + MINUTE / 2 + random.below(MINUTE as usize) as i64;
            let viewers = daily(now, &mut random) * audience(now);
            for _ in 0..COHORTS {
                let cohort = (viewers / COHORTS as f64).round();
                let is_running = campaign.schedule.is_running(now);
                if !is_running || !pacer.may_bid(campaign, money(left), now) || left < PRICE {
                    continue;
                }
                let units = (cohort * 1.2).ceil().min((left / PRICE).floor());
                let reserved = units * PRICE;
                // Some leave before it is on their screens, some join.
                let seen = cohort * (0.75 + random.below(1000) as f64 / 2500.0);
                let cost = seen.floor().min(units) * PRICE;
                pacer.reserved(money(reserved));
                left -= reserved;
                spent += cost;
                hours[(now / HOUR) as usize] += cost;
                open.push((now + SETTLED_AFTER, reserved, cost));
            }
        }
    }
    Run { spent, budget, hours }
}

fn assert_spent(run: &Run) {
    let share = run.spent / run.budget;
    assert!((0.98..=1.0).contains(&share), "{share} of the budget is spent at the end");
}

/// The largest error of an hour against what was planned for it.
fn worst(run: &Run, plan: impl Fn(usize) -> f64) -> f64 {
    let errors = run.hours.iter().enumerate().map(|(hour, spent)| (spent / plan(hour) - 1.0).abs());
    errors.fold(0.0, f64::max)
}

#[test]
fn an_even_budget_is_spent_evenly_under_a_tenfold_step_of_the_audience() {
    let campaign = campaign(1, PRICE as i64);
    // 1,500 units an hour: at night a third of what could be sold.
    let budget = 24.0 * 1500e9;
    for seed in 0..5 {
        let step = |at: i64| if (9 * HOUR..15 * HOUR).contains(&at) { 10.0 } else { 1.0 };
        let run = simulate(&campaign, budget, seed, step);
        assert_spent(&run);
        let worst = worst(&run, |_| budget / 24.0);
        println!("seed {seed}: spent {:.4}, worst hour {worst:.4}", run.spent / run.budget);
        assert!(worst <= 0.05, "{worst} in seed {seed}");
    }
}

#[test]
fn a_step_is_answered_within_a_minute() {
    let campaign = campaign(1, PRICE as i64);
    let budget = 24.0 * 1500e9;
    let run = simulate(&campaign, budget, 9, |at| if at >= 12 * HOUR { 10.0 } else { 0.5 });
    assert_spent(&run);
    let before = run.hours[11] / (budget / 24.0);
    assert!((0.9..=1.1).contains(&before), "{before} before the step");
    let after = run.hours[12] / (budget / 24.0);
    assert!((0.95..=1.05).contains(&after), "{after} in the hour of the step");
}

#[test]
fn a_front_loaded_budget_falls_steadily() {
    let campaign = Campaign { pacing: Pacing::FrontLoaded, ..campaign(1, PRICE as i64) };
    let budget = 24.0 * 1000e9;
    let step = |at: i64| if (9 * HOUR..15 * HOUR).contains(&at) { 10.0 } else { 1.0 };
    let run = simulate(&campaign, budget, 1, step);
    assert_spent(&run);
    let plan = |hour: usize| budget / 24.0 * (1.5 - (hour as f64 + 0.5) / 24.0);
    let worst = worst(&run, plan);
    println!("front-loaded: spent {:.4}, worst hour {worst:.4}", run.spent / run.budget);
    assert!(worst <= 0.05, "{worst}");
}

#[test]
fn day_parts_take_all_of_the_budget_and_a_drought_is_made_up_for() {
    let mut campaign = campaign(1, PRICE as i64);
    campaign.schedule.hours.days = [0b1111 << 16; 7];
    let budget = 4.0 * 1500e9;
    // In the second of the four hours nobody watches.
    let run =
        simulate(&campaign, budget, 2, |at| if (17 * HOUR..18 * HOUR).contains(&at) { 0.0 } else { 2.0 });
    assert_spent(&run);
    assert_eq!((run.hours[15], run.hours[20]), (0.0, 0.0));
    assert!(run.hours[17] < run.hours[16] / 10.0, "there was nobody");
    let mended = run.hours[19] / run.hours[16];
    assert!((1.3..1.7).contains(&mended), "what is left is spread over what is left: {mended}");
}
