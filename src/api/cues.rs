//! Cues over HTTP: the operator and the channel's broadcaster open slots, change and withdraw them, and see what came of
//! each.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::channels::{ErrorBody, Named};
use super::overlays::{check, check_operator, is_operator};
use crate::cue::{Proposal, Refused, SlotChange};
use crate::http::{ApiError, Json};
use crate::media::{CueId, CueOrigin, MediaTime, OverlayFormat};
use crate::sale::{AskError, ChannelSettings, CueNumber, CueRecord, Sale};

/// Cues that are listed at once.
const PAGE: u32 = 100;
/// The longest hold-off.
const MAX_HOLD_OFF_SECONDS: u64 = 24 * 3600;

/// A slot to be.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NewCue {
    /// What the slot is to be called in the broadcast: a repetition with the same id opens no other one.
    id: Option<String>,
    /// How the overlay and the picture share the screen; as the channel does it when left out.
    format: Option<OverlayFormat>,
    /// How long it lasts, in milliseconds; as long as the channel's slots do when left out.
    duration_ms: Option<u32>,
    /// When it begins, in nanoseconds of media time; as soon as possible when left out.
    start_ns: Option<i64>,
}

/// What is to change about a slot; what is left out stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CueChange {
    /// Only before it has begun.
    format: Option<OverlayFormat>,
    /// In milliseconds; also while it runs. What is sold, or is about to be, ends earlier and never later.
    duration_ms: Option<u32>,
    /// In nanoseconds of media time; only before it has begun.
    start_ns: Option<i64>,
}

/// A slot that was opened.
#[derive(Serialize, ToSchema)]
pub(super) struct OpenedView {
    /// Its name, for `/api/v1/cues/ID`.
    id: String,
}

/// Cues of a channel, the newest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CueList {
    /// Without their traces.
    #[schema(value_type = Vec<Object>)]
    cues: Vec<CueRecord>,
}

/// Which cues.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    /// Only those before this one.
    before: Option<String>,
}

/// For how long no slot is to begin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldOff {
    /// 0 ends it.
    seconds: u64,
}

/// The cue of the path.
pub(super) struct Numbered(CueNumber);

impl<S: Send + Sync> FromRequestParts<S> for Numbered {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        // A name that no cue can have is not there, whatever is wrong with it.
        let id = path.ok().and_then(|Path(id)| id.parse().ok());
        id.map(|id| Self(CueNumber(id))).ok_or_else(|| AskError::Missing.into())
    }
}

/// Opens a slot, at which an overlay is sold and shown.
#[utoipa::path(post, path = "/api/v1/channels/{name}/cues", tag = "cues", params(("name" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), request_body = NewCue, responses(
        (status = 202, body = OpenedView, description = "Opened: what comes of it is at /api/v1/cues/ID"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor this channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
        (status = 409, body = ErrorBody, description = "Not live, held off, or another slot has that time or that id"),
        (status = 422, body = ErrorBody, description = "A value is not allowed, or the slot comes too late"),
        (status = 429, body = ErrorBody, description = "The broadcaster has opened as many slots as he may in an hour"),
        (status = 503, body = ErrorBody, description = "Nothing is sold here"),
    ))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
    Json(cue): Json<NewCue>,
) -> Result<Response, ApiError> {
    check(&api, &name, &headers)?;
    if api.hub.channel(&name).is_none() {
        return Err(ApiError::not_found("there is no channel of this name"));
    }
    let origin = if is_operator(&api, &headers) { CueOrigin::Api } else { CueOrigin::Studio };
    let proposal = Proposal {
        id: cue.id.as_deref().map(CueId::new),
        start: cue.start_ns.map(MediaTime::from_nanos),
        duration: cue.duration_ms.map(|millis| MediaTime::from_millis(millis.into())),
        format: cue.format,
        origin,
    };
    let id = sale(&api)?.propose(&name, proposal).await?.to_string();
    let location = format!("/api/v1/cues/{id}");
    let headers = [(LOCATION, location), (CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::ACCEPTED, headers, Json(OpenedView { id })).into_response())
}

/// A channel's cues, the newest first, without their traces.
#[utoipa::path(get, path = "/api/v1/channels/{name}/cues", tag = "cues", params(("name" = String, Path), Before),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 200, body = CueList),
        (status = 401, body = ErrorBody, description = "Neither the operator nor this channel's broadcaster"),
    ))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
    Query(before): Query<Before>,
) -> Result<Response, ApiError> {
    check(&api, &name, &headers)?;
    let before = before.before.map(|id| id.parse().map(CueNumber)).transpose();
    let before = before.map_err(|_| ApiError::invalid("before: the id of a cue"))?;
    let mut cues = sale(&api)?.cues(&name, before, PAGE).await?;
    cues.iter_mut().for_each(|cue| cue.traces.clear());
    Ok(fresh(Json(CueList { cues })))
}

/// A cue: how far it has come, whom it was sold to and why to nobody else, what was shown, what it cost.
#[utoipa::path(get, path = "/api/v1/cues/{id}", tag = "cues", params(("id" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 200, body = Object, description = "The cue with the traces of its auctions; docs/sale.md has every field"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no cue of this name"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Numbered(id): Numbered,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let mut cue = find(&api, id, &headers).await?;
    if !is_operator(&api, &headers) {
        // What others bid is no business of the broadcaster's.
        cue.traces.clear();
    }
    Ok(fresh(Json(cue)))
}

/// Changes a slot.
#[utoipa::path(patch, path = "/api/v1/cues/{id}", tag = "cues", params(("id" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), request_body = CueChange, responses(
        (status = 204, description = "Changed"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no cue of this name"),
        (status = 409, body = ErrorBody,
            description = "It has begun or is over, is sold and would end later, or another slot has that time"),
        (status = 422, body = ErrorBody, description = "A value is not allowed"),
    ))]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Numbered(id): Numbered,
    headers: HeaderMap,
    Json(change): Json<CueChange>,
) -> Result<StatusCode, ApiError> {
    find(&api, id, &headers).await?;
    let change = SlotChange {
        start: change.start_ns.map(MediaTime::from_nanos),
        duration: change.duration_ms.map(|millis| MediaTime::from_millis(millis.into())),
        format: change.format,
    };
    sale(&api)?.update(id, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Withdraws a slot; one that is on ends with the next frames.
#[utoipa::path(delete, path = "/api/v1/cues/{id}", tag = "cues", params(("id" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 204, description = "Withdrawn"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no cue of this name"),
        (status = 409, body = ErrorBody, description = "It is over"),
    ))]
pub(super) async fn cancel(
    State(api): State<Arc<Api>>,
    Numbered(id): Numbered,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    find(&api, id, &headers).await?;
    sale(&api)?.cancel(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The broadcaster forbids a slot: it is withdrawn, and the stream does not bring it back.
#[utoipa::path(post, path = "/api/v1/cues/{id}/veto", tag = "cues", params(("id" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), responses(
        (status = 204, description = "Forbidden"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor the channel's broadcaster"),
        (status = 404, body = ErrorBody, description = "There is no cue of this name"),
        (status = 409, body = ErrorBody, description = "It is over"),
    ))]
pub(super) async fn veto(
    State(api): State<Arc<Api>>,
    Numbered(id): Numbered,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    find(&api, id, &headers).await?;
    sale(&api)?.veto(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// No slot is to begin for a while: nothing covers the decisive moment.
#[utoipa::path(put, path = "/api/v1/channels/{name}/hold-off", tag = "cues", params(("name" = String, Path)),
    security(("admin" = []), ("stream_key" = [])), request_body = HoldOff, responses(
        (status = 204, description = "Held off; slots that were to begin in that time are forbidden"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor this channel's broadcaster"),
        (status = 409, body = ErrorBody, description = "Not live"),
        (status = 422, body = ErrorBody, description = "Longer than a day"),
    ))]
pub(super) async fn hold_off(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
    Json(HoldOff { seconds }): Json<HoldOff>,
) -> Result<StatusCode, ApiError> {
    check(&api, &name, &headers)?;
    if seconds > MAX_HOLD_OFF_SECONDS {
        return Err(ApiError::invalid(format!("seconds: 0 to {MAX_HOLD_OFF_SECONDS}")));
    }
    sale(&api)?.hold_off(&name, Duration::from_secs(seconds)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is set for a channel's slots: who may open them, what the channel is about, what is not shown there.
#[utoipa::path(get, path = "/api/v1/channels/{name}/sale", tag = "cues", params(("name" = String, Path)),
    security(("admin" = [])), responses(
        (status = 200, body = Object, description = "docs/sale.md has every field"),
        (status = 401, body = ErrorBody, description = "Not the operator"),
    ))]
pub(super) async fn settings(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    check_operator(&api, &headers)?;
    Ok(fresh(Json(&*sale(&api)?.settings(&name))))
}

/// Sets that, all of it. Who may open slots holds from the next broadcast on, the rest from the next slot on.
#[utoipa::path(put, path = "/api/v1/channels/{name}/sale", tag = "cues", params(("name" = String, Path)),
    security(("admin" = [])), request_body = Object, responses(
        (status = 204, description = "Set"),
        (status = 401, body = ErrorBody, description = "Not the operator"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
        (status = 422, body = ErrorBody, description = "A value is not allowed; the message says what is"),
    ))]
pub(super) async fn set(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
    Json(settings): Json<ChannelSettings>,
) -> Result<StatusCode, ApiError> {
    check_operator(&api, &headers)?;
    if api.directory.channel(&name).is_none() {
        return Err(ApiError::not_found("there is no channel of this name"));
    }
    if let Some((field, reason)) = settings.problems().into_iter().next() {
        return Err(ApiError::invalid(format!("{field}: {reason}")));
    }
    sale(&api)?.set(&name, settings).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn sale(api: &Api) -> Result<&Sale, ApiError> {
    api.sale.as_ref().ok_or_else(|| ApiError::unavailable("nothing is sold here: sale.enabled is false"))
}

/// The cue, if it is any business of the caller's.
async fn find(api: &Api, id: CueNumber, headers: &HeaderMap) -> Result<CueRecord, ApiError> {
    let cue = sale(api)?.cue(id).await?;
    match &cue {
        Some(cue) => check(api, &cue.channel, headers)?,
        None => check_operator(api, headers)?,
    }
    cue.ok_or_else(|| AskError::Missing.into())
}

fn fresh(body: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-store")], body).into_response()
}

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        let message = error.to_string();
        match error {
            AskError::Missing => Self::not_found(message),
            AskError::Busy => {
                Self::unavailable(message).with_header(RETRY_AFTER, HeaderValue::from_static("1"))
            }
            AskError::Refused(
                Refused::Offline
                | Refused::Overlap
                | Refused::HeldOff
                | Refused::Vetoed
                | Refused::Unknown
                | Refused::Begun
                | Refused::Sold
                | Refused::Conflict,
            ) => Self::conflict(message),
            AskError::Refused(Refused::OverBudget | Refused::TooMany) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message)
                    .with_header(RETRY_AFTER, HeaderValue::from_static("60"))
            }
            AskError::Refused(_) => Self::invalid(message),
            AskError::Store(error) => {
                tracing::error!(%error, "the sale's store failed");
                Self::internal()
            }
        }
    }
}
