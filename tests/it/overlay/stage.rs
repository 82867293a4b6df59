//! A server with workers, a publisher in real time, an operator who asks for overlays, and processes that come to harm.

use std::collections::HashMap;
use std::time::Duration;

use onair::av::worker::Config;
use serde_json::Value;
use tokio::process::Child;
use tokio::sync::Mutex;

use crate::support::{Channel, Server, Viewer, http, in_time, tools};
use crate::worker::material::{PATIENCE, WORKER};

/// A white image of the lower third's shape.
pub const WHITE: &[u8] = br##"<svg xmlns="http://www.w3.org/2000/svg" width="1920" height="324"><rect width="1920" height="324" fill="#fff"/></svg>"##;

const BOUNDARY: &str = "----onair";

/// Tests that go by real time take turns: together they would ask more of a small machine than it has.
pub static TURN: Mutex<()> = Mutex::const_new(());

/// A server that gives its workers all the time they need, and whose memory holds whatever a test publishes.
pub async fn server(change: impl FnOnce(&mut onair::config::Config)) -> Server {
    Server::with(|config| {
        // One for the image, one for the burn-in.
        let path = Some(WORKER.into());
        config.worker = Config { path, pool: 2, max_jobs: 16, stall_timeout: PATIENCE, ..Config::default() };
        config.overlay.stall_timeout = PATIENCE;
        config.overlay.hand_over_timeout = PATIENCE;
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.window_frames = 1_000_000;
        config.broadcast.resume_window = Duration::from_millis(1);
        config.hls.window = Duration::from_secs(3600);
        config.hls.idle_timeout = Duration::from_secs(3600);
        change(config);
    })
    .await
}

/// Publishes a recording in real time, over and over.
pub fn publish(server: &Server, channel: &Channel, name: &str) -> Child {
    let url = format!("rtmp://{}/live/{}", server.rtmp, channel.key);
    let file = format!("{}/media-fixtures/{name}.flv", env!("CARGO_MANIFEST_DIR"));
    let input = ["-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", &file];
    tools::start(tools::FFMPEG, input.into_iter().chain(["-c", "copy", "-f", "flv", &url]))
}

/// An overlay to be asked for.
pub struct Wish<'a> {
    pub image: &'a [u8],
    pub format: &'a str,
    /// In nanoseconds of media time, or `now`.
    pub start: String,
    pub millis: u64,
}

impl Wish<'_> {
    /// A white lower third as soon as possible.
    pub fn white(millis: u64) -> Self {
        Wish { image: WHITE, format: "lower_third", start: "now".to_owned(), millis }
    }
}

fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(&[head.as_bytes(), value, b"\r\n"].concat());
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// Asks for an overlay; gives its name.
pub async fn ask(server: &Server, channel: &Channel, wish: &Wish<'_>) -> String {
    let duration = wish.millis.to_string();
    let fields: [(&str, &[u8]); 4] = [
        ("image", wish.image),
        ("format", wish.format.as_bytes()),
        ("duration_ms", duration.as_bytes()),
        ("start_ns", wish.start.as_bytes()),
    ];
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let authorization = format!("Bearer {}", channel.key);
    let headers = [("authorization", authorization.as_str()), ("content-type", content_type.as_str())];
    let path = format!("/api/v1/channels/{}/overlays", channel.name);
    let response = http::request(server.http, "POST", &path, &headers, &form(&fields)).await;
    let (status, body) = (response.status, response.json().await);
    assert_eq!(status, 202, "{body}");
    body["id"].as_str().expect("a name").to_owned()
}

/// What has become of an overlay.
pub async fn trace(server: &Server, id: &str) -> Value {
    server.operator("GET", &format!("/api/v1/overlays/{id}"), None).await.json().await
}

/// A slot as its trace tells it. Times are media time in nanoseconds.
#[derive(Clone, Debug)]
pub struct Told {
    /// What was asked for.
    pub start: Option<i64>,
    pub first: i64,
    pub last: i64,
    pub delay: Duration,
}

impl Told {
    /// Reads the trace of an overlay that was shown.
    pub fn of(trace: &Value) -> Self {
        Self {
            start: trace["start_ns"].as_i64(),
            first: trace["first_pts_ns"].as_i64().expect("it was shown"),
            last: trace["last_pts_ns"].as_i64().expect("it was shown"),
            delay: Duration::from_nanos(trace["delay_ns"].as_u64().expect("a delay")),
        }
    }

    /// Whether the overlay is on a picture of this time in milliseconds.
    pub fn is_on(&self, millis: i64) -> bool {
        (self.first..=self.last).contains(&(millis * 1_000_000))
    }
}

/// Asks for an overlay and watches until it is over.
pub async fn shown(server: &Server, channel: &Channel, viewer: &mut Viewer, wish: &Wish<'_>) -> Told {
    let id = ask(server, channel, wish).await;
    loop {
        // Not after every frame: the viewer is to keep step.
        viewer.frames(10).await;
        let trace = trace(server, &id).await;
        if trace["state"] == "over" {
            assert_eq!(trace["ended"], "completed", "{trace}");
            return Told::of(&trace);
        }
    }
}

/// So many slots, or as many as the variable says.
pub fn count(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// Processor time that each living worker of this process has used.
pub fn used() -> HashMap<u32, Duration> {
    let own = std::process::id().to_string();
    let of = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let (parent, user, system) = (fields.get(1)?, fields.get(11)?, fields.get(12)?);
        if !name.ends_with("(onair-worker") || *parent != own {
            return None;
        }
        // In hundredths of a second (proc_pid_stat(5); USER_HZ is 100 on Linux).
        let ticks = user.parse::<u64>().ok()? + system.parse::<u64>().ok()?;
        Some((pid, Duration::from_millis(ticks * 10)))
    };
    let processes = std::fs::read_dir("/proc").expect("proc").filter_map(Result::ok);
    processes.filter_map(|entry| of(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// Whether this is a process that was started for this test alone; if not, starts one and waits for it for so long.
pub async fn alone(test: &str, most: Duration) -> bool {
    const MARK: &str = "ONAIR_TEST_ALONE";
    if std::env::var_os(MARK).is_some() {
        return true;
    }
    let program = std::env::current_exe().expect("this program");
    let run = tokio::process::Command::new(program)
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(most, run).await.expect("the test ends in time").expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{complaints}");
    println!("{said}");
    false
}

/// Reads until the broadcast is over, however long that takes, as long as something comes.
pub async fn until_end(viewer: &mut Viewer) {
    while in_time("a tag", viewer.next()).await.is_some() {}
}
