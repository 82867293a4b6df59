//! The decision: pure, and the same again from its trace.

use std::cmp::Reverse;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bid::{Bid, FILL_IN, LossReason, MAX_BIDS, Offer};
use super::context::Auction;
use super::external::Markup;
use crate::ledger::Lot;
use crate::money::Money;
use crate::random::mix;

/// A bid, by the places of its offer and of itself therein.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct BidPlace {
    /// The offer's.
    pub offer: usize,
    /// The bid's.
    pub bid: usize,
}

/// What became of a bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Verdict {
    /// Which.
    pub bid: BidPlace,
    /// Why it has lost; `None` for the winner.
    pub why_not: Option<LossReason>,
}

/// Who is shown, and why nobody else is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Decision {
    /// Who, if anybody.
    pub winner: Option<BidPlace>,
    /// What an impression costs: what was bid.
    pub price: Money,
    /// Who is shown to sessions that must not see the winner.
    pub runner_up: Option<BidPlace>,
    /// What it took to win: the runner-up's price if that is in the same group, else the floor.
    pub min_to_win: Money,
    /// Every bid, in the order of the offers.
    pub verdicts: Vec<Verdict>,
}

/// All that a decision was made of, and the decision.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Trace {
    /// The sale.
    pub auction: Auction,
    /// What was answered.
    pub offers: Vec<Offer>,
    /// What came of it.
    pub decision: Decision,
}

impl Trace {
    /// Decides.
    pub fn of(auction: Auction, offers: Vec<Offer>) -> Self {
        let decision = decide(&auction, &offers);
        Self { auction, offers, decision }
    }

    /// The same without what losers would have shown: deciding again takes none of it, and it may be long.
    pub fn to_keep(&self) -> Self {
        let mut kept = self.clone();
        for (place, offer) in kept.offers.iter_mut().enumerate() {
            for (bid, external) in offer.external.iter_mut().enumerate() {
                if self.decision.winner != Some(BidPlace { offer: place, bid }) {
                    external.markup = Markup::Vast(Arc::from(""));
                }
            }
        }
        kept
    }

    /// Whether deciding again comes to the same.
    pub fn is_reproducible(&self) -> bool {
        decide(&self.auction, &self.offers) == self.decision
    }

    /// A bid.
    pub fn bid(&self, place: BidPlace) -> Option<&Bid> {
        self.offers.get(place.offer)?.bids.get(place.bid)
    }

    /// The lot that is to be reserved for the winner.
    pub fn lot(&self) -> Option<Lot> {
        let bid = self.bid(self.decision.winner?)?;
        Some(Lot {
            campaign: bid.campaign,
            creative: bid.creative,
            price: self.decision.price,
            audience: self.auction.audience,
            cohort: self.auction.cohort.to_string(),
        })
    }
}

/// Ranks the bids that may win: priority group, then deals, then the price, then chance. The first price is paid.
///
/// Chance falls on each bid by the seed and its own name: nobody's chance depends on who else is there, or in which order.
pub fn decide(auction: &Auction, offers: &[Offer]) -> Decision {
    let mut ranked = Vec::new();
    let mut verdicts = Vec::new();
    for (place, bidder, bid) in bids(offers) {
        let why_not = ineligible(auction, place, bid);
        if why_not.is_none() {
            ranked.push((rank(auction, bidder, bid), place, bid));
        }
        verdicts.push(Verdict { bid: place, why_not });
    }
    ranked.sort_by(|(a, place, _), (b, other, _)| a.cmp(b).then(place.cmp(other)));
    let Some((_, winner, winning)) = ranked.first().copied() else {
        return Decision { verdicts, ..Decision::default() };
    };
    for verdict in &mut verdicts {
        if verdict.why_not.is_none() && verdict.bid != winner {
            let bid = offers.get(verdict.bid.offer).and_then(|offer| offer.bids.get(verdict.bid.bid));
            verdict.why_not = bid.map(|bid| why_behind(winning, bid));
        }
    }
    let second = ranked.get(1);
    let rival = second.filter(|(_, _, bid)| group(bid) == group(winning)).map(|(_, _, bid)| bid.price);
    Decision {
        winner: Some(winner),
        price: winning.price,
        runner_up: second.map(|(_, place, _)| *place),
        min_to_win: rival.unwrap_or_else(|| floor(auction, winning).unwrap_or(Money::ZERO)),
        verdicts,
    }
}

fn bids(offers: &[Offer]) -> impl Iterator<Item = (BidPlace, &Arc<str>, &Bid)> {
    offers.iter().enumerate().flat_map(|(offer, answer)| {
        let bids = answer.bids.iter().enumerate();
        bids.map(move |(bid, of)| (BidPlace { offer, bid }, &answer.bidder, of))
    })
}

/// Why a bid cannot win, whoever else there is.
fn ineligible(auction: &Auction, place: BidPlace, bid: &Bid) -> Option<LossReason> {
    let context = &auction.context;
    let is_fill_in = bid.priority == FILL_IN;
    if bid.price.is_negative() || (bid.price == Money::ZERO && !is_fill_in) {
        return Some(LossReason::Price);
    }
    if place.bid >= MAX_BIDS {
        return Some(LossReason::TooMany);
    }
    if bid.format != context.format {
        return Some(LossReason::Format);
    }
    if !bid.is_ready {
        return Some(LossReason::Creative);
    }
    if !bid.categories.is_disjoint(&context.blocked_categories) {
        return Some(LossReason::BlockedCategory);
    }
    if context.class == crate::ledger::DisplayClass::Server && !bid.accepts_server_counts {
        return Some(LossReason::ServerCounts);
    }
    let Some(floor) = floor(auction, bid) else { return Some(LossReason::UnknownDeal) };
    let below = if bid.deal.is_some() { LossReason::BelowDealFloor } else { LossReason::BelowFloor };
    (!is_fill_in && bid.price < floor).then_some(below)
}

/// The floor that holds for a bid; `None` when its deal does not hold here.
fn floor(auction: &Auction, bid: &Bid) -> Option<Money> {
    match &bid.deal {
        None => Some(bid.floor.unwrap_or(auction.floor)),
        Some(id) => auction.deals.iter().find(|deal| deal.id == *id).map(|deal| deal.floor),
    }
}

/// The lowest is the best.
fn rank(auction: &Auction, bidder: &str, bid: &Bid) -> (u8, bool, Reverse<Money>, u64) {
    let lot = [bidder, "\n", &bid.id].into_iter().flat_map(|part| part.bytes());
    let lot = lot.fold(auction.seed, |state, byte| mix(state ^ u64::from(byte)));
    let (priority, without_deal) = group(bid);
    (priority, without_deal, Reverse(bid.price), lot)
}

const fn group(bid: &Bid) -> (u8, bool) {
    (bid.priority, bid.deal.is_none())
}

fn why_behind(winner: &Bid, bid: &Bid) -> LossReason {
    if bid.priority != winner.priority {
        LossReason::Priority
    } else if bid.deal.is_some() != winner.deal.is_some() {
        LossReason::LostToDeal
    } else if bid.price < winner.price {
        LossReason::Outbid
    } else {
        LossReason::Tie
    }
}
