//! Bad paths, always the same ones: loss, jitter, reordering, and too little room.

use std::time::Duration;

use onair::format::flv::file::Tag;
use onair::media::{Codec, Kind};

use super::stage::{essence_of, on_air_over_whip};
use super::{essence, stage};
use crate::support::relay::{Direction, Path};
use crate::support::webrtc::driver::Frame;
use crate::support::webrtc::{Options, Recording, Unit};
use crate::support::{Encoder, Relay, Server, WhepPlayer, WhipPublisher};

/// 5 % lost, 20 ms and up to 50 ms more, one in 50 overtaken.
const ROUGH: Path = Path {
    loss_one_in: 20,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(50),
    reorder_one_in: 50,
    ..Path::CLEAN
};

/// How often a source that runs by the clock sends a picture.
const PERIOD: Duration = Duration::from_millis(33);

/// A clock that ticks for each picture. A machine that is late does not make up for it in a burst.
fn clock() -> tokio::time::Interval {
    let mut clock = tokio::time::interval(PERIOD);
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    clock
}

/// Sends stretches of a recording by the clock, and goes round again, until the viewer has got so many pictures.
async fn by_the_clock(
    publisher: &mut WhipPublisher,
    player: &mut WhepPlayer,
    steps: &[&[Unit]],
    wanted: usize,
) {
    let round = steps.last().and_then(|step| step.last()).expect("pictures").millis + 33;
    let mut ticks = clock();
    let mut count = 0;
    while player.pictures.len() < wanted {
        tokio::select! {
            _ = ticks.tick() => {
                let rounds = u32::try_from(count / steps.len()).expect("a few rounds");
                let later = |unit: &Unit| Unit { millis: unit.millis + rounds * round, ..unit.clone() };
                let step: Vec<Unit> = steps[count % steps.len()].iter().map(later).collect();
                publisher.send(&step).await;
                count += 1;
            }
            () = player.step() => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_picture_arrives_at_five_percent_loss_both_ways() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read("h264-opus");
    let up = Relay::start(server.udp, 11, ROUGH, ROUGH).await;
    let down = Relay::start(server.udp, 22, ROUGH, ROUGH).await;
    let via = |relay: &Relay| Options { via: Some(relay.address), ..WhipPublisher::of(Codec::H264) };

    let mut publisher = WhipPublisher::with(&server, &channel, via(&up)).await;
    server.until_live("kitchen", true).await;
    publisher.send(recording.steps().next().expect("a keyframe")).await;
    let steps: Vec<&[Unit]> = recording.steps().collect();
    // Whatever is lost of the first picture is asked for again when there is a second.
    let mut ticks = clock();
    let mut rest = steps[1..].iter();
    while server.show("kitchen").await["tracks"].as_array().map_or(0, Vec::len) < 2 {
        ticks.tick().await;
        publisher.send(rest.next().expect("six seconds are enough")).await;
    }
    let mut player = WhepPlayer::with(&server, "kitchen", via(&down)).await;
    let left = rest.as_slice();
    by_the_clock(&mut publisher, &mut player, left, left.len()).await;

    let known: Vec<_> = recording.of(Kind::Video).iter().map(|unit| unit.essence()).collect();
    let place =
        |frame: &Frame| known.iter().position(|known| *known == essence(frame)).expect("a known picture");
    let places: Vec<usize> = player.pictures.iter().map(place).collect();
    for pair in places.windows(2).take(left.len() - 20) {
        assert!(pair[1] == pair[0] + 1 || pair[1] < pair[0], "picture {} follows {}", pair[1], pair[0]);
    }
    player.assert_no_gap(Kind::Video);
    publisher.look();
    println!(
        "up: {:?}, the server reported {} lost; down: {:?}, {:?}, {} sent again",
        up.counts(Direction::Up),
        publisher.nacked,
        down.counts(Direction::Down),
        player.tally,
        server.metrics().await.value("onair_webrtc_retransmitted_total"),
    );
    assert!(up.counts(Direction::Up).lost > 5 && publisher.nacked > 0, "nothing was lost on the way up");
    assert!(
        down.counts(Direction::Down).lost > 5 && player.tally.nacked > 0,
        "nothing was lost on the way down"
    );
    assert!(server.metrics().await.value("onair_webrtc_retransmitted_total") > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyframe_requests_of_many_viewers_become_few() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read("h264-opus");
    let (mut publisher, first) = on_air_over_whip(&server, &channel, &recording).await;
    let mut players = vec![first];
    for _ in 0..9 {
        players.push(WhepPlayer::join(&server, "kitchen").await);
    }
    // The keyframe must be old, so that a new one is worth asking for.
    let steps: Vec<&[Unit]> = recording.steps().collect();
    for step in &steps[1..50] {
        publisher.send(step).await;
        let wanted = players[0].pictures.len() + 1;
        players[0].until_pictures(wanted).await;
    }
    publisher.look();
    let before = publisher.keyframe_requests;
    for player in &mut players {
        player.until_pictures(50).await;
        player.request_keyframe().await;
    }
    server.until_counted("onair_webrtc_keyframe_requests_total", 10.0).await;
    publisher.until_asked_for_keyframes(before + 1).await;
    // What he answers with comes to everybody.
    publisher.send(steps[60]).await;
    for player in &mut players {
        player.until_pictures(51).await;
        assert!(
            essence(player.pictures.last().expect("pictures"))
                == steps[60].last().expect("a picture").essence()
        );
    }
    publisher.look();
    let asked = publisher.keyframe_requests - before;
    assert!((1..=3).contains(&asked), "{asked} requests for 10 viewers'");
}

/// Pictures of about so many bytes, a keyframe every two seconds.
fn large_pictures(bytes: usize) -> Vec<Tag> {
    stage::pictures().enlarged(bytes).tags
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_behind_a_narrow_path_is_never_seconds_late_and_nobody_waits_for_him() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    // A third of a Mbit/s for a path of a tenth.
    let tags = large_pictures(1_000);
    let narrow = Path { rate: 100_000, queue: Duration::from_millis(300), ..Path::CLEAN };
    let relay = Relay::start(server.udp, 33, Path::CLEAN, narrow).await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    encoder.send(&tags[..2]).await;
    server.until_tracks("kitchen", 1).await;
    let mut healthy = WhepPlayer::join(&server, "kitchen").await;
    healthy.until_pictures(1).await;
    let options = Options { via: Some(relay.address), ..Options::default() };
    let mut starved = WhepPlayer::with(&server, "kitchen", options).await;
    starved.asks_when_lost().await;

    let mut clock = clock();
    let mut sent = vec![onair::clock::monotonic()];
    let known: Vec<_> = crate::support::fixture::packets(&tags).iter().map(essence_of).collect();
    for tag in &tags[2..] {
        clock.tick().await;
        sent.push(onair::clock::monotonic());
        encoder.send(std::slice::from_ref(tag)).await;
    }
    healthy.until_pictures(known.len()).await;
    healthy.assert_no_gap(Kind::Video);
    starved.look();
    // How far behind the present the newest picture that he has is, by his own clock, which began with the first. What is
    // sent again comes late, but is not the newest.
    let first = starved.pictures[0].ticks as i64;
    let mut arrived: Vec<_> =
        starved.pictures.iter().map(|frame| (frame.arrived, frame.ticks as i64 - first)).collect();
    arrived.sort_unstable();
    let (mut newest, mut late) = (-1, Duration::ZERO);
    for (at, ticks) in arrived {
        if ticks > newest {
            newest = ticks;
            let shown = Duration::from_micros(ticks as u64 * 100 / 9);
            late = late.max(at.saturating_duration_since(sent[0] + shown));
        }
    }
    let counts = relay.counts(Direction::Down);
    println!("{} pictures, at most {late:?} late; {counts:?}", starved.pictures.len());
    assert!(counts.lost > 20, "the path was wide enough");
    assert!(newest > 120 * 3_000, "he has seen nothing of the last two seconds: {newest} ticks");
    assert!(late < Duration::from_millis(1_500), "{late:?} late");
    println!("{} sent again", server.metrics().await.value("onair_webrtc_retransmitted_total"));
}
