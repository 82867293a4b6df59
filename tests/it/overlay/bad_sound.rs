//! B18 while an overlay is on: sound that cannot be, and sound that is seldom. Neither the stream nor the slot minds.

use bytes::BytesMut;
use onair::format::flv::file::{self, Tag, TagKind};

use super::stage::{TURN, Told, Wish, ask, server, trace};
use super::{decode, number_and_overlay};
use crate::support::fixture::tag;
use crate::support::{Encoder, Fixture, Packet, Viewer};

const MALFORMED: &str = "onair_rtmp_malformed_total";
/// Pictures that a splice may hold back at most.
const HELD_BACK: usize = 60;
/// Milliseconds of the recording that is sent over and over.
const LENGTH: u32 = 6_000;

/// A publisher and a viewer who keep step with each other, so that nothing depends on how fast the machine is.
struct Stream {
    encoder: Encoder,
    viewer: Viewer,
    tags: Box<dyn Iterator<Item = Tag> + Send>,
    pictures: usize,
    seen: usize,
    /// Configurations of sound are left out.
    mute: bool,
    now: u32,
}

impl Stream {
    /// Sends one picture and the sound around it, and lets the viewer catch up.
    async fn step(&mut self) {
        loop {
            let tag = self.tags.next().expect("a stream without an end");
            self.now = tag.timestamp_ms;
            let is_config = tag.body[1] == 0;
            let is_picture = tag.kind == TagKind::Video;
            if !(self.mute && is_config && !is_picture) {
                self.encoder.send(std::slice::from_ref(&tag)).await;
            }
            if is_picture && !is_config {
                break;
            }
        }
        self.pictures += 1;
        while self.seen + HELD_BACK < self.pictures {
            self.seen += usize::from(self.viewer.frame().await.is_video());
        }
    }

    async fn say(&mut self, bodies: &[&[u8]]) {
        for body in bodies {
            self.encoder.send(&[tag(TagKind::Audio, self.now, *body)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b18_sound_that_cannot_be_leaves_the_stream_and_the_slot_alone() {
    let _turn = TURN.lock().await;
    let server = server(|_| {}).await;
    let channel = server.channel("kitchen").await;
    let recording = Fixture::read("h264-aac").tags;
    let config = recording.iter().find(|tag| tag.kind == TagKind::Audio && tag.body[1] == 0);
    let config = config.expect("a configuration").body.clone();
    let again = move |round: u32| {
        let later = |tag: &Tag| Tag { timestamp_ms: tag.timestamp_ms + round * LENGTH, ..tag.clone() };
        recording.iter().map(later).collect::<Vec<Tag>>()
    };
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut tags = (0..).flat_map(again);
    let first: Vec<Tag> = tags.by_ref().take_while(|tag| tag.timestamp_ms < 1_000).collect();
    let is_sound = |tag: &Tag| tag.kind == TagKind::Audio;
    // Sound before its configuration is dropped, and counted.
    let unexplained = first.iter().filter(|tag| is_sound(tag) && tag.body[1] == 1).count();
    let begun: Vec<Tag> = first.into_iter().filter(|tag| !is_sound(tag) || tag.body[1] == 1).collect();
    encoder.send(&begun).await;
    server.until_counted(MALFORMED, unexplained as f64).await;
    let viewer = Viewer::rtmp(&server, "kitchen").await;
    let pictures = begun.iter().filter(|tag| !is_sound(tag)).count() - 1;
    let mut stream =
        Stream { encoder, viewer, tags: Box::new(tags), pictures, seen: 0, mute: true, now: 1_000 };

    let id = ask(&server, &channel, &Wish::white(3_000)).await;
    let mut said = 0;
    let told = loop {
        stream.step().await;
        let trace = trace(&server, &id).await;
        match trace["state"].as_str() {
            Some("on_air") => {
                match said {
                    // A rate of 0, a rate that is missing, an index and an object type that are reserved.
                    3 => {
                        let nonsense: [&[u8]; 4] = [
                            &[0xaf, 0, 0x17, 0x80, 0, 0, 0x10],
                            &[0xaf, 0, 0x17, 0x80],
                            &[0xaf, 0, 0x16, 0x90],
                            &[0xaf, 0, 0x01, 0x90],
                        ];
                        stream.say(&nonsense).await;
                    }
                    // 96 kHz, 7.1; what follows is none of that.
                    6 => stream.say(&[&[0xaf, 0, 0x10, 0x38]]).await,
                    // What the sound really is.
                    20 => stream.say(&[&config]).await,
                    _ => {}
                }
                said += 1;
            }
            Some("over") => {
                assert_eq!(trace["ended"], "completed", "{trace}");
                break Told::of(&trace);
            }
            _ => {}
        }
    };
    assert!(said > 20, "all was said while it was on the air");
    for _ in 0..2 * HELD_BACK + 60 {
        stream.step().await;
    }
    assert!(server.metrics().await.value(MALFORMED) >= (unexplained + 4) as f64);
    let tracks = server.show("kitchen").await["tracks"].clone();
    assert_eq!(tracks[1]["sample_rate"], 48_000, "{tracks}");
    let Stream { encoder, mut viewer, .. } = stream;
    encoder.stop().await;
    while viewer.next().await.is_some() {}

    let mut times: Vec<i64> = viewer
        .packets()
        .iter()
        .filter(|packet| packet.is_video())
        .map(|packet: &Packet| packet.dts + i64::from(packet.cts))
        .collect();
    times.sort_unstable();
    let seen = pictures_of(&viewer).await;
    assert_eq!(seen.len(), times.len());
    for (pair, pts) in seen.windows(2).zip(&times) {
        assert_eq!((pair[0].0 + 1) % 180, pair[1].0, "after {pts} ms: every picture, once");
    }
    for ((number, overlaid), pts) in seen.iter().zip(&times) {
        assert_eq!(*overlaid, told.is_on(*pts), "picture {number} at {pts} ms");
    }
}

/// The viewer's pictures without the sound, of which ffmpeg would complain.
async fn pictures_of(viewer: &Viewer) -> Vec<(u16, bool)> {
    let mut recording = BytesMut::from(&file::header(true, false)[..]);
    for tag in Fixture::of(&viewer.recording()).tags.iter().filter(|tag| tag.kind == TagKind::Video) {
        file::write_tag(&mut recording, tag.kind, tag.timestamp_ms, &[&tag.body]);
    }
    decode(&recording, ".flv", (320, 180), number_and_overlay).await
}
