//! The house: the campaigns that are booked here. It is asked nothing, and knows the answer.

use std::sync::Arc;

use super::{Bidder, Malformed, Request, Response};
use crate::auction::bid::{Bid, Offer, Pass, PassReason};
use crate::auction::campaign::Campaign;
use crate::auction::context::Auction;
use crate::money::Money;

/// What the house is called.
pub const NAME: &str = "house";
/// Campaigns that are told of in a trace though they do not bid.
const MAX_PASSES: usize = 1000;

/// The campaigns as they stand at one moment.
#[derive(Clone, Debug, Default)]
pub struct House {
    /// All that run.
    pub candidates: Vec<Candidate>,
}

/// A campaign, and what the sale itself does not tell about it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The campaign.
    pub campaign: Arc<Campaign>,
    /// What it may still reserve.
    pub budget: Money,
    /// Why it must not be shown now: it would be ahead of its plan, was shown often enough, or a competitor was.
    pub hold: Option<PassReason>,
}

impl Candidate {
    fn bid(&self, auction: &Auction) -> Result<Bid, PassReason> {
        let campaign = &self.campaign;
        let creative = campaign.creative_for(auction)?;
        if campaign.bid.is_positive() && self.budget.covers(campaign.bid) == 0 {
            return Err(PassReason::Budget);
        }
        self.hold.map_or(Ok(()), Err)?;
        Ok(Bid {
            id: campaign.id.to_string().into(),
            campaign: campaign.id,
            creative: creative.id,
            format: creative.format,
            is_ready: creative.is_showable(),
            categories: creative.categories.clone(),
            accepts_server_counts: campaign.accepts_server_counts,
            price: campaign.bid,
            deal: campaign.deal.clone(),
            floor: None,
            priority: campaign.priority,
        })
    }
}

impl Bidder for House {
    fn name(&self) -> &str {
        NAME
    }

    fn requests(&self, _: &Auction) -> Vec<Request> {
        Vec::new()
    }

    fn bids(&self, auction: &Auction, _: &[Response]) -> Result<Offer, Malformed> {
        let mut offer = Offer { bidder: NAME.into(), ..Offer::default() };
        for candidate in &self.candidates {
            match candidate.bid(auction) {
                Ok(bid) => offer.bids.push(bid),
                Err(why) if offer.passes.len() < MAX_PASSES => {
                    offer.passes.push(Pass { campaign: candidate.campaign.id, why });
                }
                Err(_) => {}
            }
        }
        // Only so many are looked at: the best ones.
        offer.bids.sort_by_key(|bid| (bid.priority, bid.deal.is_none(), std::cmp::Reverse(bid.price)));
        Ok(offer)
    }
}
