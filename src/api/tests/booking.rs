//! Advertisers, campaigns, creatives and payments, with a worker that only pretends to look.

use super::overlays::{BOUNDARY, form};
use super::*;
use crate::booking::creative::Look;
use crate::booking::intake::{Intake, Outcome};
use crate::ledger::CampaignId;
use crate::media::OverlayFormat;
use crate::money::Money;
use crate::overlay::AskError;

/// Takes for an image what says so.
pub(super) struct Pretence;

impl Intake for Pretence {
    fn look(&self, _: OverlayFormat, file: bytes::Bytes) -> Outcome<'_> {
        Box::pin(async move {
            if file.starts_with(b"\x89PNG") || file.starts_with(b"<svg") {
                return Ok(Look { width: 640, height: 108, frames: 1, duration_ms: 0 });
            }
            Err(AskError::Image("there is no picture in it".to_owned()))
        })
    }
}

/// Names and values of a form.
type Fields<'a> = [(&'a str, &'a [u8])];

const PNG: &[u8] = b"\x89PNG of a kind";

impl Server {
    /// An advertiser: number and key.
    pub(super) async fn advertiser(&self, name: &str) -> (u64, String) {
        let body = json!({"name": name, "domains": ["shop.example"]});
        let (status, made) = self.operator("POST", "/api/v1/advertisers", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        (made["id"].as_u64().unwrap(), made["key"].as_str().unwrap().to_owned())
    }

    pub(super) async fn campaign(&self, advertiser: u64) -> u64 {
        let path = format!("/api/v1/advertisers/{advertiser}/campaigns");
        let (status, made) = self.operator("POST", &path, Some(terms())).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["id"].as_u64().unwrap()
    }

    async fn upload(&self, campaign: u64, token: &str, fields: &Fields<'_>) -> (StatusCode, Value) {
        let request = Request::builder()
            .method("POST")
            .uri(format!("/api/v1/campaigns/{campaign}/creatives"))
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(Body::from(form(fields))).unwrap()).await
    }
}

fn terms() -> Value {
    json!({"name": "Summer", "cpm": "2.50", "start": "2026-03-01T00:00:00Z", "end": "2036-04-01T02:00:00+02:00"})
}

pub(super) fn message(error: &Value) -> &str {
    error["error"]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_campaign_is_booked_shown_as_it_is_changed_and_deleted() {
    let server = Server::start().await;
    let (shop, key) = server.advertiser("Shop").await;
    let mut body = terms();
    body["day_parts"] =
        json!({"offset_minutes": 60, "hours": [{"days": ["mon", "tue"], "from": 8, "to": 20}]});
    body["targeting"] = json!({"countries": ["DE", "at"], "hashtags": ["#Live"], "devices": ["phone"]});
    body["caps"] = json!([{"scope": "viewer", "count": 3, "window_ms": 86_400_000}]);
    body["separation"] = json!({"categories": ["Cars"], "window_ms": 60_000});
    body["pacing"] = json!("front_loaded");
    let path = format!("/api/v1/advertisers/{shop}/campaigns");
    let (status, made) = server.ask("POST", &path, Some(&key), Some(body.clone())).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    for (field, expected) in [
        ("cpm", json!("2.500000000")),
        ("end", json!("2036-04-01T00:00:00.000Z")),
        ("day_parts", body["day_parts"].clone()),
        ("caps", body["caps"].clone()),
        ("pacing", json!("front_loaded")),
        ("priority", json!(100)),
        ("fill_in", json!(false)),
        ("paused", json!(false)),
        ("budget", json!("0.000000000")),
        ("reserved", json!("0.000000000")),
        ("payments", json!(0)),
        ("creatives", json!([])),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    assert_eq!(made["targeting"]["countries"], json!(["at", "de"]));
    assert_eq!(made["targeting"]["hashtags"], json!(["live"]), "as the moment's are compared");
    assert_eq!(made["separation"]["categories"], json!(["cars"]));
    let id = CampaignId(made["id"].as_u64().unwrap());
    assert_eq!(server.api.bookings.campaign(id).unwrap().bid, Money::from_nanos(2_500_000));

    let path = format!("/api/v1/campaigns/{id}");
    let patch = json!({"paused": true, "targeting": {"hashtags": []}, "separation": null, "cpm": "0.000001"});
    let (status, changed) = server.ask("PATCH", &path, Some(&key), Some(patch)).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!((&changed["paused"], &changed["separation"]), (&json!(true), &Value::Null));
    assert_eq!(changed["targeting"]["hashtags"], json!([]));
    assert_eq!(changed["targeting"]["countries"], json!(["at", "de"]), "what is not named stays");
    assert_eq!(server.api.bookings.campaign(id).unwrap().bid, Money::from_nanos(1));
    assert_eq!(server.ask("GET", &path, Some(&key), None).await.1, changed);

    assert_eq!(server.ask("DELETE", &path, Some(&key), None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(server.operator("GET", &path, None).await.0, StatusCode::NOT_FOUND);
    let path = format!("/api/v1/advertisers/{shop}");
    assert_eq!(server.operator("DELETE", &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(server.ask("GET", &path, Some(&key), None).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_by_field_with_what_is() {
    let server = Server::start().await;
    let (shop, _) = server.advertiser("Shop").await;
    let path = format!("/api/v1/advertisers/{shop}/campaigns");
    let id = server.campaign(shop).await;
    let cases = [
        (json!({"cpm": 2.5}), "expected a string"),
        (json!({"cpm": "2.5000001"}), "cpm: a decimal text"),
        (json!({"cpm": "1e3"}), "cpm: a decimal text"),
        (json!({"cpm": "0"}), "cpm: more than 0"),
        (json!({"cpm": "-1"}), "cpm: more than 0"),
        (json!({"cpm": "1000.000001"}), "cpm: more than 0 and up to 1000"),
        (json!({"name": " "}), "name: 1 to 100"),
        (json!({"start": "tomorrow"}), "start: a moment like"),
        (json!({"end": "2026-02-01T00:00:00Z"}), "start, end, day_parts: it ends before"),
        (json!({"day_parts": {"hours": []}}), "no hour of it"),
        (json!({"day_parts": {"hours": [{"days": ["mon"], "from": 9, "to": 8}]}}), "day_parts.hours: "),
        (json!({"day_parts": {"hours": [{"days": ["monday"], "from": 8, "to": 9}]}}), "mon"),
        (json!({"targeting": {"countries": ["deu"]}}), "no code of two letters"),
        (json!({"targeting": {"devices": ["fridge"]}}), "tablet"),
        (json!({"targeting": {"channels": ["API"]}}), "a-z, 0-9"),
        (json!({"targeting": {"tags": ["x".repeat(61)]}}), "targeting.tags: "),
        (json!({"targeting": {"age": ["18"]}}), "unknown field `age`"),
        (json!({"caps": [{"scope": "viewer", "count": 0, "window_ms": 1}]}), "caps: count is 1 to 1000"),
        (json!({"separation": {"categories": ["a"], "window_ms": 0}}), "separation.window_ms: 1 to"),
        (json!({"priority": 255}), "priority: 0 to 254"),
        (json!({"priority": 256}), "u8"),
        (json!({"fill_in": true}), "exactly 0 with fill_in"),
        (json!({"budget": "5"}), "unknown field `budget`"),
    ];
    for (patch, hint) in cases {
        let mut whole = terms();
        whole.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        let (status, error) = server.operator("POST", &path, Some(whole)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{patch}: {error}");
        assert!(message(&error).contains(hint), "{patch}: {error}");
        let one = format!("/api/v1/campaigns/{id}");
        let (status, error) = server.operator("PATCH", &one, Some(patch.clone())).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{patch}: {error}");
        assert!(message(&error).contains(hint), "{patch}: {error}");
    }
    for (body, hint) in [
        (json!({"name": ""}), "name: 1 to 100"),
        (json!({"name": "a", "domains": ["https://a.example"]}), "domains: up to 20 hosts"),
        (json!({"name": "a", "key": "mine"}), "unknown field `key`"),
    ] {
        let (status, error) = server.operator("POST", "/api/v1/advertisers", Some(body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{error}");
        assert!(message(&error).contains(hint), "{error}");
    }
    let patch = Some(json!([1]));
    let (status, _) = server.operator("PATCH", &format!("/api/v1/campaigns/{id}"), patch).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    for path in
        ["/api/v1/campaigns/x", "/api/v1/campaigns/-1", "/api/v1/creatives/99", "/api/v1/advertisers/9"]
    {
        assert_eq!(server.operator("GET", path, None).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn b34_an_advertisers_key_opens_the_own_things_and_no_privilege() {
    let server = Server::start().await;
    let ((shop, key), (_, other)) = (server.advertiser("Shop").await, server.advertiser("Other").await);
    let id = server.campaign(shop).await;
    let fields: [(&str, &[u8]); 2] = [("image", b"<svg/>"), ("format", b"corner")];
    let (status, creative) = server.upload(id, &key, &fields).await;
    assert_eq!((status, &creative["state"]), (StatusCode::CREATED, &json!("pending")), "{creative}");
    let creative = creative["id"].as_u64().unwrap();
    let things = [
        ("GET", format!("/api/v1/advertisers/{shop}")),
        ("GET", format!("/api/v1/advertisers/{shop}/campaigns")),
        ("POST", format!("/api/v1/advertisers/{shop}/campaigns")),
        ("GET", format!("/api/v1/campaigns/{id}")),
        ("PATCH", format!("/api/v1/campaigns/{id}")),
        ("GET", format!("/api/v1/creatives/{creative}")),
        ("GET", format!("/api/v1/creatives/{creative}/image")),
        ("GET", format!("/api/v1/reports/campaigns/{id}")),
        ("DELETE", format!("/api/v1/creatives/{creative}")),
        ("DELETE", format!("/api/v1/campaigns/{id}")),
    ];
    let body = |method: &str| match method {
        "POST" => Some(terms()),
        "PATCH" => Some(json!({})),
        _ => None,
    };
    let operators = [
        ("POST", format!("/api/v1/creatives/{creative}/approve"), None),
        ("POST", format!("/api/v1/creatives/{creative}/reject"), Some(json!({"reason": "no"}))),
        ("POST", format!("/api/v1/campaigns/{id}/payments"), Some(json!({"number": 1, "amount": "5"}))),
        ("POST", format!("/api/v1/advertisers/{shop}/key"), None),
        ("PATCH", format!("/api/v1/advertisers/{shop}"), Some(json!({"domains": []}))),
        ("DELETE", format!("/api/v1/advertisers/{shop}"), None),
        ("POST", "/api/v1/advertisers".to_owned(), Some(json!({"name": "Third"}))),
        ("GET", "/api/v1/reports".to_owned(), None),
        ("GET", "/api/v1/reports/channels/kitchen".to_owned(), None),
        ("GET", "/api/v1/channels".to_owned(), None),
    ];
    for (method, path) in &things {
        let (status, error) = server.ask(method, path, Some(&other), body(method)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {error}");
        for token in [None, Some("wrong"), Some("")] {
            let (status, _) = server.ask(method, path, token, body(method)).await;
            let is_image = path.ends_with("/image");
            let expected = if is_image { StatusCode::NOT_FOUND } else { StatusCode::UNAUTHORIZED };
            assert_eq!(status, expected, "{method} {path} {token:?}");
        }
    }
    for (method, path, body) in &operators {
        for token in [&key, &other] {
            let (status, error) = server.ask(method, path, Some(token), body.clone()).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}: {error}");
        }
    }
    assert_eq!(server.upload(id, &other, &fields).await.0, StatusCode::NOT_FOUND);
    for privilege in [json!({"priority": 1}), json!({"deal": "d"}), json!({"fill_in": true, "cpm": "0"})] {
        let path = format!("/api/v1/campaigns/{id}");
        let (status, error) = server.ask("PATCH", &path, Some(&key), Some(privilege.clone())).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{privilege}: {error}");
        let mut whole = terms();
        whole.as_object_mut().unwrap().extend(privilege.as_object().unwrap().clone());
        let path = format!("/api/v1/advertisers/{shop}/campaigns");
        assert_eq!(server.ask("POST", &path, Some(&key), Some(whole)).await.0, StatusCode::FORBIDDEN);
    }
    // What the operator has set, an advertiser's change keeps.
    let path = format!("/api/v1/campaigns/{id}");
    server.operator("PATCH", &path, Some(json!({"priority": 7, "deal": "d"}))).await;
    let (status, kept) = server.ask("PATCH", &path, Some(&key), Some(json!({"name": "Mine"}))).await;
    assert_eq!((status, &kept["priority"], &kept["deal"]), (StatusCode::OK, &json!(7), &json!("d")));
    let (_, list) = server.ask("GET", "/api/v1/advertisers", Some(&key), None).await;
    assert_eq!(list["advertisers"].as_array().unwrap().len(), 1, "an advertiser knows of no other");
    assert!(!list.to_string().contains(&key) && !kept.to_string().contains(&key));
    for (method, path) in &things {
        let (status, error) = server.ask(method, path, Some(&key), body(method)).await;
        assert!(status.is_success(), "{method} {path}: {status} {error}");
    }

    let (_, rotated) = server.operator("POST", &format!("/api/v1/advertisers/{shop}/key"), None).await;
    let new = rotated["key"].as_str().unwrap();
    let path = format!("/api/v1/advertisers/{shop}");
    assert_eq!(server.ask("GET", &path, Some(&key), None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(server.ask("GET", &path, Some(new), None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_operator_finds_the_creatives_that_wait_to_be_judged() {
    let server = Server::start().await;
    let (shop, key) = server.advertiser("Shop").await;
    let id = server.campaign(shop).await;
    let fields: [(&str, &[u8]); 2] = [("image", PNG), ("format", b"corner")];
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(server.upload(id, &key, &fields).await.1["id"].as_u64().unwrap());
    }
    let listed = async |query: &str| {
        let (status, list) = server.operator("GET", &format!("/api/v1/creatives{query}"), None).await;
        assert_eq!(status, StatusCode::OK, "{list}");
        let ids =
            list["creatives"].as_array().unwrap().iter().map(|creative| creative["id"].as_u64().unwrap());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(listed("?state=pending").await, made);
    server.operator("POST", &format!("/api/v1/creatives/{}/approve", made[1]), None).await;
    assert_eq!(listed("?state=pending").await, [made[0], made[2]]);
    assert_eq!(listed("?state=approved").await, [made[1]]);
    assert_eq!(listed(&format!("?after={}", made[0])).await, made[1..]);
    assert_eq!(listed("?state=rejected").await, [0; 0]);
    for query in ["?state=dull", "?status=pending", "?after=x"] {
        let (status, error) = server.operator("GET", &format!("/api/v1/creatives{query}"), None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {error}");
    }
    let (status, _) = server.ask("GET", "/api/v1/creatives", Some(&key), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the operator's alone");
}

#[tokio::test]
async fn a_creative_is_uploaded_judged_and_seen() {
    let server = Server::start().await;
    let (shop, key) = server.advertiser("Shop").await;
    let id = server.campaign(shop).await;
    let fields: [(&str, &[u8]); 4] = [
        ("image", b"<svg onload='x'/>"),
        ("format", b"lower_third"),
        ("click_url", b"https://www.shop.example/offer"),
        ("categories", b"Food, Cars,"),
    ];
    let (status, made) = server.upload(id, &key, &fields).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert_eq!((&made["ready"], &made["width"]), (&json!(true), &json!(640)));
    assert_eq!((&made["categories"], &made["bytes"]), (&json!(["cars", "food"]), &json!(17)));
    let creative = made["id"].as_u64().unwrap();
    let (path, image) = (format!("/api/v1/creatives/{creative}"), made["image"].as_str().unwrap());
    assert_eq!(server.get(image).await.0, StatusCode::NOT_FOUND, "nobody has allowed it");

    let (status, approved) = server.operator("POST", &format!("{path}/approve"), None).await;
    assert_eq!((status, &approved["state"]), (StatusCode::OK, &json!("approved")));
    let request = Request::builder().uri(image).body(Body::empty()).unwrap();
    let response = router(&server.api, None).oneshot(request).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        (header("content-type").as_str(), header("x-content-type-options").as_str()),
        ("image/svg+xml", "nosniff")
    );
    assert!(header("content-security-policy").contains("default-src 'none'"), "an SVG runs no scripts here");
    let known = Request::builder().uri(image).header("if-none-match", header("etag"));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"<svg onload='x'/>");
    assert_eq!(server.send(known.body(Body::empty()).unwrap()).await.0, StatusCode::NOT_MODIFIED);

    let reason = Some(json!({"reason": "it flickers"}));
    let (_, rejected) = server.operator("POST", &format!("{path}/reject"), reason).await;
    assert_eq!((&rejected["state"], &rejected["reason"]), (&json!("rejected"), &json!("it flickers")));
    assert_eq!(server.get(image).await.0, StatusCode::NOT_FOUND);
    assert_eq!(server.ask("GET", &path, Some(&key), None).await.1["reason"], json!("it flickers"));

    let token = server.token.clone();
    let (_, own) = server.upload(id, &token, &[("image", PNG), ("format", b"corner")]).await;
    assert_eq!(own["state"], "approved", "booking.approve_operator_uploads");
    let large = vec![0; 350_001];
    let wrong: [(&Fields<'_>, u16, &str); 7] = [
        (&[("format", b"corner")], 422, "image"),
        (&[("image", PNG)], 422, "lower_third"),
        (&[("image", b"<html>"), ("format", b"corner")], 422, "there is no picture in it"),
        (&[("image", b""), ("format", b"corner")], 413, "1 to 350000 bytes"),
        (&[("image", &large), ("format", b"corner")], 413, "1 to 350000 bytes"),
        (&[("image", PNG), ("format", b"corner"), ("click_url", b"https://a.example")], 422, "shop.example"),
        (&[("image", PNG), ("format", b"corner"), ("approved", b"yes")], 422, "the fields are"),
    ];
    for (fields, expected, hint) in wrong {
        let (status, error) = server.upload(id, &key, fields).await;
        assert_eq!(status.as_u16(), expected, "{error}");
        assert!(message(&error).contains(hint), "{error}");
    }
    let (_, campaign) = server.operator("GET", &format!("/api/v1/campaigns/{id}"), None).await;
    assert_eq!(campaign["creatives"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn payments_are_exact_and_made_once() {
    let server = Server::start().await;
    let (shop, _) = server.advertiser("Shop").await;
    let id = server.campaign(shop).await;
    let path = format!("/api/v1/campaigns/{id}/payments");
    let pay = async |number: u64, amount: &str| {
        let body = Some(json!({"number": number, "amount": amount}));
        server.operator("POST", &path, body).await
    };
    let (status, paid) = pay(1, "0.000000001").await;
    assert_eq!(status, StatusCode::OK, "{paid}");
    assert_eq!(paid, json!({"number": 1, "repeated": false, "budget": "0.000000001"}));
    let (_, paid) = pay(1, "0.000000001").await;
    assert_eq!(paid, json!({"number": 1, "repeated": true, "budget": "0.000000001"}));
    let (_, paid) = pay(2, "9000000000").await;
    assert_eq!(paid["budget"], "9000000000.000000001");
    for (number, amount, expected, hint) in [
        (5, "1", 409, "the next payment is number 3"),
        (3, "0", 422, "amount: "),
        (3, "1.0000000001", 422, "up to 9 decimals"),
        (3, "9000000000", 422, "beyond all numbers"),
        (3, "-9000000001", 409, "not so much"),
    ] {
        let (status, error) = pay(number, amount).await;
        assert_eq!(status.as_u16(), expected, "{amount}: {error}");
        assert!(message(&error).contains(hint), "{amount}: {error}");
    }
    let body = Some(json!({"number": 3, "amount": 0.1}));
    assert_eq!(server.operator("POST", &path, body).await.0, StatusCode::UNPROCESSABLE_ENTITY, "no floats");
    let (_, shown) = server.operator("GET", &format!("/api/v1/campaigns/{id}"), None).await;
    assert_eq!((&shown["budget"], &shown["payments"]), (&json!("9000000000.000000001"), &json!(2)));
    let one = format!("/api/v1/campaigns/{id}");
    assert_eq!(server.operator("DELETE", &one, None).await.0, StatusCode::CONFLICT);
    pay(3, "-9000000000.000000001").await;
    assert_eq!(server.operator("DELETE", &one, None).await.0, StatusCode::NO_CONTENT);
}
