//! Answers that pages of other origins may read.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue,
};
use http::{Method, StatusCode};

/// What pages of other origins may ask, and read of the answers.
#[derive(Clone, Copy)]
struct Sharing {
    methods: &'static str,
    request_headers: &'static str,
    response_headers: &'static str,
}

/// Lets pages of every origin read these routes with GET and HEAD. No cookie takes part in anything here, so an
/// origin gains nothing that its visitor's own request would not give.
pub fn for_everyone<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(middleware::from_fn(|request, next| share(READING, request, next)))
}

/// The same for WHIP and WHEP: their players and senders are often pages of other origins. The one cookie that is looked
/// at there is never sent along by such pages (`SameSite=Strict`, and no credentials with `*`).
pub fn for_media_clients<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(middleware::from_fn(|request, next| share(SIGNALLING, request, next)))
}

const READING: Sharing =
    Sharing { methods: "GET, HEAD", request_headers: "Range", response_headers: "Content-Length, Date" };

const SIGNALLING: Sharing = Sharing {
    methods: "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    request_headers: "Authorization, Content-Type, If-Match",
    response_headers: "Location, ETag, Link, Retry-After, Accept-Post, Date",
};

async fn share(sharing: Sharing, request: Request, next: Next) -> Response {
    let preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if preflight {
        let headers = [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, sharing.methods),
            (ACCESS_CONTROL_ALLOW_HEADERS, sharing.request_headers),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ];
        return (StatusCode::NO_CONTENT, headers).into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(sharing.response_headers));
    response
}
