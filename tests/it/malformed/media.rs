//! B15, B17, B18, B19: message bodies, access units, configurations of sound, Enhanced RTMP. Such a message is dropped
//! and counted; the stream goes on, unless there is nothing else in it.

use onair::format::flv::file::{Tag, TagKind};

use super::stage::{MALFORMED, Stage, short, start_of};
use crate::support::fixture::tag;
use crate::support::packet::assert_same;
use crate::support::{Encoder, Fixture, Viewer};

/// A publisher and his viewer, after the first keyframe.
async fn on_air(stage: &Stage, fixture: &Fixture) -> (Encoder, Viewer) {
    let mut encoder = stage.encoder().await;
    let mut viewer = stage.viewer().await;
    encoder.send(start_of(fixture)).await;
    viewer.frame().await;
    (encoder, viewer)
}

/// The rest of the recording comes through.
async fn goes_on(encoder: &mut Encoder, viewer: &mut Viewer, fixture: &Fixture) {
    encoder.send(&fixture.tags[start_of(fixture).len()..]).await;
    let expected = fixture.expected();
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
}

/// Bodies that are dropped, each counted.
async fn are_dropped(bodies: &[Tag]) {
    let mut stage = Stage::set().await;
    let fixture = short();
    let (mut encoder, mut viewer) = on_air(&stage, &fixture).await;
    for (count, body) in bodies.iter().enumerate() {
        encoder.send(std::slice::from_ref(body)).await;
        stage.server.until_counted(MALFORMED, (count + 1) as f64).await;
    }
    goes_on(&mut encoder, &mut viewer, &fixture).await;
    stage.counted(MALFORMED, bodies.len() as f64).await;
    stage.is_unharmed().await;
}

fn video(body: &[u8]) -> Tag {
    tag(TagKind::Video, 40, body)
}

fn audio(body: &[u8]) -> Tag {
    tag(TagKind::Audio, 40, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b15_bodies_without_content_are_dropped() {
    let truncated = [
        video(&[0x27]),
        video(&[0x17, 1]),
        video(&[0x17, 1, 0, 0]),
        video(&[0x27, 1, 0, 0, 0]),
        audio(&[0xaf]),
    ];
    are_dropped(&truncated).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b15_empty_messages_are_nothing() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let (mut encoder, mut viewer) = on_air(&stage, &fixture).await;
    encoder.send(&[video(&[]), audio(&[]), audio(&[0xaf, 1])]).await;
    goes_on(&mut encoder, &mut viewer, &fixture).await;
    stage.counted(MALFORMED, 0.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b17_nal_units_that_go_beyond_their_frame_are_dropped() {
    let frame = |nals: &[u8]| video(&[&[0x27, 1, 0, 0, 0], nals].concat());
    let beyond = [
        frame(&[0xff, 0xff, 0xff, 0xff, 0x41]),
        frame(&[0, 0, 0, 9, 0x41, 1]),
        frame(&[0, 0, 0]),
        frame(&[0, 0, 0, 1, 0x41, 0, 0, 1]),
    ];
    are_dropped(&beyond).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b18_configurations_of_sound_that_cannot_be_are_dropped() {
    // Sampling frequency index 13 is reserved, 15 announces a rate that is then 0, or missing; object type 0 is none.
    let impossible = [
        audio(&[0xaf, 0, 0x16, 0x90]),
        audio(&[0xaf, 0, 0x17, 0x80, 0, 0, 0x10]),
        audio(&[0xaf, 0, 0x17, 0x80]),
        audio(&[0xaf, 0, 0x01, 0x90]),
        audio(&[0xaf, 0, 0x11]),
    ];
    are_dropped(&impossible).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b18_sound_before_its_configuration_waits_and_eight_channels_at_96_khz_are_sound() {
    let mut stage = Stage::set().await;
    let fixture = Fixture::read("audio-only");
    let mut encoder = stage.encoder().await;
    let frame = fixture.tags.iter().find(|tag| tag.body[1] == 1).expect("frames").clone();
    encoder.send(&[frame]).await;
    stage.counted(MALFORMED, 1.0).await;
    // AAC-LC (2), 96 kHz (0), 7.1 channels (7).
    encoder.send(&[audio(&[0xaf, 0, 0x10, 0x38])]).await;
    encoder.send(&fixture.tags[1..]).await;
    let tracks = async {
        loop {
            let shown = stage.server.show("kitchen").await;
            if shown["tracks"].as_array().is_some_and(|tracks| !tracks.is_empty()) {
                return shown["tracks"].clone();
            }
        }
    };
    let tracks = crate::support::in_time("a track", tracks).await;
    assert_eq!((&tracks[0]["sample_rate"], &tracks[0]["channels"]), (&96_000.into(), &8.into()), "{tracks}");
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_enhanced_messages_that_lie_are_dropped() {
    let lies = [
        // ModEx chains that end in the middle; 256 of them in a row.
        video(&[0x97]),
        video(&[0x97, 0xff]),
        video(&[&[0x97][..], &[0, 0, 0x07].repeat(256)].concat()),
        // Multitrack: one track twice; a size beyond the end; a FourCC cut off.
        video(&[&[0x96, 0x11][..], b"hvc1", &[1, 0, 0, 1, 0xaa, 1, 0, 0, 1, 0xaa]].concat()),
        video(&[&[0x96, 0x21][..], b"hvc1", &[1, 0xff, 0xff, 0xff]].concat()),
        video(&[0x96, 0x21, b'h', b'v']),
        // A frame before the configuration of its codec.
        video(&[&[0x91][..], b"av01", &[0x32, 1, 0]].concat()),
        // A sound codec as a picture.
        video(&[&[0x90][..], b"Opus", b"OpusHead"].concat()),
    ];
    are_dropped(&lies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b19_codecs_that_are_not_carried_are_refused_by_name() {
    let mut stage = Stage::set().await;
    for (body, name) in [
        (video(&[&[0x90][..], b"vvc1", &[0; 8]].concat()), "H.266"),
        (video(&[&[0x90][..], b"zz!1", &[0; 8]].concat()), "zz!1"),
        (video(&[0x12, 0, 0, 0]), "H.263"),
        (audio(&[0x2f, 0, 0]), "MP3"),
        (audio(&[&[0x90][..], b"fLaC", &[0; 8]].concat()), "FLAC"),
    ] {
        let mut encoder = stage.encoder().await;
        encoder.send(&[body]).await;
        let (code, description) = encoder.0.status().await.expect("the publisher is told");
        assert_eq!(code, "NetStream.Publish.BadName");
        assert!(description.contains(name) && description.contains("not supported"), "{description}");
        encoder.0.until_closed().await;
        stage.server.until_live("kitchen", false).await;
    }
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_who_sends_nothing_readable_is_sent_away_with_the_reason() {
    let mut stage = Stage::with(|config| config.rtmp.max_malformed = 20).await;
    let mut encoder = stage.encoder().await;
    let garbage: Vec<Tag> = (0..40).map(|_| video(&[0x27])).collect();
    // The server may have closed before all of it is sent.
    let _ = encoder.try_send(&garbage).await;
    let (code, description) = encoder.0.status().await.expect("the publisher is told");
    assert_eq!(code, "NetStream.Publish.BadName");
    assert!(description.contains("cannot be read"), "{description}");
    stage.counted(MALFORMED, 21.0).await;
    stage.is_unharmed().await;
}
