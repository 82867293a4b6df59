//! B11 to B14: values that cannot be read. A command of that kind ends the connection; data is dropped alone, for the
//! stream is watchable without it.

use bytes::{BufMut, BytesMut};
use onair::format::amf::{Value, amf0};
use onair::protocol::rtmp::wire::message::{COMMAND_AMF0, DATA_AMF0, DATA_AMF3};

use super::stage::{BROKEN, MALFORMED, Stage, send, short, start_of};
use crate::support::Peer;
use crate::support::packet::assert_same;

/// Bodies that no reader can read: what they are, and their bytes.
fn unreadable() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("b11 objects 10 000 deep", [3, 0, 1, b'a'].repeat(10_000)),
        ("b11 arrays 10 000 deep", [0x0a, 0, 0, 0, 1].repeat(10_000)),
        ("b12 an array of 2^32-1 values", vec![0x0a, 0xff, 0xff, 0xff, 0xff]),
        ("b13 a string beyond the end", vec![2, 0xff, 0xff, b'a']),
        ("b13 a long string beyond the end", vec![0x0c, 0xff, 0xff, 0xff, 0xff, b'a']),
        ("b14 an object without end", vec![8, 0xff, 0xff, 0xff, 0xff, 0, 1, b'a', 5]),
        ("b14 a reference to itself", vec![3, 0, 1, b'a', 7, 0, 0]),
        ("b14 a marker that is none", vec![0x40]),
    ]
}

/// The same behind a name, so that only the values behind it are bad.
fn behind(name: &str, bad: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    amf0::encode(&name.into(), &mut body);
    amf0::encode(&1.0.into(), &mut body);
    body.put_slice(bad);
    body
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_b12_b13_b14_unreadable_commands_end_the_connection() {
    let mut stage = Stage::set().await;
    let mut ended = 0.0;
    for (what, bad) in unreadable() {
        for body in [BytesMut::from(&bad[..]), behind("connect", &bad)] {
            let mut peer = Peer::shaken(stage.server.rtmp).await;
            peer.message(COMMAND_AMF0, 0, &body).await;
            assert!(!peer.closed().await.contains("Success"), "{what}");
            ended += 1.0;
        }
    }
    stage.counted(BROKEN, ended).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b11_b12_b13_b14_unreadable_data_leaves_the_stream_alone() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut peer = stage.publishing().await;
    let mut viewer = stage.viewer().await;
    send(&mut peer, start_of(&fixture)).await;
    viewer.frame().await;
    for (_, bad) in unreadable() {
        for type_id in [DATA_AMF0, DATA_AMF3] {
            peer.message(type_id, 1, &bad).await;
            peer.message(type_id, 1, &behind("onMetaData", &bad)).await;
        }
    }
    send(&mut peer, &fixture.tags[start_of(&fixture).len()..]).await;
    let expected = fixture.expected();
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b14_counts_that_lie_and_numbers_that_are_none_are_read_as_far_as_they_go() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut encoder = stage.encoder().await;
    let mut viewer = stage.viewer().await;
    encoder.send(start_of(&fixture)).await;
    viewer.frame().await;
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MAX, f64::MIN_POSITIVE];
    for number in odd {
        let cue = Value::object([
            ("type", "splice".into()),
            ("time", number.into()),
            ("duration", number.into()),
            ("id", number.into()),
        ]);
        for name in ["onMetaData", "onCuePoint", "onAdCue"] {
            encoder.data(40, &[name.into(), cue.clone()]).await;
            encoder.data(40, &[name.into(), number.into()]).await;
        }
    }
    // An ECMA array that claims four billion entries and has one.
    let mut peer = Peer::shaken(stage.server.rtmp).await;
    let lie = [&[8, 0xff, 0xff, 0xff, 0xff, 0, 3][..], b"app", &[2, 0, 4], b"live", &[0, 0, 9]].concat();
    peer.message(COMMAND_AMF0, 0, &behind("connect", &lie)).await;
    peer.hears("NetConnection.Connect.Success").await;

    encoder.send(&fixture.tags[start_of(&fixture).len()..]).await;
    let expected = fixture.expected();
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b14_cue_messages_that_cannot_be_are_counted_and_dropped() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut encoder = stage.encoder().await;
    let mut viewer = stage.viewer().await;
    encoder.send(start_of(&fixture)).await;
    viewer.frame().await;
    let out = |time: Value, duration: Value| {
        Value::object([
            ("cue", "SpliceOut".into()),
            ("id", "1".into()),
            ("time", time),
            ("duration", duration),
        ])
    };
    let section = |text: &str| Value::object([("type", "scte35".into()), ("cue", text.into())]);
    let impossible = [
        out(f64::NAN.into(), 30.0.into()),
        out(f64::INFINITY.into(), 30.0.into()),
        out((-1.0).into(), 30.0.into()),
        out(1.0.into(), (-30.0).into()),
        out(1.0.into(), true.into()),
        section("not base64!"),
        section("/DA="),
        section(&"A".repeat(10_000)),
    ];
    for (count, cue) in impossible.iter().enumerate() {
        encoder.data(40, &["onAdCue".into(), cue.clone()]).await;
        stage.server.until_counted(MALFORMED, (count + 1) as f64).await;
    }
    encoder.send(&fixture.tags[start_of(&fixture).len()..]).await;
    let expected = fixture.expected();
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
    stage.counted(MALFORMED, impossible.len() as f64).await;
    stage.is_unharmed().await;
}
