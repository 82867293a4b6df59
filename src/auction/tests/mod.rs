//! Bidders by their exemplars, cohorts, the decision and its reasons, caps and separation over restarts, and the pacing simulator.

mod cohorts;
mod deciding;
mod exemplars;
mod exposures;
mod house;
mod means;
mod pacing;
mod sales;
mod schedules;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::campaign::{Approval, Creative, Pacing, Targeting};
use super::schedule::{DayParts, Schedule};
use super::*;
use crate::ledger::{CampaignId, DisplayClass, SlotName};
use crate::media::{Cohort, CueId, Device, OverlayFormat};
use crate::money::Money;

pub(super) const HOUR: i64 = 3_600_000;
pub(super) const DAY: i64 = 24 * HOUR;

pub(super) fn words<const N: usize>(words: [&str; N]) -> BTreeSet<Arc<str>> {
    words.into_iter().map(Arc::from).collect()
}

pub(super) fn context() -> Context {
    Context {
        slot: SlotName { channel: "kitchen".parse().unwrap(), broadcast: 1, cue: CueId::new("a") },
        at: HOUR,
        starts_at: HOUR,
        counts_until: 2 * HOUR,
        format: OverlayFormat::LowerThird,
        duration_ms: 15_000,
        class: DisplayClass::Client,
        title: "Soup #live".into(),
        category: Some("food".into()),
        tags: words(["german"]),
        hashtags: words(["soup"]),
        language: Some("de".parse().unwrap()),
        engagement: 0,
        viewers: 1000,
        blocked_categories: BTreeSet::new(),
    }
}

pub(super) fn cohort() -> Cohort {
    Cohort {
        consent: true,
        country: Some("at".parse().unwrap()),
        language: Some("en".parse().unwrap()),
        device: Some(Device::Phone),
        tags: BTreeSet::new(),
    }
}

pub(super) fn auction(seed: u64) -> Auction {
    Auction {
        context: Arc::new(context()),
        cohort: cohort(),
        audience: 1000,
        floor: Money::from_nanos(100),
        deals: vec![Deal { id: "deal".into(), floor: Money::from_nanos(150) }],
        seed,
    }
}

pub(super) fn campaign(id: u64, bid: i64) -> Campaign {
    Campaign {
        id: CampaignId(id),
        is_paused: false,
        bid: Money::from_nanos(bid),
        priority: 10,
        deal: None,
        schedule: Schedule { start: 0, end: DAY, hours: DayParts::default() },
        pacing: Pacing::Even,
        targeting: Targeting::default(),
        caps: Vec::new(),
        separation: None,
        creatives: vec![Creative {
            id: id * 10,
            format: OverlayFormat::LowerThird,
            approval: Approval::Approved,
            is_ready: true,
            categories: words(["soft drinks"]),
        }],
        accepts_server_counts: false,
    }
}
