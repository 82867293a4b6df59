//! What the hub counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::Protocol;
use crate::metrics;

/// The hub's metrics. No label comes from a peer.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(super) publishers: Gauge,
    pub(super) takeovers: Counter,
    pub(super) takeovers_refused: Counter,
    pub(super) conversions: Gauge,
    pub(super) cues_dropped: Counter,
    viewers: Family<[(&'static str, &'static str); 1], Gauge>,
    lagged: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    /// Adds the metrics to the server's.
    pub fn register(&self, metrics: &metrics::Metrics) {
        metrics.register("publishers", "Publishers on the air", self.publishers.clone());
        metrics.register(
            "takeovers",
            "Publishers replaced by a newer one with the same key",
            self.takeovers.clone(),
        );
        metrics.register(
            "takeovers_refused",
            "Publishers refused because two encoders fight over a channel",
            self.takeovers_refused.clone(),
        );
        metrics.register(
            "conversions",
            "Renditions that are being converted, each once for all its viewers",
            self.conversions.clone(),
        );
        metrics.register(
            "cues_dropped",
            "Cues of publishers that came faster than they were decided on",
            self.cues_dropped.clone(),
        );
        metrics.register("viewers", "Viewers by protocol", self.viewers.clone());
        metrics.register(
            "viewers_lagged",
            "Times a viewer was too slow and was put on the newest keyframe",
            self.lagged.clone(),
        );
    }

    pub(super) fn lagged(&self, protocol: Protocol) {
        self.lagged.get_or_create(&[("protocol", protocol.label())]).inc();
    }

    pub(super) fn viewers(&self, protocol: Protocol) -> Gauge {
        self.viewers.get_or_create(&[("protocol", protocol.label())]).clone()
    }
}
