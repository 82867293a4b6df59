//! Every codec that WebRTC carries, in by WHIP and by RTMP, out by WHEP, RTMP, HTTP-FLV and HLS: the same frames, in the same
//! order, at the same times.

use onair::media::Kind;

use crate::support::{Recording, Server, WhepPlayer, WhipPublisher};

/// Publishes the rest of a recording, each picture as soon as the viewer has the one before.
async fn in_step(publisher: &mut WhipPublisher, player: &mut WhepPlayer, recording: &Recording, done: usize) {
    for (index, step) in recording.steps().enumerate().skip(done) {
        publisher.send(step).await;
        player.until_pictures(index + 1).await;
    }
}

fn came_through(player: &WhepPlayer, recording: &Recording) {
    for kind in [Kind::Video, Kind::Audio] {
        player.assert_no_gap(kind);
        let (sent, received) = (recording.of(kind), player.of_kind(kind));
        let begins = sent
            .iter()
            .position(|unit| unit.essence() == super::essence(&received[0]))
            .expect("a known frame");
        let sent = &sent[begins..];
        for (index, (frame, unit)) in received.iter().zip(sent).enumerate() {
            assert!(super::essence(frame) == unit.essence(), "{kind:?} {index} is another frame");
        }
        assert_eq!(received.len(), sent.len(), "{kind:?}: number of frames");
        let rate = if kind == Kind::Video { 90 } else { 48 };
        for (unit, ticks) in sent.iter().zip(player.ticks(kind)) {
            let expected = i64::from(unit.millis - sent[0].millis) * rate;
            assert!((ticks - expected).abs() <= 1, "{kind:?} at {ticks} instead of {expected}");
        }
    }
}

async fn whip_to_whep(name: &str) {
    let server = Server::patient().await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read(name);
    let mut publisher = WhipPublisher::publish(&server, &channel, &recording).await;
    server.until_live("kitchen", true).await;
    publisher.send(recording.steps().next().expect("a keyframe")).await;
    server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(1).await;
    in_step(&mut publisher, &mut player, &recording, 1).await;
    came_through(&player, &recording);
    publisher.stop().await;
    server.until_live("kitchen", false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h264_and_opus_from_whip_to_whep() {
    whip_to_whep("h264-opus").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vp8_and_opus_from_whip_to_whep() {
    whip_to_whep("vp8").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vp9_and_opus_from_whip_to_whep() {
    whip_to_whep("vp9-opus").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn av1_and_opus_from_whip_to_whep() {
    whip_to_whep("av1-opus").await;
}
