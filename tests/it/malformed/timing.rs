//! B20 and B21: clocks and GOPs. What is only odd comes through as it is; what cannot be is made a stream that can be
//! watched: no frame is lost, and decoding times never go back. (B20's streams of one kind alone and B21's endless GOP
//! are in the matrix, too.)

use onair::format::flv::file::{Tag, TagKind};

use super::stage::{Stage, start_of};
use crate::support::{Bystander, Content, Encoder, Fixture, Packet, Server, Viewer};

/// Publishes a recording whose timestamps were changed; gives what a viewer got, which is all of it, in order.
async fn through(fixture: &Fixture) -> Vec<Packet> {
    let mut stage = Stage::with(|config| {
        config.broadcast.window = std::time::Duration::from_secs(7200);
        config.broadcast.window_frames = 100_000;
    })
    .await;
    let mut encoder = stage.encoder().await;
    let mut viewer = stage.viewer().await;
    let (start, rest) = fixture.tags.split_at(start_of(fixture).len());
    encoder.send(start).await;
    viewer.frame().await;
    encoder.send(rest).await;
    let expected = fixture.expected();
    viewer.frames(expected.len() - 1).await;
    let received = viewer.packets();
    for (index, (received, expected)) in received.iter().zip(&expected).enumerate() {
        let same = received.payload == expected.payload && received.cts == expected.cts;
        assert!(same, "frame {index} is {received:?} instead of {expected:?}");
    }
    for video in [true, false] {
        let times: Vec<i64> =
            received.iter().filter(|packet| packet.is_video() == video).map(|packet| packet.dts).collect();
        assert!(times.is_sorted(), "decoding times go back: {times:?}");
    }
    stage.is_unharmed().await;
    received
}

/// Milliseconds between the frames of the picture.
fn steps(packets: &[Packet]) -> Vec<i64> {
    let times: Vec<i64> =
        packets.iter().filter(|packet| packet.is_video()).map(|packet| packet.dts).collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The pictures of a recording without its sound.
fn pictures_of(name: &str) -> Fixture {
    let mut fixture = Fixture::read(name).until_last_picture();
    fixture.tags.retain(|tag| tag.kind == TagKind::Video);
    fixture
}

/// A recording of pictures whose timestamps `clock` makes of their number.
fn pictures(clock: impl Fn(u32) -> u32) -> Fixture {
    let mut fixture = Fixture::read("video-only").until_last_picture();
    for (number, tag) in (0..).zip(fixture.tags.iter_mut().skip(1)) {
        tag.timestamp_ms = clock(number);
    }
    fixture.tags[0].timestamp_ms = fixture.tags[1].timestamp_ms;
    fixture
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_a_jump_of_an_hour_in_either_direction_is_the_time_that_went_by() {
    for jump in [3_600_000_u32, 3_600_000_u32.wrapping_neg()] {
        let mut fixture = Fixture::read("short").until_last_picture().later(10_000_000);
        let middle = fixture.tags.len() / 2;
        for tag in &mut fixture.tags[middle..] {
            tag.timestamp_ms = tag.timestamp_ms.wrapping_add(jump);
        }
        let steps = steps(&through(&fixture).await);
        assert!(steps.iter().all(|step| (0..10_000).contains(step)), "{steps:?}");
        assert!(steps.iter().filter(|step| !(30..37).contains(*step)).count() <= 2, "{steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_a_clock_that_stands_still_or_goes_back_loses_no_frame() {
    through(&pictures(|_| 0)).await;
    through(&pictures(|number| 6_000 - 33 * number)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_a_thousand_frames_a_second_and_one_keep_their_times() {
    assert_eq!(steps(&through(&pictures(|number| number)).await), [1; 179]);
    assert_eq!(steps(&through(&pictures(|number| number * 1_000)).await), [1_000; 179]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_four_point_six_hours_and_fifty_days_pass_without_a_seam() {
    for start in [0xff_ffff - 3_000, u32::MAX - 3_000] {
        assert_eq!(steps(&through(&pictures(|number| start.wrapping_add(number * 40))).await), [40; 179]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b20_negative_composition_times_are_kept() {
    let mut fixture = pictures(|number| number * 40);
    for tag in fixture.tags.iter_mut().skip(1) {
        let mut body = tag.body.to_vec();
        body[2..5].copy_from_slice(&(-80_i32).to_be_bytes()[1..]);
        *tag = Tag { body: body.into(), ..tag.clone() };
    }
    assert!(through(&fixture).await.iter().all(|packet| packet.cts == -80));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b21_only_keyframes_are_a_stream() {
    let short = Fixture::read("video-only");
    let keyframe =
        short.tags.iter().find(|tag| matches!(Packet::parse(tag), Content::Frame(_))).unwrap().clone();
    let mut tags = vec![short.tags[0].clone()];
    tags.extend((0..600).map(|number| Tag { timestamp_ms: number * 33, ..keyframe.clone() }));
    assert_eq!(steps(&through(&Fixture { tags }).await), [33; 599]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b21_a_gop_that_outgrows_memory_is_forgotten_and_joiners_wait_for_the_next() {
    for by_bytes in [false, true] {
        let server = Server::with(|config| match by_bytes {
            true => config.broadcast.window_bytes = 1 << 20,
            false => config.broadcast.window_frames = 300,
        })
        .await;
        let channel = server.channel("kitchen").await;
        let mut bystander = Bystander::enter(&server).await;
        let endless = pictures_of("gop-endless").padded(8 << 10);
        let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
        let mut witness = Viewer::rtmp(&server, "kitchen").await;
        let (start, rest) = endless.tags.split_at(endless.until_joinable());
        encoder.send(start).await;
        witness.frame().await;
        for tags in rest.chunks(50) {
            encoder.send(tags).await;
            witness.frames(tags.len()).await;
        }
        // Its only keyframe is no longer in memory: a joiner waits for another one.
        let mut joiner = Viewer::flv(&server, "kitchen").await;
        let next = pictures_of("short").later(21_000);
        encoder.send(&next.tags[..next.until_joinable()]).await;
        let first = joiner.frame().await;
        assert!(first.keyframe, "{first:?}");
        assert_eq!(first.payload, next.expected()[0].payload);
        bystander.is_not_affected().await;
    }
}
