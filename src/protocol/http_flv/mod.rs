//! HTTP-FLV: a stream as a download that does not end, at `/live/CHANNEL.flv`.
//!
//! [`tags`] makes the stream's wire form, pure; [`serve`](mod@serve) is the route.

mod serve;
mod tags;

use serde::{Deserialize, Serialize};

pub use serve::router;

use crate::setting;

/// `[flv]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What the kernel may buffer for a viewer.
    #[serde(with = "setting::byte_size")]
    pub send_buffer: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { send_buffer: 512 << 10 }
    }
}
