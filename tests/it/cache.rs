//! A cache in front of low-latency HLS: Debian's nginx, two hundred players, one request a part at the server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use crate::support::{Encoder, Fixture, Server, http, in_time};

const PLAYERS: usize = 200;
const PARTS: usize = 4;

/// nginx with a cache on an address of its own, dead with its handle.
struct Cache {
    address: SocketAddr,
    folder: TempDir,
    _nginx: Child,
}

impl Cache {
    async fn start(origin: SocketAddr) -> Self {
        let folder = TempDir::new().expect("a temporary directory");
        // An address that no other process uses: the port cannot be taken.
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = SocketAddr::from(([127, 77, high, low], 8080));
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, settings(folder.path(), address, origin)).expect("a file");
        let mut nginx = Command::new("nginx")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .arg("-p")
            .arg(folder.path())
            .arg("-c")
            .arg(&config)
            .args(["-e", "stderr"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx (scripts/install-packages test installs it)");
        let mut lines = BufReader::new(nginx.stderr.take().expect("a pipe")).lines();
        let started = async {
            while let Some(line) = lines.next_line().await.expect("text") {
                if line.contains("using the \"epoll\" event method") {
                    return;
                }
            }
            panic!("nginx has ended");
        };
        in_time("the start of nginx", started).await;
        // nginx goes on to write, and must not find the pipe closed.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { address, folder, _nginx: nginx }
    }

    /// How often each file was asked of the server; playlists by their query.
    fn origin_requests(&self) -> BTreeMap<String, usize> {
        let log = std::fs::read_to_string(self.folder.path().join("access.log")).expect("a log");
        let mut requests = BTreeMap::new();
        for line in log.lines() {
            let (upstream, uri) = line.split_once(' ').expect("two fields");
            if upstream != "-" {
                *requests.entry(uri.to_owned()).or_default() += 1;
            }
        }
        requests
    }
}

/// What an operator would write, but in one process, which ends with its handle, and all files in one folder. The times are above those for which the server holds a
/// request.
fn settings(folder: &Path, address: SocketAddr, origin: SocketAddr) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; user root root; pid {folder}/pid; error_log stderr notice;
        events {{ worker_connections 4096; }}
        http {{
            log_format origin '$upstream_status $request_uri';
            access_log {folder}/access.log origin;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            proxy_cache_path {folder}/cache keys_zone=hls:10m;
            server {{
                listen {address} backlog=4096;
                location / {{
                    proxy_pass http://{origin};
                    proxy_cache hls;
                    proxy_cache_lock on;
                    proxy_cache_lock_timeout 10s;
                    proxy_cache_lock_age 10s;
                }}
            }}
        }}"
    )
}

/// Where the next part will be: segment and part number.
type Place = (u64, u64);

fn hinted(playlist: &str) -> Place {
    let hint = playlist.split("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"").nth(1).expect("a hint");
    let mut numbers = hint.split('.').map(|number| number.parse::<u64>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(segment)), Some(Ok(part))) => (segment, part),
        _ => panic!("{hint}"),
    }
}

async fn text(server: SocketAddr, path: &str) -> String {
    let response = http::request(server, "GET", path, &[], &[]).await;
    assert_eq!(response.status, 200, "{path}");
    String::from_utf8(response.bytes().await).expect("text")
}

/// Waits for a part as players do: asks for the playlist that has it and for the part itself, before either exists.
/// Gives what the playlist then hints at.
async fn follow(cache: SocketAddr, folder: String, (segment, part): Place) -> Place {
    let playlist = format!("{folder}index.m3u8?_HLS_msn={segment}&_HLS_part={part}");
    let media = format!("{folder}{segment}.{part}.m4s");
    let (playlist, media) = tokio::join!(text(cache, &playlist), async {
        let response = http::request(cache, "GET", &media, &[], &[]).await;
        assert_eq!(response.status, 200, "{media}");
        response.bytes().await
    });
    assert!(media.len() > 100 && &media[4..8] == b"moof", "a part");
    assert!(playlist.contains(&format!("URI=\"{segment}.{part}.m4s\"")), "{playlist}");
    hinted(&playlist)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_players_behind_a_cache_cost_one_request_a_part() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let cache = Cache::start(server.http).await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let fixture = Fixture::read("h264-aac");
    let until = |millis: u32| fixture.tags.iter().position(|tag| tag.timestamp_ms >= millis).expect("longer");
    // Two keyframes tell the pace.
    let mut sent = until(2_500);
    encoder.send(&fixture.tags[..sent]).await;

    let multivariant = text(server.http, "/hls/kitchen/index.m3u8").await;
    let main = multivariant.lines().rfind(|line| !line.starts_with('#')).expect("a playlist");
    let folder = format!("/hls/kitchen/{}/", main.rsplit_once('/').expect("a folder").0);
    let mut next = hinted(&text(server.http, &format!("{folder}index.m3u8")).await);
    let mut followed = Vec::new();
    for round in 1..=PARTS {
        followed.push(next);
        let mut players = JoinSet::new();
        (0..PLAYERS).for_each(|_| drop(players.spawn(follow(cache.address, folder.clone(), next))));
        // Both requests are at the server before there is an answer.
        server.until_at("onair_hls_waiting", 2.0).await;
        let more = until(2_500 + round as u32 * 400);
        encoder.send(&fixture.tags[sent..more]).await;
        sent = more;
        let hints = in_time("the players' parts", players.join_all()).await;
        next = *hints.iter().max().expect("players");
    }

    let requests = cache.origin_requests();
    for (segment, part) in followed {
        let media = format!("{folder}{segment}.{part}.m4s");
        let playlist = format!("{folder}index.m3u8?_HLS_msn={segment}&_HLS_part={part}");
        assert_eq!(requests.get(&media), Some(&1), "{media}: {requests:?}");
        assert_eq!(requests.get(&playlist), Some(&1), "{playlist}: {requests:?}");
    }
}
