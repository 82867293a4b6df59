//! What HLS counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics;

/// HLS's metrics. No label comes from a peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    /// Channels being packaged.
    pub packaged: Gauge,
    /// Requests that wait for the next part.
    pub waiting: Gauge,
    /// Parts made.
    pub parts: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    pub fn register(&self, metrics: &metrics::Metrics) {
        metrics.register("hls_packaged", "Channels being packaged for HLS", self.packaged.clone());
        metrics.register("hls_waiting", "HLS requests that wait for the next part", self.waiting.clone());
        metrics.register("hls_parts", "HLS parts made", self.parts.clone());
        metrics.register("hls_refused", "HLS requests refused", self.refused.clone());
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }
}
