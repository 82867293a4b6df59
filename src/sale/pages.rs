//! The routes of pages that draw overlays themselves: `/events/CHANNEL`, and images that came from bidders outside.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use aws_lc_rs::rand;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, StatusCode};
use http_body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::config::Delivery;
use super::guided::{BEHIND, Seat, Told};
use super::server::Sale;
use crate::av::worker::ipc::OverlayId;
use crate::booking::creative::MediaType;
use crate::http::{ApiError, ClientAddress, ClientPlace, Streaming, for_everyone};
use crate::hub::Channel;
use crate::ledger::{CampaignId, SessionId};
use crate::media::{About, ChannelName, Cohort};

/// How often a line goes over a connection that has nothing to say, so that nothing on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a page says of its viewer and of itself.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(flatten)]
    about: About,
    /// Its word of before, when it comes back.
    session: Option<String>,
}

/// The routes.
pub(super) fn router() -> Router<Sale> {
    for_everyone(
        Router::new()
            .route("/events/{channel}", get(follow).head(is_there))
            .route("/creatives/{bidder}/{number}", get(image))
            .route("/overlays/{id}/image", get(notice)),
    )
}

async fn follow(
    State(sale): State<Sale>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    Extension(address): Extension<ClientAddress>,
    place: ClientPlace,
) -> Result<Response, ApiError> {
    let channel = channel_of(&sale, &name)?;
    let known = asked.session.as_deref().and_then(|word| sale.inner().pages.verify(word, channel.name()));
    let session = match known {
        Some(session) => session,
        None => new_session()?,
    };
    let (sender, events) = mpsc::channel(BEHIND);
    let cohort = asked.about.cohort(sale.inner().countries.of(place));
    let seat = seated(&sale, channel.name(), session, cohort, address, sender)?;
    let word = sale.inner().pages.sign(session, channel.name());
    let delivery = if seat.is_some() { "guided" } else { "program" };
    let first = event("session", &json!({ "token": word, "delivery": delivery }));
    let mut keep_alive = interval(KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let life = sale.inner().life.clone();
    let draining = Box::pin(async move { life.draining().await });
    let body = Events { first: Some(first), events, keep_alive, draining, _seat: seat };
    let headers = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    Ok((headers, Extension(Streaming), Body::new(body)).into_response())
}

/// Whether there is anything to follow, for a page that wants to know why it could not.
async fn is_there(State(sale): State<Sale>, Path(name): Path<String>) -> Result<StatusCode, ApiError> {
    channel_of(&sale, &name).map(|_| StatusCode::OK)
}

pub(super) fn channel_of(sale: &Sale, name: &str) -> Result<Arc<Channel>, ApiError> {
    let channel = name.parse::<ChannelName>().ok().and_then(|name| sale.inner().hub.channel(&name));
    channel.ok_or_else(|| ApiError::not_found("there is no such channel"))
}

/// A number that nobody guesses.
pub(super) fn new_session() -> Result<u64, ApiError> {
    let mut id = [0; 8];
    rand::fill(&mut id).map_err(|_| ApiError::internal())?;
    Ok(u64::from_be_bytes(id))
}

/// There is no place now, and may be soon.
pub(super) fn full(why: &'static str) -> ApiError {
    ApiError::unavailable(why).with_header(RETRY_AFTER, HeaderValue::from_static("10"))
}

/// Seats a page where pages draw overlays themselves; elsewhere there are no seats.
pub(super) fn seated(
    sale: &Sale,
    channel: &ChannelName,
    session: u64,
    cohort: Cohort,
    address: ClientAddress,
    events: mpsc::Sender<Told>,
) -> Result<Option<Seat>, ApiError> {
    if sale.settings(channel).delivery == Delivery::Burned {
        return Ok(None);
    }
    let seat = sale.seat(channel, SessionId(session), cohort, address, events);
    seat.map(Some).ok_or_else(|| full("as many pages follow as may, in all or from this address"))
}

/// The image of a bidder's creative: a worker has decoded it, and it is kept for as long as it may be shown.
async fn image(
    State(sale): State<Sale>,
    Path((bidder, number)): Path<(u64, u64)>,
) -> Result<Response, ApiError> {
    let creative = sale.inner().exchange.creative(CampaignId(bidder), number);
    let creative = creative.ok_or_else(no_image)?;
    Ok(answer(creative.media_type(), creative.file.clone()))
}

/// The image of an overlay that is burned in by hand.
async fn notice(State(sale): State<Sale>, Path(id): Path<u64>) -> Result<Response, ApiError> {
    let file = sale.inner().guided.notice_file(OverlayId(id)).ok_or_else(no_image)?;
    Ok(answer(MediaType::of(&file), file))
}

fn no_image() -> ApiError {
    ApiError::not_found("there is no such image, or not any more")
}

/// An image, which never changes.
fn answer(media_type: MediaType, file: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, media_type.as_str()),
        (CACHE_CONTROL, "public, max-age=86400, immutable"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Opened by itself, a drawing must not be a page of this origin.
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ];
    (headers, file).into_response()
}

/// What a page is told, as it goes over its line.
fn written(told: &Told) -> Bytes {
    match told {
        Told::Placed(placement) => event("placement", placement),
        Told::Withdrawn(id) => event("withdraw", &json!({ "id": id })),
    }
}

/// A server-sent event.
fn event(name: &str, data: &impl Serialize) -> Bytes {
    // Plain fields: they can always be written.
    let data = serde_json::to_string(data).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

/// A body that follows what a page is told, until the page leaves, falls behind, or the server ends.
struct Events {
    first: Option<Bytes>,
    events: mpsc::Receiver<Told>,
    keep_alive: Interval,
    draining: Pin<Box<dyn Future<Output = ()> + Send>>,
    _seat: Option<Seat>,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Poll::Ready(event) = self.events.poll_recv(context)
            && let Some(told) = event
        {
            return Poll::Ready(Some(Ok(Frame::data(written(&told)))));
        }
        // A page that was let go is told nothing more; one that draws nothing stays.
        if self._seat.is_some() && self.events.is_closed() || self.draining.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(None);
        }
        match self.keep_alive.poll_tick(context) {
            Poll::Ready(_) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b":\n\n"))))),
            Poll::Pending => Poll::Pending,
        }
    }
}
