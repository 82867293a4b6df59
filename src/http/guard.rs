//! What stands before every route: a sane target, a sane host, a time limit, and a net under panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{HOST, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, Version};

use super::forwarded::TrustedProxies;
use super::metrics::HttpMetrics;
use super::{ApiError, Connection};
use crate::clock;

/// The longest path and query that is looked at.
const MAX_TARGET_LEN: usize = 4096;
/// The longest host and port: a DNS name has 253 characters at most.
const MAX_HOST_LEN: usize = 253 + ":65535".len();

/// The host and port that a request was sent to, checked for form only: the sender chose it. An extension of every
/// request that had one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHost(String);

impl RequestHost {
    /// From an authority that was checked already.
    pub(crate) fn from_authority(authority: &str) -> Self {
        Self(authority.to_owned())
    }

    /// Host and port as they were sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What links to it begin with.
    pub fn base(&self, secure: bool) -> String {
        format!("{}://{}", if secure { "https" } else { "http" }, self.0)
    }

    /// The host without the port; an IPv6 address keeps its brackets.
    pub fn name(&self) -> &str {
        match self.0.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => &self.0,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) request_timeout: Duration,
    pub(super) trusted_proxies: Arc<TrustedProxies>,
    pub(super) country_header: Option<HeaderName>,
    pub(super) metrics: HttpMetrics,
}

/// The layer around the whole router.
pub(super) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let began = clock::monotonic();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    if let Some(connection) = request.extensions().get::<Connection>() {
        let (peer, headers) = (connection.peer().ip(), request.headers());
        let client = guard.trusted_proxies.client(peer, headers);
        let header = guard.country_header.as_ref();
        let country = header.and_then(|header| guard.trusted_proxies.country(peer, headers, header));
        let extensions = request.extensions_mut();
        extensions.insert(client);
        country.and_then(|country| extensions.insert(country));
    }
    let mut response = match admit(&mut request) {
        Ok(()) => answer(guard.request_timeout, request, next).await,
        Err(refusal) => {
            guard.metrics.refused("request");
            refusal.into_response()
        }
    };
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let route = route.as_ref().map(MatchedPath::as_str);
    guard.metrics.answered(
        &method,
        route,
        response.status(),
        clock::monotonic().saturating_duration_since(began),
    );
    response
}

async fn answer(limit: Duration, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    match tokio::time::timeout(limit, contained(next.run(request))).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            tracing::error!(%method, path, panic = words(&*panic), "a handler panicked");
            ApiError::internal().into_response()
        }
        Err(_) => {
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "the answer took too long").into_response()
        }
    }
}

/// Runs a handler so that its panic ends this request and nothing else.
async fn contained(handler: impl Future<Output = Response>) -> Result<Response, Box<dyn Any + Send>> {
    let mut handler = pin!(handler);
    std::future::poll_fn(move |context| {
        // Nothing of the handler is used again after it panicked.
        match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn admit(request: &mut Request) -> Result<(), ApiError> {
    if request.method() == Method::CONNECT || request.method() == Method::TRACE {
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", "this method is not served"));
    }
    check_target(request.uri())?;
    if let Some(host) = host_of(request.version(), request.uri(), request.headers())? {
        request.extensions_mut().insert(host);
    }
    Ok(())
}

/// Only paths whose meaning is the same for everyone who reads them: a proxy in front, a cache, a router.
fn check_target(uri: &Uri) -> Result<(), ApiError> {
    let path = uri.path();
    if path.len() + uri.query().map_or(0, str::len) > MAX_TARGET_LEN {
        return Err(ApiError::new(StatusCode::URI_TOO_LONG, "uri_too_long", "the address is too long"));
    }
    if !path.starts_with('/') || !path[1..].split('/').rev().skip(1).all(|segment| !segment.is_empty()) {
        return Err(ApiError::bad_request("the path has an empty segment or does not begin with /"));
    }
    for segment in path.split('/') {
        let decoded =
            decode(segment).ok_or_else(|| ApiError::bad_request("the path has a malformed % escape"))?;
        let ambiguous = decoded.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f));
        if ambiguous || decoded == b"." || decoded == b".." {
            return Err(ApiError::bad_request(
                "the path has '.', '..', or an encoded slash or control character",
            ));
        }
    }
    Ok(())
}

fn decode(segment: &str) -> Option<Vec<u8>> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// RFC 9112 §3.2 and RFC 9113 §8.3.1: one host, the same wherever it is said.
fn host_of(version: Version, uri: &Uri, headers: &HeaderMap) -> Result<Option<RequestHost>, ApiError> {
    let mut said = headers.get_all(HOST).iter();
    let header = said.next().map(|value| value.to_str().map_err(|_| bad_host())).transpose()?;
    if said.next().is_some() {
        return Err(bad_host());
    }
    let host = match (uri.authority().map(|authority| authority.as_str()), header) {
        (Some(target), Some(header)) if !target.eq_ignore_ascii_case(header) => return Err(bad_host()),
        (Some(host), _) | (None, Some(host)) => host,
        (None, None) if version == Version::HTTP_10 => return Ok(None),
        (None, None) => return Err(bad_host()),
    };
    if !is_host(host) {
        return Err(bad_host());
    }
    Ok(Some(RequestHost(host.to_owned())))
}

/// A name or address and perhaps a port, in characters that are harmless wherever it is written.
pub(super) fn is_host(host: &str) -> bool {
    if host.is_empty() || host.len() > MAX_HOST_LEN {
        return false;
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let name_is_good = match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
        }
    };
    name_is_good && port.is_none_or(|port| !port.starts_with('+') && port.parse::<u16>().is_ok())
}

fn bad_host() -> ApiError {
    ApiError::bad_request("the request needs one well-formed Host")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_or_without_port() {
        for good in
            ["localhost", "live.example.org:8443", "192.0.2.1:80", "[2001:db8::1]", "[::1]:8080", "a_b"]
        {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "user@host",
            "host/path",
            "host?x",
            "host#x",
            "host:",
            "host:99999",
            "host:+80",
            "a,b",
            "<script>",
            "[::1",
            "::1",
            "[evil]",
            "host:80:80",
            "\u{e9}",
            "a\"b",
            &"x".repeat(300),
        ] {
            assert!(!is_host(bad), "{bad}");
        }
        assert_eq!(RequestHost("[::1]:8080".to_owned()).name(), "[::1]");
        assert_eq!(RequestHost("localhost:8080".to_owned()).name(), "localhost");
        assert_eq!(RequestHost("localhost".to_owned()).name(), "localhost");
    }

    #[test]
    fn b26_targets_that_could_be_read_in_two_ways_are_refused() {
        for good in
            ["/", "/kitchen", "/hls/kitchen/index.m3u8?_HLS_msn=3", "/a/", "/caf%C3%A9", "/a..b", "/..."]
        {
            assert!(check_target(&good.parse().unwrap()).is_ok(), "{good}");
        }
        for bad in [
            "//evil.com",
            "//evil.com/",
            "/a//b",
            "/hls/../api",
            "/hls/%2e%2e/api",
            "/hls/.%2E/x",
            "/hls/..%2fx",
            "/a%2fb",
            "/a%5cb",
            "/a%00",
            "/a%0d%0aSet-Cookie:x",
            "/./a",
            "/a/..",
            "/%",
            "/%2",
            "/%zz",
            "*",
        ] {
            let Ok(uri) = bad.parse() else { continue };
            assert!(check_target(&uri).is_err(), "{bad}");
        }
        let long = format!("/{}", "a".repeat(MAX_TARGET_LEN));
        assert_eq!(check_target(&long.parse().unwrap()).unwrap_err().status(), StatusCode::URI_TOO_LONG);
    }
}
