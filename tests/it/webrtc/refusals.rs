//! Broadcasts that WebRTC does not carry: who wants to watch them is told why, and what to do.

use onair::media::Kind;
use str0m::media::Direction;

use super::stage::essence_of;
use crate::support::webrtc::session::Offering;
use crate::support::webrtc::signalling::refusal;
use crate::support::webrtc::{Options, player};
use crate::support::{Encoder, Fixture, Server, WhepPlayer};

/// What a viewer is told of a broadcast of this recording: status, code and words.
async fn told(name: &str) -> (u16, String, String) {
    // Where there is a media worker, it makes of it what WebRTC carries.
    let server = Server::with(|config| config.worker.max_jobs = 0).await;
    let channel = server.channel("kitchen").await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    encoder.send(&Fixture::read(name).tags[..40]).await;
    server.until_tracks("kitchen", 2).await;
    let offering = Offering::make(&server, Direction::RecvOnly, &Options::default()).await;
    let refused = refusal(offering.post(&server, "/whep/kitchen", None).await).await;
    server.until_at("onair_webrtc_refused_total{reason=\"stream\"}", 1.0).await;
    server.until_at("onair_webrtc_sessions", 0.0).await;
    refused
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b22_b_frames_and_hevc_are_refused_in_words() {
    for (name, words) in [
        ("h264-bframes-aac", "B-frames"),
        ("h264-open-gop-aac", "B-frames"),
        ("hevc-aac", "H.265"),
        ("hevc-bframes-aac", "H.265"),
    ] {
        let (status, code, message) = told(name).await;
        assert_eq!((status, code.as_str()), (422, "not_over_webrtc"), "{name}: {message}");
        assert!(message.contains(words) && message.contains("HLS"), "{name}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_offers_no_sound_gets_the_picture() {
    let server = Server::patient().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("h264-aac").until_last_picture();
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    encoder.send(&fixture.tags[..fixture.until_joinable()]).await;
    server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::with(&server, "kitchen", player::without_sound()).await;
    player.until_pictures(1).await;
    encoder.send(&fixture.tags[fixture.until_joinable()..]).await;
    player.until_pictures(180).await;
    player.assert_no_gap(Kind::Video);
    let last = fixture.expected().into_iter().rfind(|packet| packet.is_video()).expect("pictures");
    assert!(super::essence(&player.pictures[179]) == essence_of(&last));
    assert!(player.sounds.is_empty());
}
