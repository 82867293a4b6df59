//! What is booked.

use std::sync::Arc;

use super::advertiser::AdvertiserId;
use crate::auction::Campaign;
use crate::ledger::{CampaignId, UnixMillis};

/// A campaign, and what an auction has no use for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Whose it is.
    pub advertiser: AdvertiserId,
    /// What its advertiser calls it.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The terms, with its creatives as they stand.
    pub campaign: Arc<Campaign>,
}

impl Booking {
    /// The campaign's number.
    pub fn id(&self) -> CampaignId {
        self.campaign.id
    }
}
