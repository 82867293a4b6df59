//! Booking on the real server: what is kept over a restart, and what a real worker says of a creative.

use serde_json::json;

use crate::support::Server;
use crate::support::http::{self, Response};
use crate::support::process::Process;
use crate::support::server::operator;

const BOUNDARY: &str = "----onair";
/// A red pixel.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

async fn upload(at: std::net::SocketAddr, token: &str, campaign: u64, image: &[u8]) -> Response {
    let mut form = Vec::new();
    let fields = [("image", image), ("format", b"corner"), ("click_url", b"https://shop.example/")];
    for (name, value) in fields {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        form.extend_from_slice(&[head.as_bytes(), value, b"\r\n"].concat());
    }
    form.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str()), ("content-type", content_type.as_str())];
    http::request(at, "POST", &format!("/api/v1/campaigns/{campaign}/creatives"), &headers, &form).await
}

/// An advertiser's number and key, and its campaign.
async fn book(at: std::net::SocketAddr, token: &str) -> (u64, String, u64) {
    let body = json!({"name": "Shop", "domains": ["shop.example"]});
    let made = operator(at, token, "POST", "/api/v1/advertisers", Some(body)).await.json().await;
    let (id, key) = (made["id"].as_u64().unwrap(), made["key"].as_str().unwrap().to_owned());
    let terms = json!({"name": "Summer", "cpm": "2.50", "start": "2026-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"});
    let path = format!("/api/v1/advertisers/{id}/campaigns");
    let booked = operator(at, &key, "POST", &path, Some(terms)).await;
    assert_eq!(booked.status, 201);
    (id, key, booked.json().await["id"].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_booked_and_paid_is_there_after_kill_9() {
    let server = Process::start("").await;
    let token = server.token().to_owned();
    let (id, key, campaign) = book(server.http, &token).await;
    let path = format!("/api/v1/campaigns/{campaign}");
    let payment = || Some(json!({"number": 1, "amount": "250.00"}));
    let paid = operator(server.http, &token, "POST", &format!("{path}/payments"), payment()).await;
    assert_eq!(paid.json().await["budget"], "250.000000000");
    let rotated = operator(server.http, &token, "POST", &format!("/api/v1/advertisers/{id}/key"), None).await;
    let new = rotated.json().await["key"].as_str().unwrap().to_owned();
    let before = operator(server.http, &new, "GET", &path, None).await.json().await;

    let server = server.killed_and_started_again().await;
    let after = operator(server.http, &new, "GET", &path, None).await.json().await;
    assert_eq!(after, before);
    assert_eq!((&after["budget"], &after["cpm"]), (&json!("250.000000000"), &json!("2.500000000")));
    assert_eq!(operator(server.http, &key, "GET", &path, None).await.status, 401, "the old key is void");
    let again = operator(server.http, &token, "POST", &format!("{path}/payments"), payment()).await;
    let again = again.json().await;
    assert_eq!((&again["repeated"], &again["budget"]), (&json!(true), &json!("250.000000000")));
    let report = format!("/api/v1/reports/campaigns/{campaign}");
    let report = operator(server.http, &new, "GET", &report, None).await.json().await;
    assert_eq!((&report["rows"], &report["total"]["client"]["spent"]), (&json!([]), &json!("0.000000000")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_worker_no_creative_is_taken_and_one_is_told_why() {
    let server = Server::with(|config| config.worker.max_jobs = 0).await;
    let (_, key, campaign) = book(server.http, &server.token).await;
    let response = upload(server.http, &key, campaign, GIF).await;
    let (status, error) = (response.status, response.json().await);
    assert_eq!(status, 503, "{error}");
    assert!(error["error"]["message"].as_str().unwrap().contains("media worker"), "{error}");
}

#[cfg(feature = "worker")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_looks_at_a_creative_before_anybody_is_asked_to_allow_it() {
    use crate::worker::material::{PATIENCE, WORKER};
    let server = Server::with(|config| {
        config.worker.path = Some(WORKER.into());
        config.worker.stall_timeout = PATIENCE;
        config.overlay.image_time = PATIENCE;
    })
    .await;
    let (_, key, campaign) = book(server.http, &server.token).await;
    let svg = br##"<svg xmlns="http://www.w3.org/2000/svg" width="1920" height="1080"><rect width="9" height="9"/></svg>"##;
    for (image, media_type, size) in [(&svg[..], "image/svg+xml", (960, 540)), (GIF, "image/gif", (1, 1))] {
        let response = upload(server.http, &key, campaign, image).await;
        let (status, made) = (response.status, response.json().await);
        assert_eq!(status, 201, "{made}");
        assert_eq!((&made["state"], &made["ready"]), (&json!("pending"), &json!(true)));
        assert_eq!((&made["media_type"], &made["frames"]), (&json!(media_type), &json!(1)));
        assert_eq!((&made["width"], &made["height"]), (&json!(size.0), &json!(size.1)), "as in 1920 x 1080");
        let path = format!("/api/v1/creatives/{}", made["id"]);
        let approved = server.operator("POST", &format!("{path}/approve"), None).await;
        assert_eq!(approved.json().await["state"], "approved");
        let seen = http::request(server.http, "GET", &format!("{path}/image"), &[], b"").await;
        assert_eq!((seen.status, seen.header("content-type")), (200, Some(media_type)));
        assert_eq!(seen.bytes().await, image, "the file as it came");
    }
    for bad in [&b"\x89PNG\r\n\x1a\n and so on"[..], b"<html>", b"<svg", &GIF[..20]] {
        let response = upload(server.http, &key, campaign, bad).await;
        let (status, error) = (response.status, response.json().await);
        assert_eq!(status, 422, "{error}");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("image: ") && message.len() > 10, "the worker's reason: {message}");
    }
    let shown = server.operator("GET", &format!("/api/v1/campaigns/{campaign}"), None).await.json().await;
    assert_eq!(shown["creatives"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_names_every_field_of_a_campaign() {
    let server = Server::start().await;
    let (_, key, campaign) = book(server.http, &server.token).await;
    let path = format!("/api/v1/campaigns/{campaign}");
    let shown = operator(server.http, &key, "GET", &path, None).await.json().await;
    let document = include_str!("../../docs/booking.md");
    for field in shown.as_object().unwrap().keys() {
        assert!(document.contains(&format!("`{field}`")), "docs/booking.md does not name {field}");
    }
    for field in shown["targeting"].as_object().unwrap().keys() {
        assert!(document.contains(&format!("`{field}`")), "docs/booking.md does not name {field}");
    }
}
