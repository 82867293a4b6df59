//! The same room where WebSockets are blocked: events over an event stream, requests by POST.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use http_body::Frame;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::timeout;
use utoipa::IntoParams;

use super::message::{Join, VERSION};
use super::metrics::Way;
use super::posts::Framing;
use super::serve::{channel, cookie};
use super::server::Shared;
use crate::http::{ApiError, ClientAddress, Connection, RequestHost, Streaming};

/// Deliveries that wait for the connection.
const QUEUE: usize = 2;
/// How often a quiet stream says that it is still there, which also finds those that are not.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// The header by which a POST says whose it is.
const SESSION: &str = "onair-session";
/// What the kernel may hold for a viewer, and of that, what may wait behind a closed window.
const SEND_BUFFER: (usize, u32) = (64 << 10, 16 << 10);

/// What a `join` has, as a query.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct JoinQuery {
    last: Option<usize>,
    after: Option<u64>,
    epoch: Option<u64>,
    name: Option<String>,
    token: Option<String>,
    invite: Option<String>,
}

/// A room as an event stream, where WebSockets are blocked; docs/comments.md has the events.
#[utoipa::path(get, path = "/api/v1/channels/{name}/room", tag = "comments",
    params(("name" = String, Path), JoinQuery), responses(
        (status = 200, content_type = "text/event-stream",
            description = "The first event is `session`, with the secret for requests by POST"),
        (status = 403, description = "A page of another origin, or somebody who may not come in"),
        (status = 404, description = "There is no channel of this name"),
    ))]
pub(super) async fn listen(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    Query(query): Query<JoinQuery>,
    Extension(connection): Extension<Connection>,
    host: Option<Extension<RequestHost>>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let name = channel(&name)?;
    let caller = shared.caller(Some(&name), &headers, host.as_deref(), address)?;
    let JoinQuery { last, after, epoch, name: wanted, token, invite } = query;
    let mut join = Join { v: VERSION, last, after, epoch, name: wanted, token, invite };
    // A browser that reconnects by itself says how far it came.
    if let Some((epoch, seq)) = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.split_once('-'))
    {
        (join.epoch, join.after) = (epoch.parse().ok(), seq.parse().ok());
    }
    let mut feed = shared.enter(&name, &caller, &join).await?;
    let poster = shared.poster(&feed).ok_or_else(ApiError::internal)?;
    let (deliveries, waiting) = mpsc::channel(QUEUE);
    let hello = format!("event: session\ndata: {{\"session\":\"{}\"}}\n\n", poster.secret);
    let cookie = cookie(&shared, &caller, connection.is_secure());
    connection.bound_send(SEND_BUFFER.0, SEND_BUFFER.1);
    let life = shared.life.clone();
    life.spawn(async move {
        let _connected = shared.metrics.connected(Way::EventSource);
        let _poster = poster;
        let framing = Framing::EventStream { epoch: feed.place().0.epoch() };
        if deliveries.send(Bytes::from(hello)).await.is_err() {
            return;
        }
        loop {
            let delivery = tokio::select! {
                delivery = timeout(KEEP_ALIVE, feed.next(framing)) => delivery,
                () = deliveries.closed() => return,
            };
            let (slices, last) = match delivery {
                Ok(delivery) => (delivery.slices, delivery.last),
                Err(_) => (VecDeque::from([Bytes::from_static(b":\n\n")]), false),
            };
            for slice in slices {
                if deliveries.send(slice).await.is_err() {
                    return;
                }
            }
            if last {
                return;
            }
        }
    });
    let head = [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")];
    let mut response = (head, Extension(Streaming), Body::new(Stream(waiting))).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Says something; the answer comes over the stream.
#[utoipa::path(post, path = "/api/v1/channels/{name}/room", tag = "comments",
    params(("name" = String, Path), ("Onair-Session" = String, Header, description = "The stream's secret")),
    request_body(content = serde_json::Value, description = "A request of comments.schema.json"), responses(
        (status = 202, description = "The answer comes over the stream"),
        (status = 401, description = "There is no stream of this session"),
        (status = 403, description = "A page of another origin"),
    ))]
pub(super) async fn say(
    State(shared): State<Arc<Shared>>,
    Path(name): Path<String>,
    host: Option<Extension<RequestHost>>,
    Extension(address): Extension<ClientAddress>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let name = channel(&name)?;
    shared.caller(Some(&name), &headers, host.as_deref(), address)?;
    let secret = headers.get(SESSION).and_then(|secret| secret.to_str().ok());
    let Some((hall, session)) = secret.and_then(|secret| shared.posted(secret)) else {
        let message = "send the session that the stream began with as Onair-Session";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "session", message));
    };
    let text = std::str::from_utf8(&body).map_err(|_| ApiError::bad_request("the request is no UTF-8"))?;
    hall.receive(session, text);
    Ok(StatusCode::ACCEPTED)
}

/// A body that ends when nobody sends any more.
struct Stream(mpsc::Receiver<Bytes>);

impl http_body::Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
