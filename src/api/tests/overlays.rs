//! Asking for overlays, where there is no worker: who may, and what is wrong with what is asked for.

use super::*;

pub(super) const BOUNDARY: &str = "----onair";

/// A form with these fields; `image` is a file.
pub(super) fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let file = if *name == "image" { "; filename=\"a.png\"" } else { "" };
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn post(server: &Server, channel: &str, token: Option<&str>, body: Vec<u8>) -> (StatusCode, Value) {
    let mut request = Request::builder()
        .method("POST")
        .uri(format!("/api/v1/channels/{channel}/overlays"))
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"));
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    server.send(request.body(Body::from(body)).unwrap()).await
}

fn good() -> Vec<u8> {
    form(&[("image", b"PNG"), ("format", b"corner"), ("duration_ms", b"5000"), ("start_ns", b"now")])
}

#[tokio::test]
async fn the_operator_and_the_broadcaster_may_ask_for_overlays_and_nobody_else() {
    let server = Server::start().await;
    let key = server.create("kitchen").await;
    let other = server.create("garden").await;
    for token in [None, Some("wrong"), Some(other.as_str())] {
        assert_eq!(post(&server, "kitchen", token, good()).await.0, StatusCode::UNAUTHORIZED);
    }
    for token in [&key, &server.token] {
        let (status, error) = post(&server, "kitchen", Some(token), good()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "this server has no worker: {error}");
        assert!(error["error"]["message"].as_str().unwrap().contains("no media worker"), "{error}");
    }
    assert_eq!(post(&server, "cellar", Some(&server.token), good()).await.0, StatusCode::NOT_FOUND);
    for method in ["GET", "DELETE"] {
        let path = "/api/v1/overlays/17";
        assert_eq!(server.ask(method, path, None, None).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(server.ask(method, path, Some(&key), None).await.0, StatusCode::UNAUTHORIZED);
        assert_eq!(server.operator(method, path, None).await.0, StatusCode::NOT_FOUND);
        assert_eq!(server.operator(method, "/api/v1/overlays/x", None).await.0, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn somebody_who_is_signed_in_to_the_studio_may_ask_too() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let cookie = server.api.studio.sign_in(&"kitchen".parse().unwrap(), false).unwrap();
    let request = Request::builder()
        .method("POST")
        .uri("/api/v1/channels/kitchen/overlays")
        .header("cookie", cookie.split(';').next().unwrap())
        .header(CONTENT_TYPE, format!("multipart/form-data; boundary={BOUNDARY}"));
    let (status, _) = server.send(request.body(Body::from(good())).unwrap()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn b38_a_form_that_is_none_is_refused_with_what_is_wanted() {
    let server = Server::start().await;
    server.create("kitchen").await;
    let large = vec![0; (4 << 20) + 1];
    let larger = vec![0; (4 << 20) + (64 << 10)];
    let wrong: [(Vec<u8>, u16, &str); 12] = [
        (form(&[("format", b"corner"), ("duration_ms", b"5000")]), 422, "image"),
        (form(&[("image", b"PNG"), ("duration_ms", b"5000")]), 422, "lower_third"),
        (form(&[("image", b"PNG"), ("format", b"corner")]), 422, "duration_ms"),
        (form(&[("image", b"PNG"), ("format", b"full"), ("duration_ms", b"5000")]), 422, "double_box"),
        (form(&[("duration_ms", b"-1")]), 422, "milliseconds"),
        (form(&[("duration_ms", b"99999999999999999999")]), 422, "milliseconds"),
        (form(&[("start_ns", b"soon")]), 422, "now"),
        (form(&[("start_ns", &[b'1'; 65])]), 422, "too long"),
        (form(&[("format", &[0xff])]), 422, "UTF-8"),
        (form(&[("sound", b"loud")]), 422, "the fields are"),
        (form(&[("image", &large)]), 413, "4194304 bytes"),
        (form(&[("image", &larger)]), 413, ""),
    ];
    for (body, status, hint) in wrong {
        let (answered, error) = post(&server, "kitchen", Some(&server.token), body).await;
        let message = error["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(answered.as_u16(), status, "{message}");
        assert!(message.contains(hint), "{message}");
    }
    for body in [b"------onair".to_vec(), Vec::new(), good()[..100].to_vec()] {
        assert_eq!(post(&server, "kitchen", Some(&server.token), body).await.0, StatusCode::BAD_REQUEST);
    }
    let (status, _) = server.operator("POST", "/api/v1/channels/kitchen/overlays", Some(json!({}))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "JSON is no form");
}
