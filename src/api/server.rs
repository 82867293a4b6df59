//! What the server says of itself.

use std::sync::Arc;

use axum::extract::State;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use crate::clock;
use crate::http::Json;

/// The ports that the listeners got; `None` for a listener that is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ports {
    /// HTTP.
    pub http: Option<u16>,
    /// HTTPS.
    pub https: Option<u16>,
    /// RTMP.
    pub rtmp: Option<u16>,
    /// RTMP over TLS.
    pub rtmps: Option<u16>,
    /// WebRTC media, UDP.
    pub webrtc: Option<u16>,
    /// Metrics and health.
    pub admin: Option<u16>,
}

/// The server.
#[derive(Serialize, ToSchema)]
pub(super) struct ServerView {
    /// Release.
    version: &'static str,
    /// The server's wall clock, RFC 3339 with milliseconds.
    time: String,
    /// Seconds since the start.
    uptime_seconds: u64,
    ports: Ports,
}

/// Release, ports and time of the server.
#[utoipa::path(get, path = "/api/v1/server", tag = "server", responses((status = 200, body = ServerView)))]
pub(super) async fn show(
    State(api): State<Arc<Api>>,
) -> ([(http::HeaderName, &'static str); 1], Json<ServerView>) {
    let view = ServerView {
        version: env!("CARGO_PKG_VERSION"),
        time: clock::rfc3339(clock::wall()),
        uptime_seconds: api.metrics.uptime().as_secs(),
        ports: api.ports,
    };
    ([(CACHE_CONTROL, "no-store")], Json(view))
}
