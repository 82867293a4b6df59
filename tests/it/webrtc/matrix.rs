//! Every codec that WebRTC carries, in by WHIP and by RTMP, out by WHEP, RTMP, HTTP-FLV and HLS: the same frames, in the same
//! order, at the same times.

use std::time::Duration;

use onair::config::Config;
use onair::media::{Codec, Kind};

use super::essence;
use super::stage::essence_of;
use crate::support::fmp4;
use crate::support::hls::Rendition;
use crate::support::http::request;
use crate::support::webrtc::recording::essence_of_payload;
use crate::support::{
    Content, Encoder, Fixture, Packet, Recording, Server, Viewer, WhepPlayer, WhipPublisher,
};

/// A frame as it was sent or has come: its time in units of its own, and what of it must come through.
type Frame = (i64, Vec<Vec<u8>>);

/// What came are the last frames of what was sent, all but at most `missing` at the beginning; times are as far apart as they
/// were, within `near` units.
fn assert_same(what: &str, received: &[Frame], sent: &[Frame], missing: usize, near: i64) {
    assert!(received.len() <= sent.len(), "{what}: {} frames of {}", received.len(), sent.len());
    let begins = sent.len() - received.len();
    assert!(begins <= missing, "{what}: {begins} frames are missing at the beginning");
    let sent = &sent[begins..];
    for (index, (received_one, sent_one)) in received.iter().zip(sent).enumerate() {
        assert!(received_one.1 == sent_one.1, "{what}: frame {index} is another");
        let (passed, expected) = (received_one.0 - received[0].0, sent_one.0 - sent[0].0);
        assert!((passed - expected).abs() <= near, "{what}: frame {index} at {passed} instead of {expected}");
    }
}

/// A server that remembers everything, and lists everything.
async fn patient_server() -> Server {
    Server::with(|config: &mut Config| {
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.window_frames = 1_000_000;
        config.broadcast.resume_window = Duration::from_millis(1);
        config.hls.window = Duration::from_secs(3600);
    })
    .await
}

/// What a recording's frames of a kind are, with times in ticks of so many a millisecond.
fn sent_over_whip(recording: &Recording, kind: Kind, ticks: i64) -> Vec<Frame> {
    recording.of(kind).iter().map(|unit| (i64::from(unit.millis) * ticks, unit.essence())).collect()
}

fn seen_over_whep(player: &WhepPlayer, kind: Kind) -> Vec<Frame> {
    player.assert_no_gap(kind);
    player.of_kind(kind).iter().map(|frame| (frame.ticks as i64, essence(frame))).collect()
}

fn seen_as_tags(packets: &[Packet], kind: Kind) -> Vec<Frame> {
    let of_kind = packets.iter().filter(|packet| packet.is_video() == (kind == Kind::Video));
    of_kind.map(|packet| (packet.dts, essence_of(packet))).collect()
}

/// In by WHIP, out by everything.
async fn whip(name: &str) {
    let server = patient_server().await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read(name);
    let picture = recording.of(Kind::Video)[0].codec;
    let mut publisher = WhipPublisher::publish(&server, &channel, &recording).await;
    server.until_live("kitchen", true).await;
    let mut viewers = Viewer::of_each(&server, "kitchen").await;
    // The first player's request begins the packaging; it is answered when there is something to list.
    let http = server.http;
    let playlist =
        tokio::spawn(async move { request(http, "GET", "/hls/kitchen/index.m3u8", &[], b"").await });
    server.until_at("onair_hls_packaged", 1.0).await;

    let mut steps = recording.steps();
    publisher.send(steps.next().expect("a keyframe")).await;
    for viewer in &mut viewers {
        while !viewer.frame().await.is_video() {}
    }
    server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(1).await;
    for (index, step) in steps.enumerate() {
        publisher.send(step).await;
        player.until_pictures(index + 2).await;
    }
    publisher.stop().await;

    for (kind, ticks, missing) in [(Kind::Video, 90, 0), (Kind::Audio, 48, 10)] {
        let sent = sent_over_whip(&recording, kind, ticks);
        assert_same(&format!("WHEP {kind:?}"), &seen_over_whep(&player, kind), &sent, missing, 1);
    }
    for viewer in &mut viewers {
        viewer.until_end().await;
        for kind in [Kind::Video, Kind::Audio] {
            let received = seen_as_tags(&viewer.packets(), kind);
            let missing = if kind == Kind::Video { 0 } else { 10 };
            assert_same(viewer.protocol, &received, &sent_over_whip(&recording, kind, 1), missing, 1);
        }
    }
    let rendition = Rendition::of_ended(&server, playlist.await.expect("an answer")).await;
    let tracks = fmp4::tracks(&rendition.init);
    assert_eq!(tracks.len(), 2);
    for track in tracks {
        let kind = if &track.entry == b"Opus" { Kind::Audio } else { Kind::Video };
        let codec = if kind == Kind::Audio { Codec::Opus } else { picture };
        let samples = rendition.samples(track);
        let received: Vec<Frame> =
            samples.iter().map(|sample| (sample.dts, essence_of_payload(codec, &sample.payload))).collect();
        assert_same(
            "HLS",
            &received,
            &sent_over_whip(&recording, kind, 1),
            if kind == Kind::Video { 0 } else { 10 },
            1,
        );
        let keyframes = |keyframe: &dyn Fn(usize) -> bool| {
            (0..samples.len()).filter(|at| keyframe(*at)).collect::<Vec<_>>()
        };
        let sent = recording.of(kind);
        let sent = &sent[sent.len() - samples.len()..];
        assert_eq!(keyframes(&|at| samples[at].sync), keyframes(&|at| sent[at].keyframe), "{kind:?}");
    }
}

/// In by RTMP, out by WHEP. `same` when the sound is not converted on the way.
async fn rtmp(name: &str, same: bool) {
    let server = patient_server().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read(name).until_last_picture();
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    encoder.send(start).await;
    server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(1).await;
    for tag in rest {
        encoder.send(std::slice::from_ref(tag)).await;
        if matches!(Packet::parse(tag), Content::Frame(packet) if packet.is_video()) {
            let wanted = player.pictures.len() + 1;
            player.until_pictures(wanted).await;
        }
    }
    let ticks = |frames: Vec<Frame>, rate: i64| -> Vec<Frame> {
        frames.into_iter().map(|(millis, essence)| (millis * rate, essence)).collect()
    };
    let expected = fixture.expected();
    assert_same(
        "pictures",
        &seen_over_whep(&player, Kind::Video),
        &ticks(seen_as_tags(&expected, Kind::Video), 90),
        0,
        1,
    );
    let sounds = seen_over_whep(&player, Kind::Audio);
    if same {
        assert_same("sounds", &sounds, &ticks(seen_as_tags(&expected, Kind::Audio), 48), 10, 1);
    } else {
        assert!(sounds.len() > 250, "{} packets of six seconds of sound", sounds.len());
        assert!(
            sounds.windows(2).all(|pair| pair[1].0 - pair[0].0 == 960),
            "packets of 20 ms touch each other"
        );
    }
}

macro_rules! matrix {
    ($($test:ident = $judge:ident($($argument:literal),*),)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $judge($($argument),*).await;
        }
    )*};
}

matrix! {
    h264_and_opus_from_whip = whip("h264-opus"),
    vp8_and_opus_from_whip = whip("vp8"),
    vp9_and_opus_from_whip = whip("vp9-opus"),
    av1_and_opus_from_whip = whip("av1-opus"),
    h264_and_aac_from_rtmp = rtmp("h264-aac", false),
    h264_and_44100_hz_aac_from_rtmp = rtmp("aac-44100", false),
    av1_and_aac_from_rtmp = rtmp("av1-aac", false),
    h264_and_opus_from_rtmp = rtmp("h264-opus", true),
    vp9_and_opus_from_rtmp = rtmp("vp9-opus", true),
    av1_and_opus_from_rtmp = rtmp("av1-opus", true),
    sixty_pictures_a_second_from_rtmp = rtmp("60fps", false),
    a_gop_that_never_ends_from_rtmp = rtmp("gop-endless", false),
}
