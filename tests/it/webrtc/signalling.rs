//! What WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) say over HTTP.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onair::format::scte35::slot;
use onair::media::{Cue, CueId, CueOrigin, CueState, MediaTime};
use str0m::IceCreds;
use str0m::media::Direction;

use super::stage::on_air_over_rtmp;
use crate::support::http::{Response, request};
use crate::support::webrtc::session::{Offering, fragment};
use crate::support::webrtc::signalling::{FRAGMENT, SDP, post, refusal};
use crate::support::webrtc::{Options, Resource, WhepPlayer};
use crate::support::{Server, in_time};

const STUN: &str = "stun:stun.example.org:3478";
const TURN: &str = "turn:turn.example.org:3478?transport=udp ada s3cret";

async fn offer(server: &Server, direction: Direction) -> String {
    Offering::make(server, direction, &Options::default()).await.offer
}

/// What RFC 9725 §4.2 wants of a 201.
fn is_created(response: &Response, below: &str) {
    assert_eq!(response.status, 201);
    assert_eq!(response.header("content-type"), Some(SDP));
    let location = response.header("location").expect("a location");
    let id = location.strip_prefix(below).unwrap_or_else(|| panic!("{location} is not below {below}"));
    assert!(id.len() >= 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{location} can be guessed");
    let etag = response.header("etag").expect("an entity tag");
    assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag} is not strong");
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    let exposed = response.header("access-control-expose-headers").expect("what pages may read");
    for header in ["Location", "ETag", "Link"] {
        assert!(exposed.contains(header), "{exposed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_makes_a_session_and_delete_ends_it() {
    let stage = on_air_over_rtmp("kitchen").await;
    let (server, channel) = (&stage.server, stage.server.channel("garage").await);

    let response =
        post(server.http, "/whip/garage", Some(&channel.key), &offer(server, Direction::SendOnly).await)
            .await;
    is_created(&response, "/whip/garage/");
    let publisher = Resource::of(server.http, Some(&channel.key), &response);
    let response = post(server.http, "/whep/kitchen", None, &offer(server, Direction::RecvOnly).await).await;
    is_created(&response, "/whep/kitchen/");
    let viewer = Resource::of(server.http, None, &response);
    assert!(publisher.etag != viewer.etag && publisher.location != viewer.location);
    server.until_at("onair_webrtc_sessions", 2.0).await;

    // Each session answers for itself, and only under its own name.
    for (resource, other) in [(&publisher, "/whep/kitchen"), (&viewer, "/whip/garage")] {
        assert_eq!(resource.ask("GET", &[], b"").await.status, 204);
        let id = resource.location.rsplit('/').next().expect("a name");
        let elsewhere = Resource {
            location: format!("{other}/{id}"),
            key: Some(channel.key.clone()),
            ..resource.clone()
        };
        assert_eq!(elsewhere.delete().await, 404);
    }
    // A publisher's session belongs to who has the key.
    assert_eq!(Resource { key: None, ..publisher.clone() }.delete().await, 401);
    server.until_at("onair_webrtc_sessions", 2.0).await;

    for resource in [&publisher, &viewer] {
        // RFC 9725 §4.2: entity tags play no part in it.
        assert_eq!(resource.ask("DELETE", &[("if-match", "\"stale\"")], b"").await.status, 200);
    }
    server.until_at("onair_webrtc_sessions", 0.0).await;
    for resource in [&publisher, &viewer] {
        assert_eq!(resource.delete().await, 404);
        assert_eq!(resource.patch("*", &fragment(&IceCreds::new())).await.status, 404);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_can_be_looked_at() {
    let server = Server::start().await;
    server.channel("kitchen").await;
    for (method, path, status) in
        [("GET", "/whip/kitchen", 204), ("HEAD", "/whip/kitchen", 204), ("GET", "/whep/kitchen", 204)]
    {
        assert_eq!(request(server.http, method, path, &[], b"").await.status, status, "{method} {path}");
    }
    let discovered = request(server.http, "HEAD", "/whep/kitchen", &[], b"").await;
    assert_eq!((discovered.status, discovered.header("content-type")), (200, Some(SDP)));
    for path in ["/whip/kitchen", "/whep/kitchen"] {
        assert_eq!(request(server.http, "PUT", path, &[], b"x").await.status, 405, "{path}");
        assert_eq!(request(server.http, "PATCH", path, &[], b"x").await.status, 405, "{path}");
        let options = request(server.http, "OPTIONS", path, &[], b"").await;
        assert_eq!((options.status, options.header("accept-post")), (204, Some(SDP)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_why() {
    let server = Server::start().await;
    let channel = server.channel("kitchen").await;
    let other = server.channel("garage").await;
    let (sending, receiving) =
        (offer(&server, Direction::SendOnly).await, offer(&server, Direction::RecvOnly).await);
    for key in [None, Some("nonsense"), Some(other.key.as_str()), Some(server.token.as_str())] {
        let response = post(server.http, "/whip/kitchen", key, &sending).await;
        assert!(response.header("www-authenticate").expect("a challenge").starts_with("Bearer"));
        let (status, code, words) = refusal(response).await;
        assert_eq!((status, code.as_str()), (401, "unauthorized"));
        assert!(words.contains("key"), "{words}");
    }
    server.until_at("onair_webrtc_refused_total{reason=\"key\"}", 4.0).await;
    // Which channels there are is not told to those without a key.
    assert_eq!(post(server.http, "/whip/nowhere", Some(&channel.key), &sending).await.status, 401);
    assert_eq!(post(server.http, "/whep/nowhere", None, &receiving).await.status, 404);

    let response = post(server.http, "/whep/kitchen", None, &receiving).await;
    let retry: u32 = response.header("retry-after").expect("when to ask again").parse().expect("seconds");
    assert!((1..=10).contains(&retry));
    assert_eq!(refusal(response).await, (409, "offline".into(), "the channel is not live".into()));

    for kind in ["text/plain", "application/json", ""] {
        let headers = [("content-type", kind), ("authorization", &format!("Bearer {}", channel.key))];
        let response = request(server.http, "POST", "/whip/kitchen", &headers, sending.as_bytes()).await;
        assert_eq!(response.status, 415, "{kind}");
    }
    let headers = [
        ("content-type", "Application/SDP; charset=utf-8"),
        ("authorization", &format!("Bearer {}", channel.key)),
    ];
    let response = request(server.http, "POST", "/whip/kitchen", &headers, sending.as_bytes()).await;
    assert_eq!(response.status, 201, "media types are compared as such");
    // Whoever wants to send where one receives, and the other way round.
    let (status, code, words) =
        refusal(post(server.http, "/whip/kitchen", Some(&channel.key), &receiving).await).await;
    assert_eq!((status, code.as_str()), (400, "invalid_offer"));
    assert!(words.contains("recvonly"), "{words}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ice_servers_are_told_in_links_but_not_to_a_preflight() {
    let server =
        Server::with(|config| config.webrtc.ice_servers = vec![STUN.to_owned(), TURN.to_owned()]).await;
    let channel = server.channel("kitchen").await;
    let wanted = [
        "<stun:stun.example.org:3478>; rel=\"ice-server\"",
        "<turn:turn.example.org:3478?transport=udp>; rel=\"ice-server\"; username=\"ada\"; credential=\"s3cret\"; credential-type=\"password\"",
    ];
    let response =
        post(server.http, "/whip/kitchen", Some(&channel.key), &offer(&server, Direction::SendOnly).await)
            .await;
    assert_eq!(response.headers_named("link").collect::<Vec<_>>(), wanted);
    for path in ["/whip/kitchen", "/whep/kitchen"] {
        let options = request(server.http, "OPTIONS", path, &[], b"").await;
        assert_eq!(options.headers_named("link").collect::<Vec<_>>(), wanted, "{path}");
        let asked = [
            ("origin", "https://example.org"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,if-match"),
        ];
        let preflight = request(server.http, "OPTIONS", path, &asked, b"").await;
        assert_eq!((preflight.status, preflight.header("access-control-allow-origin")), (204, Some("*")));
        for method in ["POST", "PATCH", "DELETE"] {
            assert!(preflight.header("access-control-allow-methods").expect("methods").contains(method));
        }
        for header in ["Authorization", "Content-Type", "If-Match"] {
            assert!(preflight.header("access-control-allow-headers").expect("headers").contains(header));
        }
        assert_eq!(preflight.header("link"), None, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn candidates_trickle_in_and_are_guarded_by_the_entity_tag() {
    let mut stage = on_air_over_rtmp("kitchen").await;
    let player = WhepPlayer::join(&stage.server, "kitchen").await;
    let resource = player.session.resource.clone();
    let same = fragment(&player.session.credentials().await);

    let response = resource.patch(&resource.etag, &same).await;
    assert_eq!((response.status, response.header("etag")), (204, None), "trickling changes no entity tag");
    let response = resource.ask("PATCH", &[("content-type", FRAGMENT)], same.as_bytes()).await;
    assert_eq!(refusal(response).await.0, 428);
    for tag in ["\"stale\"", "*", &format!("W/{}", resource.etag), resource.etag.trim_matches('"')] {
        assert_eq!(refusal(resource.patch(tag, &same).await).await.0, 412, "{tag}");
    }
    let headers = [("content-type", SDP), ("if-match", resource.etag.as_str())];
    assert_eq!(resource.ask("PATCH", &headers, same.as_bytes()).await.status, 415);
    for bad in ["", "nonsense", "a=ice-ufrag:abcd\r\n"] {
        assert_eq!(refusal(resource.patch(&resource.etag, bad).await).await.0, 400, "{bad:?}");
    }
    stage.watched(player).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_of_the_channel_and_end_with_the_session() {
    let mut stage = on_air_over_rtmp("kitchen").await;
    let player = WhepPlayer::join(&stage.server, "kitchen").await;
    let resource = player.session.resource.clone();
    assert!(resource.links[0].contains("rel=\"urn:ietf:params:whep:ext:core:server-sent-events\""));
    let mut events = Events::of(&stage.server, resource.events()).await;
    events.until("active", "{}").await;
    events.until("viewercount", "{\"viewercount\":1}").await;
    let second = WhepPlayer::join(&stage.server, "kitchen").await;
    events.until("viewercount", "{\"viewercount\":2}").await;
    stage.stop().await;
    events.until("inactive", "{}").await;
    stage.return_over_rtmp().await;
    events.until("active", "{}").await;
    assert_eq!(second.session.resource.delete().await, 200);
    events.until("viewercount", "{\"viewercount\":1}").await;
    assert_eq!(resource.delete().await, 200);
    events.until_end().await;
    assert_eq!(request(stage.server.http, "GET", resource.events(), &[], b"").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_tell_of_cues_and_of_those_that_stand() {
    let stage = on_air_over_rtmp("kitchen").await;
    let player = WhepPlayer::join(&stage.server, "kitchen").await;
    let resource = &player.session.resource;
    assert!(resource.links[0].contains("scte35\""), "{:?}", resource.links);
    let channel = stage.server.on_hub("kitchen");
    let mut cue = Cue {
        id: CueId::new("halftime"),
        revision: 1,
        state: CueState::Announced,
        start: MediaTime::from_millis(60_000),
        duration: Some(MediaTime::from_millis(15_000)),
        origin: CueOrigin::Api,
        scte35: None,
    };
    let mut early = Events::of(&stage.server, resource.events()).await;
    early.until("active", "{}").await;
    assert!(channel.announce(cue.clone()));
    let announced = STANDARD.encode(slot::overlay_start(&cue));
    early.until("scte35", &announced).await;

    let mut late = Events::of(&stage.server, resource.events()).await;
    late.until("scte35", &announced).await;
    assert!(channel.announce(cue.clone()), "a repetition, which nobody is told of");
    (cue.revision, cue.state) = (2, CueState::Cancelled);
    assert!(channel.announce(cue.clone()));
    let withdrawn = STANDARD.encode(slot::overlay_cancel(&cue));
    for events in [&mut early, &mut late] {
        assert_eq!(events.next_of("scte35").await, withdrawn);
    }
}

/// A stream of server-sent events.
struct Events {
    body: crate::support::http::Body,
    text: String,
}

impl Events {
    async fn of(server: &Server, path: &str) -> Self {
        let response = request(server.http, "GET", path, &[("accept", "text/event-stream")], b"").await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
        Self { body: response.into_body(), text: String::new() }
    }

    /// Waits for the next event of this name; gives its data.
    async fn next_of(&mut self, name: &str) -> String {
        let wanted = format!("event: {name}\ndata: ");
        let found = async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let data = event.strip_prefix(&wanted).map(str::to_owned);
                    self.text = rest.to_owned();
                    if let Some(data) = data {
                        return data;
                    }
                }
                let bytes = self.body.next().await.expect("an event");
                self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
            }
        };
        in_time(name, found).await
    }

    /// Waits for this event; what comes before it is passed over.
    async fn until(&mut self, name: &str, data: &str) {
        let wanted = format!("event: {name}\ndata: {data}");
        let found = async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let found = event == wanted;
                    self.text = rest.to_owned();
                    if found {
                        return;
                    }
                }
                let part = self.body.next().await.expect("another event");
                self.text.push_str(std::str::from_utf8(&part).expect("text"));
            }
        };
        in_time(&wanted, found).await;
    }

    async fn until_end(mut self) {
        in_time("the events' end", async { while self.body.next().await.is_some() {} }).await;
    }
}
