//! Talking over WebSockets, and what strangers do with them.

use std::time::Duration;

use onair::http::websocket;
use serde_json::json;
use tokio::net::TcpSocket;

use super::open_room;
use crate::support::{ChatClient, Encoder, Fixture, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_viewers_talk_and_a_third_reads_what_was_said() {
    let server = open_room(|_| {}).await;
    let (mut ann, welcome) = ChatClient::join(server.http, "kitchen", json!({"name": "Ann"})).await;
    assert_eq!((&welcome["you"]["name"], &welcome["open"]), (&json!("Ann"), &json!(true)));
    let (mut ben, _) = ChatClient::join(server.http, "kitchen", json!({"name": "Ben"})).await;
    assert_eq!(ann.say("hello @Ben <b>#Kitchen</b>").await["type"], "accepted");
    let comment = ben.event("comment").await;
    assert_eq!(comment["text"], "hello @Ben <b>#Kitchen</b>");
    assert_eq!((&comment["name"], &comment["hashtags"]), (&json!("Ann"), &json!(["kitchen"])));
    ben.ask(json!({"type": "comment", "text": "hi", "reply_to": comment["seq"]})).await;
    assert_eq!(ann.until(|event| event["text"] == "hi").await["reply_to"]["name"], "Ann");
    ben.send(&json!({"type": "react", "kind": "❤", "count": 3})).await;
    assert_eq!(ann.event("reactions").await["total"], 3);
    let (_, welcome) = ChatClient::join(server.http, "kitchen", json!({"last": 1})).await;
    assert_eq!(welcome["comments"].as_array().unwrap().len(), 1);
    assert_eq!(welcome["comments"][0]["text"], "hi");
    server.until_counted("onair_chat_comments_total", 2.0).await;
    server.until_at("onair_chat_connections{protocol=\"websocket\"}", 2.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lost_the_connection_comes_back_without_gap_or_double() {
    let server = open_room(|config| config.chat.comment_interval = Duration::ZERO).await;
    let (mut ann, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let (mut ben, welcome) = ChatClient::join(server.http, "kitchen", json!({})).await;
    ann.say("one").await;
    let seen = ben.event("comment").await["seq"].clone();
    // Gone without a word.
    drop(ben);
    for text in ["two", "three", "four"] {
        ann.say(text).await;
    }
    let resume = json!({"after": seen, "epoch": welcome["epoch"]});
    let (mut ben, welcome) = ChatClient::join(server.http, "kitchen", resume).await;
    assert_eq!((&welcome["reset"], &welcome["comments"]), (&json!(false), &json!([])));
    ann.say("five").await;
    for text in ["two", "three", "four", "five"] {
        assert_eq!(ben.event("comment").await["text"], text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comments_of_a_broadcast_are_found_by_media_time() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let (mut ann, welcome) = ChatClient::join(server.http, "kitchen", json!({})).await;
    assert_eq!(welcome["open"], false);
    assert_eq!(ann.say("is it on?").await["code"], "closed");
    let fixture = Fixture::read("short");
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    encoder.send(&fixture.tags).await;
    server.until_live("kitchen", true).await;
    ann.until(|event| event["type"] == "rules" && event["open"] == true).await;
    for (text, time_ns) in
        [("at 200 ms", 200_000_000_i64), ("at 900 ms", 900_000_000), ("at 400 ms", 400_000_000)]
    {
        let accepted = ann.ask(json!({"type": "comment", "text": text, "time_ns": time_ns})).await;
        assert_eq!(accepted["type"], "accepted", "{accepted}");
    }
    let path = |query: &str| format!("/api/v1/channels/kitchen/comments?{query}");
    let found = server.operator("GET", &path("from_ns=100000000&to_ns=900000000"), None).await.json().await;
    let texts: Vec<&str> =
        found["comments"].as_array().unwrap().iter().map(|c| c["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["at 200 ms", "at 400 ms"]);
    assert!(found["broadcast"].is_u64() && found["next"].is_null());
    let page = server.operator("GET", &path("limit=1"), None).await.json().await;
    assert_eq!(page["next"], json!({"from_ns": 200_000_000, "after": page["comments"][0]["seq"]}));
    assert_eq!(server.operator("GET", "/api/v1/channels/nobody/comments", None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b32_bad_frames_and_messages_end_their_connection_only() {
    let server = open_room(|_| {}).await;
    let (mut ann, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let mut compressed = websocket::client_text(b"deflated", [0; 4]).to_vec();
    compressed[0] |= 0x40;
    let huge = websocket::client_text(&[b'x'; 5000], [0; 4]).to_vec();
    let not_utf8 = websocket::client_text(&[0xc3, 0x28], [0; 4]).to_vec();
    for bytes in [compressed, huge, not_utf8, b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let (mut hostile, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
        hostile.send_bytes(&bytes).await;
        while hostile.next().await.is_some() {}
    }
    // No join, and none at all.
    let mut early = ChatClient::connect(server.http, "kitchen", &[]).await.unwrap();
    early.send(&json!({"type": "comment", "id": "a", "text": "first!"})).await;
    assert_eq!(early.next().await.unwrap()["code"], "no_join");
    assert_eq!(early.next().await, None);
    let mut newer = ChatClient::connect(server.http, "kitchen", &[]).await.unwrap();
    newer.send(&json!({"type": "join", "v": 2})).await;
    assert_eq!(newer.next().await.unwrap()["code"], "version");
    // Connections that are dropped without goodbye leave nothing behind.
    for _ in 0..20 {
        drop(ChatClient::join(server.http, "kitchen", json!({})).await);
    }
    server.until_at("onair_chat_connections{protocol=\"websocket\"}", 1.0).await;
    assert_eq!(ann.say("still here").await["type"], "accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b32_a_viewer_who_does_not_read_loses_only_himself() {
    let server = open_room(|config| {
        config.chat.comment_interval = Duration::ZERO;
        config.chat.message_burst = 10_000;
        config.chat.max_text = 2000;
        config.chat.max_message_size = 16 << 10;
        config.chat.readable_per_second = 0;
        config.chat.max_behind = 16;
        // He is not cut off either, however slow this machine is.
        config.http.stall_timeout = Duration::from_secs(600);
        config.chat.batch_interval = Duration::from_millis(1);
    })
    .await;
    let (mut ann, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let mut sleeper = ChatClient::connect_by(small, server.http, "kitchen", &[]).await.unwrap();
    sleeper.enter(json!({})).await;
    let (mut ben, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let text = "€".repeat(1900);
    // More than the kernel and the ring of batches hold for him.
    for n in 0..60 {
        assert_eq!(ann.say(&format!("{n} {text}")).await["type"], "accepted");
        ben.until(|event| event["type"] == "comment").await;
    }
    let lagged = sleeper.event("lagged").await;
    assert!(lagged["missed"].as_u64().unwrap() > 0, "and is told when he wakes up");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_down_sends_viewers_to_the_next() {
    use crate::support::process::Process;

    let server = Process::start("[chat]\nopen_when_offline = true").await;
    server.channel("kitchen").await;
    let (mut ann, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    ann.say("last words").await;
    server.signal("TERM").await;
    let bye = ann.event("bye").await;
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("restart"), &json!(true)));
    assert_eq!(server.exited().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_channel_takes_its_room_along() {
    let server = open_room(|_| {}).await;
    let (mut ann, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    ann.say("hello").await;
    server.operator("DELETE", "/api/v1/channels/kitchen", None).await;
    assert_eq!(ann.event("bye").await["code"], "gone");
    assert_eq!(ChatClient::connect(server.http, "kitchen", &[]).await.err(), Some(404));
    server.channel("kitchen").await;
    let found = server.operator("GET", "/api/v1/channels/kitchen/comments", None).await.json().await;
    assert_eq!(found["comments"], json!([]));
}
