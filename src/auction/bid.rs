//! Bids, and why there is none or why one has lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
}
