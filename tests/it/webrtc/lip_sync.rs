//! Lip-sync over the network: the beep is heard when the picture of its second is shown, by what the sender reports say.

use std::time::{Duration, SystemTime};

use onair::media::{Codec, Kind};

use super::essence;
use super::stage::essence_of;
use crate::support::webrtc::driver::{Frame, Report};
use crate::support::{Content, Encoder, Fixture, Packet, Recording, Server, WhepPlayer, WhipPublisher};

/// A beep is louder than this, silence is not.
const LOUD: f32 = 0.05;
/// The most that picture and sound may be apart.
const APART: f64 = 0.015;

/// The wall-clock time of a frame, by the sender's report of its source that is nearest before it.
fn wall(reports: &[Report], frame: &Frame, rate: f64) -> f64 {
    let report = reports.last().expect("a report");
    let ticks = (frame.ticks as u32).wrapping_sub(report.rtp) as i32;
    let seconds = report.wall.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs_f64();
    seconds + f64::from(ticks) / rate
}

/// When each beep begins on the wall clock, after the first that is heard.
fn beeps(player: &WhepPlayer, reports: &[Report]) -> Vec<f64> {
    let mut decoder = opus::Decoder::new(48_000, opus::Channels::Stereo).expect("a decoder");
    let mut buffer = [0.0; 2 * 5_760];
    let (mut beeps, mut silent_since) = (Vec::new(), f64::MIN);
    for frame in &player.sounds {
        let start = wall(reports, frame, 48_000.0);
        let samples = decoder.decode_float(&frame.data, &mut buffer, false).expect("Opus");
        for (index, pair) in buffer[..2 * samples].chunks(2).enumerate() {
            let time = start + index as f64 / 48_000.0;
            if pair[0].abs() > LOUD {
                if time - silent_since > 0.5 {
                    beeps.push(time);
                }
                silent_since = time;
            }
        }
    }
    beeps
}

/// The reports of sound and picture, told apart by the clock that each runs on.
fn reports(player: &WhepPlayer) -> [Vec<Report>; 2] {
    let near = |report: &&Report, frames: &[Frame], rate: u32| {
        let newest = frames.last().expect("frames").ticks as u32;
        (newest.wrapping_sub(report.rtp) as i32).unsigned_abs() < 60 * rate
    };
    let of = |frames: &[Frame], rate| {
        player.reports.iter().filter(|report| near(report, frames, rate)).copied().collect()
    };
    [of(&player.pictures, 90_000), of(&player.sounds, 48_000)]
}

/// Pictures with the number of a whole second are shown when the beep of that second is heard.
fn is_in_step(player: &WhepPlayer, pictures: &[Vec<Vec<u8>>]) {
    let [of_pictures, of_sounds] = reports(player);
    assert!(of_pictures.len() >= 2 && of_sounds.len() >= 2, "{:?}", player.reports);
    let beeps = beeps(player, &of_sounds);
    let mut compared = 0;
    for (number, expected) in pictures.iter().enumerate().filter(|(number, _)| number % 30 == 0) {
        let Some(frame) = player.pictures.iter().find(|frame| essence(frame) == *expected) else { continue };
        // The pictures of joining are not shown at their own time.
        if number < 30 {
            continue;
        }
        let shown = wall(&of_pictures, frame, 90_000.0);
        let nearest = beeps.iter().map(|beep| beep - shown).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        let late = nearest.expect("beeps");
        println!("picture {number}: the beep is {:.1} ms late", late * 1000.0);
        assert!(late.abs() < APART, "picture {number}: the beep is {:.1} ms late", late * 1000.0);
        compared += 1;
    }
    assert!(compared >= 3, "{compared} beeps compared");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aac_over_rtmp_is_heard_as_opus_over_whep_with_its_picture() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let fixture = Fixture::read("h264-aac").until_last_picture();
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let (start, rest) = fixture.tags.split_at(fixture.until_joinable());
    encoder.send(start).await;
    server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(1).await;
    let mut clock = tokio::time::interval(Duration::from_millis(33));
    for tag in rest {
        encoder.send(std::slice::from_ref(tag)).await;
        if matches!(Packet::parse(tag), Content::Frame(packet) if packet.is_video()) {
            clock.tick().await;
        }
    }
    player.until_pictures(180).await;
    let pictures: Vec<_> =
        fixture.expected().iter().filter(|packet| packet.is_video()).map(essence_of).collect();
    is_in_step(&player, &pictures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whip_publishers_beep_is_heard_with_its_picture() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let recording = Recording::read("h264-opus");
    let mut options = WhipPublisher::of(Codec::H264);
    options.configure = |config| {
        config
            .set_rtcp_report_interval_audio(Duration::from_millis(250))
            .set_rtcp_report_interval_video(Duration::from_millis(250))
    };
    let mut publisher = WhipPublisher::with(&server, &channel, options).await;
    server.until_live("kitchen", true).await;
    let mut steps = recording.steps();
    publisher.send(steps.next().expect("a keyframe")).await;
    server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::join(&server, "kitchen").await;
    player.until_pictures(1).await;
    let mut clock = tokio::time::interval(Duration::from_millis(33));
    for step in steps {
        clock.tick().await;
        publisher.send(step).await;
    }
    player.until_pictures(recording.of(Kind::Video).len()).await;
    let pictures: Vec<_> = recording.of(Kind::Video).iter().map(|unit| unit.essence()).collect();
    is_in_step(&player, &pictures);
}
