//! The real program, as an operator runs it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::in_time;
use super::server::{self, Channel, Metrics};

/// A running `onair serve`, killed when dropped.
pub struct Process {
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where RTMP is served.
    pub rtmp: SocketAddr,
    /// Its configuration.
    pub config: PathBuf,
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    token: String,
    directory: TempDir,
}

/// The program.
pub const ONAIR: &str = env!("CARGO_BIN_EXE_onair");

/// A configuration that listens anywhere, with `more` in it, in the directory.
pub fn write_config(directory: &Path, more: &str) -> PathBuf {
    let path = directory.join("config.toml");
    let data = directory.join("data");
    let data = data.display();
    std::fs::write(&path, format!("[data]\ndir = \"{data}\"\n[log]\nformat = \"json\"\n{more}"))
        .expect("room");
    path
}

impl Process {
    /// Starts it with these sections beside `[data]` and `[log]`; listeners are chosen by the system.
    pub async fn start(more: &str) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        write_config(directory.path(), more);
        Self::run(directory).await
    }

    /// Kills it as the kernel does when memory is short, and starts another on the same data.
    pub async fn killed_and_started_again(mut self) -> Self {
        self.child.kill().await.expect("it runs");
        Self::run(self.directory).await
    }

    async fn run(directory: TempDir) -> Self {
        let config = directory.path().join("config.toml");
        let mut command = Command::new(ONAIR);
        command.args(["serve", "--config"]).arg(&config).kill_on_drop(true);
        for listener in ["HTTP", "RTMP", "WEBRTC"] {
            command.env(format!("ONAIR_{listener}__LISTEN"), "127.0.0.1:0");
        }
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let serving = until_logged(&mut log, "serving").await;
        let port = |name: &str| {
            let (_, after) = serving.split_once(&format!("{name}: Some(")).expect("a port in the log");
            let port = after.split(')').next().and_then(|port| port.parse().ok()).expect("a port");
            SocketAddr::from((Ipv4Addr::LOCALHOST, port))
        };
        let token =
            std::fs::read_to_string(directory.path().join("data/admin-token")).expect("an admin token");
        let token = token.trim().to_owned();
        let (http, rtmp) = (port("{ http"), port(" rtmp"));
        Self { http, rtmp, config, child, log, token, directory }
    }

    /// Makes a channel over the API.
    pub async fn channel(&self, name: &str) -> Channel {
        server::make_channel(self.http, &self.token, name).await
    }

    /// What operators show.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What the server counts.
    pub async fn metrics(&self) -> Metrics {
        Metrics::fetch(self.http).await
    }

    /// Sends a signal, as `kill` names it.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        super::tools::run("kill", ["-s", name, &pid]).await;
    }

    /// Waits until it logs this message; gives the line.
    pub async fn logs(&mut self, message: &str) -> String {
        until_logged(&mut self.log, message).await
    }

    /// Memory that it holds and that no file backs, in bytes.
    pub fn memory(&self) -> u64 {
        let pid = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
    }

    /// Waits for its end.
    pub async fn exited(mut self) -> ExitStatus {
        // Its last lines must have room.
        let rest = async { while let Ok(Some(_)) = self.log.next_line().await {} };
        let (status, ()) = in_time("its end", async { tokio::join!(self.child.wait(), rest) }).await;
        status.expect("an exit status")
    }
}

async fn until_logged(log: &mut Lines<BufReader<ChildStderr>>, message: &str) -> String {
    let found = async {
        while let Some(line) = log.next_line().await.expect("a log") {
            if line.contains(message) {
                return line;
            }
        }
        panic!("it ended without logging {message:?}");
    };
    in_time(message, found).await
}
