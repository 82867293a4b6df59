//! One bidder at work: asked, watched, and its creatives fetched. Nothing of it is another's.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::breaker::{Breaker, Pass};
use super::client::{CallError, Client};
use super::creatives::{Creatives, Failure};
use super::fetch::{Fetched, Order, fetch};
use super::metrics::Metrics;
use super::notices::Notifier;
use crate::auction::bidder::openrtb::notices::Told;
use crate::auction::bidder::openrtb::request::auction_id;
use crate::auction::bidder::openrtb::{OpenRtb, Seller, Settings};
use crate::auction::bidder::{Bidder as _, Request, Response};
use crate::auction::external::{External, Links};
use crate::auction::{Auction, Offer};
use crate::booking::Intake;
use crate::clock;
use crate::format::vast::Mode;
use crate::ledger::CampaignId;

/// Requests to one bidder that are not answered. More are not made.
const MAX_OPEN: usize = 256;
/// The longest answer, in bytes.
const MAX_ANSWER: usize = 512 << 10;
/// Creatives of one bidder that are fetched at one time.
const MAX_FETCHES: usize = 4;

/// A bidder.
pub(super) struct Partner {
    pub name: Arc<str>,
    pub campaign: CampaignId,
    pub settings: Arc<Settings>,
    pub seller: Arc<Seller>,
    pub k: u32,
    /// To the address that the operator has configured.
    pub asking: Client,
    /// To wherever its links lead.
    pub links: Client,
    pub notifier: Notifier,
    pub metrics: Metrics,
    pub intake: Arc<dyn Intake>,
    /// The largest file of a creative, in bytes.
    pub max_image: usize,
    pub state: State,
}

/// What changes of a bidder.
pub(super) struct State {
    breaker: Mutex<Breaker>,
    creatives: Mutex<Creatives>,
    open: Arc<Semaphore>,
    fetches: Semaphore,
}

impl Default for State {
    fn default() -> Self {
        Self {
            breaker: Mutex::default(),
            creatives: Mutex::default(),
            open: Arc::new(Semaphore::new(MAX_OPEN)),
            fetches: Semaphore::new(MAX_FETCHES),
        }
    }
}

impl Partner {
    /// What it offers; before the deadline, or what is missing is said instead.
    pub async fn offer(self: &Arc<Self>, auction: &Auction, deadline: Instant) -> Offer {
        let begun = clock::monotonic();
        let deadline = deadline.min(begun + self.settings.timeout);
        let bidder = self.bidder(begun);
        let Some(request) = bidder.requests(auction).into_iter().next() else { return self.nothing(None) };
        let Ok(place) = Arc::clone(&self.state.open).try_acquire_owned() else {
            self.metrics.asked(&self.name, "too_many");
            return self.nothing(Some("not asked: too many requests are not answered"));
        };
        let Some(pass) = self.admit(begun) else {
            self.metrics.asked(&self.name, "spared");
            return self.nothing(Some("not asked: it did not answer before"));
        };
        let asked = self.ask(request, deadline, place).await;
        let took = clock::monotonic().saturating_duration_since(begun);
        let (offer, result) = match asked {
            Ok(response) => {
                let offer = crate::auction::bidder::offer(&bidder, auction, &[response]);
                let result = match &offer {
                    Offer { failure: Some(_), .. } => "malformed",
                    Offer { bids, refused, .. } if bids.is_empty() && refused.is_empty() => "no_bid",
                    _ => "bids",
                };
                (offer, result)
            }
            Err(error) => {
                let result = match &error {
                    CallError::Late => "late",
                    CallError::TooLong => "too_long",
                    CallError::Unreachable(_) | CallError::Body(_) => "unreachable",
                    _ => "failed",
                };
                (self.nothing(Some(&error.to_string())), result)
            }
        };
        self.metrics.asked(&self.name, result);
        self.metrics.took(&self.name, took);
        self.tell_breaker(pass, offer.failure.is_none());
        self.want(auction, &offer);
        offer
    }

    /// An offer of nothing, and why.
    pub fn nothing(&self, failure: Option<&str>) -> Offer {
        Offer { bidder: Arc::clone(&self.name), failure: failure.map(str::to_owned), ..Offer::default() }
    }

    /// What notices of a sale have in common.
    pub fn told<'a>(&'a self, auction: &'a str) -> Told<'a> {
        Told { auction, currency: &self.seller.currency, agreed: &self.settings.macro_encodings }
    }

    /// The links of a bid's advertisement, as far as it is at hand.
    pub fn links(&self, creative: u64, external: &External) -> Links {
        let creative = self.creatives().find(creative);
        external.markup.links(creative.as_ref().and_then(|creative| creative.overlay.as_ref()))
    }

    pub fn creatives(&self) -> MutexGuard<'_, Creatives> {
        self.state.creatives.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bidder as it stands now.
    fn bidder(&self, now: Instant) -> OpenRtb {
        OpenRtb {
            settings: Arc::clone(&self.settings),
            seller: Arc::clone(&self.seller),
            campaign: self.campaign,
            k: self.k,
            creatives: self.creatives().standings(now),
        }
    }

    async fn ask(
        &self,
        request: Request,
        deadline: Instant,
        place: OwnedSemaphorePermit,
    ) -> Result<Response, CallError> {
        let compressed = if self.settings.gzip { compress(&request.body) } else { None };
        let encoding = compressed.is_some().then_some(("content-encoding", "gzip"));
        let body = compressed.unwrap_or(request.body);
        let own = request.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let wanted = self.settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = own.chain(encoding).chain(wanted);
        let answer = self.asking.post(&request.url, headers, body, MAX_ANSWER, deadline, place).await?;
        Ok(Response { status: answer.status.as_u16(), body: answer.body })
    }

    fn admit(&self, now: Instant) -> Option<Pass> {
        let mut breaker = self.breaker();
        let pass = breaker.admit(now);
        self.metrics.breaker(&self.name, breaker.standing(), false);
        pass
    }

    fn tell_breaker(&self, pass: Pass, is_answered: bool) {
        let mut breaker = self.breaker();
        let before = breaker.opened();
        breaker.tell(pass, is_answered, clock::monotonic());
        let has_opened = breaker.opened() > before;
        self.metrics.breaker(&self.name, breaker.standing(), has_opened);
        if has_opened {
            tracing::warn!(bidder = %self.name, "a bidder does not answer well: it is not asked for a while");
        }
    }

    /// Has creatives fetched that it bids with and that are not at hand.
    fn want(self: &Arc<Self>, auction: &Auction, offer: &Offer) {
        for (bid, external) in offer.bids.iter().zip(&offer.external) {
            if bid.is_ready || !self.creatives().want(bid.creative, clock::monotonic()) {
                continue;
            }
            let order = Order {
                markup: external.markup.clone(),
                format: bid.format,
                slot_ms: auction.context.duration_ms,
                blocked_categories: self.settings.blocked_categories.clone(),
                mode: if self.settings.lenient { Mode::Lenient } else { Mode::Strict },
                max_bytes: self.max_image,
            };
            let (partner, key, external) = (Arc::clone(self), bid.creative, external.clone());
            let auction = auction_id(auction);
            tokio::spawn(async move { partner.fetch(key, &auction, &external, &order).await });
        }
    }

    /// Fetches a creative for a bid, and tells whom its documents name what could not be shown.
    async fn fetch(&self, key: u64, auction: &str, external: &External, order: &Order) {
        // The semaphore is never closed.
        let _turn = self.state.fetches.acquire().await;
        let Fetched { creative: fetched, refusals } = fetch(&self.links, &*self.intake, order).await;
        let told = self.told(auction);
        let notices = refusals.iter().flat_map(|refusal| told.not_shown(external, refusal));
        notices.for_each(|notice| self.notifier.tell(notice));
        let name = &*external.creative;
        let result = match &fetched {
            Ok(creative) => {
                tracing::info!(bidder = %self.name, creative = name, link = %creative.link, "creative at hand");
                "ready"
            }
            Err(Failure::Refused(why)) => {
                tracing::warn!(bidder = %self.name, creative = name, why, "creative refused");
                "refused"
            }
            Err(Failure::Absent(why)) => {
                tracing::warn!(bidder = %self.name, creative = name, why, "creative not at hand");
                "absent"
            }
        };
        self.metrics.creative(&self.name, result);
        self.creatives().fetched(key, fetched, clock::monotonic());
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.state.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As gzip (RFC 1952); `None` when that fails, which memory does not.
fn compress(body: &[u8]) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::fast());
    encoder.write_all(body).ok()?;
    Some(encoder.finish().ok()?.into())
}
