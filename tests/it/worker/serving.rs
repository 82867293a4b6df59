//! Conversions as viewers see them, from publisher to player.

use std::time::Duration;

use onair::codec::nal;
use onair::format::flv::file::TagKind;
use onair::media::{Frame, MediaTime, TrackId};

use super::failure::{processes, signal};
use super::material::{config, decode, has_no_b_frames};
use crate::support::http::request;
use crate::support::packet::assert_same;
use crate::support::tools::probe_and_decode;
use crate::support::{Encoder, Fixture, Packet, Server, Viewer, in_time, whep};

/// A server with workers, whose memory holds whatever is published, and whose broadcasts end with their publisher.
async fn server(change: impl FnOnce(&mut onair::config::Config)) -> Server {
    Server::with(|config| {
        config.broadcast.window = Duration::from_secs(3600);
        config.broadcast.window_frames = 1_000_000;
        config.broadcast.resume_window = Duration::from_millis(1);
        config.worker = self::config();
        change(config);
    })
    .await
}

/// Publishes the first half second of a recording, so that its tracks are known, and a conversion has enough to begin with.
async fn begin(server: &Server, name: &str, fixture: &Fixture) -> (Encoder, usize) {
    let channel = server.channel(name).await;
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let start = fixture.until_joinable() + 40;
    encoder.send(&fixture.tags[..start]).await;
    in_time("tracks", async {
        while server.show(name).await["tracks"].as_array().is_none_or(Vec::is_empty) {}
    })
    .await;
    (encoder, start)
}

/// Frames of pictures as they must come, and that sound is AAC without a gap.
fn assert_pictures_and_aac(viewer: &Viewer, fixture: &Fixture) {
    let (pictures, sounds): (Vec<Packet>, Vec<Packet>) =
        viewer.packets().into_iter().partition(Packet::is_video);
    let expected: Vec<Packet> = fixture.expected().into_iter().filter(Packet::is_video).collect();
    assert_same(viewer.protocol, &pictures, &expected);
    assert!(sounds.iter().all(|sound| &sound.codec == b"mp4a"), "{}: another codec", viewer.protocol);
    assert!(sounds.len() > 250, "{}: {} access units of six seconds", viewer.protocol, sounds.len());
    for pair in sounds.windows(2) {
        let distance = pair[1].dts - pair[0].dts;
        assert!((21..=22).contains(&distance), "{}: {distance} ms at {}", viewer.protocol, pair[0].dts);
    }
    let configs = viewer.configs();
    assert!(configs.iter().any(|(frames, codec, _)| *frames == 0 && codec == b"mp4a"), "{configs:?}");
    assert!(configs.iter().all(|(_, codec, _)| codec != b"Opus"), "{}", viewer.protocol);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opus_reaches_rtmp_and_flv_viewers_as_aac() {
    let server = server(|_| {}).await;
    let fixture = Fixture::read("h264-opus");
    let (mut encoder, start) = begin(&server, "kitchen", &fixture).await;
    let mut viewers = Viewer::of_each(&server, "kitchen").await;
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    encoder.send(&fixture.tags[start..]).await;
    encoder.stop().await;
    for viewer in &mut viewers {
        in_time("the end", viewer.until_end()).await;
        assert_pictures_and_aac(viewer, &fixture);
        let probed = probe_and_decode(&viewer.recording()).await;
        let codecs: Vec<&str> =
            probed["streams"].as_array().unwrap().iter().filter_map(|s| s["codec_name"].as_str()).collect();
        assert_eq!(codecs, ["h264", "aac"], "{}", viewer.protocol);
    }
    let metrics = server.metrics().await;
    assert_eq!(metrics.value("onair_worker_jobs_started_total"), 1.0, "one for both");
    server.until_at("onair_worker_jobs", 0.0).await;
}

/// The worker gets this signal in the middle of a broadcast; the viewer must not notice.
async fn survives(sent: i32, reason: &str, memory: usize) {
    let server = server(|config| {
        // Not so long that the publisher would be taken for gone; far longer than a worker is ever silent.
        let stall_timeout = Duration::from_secs(5);
        config.worker = onair::av::worker::Config {
            memory,
            pool: 0,
            max_jobs: 1,
            stall_timeout,
            ..config.worker.clone()
        };
    })
    .await;
    let own = onair::av::worker::Config { memory, ..config() };
    let fixture = Fixture::read("h264-opus");
    let (mut encoder, start) = begin(&server, "kitchen", &fixture).await;
    let mut viewer = Viewer::flv(&server, "kitchen").await;
    viewer.frame().await;
    let half = fixture.tags.len() / 2;
    encoder.send(&fixture.tags[start..half]).await;
    while viewer.frame().await.is_video() {}
    signal(processes(&own).await[0], sent);
    encoder.send(&fixture.tags[half..]).await;
    server.until_counted(&format!("onair_worker_jobs_lost_total{{reason=\"{reason}\"}}"), 1.0).await;
    encoder.stop().await;
    in_time("the end", viewer.until_end()).await;
    assert_pictures_and_aac(&viewer, &fixture);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b18_a_worker_that_is_killed_is_replaced_and_nobody_misses_a_frame() {
    survives(libc::SIGKILL, "crashed", (512 << 20) + 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b18_a_worker_that_hangs_is_replaced_and_nobody_misses_a_frame() {
    survives(libc::SIGSTOP, "hung", (512 << 20) + 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_limit_viewers_are_told_to_come_back() {
    let server = server(|config| config.worker.max_jobs = 1).await;
    let fixture = Fixture::read("h264-opus");
    let (_one, _) = begin(&server, "kitchen", &fixture).await;
    let (_two, _) = begin(&server, "garden", &fixture).await;
    let mut viewer = Viewer::flv(&server, "kitchen").await;
    viewer.frame().await;
    let refusal = request(server.http, "GET", "/live/garden.flv", &[], b"").await;
    assert_eq!((refusal.status, refusal.header("retry-after")), (503, Some("10")));
    let message = refusal.json().await["error"]["message"].to_string();
    assert!(message.contains("all 1 media workers of this server are busy"), "{message}");
    // Whoever needs no conversion is served, and so is the next after the last viewer of the first.
    let mut second = Viewer::flv(&server, "kitchen").await;
    second.frame().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b_frames_play_over_whep_every_picture_once_and_in_order() {
    let server = server(|_| {}).await;
    let fixture = Fixture::read("h264-bframes-aac");
    let (mut encoder, start) = begin(&server, "kitchen", &fixture).await;
    let mut viewer = whep::Viewer::join(server.http, "kitchen").await.ok().expect("the viewer is let in");
    let is_picture = |tag: &&onair::format::flv::file::Tag| tag.kind == TagKind::Video;
    // The first of them is the configuration.
    let (mut sent, mut pictures) = (fixture.tags[..start].iter().filter(is_picture).count() - 1, Vec::new());
    // In step with what arrives, for the network's sake; B-frames and encoder hold back a few pictures.
    for tag in &fixture.tags[start..] {
        encoder.send(std::slice::from_ref(tag)).await;
        if tag.kind == TagKind::Video {
            sent += 1;
            while pictures.len() + 12 < sent {
                pictures.push(viewer.picture().await);
            }
        }
    }
    let frames: Vec<Frame> = pictures
        .iter()
        .map(|data| Frame {
            track: TrackId(0),
            pts: MediaTime::ZERO,
            dts: MediaTime::ZERO,
            keyframe: false,
            disposable: false,
            payload: nal::from_annex_b(data).expect("Annex B"),
        })
        .collect();
    assert!(has_no_b_frames(&frames));
    let numbers: Vec<u16> = decode(&frames, 320, 180).await.iter().map(|picture| picture.number()).collect();
    let first = numbers[0];
    assert_eq!(numbers, (first..first + numbers.len() as u16).collect::<Vec<u16>>());
    assert!(numbers.len() >= 160, "{} pictures", numbers.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_worker_whep_says_what_is_missing() {
    let server = server(|config| config.worker.max_jobs = 0).await;
    for (name, fixture) in [("b-frames", "h264-bframes-aac"), ("hevc", "hevc-aac")] {
        let (_encoder, _) = begin(&server, name, &Fixture::read(fixture)).await;
        let refusal = whep::Viewer::join(server.http, name).await.err().expect("a refusal");
        assert_eq!(refusal.status, 422);
        let message = refusal.json().await["error"]["message"].to_string();
        assert!(message.contains("no media worker") && message.contains("watch over HLS"), "{message}");
    }
}
