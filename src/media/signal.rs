//! Signals: what the audience does, as counts that any part may read.

use std::sync::Arc;

use super::MediaTime;

/// A count of what the audience did in the interval that ends at `at`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// Comments accepted.
    Comments {
        /// End of the interval.
        at: MediaTime,
        /// How many.
        count: u32,
    },
    /// Reactions of all kinds.
    Reactions {
        /// End of the interval.
        at: MediaTime,
        /// How many.
        count: u32,
    },
    /// Uses of a hashtag.
    Hashtag {
        /// End of the interval.
        at: MediaTime,
        /// The tag, normalised, without `#`.
        tag: Arc<str>,
        /// How many.
        count: u32,
    },
}
