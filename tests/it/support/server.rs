//! The server under test, in this process, on ports and a directory of its own.

use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use onair::app::App;
use onair::config::Config;
use onair::hub;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http::{Response, request};
use super::in_time;

/// A running server; dropping it ends it with the test's runtime, and removes its data.
pub struct Server {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where RTMP is served.
    pub rtmp: SocketAddr,
    /// Where WebRTC's datagrams go.
    pub udp: SocketAddr,
    /// What operators show.
    pub token: String,
    app: App,
    /// Removed when the server goes.
    _data: TempDir,
}

/// A channel, and the key to publish to it.
#[derive(Clone, Debug)]
pub struct Channel {
    /// The lasting name.
    pub name: String,
    /// The publisher's secret.
    pub key: String,
}

impl Server {
    /// A server with the default settings.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with changed settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let data = TempDir::new().expect("a temporary directory");
        let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config::default();
        config.data.dir = data.path().to_owned();
        config.http.listen = Some(anywhere);
        config.rtmp.listen = Some(anywhere);
        config.webrtc.listen = Some(anywhere);
        config.log.filter = std::env::var("ONAIR_TEST_LOG").unwrap_or_else(|_| "off".to_owned());
        change(&mut config);
        let app = App::start(&config, onair::log::init(&config.log)).await.expect("the server starts");
        let token = std::fs::read_to_string(data.path().join("admin-token")).expect("an admin token");
        let at = |port: Option<u16>| SocketAddr::from((Ipv4Addr::LOCALHOST, port.expect("a listener")));
        Self {
            http: at(app.ports.http),
            rtmp: at(app.ports.rtmp),
            udp: at(app.ports.webrtc),
            token: token.trim().to_owned(),
            app,
            _data: data,
        }
    }

    /// A server whose memory holds whatever a test publishes faster than real time, and whose broadcasts end with
    /// their publisher.
    pub async fn patient() -> Self {
        Self::with(|config| {
            config.broadcast.window = std::time::Duration::from_secs(3600);
            config.broadcast.window_frames = 1_000_000;
            config.broadcast.resume_window = std::time::Duration::from_millis(1);
        })
        .await
    }

    /// Makes a channel over the API.
    pub async fn channel(&self, name: &str) -> Channel {
        make_channel(self.http, &self.token, name).await
    }

    /// An operator's request.
    pub async fn operator(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        operator(self.http, &self.token, method, path, body).await
    }

    /// The channel as the operator sees it.
    pub async fn show(&self, name: &str) -> Value {
        self.operator("GET", &format!("/api/v1/channels/{name}"), None).await.json().await
    }

    /// Waits until the channel is, or is not, on the air.
    pub async fn until_live(&self, name: &str, live: bool) {
        in_time(&format!("live: {live}"), async { while self.show(name).await["live"] != live {} }).await;
    }

    /// Waits until so many tracks of the channel are known.
    pub async fn until_tracks(&self, name: &str, count: usize) {
        let known = async { while self.show(name).await["tracks"].as_array().map_or(0, Vec::len) < count {} };
        in_time(&format!("{count} tracks"), known).await;
    }

    /// The channel inside the server.
    pub fn on_hub(&self, name: &str) -> Arc<hub::Channel> {
        self.app.hub().channel(&name.parse().expect("a name")).expect("a channel")
    }

    /// What the server counts.
    pub async fn metrics(&self) -> Metrics {
        Metrics::fetch(self.http).await
    }

    /// Waits until a metric, with its labels as in the text form, has at least this value.
    pub async fn until_counted(&self, metric: &str, least: f64) {
        let what = format!("{metric} >= {least}");
        in_time(&what, async { while self.metrics().await.value(metric) < least {} }).await;
    }

    /// Waits until a gauge stands at this value.
    pub async fn until_at(&self, metric: &str, value: f64) {
        let what = format!("{metric} = {value}");
        in_time(&what, async { while self.metrics().await.value(metric) != value {} }).await;
    }
}

/// An operator's request to the server at `http`.
pub async fn operator(
    http: SocketAddr,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> Response {
    let authorization = format!("Bearer {token}");
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
    request(http, method, path, &headers, body.as_bytes()).await
}

/// Makes a channel on the server at `http`.
pub async fn make_channel(http: SocketAddr, token: &str, name: &str) -> Channel {
    let response = operator(http, token, "POST", "/api/v1/channels", Some(json!({ "name": name }))).await;
    assert_eq!(response.status, 201, "channel {name} is made");
    let made = response.json().await;
    let key = made["stream_key"].as_str().expect("a stream key").to_owned();
    Channel { name: name.to_owned(), key }
}

/// What a server counted at a moment.
pub struct Metrics(HashMap<String, f64>);

impl Metrics {
    /// Asks the server at `http`.
    pub async fn fetch(http: SocketAddr) -> Self {
        let response = request(http, "GET", "/metrics", &[], b"").await;
        assert_eq!(response.status, 200, "/metrics answers");
        let text = String::from_utf8(response.bytes().await).expect("metrics are text");
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            (name.to_owned(), value.parse().expect("a number"))
        };
        Self(lines.map(read).collect())
    }

    /// A metric by its name and labels as in the text form; what was never counted is 0.
    pub fn value(&self, metric: &str) -> f64 {
        self.0.get(metric).copied().unwrap_or(0.0)
    }

    /// The names, with labels, of all there are but those of HTTP, which counts our asking.
    pub fn series(&self) -> BTreeSet<String> {
        self.0.keys().filter(|name| !name.starts_with("onair_http")).cloned().collect()
    }
}
