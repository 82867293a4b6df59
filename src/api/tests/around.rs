//! What is around the channels: the server itself, health, metrics, the document, pages.

use super::*;

#[tokio::test]
async fn the_server_tells_its_ports_and_health() {
    let server = Server::start().await;
    let (_, shown) = server.get("/api/v1/server").await;
    assert_eq!(shown["version"], env!("CARGO_PKG_VERSION"));
    let ports =
        json!({"http": 8080, "https": null, "rtmp": 1935, "rtmps": null, "webrtc": null, "admin": null});
    assert_eq!(shown["ports"], ports);
    assert_eq!(server.get("/healthz").await.0, StatusCode::OK);
    assert_eq!(server.get("/readyz").await.0, StatusCode::OK);
    server.api.life.drain();
    assert_eq!(server.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/healthz").await.0, StatusCode::OK);

    let broken = Server::start().await;
    broken.api.store.close().await;
    assert_eq!(broken.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn b36_a_hundred_thousand_names_leave_the_metrics_as_they_were() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let series = |text: String| text.lines().filter(|line| !line.starts_with('#')).count();
    let read = || Request::builder().uri("/metrics").body(Body::empty()).unwrap();
    let channel = server.api.hub.create(&"kitchen".parse().unwrap());
    Protocol::ALL.iter().for_each(|protocol| drop(channel.viewer(*protocol)));
    let before = series(server.send_raw(read()).await.1);
    for number in 0..100_000 {
        let name = format!("channel-{number}").parse().unwrap();
        let channel = server.api.hub.create(&name);
        let publisher = channel.publish(Protocol::Rtmp).unwrap();
        drop((channel.viewer(Protocol::HttpFlv), publisher));
        server.api.hub.remove(&name);
    }
    assert_eq!(series(server.send_raw(read()).await.1), before);
}

#[tokio::test]
async fn the_document_describes_every_route() {
    let server = Server::start().await;
    let (_, document) = server.get("/api/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let operations: Vec<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |method| format!("{method} {path}"))
        })
        .collect();
    assert_eq!(
        operations,
        [
            "get /api/v1/advertisers",
            "post /api/v1/advertisers",
            "delete /api/v1/advertisers/{id}",
            "get /api/v1/advertisers/{id}",
            "patch /api/v1/advertisers/{id}",
            "get /api/v1/advertisers/{id}/campaigns",
            "post /api/v1/advertisers/{id}/campaigns",
            "post /api/v1/advertisers/{id}/key",
            "delete /api/v1/campaigns/{id}",
            "get /api/v1/campaigns/{id}",
            "patch /api/v1/campaigns/{id}",
            "post /api/v1/campaigns/{id}/creatives",
            "post /api/v1/campaigns/{id}/payments",
            "get /api/v1/channels",
            "post /api/v1/channels",
            "delete /api/v1/channels/{name}",
            "get /api/v1/channels/{name}",
            "patch /api/v1/channels/{name}",
            "get /api/v1/channels/{name}/comments",
            "get /api/v1/channels/{name}/cues",
            "post /api/v1/channels/{name}/cues",
            "put /api/v1/channels/{name}/hold-off",
            "post /api/v1/channels/{name}/key",
            "post /api/v1/channels/{name}/overlays",
            "get /api/v1/channels/{name}/room",
            "post /api/v1/channels/{name}/room",
            "get /api/v1/channels/{name}/sale",
            "put /api/v1/channels/{name}/sale",
            "delete /api/v1/channels/{name}/studio",
            "get /api/v1/channels/{name}/studio",
            "post /api/v1/channels/{name}/studio",
            "get /api/v1/creatives",
            "delete /api/v1/creatives/{id}",
            "get /api/v1/creatives/{id}",
            "post /api/v1/creatives/{id}/approve",
            "get /api/v1/creatives/{id}/image",
            "post /api/v1/creatives/{id}/reject",
            "delete /api/v1/cues/{id}",
            "get /api/v1/cues/{id}",
            "patch /api/v1/cues/{id}",
            "post /api/v1/cues/{id}/veto",
            "delete /api/v1/overlays/{id}",
            "get /api/v1/overlays/{id}",
            "get /api/v1/reports",
            "get /api/v1/reports/campaigns/{id}",
            "get /api/v1/reports/channels/{name}",
            "get /api/v1/server",
            "post /api/v1/viewer",
            "get /ws/{channel}",
        ]
    );
    let text = document.to_string();
    for reference in text.match_indices("#/components/schemas/").map(|(at, _)| &text[at + 21..]) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "{name} is not described");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_read_and_no_more() {
    let server = Server::start().await;
    let preflight = Request::builder().method("OPTIONS").uri("/api/v1/channels");
    let preflight =
        preflight.header("Origin", "https://other.example").header("Access-Control-Request-Method", "POST");
    let response = router(&server.api, None).oneshot(preflight.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.headers()["access-control-allow-methods"], "GET, HEAD");
    assert!(!response.headers()["access-control-allow-headers"].to_str().unwrap().contains("Authorization"));
}

#[tokio::test]
async fn the_studio_may_use_the_camera_and_be_in_no_frame_and_watch_pages_in_those_of_some_sites() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let page = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    let response = router(&server.api, None).oneshot(page("/studio/kitchen")).await.unwrap();
    assert!(matches!(response.status(), StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(
        response.headers()["permissions-policy"],
        "camera=(self), microphone=(self), display-capture=(self)"
    );
    let policies: Vec<_> = response.headers().get_all("content-security-policy").iter().collect();
    assert!(policies.iter().any(|policy| *policy == "frame-ancestors 'none'"), "{policies:?}");
    let watch = router(&server.api, None).oneshot(page("/kitchen")).await.unwrap();
    if response.status() == StatusCode::OK {
        assert_eq!(policies.len(), 2, "{policies:?}");
        let policies: Vec<_> = watch.headers().get_all("content-security-policy").iter().collect();
        assert_eq!(policies[1], "frame-ancestors 'self' https://news.example");
        assert_eq!(server.send_raw(page("/studio/garden")).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn every_channel_has_a_page_and_strangers_a_404() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let page = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    let (home, html) = server.send_raw(page("/")).await;
    let built = home == StatusCode::OK;
    assert!(built || (home == StatusCode::SERVICE_UNAVAILABLE && html.contains("make build")), "{home}");
    if built {
        assert_eq!(server.send_raw(page("/kitchen")).await.0, StatusCode::OK);
        assert_eq!(server.send_raw(page("/garden")).await.0, StatusCode::NOT_FOUND);
        let response = router(&server.api, None).oneshot(page("/kitchen")).await.unwrap();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
        assert_eq!(response.headers()["permissions-policy"], "camera=(), microphone=(), display-capture=()");
        let tag = response.headers()["etag"].clone();
        let again =
            Request::builder().uri("/kitchen").header("If-None-Match", tag).body(Body::empty()).unwrap();
        assert_eq!(server.send_raw(again).await.0, StatusCode::NOT_MODIFIED);
    }
    for path in [
        "/studio",
        "/studio/kitchen/more",
        "/assets/nothing.js",
        "/assets/..%2f..%2fCargo.toml",
        "/assets/%2e%2e/index.html",
        "/assets//etc/passwd",
    ] {
        assert_eq!(server.send_raw(page(path)).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}
