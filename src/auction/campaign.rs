//! Campaigns: what an advertiser wants to show, to whom, when, how often, and for how much.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bid::{FILL_IN, PassReason};
use super::context::Auction;
use super::schedule::Schedule;
use crate::ledger::{CampaignId, DisplayClass};
use crate::media::{ChannelName, Code, Device, OverlayFormat};
use crate::money::Money;

/// The most that a cap may allow: what is remembered of a viewer is bounded.
pub const MAX_CAP: u32 = 1000;
/// The longest window of caps and separation: a week.
pub const MAX_WINDOW_MS: i64 = 7 * 24 * 3_600_000;
/// The highest price of a thousand impressions: a thousand units of the currency.
const MAX_CPM_MICROS: i64 = 1_000_000_000;

/// A campaign of the house. Its prepaid budget is in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Campaign {
    /// Its number.
    pub id: CampaignId,
    /// Whether it is stopped for now.
    pub is_paused: bool,
    /// For an impression.
    pub bid: Money,
    /// Groups with a lower number are served first; [`FILL_IN`] is shown where nobody pays.
    pub priority: u8,
    /// The agreement under which it bids.
    pub deal: Option<Arc<str>>,
    /// When it runs.
    pub schedule: Schedule,
    /// How the budget is spread over that time.
    pub pacing: Pacing,
    /// To whom, and beside what.
    pub targeting: Targeting,
    /// How often one sees it at most.
    pub caps: Vec<Cap>,
    /// From whom it keeps away.
    pub separation: Option<Separation>,
    /// What is shown: of the format, the first that is approved and ready.
    pub creatives: Vec<Creative>,
    /// Whether displays that the server counts are bought.
    pub accepts_server_counts: bool,
}

/// How a budget is spread over the time that a campaign runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pacing {
    /// The same in each hour.
    #[default]
    Even,
    /// In the first hour three times what is spent in the last, falling steadily.
    FrontLoaded,
}

/// What is wanted; an empty set is "any".
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Targeting {
    /// In these channels.
    pub channels: BTreeSet<ChannelName>,
    /// In channels of these categories.
    pub categories: BTreeSet<Arc<str>>,
    /// With one of these tags, of the channel or of the viewer's stream.
    pub tags: BTreeSet<Arc<str>>,
    /// In a moment with one of these hashtags.
    pub hashtags: BTreeSet<Arc<str>>,
    /// In these countries.
    pub countries: BTreeSet<Code>,
    /// To viewers who read one of these languages, or where it is spoken.
    pub languages: BTreeSet<Code>,
    /// On these devices.
    pub devices: BTreeSet<Device>,
}

/// At most `count` displays in any `window_ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Cap {
    /// Whose displays are counted.
    pub scope: CapScope,
    /// How many.
    pub count: u32,
    /// In which time.
    pub window_ms: i64,
}

/// Whose displays are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CapScope {
    /// Of each viewer session; where the overlay is burned in, of the programme.
    Viewer,
    /// Of the channel.
    Channel,
}

/// Who shares a category keeps away from one another: no two of them in less than `window_ms`, before the same viewer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Separation {
    /// What it competes in.
    pub categories: BTreeSet<Arc<str>>,
    /// How long apart; of two campaigns the longer holds.
    pub window_ms: i64,
}

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Creative {
    /// Its number.
    pub id: u64,
    /// What it is made for.
    pub format: OverlayFormat,
    /// Whether somebody has allowed it.
    pub approval: Approval,
    /// Whether it is fetched, decoded and at hand: the first slot must not be lost to that.
    pub is_ready: bool,
    /// What it is about.
    pub categories: BTreeSet<Arc<str>>,
}

/// Whether a creative may be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Nobody has looked yet.
    #[default]
    Pending,
    /// It may.
    Approved,
    /// It may not.
    Rejected,
}

impl Creative {
    /// Whether it may be shown, at once.
    pub fn is_showable(&self) -> bool {
        self.approval == Approval::Approved && self.is_ready
    }
}

impl Campaign {
    /// What is wrong with it: field and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |is: bool, field, reason: String| {
            if is {
                problems.push((field, reason));
            }
        };
        let is_fill_in = self.priority == FILL_IN;
        let cpm = self.bid.as_nanos();
        problem(is_fill_in != (cpm == 0), "bid", "fill-ins are free, and nothing else is".to_owned());
        problem(!(0..=MAX_CPM_MICROS).contains(&cpm), "bid", format!("0 to {MAX_CPM_MICROS} micros"));
        problem(self.schedule.start >= self.schedule.end, "schedule", "it ends before it begins".to_owned());
        problem(
            self.schedule.running_between(self.schedule.start, self.schedule.end) == 0,
            "schedule",
            "no hour of it is within its day-parts".to_owned(),
        );
        let windows = self.caps.iter().map(|cap| cap.window_ms);
        let windows = windows.chain(self.separation.as_ref().map(|separation| separation.window_ms));
        let is_window = |window: i64| (1..=MAX_WINDOW_MS).contains(&window);
        problem(!windows.into_iter().all(is_window), "window_ms", format!("1 to {MAX_WINDOW_MS}"));
        let is_count = |cap: &Cap| (1..=MAX_CAP).contains(&cap.count);
        problem(!self.caps.iter().all(is_count), "caps", format!("1 to {MAX_CAP} displays"));
        problems
    }

    /// The creative that would be shown, or why there is none: everything that only campaign and sale decide.
    pub(super) fn creative_for(&self, auction: &Auction) -> Result<&Creative, PassReason> {
        let context = &auction.context;
        if self.is_paused {
            return Err(PassReason::Paused);
        }
        if !self.schedule.is_running(context.at) {
            return Err(PassReason::Flight);
        }
        if context.class == DisplayClass::Server && !self.accepts_server_counts {
            return Err(PassReason::ServerCounts);
        }
        self.targeting.mismatch(auction).map_or(Ok(()), Err)?;
        let of_format = || self.creatives.iter().filter(|creative| creative.format == context.format);
        let why = if of_format().next().is_none() { PassReason::Format } else { PassReason::Creative };
        of_format().find(|creative| creative.is_showable()).ok_or(why)
    }
}

impl Targeting {
    /// What of it does not fit a sale.
    fn mismatch(&self, auction: &Auction) -> Option<PassReason> {
        let (context, cohort) = (&auction.context, &auction.cohort);
        let tags = || context.tags.iter().chain(&cohort.tags);
        let languages = [cohort.language, context.language];
        let wanted = [
            (wants(&self.channels, [&context.slot.channel]), PassReason::Channel),
            (wants(&self.categories, &context.category), PassReason::Category),
            (wants(&self.tags, tags()), PassReason::Tags),
            (wants(&self.hashtags, &context.hashtags), PassReason::Hashtags),
            (wants(&self.countries, &cohort.country), PassReason::Country),
            (wants(&self.languages, languages.iter().flatten()), PassReason::Language),
            (wants(&self.devices, &cohort.device), PassReason::Device),
        ];
        wanted.into_iter().find(|(fits, _)| !fits).map(|(_, why)| why)
    }
}

/// Whether one of those that are there is wanted, or anything is.
fn wants<'a, T: Ord + 'a>(wanted: &BTreeSet<T>, there: impl IntoIterator<Item = &'a T>) -> bool {
    wanted.is_empty() || there.into_iter().any(|one| wanted.contains(one))
}
