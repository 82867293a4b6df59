//! The servers that can be measured, and how each is started and told of a stream.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::child::{ServerProcess, TemporaryFolder};
use super::http::{self, HttpError};
use super::target::{Target, TargetError};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(15);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(50);
/// Where Debian puts what the peer needs.
const NGINX: &str = "/usr/sbin/nginx";
const NGINX_RTMP: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";

/// Why there is no server to measure.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// It cannot be started.
    #[error("cannot start the server: {0}")]
    Start(#[from] io::Error),
    /// It has ended at once.
    #[error("the server has ended: {0}")]
    Ended(String),
    /// It does not answer.
    #[error("the server does not answer within {} s", START.as_secs())]
    Silent,
    /// It makes no channel.
    #[error("the server makes no channel: {0}")]
    Channel(#[from] HttpError),
    /// The answer about the channel is not understood.
    #[error("the server's answer about the channel is not understood: {0}")]
    Answer(#[from] serde_json::Error),
    /// It names a URL that is none.
    #[error(transparent)]
    Url(#[from] TargetError),
    /// The peer is not installed.
    #[error("{0} is not there: install Debian's packages nginx and libnginx-mod-rtmp")]
    NotInstalled(&'static str),
    /// The peer cannot do this.
    #[error("nginx-rtmp has no {0}")]
    Unable(&'static str),
}

/// Where one stream goes in and comes out.
#[derive(Clone, Debug, Deserialize)]
pub struct Urls {
    /// Takes the stream in, over RTMP.
    pub publish: String,
    /// Gives it out.
    pub rtmp: Option<String>,
    /// Gives it out.
    pub flv: Option<String>,
    /// Gives it out.
    pub hls: Option<String>,
    /// Gives it out.
    pub whep: Option<String>,
}

#[derive(Deserialize)]
struct CreatedChannel {
    urls: Urls,
}

/// A server that is running.
#[derive(Debug)]
pub struct Server {
    /// What it is called in the report.
    pub name: String,
    kind: Kind,
    // Before the folder, so that the server has ended when the folder goes.
    process: ServerProcess,
    _folder: TemporaryFolder,
}

#[derive(Debug)]
enum Kind {
    Onair { http: SocketAddr, token: String },
    NginxRtmp { rtmp: SocketAddr },
}

impl Server {
    /// Starts `onair serve` with the default settings but for its ports and room for `clients` connections.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn onair(program: Option<&Path>, core: usize, clients: usize) -> Result<Self, ServerError> {
        Self::onair_with(program, core, clients, "").await
    }

    /// The same with more sections of the configuration.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn onair_with(
        program: Option<&Path>,
        core: usize,
        clients: usize,
        more: &str,
    ) -> Result<Self, ServerError> {
        let folder = TemporaryFolder::create("onair")?;
        let (http, rtmp, webrtc) = (free_address()?, free_address()?, free_address()?);
        let data = folder.path().join("data");
        let connections = clients + 1000;
        let config = format!(
            "[data]\ndir = {data:?}\n\
             [log]\nfilter = \"warn\"\n\
             [http]\nlisten = \"{http}\"\nmax_connections = {connections}\n\
             [rtmp]\nlisten = \"{rtmp}\"\nmax_connections = {connections}\n\
             [webrtc]\nlisten = \"{webrtc}\"\nmax_sessions = {connections}\n{more}"
        );
        let config = folder.write("config.toml", &config)?;
        let program = program.map_or_else(std::env::current_exe, |program| Ok(PathBuf::from(program)))?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(config);
        let mut process = ServerProcess::start(command, core, &folder)?;
        // Its listeners are there before it can answer.
        until_ready(&mut process, async || is_ready(http).await).await?;
        let token = std::fs::read_to_string(data.join("admin-token"))?.trim().to_owned();
        let kind = Kind::Onair { http, token };
        Ok(Self { name: "onair".to_owned(), kind, process, _folder: folder })
    }

    /// Starts Debian's nginx with the rtmp module: one worker, and its default settings but for its port and room
    /// for `clients` connections.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn nginx_rtmp(core: usize, clients: usize) -> Result<Self, ServerError> {
        for file in [NGINX, NGINX_RTMP] {
            if !Path::new(file).exists() {
                return Err(ServerError::NotInstalled(file));
            }
        }
        let folder = TemporaryFolder::create("nginx")?;
        let rtmp = free_address()?;
        let connections = clients + 1000;
        let path = folder.path().display();
        let config = format!(
            "load_module {NGINX_RTMP};\n\
             daemon off;\n\
             worker_processes 1;\n\
             worker_rlimit_nofile {files};\n\
             pid {path}/pid;\n\
             error_log {path}/error.log error;\n\
             events {{ worker_connections {connections}; }}\n\
             rtmp {{ access_log off; server {{ listen {rtmp}; application live {{ live on; }} }} }}\n",
            files = connections + 100,
        );
        let config = folder.write("nginx.conf", &config)?;
        let mut command = Command::new(NGINX);
        command.arg("-c").arg(config).arg("-p").arg(folder.path());
        let mut process = ServerProcess::start(command, core, &folder)?;
        until_ready(&mut process, async || TcpStream::connect(rtmp).await.is_ok()).await?;
        Ok(Self { name: "nginx-rtmp".to_owned(), kind: Kind::NginxRtmp { rtmp }, process, _folder: folder })
    }

    /// Where it serves HTTP, if it is ours.
    pub const fn http(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Onair { http, .. } => Some(*http),
            Kind::NginxRtmp { .. } => None,
        }
    }

    /// Its process, the root of all that it consists of.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it said last, if it has ended.
    pub fn epitaph(&mut self) -> Option<String> {
        self.process.epitaph()
    }

    /// Makes a place for a stream.
    ///
    /// # Errors
    /// See [`ServerError`].
    pub async fn channel(&self, name: &str) -> Result<Urls, ServerError> {
        match &self.kind {
            Kind::Onair { http, token } => {
                let stream = TcpStream::connect(http).await?;
                let json = format!("{{\"name\":\"{name}\"}}");
                let mut connection = http::Connection::new(stream);
                let response = connection.post(&http.to_string(), "/api/v1/channels", token, &json).await?;
                Ok(serde_json::from_slice::<CreatedChannel>(&response.body)?.urls)
            }
            Kind::NginxRtmp { rtmp } => {
                let url = format!("rtmp://{rtmp}/live/{name}");
                Ok(Urls { publish: url.clone(), rtmp: Some(url), flv: None, hls: None, whep: None })
            }
        }
    }
}

impl Urls {
    /// One of the URLs where it is played.
    ///
    /// # Errors
    /// When the server does not have it.
    pub fn play(url: Option<&String>, protocol: &'static str) -> Result<Target, ServerError> {
        Ok(url.ok_or(ServerError::Unable(protocol))?.parse()?)
    }
}

/// An address on this machine that nobody listens on.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

async fn is_ready(http: SocketAddr) -> bool {
    let Ok(stream) = TcpStream::connect(http).await else { return false };
    http::Connection::new(stream).get(&http.to_string(), "/readyz").await.is_ok()
}

async fn until_ready(
    process: &mut ServerProcess,
    is_ready: impl AsyncFn() -> bool,
) -> Result<(), ServerError> {
    let start = async {
        while !is_ready().await {
            if let Some(epitaph) = process.epitaph() {
                return Err(ServerError::Ended(epitaph));
            }
            sleep(LOOK).await;
        }
        Ok(())
    };
    timeout(START, start).await.map_err(|_| ServerError::Silent)?
}
