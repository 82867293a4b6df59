//! Pacing: a budget is spread over the time that a campaign runs.
//!
//! A feedback controller: the rate is what is left of the budget over what is left of the time, so that whatever went
//! wrong before is mended by the rest of the flight. At that rate an allowance accrues. The campaign bids while it has
//! any, and a slot may take it below nothing: then it waits. So the error of an hour is about one sale at most, however
//! large the audience has become, and a step of it is answered at once.

use super::campaign::{Campaign, Pacing};
use crate::ledger::UnixMillis;
use crate::money::Money;

/// How much may be saved up, as time at the present rate: opportunities come in turns, and are made up for by the rate if
/// they are rarer.
const SAVED_MS: f64 = 600_000.0;
/// No rate is computed for less time than this: at the very end everything may go.
const SHORTEST_MS: f64 = 1000.0;
/// What a sale is expected to cost of what it reserves: a sixth is kept back for viewers who may join.
const FIRST_RATIO: f64 = 1.0 / 1.2;
/// How much a sale that is settled changes that expectation.
const LEARNING: f64 = 0.1;

/// Where a campaign stands against its plan. Not exact, and need not be: the ledger holds the money.
#[derive(Clone, Debug, PartialEq)]
pub struct Pacer {
    /// What may be spent now, in nanos; below nothing when a sale took more.
    allowance: f64,
    updated: UnixMillis,
    /// Reserved and not settled, in nanos.
    open: f64,
    /// What is spent of what is reserved.
    ratio: f64,
}

impl Pacer {
    /// A campaign that begins, or goes on after a restart with so much reserved.
    pub fn new(open: Money, now: UnixMillis) -> Self {
        Self { allowance: 0.0, updated: now, open: open.as_nanos() as f64, ratio: FIRST_RATIO }
    }

    /// Whether the campaign may bid; `budget` is what it may still reserve.
    pub fn may_bid(&mut self, campaign: &Campaign, budget: Money, now: UnixMillis) -> bool {
        let rate = self.rate(campaign, budget, now);
        let elapsed = campaign.schedule.running_between(self.updated, now) as f64;
        self.updated = self.updated.max(now);
        self.allowance = (self.allowance + rate * elapsed).min(rate * SAVED_MS);
        self.allowance > 0.0
    }

    /// A sale has reserved so much.
    pub fn reserved(&mut self, amount: Money) {
        let amount = amount.as_nanos() as f64;
        self.open += amount;
        self.allowance -= amount * self.ratio;
    }

    /// Of a sale that reserved so much, so much was spent; the rest is back in the budget.
    pub fn settled(&mut self, reserved: Money, spent: Money) {
        let (reserved, spent) = (reserved.as_nanos() as f64, spent.as_nanos() as f64);
        if reserved <= 0.0 {
            return;
        }
        self.open = (self.open - reserved).max(0.0);
        self.allowance += reserved * self.ratio - spent;
        self.ratio += (spent / reserved - self.ratio) * LEARNING;
    }

    /// What is planned to be spent, in nanos a millisecond of running time.
    fn rate(&self, campaign: &Campaign, budget: Money, now: UnixMillis) -> f64 {
        let schedule = &campaign.schedule;
        let left = (budget.as_nanos() as f64 + self.open * (1.0 - self.ratio)).max(0.0);
        let rest = schedule.running_between(now, schedule.end) as f64;
        let whole = rest + schedule.running_between(schedule.start, now) as f64;
        match campaign.pacing {
            Pacing::Even => left / rest.max(SHORTEST_MS),
            Pacing::FrontLoaded => {
                // Three halves of the mean at the start, one half at the end; the weight that is left is the integral.
                let gone = 1.0 - rest / whole.max(SHORTEST_MS);
                let weight = 1.5 - gone;
                let weight_left = 1.0 - 1.5 * gone + gone * gone / 2.0;
                left * weight / (weight_left * whole).max(SHORTEST_MS)
            }
        }
    }
}
