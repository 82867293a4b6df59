//! Signing a broadcaster in to a channel's studio: the stream key is shown once, a cookie stands for it afterwards.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::channels::ErrorBody;
use super::channels::Named;
use crate::auth::{Studio, bearer};
use crate::http::{ApiError, Connection, Json};

/// The channel whose studio somebody is signed in to.
#[derive(Serialize, ToSchema)]
pub(super) struct StudioView {
    /// The channel's name.
    channel: String,
    /// What viewers read.
    title: String,
}

fn refused(message: &'static str) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

/// Whose studio the browser is signed in to.
#[utoipa::path(get, path = "/api/v1/channels/{name}/studio", tag = "studio", params(("name" = String, Path)),
    responses(
        (status = 200, body = StudioView),
        (status = 401, body = ErrorBody, description = "Not signed in"),
        (status = 404, body = ErrorBody, description = "There is no channel of this name"),
    ))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Named(name): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let channel =
        api.directory.channel(&name).ok_or_else(|| ApiError::not_found("there is no such channel"))?;
    if !api.studio.is_signed_in(&name, &headers) {
        return Err(refused("show the stream key to sign in"));
    }
    let view = StudioView { channel: name.to_string(), title: channel.title };
    Ok(([(CACHE_CONTROL, "no-store")], Json(view)).into_response())
}

/// Signs the browser in to the studio of the channel whose stream key is shown as bearer token.
#[utoipa::path(post, path = "/api/v1/channels/{name}/studio", tag = "studio", params(("name" = String, Path)),
    responses(
        (status = 204, description = "Signed in: the answer sets a cookie"),
        (status = 401, body = ErrorBody, description = "No stream key, or not this channel's"),
    ))]
pub(super) async fn sign_in(
    State(api): State<Arc<Api>>,
    Extension(connection): Extension<Connection>,
    Named(name): Named,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let key = bearer(&headers).ok_or_else(|| refused("send the stream key as Authorization: Bearer KEY"))?;
    if !api.directory.opens(key, &name) {
        return Err(refused("this stream key is not the channel's"));
    }
    let cookie =
        api.studio.sign_in(&name, connection.is_secure()).ok_or_else(|| refused("the channel has no key"))?;
    cookie_answer(&cookie)
}

/// Signs the browser out.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/studio", tag = "studio", params(("name" = String, Path)),
    responses((status = 204, description = "Signed out")))]
pub(super) async fn sign_out(Named(name): Named) -> Result<Response, ApiError> {
    cookie_answer(&Studio::sign_out(&name))
}

fn cookie_answer(cookie: &str) -> Result<Response, ApiError> {
    let cookie = HeaderValue::from_str(cookie).map_err(|_| ApiError::internal())?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response())
}
