//! A viewer whose offer has not what the broadcast is in gets an offer of the server's (draft-ietf-wish-whep §4.4).

use std::time::Duration;

use onair::media::Codec;
use str0m::IceCreds;
use str0m::media::Direction;

use super::stage::{Stage, on_air_over_rtmp};
use crate::support::http::{Response, request};
use crate::support::webrtc::session::{Offering, Session, fragment};
use crate::support::webrtc::signalling::{SDP, refusal};
use crate::support::webrtc::{Options, Resource};
use crate::support::{Server, WhepPlayer};

/// What is said to an offer of VP8 and Opus while the broadcast is H.264.
async fn countered(server: &Server) -> Response {
    let options = Options { codecs: vec![Codec::Vp8, Codec::Opus], ..Options::default() };
    let offering = Offering::make(server, Direction::RecvOnly, &options).await;
    offering.post(server, "/whep/kitchen", None).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_the_counter_offer_watches() {
    let mut stage = on_air_over_rtmp("kitchen").await;
    let response = countered(&stage.server).await;
    let session = Session::answering(&stage.server, response, &Options::default()).await;
    let mut player = WhepPlayer::of(session);
    player.session.connected().await;
    stage.watched(player).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_offer_takes_one_proper_answer_and_nothing_before_it() {
    let stage = on_air_over_rtmp("kitchen").await;
    let server = &stage.server;
    let sdp = [("content-type", SDP)];
    for nonsense in [&b"v=0"[..], b"\xff", b""] {
        let resource = Resource::of(server.http, None, &countered(server).await);
        let early = refusal(resource.patch("*", &fragment(&IceCreds::new())).await).await;
        assert_eq!((early.0, early.1.as_str()), (409, "not_negotiated"));
        let told = refusal(resource.ask("PATCH", &sdp, nonsense).await).await;
        assert_eq!(told.0, 400, "{told:?}");
        assert_eq!(resource.delete().await, 200);
    }
    // One that has its answer takes no other.
    let session = Session::answering(server, countered(server).await, &Options::default()).await;
    let offer = Offering::make(server, Direction::RecvOnly, &Options::default()).await.offer;
    assert_eq!(session.resource.ask("PATCH", &sdp, offer.as_bytes()).await.status, 415);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_counter_offer_that_nobody_answers_is_forgotten() {
    let stage = Stage::with("kitchen", |config| {
        config.webrtc.setup_timeout = Duration::from_millis(200);
    })
    .await;
    let resource = Resource::of(stage.server.http, None, &countered(&stage.server).await);
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    assert_eq!(resource.delete().await, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_room_is_sent_to_the_other_server() {
    let stage = Stage::with("kitchen", |config| {
        config.webrtc.max_sessions = 1;
        config.webrtc.overflow_url = "https://two.example.org/".to_owned();
    })
    .await;
    let _first = WhepPlayer::join(&stage.server, "kitchen").await;
    let offering = Offering::make(&stage.server, Direction::RecvOnly, &Options::default()).await;
    let headers = [("content-type", SDP)];
    let sent = request(stage.server.http, "POST", "/whep/kitchen", &headers, offering.offer.as_bytes()).await;
    assert_eq!(sent.status, 307);
    assert_eq!(sent.header("location"), Some("https://two.example.org/whep/kitchen"));
}
