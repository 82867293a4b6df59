//! Who books.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ledger::UnixMillis;

/// Names an advertiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct AdvertiserId(pub u64);

impl fmt::Display for AdvertiserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Somebody who books campaigns. The key that opens what is theirs is kept apart, as its SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertiser {
    /// Its number.
    pub id: AdvertiserId,
    /// What it is called.
    pub name: String,
    /// Hosts that clicks may lead to, and all below them; none for any.
    pub domains: BTreeSet<String>,
    /// When it was made.
    pub created_at: UnixMillis,
}
