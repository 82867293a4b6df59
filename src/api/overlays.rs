//! Overlays over HTTP: an image onto a running broadcast, on the exact frame, and off it again.

pub(super) mod form;
mod view;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Multipart, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::Api;
use super::channels::{ErrorBody, Named};
use crate::auth::bearer;
use crate::av::worker::StartError;
use crate::av::worker::ipc::OverlayId;
use crate::http::{ApiError, Json};
use crate::media::ChannelName;
use crate::overlay::slots::{Refusal, Slot};
use crate::overlay::{AskError, Overlays};

pub(super) use form::Form;
use view::{AcceptedView, OverlayView};

/// The overlay of the path.
pub(super) struct Numbered(OverlayId);

impl<S: Send + Sync> FromRequestParts<S> for Numbered {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        // A name that no overlay can have is not there, whatever is wrong with it.
        let id = path.ok().and_then(|Path(id)| id.parse().ok());
        id.map(|id| Self(OverlayId(id))).ok_or_else(missing)
    }
}

/// Burns an image into the channel's programme: for everybody who watches it, over every protocol.
#[utoipa::path(post, path = "/api/v1/channels/{name}/overlays", tag = "overlays", params(("name" = String, Path)),
    security(("admin" = []), ("stream_key" = [])),
    request_body(content = Form, content_type = "multipart/form-data"), responses(
        (status = 202, body = AcceptedView, description = "Taken on: the image is good, a worker gets ready"),
        (status = 400, body = ErrorBody, description = "Not a form"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor this channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
        (status = 409, body = ErrorBody, description = "Not live, or another overlay has that time"),
        (status = 413, body = ErrorBody, description = "The image is too large a file"),
        (status = 422, body = ErrorBody, description = "A value, the image or the broadcast's codec does not do"),
        (status = 429, body = ErrorBody, description = "Too many overlays wait already"),
        (status = 503, body = ErrorBody, description = "No worker, or none that is free"),
    ))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, ApiError> {
    check(&api, &name, &headers)?;
    let channel = api.hub.channel(&name).ok_or_else(no_channel)?;
    let request = form::read(form, api.overlays.max_image()).await?;
    let by_hand = api.sale.as_ref().map(|sale| sale.by_hand(&channel, &request));
    let id = api.overlays.ask(&channel, request).await?;
    if let Some(by_hand) = by_hand {
        by_hand.follow(id);
    }
    let id = id.0.to_string();
    let location = format!("/api/v1/overlays/{id}");
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::ACCEPTED, headers, Json(AcceptedView { id })).into_response())
}

/// What has become of an overlay.
#[utoipa::path(get, path = "/api/v1/overlays/{id}", tag = "overlays", params(("id" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 200, body = OverlayView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no overlay of this name, or it is long over"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Numbered(id): Numbered,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let slot = slot(&api, id, &headers)?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(OverlayView::of(&slot))).into_response())
}

/// Withdraws an overlay; one that is on the air goes with the next frames.
#[utoipa::path(delete, path = "/api/v1/overlays/{id}", tag = "overlays", params(("id" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 202, description = "It will be gone; one that is over stays as it was"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no overlay of this name, or it is long over"),
    ))]
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Numbered(id): Numbered,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    slot(&api, id, &headers)?;
    api.overlays.cancel(id);
    Ok(StatusCode::ACCEPTED)
}

/// The slot, if it is any business of the caller's.
fn slot(api: &Api, id: OverlayId, headers: &HeaderMap) -> Result<Slot, ApiError> {
    let slot = api.overlays.slot(id);
    match &slot {
        Some(slot) => check(api, &slot.asked.channel, headers)?,
        None => check_operator(api, headers)?,
    }
    slot.ok_or_else(missing)
}

/// The operator may, and so may the channel's broadcaster: with the stream key, or signed in to the studio.
pub(super) fn check(api: &Api, channel: &ChannelName, headers: &HeaderMap) -> Result<(), ApiError> {
    let signed_in = api.studio.is_signed_in(channel, headers);
    let broadcasts = bearer(headers).is_some_and(|key| api.directory.opens(key, channel));
    if signed_in || broadcasts { Ok(()) } else { check_operator(api, headers) }
}

/// Whether a request shows the admin token.
pub(super) fn is_operator(api: &Api, headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(|token| api.token.is(token))
}

pub(super) fn check_operator(api: &Api, headers: &HeaderMap) -> Result<(), ApiError> {
    if is_operator(api, headers) {
        return Ok(());
    }
    let message = "send the admin token or the channel's stream key as Authorization: Bearer TOKEN";
    Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
        .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"onair\"")))
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        let message = error.to_string();
        let later = |seconds| Self::unavailable(message.clone()).with_header(RETRY_AFTER, seconds);
        match error {
            AskError::Offline | AskError::Refused(Refusal::Overlaps { .. }) => Self::conflict(message),
            AskError::Refused(Refusal::TooMany { .. }) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message)
            }
            AskError::ImageSize { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
            AskError::Worker(StartError::Absent(_)) => Self::unavailable(message),
            AskError::Worker(_) | AskError::WorkerFailed(_) | AskError::NoMemory => {
                later(HeaderValue::from_static("5"))
            }
            AskError::NoPicture
            | AskError::Codec(_)
            | AskError::TooSmall(_)
            | AskError::Refused(_)
            | AskError::Image(_) => Self::invalid(message),
        }
    }
}

fn missing() -> ApiError {
    ApiError::not_found("there is no overlay of this name")
}

fn no_channel() -> ApiError {
    ApiError::not_found("there is no channel of this name")
}

/// The most bytes that a form may have: an image, and some for what is around it.
pub(super) fn max_form(overlays: &Overlays) -> usize {
    overlays.max_image() + form::AROUND
}
