//! Every kind of stream, in by RTMP and out by HLS: the same frames in the same order at the same times.

use std::time::Duration;

use onair::config::Config;

use crate::support::fmp4::{self, Sample};
use crate::support::hls::Rendition;
use crate::support::http::request;
use crate::support::{Encoder, Fixture, Packet, Server, tools};

/// The main rendition of a recording that was watched from its beginning.
async fn packaged(fixture: &Fixture) -> Rendition {
    let server = Server::with(|config: &mut Config| {
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.window_frames = 1_000_000;
        config.broadcast.resume_window = Duration::from_millis(1);
        config.hls.window = Duration::from_secs(3600);
    })
    .await;
    let channel = server.channel("kitchen").await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    // The first player's request begins the packaging; it is answered when there is something to list.
    let first = request(server.http, "GET", "/hls/kitchen/index.m3u8", &[], b"");
    let published = async {
        server.until_at("onair_hls_packaged", 1.0).await;
        let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
        encoder.send(start).await;
        // A turn for the packager, which begins at the newest keyframe it finds.
        server.until_counted("onair_publishers", 1.0).await;
        encoder.send(rest).await;
        encoder.stop().await;
    };
    let (response, ()) = tokio::join!(first, published);
    Rendition::of_ended(&server, response).await
}

/// Parameter sets may stand before a keyframe that came without them, nothing else.
fn is_payload(received: &Sample, expected: &Packet) -> bool {
    received.payload == expected.payload
        || (expected.keyframe && received.payload.ends_with(&expected.payload))
}

async fn comes_through(name: &str) {
    let fixture = Fixture::read(name);
    let expected = fixture.expected();
    let rendition = packaged(&fixture).await;
    let tracks = fmp4::tracks(&rendition.init);
    let mut shifts = Vec::new();
    for &track in &tracks {
        let samples = rendition.samples(track);
        let is_video = !matches!(&track.entry, b"mp4a" | b"Opus");
        let expected: Vec<&Packet> = expected.iter().filter(|packet| packet.is_video() == is_video).collect();
        let entry = track.entry.escape_ascii();
        // Packaging begins with a keyframe: the first, or the second where the first went by too quickly.
        let begins =
            expected.iter().position(|packet| is_payload(&samples[0], packet)).expect("a known frame");
        let keyframes = expected[..begins].iter().filter(|packet| packet.keyframe).count();
        assert!(!is_video || keyframes <= 1, "{entry}: begins at keyframe {keyframes}");
        let expected = &expected[begins..];
        let shift = samples[0].dts - expected[0].dts;
        shifts.push(shift);
        for (index, (sample, packet)) in samples.iter().zip(expected).enumerate() {
            assert!(is_payload(sample, packet), "{entry}: frame {index} is {sample:?} instead of {packet:?}");
            assert_eq!(sample.sync, packet.keyframe, "{entry}: frame {index}");
            let (dts, pts) = (packet.dts + shift, packet.dts + i64::from(packet.cts) + shift);
            let near = |time: i64, expected: i64| (time - expected).abs() <= 1;
            assert!(
                near(sample.dts, dts) && near(sample.pts, pts),
                "{entry}: frame {index}: {sample:?}, {packet:?}"
            );
        }
        assert_eq!(samples.len(), expected.len(), "{entry}: number of frames");
    }
    assert!(!rendition.playlist.contains("#EXT-X-DISCONTINUITY\n"), "{}", rendition.playlist);
    tools::decode_mp4(&rendition.file()).await;
    // Picture and sound stay together.
    let apart = shifts.iter().max().expect("tracks") - shifts.iter().min().expect("tracks");
    assert!(apart <= 1, "{shifts:?}");
    let has = |video: bool| usize::from(expected.iter().any(|packet| packet.is_video() == video));
    assert_eq!(tracks.len(), has(true) + has(false));
}

macro_rules! matrix {
    ($($test:ident = $fixture:literal,)*) => {$(
        // In one thread, so that the packager has its turn after the first keyframe and before the second is there.
        #[tokio::test]
        async fn $test() {
            comes_through($fixture).await;
        }
    )*};
}

matrix! {
    h264_without_b_frames = "h264-aac",
    h264_with_b_frames = "h264-bframes-aac",
    h264_with_open_gops = "h264-open-gop-aac",
    h264_with_opus = "h264-opus",
    audio_only = "audio-only",
    video_only = "video-only",
    four_frames_a_second = "4fps",
    sixty_frames_a_second = "60fps",
    portrait = "portrait",
    a_gop_of_ten_seconds = "gop-10s",
    a_gop_that_never_ends = "gop-endless",
    aac_at_44100_hz = "aac-44100",
    hevc = "hevc-aac",
    hevc_with_b_frames = "hevc-bframes-aac",
    av1_with_opus = "av1-opus",
    vp9_with_opus = "vp9-opus",
}
