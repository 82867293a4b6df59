//! Creatives over HTTP: upload, show, approve, reject, delete.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Multipart, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::advertisers::{Number, fresh};
use super::caller::{Booker, Operator, booker};
use super::campaigns::booking;
use super::channels::ErrorBody;
use super::overlays::form;
use crate::auction::campaign::Approval;
use crate::booking::{BookingError, Bookings, Creative, Thing, Upload, rules};
use crate::clock;
use crate::http::{ApiError, Json};
use crate::ledger::CampaignId;
use crate::media::OverlayFormat;

/// What a form may have beside the image, in bytes.
const AROUND: usize = 32 << 10;
/// Creatives that are listed at once.
const PAGE: usize = 100;
/// The longest text of all categories together, in bytes.
const MAX_CATEGORIES: usize = rules::MAX_WORDS * rules::MAX_WORD * 4;

/// A creative to be added.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes the form, which is read field by field")]
pub(super) struct CreativeForm {
    /// PNG, APNG, JPEG, WebP, GIF or SVG, of up to `booking.creative_bytes`.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    format: OverlayFormat,
    /// Where a click leads: http:// or https://, at one of the advertiser's domains if there are any.
    click_url: Option<String>,
    /// What it is about, separated by commas.
    categories: Option<String>,
}

/// Why a creative is not to be shown.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rejection {
    /// 1 to 500 characters in one line.
    reason: String,
}

/// A creative.
#[derive(Serialize, ToSchema)]
pub(super) struct CreativeView {
    /// Its number.
    id: u64,
    /// The campaign's.
    campaign: u64,
    format: OverlayFormat,
    /// `pending`, `approved` or `rejected`.
    #[schema(value_type = String)]
    state: Approval,
    /// Why it was rejected.
    reason: Option<String>,
    /// Whether its file is at hand; with the state `approved` it may bid.
    ready: bool,
    /// What kind of file it is.
    media_type: &'static str,
    /// The file's length.
    bytes: usize,
    /// Of the file, in hexadecimal.
    sha256: String,
    /// Pixels, as it is drawn in a picture of 1920 × 1080.
    width: u32,
    /// Pixels.
    height: u32,
    /// More than one if it is animated.
    frames: usize,
    /// How long the animation takes.
    duration_ms: u64,
    /// Where a click leads.
    click_url: Option<String>,
    #[schema(value_type = Vec<String>)]
    categories: BTreeSet<Arc<str>>,
    /// Where the image is; for everybody once it is approved.
    image: String,
    /// RFC 3339.
    created_at: String,
}

impl CreativeView {
    pub(super) fn of(creative: &Creative) -> Self {
        Self {
            id: creative.id,
            campaign: creative.campaign.0,
            format: creative.format,
            state: creative.approval,
            reason: creative.reason.clone(),
            ready: creative.is_ready,
            media_type: creative.media_type.as_str(),
            bytes: creative.bytes,
            sha256: creative.hash.to_string(),
            width: creative.look.width,
            height: creative.look.height,
            frames: creative.look.frames,
            duration_ms: creative.look.duration_ms,
            click_url: creative.click_url.clone(),
            categories: creative.categories.clone(),
            image: format!("/api/v1/creatives/{}/image", creative.id),
            created_at: clock::rfc3339_millis(creative.created_at),
        }
    }
}

/// Adds a creative to a campaign. A worker decodes it first: what comes back can be shown at once, and bids when it is approved.
#[utoipa::path(post, path = "/api/v1/campaigns/{id}/creatives", tag = "creatives", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])),
    request_body(content = CreativeForm, content_type = "multipart/form-data"), responses(
        (status = 201, body = CreativeView),
        (status = 400, body = ErrorBody, description = "Not a form"),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such campaign, or it is another advertiser's"),
        (status = 409, body = ErrorBody, description = "There are as many as there may be"),
        (status = 413, body = ErrorBody, description = "The image is too large a file"),
        (status = 422, body = ErrorBody, description = "A value or the image does not do; the message says why"),
        (status = 503, body = ErrorBody, description = "No worker, or none that is free"),
    ))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
    form: Multipart,
) -> Result<Response, ApiError> {
    let id = booking(&api, booker, CampaignId(id))?.id();
    let upload = read(form, api.bookings.config().creative_bytes, booker).await?;
    let creative = api.bookings.add_creative(id, upload).await?;
    let location = format!("/api/v1/creatives/{}", creative.id);
    Ok((StatusCode::CREATED, [(LOCATION, location)], fresh(CreativeView::of(&creative))).into_response())
}

/// Creatives, the oldest first.
#[derive(Serialize, ToSchema)]
pub(super) struct CreativeList {
    creatives: Vec<CreativeView>,
}

/// Which creatives.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// `pending`, `approved` or `rejected`; all of them when left out.
    #[param(value_type = Option<String>)]
    state: Option<Approval>,
    /// Only those after this one.
    after: Option<u64>,
}

/// The creatives of all campaigns, the oldest first, a hundred at a time: those that are `pending` wait to be allowed.
#[utoipa::path(get, path = "/api/v1/creatives", tag = "creatives", params(Which),
    security(("admin" = [])), responses(
        (status = 200, body = CreativeList),
        (status = 400, body = ErrorBody, description = "There is no such state"),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
    ))]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    _: Operator,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(which) = which.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let creatives = api.bookings.creatives(which.state, which.after, PAGE);
    Ok(fresh(CreativeList { creatives: creatives.iter().map(CreativeView::of).collect() }))
}

/// One creative.
#[utoipa::path(get, path = "/api/v1/creatives/{id}", tag = "creatives", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 200, body = CreativeView),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such creative, or it is another advertiser's"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
) -> Result<Response, ApiError> {
    Ok(fresh(CreativeView::of(&creative(&api, booker, id)?)))
}

/// Deletes a creative. Where it is on the air, it stays until its slot is over.
#[utoipa::path(delete, path = "/api/v1/creatives/{id}", tag = "creatives", params(("id" = u64, Path)),
    security(("admin" = []), ("advertiser_key" = [])), responses(
        (status = 204),
        (status = 401, body = ErrorBody, description = "Neither the operator nor an advertiser"),
        (status = 404, body = ErrorBody, description = "There is no such creative, or it is another advertiser's"),
    ))]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    booker: Booker,
    Number(id): Number,
) -> Result<StatusCode, ApiError> {
    let id = creative(&api, booker, id)?.id;
    api.bookings.delete_creative(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The image file: for everybody once the creative is approved, before that for the operator and its advertiser.
#[utoipa::path(get, path = "/api/v1/creatives/{id}/image", tag = "creatives", params(("id" = u64, Path)),
    security((), ("admin" = []), ("advertiser_key" = [])), responses(
        (status = 200, description = "The file, as it was uploaded", content_type = "image/*"),
        (status = 304, description = "It is what `If-None-Match` names"),
        (status = 404, body = ErrorBody, description = "There is no such creative, or it is none of the caller's business"),
    ))]
pub(super) async fn image(
    State(api): State<Arc<Api>>,
    Number(id): Number,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let missing = || ApiError::from(BookingError::Missing(Thing::Creative));
    let shown = api.bookings.creative(id).ok_or_else(missing)?;
    let is_public = shown.approval == Approval::Approved;
    if !is_public {
        creative(&api, booker(&api, &headers).ok_or_else(missing)?, id)?;
    }
    let file = api.bookings.creative_file(id).ok_or_else(missing)?;
    let tag = format!("\"{}\"", file.hash);
    // A creative may be rejected after all.
    let caching = if is_public { "public, max-age=300" } else { "private, no-store" };
    let about = [(CACHE_CONTROL, caching.to_owned()), (ETAG, tag.clone())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    // An SVG is a document with scripts, if it is opened as one.
    let harmless = [
        (CONTENT_TYPE, HeaderValue::from_static(file.media_type.as_str())),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox"),
        ),
    ];
    Ok((about, harmless, file.bytes.clone()).into_response())
}

/// Allows a creative to be shown.
#[utoipa::path(post, path = "/api/v1/creatives/{id}/approve", tag = "creatives", params(("id" = u64, Path)),
    security(("admin" = [])), responses(
        (status = 200, body = CreativeView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no such creative"),
        (status = 409, body = ErrorBody, description = "Its file is damaged"),
    ))]
pub(super) async fn approve(
    State(api): State<Arc<Api>>,
    _: Operator,
    Number(id): Number,
) -> Result<Response, ApiError> {
    Ok(fresh(CreativeView::of(&api.bookings.approve(id).await?)))
}

/// Forbids a creative to be shown; one that is on the air stays until its slot is over.
#[utoipa::path(post, path = "/api/v1/creatives/{id}/reject", tag = "creatives", params(("id" = u64, Path)),
    security(("admin" = [])), request_body = Rejection, responses(
        (status = 200, body = CreativeView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no such creative"),
        (status = 422, body = ErrorBody, description = "No reason"),
    ))]
pub(super) async fn reject(
    State(api): State<Arc<Api>>,
    _: Operator,
    Number(id): Number,
    Json(rejection): Json<Rejection>,
) -> Result<Response, ApiError> {
    Ok(fresh(CreativeView::of(&api.bookings.reject(id, &rejection.reason).await?)))
}

/// The most bytes that a form may have: an image, and some for what is around it.
pub(super) fn max_form(bookings: &Bookings) -> usize {
    bookings.config().creative_bytes + AROUND
}

/// The creative, if it is any business of the caller's.
fn creative(api: &Api, booker: Booker, id: u64) -> Result<Creative, BookingError> {
    let missing = || BookingError::Missing(Thing::Creative);
    let creative = api.bookings.creative(id).ok_or_else(missing)?;
    booking(api, booker, creative.campaign).map_err(|_| missing())?;
    Ok(creative)
}

async fn read(mut form: Multipart, max_image: usize, booker: Booker) -> Result<Upload, ApiError> {
    let (mut file, mut format, mut click_url, mut categories) = (None, None, None, BTreeSet::new());
    while let Some(mut field) = form.next_field().await.map_err(form::unreadable)? {
        match field.name().unwrap_or_default() {
            "image" => file = Some(form::bytes(&mut field, max_image).await?),
            "format" => format = Some(form::parse_format(&form::text(&mut field, rules::MAX_WORD).await?)?),
            "click_url" => click_url = Some(form::text(&mut field, rules::MAX_URL).await?),
            "categories" => {
                let text = form::text(&mut field, MAX_CATEGORIES).await?;
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                categories = words.map(Arc::from).collect();
            }
            _ => return Err(ApiError::invalid("the fields are image, format, click_url and categories")),
        }
    }
    Ok(Upload {
        file: file.ok_or_else(|| form::lacks("image: the file"))?,
        format: format.ok_or_else(|| form::lacks(form::FORMATS))?,
        click_url: click_url.filter(|url| !url.is_empty()),
        categories,
        by_operator: booker.is_operator(),
    })
}
