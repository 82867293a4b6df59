//! What is to be done about a bid from outside: what is shown, and who is told what became of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bid::LossReason;
use crate::format::link::Link;
use crate::format::vast::{Ad, Document, Mode};

/// Beside a bid of somebody outside: everything that a sale needs later and the decision does not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct External {
    /// What is shown. Macros of the auction are still in it.
    pub markup: Markup,
    /// Who bids, at the bidder's.
    pub seat: Option<Arc<str>>,
    /// The bidder's number of its response.
    pub response: Option<Arc<str>>,
    /// Which of what was offered is bid for.
    pub imp: Arc<str>,
    /// The campaign, as the bidder calls it.
    pub campaign: Option<Arc<str>>,
    /// The creative, as the bidder calls it.
    pub creative: Arc<str>,
    /// The advertisement that is served, if the bidder has it stored.
    pub ad: Option<Arc<str>>,
    /// Whose product it is.
    pub advertiser_domains: Vec<Arc<str>>,
    /// Within how many seconds it has to be shown.
    pub expires_seconds: Option<u32>,
    /// Who is told what becomes of it.
    pub notices: Notices,
}

/// Who is told what becomes of a bid; macros are still in the links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Notices {
    /// Called when it wins. It means no money.
    pub won: Option<Link>,
    /// Called when it is owed for.
    pub billed: Option<Link>,
    /// Called when it loses.
    pub lost: Option<Link>,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Markup {
    /// A VAST document; a wrapper has to be followed first.
    Vast(Arc<str>),
    /// One image.
    Image(Box<ImageMarkup>),
}

impl Markup {
    /// Whom its own words name to be told that it was shown, macros and all. What a wrapper leads to may name more.
    pub fn impressions(&self) -> Vec<Link> {
        match self {
            Self::Image(image) => image.impressions.clone(),
            Self::Vast(text) => {
                let links = ad_of(text).map(|ad| ad.impressions).unwrap_or_default();
                links.iter().filter_map(|link| Link::parse(link).ok()).collect()
            }
        }
    }

    /// Whether it only leads to what is shown.
    pub fn is_wrapper(&self) -> bool {
        matches!(self, Self::Vast(text) if ad_of(text).is_some_and(|ad| ad.wrapper.is_some()))
    }
}

/// The advertisement of a document, which was read before it could win, as closely as its bidder is read.
fn ad_of(text: &str) -> Option<Ad> {
    let leads_somewhere = |ad: &Ad| ad.wrapper.is_some() || !ad.overlays.is_empty();
    Document::read(text, Mode::Lenient).ok()?.ads.into_iter().find(leads_somewhere)
}

/// One image, and what is around it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ImageMarkup {
    /// Where it is.
    pub link: Link,
    /// Where a click leads.
    pub click_through: Option<Link>,
    /// Called when it is shown.
    pub impressions: Vec<Link>,
}

/// A bid that does not come to the decision.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Refused {
    /// The bidder's own name of it; empty if it has none.
    pub id: Arc<str>,
    /// Why.
    pub why: LossReason,
    /// Who bids, at the bidder's.
    pub seat: Option<Arc<str>>,
    /// Called with the reason.
    pub lost: Option<Link>,
    /// Error beacons of a VAST document that was refused, and the code that they are called with.
    pub vast: Option<(u16, Vec<Link>)>,
}
