//! `[worker]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::setting;

/// The least memory that a worker can do anything with: bytes.
const LEAST_MEMORY: usize = 64 << 20;

/// `[worker]` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The program; none for `onair-worker` beside the server's own.
    #[serde(with = "setting::optional_path")]
    pub path: Option<PathBuf>,
    /// Processes that are started before they are needed.
    pub pool: usize,
    /// Jobs at one time; 0 for no worker at all.
    pub max_jobs: usize,
    /// Memory of one process, in bytes.
    #[serde(with = "setting::byte_size")]
    pub memory: usize,
    /// How long a process may be silent, or slower than time goes by.
    #[serde(with = "setting::duration")]
    pub stall_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { path: None, pool: 2, max_jobs: 4, memory: 1 << 30, stall_timeout: Duration::from_secs(2) }
    }
}

impl Config {
    /// Mistakes: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.memory < LEAST_MEMORY {
            problems.push(("memory", "a worker needs at least 64MiB".to_owned()));
        }
        if self.stall_timeout < Duration::from_millis(100) {
            problems.push(("stall_timeout", "no worker answers in less than 100ms".to_owned()));
        }
        problems
    }
}
