//! Two bidders of the demonstration: real servers beside this one, which are asked over OpenRTB as any other would be.

mod bid;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::{Path as UrlPath, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::auction::bidder::openrtb::Settings;
use crate::context::Life;
use crate::format::link::{InvalidLink, Link};
use crate::http::{self as onair_http, Server};
use crate::metrics::Metrics;
use crate::net::tls::{CertificateError, Certificates};
use crate::{net, sale};
use bid::{Creative, Markup, Sample, answer};

/// The certificate that they show, in the data directory; `sale.trust` names it.
const CERTIFICATE: &str = "demo-bidders.pem";
/// What each may owe, in units of the currency.
const CREDIT: u64 = 10_000;

/// One buys by VAST, the other by images; both by what they think of the moment, around what the campaigns bid.
const SAMPLES: [Sample; 2] = [
    Sample {
        name: "northlight",
        host: "dsp.northlight.example",
        advertiser: "nordkap.example",
        markup: Markup::Vast,
        lowest_cents: 350,
        steps: 5,
        creatives: &[
            Creative {
                place: "overlay-lower_third",
                file: "lower_third.png",
                size: (1920, 324),
                image: include_bytes!("../creatives/outdoor-lower_third.png"),
            },
            Creative {
                place: "overlay-corner",
                file: "corner.png",
                size: (960, 540),
                image: include_bytes!("../creatives/outdoor-corner.png"),
            },
        ],
    },
    Sample {
        name: "tidewater",
        host: "dsp.tidewater.example",
        advertiser: "novaradio.example",
        markup: Markup::Image,
        lowest_cents: 300,
        steps: 7,
        creatives: &[Creative {
            place: "overlay-lower_third",
            file: "lower_third.png",
            size: (1920, 324),
            image: include_bytes!("../creatives/radio-lower_third.png"),
        }],
    },
];

/// Why there are no bidders.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BiddersError {
    /// No port, or no file for the certificate.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No address.
    #[error(transparent)]
    Link(#[from] InvalidLink),
}

/// Starts both and tells the sale of them. They end with the process. Whoever has configured bidders of their own, or whom to
/// trust, gets none.
///
/// # Errors
/// When there is no port or no certificate for them.
pub async fn begin(config: &mut sale::Config, data: &Path) -> Result<(), BiddersError> {
    if !config.enabled || !config.bidders.is_empty() || config.trust.is_some() {
        return Ok(());
    }
    let hosts = SAMPLES.iter().map(|sample| sample.host.to_owned()).collect();
    let (certificates, pem) = Certificates::made_for(hosts)?;
    fs::create_dir_all(data)?;
    let trust = data.join(CERTIFICATE);
    fs::write(&trust, pem)?;
    for sample in &SAMPLES {
        let listener = net::socket::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        config.bidders.push(sample.settings(port)?);
        config.hosts.insert(sample.host.to_owned(), IpAddr::V4(Ipv4Addr::LOCALHOST));
        tokio::spawn(serve(listener, certificates.clone(), sample.routes(port)));
    }
    config.trust = Some(trust);
    Ok(())
}

/// A server of its own, with the limits of a small one.
async fn serve(listener: TcpListener, certificates: Certificates, routes: Router) {
    let config = onair_http::Config { max_connections: 100, ..onair_http::Config::default() };
    let server = Server::new(&config, &Metrics::new());
    server.serve(listener, Some(certificates.acceptor(onair_http::ALPN)), routes, Life::default()).await;
}

/// A bidder at work.
struct Running {
    sample: &'static Sample,
    port: u16,
    asked: AtomicU64,
}

impl Sample {
    fn settings(&self, port: u16) -> Result<Settings, InvalidLink> {
        let url = Link::parse(&format!("https://{}:{port}/openrtb", self.host))?;
        Ok(Settings {
            banner: self.markup == Markup::Image,
            video: self.markup == Markup::Vast,
            accepts_server_counts: true,
            credit_limit: CREDIT,
            // Price alone decides between them and the campaigns of the house.
            priority: super::advertisers::PRIORITY,
            timeout: Duration::from_millis(120),
            ..Settings::new(self.name, url)
        })
    }

    fn routes(&'static self, port: u16) -> Router {
        Router::new()
            .route("/openrtb", post(bid))
            .route("/creatives/{file}", get(creative))
            .route("/told/{what}", get(told))
            .with_state(Arc::new(Running { sample: self, port, asked: AtomicU64::new(0) }))
    }
}

async fn bid(State(running): State<Arc<Running>>, Json(request): Json<Value>) -> Response {
    let turn = running.asked.fetch_add(1, Ordering::Relaxed);
    match answer(running.sample, running.port, turn, &request) {
        Some(response) => Json(response).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

async fn creative(State(running): State<Arc<Running>>, UrlPath(file): UrlPath<String>) -> Response {
    match running.sample.creatives.iter().find(|creative| creative.file == file) {
        Some(creative) => ([(CONTENT_TYPE, "image/png")], creative.image).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// What became of a bid: won, lost, billed, shown.
async fn told(
    State(running): State<Arc<Running>>,
    UrlPath(what): UrlPath<String>,
    uri: http::Uri,
) -> StatusCode {
    let details = uri.query().unwrap_or_default();
    tracing::debug!(bidder = running.sample.name, what, details, "a bidder of the demonstration was told");
    StatusCode::NO_CONTENT
}
