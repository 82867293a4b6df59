//! What is to be done about a bid from outside: what is shown, and who is told what became of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bid::LossReason;
use crate::format::link::{Link, without_query};
use crate::format::vast::{Ad, Document, Mode, NonLinear, Overlay, Resource};

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
    /// Its links. `found` is what was found when it was fetched: of an advertisement itself, which of its alternatives is shown; of a
    /// wrapper, all that it leads to. Links of the bid's own words come first.
    pub fn links(&self, found: Option<&Overlay>) -> Links {
        match self {
            Self::Image(image) => Links {
                click_through: image.click_through.clone(),
                impressions: image.impressions.clone(),
                ..Links::default()
            },
            Self::Vast(text) => match ad_of(text, found.and_then(|found| found.resource.as_ref())) {
                Some(ad) if ad.wrapper.is_some() => Links::of_wrapper(&ad, found),
                Some(ad) => Links::of_inline(&ad, found.and_then(|found| found.resource.as_ref())),
                None => Links::default(),
            },
        }
    }

    /// Whether it only leads to what is shown.
    pub fn is_wrapper(&self) -> bool {
        matches!(self, Self::Vast(text) if ad_of(text, None).is_some_and(|ad| ad.wrapper.is_some()))
    }
}

/// Where an advertisement leads and whom it names to be told what becomes of it. Macros are still in the links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Where a click leads.
    pub click_through: Option<Link>,
    /// Whom to tell that it was shown.
    pub impressions: Vec<Link>,
    /// Whom to tell that it could be seen.
    pub viewable: Vec<Link>,
    /// Whom to tell of a click.
    pub clicks: Vec<Link>,
    /// Whom to tell of what else becomes of it: event and link.
    pub tracking: Vec<(String, Link)>,
}

impl Links {
    /// Of an advertisement, of whose alternatives the one with this resource is shown.
    fn of_inline(ad: &Ad, resource: Option<&Link>) -> Self {
        let shown = ad.overlays.iter().find(|of| has(of, resource)).or(ad.overlays.first());
        Self {
            click_through: shown.and_then(|of| Link::parse(of.click_through.as_deref()?).ok()),
            clicks: shown.map(|of| parsed(&of.click_tracking)).unwrap_or_default(),
            ..Self::of(ad)
        }
    }

    /// Of a wrapper, and of what it has led to.
    fn of_wrapper(ad: &Ad, found: Option<&Overlay>) -> Self {
        let clicks = ad.overlays.iter().flat_map(|of| parsed(&of.click_tracking)).collect();
        let mut links = Self { clicks, ..Self::of(ad) };
        if let Some(found) = found {
            links.click_through.clone_from(&found.click_through);
            links.impressions.extend_from_slice(&found.impressions);
            links.viewable.extend_from_slice(&found.viewable);
            links.clicks.extend_from_slice(&found.click_tracking);
            links.tracking.extend_from_slice(&found.tracking);
        }
        links
    }

    fn of(ad: &Ad) -> Self {
        let tracking = ad.tracking.iter();
        Self {
            impressions: parsed(&ad.impressions),
            viewable: parsed(&ad.viewable.viewable),
            tracking: tracking
                .filter_map(|to| Some((to.event.clone(), Link::parse(&to.link).ok()?)))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes these out of what was found behind a wrapper: the next bid with it has its own in their place.
    pub fn take_out_of(&self, found: &mut Overlay) {
        found.impressions.retain(|link| !self.impressions.contains(link));
        found.viewable.retain(|link| !self.viewable.contains(link));
        found.click_tracking.retain(|link| !self.clicks.contains(link));
        found.tracking.retain(|of| !self.tracking.contains(of));
    }
}

/// The links among texts; the others, and `about:blank`, are not followed.
fn parsed(texts: &[String]) -> Vec<Link> {
    texts.iter().filter_map(|text| Link::parse(text).ok()).collect()
}

/// Whether an alternative shows this, whatever stands behind `?` in its link: in the next bid that is another.
fn has(overlay: &NonLinear, resource: Option<&Link>) -> bool {
    let is_it = |shown: &Link, known: &Resource| without_query(&known.value) == without_query(shown.as_str());
    resource.is_some_and(|shown| overlay.resources.iter().any(|known| is_it(shown, known)))
}

/// The advertisement of a document, which was read before it could win, as closely as its bidder is read: of several the one that has
/// what is shown, else the first that leads anywhere.
fn ad_of(text: &str, resource: Option<&Link>) -> Option<Ad> {
    let mut ads = Document::read(text, Mode::Lenient).ok()?.ads;
    let is_shown = |ad: &Ad| ad.overlays.iter().any(|overlay| has(overlay, resource));
    let leads_somewhere = |ad: &Ad| ad.wrapper.is_some() || !ad.overlays.is_empty();
    let place = ads.iter().position(is_shown).or_else(|| ads.iter().position(leads_somewhere))?;
    Some(ads.swap_remove(place))
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
