//! Channels over HTTP: make, list, show, rename, delete, and change the key.

mod directory;
mod store;
mod view;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, LOCATION};
use http::request::Parts;
use serde::Deserialize;
use utoipa::ToSchema;

use super::caller::{Caller, Operator};
use super::{Api, Here};
use crate::http::{ApiError, Json};
use crate::media::ChannelName;

pub use directory::{Directory, DirectoryError, Record};
pub use store::{ChannelStore, ChannelStoreError, SqliteChannels, StoredChannel};
pub(super) use view::ErrorBody;
use view::{ChannelList, ChannelView, KeyView};

/// The longest title, in characters.
const MAX_TITLE_LEN: usize = 200;

/// A channel to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChannel {
    /// 2 to 63 characters a-z, 0-9 and '-', not beginning with '-'; some words are reserved.
    name: String,
    /// What viewers read: up to 200 characters; the name if it is left out.
    title: Option<String>,
}

/// What to change of a channel.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelChange {
    /// What viewers read: 1 to 200 characters.
    title: Option<String>,
}

/// The channel of the path.
pub(super) struct Named(pub(super) ChannelName);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        // A name that no channel can have is not there, whatever is wrong with it.
        path.ok().and_then(|Path(name)| name.parse().ok()).map(Self).ok_or_else(missing)
    }
}

/// Channels: those on the air, or all of them for the operator.
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", security((), ("admin" = [])), responses(
    (status = 200, body = ChannelList),
    (status = 401, body = ErrorBody, description = "A wrong token"),
))]
pub(super) async fn list(State(api): State<Arc<Api>>, caller: Caller, here: Here) -> Response {
    let channels = api.directory.channels().into_iter();
    let shown = channels.filter(|channel| caller == Caller::Operator || on_air(&api, &channel.name));
    let channels = shown.map(|channel| ChannelView::of(&api, channel, caller, &here)).collect();
    fresh(Json(ChannelList { channels }))
}

/// Makes a channel; the only answer besides a change of key that shows the stream key.
#[utoipa::path(post, path = "/api/v1/channels", tag = "channels", security(("admin" = [])), request_body = NewChannel,
    responses(
        (status = 201, body = KeyView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 409, body = ErrorBody, description = "There is a channel of this name"),
        (status = 422, body = ErrorBody, description = "A value is not allowed; the message says what is"),
    ))]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    _: Operator,
    here: Here,
    Json(new): Json<NewChannel>,
) -> Result<Response, ApiError> {
    let name: ChannelName = new.name.parse().map_err(|error| ApiError::invalid(format!("name: {error}")))?;
    let title = match new.title {
        Some(title) => checked_title(&title)?,
        None => name.as_str().to_owned(),
    };
    let key = api.directory.create(name.clone(), title.clone()).await?;
    let location = format!("/api/v1/channels/{name}");
    let view = KeyView::of(&api, &name, title, &key, &here);
    Ok((StatusCode::CREATED, [(LOCATION, location)], fresh(Json(view))).into_response())
}

/// One channel, live or not.
#[utoipa::path(get, path = "/api/v1/channels/{name}", tag = "channels", params(("name" = String, Path)),
    security((), ("admin" = [])), responses(
        (status = 200, body = ChannelView),
        (status = 401, body = ErrorBody, description = "A wrong token"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    caller: Caller,
    here: Here,
    Named(name): Named,
) -> Result<Response, ApiError> {
    let channel = api.directory.channel(&name).ok_or_else(missing)?;
    Ok(fresh(Json(ChannelView::of(&api, channel, caller, &here))))
}

/// Changes what viewers read.
#[utoipa::path(patch, path = "/api/v1/channels/{name}", tag = "channels", params(("name" = String, Path)),
    security(("admin" = [])), request_body = ChannelChange, responses(
        (status = 200, body = ChannelView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
        (status = 422, body = ErrorBody, description = "A value is not allowed; the message says what is"),
    ))]
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    _: Operator,
    here: Here,
    Named(name): Named,
    Json(change): Json<ChannelChange>,
) -> Result<Response, ApiError> {
    if let Some(title) = change.title {
        api.directory.set_title(name.clone(), checked_title(&title)?).await?;
    }
    let channel = api.directory.channel(&name).ok_or_else(missing)?;
    Ok(fresh(Json(ChannelView::of(&api, channel, Caller::Operator, &here))))
}

/// Deletes a channel: its key is void, its broadcast ends.
#[utoipa::path(delete, path = "/api/v1/channels/{name}", tag = "channels", params(("name" = String, Path)),
    security(("admin" = [])), responses(
        (status = 204),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
    ))]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    _: Operator,
    Named(name): Named,
) -> Result<StatusCode, ApiError> {
    api.directory.delete(name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the channel a new stream key; the old one is void at once and its publisher is sent away.
#[utoipa::path(post, path = "/api/v1/channels/{name}/key", tag = "channels", params(("name" = String, Path)),
    security(("admin" = [])), responses(
        (status = 200, body = KeyView),
        (status = 401, body = ErrorBody, description = "No token, or a wrong one"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
    ))]
pub(super) async fn rotate_key(
    State(api): State<Arc<Api>>,
    _: Operator,
    here: Here,
    Named(name): Named,
) -> Result<Response, ApiError> {
    let key = api.directory.rotate_key(name.clone()).await?;
    let channel = api.directory.channel(&name).ok_or_else(missing)?;
    Ok(fresh(Json(KeyView::of(&api, &name, channel.title, &key, &here))))
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Store(ChannelStoreError::Exists) => {
                Self::conflict("there is a channel of this name")
            }
            DirectoryError::Store(ChannelStoreError::Missing) => missing(),
            error => {
                tracing::error!(%error, "a channel could not be changed");
                Self::internal()
            }
        }
    }
}

/// Without spaces around it, in one line, of a length that fits on a page.
fn checked_title(title: &str) -> Result<String, ApiError> {
    let title = title.trim();
    let length = title.chars().count();
    if !(1..=MAX_TITLE_LEN).contains(&length) || title.chars().any(char::is_control) {
        let message =
            format!("title: 1 to {MAX_TITLE_LEN} characters in one line, without control characters");
        return Err(ApiError::invalid(message));
    }
    Ok(title.to_owned())
}

fn on_air(api: &Api, name: &ChannelName) -> bool {
    api.hub.channel(name).is_some_and(|channel| channel.is_live())
}

fn missing() -> ApiError {
    ApiError::not_found("there is no channel of this name")
}

/// An answer that no cache may keep: it depends on the moment and on who asks.
fn fresh(body: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "private, no-store")], body).into_response()
}
