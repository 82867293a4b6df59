//! The routes, and the conversation over a WebSocket.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CACHE_CONTROL, CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SET_COOKIE, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Version};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::admission::{Caller, Stranger};
use super::event::{Comment, Event, Farewell, Refusal};
use super::hall::{Delivery, Feed};
use super::message::Request;
use super::metrics::Way;
use super::person::UserId;
use super::posts::Framing;
use super::room::Refused;
use super::server::{Chat, Shared};
use super::sse;
use super::store::{MAX_RANGE, Range};
use crate::clock;
use crate::http::websocket::{self, Decoder, FrameError, Incoming};
use crate::http::{ApiError, ClientAddress, Connection, Duplex, Json, RequestHost, Upgrade, for_everyone};
use crate::media::ChannelName;

/// How long somebody may take to come in after the handshake.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a quiet connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// How long the kernel's buffers and ours may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// What the kernel may hold for a viewer: some seconds of a busy room.
const SEND_BUFFER: usize = 64 << 10;
/// Of that, what may wait behind a closed window.
const UNSENT: u32 = 16 << 10;
/// Read at a time. A comment is shorter.
const READ: usize = 512;
/// Slices of one write.
const MAX_SLICES: usize = 32;

impl Chat {
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

#[derive(Serialize)]
struct ViewerView {
    /// The viewer's public id.
    user: UserId,
}

/// Gives a page its viewer session: a cookie, if it has none.
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
#[derive(Deserialize)]
struct RangeQuery {
    broadcast: Option<u64>,
    #[serde(default)]
    from_ns: i64,
    to_ns: Option<i64>,
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

#[derive(Serialize)]
struct RangeView {
    broadcast: Option<u64>,
    comments: Vec<Comment>,
    /// Where to ask on, if there may be more.
    next: Option<Next>,
}

#[derive(Serialize)]
struct Next {
    from_ns: i64,
    after: u64,
}

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

/// The opening handshake.
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
        let mut conversation = Conversation {
            io,
            decoder: Decoder::new(shared.config.max_message_size),
            heard: clock::monotonic().into(),
        };
        conversation.decoder.receive(&read);
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

/// A WebSocket with somebody at the other end.
struct Conversation {
    io: Box<dyn Duplex>,
    decoder: Decoder,
    /// When the other end sent something last.
    heard: Instant,
}

/// What happened first.
enum Happened {
    Delivery(Delivery),
    Read(usize),
    Quiet,
}

impl Conversation {
    async fn run(&mut self, shared: &Arc<Shared>, name: &ChannelName, caller: &Caller) -> io::Result<()> {
        let Ok(joined) = timeout(JOIN_TIMEOUT, Box::pin(self.join(shared, name, caller))).await else {
            return self.end(1008).await;
        };
        let Some(feed) = joined? else { return Ok(()) };
        let _connected = shared.metrics.connected(Way::WebSocket);
        self.attend(feed).await
    }

    /// Waits for the first message and comes in; `None` when that comes to nothing and was said so.
    async fn join(
        &mut self,
        shared: &Arc<Shared>,
        name: &ChannelName,
        caller: &Caller,
    ) -> io::Result<Option<Feed>> {
        let text = loop {
            match self.decoder.poll() {
                Ok(Some(Incoming::Text(text))) => break text,
                Ok(Some(Incoming::Ping(payload))) => self.io.write_all(&websocket::pong(&payload)).await?,
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close)) => return self.end(1000).await.map(|()| None),
                Ok(None) => {
                    let mut buffer = [0; READ];
                    let length = self.io.read(&mut buffer).await?;
                    if length == 0 {
                        return Ok(None);
                    }
                    self.decoder.receive(&buffer[..length]);
                }
                Err(error) => return self.end(error.code()).await.map(|()| None),
            }
        };
        let join = match Request::parse(&text) {
            Ok(Request::Join(join)) => join,
            Ok(_) | Err(_) => {
                self.send(&Event::Bye { code: Farewell::NoJoin, reconnect: false }).await?;
                return self.end(1008).await.map(|()| None);
            }
        };
        match shared.enter(name, caller, &join).await {
            Ok(feed) => Ok(Some(feed)),
            Err(refused) => {
                self.send(&refusal(refused)).await?;
                self.end(1008).await.map(|()| None)
            }
        }
    }

    /// Passes on what either side says until one leaves.
    async fn attend(&mut self, mut feed: Feed) -> io::Result<()> {
        self.heard = clock::monotonic().into();
        let mut asked: Option<Instant> = None;
        loop {
            while let Some(message) = self.decoder.poll().transpose() {
                match message {
                    Ok(Incoming::Text(text)) => feed.say(&text),
                    Ok(Incoming::Ping(payload)) => self.io.write_all(&websocket::pong(&payload)).await?,
                    Ok(Incoming::Pong) => {}
                    Ok(Incoming::Close) => return self.end(1000).await,
                    Err(error) => return self.end(FrameError::code(error)).await,
                }
            }
            let mut buffer = [0; READ];
            let quiet_at = asked.unwrap_or(self.heard) + PING_INTERVAL;
            let happened = tokio::select! {
                delivery = feed.next(Framing::WebSocket) => Happened::Delivery(delivery),
                read = self.io.read(&mut buffer) => Happened::Read(read?),
                () = sleep_until(quiet_at) => Happened::Quiet,
            };
            match happened {
                Happened::Delivery(delivery) => {
                    write_all(&mut self.io, delivery.slices).await?;
                    if delivery.last {
                        drop(feed);
                        return self.end(1008).await;
                    }
                }
                Happened::Read(0) => return Ok(()),
                Happened::Read(length) => {
                    self.heard = clock::monotonic().into();
                    asked = None;
                    self.decoder.receive(&buffer[..length]);
                }
                Happened::Quiet if asked.is_some() => return Err(io::ErrorKind::TimedOut.into()),
                Happened::Quiet => {
                    asked = Some(clock::monotonic().into());
                    self.io.write_all(&websocket::ping()).await?;
                }
            }
        }
    }

    async fn send(&mut self, event: &Event) -> io::Result<()> {
        let mut frame = BytesMut::new();
        websocket::write_text(&event.json(), &mut frame);
        self.io.write_all(&frame).await
    }

    /// Says goodbye, and gives the other end a moment to hear it.
    async fn end(&mut self, code: u16) -> io::Result<()> {
        self.io.write_all(&websocket::close(code)).await?;
        self.io.shutdown().await?;
        let io = &mut self.io;
        let heard_out = async {
            let mut scrap = [0; READ];
            while io.read(&mut scrap).await.is_ok_and(|length| length > 0) {}
        };
        // Bytes that arrive after the socket is closed would make the kernel throw our last ones away.
        drop(timeout(GOODBYE, heard_out).await);
        Ok(())
    }
}

/// The refusal of somebody who wants to come in.
pub(super) fn refusal(refused: Refused) -> Event {
    let Refused { code, message, retry } = refused;
    let retry_ms = retry.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    Event::Refused { id: None, code, message, retry_ms }
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

async fn write_all(io: &mut Box<dyn Duplex>, slices: Vec<Bytes>) -> io::Result<()> {
    let mut waiting = std::collections::VecDeque::from(slices);
    while !waiting.is_empty() {
        let mut buffers = [IoSlice::new(&[]); MAX_SLICES];
        let count = waiting.len().min(MAX_SLICES);
        buffers.iter_mut().zip(&waiting).for_each(|(buffer, bytes)| *buffer = IoSlice::new(bytes));
        let mut written = io.write_vectored(&buffers[..count]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while let Some(first) = waiting.front_mut() {
            if first.len() > written {
                first.advance(written);
                break;
            }
            written -= first.len();
            waiting.pop_front();
        }
    }
    Ok(())
}
