//! A server with a channel on the air over RTMP, picture only, and what the tests of WebRTC do with it.

use onair::config::Config;
use onair::format::flv::file::{Tag, TagKind};
use onair::media::{Codec, Kind};

use super::essence;
use crate::support::webrtc::recording::essence_of_payload;
use crate::support::webrtc::{Recording, Unit};
use crate::support::{Channel, Encoder, Fixture, Packet, Server, WhepPlayer, WhipPublisher};

/// A server and a publisher over RTMP.
pub struct Stage {
    /// The server.
    pub server: Server,
    /// The channel.
    pub channel: Channel,
    /// The publisher.
    encoder: Option<Encoder>,
    /// Milliseconds on the publisher's clock.
    clock: u32,
}

/// The pictures of `video-only`, six seconds in groups of two.
pub fn pictures() -> Fixture {
    Fixture::read("video-only")
}

/// A stage whose server remembers everything, with the first second of `video-only` on the air.
pub async fn on_air_over_rtmp(name: &str) -> Stage {
    Stage::with(name, |_| {}).await
}

impl Stage {
    /// The same with changed settings.
    pub async fn with(name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let server = Server::with(change).await;
        let channel = server.channel(name).await;
        let encoder = Some(Encoder::publish(server.rtmp, &channel.key).await);
        let mut stage = Self { server, channel, encoder, clock: 0 };
        stage.send_a_second().await;
        stage.server.until_tracks(name, 1).await;
        stage
    }

    /// Sends thirty pictures, the first of which is a keyframe.
    pub async fn send_a_second(&mut self) {
        let tags = round(self.clock);
        self.encoder.as_mut().expect("a publisher").send(&tags).await;
        self.clock += 1_000;
    }

    /// A viewer is there and gets whatever comes.
    pub async fn watched(&mut self, mut player: WhepPlayer) {
        player.until_pictures(30).await;
        let before = player.pictures.len();
        self.send_a_second().await;
        player.until_pictures(before + 30).await;
        player.assert_no_gap(Kind::Video);
        let received: Vec<_> = player.pictures[before..].iter().map(essence).collect();
        assert!(received == essences_of_a_second(), "other pictures");
    }

    /// The publisher leaves.
    pub async fn stop(&mut self) {
        self.encoder.take().expect("a publisher").stop().await;
    }

    /// And comes again.
    pub async fn return_over_rtmp(&mut self) {
        self.encoder = Some(Encoder::publish(self.server.rtmp, &self.channel.key).await);
        self.send_a_second().await;
    }
}

/// Thirty pictures of one group from this time on, with the configuration before them.
fn round(at: u32) -> Vec<Tag> {
    let fixture = pictures();
    let video = fixture.tags.into_iter().filter(|tag| tag.kind == TagKind::Video);
    let mut tags: Vec<Tag> = video.take(31).collect();
    tags.iter_mut().for_each(|tag| tag.timestamp_ms += at);
    tags
}

/// What of each picture of a round must come through.
pub fn essences_of_a_second() -> Vec<Vec<Vec<u8>>> {
    crate::support::fixture::packets(&round(0)).iter().map(essence_of).collect()
}

/// What of an RTMP picture must come through.
pub fn essence_of(packet: &Packet) -> Vec<Vec<u8>> {
    let codec = match &packet.codec {
        b"avc1" => Codec::H264,
        b"av01" => Codec::Av1,
        b"vp09" => Codec::Vp9,
        b"vp08" => Codec::Vp8,
        b"Opus" => Codec::Opus,
        other => panic!("{} does not go over WebRTC", other.escape_ascii()),
    };
    essence_of_payload(codec, &packet.payload)
}

/// Publishes stretches of a recording, each as soon as the viewer has the pictures of the one before.
pub async fn in_step(publisher: &mut WhipPublisher, player: &mut WhepPlayer, steps: &[&[Unit]]) {
    for step in steps {
        publisher.send(step).await;
        let wanted = player.pictures.len() + 1;
        player.until_pictures(wanted).await;
    }
}

/// A channel on the air over WHIP with the first picture of a recording, and a viewer who has it.
pub async fn on_air_over_whip(
    server: &Server,
    channel: &Channel,
    recording: &Recording,
) -> (WhipPublisher, WhepPlayer) {
    let mut publisher = WhipPublisher::publish(server, channel, recording).await;
    server.until_live(&channel.name, true).await;
    publisher.send(recording.steps().next().expect("a keyframe")).await;
    server.until_tracks(&channel.name, recording.codecs().len()).await;
    let mut player = WhepPlayer::join(server, &channel.name).await;
    player.until_pictures(1).await;
    (publisher, player)
}
