//! B9 and B10: commands in the wrong order, and names.

use bytes::{BufMut, BytesMut};
use onair::format::amf::{Value, amf0};
use onair::protocol::rtmp::wire::message::{COMMAND_AMF3, DATA_AMF0, VIDEO};

use super::stage::{BROKEN, Stage, send, short, start_of};
use crate::support::packet::assert_same;
use crate::support::{Encoder, Peer, Player};

const REFUSED_KEY: &str = "onair_rtmp_refused_total{reason=\"key\"}";
const REFUSED_PLAY: &str = "onair_rtmp_refused_total{reason=\"play\"}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b9_unknown_messages_and_commands_do_not_disturb_a_publisher() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut peer = stage.publishing().await;
    let mut viewer = stage.viewer().await;
    send(&mut peer, start_of(&fixture)).await;
    viewer.frame().await;
    for type_id in [0, 7, 10, 16, 19, 21, 23, 255] {
        peer.message(type_id, 1, &[1, 2, 3]).await;
    }
    peer.call(0, "makeCoffee", vec![]).await;
    peer.hears("NetConnection.Call.Failed").await;
    // An AMF3 envelope around an AMF0 command.
    let mut body = BytesMut::from(&[0][..]);
    amf0::encode(&"createStream".into(), &mut body);
    amf0::encode(&7.0.into(), &mut body);
    body.put_u8(5);
    peer.message(COMMAND_AMF3, 0, &body).await;
    peer.hears("_result").await;
    for id in [5.0, 0.0, -1.0, f64::NAN, 4_294_967_297.0] {
        peer.call(0, "deleteStream", vec![id.into()]).await;
    }
    // What a connection is used for already, it cannot be used for again.
    peer.call(2, "publish", vec!["other".into()]).await;
    peer.hears("NetStream.Publish.BadName").await;
    peer.call(2, "play", vec!["bystander".into()]).await;
    peer.hears("NetStream.Play.Failed").await;
    send(&mut peer, &fixture.tags[start_of(&fixture).len()..]).await;
    let expected = fixture.expected();
    assert_same("what follows", &viewer.frames(expected.len() - 1).await, &expected[1..]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b9_commands_in_the_wrong_order_are_answered_and_end_the_connection() {
    let mut stage = Stage::set().await;
    let key: Value = stage.channel.key.as_str().into();
    let mut peer = Peer::shaken(stage.server.rtmp).await;
    peer.call(0, "createStream", vec![]).await;
    peer.hears("_error").await;
    peer.closed().await;
    let mut peer = Peer::shaken(stage.server.rtmp).await;
    peer.call(0, "publish", vec![key.clone()]).await;
    peer.hears("Connect first").await;
    peer.closed().await;
    let mut peer = Peer::connected(stage.server.rtmp).await;
    peer.call(1, "publish", vec![key.clone()]).await;
    peer.hears("Create a stream first").await;
    peer.closed().await;
    let mut peer = Peer::connected(stage.server.rtmp).await;
    peer.command(0, "connect", 1.0, Value::Null, vec![]).await;
    peer.hears("already connected").await;
    peer.closed().await;
    stage.counted(BROKEN, 4.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b9_media_before_its_time_is_dropped() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let mut peer = Peer::shaken(stage.server.rtmp).await;
    peer.message(VIDEO, 1, &[0x17, 1, 0, 0, 0]).await;
    peer.message(DATA_AMF0, 1, &[2, 0, 1, b'x']).await;
    peer.command(0, "connect", 1.0, Value::object([("app", "live".into())]), vec![]).await;
    peer.hears("NetConnection.Connect.Success").await;
    peer.call(0, "createStream", vec![]).await;
    send(&mut peer, start_of(&fixture)).await;
    peer.call(1, "publish", vec![stage.channel.key.as_str().into()]).await;
    peer.hears("NetStream.Publish.Start").await;
    let mut viewer = stage.viewer().await;
    send(&mut peer, start_of(&fixture)).await;
    assert_same("the first frame", &viewer.frames(1).await, &fixture.expected()[..1]);
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b9_a_publisher_who_deletes_his_stream_is_gone_and_may_come_again() {
    let mut stage = Stage::set().await;
    for name in ["deleteStream", "closeStream", "FCUnpublish"] {
        let mut peer = stage.publishing().await;
        stage.server.until_live("kitchen", true).await;
        let argument: Value =
            if name == "FCUnpublish" { stage.channel.key.as_str().into() } else { 1.0.into() };
        peer.command(1, name, 0.0, Value::Null, vec![argument]).await;
        peer.hears("NetStream.Unpublish.Success").await;
        peer.closed().await;
        stage.server.until_live("kitchen", false).await;
    }
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_names_are_compared_and_nothing_else() {
    let mut stage = Stage::set().await;
    let names = [
        "../../etc/passwd",
        "..",
        "a\\b",
        "a\0b",
        "%2e%2e%2fadmin-token",
        "ключ",
        "a#b",
        "a;b",
        "$(reboot)",
        "a?b=c&d",
        "BYSTANDER",
        "bystander/",
        "bystander.flv",
        " bystander",
        "",
    ];
    for name in names {
        let (code, _) = Encoder::refusal(stage.server.rtmp, name).await;
        assert_eq!(code, "NetStream.Publish.Denied", "{name:?}");
    }
    stage.counted(REFUSED_KEY, names.len() as f64).await;
    let mut refused = 0.0;
    // A slash at the end is no part of the name.
    for name in names.into_iter().filter(|name| *name != "bystander/") {
        let error = Player::try_join(stage.server.rtmp, name).await.err().expect("no such channel");
        assert!(error.to_string().contains("NetStream.Play.StreamNotFound"), "{name:?}: {error}");
        refused += 1.0;
    }
    stage.counted(REFUSED_PLAY, refused).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b10_connect_may_lack_its_url_and_not_be_endless() {
    let mut stage = Stage::set().await;
    let mut peer = Peer::shaken(stage.server.rtmp).await;
    peer.command(0, "connect", 1.0, Value::Null, vec![]).await;
    peer.hears("NetConnection.Connect.Success").await;

    // FFmpeg's own limit is 1024.
    let url = format!("rtmp://host/live?{}", "x".repeat(2_000));
    let mut peer = Peer::shaken(stage.server.rtmp).await;
    peer.command(0, "connect", 1.0, Value::object([("app", "live".into()), ("tcUrl", url.into())]), vec![])
        .await;
    peer.hears("NetConnection.Connect.Success").await;

    let long = "x".repeat(65_000);
    for property in ["app", "tcUrl"] {
        let mut peer = Peer::shaken(stage.server.rtmp).await;
        peer.command(0, "connect", 1.0, Value::object([(property, long.as_str().into())]), vec![]).await;
        peer.hears("NetConnection.Connect.Rejected").await;
        peer.hears("65000 bytes").await;
        peer.closed().await;
    }
    let mut peer = Peer::connected(stage.server.rtmp).await;
    peer.call(0, "createStream", vec![]).await;
    peer.call(1, "publish", vec![long.as_str().into()]).await;
    peer.hears("NetStream.Publish.BadName").await;
    peer.hears("is longer than").await;
    peer.closed().await;
    stage.counted(BROKEN, 3.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b36_names_that_strangers_choose_make_no_metrics() {
    let mut stage = Stage::set().await;
    let _ = Encoder::refusal(stage.server.rtmp, "first-stranger").await;
    let _ = Player::try_join(stage.server.rtmp, "first-stranger").await;
    stage.counted(REFUSED_PLAY, 1.0).await;
    let before = stage.server.metrics().await.series();
    for number in 0..100 {
        let name = format!("stranger-{number}");
        let _ = Encoder::refusal(stage.server.rtmp, &name).await;
        let _ = Player::try_join(stage.server.rtmp, &name).await;
    }
    stage.counted(REFUSED_PLAY, 101.0).await;
    let after = stage.server.metrics().await.series();
    assert_eq!(before, after);
    assert!(!after.iter().any(|name| name.contains("stranger") || name.contains(&stage.channel.key)));
    stage.is_unharmed().await;
}
