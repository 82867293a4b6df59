//! WHIP: publishing by an HTTP POST (RFC 9725).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};

use super::offer::Role;
use super::server::Shared;
use super::shard::Purpose;
use super::signalling;
use crate::auth::bearer;
use crate::http::{ApiError, Connection};

/// `/whip/CHANNEL` and the sessions below it.
pub(super) fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/whip/{channel}", post(publish).get(nothing).options(options))
        .route("/whip/{channel}/{session}", get(nothing).delete(end).patch(patch).options(options))
        .with_state(Arc::clone(shared))
}

async fn publish(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    authorize(&shared, &name, &headers)?;
    let channel = signalling::channel(&shared, &name)?;
    let offer = signalling::read_offer(&headers, &body, Role::Publisher)?;
    signalling::open(&shared, connection.peer(), channel, Some(offer), Purpose::Publish).await
}

async fn end(
    State(shared): State<Arc<Shared>>,
    Path((name, session)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    authorize(&shared, &name, &headers)?;
    let (id, entry) = signalling::session(&shared, Role::Publisher, &name, &session)?;
    signalling::delete(&shared, id, &entry)
}

async fn patch(
    State(shared): State<Arc<Shared>>,
    Path((name, session)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    authorize(&shared, &name, &headers)?;
    let session = signalling::session(&shared, Role::Publisher, &name, &session)?;
    signalling::patch(&shared, session, &headers, &body).await
}

/// RFC 9725 §4.1: GET and HEAD answer with success and no content.
async fn nothing() -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn options(State(shared): State<Arc<Shared>>) -> Response {
    signalling::options(&shared)
}

/// Lets in who shows the channel's stream key, or is signed in to its studio.
fn authorize(shared: &Shared, name: &str, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |message: &'static str| {
        shared.metrics.refused("key");
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"onair\""))
    };
    let context = &shared.context;
    match headers.contains_key(AUTHORIZATION) {
        true => {
            let key =
                bearer(headers).ok_or_else(|| refuse("send the stream key as Authorization: Bearer KEY"))?;
            let opens = context.keys.channel_for(key).is_some_and(|channel| channel.as_str() == name);
            if opens { Ok(()) } else { Err(refuse("this stream key is not the channel's")) }
        }
        false => {
            let signed_in = name.parse().is_ok_and(|channel| context.studio.is_signed_in(&channel, headers));
            if signed_in { Ok(()) } else { Err(refuse("send the stream key as Authorization: Bearer KEY")) }
        }
    }
}
