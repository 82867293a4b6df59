//! Bidders over OpenRTB 2.6, or 2.5: as JSON in a POST. `docs/bidders.md` tells what is sent and taken.
//!
//! | | |
//! |---|---|
//! | [`settings`] | a bidder in the configuration; who sells |
//! | [`request`], [`country`] | what is asked |
//! | [`response`] | the answer as it is written |
//! | [`terms`], [`judge`], [`markup`], [`price`] | what is wrong with each bid |
//! | [`macros`], [`notices`] | who is told what became of it |
//! | [`validate`] | what a bidder may demand of a request |

pub mod country;
pub mod judge;
pub mod macros;
pub mod markup;
pub mod notices;
pub mod price;
pub mod request;
pub mod response;
pub mod settings;
pub mod terms;
pub mod validate;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

pub use settings::{DealSettings, Regulations, Seller, Settings, Version};
pub use terms::Terms;

use super::{Bidder, Malformed, Request, Response};
use crate::auction::bid::{Bid, LossReason, Offer};
use crate::auction::context::Auction;
use crate::auction::external::Refused;
use crate::format::link::without_query;
use crate::ledger::CampaignId;
use crate::random::mix;
use response::Answer;

/// A bidder as it stands at one moment.
#[derive(Clone, Debug)]
pub struct OpenRtb {
    /// How it is asked.
    pub settings: Arc<Settings>,
    /// Who sells.
    pub seller: Arc<Seller>,
    /// The account that its debts are in.
    pub campaign: CampaignId,
    /// A cohort of fewer is not spoken of.
    pub k: u32,
    /// What is known of its creatives, by [`creative_key`]. One that is not known has to be fetched first: its bids have no
    /// chance yet ([`LossReason::Creative`]).
    pub creatives: Arc<BTreeMap<u64, Standing>>,
}

/// How a creative stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is fetched, allowed and at hand.
    Ready,
    /// It is, and this has been found out about it.
    ReadyAs(Arc<Found>),
    /// It must not be shown.
    Disapproved,
}

/// What is found out about a creative when it is fetched: a bid with a wrapper may not have said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What it is about, with all that this is below.
    pub categories: BTreeSet<Arc<str>>,
    /// The shortest time that it should be shown, in milliseconds; 0 for any.
    pub shortest_ms: u32,
}

/// What a creative is known by: its bidder, the bidder's name of it, and where its image is, so that another image is
/// another creative. Behind a wrapper the image is not known when it bids; the name has to do.
///
/// What is behind `?` or `#` in the link is left out: signatures and cache-busters are others in each bid, and a creative that is
/// new each time would never be at hand.
pub fn creative_key(bidder: &str, creative: &str, resource: Option<&str>) -> u64 {
    let place = resource.map(without_query).unwrap_or_default();
    let parts = [bidder, "\n", creative, "\n", place];
    parts
        .into_iter()
        .flat_map(str::bytes)
        .fold(0x6f70_656e_7274_6221, |state, byte| mix(state ^ u64::from(byte)))
}

impl OpenRtb {
    /// What is asked, as JSON; `None` when nothing is.
    pub fn request(&self, auction: &Auction) -> Option<serde_json::Value> {
        request::request(auction, &self.settings, &self.seller, self.k)
    }

    fn offer(&self, auction: &Auction, judged: judge::Judged) -> Offer {
        let mut offer =
            Offer { bidder: self.settings.name.as_str().into(), refused: judged.refused, ..Offer::default() };
        for fair in judged.fair {
            let resource = fair.resource.as_ref().map(|link| link.as_str());
            let creative = creative_key(&self.settings.name, &fair.external.creative, resource);
            let standing = self.creatives.get(&creative);
            let found = match standing {
                Some(Standing::ReadyAs(found)) => Some(found),
                _ => None,
            };
            // What is no wrapper was judged by its own document.
            let is_too_long = fair.resource.is_none()
                && found.is_some_and(|found| found.shortest_ms > auction.context.duration_ms);
            let why_not = match standing {
                Some(Standing::Disapproved) => Some(LossReason::Disapproved),
                _ => is_too_long.then_some(LossReason::TooLong),
            };
            if let Some(why) = why_not {
                offer.refused.push(Refused {
                    id: fair.id,
                    why,
                    seat: fair.external.seat,
                    lost: fair.external.notices.lost,
                    vast: None,
                });
                continue;
            }
            let mut categories = fair.categories;
            if let Some(found) = found {
                categories.extend(found.categories.iter().cloned());
            }
            offer.bids.push(Bid {
                id: fair.id,
                campaign: self.campaign,
                creative,
                format: auction.context.format,
                is_ready: matches!(standing, Some(Standing::Ready | Standing::ReadyAs(_))),
                categories,
                accepts_server_counts: self.settings.accepts_server_counts,
                price: fair.price,
                deal: fair.deal,
                floor: fair.floor,
                priority: self.settings.priority,
            });
            offer.external.push(fair.external);
        }
        offer
    }
}

impl Bidder for OpenRtb {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn requests(&self, auction: &Auction) -> Vec<Request> {
        let Some(body) = self.request(auction) else { return Vec::new() };
        vec![Request {
            url: self.settings.url.to_string(),
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("accept", "application/json".to_owned()),
                ("x-openrtb-version", self.settings.version.header().to_owned()),
            ],
            body: Bytes::from(body.to_string()),
        }]
    }

    fn bids(&self, auction: &Auction, responses: &[Response]) -> Result<Offer, Malformed> {
        let (Some(response), Some(request)) = (responses.first(), self.request(auction)) else {
            return Ok(Offer { bidder: self.settings.name.as_str().into(), ..Offer::default() });
        };
        let is_lenient = self.settings.lenient;
        let answer = Answer::read(response, is_lenient)?;
        let context = &auction.context;
        let starts_in = context.starts_at.saturating_sub(context.at).max(0) as u64;
        let starts_in = u32::try_from(starts_in.div_ceil(1000)).unwrap_or(u32::MAX);
        let terms = Terms { starts_in, ..Terms::of(&request) };
        Ok(self.offer(auction, judge::judge(&answer, &terms, is_lenient)))
    }
}
