//! B1 to B8: handshake, chunks, control messages.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use onair::format::flv::file::TagKind;
use onair::protocol::rtmp::wire::message::{
    ABORT, ACKNOWLEDGEMENT, AGGREGATE, Control, SET_CHUNK_SIZE, SET_PEER_BANDWIDTH, UserControl, VIDEO,
    WINDOW_ACKNOWLEDGEMENT_SIZE,
};

use super::stage::{BROKEN, Stage, send, short, start_of};
use crate::support::packet::assert_same;
use crate::support::{Encoder, Fixture, Peer};

const SETUP_TIMEOUT: &str = "onair_rtmp_failed_total{reason=\"setup_timeout\"}";
const HANDSHAKE: &str = "onair_rtmp_failed_total{reason=\"handshake\"}";
const SOCKET: &str = "onair_rtmp_failed_total{reason=\"socket\"}";

/// A chunk with a full header (format 0) on a chunk stream below 64.
fn first_chunk(csid: u8, timestamp: u32, length: usize, type_id: u8, part: &[u8]) -> Vec<u8> {
    let mut chunk = vec![csid];
    let [_, t2, t1, t0] = timestamp.to_be_bytes();
    let [_, l2, l1, l0] = u32::try_from(length).unwrap().to_be_bytes();
    chunk.extend_from_slice(&[t2, t1, t0, l2, l1, l0, type_id, 1, 0, 0, 0]);
    chunk.extend_from_slice(part);
    chunk
}

/// A chunk without header (format 3).
fn next_chunk(csid: u8, part: &[u8]) -> Vec<u8> {
    [&[0xc0 | csid], part].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b1_a_handshake_that_does_not_end_is_ended() {
    let mut stage = Stage::with(|config| config.rtmp.setup_timeout = Duration::from_millis(500)).await;
    let silent = Peer::open(stage.server.rtmp).await;
    let mut never_c2 = Peer::open(stage.server.rtmp).await;
    never_c2.send(&[&[3][..], &[0; 1536]].concat()).await;
    let never_asks = Peer::connected(stage.server.rtmp).await;
    // A byte each hundredth of a second would take half a minute.
    let slow = Peer::open(stage.server.rtmp).await;
    tokio::join!(
        slow.drips(3, Duration::from_millis(10)),
        silent.closed(),
        never_c2.closed(),
        never_asks.closed()
    );
    stage.counted(SETUP_TIMEOUT, 4.0).await;
    // The bystander's two.
    stage.server.until_at("onair_rtmp_connections", 2.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b2_other_protocols_are_cut_off_at_once() {
    let mut stage = Stage::set().await;
    let hellos: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        &[0x16, 3, 1, 2, 0, 1],
        &[6],
        &[0x80; 2000],
        b"PRI * HTTP/2.0\r\n\r\n",
    ];
    for hello in hellos {
        let mut peer = Peer::open(stage.server.rtmp).await;
        peer.send(hello).await;
        assert_eq!(peer.closed().await, "");
    }
    stage.counted(HANDSHAKE, 5.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b3_chunk_sizes_that_cannot_be_are_refused_and_the_extremes_work() {
    let mut stage = Stage::set().await;
    let impossible = [0_u32, 0x7fff_ffff, 0x8000_0000, 0x8000_1000, 0x0100_0000];
    for size in impossible {
        let mut peer = stage.publishing().await;
        peer.message(SET_CHUNK_SIZE, 0, &size.to_be_bytes()).await;
        peer.closed().await;
    }
    stage.counted(BROKEN, 5.0).await;
    stage.is_unharmed().await;

    let fixture = short();
    for size in [1_usize, 0xff_ffff] {
        stage.change_channel(&format!("chunks-of-{size}")).await;
        let mut peer = stage.publishing().await;
        let mut viewer = stage.viewer().await;
        peer.message(SET_CHUNK_SIZE, 0, &u32::try_from(size).unwrap().to_be_bytes()).await;
        for (index, tag) in fixture.tags.iter().enumerate() {
            let csid = if tag.kind == TagKind::Video { 6 } else { 4 };
            let mut parts = tag.body.chunks(size);
            let part = parts.next().unwrap();
            let mut message = first_chunk(csid, tag.timestamp_ms, tag.body.len(), tag.kind.id(), part);
            message.extend(parts.flat_map(|part| next_chunk(csid, part)));
            peer.send(&message).await;
            if index + 1 == fixture.until_joinable() {
                viewer.frame().await;
            }
        }
        let expected = fixture.expected();
        viewer.frames(expected.len() - 1).await;
        assert_same(&format!("chunks of {size}"), &viewer.packets(), &expected);
    }
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b4_the_chunk_size_may_change_in_the_middle_of_a_message() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut peer = stage.publishing().await;
    let mut viewer = stage.viewer().await;
    let (keyframe, configurations) = start_of(&fixture).split_last().unwrap();
    send(&mut peer, configurations).await;
    let body = &keyframe.body;
    assert!(body.len() > 700, "long enough for all of it");
    let control = |size: u32| first_chunk(2, 0, 4, SET_CHUNK_SIZE, &size.to_be_bytes());
    let wire = [
        first_chunk(6, keyframe.timestamp_ms, body.len(), VIDEO, &body[..128]),
        control(300),
        next_chunk(6, &body[128..428]),
        control(3),
        next_chunk(6, &body[428..431]),
        next_chunk(6, &body[431..434]),
    ];
    peer.send(&wire.concat()).await;
    // Control messages, too, come in chunks of three bytes now.
    let [a, b, c, d] = 128_u32.to_be_bytes();
    peer.send(&first_chunk(2, 0, 4, SET_CHUNK_SIZE, &[a, b, c])).await;
    peer.send(&next_chunk(2, &[d])).await;
    for part in body[434..].chunks(128) {
        peer.send(&next_chunk(6, part)).await;
    }
    let expected = fixture.expected();
    let received = viewer.frames(1).await;
    assert_same("the keyframe", &received, &expected[..1]);
    send(&mut peer, &fixture.tags[start_of(&fixture).len()..]).await;
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b5_unfinished_messages_are_bounded_in_number_and_in_all() {
    let mut stage = Stage::set().await;
    // A message of 16 MiB, then more chunk streams than anybody needs, each with a message begun.
    let mut peer = stage.publishing().await;
    peer.send(&first_chunk(6, 0, 0xff_ffff, VIDEO, &[0; 128])).await;
    peer.closed().await;
    stage.counted(BROKEN, 1.0).await;

    let mut peer = stage.publishing().await;
    let mut begun = BytesMut::new();
    for csid in 0..64_000_u32 {
        begun.put_slice(&[1]);
        begun.put_u16_le(u16::try_from(csid).unwrap());
        begun.put_slice(&first_chunk(0, 0, 8 << 20, VIDEO, &[0; 128])[1..]);
    }
    peer.send(&begun).await;
    peer.closed().await;
    stage.counted(BROKEN, 2.0).await;

    // As many as allowed, but together more than 16 MiB.
    let mut peer = stage.publishing().await;
    let part = vec![0; 1 << 20];
    peer.message(SET_CHUNK_SIZE, 0, &(1_u32 << 20).to_be_bytes()).await;
    for csid in 10..25 {
        // The whole is one byte longer, so that the message stays open.
        peer.send(&first_chunk(csid, 0, part.len() + 1, VIDEO, &part)).await;
    }
    peer.call(0, "createStream", vec![]).await;
    peer.hears("_result").await;
    for csid in 25..27 {
        peer.send(&first_chunk(csid, 0, part.len() + 1, VIDEO, &part)).await;
    }
    peer.closed().await;
    stage.counted(BROKEN, 3.0).await;

    // Before anybody has said who he is, a megabyte is the limit.
    let mut stranger = Peer::connected(stage.server.rtmp).await;
    stranger.send(&first_chunk(6, 0, 2 << 20, VIDEO, &[0; 128])).await;
    stranger.closed().await;
    stage.counted(BROKEN, 4.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b6_headers_that_refer_to_nothing_are_refused() {
    let mut stage = Stage::set().await;
    for chunk in [&[0x80 | 7, 0, 0, 0][..], &[0xc0 | 7, 0]] {
        let mut peer = Peer::connected(stage.server.rtmp).await;
        peer.send(chunk).await;
        peer.closed().await;
    }
    stage.counted(BROKEN, 2.0).await;
    // Format 1 lacks nothing but the stream, and librtmp sends it: a ping is answered.
    let mut peer = Peer::connected(stage.server.rtmp).await;
    peer.send(&[0x40 | 7, 0, 0, 0, 0, 0, 6, 4, 0, 6, 0xca, 0xfe, 0xba, 0xbe]).await;
    peer.call(0, "createStream", vec![]).await;
    peer.hears("_result").await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_timestamps_beyond_24_bits_and_across_the_wrap_stay_what_they_mean() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let expected = fixture.expected();
    let expected_begins = expected[0].dts;
    // The last begins a second before 2³², the middle one a second before what 24 bits can say.
    for later in [4 * 3_600_000 + 1_000_000_000, 0xff_ffff - 1_000, u32::MAX - 1_000] {
        // Larger than the client's chunks of 4096 bytes, so that chunks without header repeat the timestamp.
        let shifted = fixture.clone().later(later).padded(10_000);
        stage.change_channel(&format!("from-{later}")).await;
        let mut encoder = stage.encoder().await;
        let mut viewer = stage.viewer().await;
        let (start, rest) = shifted.tags.split_at(shifted.until_joinable());
        encoder.send(start).await;
        viewer.frame().await;
        encoder.send(rest).await;
        viewer.frames(expected.len() - 1).await;
        let received = viewer.packets();
        let begins = received[0].dts;
        for (received, expected) in received.iter().zip(&expected) {
            assert_eq!(received.dts - begins, expected.dts - expected_begins, "from {later}");
            assert!(received.payload.starts_with(&expected.payload), "{received:?}");
        }
    }
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b7_steps_back_and_extended_timestamps_that_are_not_repeated_are_read() {
    let mut stage = Stage::set().await;
    let fixture = Fixture::read("video-only").until_last_picture();
    let mut peer = stage.publishing().await;
    let mut viewer = stage.viewer().await;
    send(&mut peer, start_of(&fixture)).await;
    viewer.frame().await;
    let frames = &fixture.tags[start_of(&fixture).len()..][..4];
    // A step of 33 ms; one of −20 ms, extended; a message whose later chunks do not repeat the extended timestamp.
    let step = |step: u32, body: &[u8], repeat: bool| {
        let mut wire = vec![0x40 | 3];
        let [s3, s2, s1, s0] = step.to_be_bytes();
        let extended = step >= 0xff_ffff;
        wire.extend_from_slice(if extended { &[0xff; 3] } else { std::slice::from_ref(&s2) });
        if !extended {
            wire.extend_from_slice(&[s1, s0]);
        }
        wire.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
        wire.push(VIDEO);
        if extended {
            wire.extend_from_slice(&[s3, s2, s1, s0]);
        }
        for (index, part) in body.chunks(128).enumerate() {
            if index > 0 {
                wire.push(0xc3);
                if extended && repeat {
                    wire.extend_from_slice(&[s3, s2, s1, s0]);
                }
            }
            wire.extend_from_slice(part);
        }
        wire
    };
    let long: Vec<u8> = Fixture { tags: vec![frames[1].clone()] }.padded(400).tags[0].body.to_vec();
    peer.send(&step(33, &frames[0].body, true)).await;
    peer.send(&step((-20_i32) as u32, &long, true)).await;
    peer.send(&step(40, &frames[2].body, true)).await;
    peer.send(&step((-3_i32) as u32, &long, false)).await;
    peer.send(&step(40, &frames[3].body, true)).await;
    let times: Vec<i64> = viewer.frames(5).await.iter().map(|packet| packet.dts).collect();
    // 33, 13, 53, 50 and 90 on the sender's clock; what steps back comes right after the one before it.
    assert_eq!(times, [33, 34, 53, 54, 90]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_control_messages_of_no_use_change_nothing() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut peer = stage.publishing().await;
    let mut viewer = stage.viewer().await;
    send(&mut peer, start_of(&fixture)).await;
    viewer.frame().await;
    for (type_id, number) in [
        (ABORT, 60_000_u32),
        (ACKNOWLEDGEMENT, u32::MAX),
        (WINDOW_ACKNOWLEDGEMENT_SIZE, 0),
        (WINDOW_ACKNOWLEDGEMENT_SIZE, u32::MAX),
        (WINDOW_ACKNOWLEDGEMENT_SIZE, 1),
    ] {
        peer.message(type_id, 0, &number.to_be_bytes()).await;
    }
    peer.message(SET_PEER_BANDWIDTH, 0, &[0, 0, 0, 0, 9]).await;
    send(&mut peer, &fixture.tags[start_of(&fixture).len()..]).await;
    let expected = fixture.expected();
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_a_flood_of_pings_whose_answers_nobody_reads_ends() {
    let mut stage = Stage::with(|config| config.rtmp.stall_timeout = Duration::from_millis(500)).await;
    let mut peer = stage.publishing().await;
    let mut pings = BytesMut::new();
    for number in 0..4_000 {
        Control::User(UserControl::PingRequest(number)).write(&mut pings);
    }
    let mut sent = 0;
    while peer.try_send(&pings).await {
        sent += pings.len();
        assert!(sent < 256 << 20, "the server takes pings for ever");
    }
    stage.counted(SOCKET, 1.0).await;
    stage.server.until_live("kitchen", false).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b8_aggregates_that_lie_about_their_contents_are_refused() {
    let mut stage = Stage::set().await;
    let part = |type_id: u8, length: u32, body: &[u8]| {
        let [_, l2, l1, l0] = length.to_be_bytes();
        let mut part = vec![type_id, l2, l1, l0, 0, 0, 0, 0, 0, 0, 0];
        part.extend_from_slice(body);
        part.extend_from_slice(&(11 + length).to_be_bytes());
        part
    };
    let lies = [
        part(VIDEO, 100, &[1, 2]),
        vec![9, 0, 0],
        part(AGGREGATE, 1, &[0]),
        part(VIDEO, 1, &[0]).repeat(2_000),
    ];
    for lie in &lies {
        let mut peer = stage.publishing().await;
        peer.message(AGGREGATE, 1, lie).await;
        peer.closed().await;
    }
    stage.counted(BROKEN, 4.0).await;

    // An honest one: configurations and keyframe in one message.
    let fixture = short();
    let mut peer = stage.publishing().await;
    let mut viewer = stage.viewer().await;
    let honest: Vec<u8> = start_of(&fixture)
        .iter()
        .flat_map(|tag| {
            let mut part = part(tag.kind.id(), u32::try_from(tag.body.len()).unwrap(), &tag.body);
            part[4..8].copy_from_slice(&(tag.timestamp_ms << 8).to_be_bytes());
            part
        })
        .collect();
    peer.message(AGGREGATE, 1, &honest).await;
    assert_same("the aggregate", &viewer.frames(1).await, &fixture.expected()[..1]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_beyond_the_limit_are_turned_away_and_counted() {
    let mut stage = Stage::with(|config| config.rtmp.max_connections = 4).await;
    let _third = Peer::open(stage.server.rtmp).await;
    let _fourth = Encoder::publish(stage.server.rtmp, &stage.channel.key).await;
    let refused = Peer::open(stage.server.rtmp).await;
    assert_eq!(refused.closed().await, "");
    stage.counted("onair_rtmp_refused_total{reason=\"connections\"}", 1.0).await;
    stage.is_unharmed().await;
}
