//! What buyers can pay: of a slot's cohorts one after another, as the ledger will keep it back.

use std::collections::HashMap;

use super::bid::{LossReason, Offer};
use super::external::Refused;
use crate::ledger::{CampaignId, Lot, wanted};
use crate::money::Money;

/// What is left of budgets while a slot is decided.
pub struct Means<B> {
    budget: B,
    kept_back: HashMap<CampaignId, Money>,
}

impl<B: Fn(CampaignId) -> Money> Means<B> {
    /// With all of the budgets left.
    pub fn new(budget: B) -> Self {
        Self { budget, kept_back: HashMap::new() }
    }

    /// An offer without the bids whose price is not there once: they would win and could not be shown, and nobody else would be.
    pub fn affordable(&self, mut offer: Offer) -> Offer {
        let is_affordable: Vec<bool> =
            offer.bids.iter().map(|bid| self.left(bid.campaign).covers(bid.price) > 0).collect();
        if is_affordable.iter().all(|affordable| *affordable) {
            return offer;
        }
        let mut external = std::mem::take(&mut offer.external).into_iter();
        let bids = std::mem::take(&mut offer.bids);
        for (bid, is_affordable) in bids.into_iter().zip(is_affordable) {
            let external = external.next();
            if is_affordable {
                offer.bids.push(bid);
                offer.external.extend(external);
            } else {
                let (seat, lost) =
                    external.map(|external| (external.seat, external.notices.lost)).unwrap_or_default();
                offer.refused.push(Refused { id: bid.id, why: LossReason::Unsold, seat, lost, vast: None });
            }
        }
        offer
    }

    /// A lot was won: so much of it will be kept back.
    pub fn keep_back(&mut self, lot: &Lot) {
        let units = wanted(lot.audience).min(self.left(lot.campaign).covers(lot.price));
        let amount = lot.price.checked_times(units).unwrap_or_default();
        let kept_back = self.kept_back.entry(lot.campaign).or_default();
        *kept_back = kept_back.checked_add(amount).unwrap_or(*kept_back);
    }

    fn left(&self, campaign: CampaignId) -> Money {
        let kept_back = self.kept_back.get(&campaign).copied().unwrap_or_default();
        (self.budget)(campaign).checked_sub(kept_back).unwrap_or_default()
    }
}
