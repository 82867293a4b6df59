//! Campaigns as they stand over all channels: pacing, caps and separation. What is spent is the ledger's; this only
//! decides who bids.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::auction::bidder::house::{Candidate, House};
use crate::auction::exposure::DEFAULT_MAX_SUBJECTS;
use crate::auction::{Campaign, Exposures, Pacer, PassReason, Subject};
use crate::ledger::{CampaignId, SettledLot, SlotId, UnixMillis};
use crate::media::ChannelName;
use crate::money::Money;

/// A campaign that was never asked before has saved up for so long: enough to bid at once, too little to be ahead of its plan.
const FIRST_MS: i64 = 1000;

/// What a campaign may reserve, and what of it is reserved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What it may still reserve.
    pub budget: Money,
    /// What is reserved for slots that are not settled.
    pub reserved: Money,
}

/// All campaigns that were ever asked.
#[derive(Debug)]
pub struct Market {
    pacers: HashMap<CampaignId, Pacer>,
    exposures: Exposures,
}

impl Default for Market {
    fn default() -> Self {
        Self { pacers: HashMap::new(), exposures: Exposures::new(DEFAULT_MAX_SUBJECTS) }
    }
}

impl Market {
    /// The campaigns as the house's bidder needs them, for an overlay that `subject` would see, or each viewer by himself: then
    /// caps and separation of viewers are looked at when it is granted.
    pub fn house(
        &mut self,
        campaigns: &[Arc<Campaign>],
        balance: impl Fn(CampaignId) -> Balance,
        channel: &ChannelName,
        subject: Option<&Subject>,
        now: UnixMillis,
    ) -> House {
        // Somebody who has seen nothing: only what holds for the channel is in his way.
        let nobody = Subject::Program(channel.clone(), u16::MAX);
        let subject = subject.unwrap_or(&nobody);
        let known: HashSet<CampaignId> = campaigns.iter().map(|campaign| campaign.id).collect();
        self.pacers.retain(|campaign, _| known.contains(campaign));
        let candidates = campaigns.iter().map(|campaign| {
            self.exposures.watch(campaign);
            let Balance { budget, reserved } = balance(campaign.id);
            let new = || Pacer::new(reserved, now.saturating_sub(FIRST_MS));
            let pacer = self.pacers.entry(campaign.id).or_insert_with(new);
            let is_free = !campaign.bid.is_positive();
            let paced = (!is_free && !pacer.may_bid(campaign, budget, now)).then_some(PassReason::Paced);
            let refusal = || self.exposures.refusal(campaign, channel, subject, None, now);
            Candidate { campaign: Arc::clone(campaign), budget, hold: paced.or_else(refusal) }
        });
        House { candidates: candidates.collect() }
    }

    /// A sale has reserved so much: told once the ledger has kept it.
    pub fn reserved(&mut self, campaign: CampaignId, amount: Money) {
        if let Some(pacer) = self.pacers.get_mut(&campaign) {
            pacer.reserved(amount);
        }
    }

    /// Grants a display in a slot, if caps and separation allow it: asked before it is shown.
    pub fn expose(
        &mut self,
        campaign: &Campaign,
        channel: &ChannelName,
        subject: Subject,
        slot: SlotId,
        now: UnixMillis,
    ) -> bool {
        if self.exposures.refusal(campaign, channel, &subject, Some(slot), now).is_some() {
            return false;
        }
        self.exposures.record(campaign, channel, subject, slot, now);
        true
    }

    /// The ledger is done with a lot.
    pub fn settled(&mut self, lot: &SettledLot) {
        if let Some(pacer) = self.pacers.get_mut(&lot.campaign) {
            pacer.settled(lot.reserved, lot.spent);
        }
    }

    /// A display that the ledger has kept before this process began.
    pub fn recall(
        &mut self,
        campaign: &Campaign,
        channel: &ChannelName,
        subject: Subject,
        slot: SlotId,
        at: UnixMillis,
    ) {
        self.exposures.watch(campaign);
        self.exposures.record(campaign, channel, subject, slot, at);
    }

    /// The same of what was burned in, in one of these variants.
    pub fn recall_burned(
        &mut self,
        campaign: &Campaign,
        channel: &ChannelName,
        variants: Range<u8>,
        slot: SlotId,
        at: UnixMillis,
    ) {
        let subjects = variants.map(|variant| Subject::Program(channel.clone(), variant.into()));
        self.exposures.watch(campaign);
        self.exposures.record_for_all(campaign, channel, subjects, slot, at);
    }

    /// A slot that ran when the process before this one ended: its campaign may have been seen by everybody in the channel
    /// until its deadline.
    pub fn presume(&mut self, campaign: &Campaign, channel: &ChannelName, slot: SlotId, until: UnixMillis) {
        self.exposures.watch(campaign);
        self.exposures.presume(campaign, channel, slot, until);
    }

    /// Forgets what cannot matter any more: to be called now and then.
    pub fn forget(&mut self, now: UnixMillis) {
        self.exposures.forget(now);
    }
}
