//! The routes.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::{CACHE_CONTROL, CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SET_COOKIE, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Version};
use serde::{Deserialize, Serialize};
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _, ToSchema};

use super::admission::{Caller, Stranger};
use super::conversation::Conversation;
use super::event::{Comment, Refusal};
use super::person::UserId;
use super::room::Refused;
use super::server::{Chat, Shared};
use super::sse;
use super::store::{MAX_RANGE, Range};
use crate::http::websocket;
use crate::http::{ApiError, ClientAddress, Connection, Json, RequestHost, Upgrade, for_everyone};
use crate::media::ChannelName;

/// What the kernel may hold for a viewer: some seconds of a busy room.
const SEND_BUFFER: usize = 64 << 10;
/// Of that, what may wait behind a closed window.
const UNSENT: u32 = 16 << 10;

impl Chat {
    /// What the routes are, for programs.
    pub fn document() -> OpenApi {
        Document::openapi()
    }

    /// The routes.
    pub fn router(&self) -> Router {
        let open = Router::new()
            .route("/api/v1/channels/{name}/comments", get(range))
            .with_state(Arc::clone(&self.shared));
        Router::new()
            .route("/ws/{channel}", get(handshake))
            .route("/api/v1/channels/{name}/room", get(sse::listen).post(sse::say))
            .route("/api/v1/viewer", post(viewer))
            .with_state(Arc::clone(&self.shared))
            .merge(for_everyone(open))
    }
}

/// The channel of a path.
pub(super) fn channel(name: &str) -> Result<ChannelName, ApiError> {
    name.parse().map_err(|_| ApiError::not_found("there is no channel of this name"))
}

impl From<Stranger> for ApiError {
    fn from(stranger: Stranger) -> Self {
        match stranger {
            Stranger::Failed => Self::internal(),
            Stranger::Origin | Stranger::NoOrigin => {
                Self::new(StatusCode::FORBIDDEN, "origin", stranger.to_string())
            }
        }
    }
}

/// The `Set-Cookie` header for somebody who is new.
pub(super) fn cookie(shared: &Shared, caller: &Caller, secure: bool) -> Option<HeaderValue> {
    let cookie = caller.is_new.then(|| shared.viewers.cookie(caller.viewer, secure))?;
    HeaderValue::from_str(&cookie).ok()
}

#[derive(Serialize, ToSchema)]
struct ViewerView {
    /// The viewer's public id.
    #[schema(value_type = String)]
    user: UserId,
}

/// The routes' description.
#[derive(utoipa::OpenApi)]
#[openapi(paths(handshake, sse::listen, sse::say, range, viewer))]
struct Document;

/// Gives a page its viewer session: a cookie, if it has none.
#[utoipa::path(post, path = "/api/v1/viewer", tag = "comments", responses(
    (status = 200, body = ViewerView, description = "Set-Cookie has the session of somebody who is new"),
    (status = 403, description = "A page of another origin"),
))]
async fn viewer(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    host: Option<Extension<RequestHost>>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let caller = shared.caller(None, &headers, host.as_deref(), address)?;
    let view = Json(ViewerView { user: UserId(shared.viewers.public(caller.viewer)) });
    let mut response = ([(CACHE_CONTROL, "private, no-store")], view).into_response();
    if let Some(cookie) = cookie(&shared, &caller, connection.is_secure()) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A question for comments by media time.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RangeQuery {
    /// Without it the present one, else the last.
    broadcast: Option<u64>,
    /// Media time.
    #[serde(default)]
    from_ns: i64,
    /// Not included.
    to_ns: Option<i64>,
    /// Of comments at `from_ns`, those behind this number.
    #[serde(default)]
    after: u64,
    /// At most, and without it, 1000.
    limit: Option<u32>,
}

#[derive(Serialize, ToSchema)]
struct RangeView {
    broadcast: Option<u64>,
    comments: Vec<Comment>,
    /// Where to ask on, if there may be more.
    next: Option<Next>,
}

#[derive(Serialize, ToSchema)]
struct Next {
    from_ns: i64,
    after: u64,
}

/// Comments by the media time that their authors were seeing.
#[utoipa::path(get, path = "/api/v1/channels/{name}/comments", tag = "comments",
    params(("name" = String, Path), RangeQuery), responses(
        (status = 200, body = RangeView),
        (status = 404, description = "There is no channel of this name"),
    ))]
async fn range(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(query): Query<RangeQuery>,
) -> Result<Response, ApiError> {
    let name = channel(&name)?;
    if !shared.channels.exists(&name) {
        return Err(ApiError::not_found("there is no channel of this name"));
    }
    let failed = |error| {
        tracing::error!(%error, "comments cannot be read");
        ApiError::internal()
    };
    let broadcast = match (query.broadcast, shared.channels.air(&name)) {
        (Some(broadcast), _) => Some(broadcast),
        (None, Some(air)) => Some(air.broadcast),
        (None, None) => shared.store.last_broadcast(&name).await.map_err(failed)?,
    };
    let limit = query.limit.unwrap_or(MAX_RANGE).min(MAX_RANGE);
    let mut view = RangeView { broadcast, comments: Vec::new(), next: None };
    if let Some(broadcast) = broadcast {
        let to_ns = query.to_ns.unwrap_or(i64::MAX);
        let range = Range { broadcast, from_ns: query.from_ns, to_ns, after: query.after, limit };
        view.comments = shared.store.range(&name, range).await.map_err(failed)?;
        let is_full = view.comments.len() == limit as usize;
        view.next = view
            .comments
            .last()
            .filter(|_| is_full)
            .map(|last| Next { from_ns: last.time_ns.unwrap_or_default(), after: last.seq });
    }
    Ok(([(CACHE_CONTROL, "no-store")], Json(view)).into_response())
}

/// A room over a WebSocket; docs/comments.md and comments.schema.json say what is spoken.
#[utoipa::path(get, path = "/ws/{channel}", tag = "comments", params(("channel" = String, Path)), responses(
    (status = 101, description = "WebSocket, version 13: text messages, each a JSON object"),
    (status = 403, description = "A page of another origin"),
    (status = 404, description = "There is no channel of this name"),
    (status = 426, description = "The request is no WebSocket handshake over HTTP/1.1"),
))]
#[expect(clippy::too_many_arguments, reason = "each is one part of the request")]
async fn handshake(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Extension(connection): Extension<Connection>,
    host: Option<Extension<RequestHost>>,
    Extension(address): Extension<ClientAddress>,
    method: Method,
    version: Version,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = channel(&name)?;
    if !shared.channels.exists(&name) {
        return Err(ApiError::not_found("there is no channel of this name"));
    }
    let Some(accept) = websocket::accept(&method, version, &headers) else {
        let message = "this address speaks WebSocket, version 13, over HTTP/1.1";
        let refusal = ApiError::new(StatusCode::UPGRADE_REQUIRED, "websocket", message);
        return Err(refusal.with_header(UPGRADE, HeaderValue::from_static("websocket")));
    };
    let accept = HeaderValue::from_str(&accept).map_err(|_| ApiError::internal())?;
    let caller = shared.caller(Some(&name), &headers, host.as_deref(), address)?;
    let cookie = cookie(&shared, &caller, connection.is_secure());
    connection.bound_send(SEND_BUFFER, UNSENT);
    let upgrade = Upgrade::new(move |io, read| async move {
        let conversation = Conversation::new(io, &read, shared.config.max_message_size);
        let ended = conversation.run(&shared, &name, &caller).await;
        if let Err(error) = ended {
            tracing::debug!(%error, channel = %name, "a viewer's connection ended");
        }
    });
    let head = [
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    let mut response = (StatusCode::SWITCHING_PROTOCOLS, head, Extension(upgrade)).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let status = match refused.code {
            Refusal::NotFound => StatusCode::NOT_FOUND,
            Refusal::Banned | Refusal::Forbidden => StatusCode::FORBIDDEN,
            Refusal::BadToken => StatusCode::UNAUTHORIZED,
            Refusal::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, "room", refused.message)
    }
}
