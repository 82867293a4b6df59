//! Commands and data: unknown, in the wrong order, too large, unreadable.

use bytes::BufMut;

use super::*;
use crate::format::amf::{AmfError, amf0};
use crate::protocol::rtmp::wire::address::AddressError;
use crate::protocol::rtmp::wire::command::CommandError;
use crate::protocol::rtmp::wire::message::*;

#[test]
fn b9_unknown_messages_and_commands_are_ignored() {
    let mut peer = Peer::publishing();
    for type_id in [0, 7, 10, 16, 19, 21, 23, 255] {
        assert_eq!(peer.message(type_id, 1, &[1, 2, 3]), Ok(()));
    }
    assert_eq!(peer.server.ignored(), 8);
    peer.call(0, "makeCoffee", vec![]).unwrap();
    assert!(peer.was_told("NetConnection.Call.Failed"));
    peer.command(0, "makeCoffee", 0.0, Value::Null, vec![]).unwrap();
    assert!(peer.sent.is_empty(), "no answer where none is expected");
    assert!(peer.events.is_empty());
}

#[test]
fn b9_courtesies_of_old_encoders_are_answered() {
    let mut peer = Peer::connected();
    for name in ["releaseStream", "FCPublish", "_checkbw", "FCSubscribe", "getStreamLength"] {
        peer.sent.clear();
        peer.call(0, name, vec!["KEY".into()]).unwrap();
        assert!(peer.was_told("_result"), "{name}");
    }
}

#[test]
fn b9_commands_and_data_in_amf3_envelopes_are_understood() {
    let mut peer = Peer::connected();
    let mut body = BytesMut::from(&[0][..]);
    amf0::encode(&"createStream".into(), &mut body);
    amf0::encode(&2.0.into(), &mut body);
    body.put_slice(&[0x11, 1]);
    peer.message(COMMAND_AMF3, 0, &body).unwrap();
    assert!(peer.was_told("_result"));

    let mut peer = Peer::publishing();
    let mut body = BytesMut::from(&[0][..]);
    amf0::encode(&"onTextData".into(), &mut body);
    // An AMF3 object: dynamic, of no class, with a property "k" that is 5.
    body.put_slice(&[0x11, 0x0a, 0x0b, 1, 3, b'k', 4, 5, 1]);
    peer.message(DATA_AMF3, 1, &body).unwrap();
    let values = vec!["onTextData".into(), Value::object([("k", 5.0.into())])];
    assert_eq!(peer.events, [Event::Data { timestamp: 0, values }]);
}

#[test]
fn b9_commands_in_the_wrong_order_end_the_session() {
    let mut peer = Peer::new();
    assert_eq!(peer.call(0, "createStream", vec![]), Err(SessionError::NotConnected("createStream")));
    assert!(peer.was_told("_error"));
    let refused = Peer::new().call(0, "publish", vec!["KEY".into()]);
    assert_eq!(refused, Err(SessionError::NotConnected("publish")));
    let mut peer = Peer::connected();
    assert_eq!(peer.call(1, "publish", vec!["KEY".into()]), Err(SessionError::NoStream("publish")));
    assert!(peer.was_told("NetStream.Publish.BadName"));
    let refused = Peer::connected().call(1, "play", vec!["show".into()]);
    assert_eq!(refused, Err(SessionError::NoStream("play")));
    let refused = Peer::connected().command(0, "connect", 1.0, Value::object([]), vec![]);
    assert_eq!(refused, Err(SessionError::AlreadyConnected));
}

#[test]
fn b9_data_and_media_before_connect_are_dropped() {
    let mut peer = Peer::new();
    peer.message(VIDEO, 1, &[0x17]).unwrap();
    peer.message(DATA_AMF0, 1, &[2, 0, 1, b'x']).unwrap();
    assert_eq!((peer.server.ignored(), peer.events.len()), (2, 0));
}

#[test]
fn b9_a_second_use_of_the_connection_is_refused_and_the_first_goes_on() {
    let mut peer = Peer::publishing();
    peer.call(0, "createStream", vec![]).unwrap();
    peer.call(2, "publish", vec!["OTHER".into()]).unwrap();
    assert!(peer.was_told("NetStream.Publish.BadName"));
    peer.call(2, "play", vec!["show".into()]).unwrap();
    assert!(peer.was_told("NetStream.Play.Failed"));
    peer.call(1, "publish", vec!["KEY".into()]).unwrap();
    assert!(peer.was_told("NetStream.Publish.BadName"));
    peer.message(VIDEO, 1, &[0x17]).unwrap();
    assert_eq!(peer.events, [Event::Video(media(0, &[0x17]))]);
}

#[test]
fn b9_deleting_another_stream_changes_nothing() {
    let mut peer = Peer::publishing();
    let odd = [5.0, 0.0, -1.0, 1.5, f64::NAN, f64::INFINITY, 4_294_967_297.0];
    for id in odd {
        peer.call(0, "deleteStream", vec![id.into()]).unwrap();
    }
    peer.call(0, "deleteStream", vec![]).unwrap();
    peer.call(7, "closeStream", vec![]).unwrap();
    assert!(peer.events.is_empty());
    peer.call(0, "deleteStream", vec![1.0.into()]).unwrap();
    assert_eq!(peer.events, [Event::Unpublish]);
}

#[test]
fn b9_streams_get_the_lowest_free_number_and_are_few() {
    let mut peer = Peer::connected();
    for _ in 0..8 {
        peer.call(0, "createStream", vec![]).unwrap();
    }
    peer.call(0, "deleteStream", vec![3.0.into()]).unwrap();
    peer.sent.clear();
    peer.call(0, "createStream", vec![]).unwrap();
    assert_eq!(peer.sent.split()[..].last_chunk(), Some(&3.0_f64.to_be_bytes()));
    assert_eq!(peer.call(0, "createStream", vec![]), Err(SessionError::TooManyStreams(8)));
}

#[test]
fn b9_an_ended_publisher_may_publish_again() {
    let mut peer = Peer::publishing();
    peer.call(0, "FCUnpublish", vec!["KEY".into()]).unwrap();
    peer.call(0, "deleteStream", vec![1.0.into()]).unwrap();
    assert_eq!(peer.events, [Event::Unpublish]);
    peer.call(0, "createStream", vec![]).unwrap();
    peer.call(1, "publish", vec!["KEY".into()]).unwrap();
    assert!(matches!(peer.events.last(), Some(Event::Publish(_))));
}

#[test]
fn b35_an_answer_never_counts_for_a_later_request() {
    let mut peer = Peer::connected();
    peer.call(0, "createStream", vec![]).unwrap();
    peer.call(1, "publish", vec!["ALLOWED".into()]).unwrap();
    peer.call(1, "closeStream", vec![]).unwrap();
    peer.call(1, "publish", vec!["FORBIDDEN".into()]).unwrap();
    assert!(peer.was_told("NetStream.Publish.BadName"));
    // The answer to the first request comes now.
    assert!(!peer.server.accept_publish());
    peer.message(VIDEO, 1, &[0x17]).unwrap();
    assert_eq!(peer.events.len(), 1);
    peer.call(1, "publish", vec!["FORBIDDEN".into()]).unwrap();
    assert_eq!(peer.events.len(), 2);
}

#[test]
fn b10_connect_without_url_or_app_is_accepted() {
    let mut peer = Peer::new();
    peer.command(0, "connect", 1.0, Value::Null, vec![]).unwrap();
    assert!(peer.was_told("NetConnection.Connect.Success"));
    let mut peer = Peer::new();
    let object = Value::object([("tcUrl", "rtmp://host/live/KEY".into())]);
    peer.command(0, "connect", 1.0, object, vec![]).unwrap();
    peer.call(0, "createStream", vec![]).unwrap();
    peer.call(1, "publish", vec![Value::Null]).unwrap();
    let Some(Event::Publish(request)) = peer.events.first() else { panic!("no request") };
    assert_eq!((request.address.app.as_str(), request.address.key()), ("live", Some("KEY")));
}

#[test]
fn b10_names_beyond_all_measure_are_refused_in_words() {
    let long = "x".repeat(65_536);
    let mut peer = Peer::new();
    let object = Value::object([("app", long.as_str().into())]);
    let refused = peer.command(0, "connect", 1.0, object, vec![]);
    assert_eq!(refused, Err(AddressError::App(65_536).into()));
    assert!(peer.was_told("NetConnection.Connect.Rejected"));

    let mut peer = Peer::connected();
    peer.call(0, "createStream", vec![]).unwrap();
    let refused = peer.call(1, "publish", vec![long.into()]);
    assert_eq!(refused, Err(AddressError::Stream(65_536).into()));
    assert!(peer.was_told("NetStream.Publish.BadName"));
}

#[test]
fn b11_to_b14_unreadable_commands_end_the_session() {
    for (body, expected) in [
        ([3, 0, 1, b'a'].repeat(10_000), CommandError::Amf(AmfError::TooDeep)),
        (
            vec![0x0a, 0xff, 0xff, 0xff, 0xff],
            AmfError::Truncated { needed: 0xffff_ffff, remaining: 0 }.into(),
        ),
        (vec![2, 0xff, 0xff, b'a'], AmfError::Truncated { needed: 0xffff, remaining: 1 }.into()),
        (vec![8, 0xff, 0xff, 0xff, 0xff, 0, 1, b'a', 5], AmfError::MissingObjectEnd.into()),
        (vec![3, 0, 1, b'a', 7, 0, 0], AmfError::ReferenceLoop(0).into()),
        (vec![5], CommandError::NoName),
        (vec![], CommandError::NoName),
    ] {
        assert_eq!(Peer::new().message(COMMAND_AMF0, 0, &body), Err(SessionError::Command(expected)));
    }
}

#[test]
fn b11_to_b14_unreadable_data_is_dropped_alone() {
    let mut peer = Peer::publishing();
    for body in
        [[3, 0, 1, b'a'].repeat(10_000), vec![2, 0xff, 0xff], vec![0x0a, 0xff, 0xff, 0xff, 0xff], vec![]]
    {
        assert_eq!(peer.message(DATA_AMF0, 1, &body), Ok(()));
    }
    assert_eq!((peer.server.ignored(), peer.events.len()), (4, 0));
    peer.message(VIDEO, 1, &[0x17]).unwrap();
    assert_eq!(peer.events.len(), 1);
}

#[test]
fn b14_numbers_that_are_not_finite_are_no_transaction_and_no_stream() {
    let mut peer = Peer::connected();
    peer.command(0, "createStream", f64::NAN, Value::Null, vec![]).unwrap();
    assert!(peer.was_told("_result"));
}

#[test]
fn a_player_pauses_goes_on_and_cannot_seek() {
    let mut peer = Peer::connected();
    peer.call(0, "createStream", vec![]).unwrap();
    peer.call(1, "play", vec!["show".into()]).unwrap();
    assert!(peer.server.accept_play());
    peer.poll();
    peer.events.clear();
    for code in ["NetStream.Play.Reset", "NetStream.Play.Start"] {
        assert!(peer.sent.windows(code.len()).any(|window| window == code.as_bytes()), "{code}");
    }
    peer.call(1, "pause", vec![true.into(), 0.0.into()]).unwrap();
    assert!(peer.was_told("NetStream.Pause.Notify"));
    peer.call(1, "pause", vec![false.into(), 0.0.into()]).unwrap();
    assert!(peer.was_told("NetStream.Unpause.Notify"));
    peer.call(1, "seek", vec![5.0.into()]).unwrap();
    assert!(peer.was_told("NetStream.Seek.Failed"));
    assert_eq!(peer.events, [Event::Pause(true), Event::Pause(false)]);
    peer.call(1, "closeStream", vec![]).unwrap();
    assert_eq!(peer.events.last(), Some(&Event::StopPlay));
}
