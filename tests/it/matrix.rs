//! Every kind of stream, in by RTMP and out by RTMP and HTTP-FLV: the same frames in the same order at the same times,
//! and nothing that a decoder complains of.

use bytes::Bytes;
use onair::format::flv::file::Tag;

use crate::support::fixture::tags_of;
use crate::support::packet::assert_same;
use crate::support::{Content, Encoder, Fixture, Packet, Server, Viewer, join_all, tools};

/// Publishes a recording, watched from before its first frame to its end.
async fn broadcast(server: &Server, channel: &str, fixture: &Fixture) -> [Viewer; 2] {
    let channel = server.channel(channel).await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut viewers = Viewer::of_each(server, &channel.name).await;
    // A viewer begins at the newest keyframe: both must have begun before there is a second one.
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    encoder.send(start).await;
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    encoder.send(rest).await;
    encoder.stop().await;
    for viewer in &mut viewers {
        viewer.until_end().await;
    }
    viewers
}

/// The configurations among tags: codec and record. ffmpeg's header for AV1 differs from what its encoder then writes
/// in-band, which counts.
fn configs(tags: &[Tag]) -> Vec<([u8; 4], Bytes)> {
    let config = |tag| match Packet::parse(tag) {
        Content::Config { codec, .. } if codec == *b"av01" => Some((codec, Bytes::new())),
        Content::Config { codec, record } => Some((codec, record)),
        _ => None,
    };
    tags.iter().filter_map(config).collect()
}

fn came_through(fixture: &Fixture, viewers: &[Viewer; 2]) {
    let expected = fixture.expected();
    for viewer in viewers {
        let received = viewer.packets();
        let has_picture = expected.iter().any(Packet::is_video);
        // Every frame of sound is a place to begin: which one was the newest is a matter of microseconds.
        let begins =
            expected.iter().position(|packet| Some(packet) == received.first()).expect("a known frame");
        assert!(begins == 0 || (!has_picture && begins < 5), "{} begins at frame {begins}", viewer.protocol);
        assert_same(viewer.protocol, &received, &expected[begins..]);

        assert_eq!(configs(&viewer.tags), configs(&fixture.tags), "{}: configurations", viewer.protocol);
    }
}

/// For codecs that FLV always had.
async fn comes_through(name: &str) {
    let fixture = Fixture::read(name);
    let server = Server::patient().await;
    let viewers = broadcast(&server, "kitchen", &fixture).await;
    came_through(&fixture, &viewers);
    for viewer in &viewers {
        let probed = tools::probe_and_decode(&viewer.recording()).await;
        let packets = probed["packets"].as_array().expect("packets");
        assert_eq!(packets.len(), viewer.packets().len(), "ffprobe sees every frame of {}", viewer.protocol);
    }
}

/// For those that only Enhanced RTMP has.
async fn comes_through_enhanced(name: &str) {
    let fixture = Fixture::read(name);
    let server = Server::patient().await;
    let viewers = broadcast(&server, "kitchen", &fixture).await;
    came_through(&fixture, &viewers);
    for viewer in &viewers {
        tools::decode_enhanced(&viewer.recording()).await;
    }
}

macro_rules! matrix {
    ($judge:ident: $($test:ident = $fixture:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $judge($fixture).await;
        }
    )*};
}

matrix! { comes_through:
    h264_without_b_frames = "h264-aac",
    h264_with_b_frames = "h264-bframes-aac",
    h264_with_open_gops = "h264-open-gop-aac",
    b20_audio_only = "audio-only",
    b20_video_only = "video-only",
    b20_four_frames_a_second = "4fps",
    sixty_frames_a_second = "60fps",
    portrait = "portrait",
    a_gop_of_ten_seconds = "gop-10s",
    b21_a_gop_that_never_ends = "gop-endless",
    aac_at_44100_hz = "aac-44100",
}

matrix! { comes_through_enhanced:
    h264_with_opus = "h264-opus",
    hevc = "hevc-aac",
    hevc_with_b_frames = "hevc-bframes-aac",
    av1_with_aac = "av1-aac",
    av1_with_opus = "av1-opus",
    vp9_with_opus = "vp9-opus",
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_resolution_changes_in_mid_stream() {
    let (first, second) = (Fixture::read("resolution-1"), Fixture::read("resolution-2").later(4_032));
    let change = first.expected().len();
    let fixture = first.then(second);
    let server = Server::patient().await;
    let viewers = broadcast(&server, "kitchen", &fixture).await;
    for viewer in &viewers {
        assert_same(viewer.protocol, &viewer.packets(), &fixture.expected());
        let videos: Vec<usize> =
            viewer.configs().iter().filter(|(_, codec, _)| codec == b"avc1").map(|(at, ..)| *at).collect();
        let [start, changed] = videos[..] else {
            panic!("{}: configurations at {videos:?}", viewer.protocol)
        };
        assert_eq!(start, 0, "{}", viewer.protocol);
        let first_of_second =
            viewer.packets().iter().skip(change).position(Packet::is_video).expect("pictures") + change;
        assert!((change..=first_of_second).contains(&changed), "{}: changes at {changed}", viewer.protocol);
        tools::probe_and_decode(&viewer.recording()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_codec_changes_in_mid_stream() {
    let fixture = Fixture::read("short").then(Fixture::read("hevc-aac").later(2_048));
    let server = Server::patient().await;
    let viewers = broadcast(&server, "kitchen", &fixture).await;
    for viewer in &viewers {
        assert_same(viewer.protocol, &viewer.packets(), &fixture.expected());
        let codecs: Vec<[u8; 4]> = viewer.configs().into_iter().map(|(_, codec, _)| codec).collect();
        assert_eq!(codecs.iter().filter(|codec| **codec == *b"avc1").count(), 1, "{}", viewer.protocol);
        assert_eq!(codecs.iter().filter(|codec| **codec == *b"hvc1").count(), 1, "{}", viewer.protocol);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_channels_at_once() {
    let names = [
        "h264-aac",
        "h264-bframes-aac",
        "video-only",
        "60fps",
        "portrait",
        "aac-44100",
        "hevc-aac",
        "av1-opus",
    ];
    let names: Vec<&str> = names.into_iter().chain(["short", "short-bframes"]).collect();
    let fixtures: Vec<Fixture> = names.iter().map(|name| Fixture::read(name)).collect();
    let server = Server::patient().await;
    let mut broadcasts = Vec::new();
    for (index, fixture) in fixtures.iter().enumerate() {
        let (server, name) = (&server, format!("channel-{index}"));
        broadcasts.push(async move { came_through(fixture, &broadcast(server, &name, fixture).await) });
    }
    assert_eq!(broadcasts.len(), 10);
    join_all(broadcasts).await;
}

/// An encoder's real-time stream of a recording's first two seconds, for which viewers already wait.
async fn published_by(ffmpeg: &std::path::Path, name: &str) -> [Viewer; 2] {
    let server =
        Server::with(|config| config.broadcast.resume_window = std::time::Duration::from_millis(500)).await;
    let channel = server.channel("kitchen").await;
    // Puts the channel on the air, so that viewers can come before the first frame.
    let placeholder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut viewers = Viewer::of_each(&server, &channel.name).await;
    let path = Fixture::path(name);
    let url = format!("rtmp://{}/live/{}", server.rtmp, channel.key);
    let before = ["-nostdin", "-v", "error", "-re", "-i"].map(String::from);
    let after = ["-t", "2", "-c", "copy", "-f", "flv", &url].map(String::from);
    let arguments = before.into_iter().chain([path.display().to_string()]).chain(after);
    let published = tools::run(ffmpeg, arguments);
    tokio::join!(published, async {
        for viewer in &mut viewers {
            viewer.until_end().await;
        }
    });
    drop(placeholder);
    viewers
}

/// The frames of a recording that a viewer has got, wherever ffmpeg cut the end.
fn are_the_first_of(name: &str, viewers: &[Viewer; 2]) {
    let expected = Fixture::read(name).expected();
    for viewer in viewers {
        let received = viewer.packets();
        assert!(received.len() > 100, "{}: {} frames", viewer.protocol, received.len());
        for codec in [true, false] {
            let of_kind = |packets: &[Packet]| -> Vec<Packet> {
                packets.iter().filter(|packet| packet.is_video() == codec).cloned().collect()
            };
            let (received, expected) = (of_kind(&received), of_kind(&expected));
            let shift = received[0].dts - expected[0].dts;
            let expected: Vec<Packet> = expected[..received.len()]
                .iter()
                .zip(&received)
                .map(|(packet, received)| {
                    let dts = packet.dts + shift;
                    // ffmpeg rounds to its own milliseconds once more.
                    assert!((dts - received.dts).abs() <= 1, "{received:?} is not within 1 ms of {dts}");
                    Packet { dts: received.dts, ..packet.clone() }
                })
                .collect();
            assert_same(viewer.protocol, &received, &expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ffmpeg_publishes_comes_through() {
    for name in ["h264-aac", "h264-bframes-aac"] {
        let viewers = published_by(tools::FFMPEG.as_ref(), name).await;
        are_the_first_of(name, &viewers);
        for viewer in &viewers {
            tools::probe_and_decode(&viewer.recording()).await;
        }
    }
}

async fn what_the_newer_ffmpeg_publishes_comes_through(name: &str) {
    let Some(ffmpeg) = tools::enhanced_ffmpeg() else { return };
    let viewers = published_by(&ffmpeg, name).await;
    are_the_first_of(name, &viewers);
    for viewer in &viewers {
        tools::decode_enhanced(&viewer.recording()).await;
    }
}

matrix! { what_the_newer_ffmpeg_publishes_comes_through:
    real_enhanced_rtmp_with_hevc = "hevc-bframes-aac",
    real_enhanced_rtmp_with_av1_and_opus = "av1-opus",
    real_enhanced_rtmp_with_vp9_and_opus = "vp9-opus",
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_plays_rtmp_and_http_flv_as_the_recording() {
    let server = Server::patient().await;
    let channel = server.channel("kitchen").await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let inputs =
        [format!("rtmp://{}/live/kitchen", server.rtmp), format!("http://{}/live/kitchen.flv", server.http)];
    let players: Vec<_> =
        inputs.iter().map(|input| tools::start(tools::FFMPEG, tools::framehash_arguments(input))).collect();
    // Both wait for the first keyframe.
    server.until_at("onair_viewers{protocol=\"rtmp\"}", 1.0).await;
    server.until_at("onair_viewers{protocol=\"http_flv\"}", 1.0).await;
    let mut witness = Viewer::of_each(&server, "kitchen").await;
    let fixture = Fixture::read("short-bframes");
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    encoder.send(start).await;
    for viewer in &mut witness {
        viewer.frame().await;
    }
    encoder.send(rest).await;
    encoder.stop().await;
    let path = Fixture::path("short-bframes").display().to_string();
    let recording = packets(&tools::run(tools::FFMPEG, tools::framehash_arguments(&path)).await);
    assert!(recording.len() > 100, "{} packets", recording.len());
    for player in players {
        assert_eq!(packets(&tools::finished(player).await), recording);
    }
}

/// The packets of framehash: stream, times, size and hash. Which stream is listed first is the container's business.
fn packets(framehash: &str) -> Vec<Vec<String>> {
    let lines = framehash.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(',').map(|field| field.trim().to_owned()).collect()).collect()
}

#[test]
fn the_tests_own_reader_sees_every_frame() {
    let bytes = std::fs::read(Fixture::path("h264-aac")).unwrap();
    let tags = tags_of(&bytes);
    let packets = crate::support::fixture::packets(&tags);
    assert_eq!(packets.iter().filter(|packet| packet.is_video()).count(), 180);
    assert_eq!(packets.iter().filter(|packet| packet.is_video() && packet.keyframe).count(), 3);
}
