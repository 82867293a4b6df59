//! What is counted about requests and connections.

use std::sync::atomic::AtomicI64;
use std::time::Duration;

use http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::Metrics;

/// Blocking playlist requests wait for seconds by design, so the scale goes that far.
const ANSWER_SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Clone, Debug)]
pub(super) struct HttpMetrics {
    requests: Family<Answered, Counter>,
    answer_time: Histogram,
    pub(super) connections: Gauge<i64, AtomicI64>,
    refused: Family<Reason, Counter>,
}

/// The route is one of the router's own patterns: their number is fixed by the program.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: &'static str,
    route: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

impl HttpMetrics {
    pub(super) fn new(registry: &Metrics) -> Self {
        let metrics = Self {
            requests: Family::default(),
            answer_time: Histogram::new(ANSWER_SECONDS),
            connections: Gauge::default(),
            refused: Family::default(),
        };
        metrics.add_to(registry);
        metrics
    }

    fn add_to(&self, registry: &Metrics) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "http_answer_seconds",
            "From a request's head to its answer's head",
            self.answer_time.clone(),
        );
        registry.register("http_connections", "Open connections", self.connections.clone());
        registry.register(
            "http_refused",
            "Connections and requests refused, by reason",
            self.refused.clone(),
        );
    }

    /// Counts an answer. `route` is the pattern that matched, if any did.
    pub(super) fn answered(&self, method: &Method, route: Option<&str>, status: StatusCode, after: Duration) {
        let labels = Answered {
            method: method_label(method),
            route: route.unwrap_or("none").to_owned(),
            status: status_label(status),
        };
        self.requests.get_or_create(&labels).inc();
        self.answer_time.observe(after.as_secs_f64());
    }

    /// Counts what was not let in.
    pub(super) fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }
}

/// Extension methods are a stranger's to choose: they share one label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    }
}
