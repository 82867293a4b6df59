//! An encoder restarts or another takes over: viewers over WHEP stay on their session, their packets' numbers and times go
//! on as if nothing had happened.

use onair::media::Kind;

use super::stage::{essence_of, in_step, on_air_over_whip};
use super::{essence, stage};
use crate::support::webrtc::{Recording, Unit};
use crate::support::{Encoder, Fixture, Packet, Server, WhepPlayer, WhipPublisher, in_time};

/// Pictures that each publisher sends.
const EACH: usize = 40;

/// A viewer in the middle of a broadcast, and where the next publisher begins.
struct Audience {
    player: WhepPlayer,
    before: usize,
}

impl Audience {
    fn new(player: WhepPlayer) -> Self {
        Self { before: player.pictures.len(), player }
    }

    /// The next publisher's pictures came, from its first keyframe on; time and numbers went on.
    fn went_on_with(&mut self, expected: &[Vec<Vec<u8>>]) {
        let player = &self.player;
        let received: Vec<_> = player.pictures[self.before..].iter().map(essence).collect();
        assert!(received == expected, "{} pictures, {} expected", received.len(), expected.len());
        player.assert_no_gap(Kind::Video);
        let ticks = player.ticks(Kind::Video);
        assert!(ticks.windows(2).all(|pair| pair[1] > pair[0]), "time goes back: {ticks:?}");
        // Tests are over in less than a minute: nobody's clock began again somewhere else.
        let gap = ticks[self.before] - ticks[self.before - 1];
        assert!(gap < 60 * 90_000, "a gap of {gap} ticks");
        if !player.sounds.is_empty() {
            player.assert_no_gap(Kind::Audio);
            let ticks = player.ticks(Kind::Audio);
            assert!(ticks.windows(2).all(|pair| pair[1] > pair[0]), "the sound's time goes back: {ticks:?}");
        }
        assert_eq!((player.gone, player.tally.byes), (false, 0));
        assert!(player.tally.sources.len() <= 2, "{:?}", player.tally.sources);
        self.before = player.pictures.len();
    }
}

fn essences(units: &[&[Unit]]) -> Vec<Vec<Vec<u8>>> {
    let pictures = units.iter().flat_map(|step| step.iter()).filter(|unit| unit.is_picture());
    pictures.map(Unit::essence).collect()
}

/// The first pictures of a recording over RTMP, as the viewer gets them: one by one.
async fn send_over_rtmp(
    encoder: &mut Encoder,
    player: &mut WhepPlayer,
    fixture: &Fixture,
) -> Vec<Vec<Vec<u8>>> {
    let mut expected = Vec::new();
    for tag in &fixture.tags {
        encoder.send(std::slice::from_ref(tag)).await;
        if let crate::support::Content::Frame(packet) = Packet::parse(tag)
            && packet.is_video()
        {
            expected.push(essence_of(&packet));
            let wanted = player.pictures.len() + 1;
            player.until_pictures(wanted).await;
        }
        if expected.len() == EACH {
            break;
        }
    }
    expected
}

fn steps(recording: &Recording) -> Vec<&[Unit]> {
    recording.steps().take(EACH).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_rtmp_encoder_is_killed_and_returns_and_is_taken_over() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let fixture = stage::pictures();
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    encoder.send(&fixture.tags[..2]).await;
    server.until_tracks("kitchen", 1).await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(1).await;
    let mut audience = Audience::new(player);

    drop(encoder);
    server.until_live("kitchen", false).await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let sent = send_over_rtmp(&mut encoder, &mut audience.player, &fixture).await;
    audience.went_on_with(&sent);

    // Another encoder, another resolution, while the first is still there.
    let other = Fixture::read("resolution-2").only_pictures();
    let mut second = Encoder::publish(server.rtmp, &channel.key).await;
    in_time("the first is sent away", encoder.0.until_closed()).await;
    let sent = send_over_rtmp(&mut second, &mut audience.player, &other).await;
    audience.went_on_with(&sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whip_publisher_restarts_and_is_taken_over_by_whip_and_by_rtmp() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read("h264-opus");
    let (first, mut player) = on_air_over_whip(&server, &channel, &recording).await;
    player.look();
    let mut audience = Audience::new(player);

    first.stop().await;
    server.until_live("kitchen", false).await;
    let mut second = WhipPublisher::publish(&server, &channel, &recording).await;
    server.until_live("kitchen", true).await;
    in_step(&mut second, &mut audience.player, &steps(&recording)).await;
    audience.went_on_with(&essences(&steps(&recording)));

    // A third, with other timestamps and numbers, while the second is still there.
    let later = recording.clone().later(123_456);
    let mut third = WhipPublisher::publish(&server, &channel, &later).await;
    second.session.until_gone().await;
    in_step(&mut third, &mut audience.player, &steps(&later)).await;
    audience.went_on_with(&essences(&steps(&later)));

    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    third.session.until_gone().await;
    let sent = send_over_rtmp(&mut encoder, &mut audience.player, &Fixture::read("h264-opus")).await;
    audience.went_on_with(&sent);
    assert_eq!(server.metrics().await.value("onair_takeovers_total"), 2.0);

    // And back again.
    let mut fourth = WhipPublisher::publish(&server, &channel, &recording).await;
    in_time("the encoder is sent away", encoder.0.until_closed()).await;
    in_step(&mut fourth, &mut audience.player, &steps(&recording)).await;
    audience.went_on_with(&essences(&steps(&recording)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_that_is_over_says_goodbye() {
    let server = Server::with(|config| {
        config.broadcast.resume_window = std::time::Duration::from_millis(1);
    })
    .await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read("h264-opus");
    let (publisher, mut player) = on_air_over_whip(&server, &channel, &recording).await;
    publisher.stop().await;
    player.until_gone().await;
    assert!(player.tally.byes >= 1, "{:?}", player.tally);
    assert_eq!(player.session.resource.delete().await, 404);
    server.until_at("onair_webrtc_sessions", 0.0).await;
    server.until_at("onair_viewers{protocol=\"webrtc\"}", 0.0).await;
}
