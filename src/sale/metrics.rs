//! What is counted of the sale. No label comes from a peer.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;

use crate::metrics;

type Labelled = Family<[(&'static str, &'static str); 1], Counter>;

/// Bounds of the time that a decision takes, in seconds.
const DECISION: [f64; 9] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The sale's metrics.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    cues: Labelled,
    refused: Counter,
    outcomes: Labelled,
    displays: Labelled,
    events: Labelled,
    unheard: Labelled,
    pages: Labelled,
    pub decision: Histogram,
}

impl Metrics {
    pub fn new(registry: &metrics::Metrics) -> Self {
        let metrics = Self {
            cues: Family::default(),
            refused: Counter::default(),
            outcomes: Family::default(),
            displays: Family::default(),
            events: Family::default(),
            unheard: Family::default(),
            pages: Family::default(),
            decision: Histogram::new(DECISION),
        };
        registry.register("sale_cues", "Slots that were opened, by who wanted them", metrics.cues.clone());
        registry.register("sale_cues_refused", "Cues that opened no slot", metrics.refused.clone());
        registry.register(
            "sale_slots",
            "Slots that are over, by what came of them",
            metrics.outcomes.clone(),
        );
        registry.register(
            "sale_displays",
            "Displays that the ledger was told of, by what it said",
            metrics.displays.clone(),
        );
        registry.register(
            "sale_events",
            "Events of impressions that pages told of, by what was made of them",
            metrics.events.clone(),
        );
        registry.register(
            "sale_unheard",
            "What a director had no room for: commands that were refused, signals of the audience that were left out",
            metrics.unheard.clone(),
        );
        registry.register(
            "sale_pages_let_go",
            "Pages that do not follow placements: as many do as may, or they were too far behind",
            metrics.pages.clone(),
        );
        registry.register(
            "sale_decision_seconds",
            "From a slot's turn to the overlay that may be shown",
            metrics.decision.clone(),
        );
        metrics
    }

    pub fn opened(&self, origin: &'static str) {
        self.cues.get_or_create(&[("origin", origin)]).inc();
    }

    pub fn refused(&self) {
        self.refused.inc();
    }

    pub fn over(&self, outcome: &'static str) {
        self.outcomes.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub fn display(&self, result: &'static str) {
        self.displays.get_or_create(&[("result", result)]).inc();
    }

    pub fn unheard(&self, what: &'static str) {
        self.unheard.get_or_create(&[("what", what)]).inc();
    }

    /// There are as many pages as there may be.
    pub fn page_refused(&self) {
        self.pages.get_or_create(&[("why", "full")]).inc();
    }

    /// Counts pages that were too far behind.
    pub fn pages_behind(&self) -> Counter {
        self.pages.get_or_create(&[("why", "behind")]).clone()
    }

    pub fn event(&self, result: &'static str) {
        self.events.get_or_create(&[("result", result)]).inc();
    }
}
