//! The way out: HTTP/1.1 with connections that are kept, and HTTP/2 where the other side speaks it, with bounds on size and
//! time.
//!
//! Each bidder has two clients of its own, so no bidder takes another's connections: one for the address that the operator
//! has configured, one for the links that the bidder gives, each of which the guard looks at.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, LOCATION, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{timeout, timeout_at};
use tokio_rustls::TlsConnector;
use tower::Service;
use url::Url;

use super::guard::{Forbidden, Guard, MAX_REDIRECTS, Target, redirect};
use crate::format::link::{InvalidLink, Link};
use crate::http::Duplex;
use crate::http::fetch::system_roots;

/// How long a connection may take to come about, or a bidder to say something. Whoever waits for an answer gives up sooner;
/// the connection is then there for the next request, as a bidder that is far away needs longer for its first than it has.
const CONNECTING: Duration = Duration::from_secs(5);
/// Connections to one host that are kept though nothing is asked.
const IDLE_CONNECTIONS: usize = 16;
/// How long they are kept: cues are minutes apart, and a new connection may take longer than a bidder has.
const IDLE: Duration = Duration::from_secs(600);
/// How often the other side of HTTP/2 is pinged. What is between forgets a connection without traffic, and one that is dead is to be
/// known before the next cue.
const PING: Duration = Duration::from_secs(30);
/// How long a ping may take; then the connection is closed.
const PONG: Duration = Duration::from_secs(10);
/// Heads of answers, in bytes.
const MAX_HEAD: usize = 64 << 10;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("onair/", env!("CARGO_PKG_VERSION")));

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The link is not to be followed.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// Nobody can be reached there, or nobody who speaks HTTP.
    #[error("{0}")]
    Unreachable(String),
    /// The answer is longer than anything that is taken.
    #[error("the answer is too long")]
    TooLong,
    /// The answer breaks off.
    #[error("the answer's body: {0}")]
    Body(String),
    /// Another answer than one that is wanted.
    #[error("the answer is {0}")]
    Status(StatusCode),
    /// It took too long.
    #[error("no answer in time")]
    Late,
    /// It cannot be asked: a header or the link is none.
    #[error("the request is malformed: {0}")]
    Request(#[from] http::Error),
}

impl CallError {
    /// Whether asking again later may help.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Body(_) | Self::Late => true,
            Self::Status(status) => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            Self::Forbidden(_) | Self::TooLong | Self::Request(_) => false,
        }
    }
}

/// Certificates that are believed: the system's, and those of a PEM file.
///
/// # Errors
/// When the file cannot be read.
pub fn roots(file: Option<&Path>) -> Result<RootCertStore, pem::Error> {
    let mut roots = system_roots();
    if let Some(file) = file {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file)?.collect();
        roots.add_parsable_certificates(certificates?);
    }
    Ok(roots)
}

/// Whom TLS believes. Clones are the same.
#[derive(Clone, Debug)]
pub struct Trust(Arc<ClientConfig>);

impl Trust {
    /// Trusts these.
    pub fn new(roots: RootCertStore) -> Self {
        let mut tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self(Arc::new(tls))
    }
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// What came.
    pub body: Bytes,
}

/// Asks. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
    guard: Arc<Guard>,
}

impl Client {
    /// For what the operator has configured: any address.
    pub fn configured(trust: &Trust, guard: &Arc<Guard>) -> Self {
        Self::with(trust, guard, false)
    }

    /// For links of strangers.
    pub fn guarded(trust: &Trust, guard: &Arc<Guard>) -> Self {
        Self::with(trust, guard, true)
    }

    fn with(trust: &Trust, guard: &Arc<Guard>, of_strangers: bool) -> Self {
        let connector = Connector { trust: trust.clone(), guard: Arc::clone(guard), of_strangers };
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http1_max_buf_size(MAX_HEAD)
            .http2_max_header_list_size(MAX_HEAD as u32)
            .timer(TokioTimer::new())
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PONG)
            .http2_keep_alive_while_idle(true)
            .build(connector);
        Self { inner, guard: Arc::clone(guard) }
    }

    /// Posts something; redirects are answers like any other. What is under way at the deadline is not waited for and goes on
    /// for a little, for the connection's sake; `place` is kept as long.
    ///
    /// # Errors
    /// When there is no answer of at most `max_len` bytes before the deadline.
    pub async fn post(
        &self,
        url: &str,
        headers: impl IntoIterator<Item = (&str, &str)>,
        body: Bytes,
        max_len: usize,
        deadline: Instant,
        place: impl Send + 'static,
    ) -> Result<Answer, CallError> {
        let mut request = Request::post(url).header(USER_AGENT, AGENT);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body))?;
        let client = self.clone();
        let asked = async move {
            let _place = place;
            let asked = async {
                let answer = client.send(request).await?;
                let status = answer.status();
                Ok(Answer { status, body: collect(answer.into_body(), max_len).await? })
            };
            timeout(CONNECTING, asked).await.unwrap_or(Err(CallError::Late))
        };
        let answered = timeout_at(deadline.into(), tokio::spawn(asked)).await;
        answered.map_or(Err(CallError::Late), |joined| joined.unwrap_or(Err(CallError::Late)))
    }

    /// Fetches something over TLS, as no other may decide what is shown.
    ///
    /// # Errors
    /// When there is nothing of at most `max_len` bytes before the deadline.
    pub async fn fetch(&self, link: &Link, max_len: usize, deadline: Instant) -> Result<Bytes, CallError> {
        let fetched = async {
            let answer = self.follow(link, true, None).await?;
            if answer.status() != StatusCode::OK {
                return Err(CallError::Status(answer.status()));
            }
            collect(answer.into_body(), max_len).await
        };
        timeout_at(deadline.into(), fetched).await.unwrap_or(Err(CallError::Late))
    }

    /// Calls a link and does not look at what comes.
    ///
    /// # Errors
    /// When it was not taken.
    pub async fn call(&self, link: &Link, key: Option<&str>, deadline: Instant) -> Result<(), CallError> {
        let called = async {
            let status = self.follow(link, false, key).await?.status();
            if status.is_success() { Ok(()) } else { Err(CallError::Status(status)) }
        };
        timeout_at(deadline.into(), called).await.unwrap_or(Err(CallError::Late))
    }

    /// Gets what is behind a link of a stranger's and its redirects.
    async fn follow(
        &self,
        link: &Link,
        must_be_secure: bool,
        key: Option<&str>,
    ) -> Result<http::Response<Incoming>, CallError> {
        let mut link = link.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.guard.stranger(&link, must_be_secure)?;
            let mut request = Request::builder()
                .method(Method::GET)
                .uri(written(&link)?)
                .header(USER_AGENT, AGENT)
                .header(ACCEPT, "*/*");
            if let Some(key) = key {
                request = request.header(HeaderName::from_static("idempotency-key"), key);
            }
            let answer = self.send(request.body(Full::default())?).await?;
            let location = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
            let Some(location) = location else { return Ok(answer) };
            let location = location.to_str().map_err(|_| Forbidden::Link(InvalidLink::Characters))?;
            link = redirect(&link, location)?;
        }
        Err(Forbidden::Redirects.into())
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>, CallError> {
        self.inner.request(request).await.map_err(|error| {
            // The reason is deep inside where the guard has refused.
            let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error);
            let mut text = error.to_string();
            while let Some(inner) = source {
                if let Some(ConnectError::Forbidden(forbidden)) = inner.downcast_ref::<ConnectError>() {
                    return CallError::Forbidden(forbidden.clone());
                }
                text = inner.to_string();
                source = inner.source();
            }
            CallError::Unreachable(text)
        })
    }
}

/// A link as it is sent: what is no plain ASCII is escaped.
fn written(link: &Link) -> Result<String, CallError> {
    let url = Url::parse(link.as_str()).map_err(|_| Forbidden::Link(InvalidLink::Relative))?;
    Ok(url.into())
}

async fn collect(body: Incoming, max_len: usize) -> Result<Bytes, CallError> {
    let body = Limited::new(body, max_len).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() { CallError::TooLong } else { CallError::Body(error.to_string()) }
    })
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("no connection within {} s", CONNECTING.as_secs())]
    Late,
}

/// Connects to addresses that were looked at.
#[derive(Clone)]
struct Connector {
    trust: Trust,
    guard: Arc<Guard>,
    of_strangers: bool,
}

impl Connector {
    async fn connect(self, uri: Uri) -> Result<Stream, ConnectError> {
        let link = uri.to_string();
        let link = Link::parse(&link).map_err(Forbidden::Link)?;
        let target =
            if self.of_strangers { self.guard.stranger(&link, false) } else { self.guard.target(&link) };
        let target = target?;
        let stream = TcpStream::connect(&self.addresses(&target).await?[..]).await?;
        stream.set_nodelay(true)?;
        if !target.is_secure {
            return Ok(Stream { io: TokioIo::new(Box::new(stream)), is_h2: false });
        }
        let name = ServerName::try_from(target.host).map_err(|_| Forbidden::Link(InvalidLink::Characters))?;
        let stream = TlsConnector::from(Arc::clone(&self.trust.0)).connect(name, stream).await?;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Stream { io: TokioIo::new(Box::new(stream)), is_h2 })
    }

    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, ConnectError> {
        let addresses: Vec<IpAddr> = match target.address {
            // A literal was looked at with its link, and what the operator says holds.
            Some(address) => vec![address],
            None => {
                let found = lookup_host((target.host.as_str(), target.port)).await?;
                let found = found.map(|address| address.ip());
                if self.of_strangers { Guard::public(&target.host, found)? } else { found.collect() }
            }
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.port)).collect())
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.clone().connect(uri);
        Box::pin(async move { timeout(CONNECTING, connecting).await.unwrap_or(Err(ConnectError::Late)) })
    }
}

/// A connection, and which HTTP is spoken on it.
struct Stream {
    io: TokioIo<Box<dyn Duplex>>,
    is_h2: bool,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.is_h2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
