//! Accepts connections and drives HTTP/1.1 or HTTP/2 on them until told to stop.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::forwarded::TrustedProxies;
use super::guard::{Guard, guard};
use super::metrics::HttpMetrics;
use super::streaming::{self, Diverted, Slot};
use super::upgrade::Successor;
use super::{ApiError, Config, Connection};
use crate::context::Life;
use crate::metrics::Metrics;
use crate::net::accept::{Arrival, accept};
use crate::net::limits::{Admission, Permit, Refused};
use crate::net::socket::Socket;

/// What the TLS listener offers, the preferred first.
pub const ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Requests at one time on one HTTP/2 connection. A player needs a handful.
const MAX_STREAMS: u32 = 64;
/// Streams that a peer may reset before we have looked at them ("rapid reset").
const MAX_PENDING_RESETS: usize = 16;
/// Streams that we may have to reset for a peer's mistakes before the connection is given up.
const MAX_LOCAL_RESETS: usize = 64;
/// What one HTTP/2 stream may have in the queue to the socket.
const STREAM_SEND_BUFFER: usize = 64 << 10;
/// HTTP/2 flow-control windows for request bodies, which are small here.
const STREAM_WINDOW: u32 = 64 << 10;
/// A ping after this much silence finds HTTP/2 peers that are gone.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// How long such a peer has to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Serves routes on any number of listeners, under common limits. Clones share them.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<Config>,
    admission: Admission,
    metrics: HttpMetrics,
}

impl Server {
    /// A server without listeners.
    pub fn new(config: &Config, registry: &Metrics) -> Self {
        let admission = Admission::new(config.max_connections, config.max_connections_per_address);
        Self { config: Arc::new(config.clone()), admission, metrics: HttpMetrics::new(registry) }
    }

    /// Takes over the limits on connections; those that are open stay.
    pub fn reload(&self, config: &Config) {
        self.admission.set_limits(config.max_connections, config.max_connections_per_address);
    }

    /// Serves routes on a listener, with TLS if there is an acceptor, until the server drains; connections then end
    /// after their current request, and `life` waits for them.
    pub async fn serve(&self, listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, life: Life) {
        let router = self.guarded(router);
        let arrive = |arrival| match arrival {
            Arrival::Admitted(stream, peer, permit) => {
                let session = Session {
                    server: self.clone(),
                    router: router.clone(),
                    peer,
                    life: life.clone(),
                    _permit: permit,
                };
                life.spawn(session.run(stream, tls.clone()));
            }
            Arrival::TurnedAway(stream, refused) => self.turn_away(&stream, tls.is_some(), refused),
        };
        accept(listener, self.admission.clone(), life.clone(), arrive).await;
    }

    fn guarded(&self, router: Router) -> Router {
        // The configuration has been checked: a list that cannot be read does not get here.
        let trusted_proxies = TrustedProxies::parse(&self.config.trusted_proxies).unwrap_or_default();
        let gate = Guard {
            request_timeout: self.config.request_timeout,
            trusted_proxies: Arc::new(trusted_proxies),
            country_header: self.config.country(),
            metrics: self.metrics.clone(),
        };
        router
            .fallback(|| async { ApiError::not_found("there is nothing at this address") })
            .method_not_allowed_fallback(|| async {
                let message = "this address does not take this method";
                ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", message)
            })
            .layer(DefaultBodyLimit::max(self.config.max_body_size))
            .layer(middleware::from_fn_with_state(gate, guard))
    }

    /// Says why, as far as that goes without waiting or a handshake.
    fn turn_away(&self, stream: &TcpStream, tls: bool, refused: Refused) {
        self.metrics.refused(match refused {
            Refused::Total => "connections",
            Refused::Address => "connections_of_address",
        });
        if !tls {
            let text = format!(
                "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: {}\r\n\r\n{refused}",
                refused.to_string().len()
            );
            drop(stream.try_write(text.as_bytes()));
        }
    }
}

/// What becomes of a connection after HTTP.
enum Afterwards<IO> {
    /// A body that streams to its end.
    Stream(IO, Diverted),
    /// Another protocol, with what the peer has sent of it already.
    Upgrade(IO, Bytes, Successor),
    /// It is over.
    Nothing,
}

/// Why a connection ended before its time, for the log.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// One accepted connection.
struct Session {
    server: Server,
    router: Router,
    peer: SocketAddr,
    life: Life,
    _permit: Permit,
}

impl Session {
    async fn run(self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        self.server.metrics.connections.inc();
        let ended = self.drive(stream, tls).await;
        self.server.metrics.connections.dec();
        if let Err(error) = ended {
            tracing::debug!(peer = %self.peer, %error, "connection ended");
        }
    }

    async fn drive(&self, stream: TcpStream, tls: Option<TlsAcceptor>) -> Result<(), Failure> {
        let config = &self.server.config;
        let socket = Socket::new(stream, config.stall_timeout)?;
        let connection = Connection::new(self.peer, tls.is_some(), socket.stream());
        let Some(acceptor) = tls else {
            return self.http1(socket, connection).await;
        };
        let handshake = Box::pin(tokio::time::timeout(config.idle_timeout, acceptor.accept(socket)));
        let secured = handshake.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        // Boxed: TLS and HTTP/2 have large states, and a plain connection's task must not carry room for them.
        if secured.get_ref().1.alpn_protocol() == Some(b"h2") {
            return Ok(Box::pin(self.http2(secured, connection)).await?);
        }
        Box::pin(self.http1(secured, connection)).await
    }

    async fn http1<IO>(&self, io: IO, connection: Connection) -> Result<(), Failure>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // Boxed, so that it is gone while a body streams.
        match Box::pin(self.requests(io, connection)).await? {
            Afterwards::Stream(io, diverted) => Ok(streaming::send(io, diverted).await?),
            Afterwards::Upgrade(io, read, successor) => {
                successor(Box::new(io), read).await;
                Ok(())
            }
            Afterwards::Nothing => Ok(()),
        }
    }

    /// Serves requests until the connection is over or an answer wants it for itself.
    async fn requests<IO>(&self, io: IO, connection: Connection) -> Result<Afterwards<IO>, Failure>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let slot = Slot::default();
        let service = service_fn(|request| {
            let (router, connection, slot) = (self.router.clone(), connection.clone(), slot.clone());
            Box::pin(async move {
                let (method, version) = (request.method().clone(), request.version());
                let answered = answer(router, connection, request).await;
                answered.map(|response| slot.divert(&method, version, response))
            })
        });
        let mut serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.server.config.idle_timeout)
            .max_buf_size(self.server.config.max_header_size)
            .serve_connection(TokioIo::new(slot.watch(io)), service);
        let mut diverted = None;
        let mut until_over_or_diverted =
            |serving: &mut http1::Connection<_, _>, context: &mut Context<'_>| {
                let served = serving.poll_without_shutdown(context);
                diverted = slot.take();
                if diverted.is_some() { Poll::Ready(Ok(())) } else { served }
            };
        tokio::select! {
            over = poll_fn(|context| until_over_or_diverted(&mut serving, context)) => over?,
            () = self.life.draining() => {
                Pin::new(&mut serving).graceful_shutdown();
                poll_fn(|context| until_over_or_diverted(&mut serving, context)).await?;
            }
        }
        let parts = serving.into_parts();
        let mut io = parts.io.into_inner().into_inner();
        if let Some(diverted) = diverted {
            return Ok(Afterwards::Stream(io, diverted));
        }
        if let Some(successor) = slot.successor() {
            return Ok(Afterwards::Upgrade(io, parts.read_buf, successor));
        }
        io.shutdown().await?;
        Ok(Afterwards::Nothing)
    }

    async fn http2<IO>(&self, io: IO, connection: Connection) -> Result<(), hyper::Error>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = &self.server.config;
        let activity = Arc::new(Activity::default());
        let service = service_fn(|request| {
            let (router, connection, activity) = (self.router.clone(), connection.clone(), activity.clone());
            async move {
                let running = activity.begin();
                let answered = answer(router, connection, request).await;
                answered.map(|response| response.map(|body| Counted { body, _running: running }))
            }
        });
        let mut serving = pin!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
                .max_local_error_reset_streams(MAX_LOCAL_RESETS)
                .max_header_list_size(u32::try_from(config.max_header_size).unwrap_or(u32::MAX))
                .max_send_buf_size(STREAM_SEND_BUFFER)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(4 * STREAM_WINDOW)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(TokioIo::new(io), service)
        );
        loop {
            tokio::select! {
                ended = serving.as_mut() => return ended,
                () = self.life.draining() => break,
                () = tokio::time::sleep(config.idle_timeout) => if activity.was_idle() { break },
            }
        }
        serving.as_mut().graceful_shutdown();
        let parting = tokio::time::timeout(config.idle_timeout, serving.as_mut()).await;
        match parting {
            Ok(ended) => ended,
            // A peer with requests under way may go on with them; an idle one has had its time to say goodbye.
            Err(_) if activity.running() => serving.await,
            Err(_) => Ok(()),
        }
    }
}

/// Whether an HTTP/2 connection is used.
#[derive(Debug, Default)]
struct Activity {
    running: AtomicUsize,
    /// A request came since [`was_idle`](Self::was_idle) looked last.
    seen: AtomicBool,
}

/// A request under way, until the last byte of its answer's body.
struct Running(Arc<Activity>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        self.seen.store(true, Ordering::Relaxed);
        Running(self.clone())
    }

    fn running(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    fn was_idle(&self) -> bool {
        !self.seen.swap(false, Ordering::Relaxed) && !self.running()
    }
}

/// A body that keeps its request counted as running.
struct Counted {
    body: Body,
    _running: Running,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn answer(
    router: Router,
    connection: Connection,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(connection);
    router.oneshot(request.map(Body::new)).await
}
