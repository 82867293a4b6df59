//! A bidder outside, from its first request to its bill.

use std::convert::Infallible;
use std::io::Cursor;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use image::{ImageFormat, Rgb, RgbImage};
use onair::auction::bidder::openrtb::Settings;
use onair::format::link::Link;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::check_pictures;
use super::guided::{BROWSER, Page, tell};
use super::stage::Stage;
use crate::overlay::stage::TURN;
use crate::support::http::request;
use crate::support::{Viewer, in_time};

/// 6.50 for a thousand impressions, in nanos for one.
pub const PRICE: i64 = 6_500_000;

/// An image, and one that is asked for when it is shown.
const BANNER: &str = r#"<a href="https://soup.example/?b=${AUCTION_IMP_ID}"><img src="ORIGIN/a.png"></a>
    <img src="ORIGIN/shown?n=${AUCTION_MULTIPLIER}" width="1" height="1">"#;
/// The same in a document, with everything else that may become of it.
const VAST: &str = "<VAST version='4.2'><Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle>\
    <Impression>ORIGIN/shown?n=${AUCTION_MULTIPLIER}</Impression>\
    <ViewableImpression><Viewable>ORIGIN/seen?n=${AUCTION_MULTIPLIER}</Viewable></ViewableImpression>\
    <Creatives><Creative><NonLinearAds><TrackingEvents>\
    <Tracking event='creativeView'>ORIGIN/view?n=${AUCTION_MULTIPLIER}</Tracking>\
    <Tracking event='midpoint'>ORIGIN/half?n=${AUCTION_MULTIPLIER}</Tracking>\
    <Tracking event='complete'>ORIGIN/whole?n=${AUCTION_MULTIPLIER}</Tracking></TrackingEvents>\
    <NonLinear width='1920' height='324'><StaticResource creativeType='image/png'>ORIGIN/a.png</StaticResource>\
    <NonLinearClickThrough>https://soup.example/?b=${AUCTION_IMP_ID}&amp;p=${AUCTION_PRICE}</NonLinearClickThrough>\
    <NonLinearClickTracking>ORIGIN/click?n=${AUCTION_MULTIPLIER}</NonLinearClickTracking></NonLinear>\
    </NonLinearAds></Creative></Creatives></InLine></Ad></VAST>";

/// A bidder that also serves its image and takes its notices.
pub struct Dsp {
    port: u16,
    certificate: String,
    /// What it bids with; `ORIGIN` stands for itself.
    markup: &'static str,
    /// The requests, and the paths of everything else.
    pub requests: Mutex<Vec<Value>>,
    calls: Mutex<Vec<String>>,
}

impl Dsp {
    pub async fn open() -> Arc<Self> {
        Self::open_with(BANNER).await
    }

    async fn open_with(markup: &'static str) -> Arc<Self> {
        let made = rcgen::generate_simple_self_signed(["dsp.lab".to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let tls = ServerConfig::builder().with_no_client_auth();
        let tls = tls.with_single_cert(vec![made.cert.der().clone()], key).expect("its key");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let certificate = made.cert.pem();
        let (requests, calls) = Default::default();
        let dsp = Arc::new(Self { port, certificate, markup, requests, calls });
        let serving = Arc::clone(&dsp);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, dsp) = (acceptor.clone(), Arc::clone(&serving));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| Arc::clone(&dsp).serve(request));
                    drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        dsp
    }

    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let answer = match path.as_str() {
            "/rtb" => {
                let request: Value = serde_json::from_slice(&body).expect("JSON");
                let answer = self.bid(&request).to_string();
                self.requests.lock().expect("no panic").push(request);
                answer.into()
            }
            "/a.png" => white(),
            _ => Bytes::new(),
        };
        if path != "/rtb" {
            self.calls.lock().expect("no panic").push(path);
        }
        Ok(Response::new(Full::new(answer)))
    }

    fn bid(&self, request: &Value) -> Value {
        let at = |path: &str| format!("https://dsp.lab:{}{path}", self.port);
        let kind = if self.markup.starts_with("<VAST") { 2 } else { 1 };
        let bid = json!({
            "id": "b1", "impid": "1", "price": 6.5, "crid": "soup", "adomain": ["soup.example"], "mtype": kind,
            "adm": self.markup.replace("ORIGIN", &at("")), "w": 1920, "h": 324, "nurl": at("/won?p=${AUCTION_PRICE}"),
            "lurl": at("/lost?r=${AUCTION_LOSS}"), "burl": at("/bill?m=${AUCTION_MULTIPLIER}"),
        });
        json!({ "id": request["id"], "cur": "USD", "seatbid": [{ "bid": [bid] }] })
    }

    /// A stage where it is asked; `burned` when it takes what the server counts.
    pub async fn stage(&self, burned: bool) -> Stage {
        // Read when the server starts.
        let trust = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(trust.path(), &self.certificate).expect("it is written");
        let url = Link::parse(&format!("https://dsp.lab:{}/rtb", self.port)).expect("a link");
        Stage::set(|config| {
            config.sale.bidders = vec![Settings {
                banner: true,
                accepts_server_counts: burned,
                credit_limit: 100,
                ..Settings::new("dsp", url)
            }];
            config.sale.hosts = [("dsp.lab".to_owned(), "127.0.0.1".parse().expect("an address"))].into();
            config.sale.trust = Some(trust.path().to_owned());
            // As long as a slow machine needs.
            config.sale.deadline = std::time::Duration::from_secs(2);
            config.sale.bidders[0].timeout = std::time::Duration::from_secs(2);
            config.sale.decide_ahead = std::time::Duration::from_secs(3);
        })
        .await
    }

    pub fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }
}

fn white() -> Bytes {
    let mut file = Cursor::new(Vec::new());
    let image = RgbImage::from_pixel(1920, 324, Rgb([255; 3]));
    image.write_to(&mut file, ImageFormat::Png).expect("a PNG");
    file.into_inner().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bidder_outside_wins_once_its_creative_is_at_hand_and_pays_for_what_was_shown() {
    let _turn = TURN.lock().await;
    let dsp = Dsp::open().await;
    let stage = dsp.stage(true).await;
    let mut viewers = Viewer::of_each(&stage.server, "kitchen").await;
    for viewer in &mut viewers {
        viewer.frames(100).await;
    }
    let first = stage.cue(json!({ "duration_ms": 2000, "format": "lower_third" })).await;
    let over = stage.over(&first, &mut viewers).await;
    assert_eq!(over["outcome"], json!({ "what": "no_bid" }), "{over}");
    let verdict = &over["traces"][0]["decision"]["verdicts"][0]["why_not"];
    assert_eq!(verdict, "creative", "nobody has seen it yet: {over}");
    let ready = r#"onair_bidder_creatives_total{bidder="dsp",result="ready"}"#;
    stage.server.until_counted(ready, 1.0).await;

    // Nobody has the first slot, but it is that time's.
    let after = over["start_ns"].as_i64().expect("a start") + 6_000_000_000;
    let second = stage.cue(json!({ "duration_ms": 2000, "start_ns": after, "format": "lower_third" })).await;
    let settled = stage.settled(&second, &mut viewers).await;
    assert_eq!(settled["outcome"], json!({ "what": "completed" }), "{settled}");
    assert_eq!(settled["settled"], json!({ "reserved": 3 * PRICE, "spent": 2 * PRICE }), "{settled}");
    let taken = r#"onair_bidder_notices_total{bidder="dsp",result="bill_taken"}"#;
    stage.server.until_counted(taken, 1.0).await;
    in_time("all calls", async {
        while dsp.calls().len() < 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut calls = dsp.calls();
    calls.sort();
    assert_eq!(calls, ["/a.png", "/bill?m=2", "/lost?r=201", "/shown?n=2", "/won?p=6.5"]);
    let requests = dsp.requests.lock().expect("no panic").clone();
    assert_eq!(requests.len(), 2, "one for each cue");
    assert_eq!((&requests[1]["imp"][0]["ssai"], &requests[1]["device"]), (&json!(3), &Value::Null));
    for viewer in &viewers {
        check_pictures(viewer, std::slice::from_ref(&settled)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_lead_to_what_a_bidder_sells_and_it_is_told_what_they_made_of_it() {
    for (markup, leads_to) in [(BANNER, "https://soup.example/?b=1"), (VAST, "https://soup.example/?b=1&p=")]
    {
        let _turn = TURN.lock().await;
        let dsp = Dsp::open_with(markup).await;
        let stage = dsp.stage(false).await;
        let guided = json!({ "delivery": "guided" });
        stage.operator("PUT", "/api/v1/channels/kitchen/sale", guided, 204).await;
        let mut viewer = Viewer::rtmp(&stage.server, "kitchen").await;
        viewer.frames(50).await;
        let mut pages = [Page::open(&stage, "").await, Page::open(&stage, "").await];
        let first = stage.cue(json!({ "duration_ms": 1000 })).await;
        let over = stage.over(&first, std::slice::from_mut(&mut viewer)).await;
        assert_eq!(over["outcome"], json!({ "what": "no_bid" }), "nobody has seen it yet: {over}");
        let ready = r#"onair_bidder_creatives_total{bidder="dsp",result="ready"}"#;
        stage.server.until_counted(ready, 1.0).await;

        let start = viewer.frame().await.dts + 5000;
        let cue = stage.cue(json!({ "duration_ms": 2000, "start_ns": start * 1_000_000 })).await;
        let mut tokens = Vec::new();
        for page in &mut pages {
            let placement = page.placement().await;
            assert_eq!(placement["advertiser"], "soup.example");
            tokens.push(placement["token"].as_str().expect("a token").to_owned());
        }
        let told = async |token: &str, event: &str| {
            assert_eq!(tell(&stage, "POST", &format!("/i/{token}/{event}")).await, 204, "{event}");
        };
        while viewer.frame().await.dts < start + 1100 {}
        for token in &tokens {
            told(token, "display").await;
            told(token, "viewable").await;
        }
        told(&tokens[0], "midpoint").await;
        // Sooner than anybody clicks it would not count.
        while viewer.frame().await.dts < start + 1700 {}
        let path = format!("/c/{}", tokens[0]);
        let agent = [("user-agent", BROWSER)];
        let click = request(stage.server.http, "GET", &path, &agent, b"").await;
        assert_eq!((click.status, click.header("location")), (302, Some(leads_to)));

        let settled = stage.settled(&cue, std::slice::from_mut(&mut viewer)).await;
        assert_eq!(settled["settled"]["spent"], 2 * PRICE, "{settled}");
        let told = ["/shown?n=2", "/seen?n=2", "/view?n=2", "/half?n=1", "/click?n=1"];
        let told = if markup == VAST { &told[..] } else { &told[..1] };
        in_time("all calls", async {
            while !told.iter().all(|path| dsp.calls().iter().any(|call| call == path)) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert!(!dsp.calls().iter().any(|call| call.starts_with("/whole")), "nobody has seen all of it");
        let report = stage.operator("GET", "/api/v1/reports", Value::Null, 200).await;
        let client = &report["total"]["client"];
        let counts = ["charged", "viewable", "midpoint", "complete", "click"].map(|name| &client[name]);
        assert_eq!(counts, [&json!(2), &json!(2), &json!(1), &json!(0), &json!(1)], "{report}");
        let server = &report["total"]["server"];
        assert_eq!((&server["charged"], &server["click"]), (&json!(0), &Value::Null), "{report}");
    }
}
