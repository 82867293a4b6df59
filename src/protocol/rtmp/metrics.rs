//! What RTMP counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics;

/// RTMP's metrics. No label comes from a peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    pub connections: Gauge,
    pub malformed: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
    failed: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    pub fn register(&self, metrics: &metrics::Metrics) {
        metrics.register("rtmp_connections", "RTMP connections open", self.connections.clone());
        metrics.register(
            "rtmp_malformed",
            "Messages of publishers that could not be read and were dropped",
            self.malformed.clone(),
        );
        metrics.register("rtmp_refused", "RTMP requests and connections refused", self.refused.clone());
        metrics.register("rtmp_failed", "RTMP connections ended by an error", self.failed.clone());
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn failed(&self, reason: &'static str) {
        self.failed.get_or_create(&[("reason", reason)]).inc();
    }
}
