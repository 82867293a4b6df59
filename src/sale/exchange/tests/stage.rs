//! A host that is everybody: each name ending in `.lab` leads to it, over TLS, HTTP/1.1 or HTTP/2.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::auction::bidder::openrtb::{Seller, Settings};
use crate::auction::{Auction, Context};
use crate::booking::Intake;
use crate::booking::creative::Look;
use crate::booking::intake::Outcome;
use crate::format::link::Link;
use crate::ledger::{DisplayClass, Ledger, SlotName, SqliteLedger, wall_clock};
use crate::media::{Cohort, CueId, OverlayFormat};
use crate::metrics::Metrics;
use crate::money::Money;
use crate::overlay::AskError;
use crate::sale::exchange::client::{Client, Trust};
use crate::sale::exchange::guard::Guard;
use crate::sale::exchange::{Exchange, Parts};
use crate::store::{Config, Store};

/// Begins like every PNG.
pub const PNG: &[u8] = b"\x89PNG and so on";
/// More than any bidder takes here, and less than any test.
pub const LONG: Duration = Duration::from_secs(60);

/// What somebody was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub host: String,
    pub path: String,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// Who answers everything.
pub struct Lab {
    pub port: u16,
    roots: RootCertStore,
    asked: Arc<Mutex<Vec<Asked>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Lab {
    pub async fn open(answer: impl Fn(Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::speaking(&["h2", "http/1.1"], answer).await
    }

    /// Speaks only some of the protocols.
    pub async fn speaking(
        protocols: &[&str],
        answer: impl Fn(Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let (acceptor, roots) = tls(protocols);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let (log, count) = (Arc::clone(&asked), Arc::clone(&connections));
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, answer, log) = (acceptor.clone(), Arc::clone(&answer), Arc::clone(&log));
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                        let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                        async move {
                            let asked = read(request).await;
                            log.lock().unwrap().push(asked.clone());
                            Ok::<_, Infallible>(answer(asked).await)
                        }
                    });
                    let builder = auto::Builder::new(TokioExecutor::new());
                    drop(builder.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        Self { port, roots, asked, connections }
    }

    /// What this host was asked so far.
    pub fn asked(&self, host: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.host == format!("{host}.lab")).cloned().collect()
    }

    /// Waits until this host was asked so often.
    pub async fn until_asked(&self, host: &str, count: usize) -> Vec<Asked> {
        loop {
            let asked = self.asked(host);
            if asked.len() >= count {
                return asked;
            }
            tokio::task::yield_now().await;
        }
    }

    pub fn link(&self, host: &str, path: &str) -> Link {
        Link::parse(&format!("https://{host}.lab:{}{path}", self.port)).unwrap()
    }

    pub fn guard(&self) -> Arc<Guard> {
        guard()
    }

    /// For links of strangers.
    pub fn client(&self) -> Client {
        Client::guarded(&Trust::new(self.roots.clone()), &self.guard())
    }

    /// A bidder that is waited for as long as it takes.
    pub fn bidder(&self, name: &str) -> Settings {
        let url = self.link(name, "/rtb");
        Settings {
            banner: true,
            accepts_server_counts: true,
            credit_limit: 100,
            timeout: LONG,
            // So that it can say where everybody else is.
            headers: [("x-port".to_owned(), self.port.to_string())].into(),
            ..Settings::new(name, url)
        }
    }

    pub async fn exchange(&self, bidders: Vec<Settings>) -> (Exchange, Ledger) {
        self.counted(bidders, &Metrics::new()).await
    }

    /// The same, with its metrics here.
    pub async fn counted(&self, bidders: Vec<Settings>, metrics: &Metrics) -> (Exchange, Ledger) {
        let config = Config { url: "sqlite::memory:".to_owned() };
        let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
        let log = Arc::new(SqliteLedger::open(store.pool()).await.unwrap());
        let (ledger, _) = Ledger::start(log, wall_clock()).await.unwrap();
        let parts = Parts {
            bidders,
            seller: Seller::default(),
            k: 1,
            deadline: LONG,
            hosts: hosts(),
            roots: self.roots.clone(),
            ledger: ledger.clone(),
            intake: Arc::new(Pretence),
            max_image: 1 << 20,
        };
        (Exchange::with(parts, metrics, Duration::from_millis(1)).await, ledger)
    }
}

const NAMES: [&str; 14] = [
    "good", "better", "hung", "late", "huge", "endless", "garbage", "moved", "broken", "hostile", "gone",
    "cdn", "tag", "cut",
];

fn hosts() -> BTreeMap<String, IpAddr> {
    NAMES.iter().map(|name| (format!("{name}.lab"), IpAddr::V4(Ipv4Addr::LOCALHOST))).collect()
}

/// Whom everybody here is: what answers over TLS, and whose certificate is believed.
pub fn tls(protocols: &[&str]) -> (TlsAcceptor, RootCertStore) {
    let names = NAMES.map(|name| format!("{name}.lab"));
    let made = rcgen::generate_simple_self_signed(names.to_vec()).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let certificate = made.cert.der().clone();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let mut tls =
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    (TlsAcceptor::from(Arc::new(tls)), roots)
}

/// Knows where everybody is.
pub fn guard() -> Arc<Guard> {
    Arc::new(Guard::new(hosts()))
}

async fn read(request: Request<hyper::body::Incoming>) -> Asked {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = parts.uri.host().or(host).unwrap_or_default();
    Asked {
        host: host.split(':').next().unwrap_or_default().to_owned(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        version: parts.version,
        headers: parts.headers,
        body: body.collect().await.map(|body| body.to_bytes()).unwrap_or_default(),
    }
}

/// Takes for an image whatever begins like one.
struct Pretence;

impl Intake for Pretence {
    fn look(&self, _: OverlayFormat, file: Bytes) -> Outcome<'_> {
        Box::pin(async move {
            if file.starts_with(PNG) {
                return Ok(Look { width: 1920, height: 324, frames: 1, duration_ms: 0 });
            }
            Err(AskError::Image("no image".to_owned()))
        })
    }
}

pub fn intake() -> impl Intake {
    Pretence
}

pub fn auction() -> Auction {
    let context = Context {
        slot: SlotName { channel: "kitchen".parse().unwrap(), broadcast: 7, cue: CueId::new("a") },
        at: 1_764_090_000_000,
        starts_at: 0,
        counts_until: 0,
        format: OverlayFormat::LowerThird,
        duration_ms: 15_000,
        class: DisplayClass::Server,
        title: "Soup".into(),
        category: None,
        tags: Default::default(),
        hashtags: Default::default(),
        language: None,
        engagement: 0,
        viewers: 100,
        blocked_categories: Default::default(),
    };
    Auction {
        context: Arc::new(context),
        cohort: Cohort::everybody(),
        audience: 100,
        floor: Money::per_impression(1_000_000),
        deals: Vec::new(),
        seed: 5,
    }
}

pub fn reply(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).body(body.into()).unwrap()
}

pub fn redirect(location: &str) -> Response<Body> {
    Response::builder().status(302).header("location", location).body(Body::empty()).unwrap()
}

/// A body without an end.
pub fn endless() -> Body {
    Body::new(Endless(Bytes::from(vec![b'x'; 64 << 10])))
}

struct Endless(Bytes);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(http_body::Frame::data(self.0.clone()))))
    }
}

/// A body that breaks off. Before that it is longer than what a server of HTTP/1.1 keeps until it is sent, so its start has gone out.
pub fn broken_off() -> Body {
    Body::new(BrokenOff(7))
}

struct BrokenOff(usize);

impl http_body::Body for BrokenOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, io::Error>>> {
        let Some(left) = self.0.checked_sub(1) else {
            return Poll::Ready(Some(Err(io::Error::other("the cable is cut"))));
        };
        self.0 = left;
        Poll::Ready(Some(Ok(http_body::Frame::data(vec![b'x'; 64 << 10].into()))))
    }
}

/// A bid of a price for a thousand, with an image.
pub fn bid(asked: &Asked, price: f64) -> Response<Body> {
    let request: Value = serde_json::from_slice(&asked.body).unwrap();
    let port = asked.header("x-port").unwrap();
    let at = |path: &str| format!("https://tag.lab:{port}/{}{path}", asked.host);
    let image = format!("https://cdn.lab:{port}/a.png");
    let bid = json!({
        "id": "b1", "impid": "1", "price": price, "crid": "cr", "adomain": ["brand.example"], "mtype": 1, "adm": image,
        "w": 1920, "h": 324,
        "nurl": at("/won?p=${AUCTION_PRICE}"), "lurl": at("/lost?r=${AUCTION_LOSS}"),
        "burl": at("/bill?m=${AUCTION_MULTIPLIER}&p=${AUCTION_PRICE}"),
    });
    let body = json!({ "id": request["id"], "cur": "USD", "seatbid": [{ "seat": "s", "bid": [bid] }] });
    reply(200, body.to_string())
}
