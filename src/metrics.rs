//! The registry that every feature's metrics are in, and their text form.
//!
//! Labels have values that the program fixes (a protocol, a reason, a route's pattern), never what a peer chooses:
//! no name, key, path or address. So the number of series has a bound however many strangers come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use crate::clock;

/// The media type of [`Metrics::text`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric of the server. Clones are the same registry.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Mutex<Registry>,
    started: Instant,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// A registry that knows the build and the start time.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("onair");
        registry.register(
            "build",
            "The running release",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let started = clock::unix_now() as f64 / 1000.0;
        registry.register(
            "start_time_seconds",
            "When the server started, Unix time",
            ConstGauge::new(started),
        );
        Self(Arc::new(Inner { registry: Mutex::new(registry), started: clock::monotonic() }))
    }

    /// Adds a metric, as `onair_NAME`; keep a clone of it to count with.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.lock().register(name, help, metric);
    }

    /// How long the server runs.
    pub fn uptime(&self) -> Duration {
        clock::monotonic().saturating_duration_since(self.0.started)
    }

    /// All metrics in the OpenMetrics text form.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if encode(&mut text, &self.lock()).is_err() {
            tracing::error!("metrics cannot be written");
        }
        text
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn metrics_are_written_under_one_prefix() {
        let metrics = Metrics::new();
        let refused = Counter::<u64>::default();
        metrics.register("refused", "Refused publishers", refused.clone());
        refused.inc_by(3);
        let text = metrics.text();
        assert!(text.contains("onair_refused_total 3\n"), "{text}");
        assert!(text.contains("onair_build_info{version=\""), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
