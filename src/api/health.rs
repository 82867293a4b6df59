//! Whether the process lives, whether it should be sent viewers, and what it counted.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::Api;
use crate::http::ApiError;
use crate::metrics;

/// A probe wants to know now: a database that takes longer than this is as good as none.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn router(api: &Arc<Api>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { ([(CACHE_CONTROL, "no-store")], "ok\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(api.clone())
}

async fn ready(State(api): State<Arc<Api>>) -> Result<impl IntoResponse, ApiError> {
    if api.life.is_draining() {
        return Err(ApiError::unavailable("the server is going down"));
    }
    match tokio::time::timeout(PING_TIMEOUT, api.store.ping()).await {
        Ok(Ok(())) => Ok(([(CACHE_CONTROL, "no-store")], "ready\n")),
        Ok(Err(error)) => {
            tracing::warn!(%error, "the database does not answer");
            Err(ApiError::unavailable("the database does not answer"))
        }
        Err(_) => Err(ApiError::unavailable("the database is too slow")),
    }
}

async fn metrics(State(api): State<Arc<Api>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE), (CACHE_CONTROL, "no-store")], api.metrics.text())
}
