//! What is asked of everybody who may buy a slot, and what each would buy.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use aws_lc_rs::rand;

use super::audience::Group;
use super::decision::{Job, millis};
use crate::auction::bidder::house::House;
use crate::auction::bidder::offer;
use crate::auction::means::Means;
use crate::auction::{Auction, Campaign, Context, Offer, Subject, Trace};
use crate::clock;
use crate::ledger::{DisplayClass, SlotName};
use crate::media::{Cohort, CueId};

impl Job {
    /// An auction for each cohort.
    pub(super) fn auctions<'a>(
        &self,
        cohorts: impl Iterator<Item = (&'a Cohort, u32)>,
        class: DisplayClass,
    ) -> Vec<Auction> {
        let inner = self.sale.inner();
        let settings = self.sale.settings(self.channel.name());
        let title = (inner.title)(self.channel.name());
        let viewers: u64 = self.channel.status().viewers.iter().map(|(_, count)| count).sum();
        let mut context = Context {
            slot: self.name(),
            at: clock::unix_now(),
            starts_at: self.starts_at,
            counts_until: self.deadline(),
            format: self.slot.format,
            duration_ms: u32::try_from(millis(self.slot.cue.duration).as_millis()).unwrap_or(u32::MAX),
            class,
            title: title.text,
            category: None,
            tags: BTreeSet::new(),
            hashtags: self.hashtags.iter().cloned().chain(title.hashtags).collect(),
            language: None,
            engagement: self.engagement.clamp(0.0, 1e6) as u32,
            viewers: u32::try_from(viewers).unwrap_or(u32::MAX),
            blocked_categories: BTreeSet::new(),
        };
        settings.describe(&mut context);
        let (context, deals) = (Arc::new(context), settings.deals());
        let auction = |(cohort, audience): (&Cohort, u32)| Auction {
            context: Arc::clone(&context),
            cohort: cohort.clone(),
            audience,
            floor: inner.config.floor(self.slot.format),
            deals: deals.clone(),
            seed: seed(),
        };
        cohorts.map(auction).collect()
    }

    /// Asks everybody, and decides.
    pub(super) fn traces(
        &self,
        auctions: &[Auction],
        groups: &[Group],
        outside: &[Vec<Offer>],
        broken: &HashSet<u64>,
    ) -> Vec<Trace> {
        let pages = self.house(broken, None);
        let mut means = Means::new(|campaign| self.sale.balance(campaign).budget);
        let decide = |(place, (auction, outside)): (usize, (&Auction, &Vec<Offer>))| {
            let house = match groups.get(place) {
                Some(group) => offer(&self.house(broken, Some(&self.subject(group))), auction, &[]),
                None => offer(&pages, auction, &[]),
            };
            let outside = outside.iter().map(|offer| without(offer, broken));
            let offers = std::iter::once(house).chain(outside).map(|offer| means.affordable(offer));
            let trace = Trace::of(auction.clone(), offers.collect());
            trace.lot().iter().for_each(|lot| means.keep_back(lot));
            trace
        };
        auctions.iter().zip(outside).enumerate().map(decide).collect()
    }

    /// Who sees what is drawn for a group: all who get its variant.
    pub(super) fn subject(&self, group: &Group) -> Subject {
        Subject::Program(self.channel.name().clone(), group.arranged.variant(group.place).into())
    }

    /// A slot that is sold again after it was moved is another one for the ledger.
    fn name(&self) -> SlotName {
        let id = &self.slot.cue.id;
        let cue = match self.slot.cue.revision {
            1 => id.clone(),
            revision => CueId::new(&format!("{}@{revision}", cut(id.as_str()))),
        };
        SlotName { channel: self.channel.name().clone(), broadcast: self.broadcast, cue }
    }

    /// The campaigns as they stand; creatives that have just failed are not ready.
    fn house(&self, broken: &HashSet<u64>, subject: Option<&Subject>) -> House {
        let inner = self.sale.inner();
        let mut campaigns = inner.bookings.campaigns();
        if !broken.is_empty() {
            for campaign in &mut campaigns {
                let is_hit = campaign.creatives.iter().any(|creative| broken.contains(&creative.id));
                if is_hit {
                    let campaign: &mut Campaign = Arc::make_mut(campaign);
                    for creative in &mut campaign.creatives {
                        creative.is_ready &= !broken.contains(&creative.id);
                    }
                }
            }
        }
        let balance = |campaign| self.sale.balance(campaign);
        inner.market().house(&campaigns, balance, self.channel.name(), subject, clock::unix_now())
    }
}

/// An offer in which creatives that have just failed are not ready.
fn without(offer: &Offer, broken: &HashSet<u64>) -> Offer {
    let mut offer = offer.clone();
    for bid in &mut offer.bids {
        bid.is_ready &= !broken.contains(&bid.creative);
    }
    offer
}

/// Room for a revision behind it.
fn cut(id: &str) -> &str {
    &id[..id.floor_char_boundary(CueId::MAX_LEN - 12)]
}

/// Nobody can foresee who wins a tie. Without randomness the ties fall by the bids' names.
fn seed() -> u64 {
    let mut bytes = [0; 8];
    if rand::fill(&mut bytes).is_err() {
        tracing::error!("the system gives no random numbers");
    }
    u64::from_be_bytes(bytes)
}
