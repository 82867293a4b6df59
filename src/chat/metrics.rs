//! What is counted about rooms.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::room::Counts;
use crate::metrics;

/// The rooms' metrics. No label comes from a peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    pub rooms: Gauge,
    connections: Family<[(&'static str, &'static str); 1], Gauge>,
    comments: Counter,
    reactions: Counter,
    refused: Counter,
    juries: Counter,
    pub delivered: Counter,
    pub lagged: Counter,
    pub unkept: Counter,
}

/// How somebody is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    WebSocket,
    EventSource,
}

/// Counts a connection while it lives.
#[derive(Debug)]
pub(super) struct Connected(Gauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    pub fn register(&self, registry: &metrics::Metrics) {
        registry.register("chat_rooms", "Rooms in memory", self.rooms.clone());
        registry.register("chat_connections", "Connections to rooms, by protocol", self.connections.clone());
        registry.register("chat_comments", "Comments published", self.comments.clone());
        registry.register("chat_reactions", "Hearts and other reactions counted", self.reactions.clone());
        registry.register("chat_refused", "Requests to rooms that were refused", self.refused.clone());
        registry.register("chat_juries", "Juries called", self.juries.clone());
        registry.register("chat_delivered", "Events written to viewers", self.delivered.clone());
        registry.register("chat_lagged", "Batches that viewers were too slow for", self.lagged.clone());
        registry.register("chat_unkept", "Records that the store could not keep", self.unkept.clone());
    }

    pub fn connected(&self, way: Way) -> Connected {
        let protocol = match way {
            Way::WebSocket => "websocket",
            Way::EventSource => "event_source",
        };
        let gauge = self.connections.get_or_create(&[("protocol", protocol)]).clone();
        gauge.inc();
        Connected(gauge)
    }

    /// Adds what a room counted since it was asked last.
    pub fn add(&self, before: Counts, now: Counts) {
        self.comments.inc_by(now.comments - before.comments);
        self.reactions.inc_by(now.reactions - before.reactions);
        self.refused.inc_by(now.refused - before.refused);
        self.juries.inc_by(now.juries - before.juries);
    }
}
