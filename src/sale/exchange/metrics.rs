//! What is counted of bidders. The one label that is no word of ours is the name that the operator has given a bidder.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use super::breaker::Standing;
use crate::metrics;

/// Bounds of the time that a bidder takes, in seconds.
const LATENCY: [f64; 9] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1.0];

type OfBidder = [(&'static str, String); 1];
type OfResult = [(&'static str, String); 2];

/// The metrics of all bidders.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    requests: Family<OfResult, Counter>,
    latency: Family<OfBidder, Histogram, fn() -> Histogram>,
    breaker: Family<OfBidder, Gauge>,
    opened: Family<OfBidder, Counter>,
    creatives: Family<OfResult, Counter>,
    notices: Family<OfResult, Counter>,
}

impl Metrics {
    pub fn new(registry: &metrics::Metrics) -> Self {
        let metrics = Self {
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY)),
            breaker: Family::default(),
            opened: Family::default(),
            creatives: Family::default(),
            notices: Family::default(),
        };
        registry.register("bidder_requests", "Bid requests, by what came of them", metrics.requests.clone());
        registry.register(
            "bidder_latency_seconds",
            "Until a bidder's answer was read",
            metrics.latency.clone(),
        );
        registry.register(
            "bidder_breaker",
            "Whether requests go to a bidder: 0 all, 1 one for trial, 2 none",
            metrics.breaker.clone(),
        );
        registry.register("bidder_breaker_opened", "Breakers that have opened", metrics.opened.clone());
        registry.register(
            "bidder_creatives",
            "Creatives that were fetched, by what came of them",
            metrics.creatives.clone(),
        );
        registry.register(
            "bidder_notices",
            "Notices to bidders, by what they tell and what came of them",
            metrics.notices.clone(),
        );
        metrics
    }

    pub fn asked(&self, bidder: &str, result: &'static str) {
        self.requests.get_or_create(&of(bidder, "result", result)).inc();
    }

    pub fn took(&self, bidder: &str, time: Duration) {
        self.latency.get_or_create(&[("bidder", bidder.to_owned())]).observe(time.as_secs_f64());
    }

    pub fn breaker(&self, bidder: &str, standing: Standing, has_opened: bool) {
        let state = match standing {
            Standing::Closed => 0,
            Standing::HalfOpen => 1,
            Standing::Open => 2,
        };
        self.breaker.get_or_create(&[("bidder", bidder.to_owned())]).set(state);
        if has_opened {
            self.opened.get_or_create(&[("bidder", bidder.to_owned())]).inc();
        }
    }

    pub fn creative(&self, bidder: &str, result: &'static str) {
        self.creatives.get_or_create(&of(bidder, "result", result)).inc();
    }

    pub fn notice(&self, bidder: &str, result: &'static str) {
        self.notices.get_or_create(&of(bidder, "result", result)).inc();
    }
}

fn of(bidder: &str, label: &'static str, value: &str) -> OfResult {
    [("bidder", bidder.to_owned()), (label, value.to_owned())]
}
