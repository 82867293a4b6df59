//! Advertisers over HTTP: make, list, show, change, delete, and change the key.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION, RETRY_AFTER};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::caller::{Booker, Operator};
use super::channels::ErrorBody;
use crate::auth::AccessKey;
use crate::booking::{Advertiser, AdvertiserId, BookingError, BookingStoreError, Thing};
use crate::clock;
use crate::http::{ApiError, Json};
use crate::ledger::{LedgerError, Refusal};

/// The number in a path.
pub(super) struct Number(pub(super) u64);

impl<S: Send + Sync> FromRequestParts<S> for Number {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path: Result<Path<u64>, PathRejection> = Path::from_request_parts(parts, state).await;
        // What has no such number is not there, whatever is wrong with it.
        path.map(|Path(number)| Self(number))
            .map_err(|_| ApiError::not_found("there is nothing of this number"))
    }
}

/// An advertiser to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewAdvertiser {
    /// 1 to 100 characters in one line.
    name: String,
    /// Hosts that clicks may lead to, and all below them; up to 20. Empty for any.
    #[serde(default)]
    domains: BTreeSet<String>,
}

/// What to change of an advertiser.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdvertiserChange {
    /// 1 to 100 characters in one line.
    name: Option<String>,
    /// Hosts that clicks of new creatives may lead to, and all below them; up to 20. Empty for any.
    domains: Option<BTreeSet<String>>,
}

/// Advertisers.
#[derive(Serialize, ToSchema)]
pub(super) struct AdvertiserList {
    /// By number; an advertiser sees only itself.
    advertisers: Vec<AdvertiserView>,
}

/// An advertiser.
#[derive(Serialize, ToSchema)]
pub(super) struct AdvertiserView {
    /// Its number.
    id: u64,
    name: String,
    /// Hosts that clicks may lead to, and all below them; empty for any.
    domains: BTreeSet<String>,
    /// RFC 3339.
    created_at: String,
}

/// An advertiser and its key, which is shown in no other answer.
#[derive(Serialize, ToSchema)]
pub(super) struct AdvertiserKeyView {
    #[serde(flatten)]
    advertiser: AdvertiserView,
    /// What the advertiser shows as bearer token.
    key: String,
}

impl AdvertiserView {
    fn of(advertiser: Advertiser) -> Self {
        let Advertiser { id, name, domains, created_at } = advertiser;
        Self { id: id.0, name, domains, created_at: clock::rfc3339_millis(created_at) }
    }
}

/// Advertisers: all of them for the operator, the own one for an advertiser.
#[utoipa::path(get, path = "/api/v1/advertisers", tag = "advertisers", security(("admin" = []), ("advertiser_key" = [])),
    responses(
        (status = 200, body = AdvertiserList),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
    ))]
pub(super) async fn list(State(api): State<Arc<Api>>, booker: Booker) -> Response {
    let all = api.bookings.advertisers().into_iter();
    let seen = all.filter(|advertiser| booker.may_see(advertiser.id));
    fresh(AdvertiserList { advertisers: seen.map(AdvertiserView::of).collect() })
}

/// Makes an advertiser; the only answer besides a change of key that shows the key.
#[utoipa::path(post, path = "/api/v1/advertisers", tag = "advertisers", security(("admin" = [])),
    request_body = NewAdvertiser, responses(
        (status = 201, body = AdvertiserKeyView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 409, body = ErrorBody, description = "There are as many as there may be"),
        (status = 422, body = ErrorBody, description = "A value is not allowed; the message says what is"),
    ))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    _: Operator,
    Json(new): Json<NewAdvertiser>,
) -> Result<Response, ApiError> {
    let (advertiser, key) = api.bookings.add_advertiser(new.name, new.domains).await?;
    let location = format!("/api/v1/advertisers/{}", advertiser.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], with_key(advertiser, &key)).into_response())
}

/// One advertiser.
#[utoipa::path(get, path = "/api/v1/advertisers/{id}", tag = "advertisers", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 200, body = AdvertiserView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such advertiser, or it is another one"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
) -> Result<Response, ApiError> {
    let advertiser = api.bookings.advertiser(AdvertiserId(id)).filter(|one| booker.may_see(one.id));
    Ok(fresh(AdvertiserView::of(advertiser.ok_or(BookingError::Missing(Thing::Advertiser))?)))
}

/// Changes an advertiser.
#[utoipa::path(patch, path = "/api/v1/advertisers/{id}", tag = "advertisers", params(("id" = u64, Path)),
    security(("admin" = [])), request_body = AdvertiserChange, responses(
        (status = 200, body = AdvertiserView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no such advertiser"),
        (status = 422, body = ErrorBody, description = "A value is not allowed; the message says what is"),
    ))]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    _: Operator,
    Number(id): Number,
    Json(change): Json<AdvertiserChange>,
) -> Result<Response, ApiError> {
    let changed = api.bookings.change_advertiser(AdvertiserId(id), change.name, change.domains).await?;
    Ok(fresh(AdvertiserView::of(changed)))
}

/// Deletes an advertiser who has no campaigns; its key is void.
#[utoipa::path(delete, path = "/api/v1/advertisers/{id}", tag = "advertisers", params(("id" = u64, Path)),
    security(("admin" = [])), responses(
        (status = 204),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no such advertiser"),
        (status = 409, body = ErrorBody, description = "It has campaigns"),
    ))]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    _: Operator,
    Number(id): Number,
) -> Result<StatusCode, ApiError> {
    api.bookings.delete_advertiser(AdvertiserId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the advertiser a new key; the old one is void at once.
#[utoipa::path(post, path = "/api/v1/advertisers/{id}/key", tag = "advertisers", params(("id" = u64, Path)),
    security(("admin" = [])), responses(
        (status = 200, body = AdvertiserKeyView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no such advertiser"),
    ))]
pub(super) async fn rotate_key(
    State(api): State<Arc<Api>>,
    _: Operator,
    Number(id): Number,
) -> Result<Response, ApiError> {
    let key = api.bookings.rotate_key(AdvertiserId(id)).await?;
    let advertiser = api.bookings.advertiser(AdvertiserId(id));
    Ok(with_key(advertiser.ok_or(BookingError::Missing(Thing::Advertiser))?, &key))
}

fn with_key(advertiser: Advertiser, key: &AccessKey) -> Response {
    fresh(AdvertiserKeyView { advertiser: AdvertiserView::of(advertiser), key: key.expose().to_owned() })
}

impl From<BookingError> for ApiError {
    fn from(error: BookingError) -> Self {
        let message = error.to_string();
        match error {
            BookingError::Invalid(_) => Self::invalid(message),
            BookingError::Missing(_) => Self::not_found(message),
            BookingError::TooMany { .. } | BookingError::NoMemory => {
                Self::new(StatusCode::CONFLICT, "too_many", message)
            }
            BookingError::FileSize(_) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message),
            BookingError::HasCampaigns | BookingError::HasMoney | BookingError::Damaged => {
                Self::new(StatusCode::CONFLICT, "conflict", message)
            }
            BookingError::Image(error) => error.into(),
            BookingError::Ledger(error) => error.into(),
            BookingError::Store(BookingStoreError::Missing) => Self::not_found(message),
            BookingError::Store(_) | BookingError::Random(_) | BookingError::Broken(_) => {
                tracing::error!(%error, "a booking could not be changed");
                Self::internal()
            }
        }
    }
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        let message = error.to_string();
        match error {
            LedgerError::Refused(Refusal::OutOfOrder | Refusal::Insufficient) => Self::conflict(message),
            LedgerError::Refused(_) => Self::invalid(message),
            LedgerError::Unavailable(_) => {
                tracing::error!(%error, "the ledger does not answer");
                let message = "the ledger cannot keep anything at the moment: ask again";
                Self::unavailable(message).with_header(RETRY_AFTER, HeaderValue::from_static("5"))
            }
        }
    }
}

/// An answer that no cache may keep: it depends on the moment and on who asks.
pub(super) fn fresh(body: impl Serialize) -> Response {
    ([(CACHE_CONTROL, "private, no-store")], Json(body)).into_response()
}
