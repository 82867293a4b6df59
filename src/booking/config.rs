//! `[booking]` of the configuration.

use serde::{Deserialize, Serialize};

use crate::auction::cohort::DEFAULT_K;
use crate::av::worker::ipc::MAX_IMAGE;
use crate::setting;

/// `[booking]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The most advertisers.
    pub max_advertisers: usize,
    /// The most campaigns of all advertisers together.
    pub max_campaigns: usize,
    /// The most campaigns of one advertiser.
    pub campaigns_per_advertiser: usize,
    /// The most creatives of one campaign.
    pub creatives_per_campaign: usize,
    /// The largest file of a creative.
    #[serde(with = "setting::byte_size")]
    pub creative_bytes: usize,
    /// Memory for the files of all creatives.
    #[serde(with = "setting::byte_size")]
    pub creative_memory: usize,
    /// Whether what the operator uploads is approved at once.
    pub approve_operator_uploads: bool,
    /// The smallest group that reports tell apart.
    pub report_k: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_advertisers: 1000,
            // As many as bids are looked at in one auction.
            max_campaigns: 1000,
            campaigns_per_advertiser: 100,
            creatives_per_campaign: 20,
            // The IAB's guidance: a static creative is lighter than 350 kB.
            creative_bytes: 350_000,
            creative_memory: 256 << 20,
            approve_operator_uploads: true,
            report_k: DEFAULT_K,
        }
    }
}

impl Config {
    /// Mistakes: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !(1..=MAX_IMAGE).contains(&self.creative_bytes) {
            problems.push(("creative_bytes", format!("1B to {}MiB", MAX_IMAGE >> 20)));
        }
        if self.creative_memory < self.creative_bytes {
            problems.push(("creative_memory", "room for one creative_bytes at least".to_owned()));
        }
        if self.report_k == 0 {
            problems.push(("report_k", "at least 1".to_owned()));
        }
        problems
    }
}
