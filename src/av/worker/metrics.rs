//! What is counted of workers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::metrics::Metrics as Registry;

/// Why a job ended otherwise than it should.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Counters and gauges of the workers.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Jobs that run.
    pub jobs: Gauge,
    /// Processes that wait for a job.
    pub idle: Gauge,
    /// Jobs so far.
    pub started: Counter,
    /// Jobs that there was no room for.
    pub refused: Counter,
    lost: Family<Reason, Counter>,
}

impl Metrics {
    /// Adds these to the registry.
    pub fn register(&self, registry: &Registry) {
        registry.register("worker_jobs", "Jobs that media workers are at", self.jobs.clone());
        registry.register("worker_idle", "Media workers that wait for a job", self.idle.clone());
        registry.register("worker_jobs_started", "Jobs given to media workers", self.started.clone());
        registry.register(
            "worker_jobs_refused",
            "Jobs that were refused because worker.max_jobs were running",
            self.refused.clone(),
        );
        registry.register(
            "worker_jobs_lost",
            "Jobs that ended otherwise than they should, by reason",
            self.lost.clone(),
        );
    }

    /// One more job was lost for this reason.
    pub fn lost(&self, reason: &'static str) {
        self.lost.get_or_create(&Reason { reason }).inc();
    }
}
