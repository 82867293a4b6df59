//! Every bid in full: what is wrong with it, in the numbers that bidders are told.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::markup;
use super::request::{CANVAS, MEDIA_TYPES};
use super::response::{Answer, MAX_NAME, RawBid, Seat};
use super::terms::{DealTerms, Imp, Terms};
use crate::auction::bid::LossReason;
use crate::auction::external::{External, Markup, Notices, Refused};
use crate::format::category::with_those_above;
use crate::format::link::Link;
use crate::format::vast::{Chain, Document, Mode, Refusal, Step, VastError, Wanted};
use crate::money::Money;

/// A bid that may come to the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fair {
    /// The bidder's own name of it.
    pub id: Arc<str>,
    /// For an impression.
    pub price: Money,
    /// Under which agreement.
    pub deal: Option<Arc<str>>,
    /// The floor by its length, where that held instead of the auction's own.
    pub floor: Option<Money>,
    /// What it is about.
    pub categories: BTreeSet<Arc<str>>,
    /// Where the image is, unless a wrapper has to be followed first.
    pub resource: Option<Link>,
    /// Everything else.
    pub external: External,
}

/// What a bid is about to pay.
struct Priced<'a> {
    price: Money,
    deal: Option<&'a DealTerms>,
    /// The floor by its length, where that holds instead of the offer's own.
    floor: Option<Money>,
}

/// What a response comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Bids that may come to the decision.
    pub fair: Vec<Fair>,
    /// The others.
    pub refused: Vec<Refused>,
}

/// Why a bid is refused, and what its VAST is told.
struct Fault {
    why: LossReason,
    vast: Option<(u16, Vec<Link>)>,
}

impl From<LossReason> for Fault {
    fn from(why: LossReason) -> Self {
        Self { why, vast: None }
    }
}

/// Judges the bids of an answer by what was asked.
pub fn judge(answer: &Answer<'_>, terms: &Terms, is_lenient: bool) -> Judged {
    let mut judged = Judged::default();
    let mut seen = BTreeSet::new();
    for seat in &answer.seats {
        let mut fair = Vec::new();
        let mut refused = Vec::new();
        for raw in &seat.bids {
            let bid = match RawBid::read(raw, is_lenient) {
                Ok(bid) => bid,
                Err(of) => {
                    refused.push(refusal(&of.id, seat, of.lost.as_deref(), of.why.into()));
                    continue;
                }
            };
            let is_first = seen.insert(bid.id.clone());
            let judge = Judge { answer, seat, terms, bid: &bid, is_lenient };
            match judge.judge(is_first) {
                Ok(of) => fair.push((of, bid.lost)),
                Err(fault) => refused.push(refusal(&bid.id, seat, bid.lost.as_deref(), fault)),
            }
        }
        if seat.is_group && !refused.is_empty() {
            let others = fair.drain(..);
            refused.extend(others.map(|(of, lost)| {
                refusal(&of.id, seat, lost.as_deref(), LossReason::InvalidResponse.into())
            }));
        }
        judged.fair.extend(fair.into_iter().map(|(of, _)| of));
        judged.refused.extend(refused);
    }
    judged
}

fn refusal(id: &str, seat: &Seat<'_>, lost: Option<&str>, fault: Fault) -> Refused {
    Refused {
        id: id.chars().take(MAX_NAME).collect::<String>().into(),
        why: fault.why,
        seat: seat.seat.as_deref().map(Arc::from),
        lost: lost.and_then(|link| Link::parse(link).ok()),
        vast: fault.vast,
    }
}

struct Judge<'a> {
    answer: &'a Answer<'a>,
    seat: &'a Seat<'a>,
    terms: &'a Terms,
    bid: &'a RawBid,
    is_lenient: bool,
}

impl Judge<'_> {
    fn judge(&self, is_first: bool) -> Result<Fair, Fault> {
        let (bid, terms) = (self.bid, self.terms);
        if self.answer.id != terms.id {
            return Err(LossReason::AuctionId.into());
        }
        if bid.id.is_empty() || !is_first || !terms.takes(&self.answer.currency) || self.has_long_names() {
            return Err(LossReason::InvalidResponse.into());
        }
        let imp = terms.imps.iter().find(|imp| imp.id == bid.imp).ok_or(LossReason::InvalidResponse)?;
        self.seat(&terms.allowed_seats, &terms.blocked_seats)?;
        let creative = bid.creative.as_ref().or(bid.ad.as_ref().filter(|_| self.is_lenient));
        let creative = creative.ok_or(LossReason::CreativeId)?;
        self.advertiser()?;
        self.categories()?;
        let is_video = self.kind(imp)?;
        self.limits(imp, is_video)?;
        let Priced { price, deal, floor } = self.price(imp, is_video)?;
        let (markup, resource) = self.markup(imp, is_video)?;
        let expires_seconds = bid.expires.and_then(|seconds| u32::try_from(seconds).ok());
        if expires_seconds.is_some_and(|seconds| seconds < terms.starts_in) {
            return Err(LossReason::Expired.into());
        }
        let text = |of: &Option<String>| of.as_deref().map(Arc::from);
        // Links that cannot be followed are not called; that is no reason to refuse the bid.
        let link = |of: &Option<String>| of.as_deref().and_then(|link| Link::parse(link).ok());
        Ok(Fair {
            id: bid.id.as_str().into(),
            price,
            deal: deal.map(|deal| deal.id.as_str().into()),
            floor,
            categories: bid.categories.iter().map(|category| category.as_str().into()).collect(),
            resource,
            external: External {
                markup,
                seat: text(&self.seat.seat),
                response: text(&self.answer.bid_id),
                imp: imp.id.as_str().into(),
                campaign: text(&bid.campaign),
                creative: creative.as_str().into(),
                ad: text(&bid.ad),
                advertiser_domains: bid.domains.iter().map(|domain| domain.as_str().into()).collect(),
                expires_seconds,
                notices: Notices { won: link(&bid.won), billed: link(&bid.billed), lost: link(&bid.lost) },
            },
        })
    }

    fn has_long_names(&self) -> bool {
        let bid = self.bid;
        let optional =
            [&bid.ad, &bid.campaign, &bid.creative, &bid.deal, &self.seat.seat, &self.answer.bid_id];
        let names = optional.into_iter().flatten().chain([&bid.id]);
        names.chain(&bid.categories).chain(&bid.domains).any(|name| name.len() > MAX_NAME)
    }

    fn seat(&self, allowed: &BTreeSet<String>, blocked: &BTreeSet<String>) -> Result<(), LossReason> {
        let is_in = |list: &BTreeSet<String>| self.seat.seat.as_ref().is_some_and(|seat| list.contains(seat));
        let may_buy = (allowed.is_empty() || is_in(allowed)) && !is_in(blocked);
        if may_buy { Ok(()) } else { Err(LossReason::SeatBlocked) }
    }

    fn advertiser(&self) -> Result<(), LossReason> {
        let domains = &self.bid.domains;
        if domains.is_empty() || !domains.iter().all(|domain| is_domain(domain)) {
            return Err(LossReason::AdvertiserDomain);
        }
        let is_blocked = |domain: &String| is_within(domain, &self.terms.blocked_advertisers);
        if domains.iter().any(is_blocked) { Err(LossReason::BlockedAdvertiser) } else { Ok(()) }
    }

    fn categories(&self) -> Result<(), LossReason> {
        let blocked = &self.terms.blocked_categories;
        let is_blocked = |category: &String| with_those_above(category).any(|name| blocked.contains(name));
        if self.bid.categories.iter().any(is_blocked) { Err(LossReason::BlockedCategory) } else { Ok(()) }
    }

    /// Whether it is a video (an overlay in VAST) rather than a banner.
    fn kind(&self, imp: &Imp) -> Result<bool, LossReason> {
        // 2.5 has no `mtype`: the markup tells.
        let markup = self.bid.adm.as_ref().and_then(|adm| adm.as_str()).unwrap_or_default().trim_start();
        let begins =
            |with: &str| markup.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
        let looks_like_video = begins("<VAST") || begins("<?xml") || imp.banner.is_none();
        match self.bid.markup_type {
            Some(1) if imp.banner.is_some() => Ok(false),
            Some(2) if imp.video.is_some() => Ok(true),
            None if looks_like_video && imp.video.is_some() => Ok(true),
            None if !looks_like_video => Ok(false),
            _ => Err(LossReason::Format),
        }
    }

    /// Attributes, protocol, size and duration.
    fn limits(&self, imp: &Imp, is_video: bool) -> Result<(), LossReason> {
        let bid = self.bid;
        let video = imp.video.as_ref().filter(|_| is_video);
        let banner = imp.banner.as_ref().filter(|_| !is_video);
        let blocked = video.map(|of| &of.blocked_attributes).or(banner.map(|of| &of.blocked_attributes));
        if blocked.is_some_and(|blocked| bid.attributes.iter().any(|attribute| blocked.contains(attribute))) {
            return Err(LossReason::Attribute);
        }
        if let Some(banner) = banner
            && let Some(size) = bid.size
            && !banner.sizes.is_empty()
            && !banner.sizes.contains(&size)
        {
            return Err(LossReason::Size);
        }
        let Some(video) = video else { return Ok(()) };
        if bid.protocol.is_some_and(|of| !video.protocols.is_empty() && !video.protocols.contains(&of)) {
            return Err(LossReason::Format);
        }
        let is_larger = |(width, height): (u64, u64), (most_width, most_height): (u64, u64)| {
            width > most_width || height > most_height
        };
        if bid.size.zip(video.size).is_some_and(|(size, most)| is_larger(size, most)) {
            return Err(LossReason::Size);
        }
        match bid.duration {
            Some(seconds) if video.longest.is_some_and(|longest| seconds > longest) => {
                Err(LossReason::TooLong)
            }
            Some(seconds) if seconds < video.shortest => Err(LossReason::Format),
            _ => Ok(()),
        }
    }

    /// What is paid, and under which agreement: deal floor, then floors by duration, then the offer's own (OpenRTB 2.6
    /// implementation guide, §7.11).
    fn price<'i>(&self, imp: &'i Imp, is_video: bool) -> Result<Priced<'i>, LossReason> {
        let bid = self.bid;
        if let Some(id) = &bid.deal {
            let deal = imp.deals.iter().find(|deal| deal.id == *id).ok_or(LossReason::UnknownDeal)?;
            self.seat(&deal.seats, &BTreeSet::new())?;
            let may = |domain: &String| is_within(domain, &deal.advertisers);
            if !deal.advertisers.is_empty() && !bid.domains.iter().any(may) {
                return Err(LossReason::AdvertiserDomain);
            }
            if bid.price < deal.floor {
                return Err(LossReason::BelowDealFloor);
            }
            let price = if deal.is_fixed { deal.floor } else { bid.price };
            return Ok(Priced { price, deal: Some(deal), floor: None });
        }
        let video = imp.video.as_ref().filter(|_| is_video);
        let of_duration = video.zip(bid.duration).and_then(|(video, seconds)| {
            let floors = &video.duration_floors;
            let floor = floors.iter().find(|(from, to, _)| (*from..=*to).contains(&seconds));
            let by_second = video.floor_per_second.checked_times(u32::try_from(seconds).ok()?);
            floor.map(|(.., floor)| *floor).or(by_second.filter(|floor| floor.is_positive()))
        });
        if bid.price < of_duration.unwrap_or(imp.floor) {
            return Err(LossReason::BelowFloor);
        }
        Ok(Priced { price: bid.price, deal: None, floor: of_duration })
    }

    fn markup(&self, imp: &Imp, is_video: bool) -> Result<(Markup, Option<Link>), Fault> {
        let text = match &self.bid.adm {
            Some(serde_json::Value::String(text)) => text,
            // What is only told after winning cannot be fetched before.
            None => return Err(LossReason::Markup.into()),
            // Native, as an object.
            Some(_) => return Err(LossReason::Format.into()),
        };
        let markup = markup::read(text, imp.is_secure)?;
        let resource = match &markup {
            Markup::Image(image) if !is_video => Some(image.link.clone()),
            Markup::Vast(document) if is_video => self.vast(document, imp)?,
            Markup::Image(_) | Markup::Vast(_) => return Err(LossReason::Format.into()),
        };
        Ok((markup, resource))
    }

    /// The image of a VAST document; `None` if a wrapper has to be followed first.
    fn vast(&self, document: &str, imp: &Imp) -> Result<Option<Link>, Fault> {
        let mode = if self.is_lenient { Mode::Lenient } else { Mode::Strict };
        let read = Document::read(document, mode).map_err(|error| Refusal::new(error, &[]));
        let read = read.and_then(|of| of.check_version(mode).map(|()| of));
        let read = read.map_err(|refusal| Fault {
            why: LossReason::InvalidResponse,
            vast: Some((refusal.error.code(), refusal.errors)),
        })?;
        let longest = imp.video.as_ref().and_then(|video| video.longest);
        let slot_ms = longest.and_then(|seconds| u32::try_from(seconds.checked_mul(1000)?).ok());
        let blocked: Vec<&str> = self.terms.blocked_categories.iter().map(String::as_str).collect();
        let wanted = Wanted {
            canvas: CANVAS,
            media_types: &MEDIA_TYPES,
            slot_ms: slot_ms.unwrap_or(u32::MAX),
            blocked_categories: &blocked,
            mode,
        };
        let mut chain = Chain::new(read);
        match chain.step(&wanted) {
            Step::Fetch(_) => Ok(None),
            Step::Done(overlay) => match overlay.resource {
                Some(link) if imp.is_secure && !link.is_secure() => Err(LossReason::NotSecure.into()),
                resource => Ok(resource),
            },
            Step::Failed => {
                let refusal = chain.refusals().first();
                let error = refusal.map_or(VastError::Undefined, |refusal| refusal.error);
                let beacons = refusal.map(|refusal| refusal.errors.clone()).unwrap_or_default();
                let why = match error {
                    VastError::Linearity | VastError::NonLinearType => LossReason::Format,
                    VastError::NonLinearSize => LossReason::Size,
                    VastError::Duration => LossReason::TooLong,
                    VastError::Category => LossReason::BlockedCategory,
                    VastError::NoAd => LossReason::Markup,
                    _ => LossReason::InvalidResponse,
                };
                Err(Fault { why, vast: Some((error.code(), beacons)) })
            }
        }
    }
}

/// Whether it is a host name of at least two labels, without scheme, path or port.
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_part = |c: char| c.is_alphanumeric() || c == '-';
        (1..=63).contains(&label.len()) && !label.starts_with('-') && label.chars().all(is_part)
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

/// Whether a domain is one of a list, or below one.
fn is_within(domain: &str, list: &BTreeSet<String>) -> bool {
    let domain = domain.to_lowercase();
    list.iter().any(|known| {
        let known = known.to_lowercase();
        domain == known || domain.strip_suffix(&known).is_some_and(|below| below.ends_with('.'))
    })
}
