//! Who is let in, as whom, and from where.

use std::net::Ipv4Addr;

use serde_json::json;

use super::open_room;
use crate::support::http::request;
use crate::support::{ChatClient, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_keeps_the_name() {
    let server = open_room(|_| {}).await;
    let origin = format!("http://{}", server.http);
    let (mut ann, welcome) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let cookie = ann.cookie.clone().expect("a new viewer gets a cookie");
    assert_eq!(ann.ask(json!({"type": "name", "name": "Ann"})).await["type"], "accepted");
    drop(ann);
    let headers = [("Origin", origin.as_str()), ("Cookie", cookie.as_str())];
    let mut again = ChatClient::connect(server.http, "kitchen", &headers).await.unwrap();
    assert_eq!(again.cookie, None);
    let back = again.enter(json!({})).await;
    assert_eq!((&back["you"]["user"], &back["you"]["name"]), (&welcome["you"]["user"], &json!("Ann")));

    let made = request(server.http, "POST", "/api/v1/viewer", &headers, b"").await;
    assert_eq!((made.status, made.header("set-cookie")), (200, None));
    assert_eq!(made.json().await["user"], welcome["you"]["user"]);
    let made = request(server.http, "POST", "/api/v1/viewer", &headers[..1], b"").await;
    assert!(made.header("set-cookie").is_some_and(|cookie| cookie.contains("HttpOnly; SameSite=Strict")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b32_cookies_count_for_our_own_pages_only() {
    let server = open_room(|config| config.chat.origins = vec!["https://partner.example".to_owned()]).await;
    let (ann, welcome) = ChatClient::join(server.http, "kitchen", json!({})).await;
    let cookie = ann.cookie.clone().unwrap();
    for headers in [
        vec![("Cookie", cookie.as_str())],
        vec![("Cookie", cookie.as_str()), ("Origin", "https://evil.example")],
        vec![("Origin", "https://evil.example")],
        vec![("Origin", "null")],
    ] {
        let refused = ChatClient::connect(server.http, "kitchen", &headers).await.err();
        assert_eq!(refused, Some(403), "{headers:?}");
        let posted = request(server.http, "POST", "/api/v1/channels/kitchen/room", &headers, b"{}").await;
        assert_eq!(posted.status, 403, "{headers:?}");
    }
    let headers = [("Cookie", cookie.as_str()), ("Origin", "https://partner.example")];
    let mut partner = ChatClient::connect(server.http, "kitchen", &headers).await.unwrap();
    assert_ne!(partner.enter(json!({})).await["you"]["user"], welcome["you"]["user"]);
}

/// Signs in to the studio; gives the cookie.
async fn studio(server: &Server, key: &str) -> String {
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", authorization.as_str())];
    let signed_in = request(server.http, "POST", "/api/v1/channels/kitchen/studio", &headers, b"").await;
    assert_eq!(signed_in.status, 204);
    signed_in.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_studio_has_the_broadcasters_badge_and_invites_a_moderator_once() {
    let server = Server::with(|config| config.chat.open_when_offline = true).await;
    let channel = server.channel("kitchen").await;
    let origin = format!("http://{}", server.http);
    let cookie = studio(&server, &channel.key).await;
    let headers = [("Origin", origin.as_str()), ("Cookie", cookie.as_str())];
    let mut ada = ChatClient::connect(server.http, "kitchen", &headers).await.unwrap();
    let welcome = ada.enter(json!({})).await;
    assert_eq!(
        (&welcome["you"]["role"], &welcome["you"]["name"]),
        (&json!("broadcaster"), &json!("kitchen"))
    );
    let token = ada.ask(json!({"type": "invite"})).await["token"].clone();
    let (mut grace, welcome) = ChatClient::join(server.http, "kitchen", json!({"invite": token})).await;
    assert_eq!(welcome["you"]["role"], "moderator");
    let (mut troll, welcome) = ChatClient::join(server.http, "kitchen", json!({"invite": token})).await;
    assert_eq!(welcome["you"]["role"], "guest", "an invitation is for one");
    let mut forged = ChatClient::connect(server.http, "kitchen", &[]).await.unwrap();
    let other = token.as_str().unwrap().replacen("kitchen", "garden", 1);
    assert_eq!(forged.enter(json!({"invite": other})).await["code"], "bad_token");

    assert_eq!(troll.say("something vile").await["type"], "accepted");
    let vile = grace.event("comment").await;
    let act = json!({"do": "delete", "comment": vile["seq"]});
    assert_eq!(grace.ask(json!({"type": "moderate", "act": act})).await["type"], "accepted");
    assert_eq!(troll.event("deleted").await["comment"], vile["seq"]);
    let act = json!({"do": "ban", "user": vile["user"], "scope": "network", "seconds": 60});
    // All of this test comes from one network; those who keep order are not meant.
    assert_eq!(ada.ask(json!({"type": "moderate", "act": act, "reason": "vile"})).await["type"], "accepted");
    assert_eq!(troll.event("bye").await["code"], "banned");
    while troll.next().await.is_some() {}
    let mut again = ChatClient::connect(server.http, "kitchen", &[]).await.unwrap();
    assert_eq!(again.enter(json!({})).await["code"], "banned", "nor with a new session");
    let elsewhere = Ipv4Addr::new(127, 9, 9, 9);
    let mut neighbour = ChatClient::connect_from(elsewhere, server.http, "kitchen", &[]).await.unwrap();
    assert_eq!(neighbour.enter(json!({})).await["type"], "welcome");
    let log = grace.ask(json!({"type": "audit"})).await;
    assert_eq!(log["entries"].as_array().unwrap().len(), 2);
    assert_eq!((&log["entries"][1]["by"], &log["entries"][1]["reason"]), (&json!("kitchen"), &json!("vile")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b32_a_spoofed_forwarded_for_does_not_get_around_a_ban() {
    async fn ban_and_return(trusted: &[&str]) -> serde_json::Value {
        let server = Server::with(|config| {
            config.chat.open_when_offline = true;
            config.http.trusted_proxies = trusted.iter().map(|proxy| (*proxy).to_owned()).collect();
        })
        .await;
        let channel = server.channel("kitchen").await;
        let origin = format!("http://{}", server.http);
        let cookie = studio(&server, &channel.key).await;
        let headers = [("Origin", origin.as_str()), ("Cookie", cookie.as_str())];
        let mut ada = ChatClient::connect(server.http, "kitchen", &headers).await.unwrap();
        ada.enter(json!({})).await;
        let from = |address| [("X-Forwarded-For", address)];
        let mut troll = ChatClient::connect(server.http, "kitchen", &from("198.51.100.7")).await.unwrap();
        let user = troll.enter(json!({})).await["you"]["user"].clone();
        let act = json!({"do": "ban", "user": user, "scope": "network"});
        ada.ask(json!({"type": "moderate", "act": act})).await;
        let mut again = ChatClient::connect(server.http, "kitchen", &from("203.0.113.9")).await.unwrap();
        again.enter(json!({})).await
    }
    assert_eq!(ban_and_return(&[]).await["code"], "banned", "nobody is believed");
    assert_eq!(ban_and_return(&["127.0.0.0/8"]).await["type"], "welcome", "a proxy that is trusted is");
}
