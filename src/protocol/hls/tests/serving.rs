//! The routes, with a hub behind them: blocking reloads, held parts, limits, headers.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::task::yield_now;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::super::{Config, router};
use super::support::*;
use crate::context::Context;
use crate::http::ClientAddress;
use crate::hub::{self, Hub, Item, Program, Protocol, Publisher};
use crate::media::Frame;
use crate::metrics::Metrics;

/// A server with one channel on the air, and its publisher.
struct Stage {
    router: Router,
    hub: Hub,
    metrics: Metrics,
    publisher: Option<Publisher>,
    frames: std::vec::IntoIter<Frame>,
}

impl Stage {
    fn new(config: &Config) -> Self {
        let hub = Hub::new(hub::Config::default(), Arc::default());
        let context = Context::of(hub.clone());
        let metrics = Metrics::new();
        let channel = hub.create(&"kitchen".parse().unwrap());
        let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
        publisher.configure(picture());
        publisher.configure(sound(1, 0));
        let frames = interleaved([pictures(30.0, 60, 120.0), sounds(SOUND, 120.0)]).into_iter();
        let router = router(config, context, &metrics);
        Self { router, hub, metrics, publisher: Some(publisher), frames }
    }

    /// A stage where a player has loaded the multivariant playlist; and the media playlist's folder.
    async fn playing(config: &Config) -> (Self, String) {
        let mut stage = Self::new(config);
        stage.write(1).await;
        let loading = tokio::spawn(stage.ask(Method::GET, "/hls/kitchen/index.m3u8"));
        yield_now().await;
        stage.write(500).await;
        let text = text(loading.await.unwrap()).await;
        let folder = text.lines().last().unwrap().strip_suffix("index.m3u8").unwrap();
        (stage, format!("/hls/kitchen/{folder}"))
    }

    /// Writes so many frames, and lets everybody read them.
    async fn write(&mut self, count: usize) {
        for index in 0..count {
            self.publisher.as_mut().unwrap().write(self.frames.next().unwrap());
            if index % 50 == 49 {
                settle().await;
            }
        }
        settle().await;
    }

    fn ask(&self, method: Method, path: &str) -> impl Future<Output = Response<Body>> + use<> {
        let address = ClientAddress(Ipv4Addr::LOCALHOST.into());
        let request =
            Request::builder().method(method).uri(path).extension(address).body(Body::empty()).unwrap();
        let router = self.router.clone();
        async move { router.oneshot(request).await.unwrap() }
    }

    async fn get(&self, path: &str) -> Response<Body> {
        self.ask(Method::GET, path).await
    }
}

async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

async fn bytes(response: Response<Body>) -> Bytes {
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap().to_bytes()
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(bytes(response).await.to_vec()).unwrap()
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Media sequence number and index of the part that the playlist hints at.
fn hint(playlist: &str) -> (u64, u64) {
    let line = playlist.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).unwrap();
    let name = line.split('"').nth(1).unwrap().strip_suffix(".m4s").unwrap();
    let (msn, part) = name.split_once('.').unwrap();
    (msn.parse().unwrap(), part.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn blocking_reload_and_hinted_part_are_answered_by_the_next_part() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    let reload = tokio::spawn(stage.get_owned(format!("{folder}index.m3u8?_HLS_msn={msn}&_HLS_part={part}")));
    let early = tokio::spawn(stage.get_owned(format!("{folder}{msn}.{part}.m4s")));
    settle().await;
    assert!(!reload.is_finished() && !early.is_finished());
    stage.write(20).await;
    let reloaded = reload.await.unwrap();
    assert_eq!(header(&reloaded, "cache-control"), "public, max-age=10");
    assert!(text(reloaded).await.contains(&format!("URI=\"{msn}.{part}.m4s\"")));
    let held = bytes(early.await.unwrap()).await;
    assert_eq!(held, bytes(stage.get(&format!("{folder}{msn}.{part}.m4s")).await).await);
}

impl Stage {
    fn get_owned(&self, path: String) -> impl Future<Output = Response<Body>> + use<> {
        self.ask(Method::GET, &path)
    }
}

#[tokio::test(start_paused = true)]
async fn segment_is_its_parts_and_everything_says_how_long_it_may_be_kept() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    stage.write(300).await;
    let multivariant = stage.get("/hls/kitchen/index.m3u8").await;
    assert_eq!(header(&multivariant, "cache-control"), "no-cache");
    assert_eq!(header(&multivariant, "content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(header(&multivariant, "access-control-allow-origin"), "*");

    let segment = stage.get(&format!("{folder}1.m4s")).await;
    assert_eq!(header(&segment, "cache-control"), "public, max-age=86400, immutable");
    assert_eq!(header(&segment, "content-type"), "video/mp4");
    let mut parts = Vec::new();
    for part in 0..10 {
        parts.extend(bytes(stage.get(&format!("{folder}1.{part}.m4s")).await).await);
    }
    assert_eq!(segment.headers()["content-length"], parts.len().to_string());
    assert_eq!(bytes(segment).await, parts);
    assert_eq!(&bytes(stage.get(&format!("{folder}init0.mp4")).await).await[4..8], b"ftyp");

    let head = stage.ask(Method::HEAD, &format!("{folder}1.m4s")).await;
    assert_eq!(header(&head, "content-length"), parts.len().to_string());
    assert!(bytes(head).await.is_empty());
    let playlist = stage.get(&format!("{folder}index.m3u8")).await;
    assert_eq!(header(&playlist, "cache-control"), "public, max-age=1");
}

#[tokio::test(start_paused = true)]
async fn b31_directives_without_sense_are_bad_requests() {
    let (stage, folder) = Stage::playing(&Config::default()).await;
    for query in ["_HLS_part=1", "_HLS_msn=-1", "_HLS_msn=1000000", "_HLS_msn=a", "_HLS_msn=1&_HLS_msn=1"] {
        let response = stage.get(&format!("{folder}index.m3u8?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(header(&response, "cache-control"), "no-store");
    }
}

#[tokio::test(start_paused = true)]
async fn b31_missing_part_does_not_block_for_ever_and_the_unchanged_playlist_is_not_cached() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    stage.publisher = None;
    settle().await;
    let path = format!("{folder}index.m3u8?_HLS_msn={}&_HLS_part={part}", msn + 1);
    let mut waiting = tokio::spawn(stage.get_owned(path));
    assert!(timeout(Duration::from_secs(5), &mut waiting).await.is_err(), "three target durations");
    let late = timeout(Duration::from_secs(2), waiting).await.unwrap().unwrap();
    assert_eq!((late.status(), header(&late, "cache-control")), (StatusCode::OK, "no-store"));
}

#[tokio::test(start_paused = true)]
async fn b31_flood_of_waiting_requests_is_bounded() {
    let config = Config { max_waiting_per_channel: 20, ..Config::default() };
    let (stage, folder) = Stage::playing(&config).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    let path = format!("{folder}index.m3u8?_HLS_msn={msn}&_HLS_part={part}");
    let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(stage.get_owned(path.clone()))).collect();
    settle().await;
    let refused = stage.get(&path).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&refused, "retry-after"), "1");
    assert!(stage.metrics.text().contains("onair_hls_waiting 20\n"), "{}", stage.metrics.text());
    waiting.into_iter().for_each(|request| request.abort());
    settle().await;
    assert!(stage.metrics.text().contains("onair_hls_waiting 0\n"), "a request that is gone does not count");
}

#[tokio::test(start_paused = true)]
async fn b26_other_names_are_not_found() {
    let (stage, folder) = Stage::playing(&Config::default()).await;
    let other = folder.replace("/main/", "/other/");
    let elsewhere = folder.replace("kitchen", "garden");
    for path in [
        "/hls/garden/index.m3u8".to_owned(),
        "/hls/Kitchen/index.m3u8".to_owned(),
        "/hls/kitchen/1-1/main/index.m3u8".to_owned(),
        format!("{folder}9999.m4s"),
        format!("{folder}0.77.m4s"),
        format!("{folder}init7.mp4"),
        format!("{folder}secret.txt"),
        format!("{folder}%30.m4s"),
        format!("{other}index.m3u8"),
        format!("{elsewhere}index.m3u8"),
    ] {
        let response = stage.get(&path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn broadcast_that_ends_tells_waiting_players_so() {
    let (stage, folder) = Stage::playing(&Config::default()).await;
    let (msn, part) = hint(&text(stage.get(&format!("{folder}index.m3u8")).await).await);
    let path = format!("{folder}index.m3u8?_HLS_msn={}&_HLS_part={part}", msn + 1);
    let waiting = tokio::spawn(stage.get_owned(path));
    settle().await;
    stage.hub.end_all();
    settle().await;
    assert!(text(waiting.await.unwrap()).await.ends_with("#EXT-X-ENDLIST\n"));
    let offline = stage.get("/hls/kitchen/index.m3u8").await;
    assert_eq!(offline.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn packaging_ends_when_nobody_watches_and_begins_again_under_another_name() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    assert!(stage.metrics.text().contains("onair_hls_packaged 1\n"));
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(stage.metrics.text().contains("onair_hls_packaged 0\n"));
    assert_eq!(stage.get(&format!("{folder}index.m3u8")).await.status(), StatusCode::NOT_FOUND);
    let loading = tokio::spawn(stage.get_owned("/hls/kitchen/index.m3u8".to_owned()));
    yield_now().await;
    stage.write(500).await;
    let again = text(loading.await.unwrap()).await;
    assert!(!folder.contains(again.lines().last().unwrap().split('/').next().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn broadcast_that_has_not_decided_yet_asks_for_patience() {
    let mut stage = Stage::new(&Config::default());
    stage.write(20).await;
    let response = stage.get("/hls/kitchen/index.m3u8").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after"), "1");
}

#[tokio::test(start_paused = true)]
async fn broadcast_that_ends_before_its_first_frame_is_not_in_the_way_of_the_next() {
    let mut stage = Stage::new(&Config::default());
    let loading = tokio::spawn(stage.get_owned("/hls/kitchen/index.m3u8".to_owned()));
    settle().await;
    stage.publisher = None;
    stage.hub.end_all();
    assert_eq!(loading.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(picture());
    stage.publisher = Some(publisher);
    stage.write(1).await;
    let loading = tokio::spawn(stage.get_owned("/hls/kitchen/index.m3u8".to_owned()));
    settle().await;
    stage.write(500).await;
    assert_eq!(loading.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn players_are_counted_by_their_reloads() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let viewers = |stage: &Stage| {
        let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
        channel.status().viewers.iter().find(|(protocol, _)| *protocol == Protocol::Hls).unwrap().1
    };
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    assert!(channel.arrange(2, |cohort| u8::from(cohort.consent)));
    let few = folder.replace("/main/", "/main.1/");
    assert_eq!(stage.get("/hls/kitchen/index.m3u8?consent=1").await.status(), StatusCode::OK);
    for _ in 0..20 {
        let (msn, part) =
            hint(&text(stage.get(&format!("{folder}index.m3u8?_HLS_msn=0&_HLS_part=0")).await).await);
        // Some of them get another variant.
        let path = |number| {
            let folder = if number % 3 == 0 { &few } else { &folder };
            format!("{folder}index.m3u8?_HLS_msn={msn}&_HLS_part={part}")
        };
        let players: Vec<_> = (0..30).map(|number| tokio::spawn(stage.get_owned(path(number)))).collect();
        settle().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        stage.write(16).await;
        for player in players {
            assert_eq!(player.await.unwrap().status(), StatusCode::OK);
        }
    }
    assert!((24..=40).contains(&viewers(&stage)), "{} of 31 players", viewers(&stage));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(viewers(&stage), 0);
}

/// Where a playlist's segments and parts are, as absolute paths; what it hints at comes last.
fn addresses(folder: &str, playlist: &str) -> Vec<String> {
    let session = folder.strip_suffix('/').unwrap().rsplit_once('/').unwrap().0;
    let uri = |line: &str| match line.split('"').nth(1) {
        Some(uri) => uri.to_owned(),
        None => line.to_owned(),
    };
    let media = playlist.lines().map(uri).filter(|uri| uri.ends_with(".m4s"));
    let absolute = |uri: String| match uri.strip_prefix("../") {
        Some(beside) => format!("{session}/{beside}"),
        None => format!("{folder}{uri}"),
    };
    media.map(absolute).collect()
}

/// A stage where those who read German get variant 1, and the folders of two players who have loaded their playlists.
async fn two_variants() -> (Stage, [String; 2]) {
    let mut stage = Stage::new(&Config::default());
    let german = "de".parse().ok();
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    assert!(channel.arrange(2, move |cohort| u8::from(cohort.consent && cohort.language == german)));
    stage.write(1).await;
    let loading = ["lang=fr", "consent=1&lang=de-AT&device=phone&tags=news,sport"]
        .map(|query| tokio::spawn(stage.get_owned(format!("/hls/kitchen/index.m3u8?{query}"))));
    settle().await;
    stage.write(500).await;
    let mut folders = Vec::new();
    for loading in loading {
        let response = loading.await.unwrap();
        assert_eq!(header(&response, "cache-control"), "private, no-cache", "it depends on who asks");
        let text = text(response).await;
        let folder = text.lines().last().unwrap().strip_suffix("index.m3u8").unwrap();
        folders.push(format!("/hls/kitchen/{folder}"));
    }
    (stage, folders.try_into().unwrap())
}

impl Stage {
    /// Both players' playlists: where their files are.
    async fn listed(&self, folders: &[String; 2]) -> [Vec<String>; 2] {
        let mut listed = Vec::new();
        for folder in folders {
            listed.push(addresses(folder, &text(self.get(&format!("{folder}index.m3u8")).await).await));
        }
        listed.try_into().unwrap()
    }

    /// Writes so many frames, with something else drawn into each variant's pictures.
    async fn write_apart(&mut self, program: &mut Program, count: usize) {
        for _ in 0..count {
            self.publisher.as_mut().unwrap().write(self.frames.next().unwrap());
            let source = timeout(Duration::ZERO, program.next_batch()).await.unwrap_or_default();
            for item in source {
                for (variant, what) in [(0, "for many"), (1, "for few")] {
                    let mut item = item.clone();
                    if let Item::Frame(frame) = &mut item
                        && frame.track == PICTURE
                    {
                        frame.payload = [what.as_bytes(), &frame.payload].concat().into();
                    }
                    program.write(variant, item);
                }
            }
            settle().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn players_of_two_variants_load_the_same_files_but_for_the_slot() {
    let (mut stage, folders) = two_variants().await;
    assert_eq!(folders[1], folders[0].replace("/main/", "/main.1/"));
    stage.write(80).await;
    let [many, few] = stage.listed(&folders).await;
    assert_eq!(many, few, "segments, parts, and what is hinted at");
    assert!(many.len() > 20 && many.iter().all(|address| address.starts_with(&folders[0])));

    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    let mut program = channel.take_program(2).unwrap();
    let hinted = few.last().unwrap().clone();
    stage.write_apart(&mut program, 120).await;
    let [many, few] = stage.listed(&folders).await;
    for (folder, listed, what) in [(&folders[0], &many, "for many"), (&folders[1], &few, "for few")] {
        let newest = &listed[listed.len() - 2];
        assert!(newest.starts_with(folder), "{newest}");
        let bytes = bytes(stage.get(newest).await).await;
        assert!(bytes.windows(what.len()).any(|window| window == what.as_bytes()), "{what}");
        assert!(listed.last().unwrap().starts_with(folder), "hinted at");
    }
    assert!(many.contains(&hinted), "everybody's next part came under its name");

    assert!(program.give_back());
    stage.write(400).await;
    let [many, few] = stage.listed(&folders).await;
    assert_eq!(many[many.len() - 20..], few[few.len() - 20..]);
    // A player of the variant waits for what comes next, wherever it will be.
    let (msn, part) = {
        let playlist = text(stage.get(&format!("{}index.m3u8", folders[1])).await).await;
        let newest = playlist.lines().filter(|line| line.starts_with("#EXTINF")).count() as u64 + 1;
        let parts = playlist.rsplit_once(".m4s\n#EXT-X-PROGRAM").unwrap().1.matches("#EXT-X-PART:").count();
        (newest, parts)
    };
    let path = format!("{}index.m3u8?_HLS_msn={msn}&_HLS_part={part}", folders[1]);
    let waiting = [path, few.last().unwrap().clone()].map(|path| tokio::spawn(stage.get_owned(path)));
    settle().await;
    assert!(waiting.iter().all(|request| !request.is_finished()));
    stage.write(20).await;
    let [reloaded, media] = waiting;
    let reloaded = addresses(&folders[1], &text(reloaded.await.unwrap()).await);
    assert!(reloaded[..reloaded.len() - 1].contains(few.last().unwrap()));
    assert!(!bytes(media.await.unwrap()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn b26_variants_that_are_not_there_are_not_found() {
    let (mut stage, [many, few]) = two_variants().await;
    stage.write(80).await;
    for file in ["index.m3u8", "1.m4s", "init0.mp4"] {
        assert_eq!(stage.get(&format!("{few}{file}")).await.status(), StatusCode::OK, "{file}");
        for other in
            ["main.0", "main.2", "main.01", "main.1.1", "main.", "main.1.", ".1", "audio0.1", "main.256"]
        {
            let path = format!("{}{file}", many.replace("/main/", &format!("/{other}/")));
            let response = stage.get(&path).await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert_eq!(header(&response, "cache-control"), "no-store", "{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_read_gets_what_everybody_gets() {
    let (mut stage, _) = two_variants().await;
    stage.write(80).await;
    for (query, few) in [
        ("", false),
        ("consent=1&lang=de", true),
        ("session=nobody%27s&consent=1&lang=de", true),
        ("consent=0&lang=de", false),
        ("consent=1&lang=deutsch", false),
        ("consent=1&lang=de&device=fridge", true),
        ("consent=1&lang=de&lang=fr", false),
        ("consent=1&lang=%ff%fe", false),
        ("&&=&consent", false),
    ] {
        let text = text(stage.get(&format!("/hls/kitchen/index.m3u8?{query}")).await).await;
        assert_eq!(text.ends_with("/main.1/index.m3u8\n"), few, "{query}: {text}");
    }
    assert!(stage.metrics.text().contains("onair_hls_packaged 1\n"), "one session serves them all");
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_variant_later_finds_it_in_the_same_session() {
    let (mut stage, folder) = Stage::playing(&Config::default()).await;
    let channel = stage.hub.channel(&"kitchen".parse().unwrap()).unwrap();
    assert!(channel.arrange(2, |cohort| u8::from(cohort.consent)));
    let few = text(stage.get("/hls/kitchen/index.m3u8?consent=1").await).await;
    let few = format!("/hls/kitchen/{}", few.lines().last().unwrap().strip_suffix("index.m3u8").unwrap());
    assert_eq!(few, folder.replace("/main/", "/main.1/"));
    stage.write(80).await;
    let [many, few] = stage.listed(&[folder, few]).await;
    assert_eq!(many, few);
    stage.hub.end_all();
    settle().await;
    assert_eq!(stage.get("/hls/kitchen/index.m3u8?consent=1").await.status(), StatusCode::NOT_FOUND);
}
