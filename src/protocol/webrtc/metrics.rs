//! What WebRTC counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics;

/// WebRTC's metrics. No label comes from a peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    pub sessions: Gauge,
    pub packets_sent: Counter,
    pub packets_dropped: Counter,
    pub retransmitted: Counter,
    pub keyframe_requests: Counter,
    pub foreign_dropped: Counter,
    refused: Family<[(&'static str, &'static str); 1], Counter>,
    discarded: Family<[(&'static str, &'static str); 1], Counter>,
    ended: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    pub fn register(&self, metrics: &metrics::Metrics) {
        metrics.register("webrtc_sessions", "WebRTC sessions", self.sessions.clone());
        metrics.register("webrtc_packets_sent", "Datagrams sent to WebRTC peers", self.packets_sent.clone());
        metrics.register(
            "webrtc_packets_dropped",
            "Datagrams not sent because the socket's buffer was full",
            self.packets_dropped.clone(),
        );
        metrics.register(
            "webrtc_retransmitted",
            "Packets sent again because a viewer had lost them",
            self.retransmitted.clone(),
        );
        metrics.register(
            "webrtc_keyframe_requests",
            "Times viewers asked for a keyframe",
            self.keyframe_requests.clone(),
        );
        metrics.register(
            "webrtc_foreign_dropped",
            "Datagrams that reached the wrong shard and were too many to hand on",
            self.foreign_dropped.clone(),
        );
        metrics.register("webrtc_refused", "WHIP and WHEP requests refused", self.refused.clone());
        metrics.register("webrtc_discarded", "Datagrams that were of no use", self.discarded.clone());
        metrics.register("webrtc_ended", "WebRTC sessions ended", self.ended.clone());
    }

    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn discarded(&self, reason: &'static str) {
        self.discarded.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn ended(&self, reason: &'static str) {
        self.ended.get_or_create(&[("reason", reason)]).inc();
    }
}
