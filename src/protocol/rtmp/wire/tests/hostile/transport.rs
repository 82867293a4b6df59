//! Handshake, chunks, control messages and aggregates.

use bytes::BufMut;

use super::*;
use crate::protocol::rtmp::wire::aggregate::AggregateError;
use crate::protocol::rtmp::wire::chunk::ChunkError;
use crate::protocol::rtmp::wire::handshake::HandshakeError;
use crate::protocol::rtmp::wire::message::*;

#[test]
fn b2_other_protocols_end_the_session_by_name() {
    for (first, expected) in [
        (&b"GET / HTTP/1.1\r\n"[..], HandshakeError::Http),
        (&[0x16, 3, 1, 2, 0], HandshakeError::Tls),
        (&[6], HandshakeError::Encrypted(6)),
        (&[0x80], HandshakeError::Version(0x80)),
    ] {
        let now = crate::clock::monotonic();
        let refused = server(now).receive(&mut BytesMut::from(first), now);
        assert_eq!(refused, Err(SessionError::Handshake(expected)));
    }
}

#[test]
fn b3_a_bad_chunk_size_ends_the_session() {
    for size in [0_u32, 0x0100_0000, 0x7fff_ffff, 0x8000_0000, 0x8000_1000] {
        let refused = Peer::new().message(SET_CHUNK_SIZE, 0, &size.to_be_bytes());
        assert!(matches!(refused, Err(SessionError::Chunk(ChunkError::ChunkSize { .. }))), "{size:#x}");
    }
    assert_eq!(Peer::new().message(SET_CHUNK_SIZE, 0, &[0, 0, 0, 1]), Ok(()));
    assert!(matches!(Peer::new().message(SET_CHUNK_SIZE, 0, &[0, 0, 1]), Err(SessionError::Control(_))));
}

#[test]
fn b5_strangers_may_hold_less_than_publishers() {
    let announce = |length: u32| {
        let [_, l2, l1, l0] = length.to_be_bytes();
        [6, 0, 0, 0, l2, l1, l0, 9, 1, 0, 0, 0]
    };
    let refused = Peer::connected().bytes(&announce(2 << 20));
    assert!(matches!(refused, Err(SessionError::Chunk(ChunkError::MessageTooLong { limit: 0x10_0000, .. }))));
    assert_eq!(Peer::publishing().bytes(&announce(2 << 20)), Ok(()));
}

#[test]
fn b8_a_ping_flood_stops_the_intake_instead_of_filling_memory() {
    let mut peer = Peer::publishing();
    let mut flood = BytesMut::new();
    for number in 0..100_000 {
        Control::User(UserControl::PingRequest(number)).write(&mut flood);
    }
    let length = flood.len();
    assert_eq!(peer.server.receive(&mut flood, peer.now), Ok(Intake::Backlogged));
    assert!(flood.len() > length - 100_000);
    let Some(Output::Send(answers)) = peer.server.poll() else { panic!("no answer") };
    assert!(answers.len() < 100_000);
}

#[test]
fn b8_an_event_flood_stops_the_intake_and_loses_nothing() {
    let mut peer = Peer::publishing();
    let mut flood = BytesMut::new();
    for number in 0..10_000 {
        write_message(&mut flood, 6, number, VIDEO, 1, 128, &[&[1]]).unwrap();
    }
    assert_eq!(peer.server.receive(&mut flood, peer.now), Ok(Intake::Backlogged));
    peer.poll();
    assert_eq!(peer.events.len(), 256);
    peer.bytes(&flood.split()).unwrap();
    assert_eq!(peer.events.len(), 10_000);
}

#[test]
fn b8_windows_of_zero_and_of_everything_are_survived() {
    for (window, acknowledgements) in [(0_u32, 0), (1, 20), (u32::MAX, 0)] {
        let mut peer = Peer::publishing();
        peer.message(WINDOW_ACKNOWLEDGEMENT_SIZE, 0, &window.to_be_bytes()).unwrap();
        peer.sent.clear();
        for _ in 0..100 {
            peer.message(VIDEO, 1, &[0; 1000]).unwrap();
        }
        // Every fifth message of a thousand bytes is beyond 4096. An acknowledgement has sixteen bytes.
        assert_eq!(peer.sent.len(), acknowledgements * 16, "window {window}");
    }
}

#[test]
fn b8_abort_of_an_unknown_chunk_stream_is_nothing() {
    let mut peer = Peer::publishing();
    assert_eq!(peer.message(ABORT, 0, &60_000_u32.to_be_bytes()), Ok(()));
    assert_eq!(peer.message(VIDEO, 1, &[1]), Ok(()));
    assert_eq!(peer.events.len(), 1);
}

/// One message of an aggregate, with `length` in its header.
fn tag(type_id: u8, length: u32, timestamp: u32, body: &[u8]) -> Vec<u8> {
    let [_, l2, l1, l0] = length.to_be_bytes();
    let [t3, t2, t1, t0] = timestamp.to_be_bytes();
    let mut tag = vec![type_id, l2, l1, l0, t2, t1, t0, t3, 0, 0, 0];
    tag.extend_from_slice(body);
    tag.put_u32(11 + length);
    tag
}

#[test]
fn b8_an_aggregate_is_taken_apart_with_its_own_times() {
    let mut peer = Peer::publishing();
    let body = [tag(8, 1, 5000, &[0xaf]), tag(9, 2, 5040, &[0x17, 1]), tag(8, 1, 4990, &[0xae])].concat();
    let mut out = BytesMut::new();
    write_message(&mut out, 6, 100, AGGREGATE, 1, 128, &[&body[..body.len() - 4]]).unwrap();
    peer.bytes(&out).unwrap();
    let expected = [
        Event::Audio(media(100, &[0xaf])),
        Event::Video(media(140, &[0x17, 1])),
        Event::Audio(media(90, &[0xae])),
    ];
    assert_eq!(peer.events, expected);
}

#[test]
fn b8_bad_aggregates_end_the_session() {
    let refused = |body: &[u8]| Peer::publishing().message(AGGREGATE, 1, body);
    let too_long = tag(9, 100, 0, &[1, 2]);
    assert_eq!(refused(&too_long), Err(AggregateError::Truncated { missing: 94 }.into()));
    assert_eq!(refused(&[9, 0, 0]), Err(AggregateError::Truncated { missing: 8 }.into()));
    assert_eq!(refused(&tag(22, 1, 0, &[0])), Err(AggregateError::Nested.into()));
    assert_eq!(refused(&tag(9, 1, 0, &[0]).repeat(1025)), Err(AggregateError::TooManyMessages.into()));
}
