//! Who was shown what: frequency caps and competitive separation.
//!
//! An exposure is recorded when the overlay is *granted*, before it is shown, so that two slots at once cannot both take
//! the last place. After a restart the log of what was charged and reserved is told again; what was granted in a slot that
//! ran while the server died may not be in it, so until that slot's deadline its campaigns are presumed to have been
//! seen by everybody in its channel.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::bid::PassReason;
use super::campaign::{Campaign, CapScope, MAX_WINDOW_MS};
use crate::ledger::{CampaignId, SessionId, SlotId, UnixMillis};
use crate::media::ChannelName;

/// Viewers and programmes that are remembered, by default.
pub const DEFAULT_MAX_SUBJECTS: usize = 500_000;
/// Exposures of one of them that are remembered.
const MAX_EXPOSURES: usize = 2000;

/// Who sees something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A viewer session, where the page draws.
    Viewer(SessionId),
    /// Everybody who watches a channel's programme in one of its variants, where the overlay is burned in.
    Program(ChannelName, u16),
}

/// What was shown to whom, as long as it matters.
#[derive(Debug)]
pub struct Exposures {
    of: HashMap<Key, VecDeque<Exposure>>,
    presumed: Vec<Presumed>,
    max_subjects: usize,
    /// How long anything is remembered, in milliseconds.
    window: i64,
}

/// Displays are counted for a subject and for the channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Subject(Subject),
    Channel(ChannelName),
}

#[derive(Clone, Debug)]
struct Exposure {
    at: UnixMillis,
    campaign: CampaignId,
    /// In a channel, all that is seen of a campaign in one slot is one exposure, to however many it is shown, and in whichever way.
    slot: SlotId,
    /// What it competes in, and how long it wants to be alone.
    separation: Option<Arc<(BTreeSet<Arc<str>>, i64)>>,
}

#[derive(Clone, Debug)]
struct Presumed {
    channel: ChannelName,
    exposure: Exposure,
    until: UnixMillis,
}

impl Exposures {
    /// Nothing shown yet.
    pub fn new(max_subjects: usize) -> Self {
        Self { of: HashMap::new(), presumed: Vec::new(), max_subjects, window: 0 }
    }

    /// A campaign will be asked for: what matters to it is remembered from now on.
    pub fn watch(&mut self, campaign: &Campaign) {
        let windows = campaign.caps.iter().map(|cap| cap.window_ms);
        let windows = windows.chain(campaign.separation.as_ref().map(|separation| separation.window_ms));
        self.window = self.window.max(windows.max().unwrap_or(0)).min(MAX_WINDOW_MS);
    }

    /// Why a campaign must not be shown to somebody in a channel, if it must not; in a slot, once that is sold.
    pub fn refusal(
        &self,
        campaign: &Campaign,
        channel: &ChannelName,
        subject: &Subject,
        slot: Option<SlotId>,
        now: UnixMillis,
    ) -> Option<PassReason> {
        let of_channel = Key::Channel(channel.clone());
        let of_subject = Key::Subject(subject.clone());
        let presumed = || self.presumed.iter().filter(|one| one.channel == *channel && one.until > now);
        if !campaign.caps.is_empty() && presumed().any(|one| one.exposure.campaign == campaign.id) {
            return Some(PassReason::Capped);
        }
        for cap in &campaign.caps {
            let key = match cap.scope {
                CapScope::Viewer => &of_subject,
                CapScope::Channel => &of_channel,
            };
            let shown = self.within(key, cap.window_ms, now).filter(|one| one.campaign == campaign.id);
            let is_in_slot = |one: &Exposure| cap.scope == CapScope::Channel && Some(one.slot) == slot;
            if shown.clone().any(is_in_slot) {
                continue;
            }
            if shown.count() >= cap.count as usize || !self.has_room(key) {
                return Some(PassReason::Capped);
            }
        }
        let separation = campaign.separation.as_ref()?;
        let competes = |one: &&Exposure| {
            let Some(other) = &one.separation else { return false };
            let apart = separation.window_ms.max(other.1);
            one.campaign != campaign.id
                && is_within(one.at, apart, now)
                && !other.0.is_disjoint(&separation.categories)
        };
        let seen = self.within(&of_subject, MAX_WINDOW_MS, now).any(|one| competes(&one));
        let may_be_seen = presumed().any(|one| {
            let now_seen = Exposure { at: now, ..one.exposure.clone() };
            competes(&&now_seen)
        });
        (seen || may_be_seen || !self.has_room(&of_subject)).then_some(PassReason::Separated)
    }

    /// Grants a display in a slot: to be told before it is shown.
    pub fn record(
        &mut self,
        campaign: &Campaign,
        channel: &ChannelName,
        subject: Subject,
        slot: SlotId,
        at: UnixMillis,
    ) {
        self.record_for(campaign, subject, slot, at);
        self.record_in(campaign, channel, slot, at);
    }

    fn record_for(&mut self, campaign: &Campaign, subject: Subject, slot: SlotId, at: UnixMillis) {
        if has_cap(campaign, CapScope::Viewer) || campaign.separation.is_some() {
            self.of.entry(Key::Subject(subject)).or_default().push_back(exposure(campaign, slot, at));
        }
    }

    fn record_in(&mut self, campaign: &Campaign, channel: &ChannelName, slot: SlotId, at: UnixMillis) {
        if !has_cap(campaign, CapScope::Channel) {
            return;
        }
        let seen = self.of.entry(Key::Channel(channel.clone())).or_default();
        if !seen.iter().rev().any(|one| one.campaign == campaign.id && one.slot == slot) {
            seen.push_back(exposure(campaign, slot, at));
        }
    }

    /// A display in a channel's programme of which it is not kept to whom it was granted: it counts for all of these.
    pub fn record_for_all(
        &mut self,
        campaign: &Campaign,
        channel: &ChannelName,
        subjects: impl Iterator<Item = Subject>,
        slot: SlotId,
        at: UnixMillis,
    ) {
        for subject in subjects {
            self.record_for(campaign, subject, slot, at);
        }
        self.record_in(campaign, channel, slot, at);
    }

    /// After a restart: a campaign's slot in a channel that nobody knows the viewers of until its deadline.
    pub fn presume(&mut self, campaign: &Campaign, channel: &ChannelName, slot: SlotId, until: UnixMillis) {
        let exposure = exposure(campaign, slot, until);
        self.presumed.push(Presumed { channel: channel.clone(), exposure, until });
    }

    /// Forgets what cannot matter any more: to be called now and then.
    pub fn forget(&mut self, now: UnixMillis) {
        let window = self.window;
        self.presumed.retain(|one| one.until > now);
        self.of.retain(|_, seen| {
            seen.retain(|one| is_within(one.at, window, now));
            !seen.is_empty()
        });
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    fn within(&self, key: &Key, window: i64, now: UnixMillis) -> impl Iterator<Item = &Exposure> + Clone {
        self.of.get(key).into_iter().flatten().filter(move |one| is_within(one.at, window, now))
    }

    /// Whether a display could be remembered: one that cannot be is not granted.
    fn has_room(&self, key: &Key) -> bool {
        match self.of.get(key) {
            Some(seen) => seen.len() < MAX_EXPOSURES,
            None => self.of.len() < self.max_subjects,
        }
    }
}

fn has_cap(campaign: &Campaign, scope: CapScope) -> bool {
    campaign.caps.iter().any(|cap| cap.scope == scope)
}

fn exposure(campaign: &Campaign, slot: SlotId, at: UnixMillis) -> Exposure {
    let separation = campaign.separation.as_ref();
    let separation = separation.map(|of| Arc::new((of.categories.clone(), of.window_ms)));
    Exposure { at, campaign: campaign.id, slot, separation }
}

/// Whether two moments are less than a window apart. The wall clock may have been set back: what is said to be in the
/// future counts too.
fn is_within(at: UnixMillis, window: i64, now: UnixMillis) -> bool {
    now.saturating_sub(at) < window
}
