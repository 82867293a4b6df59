//! The server under test, in this process, with one channel.

use std::net::SocketAddr;
use std::time::Duration;

use onair::app::App;
use onair::config::Config;
use tempfile::TempDir;

/// A server with the channel `kitchen`. Broadcasts may be faster than real time, and end with their publisher.
pub struct Server {
    /// Where RTMP is served.
    pub rtmp: SocketAddr,
    /// Where WHIP and WHEP are served.
    pub http: SocketAddr,
    /// The channel's stream key.
    pub key: String,
    _app: App,
    _data: TempDir,
}

impl Server {
    /// Starts it, on ports of the system's choice.
    pub async fn start() -> Self {
        let data = TempDir::new().expect("a temporary directory");
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::default();
        config.data.dir = data.path().to_owned();
        config.http.listen = Some(anywhere);
        config.rtmp.listen = Some(anywhere);
        config.webrtc.listen = Some(anywhere);
        config.log.filter = "off".to_owned();
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.resume_window = Duration::from_millis(1);
        let app = App::start(&config, onair::log::init(&config.log)).await.expect("the server starts");
        let name = "kitchen".parse().expect("a name");
        let key = app.directory.create(name, "Kitchen".to_owned()).await.expect("a channel");
        let at = |port: Option<u16>| SocketAddr::from(([127, 0, 0, 1], port.expect("a port")));
        let (rtmp, http) = (at(app.ports.rtmp), at(app.ports.http));
        Self { rtmp, http, key: key.expose().to_owned(), _app: app, _data: data }
    }
}
