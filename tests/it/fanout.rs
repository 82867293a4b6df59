//! Who gets what when people come and go: joiners, publishers who return, publishers who take over, ends.

use std::time::Duration;

use onair::format::flv::file::TagKind;
use onair::protocol::rtmp::Ended;
use onair::protocol::rtmp::wire::SessionError;

use crate::support::fixture::packets;
use crate::support::http::request;
use crate::support::packet::assert_same;
use crate::support::{Content, Encoder, Fixture, Packet, Player, Server, Viewer};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_begins_at_the_newest_keyframe_with_its_configuration() {
    let server = Server::patient().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("h264-bframes-aac");
    let expected = fixture.expected();
    // In the middle of the last GOP of three.
    let keyframes: Vec<usize> = (0..fixture.tags.len())
        .filter(|&at| {
            matches!(Packet::parse(&fixture.tags[at]), Content::Frame(packet) if packet.is_video() && packet.keyframe)
        })
        .collect();
    let [.., newest] = keyframes[..] else { panic!("no keyframes") };
    let cut = (newest + 40..).find(|&at| fixture.tags[at].kind == TagKind::Video).expect("pictures") + 1;

    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut witnesses = Viewer::of_each(&server, "kitchen").await;
    let start = fixture.until_joinable();
    encoder.send(&fixture.tags[..start]).await;
    for witness in &mut witnesses {
        witness.frame().await;
    }
    encoder.send(&fixture.tags[start..cut]).await;
    let seen = packets(&fixture.tags[..cut]).len() - (packets(&fixture.tags).len() - expected.len());
    for witness in &mut witnesses {
        witness.frames(seen - 1).await;
    }

    let mut joiners = Viewer::of_each(&server, "kitchen").await;
    encoder.send(&fixture.tags[cut..]).await;
    encoder.stop().await;
    for viewer in &mut joiners {
        viewer.until_end().await;
        let received = viewer.packets();
        let first = received.iter().find(|packet| packet.is_video()).expect("pictures");
        let Content::Frame(keyframe) = Packet::parse(&fixture.tags[newest]) else { panic!("a frame") };
        assert_eq!((first.dts, first.keyframe), (keyframe.dts, true), "{}", viewer.protocol);
        let begins = expected.len() - received.len();
        assert_same(viewer.protocol, &received, &expected[begins..]);
        // Sound that belongs to the keyframe's interval may come before it, no more.
        assert!(
            expected[begins].dts >= keyframe.dts - 40,
            "{}: begins at {:?}",
            viewer.protocol,
            expected[begins]
        );
        let configs = viewer.configs();
        assert!(configs.iter().all(|(frames, ..)| *frames == 0) && configs.len() == 2, "{}", viewer.protocol);
    }
    for witness in &mut witnesses {
        witness.until_end().await;
        assert_same(witness.protocol, &witness.packets(), &expected);
    }
}

/// Frames of `second` come to viewers who have seen `first`, on the same connections, later on the same clock.
async fn goes_on_with(viewers: &mut [Viewer; 2], encoder: &mut Encoder, fixture: &Fixture) {
    let before: Vec<i64> = viewers
        .iter()
        .map(|viewer| viewer.packets().iter().map(|packet| packet.dts).max().expect("frames"))
        .collect();
    encoder.send(&fixture.tags).await;
    let sent = packets(&fixture.tags);
    for (viewer, before) in viewers.iter_mut().zip(before) {
        let received = viewer.frames(sent.len()).await;
        let shift = received[0].dts - sent[0].dts;
        let expected: Vec<Packet> =
            sent.iter().map(|packet| Packet { dts: packet.dts + shift, ..packet.clone() }).collect();
        assert_same(viewer.protocol, &received, &expected);
        assert!(received[0].dts > before, "{}: time goes on: {before}, {:?}", viewer.protocol, received[0]);
    }
}

async fn begin(server: &Server, key: &str, fixture: &Fixture) -> (Encoder, [Viewer; 2]) {
    let mut encoder = Encoder::publish(server.rtmp, key).await;
    let mut viewers = Viewer::of_each(server, "kitchen").await;
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    encoder.send(start).await;
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    encoder.send(rest).await;
    for viewer in &mut viewers {
        viewer.frames(fixture.expected().len() - 1).await;
    }
    (encoder, viewers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_stay_while_a_killed_publisher_returns() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("short").until_last_picture();
    let (encoder, mut viewers) = begin(&server, &channel.key, &fixture).await;
    // The process died: no farewell, a reset connection.
    drop(encoder);
    server.until_live("kitchen", false).await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    server.until_live("kitchen", true).await;
    goes_on_with(&mut viewers, &mut encoder, &fixture).await;
    // And with another encoder's stream, after a proper end.
    encoder.stop().await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    goes_on_with(&mut viewers, &mut encoder, &Fixture::read("short-bframes").until_last_picture()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_are_let_go_when_nobody_returns() {
    let server = Server::with(|config| config.broadcast.resume_window = Duration::from_millis(100)).await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("short").until_last_picture();
    let (encoder, mut viewers) = begin(&server, &channel.key, &fixture).await;
    encoder.stop().await;
    for viewer in &mut viewers {
        viewer.until_end().await;
        assert_same(viewer.protocol, &viewer.packets(), &fixture.expected());
    }
    server.until_at("onair_viewers{protocol=\"rtmp\"}", 0.0).await;
    server.until_at("onair_viewers{protocol=\"http_flv\"}", 0.0).await;
    let refused = Player::try_join(server.rtmp, "kitchen").await.err();
    let Some(Ended::Session(SessionError::Refused { code, description })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("NetStream.Play.StreamNotFound", "the channel is not live")
    );
    let answer = request(server.http, "GET", "/live/kitchen.flv", &[], b"").await;
    assert_eq!((answer.status, &answer.json().await["error"]["code"]), (404, &"offline".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_publisher_takes_over_and_viewers_stay() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("short").until_last_picture();
    let (mut first, mut viewers) = begin(&server, &channel.key, &fixture).await;
    let mut second = Encoder::publish(server.rtmp, &channel.key).await;
    let (code, description) = first.0.status().await.expect("the first is told");
    assert_eq!(code, "NetStream.Publish.BadName");
    assert_eq!(description, "another publisher with the same key took over");
    first.0.until_closed().await;
    goes_on_with(&mut viewers, &mut second, &fixture).await;
    assert_eq!(server.metrics().await.value("onair_takeovers_total"), 1.0);
    assert_eq!(server.show("kitchen").await["live"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_channel_lets_everyone_go() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let (mut encoder, mut viewers) =
        begin(&server, &channel.key, &Fixture::read("short").until_last_picture()).await;
    assert_eq!(server.operator("DELETE", "/api/v1/channels/kitchen", None).await.status, 204);
    let (code, description) = encoder.0.status().await.expect("the publisher is told");
    assert_eq!(
        (code.as_str(), description.as_str()),
        ("NetStream.Publish.BadName", "the channel was deleted")
    );
    for viewer in &mut viewers {
        viewer.until_end().await;
    }
    let (code, _) = Encoder::refusal(server.rtmp, &channel.key).await;
    assert_eq!(code, "NetStream.Publish.Denied");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_who_falls_out_of_memory_goes_on_at_the_newest_keyframe_and_is_counted() {
    // Two hundred frames in memory: about two seconds.
    let server = Server::with(|config| config.broadcast.window_frames = 200).await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("gop-10s");
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    // Does not read beyond what its socket holds: its place in memory is lost to it.
    let mut sleeper = Player::join(server.rtmp, "kitchen").await;
    encoder.send(start).await;
    while sleeper.next().await.expect("media").kind != TagKind::Video {}
    let padded = Fixture { tags: rest.to_vec() }.padded(64 << 10);
    encoder.send(&padded.tags).await;
    let more = Fixture::read("short").padded(64 << 10).later(21_000);
    encoder.send(&more.tags).await;
    let mut keyframe_again = false;
    let last = packets(&more.tags).iter().rfind(|packet| packet.is_video()).expect("pictures").dts;
    let mut newest = 0;
    while newest < last {
        let tag = sleeper.next().await.expect("media");
        if let Content::Frame(packet) = Packet::parse(&tag) {
            let gap = packet.is_video() && packet.dts - newest > 100;
            assert!(!gap || packet.keyframe, "goes on at {packet:?}");
            keyframe_again |= gap;
            newest = if packet.is_video() { packet.dts } else { newest };
        }
    }
    assert!(keyframe_again, "nothing was missed");
    assert!(server.metrics().await.value("onair_viewers_lagged_total{protocol=\"rtmp\"}") >= 1.0);
}
