//! A server with a channel on the air, for tests of the routes.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::task::yield_now;
use tower::ServiceExt as _;

use super::super::{Config, router};
use super::support::*;
use crate::context::Context;
use crate::http::ClientAddress;
use crate::hub::{self, Hub, Protocol, Publisher};
use crate::media::Frame;
use crate::metrics::Metrics;

/// A server with one channel on the air, and its publisher.
pub(super) struct Stage {
    pub(super) router: Router,
    pub(super) hub: Hub,
    pub(super) metrics: Metrics,
    pub(super) publisher: Option<Publisher>,
    pub(super) frames: std::vec::IntoIter<Frame>,
}

impl Stage {
    pub(super) fn new(config: &Config) -> Self {
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
    pub(super) async fn playing(config: &Config) -> (Self, String) {
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
    pub(super) async fn write(&mut self, count: usize) {
        for index in 0..count {
            self.publisher.as_mut().unwrap().write(self.frames.next().unwrap());
            if index % 50 == 49 {
                settle().await;
            }
        }
        settle().await;
    }

    pub(super) fn ask(&self, method: Method, path: &str) -> impl Future<Output = Response<Body>> + use<> {
        let address = ClientAddress(Ipv4Addr::LOCALHOST.into());
        let request =
            Request::builder().method(method).uri(path).extension(address).body(Body::empty()).unwrap();
        let router = self.router.clone();
        async move { router.oneshot(request).await.unwrap() }
    }

    pub(super) async fn get(&self, path: &str) -> Response<Body> {
        self.ask(Method::GET, path).await
    }

    pub(super) fn get_owned(&self, path: String) -> impl Future<Output = Response<Body>> + use<> {
        self.ask(Method::GET, &path)
    }
}

pub(super) async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

pub(super) async fn bytes(response: Response<Body>) -> Bytes {
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap().to_bytes()
}

pub(super) async fn text(response: Response<Body>) -> String {
    String::from_utf8(bytes(response).await.to_vec()).unwrap()
}

pub(super) fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Media sequence number and index of the part that the playlist hints at.
pub(super) fn hint(playlist: &str) -> (u64, u64) {
    let line = playlist.lines().find(|line| line.starts_with("#EXT-X-PRELOAD-HINT")).unwrap();
    let name = line.split('"').nth(1).unwrap().strip_suffix(".m4s").unwrap();
    let (msn, part) = name.split_once('.').unwrap();
    (msn.parse().unwrap(), part.parse().unwrap())
}
