//! What is counted of overlays.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::splice::Why;
use crate::metrics;

/// The overlays' metrics. No label comes from a peer.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    pub spliced: Gauge,
    pub frames: Counter,
    pub refused: Counter,
    over: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Metrics {
    pub fn register(&self, metrics: &metrics::Metrics) {
        metrics.register(
            "programmes_spliced",
            "Programmes that are written by a worker, or about to be",
            self.spliced.clone(),
        );
        metrics.register("overlay_frames", "Pictures that were sent with an overlay", self.frames.clone());
        metrics.register("overlays_refused", "Slots that were refused", self.refused.clone());
        metrics.register("overlays_over", "Slots that are over, by why", self.over.clone());
    }

    pub fn over(&self, why: Why) {
        self.over.get_or_create(&[("why", why.label())]).inc();
    }
}
