//! The room over an event stream and POST.

use serde_json::{Value, json};

use super::open_room;
use crate::support::http::{Body, request};
use crate::support::{ChatClient, Server};

/// A stream, read event by event.
struct Events {
    body: Body,
    text: String,
    session: String,
    last_id: Option<String>,
}

impl Events {
    async fn open(server: &Server, query: &str, headers: &[(&str, &str)]) -> Self {
        let path = format!("/api/v1/channels/kitchen/room{query}");
        let response = request(server.http, "GET", &path, headers, b"").await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
        let mut events =
            Self { body: response.into_body(), text: String::new(), session: String::new(), last_id: None };
        events.session = events.next().await["session"].as_str().unwrap().to_owned();
        events
    }

    async fn next(&mut self) -> Value {
        let end = loop {
            if let Some(end) = self.text.find("\n\n") {
                break end;
            }
            let more = self.body.next().await.expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        };
        let event: String = self.text.drain(..end + 2).collect();
        if let Some(id) = event.lines().find_map(|line| line.strip_prefix("id: ")) {
            self.last_id = Some(id.to_owned());
        }
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
        serde_json::from_str(data).unwrap()
    }

    async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().await;
            if event["type"] == kind {
                return event;
            }
        }
    }

    async fn post(&self, server: &Server, message: &str) -> u16 {
        let headers = [("onair-session", self.session.as_str())];
        let path = "/api/v1/channels/kitchen/room";
        request(server.http, "POST", path, &headers, message.as_bytes()).await.status
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_stream_is_the_same_room() {
    let server = open_room(|_| {}).await;
    let (mut ann, _) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let mut ben = Events::open(&server, "?name=Ben", &[]).await;
    assert_eq!(ben.next().await["you"]["name"], "Ben");
    let said = json!({"type": "comment", "id": "a", "text": "hello over there"}).to_string();
    assert_eq!(ben.post(&server, &said).await, 202);
    assert_eq!(ben.event("accepted").await["id"], "a");
    assert_eq!(ann.event("comment").await["name"], "Ben");
    ann.say("hello yourself").await;
    while ben.event("comment").await["text"] != "hello yourself" {}

    // A browser that reconnects by itself says how far it came.
    let id = ben.last_id.clone().unwrap();
    drop(ben);
    server.until_at("onair_chat_connections{protocol=\"event_source\"}", 0.0).await;
    ann.say("while you were away").await;
    let mut ben = Events::open(&server, "", &[("last-event-id", &id)]).await;
    assert_eq!(ben.next().await["reset"], false);
    assert_eq!(ben.event("comment").await["text"], "while you were away");
    assert_eq!(ben.post(&server, "nonsense").await, 202);
    assert_eq!(ben.event("refused").await["code"], "malformed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b32_a_post_needs_the_secret_of_its_stream() {
    let server = open_room(|_| {}).await;
    let ben = Events::open(&server, "", &[]).await;
    for session in ["", "0", &"0".repeat(32)] {
        let headers = [("onair-session", session)];
        let answer = request(server.http, "POST", "/api/v1/channels/kitchen/room", &headers, b"{}").await;
        assert_eq!(answer.status, 401);
    }
    let secret = ben.session.clone();
    drop(ben);
    server.until_at("onair_chat_connections{protocol=\"event_source\"}", 0.0).await;
    let headers = [("onair-session", secret.as_str())];
    let answer = request(server.http, "POST", "/api/v1/channels/kitchen/room", &headers, b"{}").await;
    assert_eq!(answer.status, 401, "nor does it hold after the stream's end");
    let missing = request(server.http, "GET", "/api/v1/channels/nobody/room", &[], b"").await;
    assert_eq!(missing.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_is_known_on_the_stream_too_though_it_sends_no_origin_there() {
    let server = open_room(|_| {}).await;
    let origin = format!("http://{}", server.http);
    let answer = request(server.http, "POST", "/api/v1/viewer", &[("origin", &origin)], b"").await;
    let cookie = answer.header("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap().to_owned();
    let user = |welcome: Value| welcome["you"]["user"].clone();
    let mut first =
        Events::open(&server, "", &[("cookie", &cookie), ("sec-fetch-site", "same-origin")]).await;
    let mut again =
        Events::open(&server, "", &[("cookie", &cookie), ("sec-fetch-site", "same-origin")]).await;
    let mut other = Events::open(&server, "", &[("sec-fetch-site", "same-origin")]).await;
    let known = user(first.next().await);
    assert_eq!(user(again.next().await), known);
    assert_ne!(user(other.next().await), known);
    for site in ["cross-site", "same-site", "none", ""] {
        let headers = [("cookie", cookie.as_str()), ("sec-fetch-site", site)];
        let answer = request(server.http, "GET", "/api/v1/channels/kitchen/room", &headers, b"").await;
        assert_eq!(answer.status, 403, "{site}");
    }
}
