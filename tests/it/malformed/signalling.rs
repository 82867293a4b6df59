//! B25 and B26: requests about sessions that are wrong, guessed, or too many; paths and headers that are no one's.

use std::time::Duration;

use str0m::IceCreds;
use str0m::media::Direction;
use tokio::task::JoinSet;

use super::stage::{Stage, short, start_of};
use crate::support::http::request;
use crate::support::webrtc::session::{Offering, fragment};
use crate::support::webrtc::signalling::{FRAGMENT, SDP, post};
use crate::support::webrtc::{Options, Resource};
use crate::support::{WhepPlayer, WhipPublisher};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b25_sessions_cannot_be_guessed() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    let known = player.session.resource.clone();
    let id = known.location.rsplit('/').next().expect("a name").to_owned();
    let mut guesses: Vec<String> = (0..100).map(|number| format!("{number:032x}")).collect();
    // One digit off, a prefix, more than it, and another way to write it.
    guesses.push(format!("{}{}", &id[..31], if id.ends_with('0') { '1' } else { '0' }));
    guesses.extend([
        id[..31].to_owned(),
        format!("{id}0"),
        id.to_uppercase(),
        format!("%20{id}"),
        "*".to_owned(),
    ]);
    for guess in guesses.iter().filter(|guess| **guess != id) {
        let guessed = Resource { location: format!("/whep/kitchen/{guess}"), ..known.clone() };
        assert_eq!(guessed.delete().await, 404, "{guess}");
    }
    let nobody = Resource { location: format!("/whep/kitchen/{:032x}", 1), ..known.clone() };
    assert_eq!(nobody.patch("*", &fragment(&IceCreds::new())).await.status, 404);
    assert_eq!(
        request(stage.server.http, "GET", &format!("{}/events", nobody.location), &[], b"").await.status,
        404
    );
    encoder.send(&short().tags[start_of(&short()).len()..]).await;
    player.until_pictures(60).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b25_a_storm_of_ice_restarts_leaves_the_session_alive() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    let first = player.session.resource.etag.clone();
    let mut storm = JoinSet::new();
    for _ in 0..200 {
        let resource = player.session.resource.clone();
        storm.spawn(async move { resource.patch("*", &fragment(&IceCreds::new())).await.status });
    }
    while let Some(status) = storm.join_next().await {
        assert!([200, 503].contains(&status.expect("an answer")));
    }
    assert_eq!(player.session.resource.patch(&first, &fragment(&IceCreds::new())).await.status, 412);
    let of_nobody = "a=ice-ufrag:ab\r\na=ice-pwd:cd\r\n";
    assert_eq!(player.session.resource.patch("*", of_nobody).await.status, 400);
    let many = format!(
        "{}{}",
        fragment(&IceCreds::new()),
        "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(200)
    );
    assert_eq!(player.session.resource.patch("*", &many).await.status, 400);
    let headers = [("content-type", FRAGMENT), ("if-match", "*")];
    assert_eq!(player.session.resource.ask("PATCH", &headers, &vec![b'x'; 100 << 10]).await.status, 413);

    // The old credentials, which the peer still uses, have gone on working.
    encoder.send(&short().tags[start_of(&short()).len()..]).await;
    player.until_pictures(60).await;
    assert_eq!(player.session.resource.delete().await, 200);
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b25_more_posts_than_sessions_are_told_to_wait_and_the_place_is_free_again() {
    let mut stage = Stage::with(|config| {
        config.webrtc.max_sessions = 5;
        config.webrtc.setup_timeout = Duration::from_secs(1);
    })
    .await;
    let _encoder = stage.on_air().await;
    let offer = Offering::make(&stage.server, Direction::RecvOnly, &Options::default()).await.offer;
    let mut posts = JoinSet::new();
    for _ in 0..100 {
        let (http, offer) = (stage.server.http, offer.clone());
        posts.spawn(async move {
            let response = post(http, "/whep/kitchen", None, &offer).await;
            (response.status, response.header("retry-after").is_some())
        });
    }
    let mut made = 0;
    while let Some(answer) = posts.join_next().await {
        let (status, retry) = answer.expect("an answer");
        assert!(status == 201 || (status == 503 && retry), "{status}");
        made += u32::from(status == 201);
    }
    // A session that was never connected may have ended while others were still asked for.
    assert!((5..100).contains(&made), "{made} sessions");
    // Nobody ever came to them: they end by themselves.
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    stage.server.until_counted("onair_webrtc_ended_total{reason=\"silent\"}", 5.0).await;
    WhepPlayer::join(&stage.server, "kitchen").await.until_pictures(1).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b25_a_session_that_is_deleted_before_it_is_connected_never_goes_on_the_air() {
    let mut stage = Stage::set().await;
    let options = WhipPublisher::of(onair::media::Codec::H264);
    let offering = Offering::make(&stage.server, Direction::SendOnly, &options).await;
    let key = Some(stage.channel.key.as_str());
    let response = offering.post(&stage.server, "/whip/kitchen", key).await;
    let resource = Resource::of(stage.server.http, key, &response);
    assert_eq!(resource.delete().await, 200);
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    // It tries all the same.
    let session = offering.begin(&stage.server, key, response).await;
    stage.server.until_counted("onair_webrtc_discarded_total{reason=\"unknown\"}", 1.0).await;
    assert_eq!(stage.server.show("kitchen").await["live"], false);
    assert_eq!(resource.delete().await, 404);
    drop(session);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b26_paths_and_headers_lead_nowhere() {
    let mut stage = Stage::set().await;
    let _encoder = stage.on_air().await;
    let http = stage.server.http;
    let offer = Offering::make(&stage.server, Direction::RecvOnly, &Options::default()).await.offer;
    for path in [
        "/whep/../api/v1/channels",
        "/whep/..%2f..%2fdata%2fadmin-token",
        "/whep/%2e%2e",
        "/whep//evil.example",
        "//evil.example/whep/kitchen",
        "/whep/kitchen/",
        "/whep/kitchen%2f",
        "/whep/kitchen%00",
        "/whep/KITCHEN",
        "/whep/kitchen\\..",
        "/whep/",
        "/whep",
    ] {
        let response = post(http, path, None, &offer).await;
        assert!([400, 404, 405].contains(&response.status), "{path}: {}", response.status);
        assert_eq!(response.header("location"), None, "{path}");
    }
    // Where the session is does not depend on what the client says of the host.
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-original-url", "/whip/kitchen"),
        ("x-http-method-override", "DELETE"),
        ("forwarded", "host=evil.example"),
    ] {
        let response =
            request(http, "POST", "/whep/kitchen", &[("content-type", SDP), (name, value)], offer.as_bytes())
                .await;
        assert_eq!(response.status, 201, "{name}");
        assert!(response.header("location").expect("a location").starts_with("/whep/kitchen/"), "{name}");
    }
    stage.is_unharmed().await;
}
