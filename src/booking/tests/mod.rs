//! The rules, what every store must do, and everything that is booked, with a worker that only pretends to look.

mod bookings;
mod contract;
mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::auction::Campaign;
use crate::auction::campaign::{Approval, Pacing, Targeting};
use crate::auction::schedule::{DayParts, Schedule};
use crate::ledger::CampaignId;
use crate::money::Money;

/// Terms that are in order; number and creatives are for whoever books them.
pub(super) fn terms() -> Campaign {
    Campaign {
        id: CampaignId(0),
        is_paused: false,
        bid: Money::per_impression(2_500_000),
        priority: 100,
        deal: None,
        schedule: Schedule { start: 0, end: 4_000_000_000_000, hours: DayParts::default() },
        pacing: Pacing::Even,
        targeting: Targeting::default(),
        caps: Vec::new(),
        separation: None,
        creatives: Vec::new(),
        accepts_server_counts: true,
    }
}

pub(super) fn words(words: &[&str]) -> BTreeSet<Arc<str>> {
    words.iter().map(|word| Arc::from(*word)).collect()
}

pub(super) fn hosts(hosts: &[&str]) -> BTreeSet<String> {
    hosts.iter().map(|host| (*host).to_owned()).collect()
}
