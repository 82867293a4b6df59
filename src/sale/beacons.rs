//! What pages tell of overlays: `POST /i/TOKEN/EVENT`, and `GET /c/TOKEN`, which leads on to the advertiser.
//!
//! A token is all that a page needs, and it can only speak of one overlay before one session. What does not count is
//! answered in words and counted; nobody is kept from where a click leads.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::config::Config;
use super::server::Sale;
use crate::clock;
use crate::http::{ApiError, ClientAddress, for_everyone};
use crate::impression::{
    Beacons, EventKind, Impression, Invalid, NotTaken, Observation, TokenError, Tokens, Traffic, TrafficRules,
};
use crate::ledger::{AttentionKind, DisplayClass, Event, LedgerError};
use crate::random::mix;

/// Knows tokens, and what was told of them.
pub(super) struct Gate {
    pub tokens: Tokens,
    beacons: Mutex<Beacons>,
    traffic: Mutex<Traffic>,
}

/// Why an event does not count.
#[derive(Debug, thiserror::Error)]
enum Uncounted {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    NotTaken(#[from] NotTaken),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Gate {
    pub fn new(secret: &[u8], config: &Config, rules: &TrafficRules) -> Self {
        let required = u32::try_from(config.display_time.as_millis()).unwrap_or(u32::MAX);
        Self {
            tokens: Tokens::new(secret),
            beacons: Mutex::new(Beacons::new(required)),
            traffic: Mutex::new(Traffic::new(rules.clone())),
        }
    }

    fn beacons(&self) -> MutexGuard<'_, Beacons> {
        self.beacons.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sale {
    /// The routes of events.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/i/{token}/{event}", post(tell))
            .route("/c/{token}", get(click))
            .with_state(self.clone());
        for_everyone(routes)
            .merge(super::pages::router().with_state(self.clone()))
            .merge(super::tracking::router().with_state(self.clone()))
    }

    async fn take(&self, impression: &Impression, kind: EventKind, teller: &Teller) -> Result<(), Uncounted> {
        let gate = &self.inner().gate;
        let at = clock::unix_now();
        let Impression { slot, lot, session, .. } = *impression;
        let Teller { network, user_agent } = teller;
        let observation = Observation { kind, session, network: *network, user_agent, at };
        // In this order: what is told twice is no other traffic.
        gate.beacons().take(impression, kind, at)?;
        let judged = gate.traffic().judge(observation).map_err(Uncounted::from);
        let kept = match (judged, kind) {
            (Ok(()), EventKind::Display) => {
                let event = Event::Display { slot, lot, session, class: DisplayClass::Client };
                self.inner().ledger.submit(event).await.map(drop).map_err(Uncounted::from)
            }
            (judged, _) => judged,
        };
        match (&kept, kind) {
            (Ok(()), EventKind::Attention(kind)) => self.inner().ledger.attend(slot, lot, kind, at),
            (Err(Uncounted::Ledger(LedgerError::Unavailable(_))), _) => {
                gate.beacons().give_back(impression, kind)
            }
            (Err(_), EventKind::Display) => gate.beacons().discount(impression),
            (Ok(()), EventKind::Display) | (Err(_), EventKind::Attention(_)) => {}
        }
        kept
    }

    /// Where a click leads.
    fn click_url(&self, impression: &Impression) -> Option<String> {
        let Impression { slot, lot, creative, .. } = *impression;
        match self.inner().exchange.click_through(slot, lot) {
            Some(link) => Some(link.as_str().to_owned()),
            None => self.inner().bookings.creative_file(creative)?.click_url.clone(),
        }
    }

    fn counted(&self, result: &Result<(), Uncounted>) {
        self.inner().metrics.event(match result {
            Ok(()) => "counted",
            Err(Uncounted::Token(TokenError::Early) | Uncounted::NotTaken(NotTaken::Early)) => "early",
            Err(Uncounted::Token(TokenError::Expired)) => "expired",
            Err(Uncounted::Token(_)) => "forged",
            Err(Uncounted::NotTaken(NotTaken::Repeated)) => "repeated",
            Err(Uncounted::Invalid(_) | Uncounted::NotTaken(NotTaken::Discounted)) => "invalid",
            Err(Uncounted::NotTaken(_)) => "too_many",
            Err(Uncounted::Ledger(_)) => "ledger",
        });
    }
}

/// Who tells something.
struct Teller {
    network: u64,
    user_agent: String,
}

impl Teller {
    fn new(address: ClientAddress, headers: &HeaderMap) -> Self {
        let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Self { network: network(address.0), user_agent: agent.unwrap_or_default().to_owned() }
    }
}

async fn tell(
    State(sale): State<Sale>,
    Path((token, event)): Path<(String, String)>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let kind = EventKind::named(&event).ok_or_else(|| ApiError::not_found("there is no such event"))?;
    let taken = match sale.inner().gate.tokens.verify(&token, clock::unix_now()) {
        Ok(impression) => sale.take(&impression, kind, &Teller::new(address, &headers)).await,
        Err(error) => Err(error.into()),
    };
    sale.counted(&taken);
    match taken {
        // Told again because the first answer was lost: it is there.
        Ok(()) | Err(Uncounted::NotTaken(NotTaken::Repeated)) => {
            Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
        }
        Err(Uncounted::Ledger(error @ LedgerError::Unavailable(_))) => {
            tracing::error!(%error, "a display cannot be charged");
            Err(ApiError::unavailable("it cannot be kept now: try again")
                .with_header(RETRY_AFTER, HeaderValue::from_static("2")))
        }
        Err(Uncounted::NotTaken(error @ NotTaken::TooMany)) => Err(ApiError::unavailable(error.to_string())),
        Err(error) => Err(ApiError::new(StatusCode::FORBIDDEN, "not_counted", error.to_string())),
    }
}

/// Leads to where the advertiser wants clicks to lead, whether this one counts or not.
async fn click(
    State(sale): State<Sale>,
    Path(token): Path<String>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let gone = || ApiError::not_found("this link leads nowhere, or not any more");
    let verified = sale.inner().gate.tokens.verify(&token, clock::unix_now());
    let impression = verified.map_err(|error| {
        sale.counted(&Err(error.into()));
        gone()
    })?;
    let url = sale.click_url(&impression).ok_or_else(gone)?;
    let location = HeaderValue::from_str(&url).map_err(|_| gone())?;
    let taken = sale
        .take(&impression, EventKind::Attention(AttentionKind::Click), &Teller::new(address, &headers))
        .await;
    sale.counted(&taken);
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// A number for the network of an address: what one subscriber or one house has.
fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => mix(u64::from(u32::from(address) >> 8)),
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            mix(1 << 48 | u64::from(a) << 32 | u64::from(b) << 16 | u64::from(c))
        }
    }
}
