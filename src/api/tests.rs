//! The API as its callers meet it, without sockets.

mod around;
mod booking;
mod overlays;
mod reports;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::extract::Request;
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use self::booking::Pretence;
use super::channels::SqliteChannels;
use super::*;
use crate::auth::{StreamKeys, Studio};
use crate::booking::{Config as BookingConfig, SqliteBookings};
use crate::chat::Chat;
use crate::hub::{self, Dismissal, Protocol};
use crate::ledger::{SqliteLedger, wall_clock};
use crate::media::{AudioParams, Codec, Params, Track, TrackId, VideoParams};
use crate::store;

/// A server without listeners, and its data directory.
struct Server {
    api: Arc<Api>,
    keys: StreamKeys,
    token: String,
    dir: PathBuf,
}

impl Server {
    async fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("onair-api-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self::start_in(std::env::temp_dir().join(name)).await
    }

    async fn start_in(dir: PathBuf) -> Self {
        let store = Store::open(&store::Config::default(), &dir).await.unwrap();
        let metrics = Metrics::new();
        let hub_metrics = Arc::new(hub::Metrics::default());
        hub_metrics.register(&metrics);
        let (hub, keys) = (Hub::new(hub::Config::default(), hub_metrics), StreamKeys::default());
        let channels = SqliteChannels::new(store.pool());
        let directory = Directory::load(channels, hub.clone(), keys.clone()).await.unwrap();
        let token = AdminToken::load_or_create(&dir).unwrap();
        let studio = Studio::new(&token, keys.clone());
        let no_workers = crate::av::worker::Config { max_jobs: 0, ..Default::default() };
        let workers = crate::av::worker::Workers::start(&no_workers, &metrics);
        let life = Life::default();
        let overlays = Overlays::new(&crate::overlay::Config::default(), workers, life.clone(), &metrics);
        let log = SqliteLedger::open(store.pool()).await.unwrap();
        let (ledger, _) = Ledger::start(Arc::new(log), wall_clock()).await.unwrap();
        let booked = SqliteBookings::new(store.pool());
        let booking = BookingConfig { report_k: 2, ..BookingConfig::default() };
        let bookings = Bookings::load(&booking, booked, Arc::new(Pretence), ledger.clone()).await.unwrap();
        let api = Arc::new(Api {
            directory: Arc::new(directory),
            hub,
            token,
            studio,
            overlays,
            sale: None,
            bookings,
            ledger,
            store,
            metrics,
            ports: Ports { http: Some(8080), rtmp: Some(1935), ..Ports::default() },
            public_base: None,
            frames: frames(&["https://news.example".to_owned()]),
            life,
        });
        let token = std::fs::read_to_string(dir.join("admin-token")).unwrap().trim().to_owned();
        Self { api, keys, token, dir }
    }

    async fn send(&self, request: Request) -> (StatusCode, Value) {
        let (status, text) = self.send_raw(request).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn send_raw(&self, mut request: Request) -> (StatusCode, String) {
        request.extensions_mut().insert(RequestHost::from_authority("live.example:8080"));
        let router = router(&self.api, Some(Chat::document())).merge(admin_router(&self.api));
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn operator(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.ask(method, path, Some(&self.token), body).await
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask("GET", path, None, None).await
    }

    async fn create(&self, name: &str) -> String {
        let (status, made) = self.operator("POST", "/api/v1/channels", Some(json!({"name": name}))).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["stream_key"].as_str().unwrap().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn video() -> Track {
    let params = VideoParams { width: 1280, height: 720, reorder_depth: None };
    Track {
        id: TrackId(0),
        group: 0,
        rank: 0,
        codec: Codec::H264,
        config: bytes::Bytes::new(),
        params: Params::Video(params),
    }
}

fn audio() -> Track {
    let params = AudioParams { sample_rate: 48_000, channels: 2, frame_samples: Some(1024) };
    Track { id: TrackId(1), group: 1, codec: Codec::Aac, params: Params::Audio(params), ..video() }
}

#[tokio::test]
async fn a_channel_is_made_shown_renamed_and_deleted() {
    let server = Server::start().await;
    let body = json!({"name": "kitchen", "title": "  In the kitchen "});
    let (status, made) = server.operator("POST", "/api/v1/channels", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED);
    let key = made["stream_key"].as_str().unwrap().to_owned();
    let expected = json!({
        "name": "kitchen",
        "title": "In the kitchen",
        "stream_key": key,
        "urls": {
            "rtmp": "rtmp://live.example/live/kitchen",
            "publish": format!("rtmp://live.example/live/{key}"),
            "watch": "http://live.example:8080/kitchen",
            "hls": "http://live.example:8080/hls/kitchen/index.m3u8",
            "flv": "http://live.example:8080/live/kitchen.flv",
        }
    });
    assert_eq!(made, expected);
    assert_eq!(server.keys.channel_for(&key).unwrap().as_str(), "kitchen");

    let (status, shown) = server.get("/api/v1/channels/kitchen").await;
    assert_eq!(
        (status, &shown["live"], &shown["title"]),
        (StatusCode::OK, &json!(false), &json!("In the kitchen"))
    );
    let change = Some(json!({"title": "Dinner"}));
    let (status, changed) = server.operator("PATCH", "/api/v1/channels/kitchen", change).await;
    assert_eq!((status, &changed["title"]), (StatusCode::OK, &json!("Dinner")));
    let (status, unchanged) = server.operator("PATCH", "/api/v1/channels/kitchen", Some(json!({}))).await;
    assert_eq!((status, &unchanged["title"]), (StatusCode::OK, &json!("Dinner")));

    let (status, _) = server.operator("DELETE", "/api/v1/channels/kitchen", None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(server.keys.channel_for(&key).is_none());
    assert!(server.api.hub.channel(&"kitchen".parse().unwrap()).is_none());
    for method in ["GET", "DELETE"] {
        assert_eq!(server.operator(method, "/api/v1/channels/kitchen", None).await.0, StatusCode::NOT_FOUND);
    }
    assert_ne!(server.create("kitchen").await, key);
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_with_what_is() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let long = "t".repeat(201);
    for (body, status, hint) in [
        (json!({"name": "kitchen"}), 409, "there is a channel"),
        (json!({"name": "Kitchen"}), 422, "a-z, 0-9 and '-'"),
        (json!({"name": "../etc"}), 422, "a-z, 0-9 and '-'"),
        (json!({"name": "api"}), 422, "reserved"),
        (json!({"name": "a1", "title": ""}), 422, "1 to 200"),
        (json!({"name": "a1", "title": long}), 422, "1 to 200"),
        (json!({"name": "a1", "title": "two\nlines"}), 422, "one line"),
        (json!({"title": "no name"}), 422, "name"),
        (json!({"name": "a1", "tilte": "x"}), 422, "tilte"),
        (json!({"name": 7}), 422, "string"),
        (json!([]), 422, ""),
    ] {
        let (answered, error) = server.operator("POST", "/api/v1/channels", Some(body.clone())).await;
        assert_eq!(answered.as_u16(), status, "{body}: {error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(hint), "{body}: {message}");
    }
    for path in [
        "/api/v1/channels/nobody",
        "/api/v1/channels/UPPER",
        "/api/v1/channels/%F0",
        "/api/v1/channels/a%20b",
    ] {
        let (status, error) = server.get(path).await;
        assert_eq!((status, &error["error"]["code"]), (StatusCode::NOT_FOUND, &json!("not_found")), "{path}");
    }
    let plain = Request::builder().method("POST").uri("/api/v1/channels");
    let plain =
        plain.header(AUTHORIZATION, format!("Bearer {}", server.token)).body(Body::from("{}")).unwrap();
    assert_eq!(server.send(plain).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn b34_without_the_token_nothing_changes_and_nothing_secret_shows() {
    let server = Server::start().await;
    let key = server.create("kitchen").await;
    let wrong = "x".repeat(4096);
    for token in [None, Some("wrong"), Some(wrong.as_str()), Some(""), Some(key.as_str())] {
        for (method, path, body) in [
            ("POST", "/api/v1/channels", Some(json!({"name": "garden"}))),
            ("PATCH", "/api/v1/channels/kitchen", Some(json!({"title": "Mine"}))),
            ("DELETE", "/api/v1/channels/kitchen", None),
            ("POST", "/api/v1/channels/kitchen/key", None),
        ] {
            let (status, error) = server.ask(method, path, token, body).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path} {token:?}");
            assert_eq!(error["error"]["code"], "unauthorized");
        }
    }
    for scheme in ["Basic", "Token"] {
        let request = Request::builder().uri("/api/v1/channels");
        let request = request.header(AUTHORIZATION, format!("{scheme} {}", server.token));
        assert_eq!(server.send(request.body(Body::empty()).unwrap()).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(server.ask("GET", "/api/v1/channels", Some("wrong"), None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.keys.channel_for(&key).unwrap().as_str(), "kitchen");

    let _publisher = server.api.hub.create(&"kitchen".parse().unwrap()).publish(Protocol::Rtmp).unwrap();
    let paths =
        ["/api/v1/channels", "/api/v1/channels/kitchen", "/api/v1/server", "/api/openapi.json", "/metrics"];
    for path in paths {
        for token in [None, Some(server.token.as_str())] {
            let (status, body) = server.ask("GET", path, token, None).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            let text = body.to_string();
            assert!(!text.contains(&key) && !text.contains(&server.token), "{path} shows a secret");
        }
    }
    assert!(server.get("/api/v1/channels/kitchen").await.1.get("warnings").is_none());
    assert!(server.operator("GET", "/api/v1/channels/kitchen", None).await.1["warnings"].is_array());
}

#[tokio::test]
async fn b35_a_rotated_key_is_void_at_once_and_its_publisher_sent_away() {
    let server = Server::start().await;
    let old = server.create("kitchen").await;
    let channel = server.api.hub.create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    let (status, rotated) = server.operator("POST", "/api/v1/channels/kitchen/key", None).await;
    assert_eq!(status, StatusCode::OK);
    let new = rotated["stream_key"].as_str().unwrap();
    assert_ne!(new, old);
    assert!(server.keys.channel_for(&old).is_none());
    assert_eq!(server.keys.channel_for(new).unwrap().as_str(), "kitchen");
    assert_eq!(publisher.dismissed().await, Dismissal::KeyRotated);
    let missing = server.operator("POST", "/api/v1/channels/garden/key", None).await;
    assert_eq!(missing.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn b35_of_many_who_take_one_name_at_once_one_gets_it() {
    let server = Arc::new(Server::start().await);
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move {
                server.operator("POST", "/api/v1/channels", Some(json!({"name": "kitchen"}))).await
            })
        })
        .collect();
    let mut keys = Vec::new();
    for task in tasks {
        let (status, made) = task.await.unwrap();
        assert!(status == StatusCode::CREATED || status == StatusCode::CONFLICT, "{status}");
        keys.extend(made["stream_key"].as_str().map(str::to_owned));
    }
    assert_eq!(keys.len(), 1);
    assert!(server.keys.channel_for(&keys[0]).is_some());
}

#[tokio::test]
async fn channels_and_keys_survive_a_restart() {
    let server = Server::start().await;
    let (kept, rotated) = (server.create("kitchen").await, server.create("garden").await);
    let (_, new) = server.operator("POST", "/api/v1/channels/garden/key", None).await;
    server.create("cellar").await;
    server.operator("DELETE", "/api/v1/channels/cellar", None).await;
    server.api.store.close().await;
    let again = Server::start_in(server.dir.clone()).await;
    assert_eq!(again.token, server.token);
    assert_eq!(again.keys.channel_for(&kept).unwrap().as_str(), "kitchen");
    assert_eq!(again.keys.channel_for(new["stream_key"].as_str().unwrap()).unwrap().as_str(), "garden");
    assert!(again.keys.channel_for(&rotated).is_none());
    let (_, list) = again.operator("GET", "/api/v1/channels", None).await;
    let names: Vec<_> = list["channels"].as_array().unwrap().iter().map(|channel| &channel["name"]).collect();
    assert_eq!(names, ["garden", "kitchen"]);
    assert!(again.api.hub.channel(&"kitchen".parse().unwrap()).is_some());
}

#[tokio::test]
async fn a_live_channel_tells_what_is_on_the_air() {
    let server = Server::start().await;
    server.create("kitchen").await;
    server.create("garden").await;
    let channel = server.api.hub.create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video());
    publisher.configure(audio());
    let _viewer = channel.viewer(Protocol::Hls);

    let (_, shown) = server.get("/api/v1/channels/kitchen").await;
    assert_eq!(shown["live"], true);
    assert!(shown["since"].as_str().unwrap().ends_with('Z'));
    assert_eq!(shown["viewers"], json!({"total": 1, "rtmp": 0, "http_flv": 0, "hls": 1, "webrtc": 0}));
    let tracks = json!([
        {"id": 0, "kind": "video", "codec": "H.264", "bitrate": 0, "width": 1280, "height": 720},
        {"id": 1, "kind": "audio", "codec": "AAC", "bitrate": 0, "sample_rate": 48_000, "channels": 2},
    ]);
    assert_eq!(shown["tracks"], tracks);

    let names = |list: Value| {
        list["channels"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(server.get("/api/v1/channels").await.1), ["kitchen"]);
    assert_eq!(names(server.operator("GET", "/api/v1/channels", None).await.1), ["garden", "kitchen"]);
    let (_, seen) = server.operator("GET", "/api/v1/channels/kitchen", None).await;
    assert_eq!(seen["publisher"], "rtmp");

    drop(publisher);
    let (_, shown) = server.get("/api/v1/channels/kitchen").await;
    assert_eq!(
        (&shown["live"], &shown["interrupted"], &shown["since"]),
        (&json!(false), &json!(true), &Value::Null)
    );
}
