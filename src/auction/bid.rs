//! Bids, and why there is none or why one has lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::external::{External, Refused};
use crate::ledger::CampaignId;
use crate::media::OverlayFormat;
use crate::money::Money;

/// The priority of house fill-ins: behind everybody.
pub const FILL_IN: u8 = u8::MAX;
/// Bids of one bidder that are looked at.
pub const MAX_BIDS: usize = 1000;

/// An offer to pay.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Bid {
    /// The bidder's own name of it.
    pub id: Arc<str>,
    /// Who pays.
    pub campaign: CampaignId,
    /// What is shown.
    pub creative: u64,
    /// What it is made for.
    pub format: OverlayFormat,
    /// Whether the creative is approved, and ready to be shown at once.
    pub is_ready: bool,
    /// What it is about.
    pub categories: BTreeSet<Arc<str>>,
    /// Whether displays that the server counts are paid.
    pub accepts_server_counts: bool,
    /// For an impression.
    pub price: Money,
    /// Under which agreement.
    pub deal: Option<Arc<str>>,
    /// The floor that it was told instead of the auction's own, by its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Money>,
    /// Groups with a lower number are served first, whatever the price; [`FILL_IN`] last, and without a floor.
    pub priority: u8,
}

/// What a bidder has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Offer {
    /// Who.
    pub bidder: Arc<str>,
    /// Its bids; beyond [`MAX_BIDS`] they are not looked at.
    pub bids: Vec<Bid>,
    /// Campaigns of its own that do not bid, where it tells.
    pub passes: Vec<Pass>,
    /// What was wrong with the answer, if something was.
    pub failure: Option<String>,
    /// For each bid, in their order, what is to be done about it; empty for bidders that need nothing done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external: Vec<External>,
    /// Bids that were refused before the decision, [`MAX_BIDS`] at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// A campaign that does not bid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Pass {
    /// Which.
    pub campaign: CampaignId,
    /// Why not.
    pub why: PassReason,
}

/// Why a campaign does not bid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PassReason {
    /// It is stopped.
    Paused,
    /// Before or after its flight, or outside its day-parts.
    Flight,
    /// Other channels.
    Channel,
    /// Other categories.
    Category,
    /// Other tags.
    Tags,
    /// Other hashtags than those of the moment.
    Hashtags,
    /// Other countries, or not known which.
    Country,
    /// Other languages, or not known which.
    Language,
    /// Other devices, or not known which.
    Device,
    /// No creative of this format.
    Format,
    /// Creatives of this format, but none that is approved and ready.
    Creative,
    /// Displays that the server counts are not bought.
    ServerCounts,
    /// Not the price of one impression is left.
    Budget,
    /// It would be ahead of its plan.
    Paced,
    /// It was shown often enough.
    Capped,
    /// A competitor was shown a short while ago.
    Separated,
}

/// Why a bid has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LossReason {
    /// The price is no price.
    Price,
    /// Too many of one bidder.
    TooMany,
    /// The creative is of another format.
    Format,
    /// The creative is not approved, or not ready.
    Creative,
    /// The channel does not show such creatives.
    BlockedCategory,
    /// The server counts, and that is not bought.
    ServerCounts,
    /// The deal does not hold here.
    UnknownDeal,
    /// Below the deal's floor.
    BelowDealFloor,
    /// Below the format's floor.
    BelowFloor,
    /// The winner's group is served first.
    Priority,
    /// The winner has a deal.
    LostToDeal,
    /// The winner pays more.
    Outbid,
    /// The winner pays the same, and chance decided.
    Tie,
    /// The bid is not as the protocol has it.
    InvalidResponse,
    /// The answer is to another auction.
    AuctionId,
    /// The advertiser's domain is missing, or is none.
    AdvertiserDomain,
    /// There is nothing to show.
    Markup,
    /// The creative has no name.
    CreativeId,
    /// There is no price.
    NoPrice,
    /// The seat must not buy, here or under the deal.
    SeatBlocked,
    /// Somebody has looked at the creative, and it must not be shown.
    Disapproved,
    /// The creative does not fit.
    Size,
    /// The advertiser is blocked.
    BlockedAdvertiser,
    /// The creative is fetched without TLS.
    NotSecure,
    /// The creative does what is not allowed.
    Attribute,
    /// The creative is of a kind that is not shown.
    AdType,
    /// The creative is longer than the slot.
    TooLong,
    /// It was decided too late to be shown.
    Expired,
    /// What won could not be paid for, kept or shown: nothing is.
    Unsold,
}

impl LossReason {
    /// The number that bidders are told: OpenRTB 3.0, list "Loss Reason Codes".
    pub const fn code(self) -> u16 {
        match self {
            // Ours alone; "internal error" is the list's word for that.
            Self::TooMany | Self::ServerCounts | Self::Unsold => 1,
            Self::Expired => 2,
            Self::InvalidResponse => 3,
            Self::UnknownDeal => 4,
            Self::AuctionId => 5,
            Self::AdvertiserDomain => 6,
            Self::Markup => 7,
            Self::CreativeId => 8,
            Self::NoPrice | Self::Price => 9,
            Self::BelowFloor => 100,
            Self::BelowDealFloor => 101,
            Self::Priority | Self::Outbid | Self::Tie => 102,
            Self::LostToDeal => 103,
            Self::SeatBlocked => 104,
            Self::Creative => 201,
            Self::Disapproved => 202,
            Self::Size => 203,
            Self::Format => 204,
            Self::BlockedAdvertiser => 205,
            Self::NotSecure => 207,
            Self::BlockedCategory => 209,
            Self::Attribute => 210,
            Self::AdType => 211,
            Self::TooLong => 212,
        }
    }
}
