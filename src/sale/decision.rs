//! A slot's auction: the audience is taken, bidders are asked, the trace is kept and the money reserved, both durable; only
//! then may anything be shown.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand;

use super::exchange::account::is_bidders;
use super::record::{CueNumber, Outcome, Sold, Stage};
use super::server::Sale;
use crate::auction::bidder::house::House;
use crate::auction::bidder::offer;
use crate::auction::cohort::Cohort;
use crate::auction::sale::{self, deadline};
use crate::auction::{Auction, Campaign, Cohorts, Context, Offer, Subject, Trace};
use crate::clock;
use crate::cue::Slot;
use crate::hub::Channel;
use crate::ledger::{
    CampaignId, DisplayClass, Event, LedgerError, Receipt, Refusal, SessionId, SlotId, SlotName, UnixMillis,
};
use crate::media::{CueId, MediaTime};
use crate::money::Money;
use crate::overlay::{Image, Reserved, Wanted};

/// The audience of a programme that is the same for all is one cohort.
const VARIANTS: usize = 1;
/// How often a slot is decided again when the winner cannot be shown or paid for.
const ATTEMPTS: usize = 3;

/// What a decision is made of, beside what the sale itself knows.
pub(super) struct Job {
    pub sale: Sale,
    pub channel: Arc<Channel>,
    pub broadcast: u64,
    /// The wall clock at media time zero.
    pub epoch: UnixMillis,
    pub number: CueNumber,
    pub slot: Slot,
    /// Hashtags of the moment, the title's apart.
    pub hashtags: BTreeSet<Arc<str>>,
    /// How far the audience stands out.
    pub engagement: f64,
}

/// What was decided.
pub(super) enum Decided {
    /// An overlay is on its way.
    Sold(OnItsWay),
    /// There will be none.
    Unsold(Outcome),
}

/// An overlay that was sold.
pub(super) struct OnItsWay {
    pub slot: SlotId,
    pub overlay: crate::av::worker::ipc::OverlayId,
    /// When it was sold to begin.
    pub start: MediaTime,
    /// When the ledger takes no more displays.
    pub deadline: UnixMillis,
}

impl Job {
    /// Decides.
    pub async fn run(self) -> Decided {
        let begun = clock::monotonic();
        let decided = self.decide().await;
        let took = clock::monotonic().saturating_duration_since(begun);
        self.sale.inner().metrics.decision.observe(took.as_secs_f64());
        decided.unwrap_or_else(Decided::Unsold)
    }

    async fn decide(&self) -> Result<Decided, Outcome> {
        let inner = self.sale.inner();
        let duration = millis(self.slot.cue.duration);
        let wanted = Wanted { format: self.slot.format, start: Some(self.slot.cue.start), duration };
        // A worker catches up with the source in the meantime.
        let place = inner.overlays.reserve(&self.channel, wanted);
        let place = place.map_err(|error| Outcome::NoPlace { why: error.to_string() })?;
        let sessions: Vec<SessionId> =
            self.channel.audience().iter().map(|watching| SessionId(watching.session)).collect();
        if sessions.is_empty() {
            return Err(Outcome::NoAudience);
        }
        // Whoever watches the programme sees the same: of nobody apart is anything known or told.
        let audience = sessions.iter().map(|_| Cohort::everybody());
        let cohorts = Cohorts::group(audience, inner.config.k, VARIANTS);
        let auctions = self.auctions(&cohorts);
        let outside = inner.exchange.offers(&auctions, clock::monotonic() + inner.config.deadline).await;
        let mut broken = HashSet::new();
        for _ in 0..ATTEMPTS {
            let house = self.house(&broken);
            let traces: Vec<Trace> = auctions
                .iter()
                .zip(&outside)
                .map(|(auction, outside)| {
                    let house = offer(&house, auction, &[]);
                    let outside = outside.iter().map(|offer| without(offer, &broken));
                    Trace::of(auction.clone(), std::iter::once(house).chain(outside).collect())
                })
                .collect();
            let start = self.epoch.saturating_add(self.slot.cue.start.as_millis());
            let deadline = deadline(start, duration, inner.config.max_viewer_delay);
            let Some(sale) = sale::Sale::of(&traces, inner.config.share(), deadline) else {
                inner.exchange.tell(&traces);
                inner.records.change(self.number, |record| record.traces = traces);
                return Err(Outcome::NoBid);
            };
            let Some(lot) = sale.reservation.lots.first().cloned() else { return Err(Outcome::NoBid) };
            let Some(image) = self.image(&place, lot.campaign, lot.creative).await else {
                broken.insert(lot.creative);
                inner.records.change(self.number, |record| record.traces = traces);
                continue;
            };
            let places = sale.traces.clone();
            let kept = inner.records.keep(self.number, |record| record.traces.clone_from(&traces));
            let reserved = inner.ledger.submit(Event::Reserve(sale.reservation));
            let (kept, reserved) = tokio::join!(kept, reserved);
            let (slot, units) = match reserved {
                Ok(Receipt::Reserved { slot, units }) => (slot, units),
                // Other channels were faster.
                Err(LedgerError::Refused(Refusal::Exhausted)) => continue,
                Ok(other) => return Err(unkept(format!("the ledger says {other:?}"))),
                Err(error) => return Err(unkept(error.to_string())),
            };
            if let Err(why) = kept {
                self.release(slot).await;
                return Err(unkept(why));
            }
            if units.first() == Some(&0) || self.is_late() {
                self.release(slot).await;
                return Err(Outcome::Late);
            }
            let campaign = house.candidates.iter().find(|candidate| candidate.campaign.id == lot.campaign);
            if let Some(candidate) = campaign {
                let count = units.first().copied().unwrap_or(0);
                let amount = lot.price.checked_times(count).unwrap_or(Money::ZERO);
                inner.market().granted(
                    &candidate.campaign,
                    amount,
                    self.channel.name(),
                    self.subject(),
                    now(),
                );
            }
            inner.exchange.sold(slot, &traces, &places);
            inner.exchange.tell(&traces);
            let overlay = place.show(image);
            inner.records.change(self.number, |record| {
                record.stage = Stage::Sold;
                record.sold =
                    Some(Sold { slot, units, traces: places, overlay: Some(overlay.0.to_string()) });
            });
            return Ok(Decided::Sold(OnItsWay { slot, overlay, start: self.slot.cue.start, deadline }));
        }
        Err(Outcome::NoBid)
    }

    /// An auction for each cohort.
    fn auctions(&self, cohorts: &Cohorts) -> Vec<Auction> {
        let inner = self.sale.inner();
        let settings = self.sale.settings(self.channel.name());
        let title = (inner.title)(self.channel.name());
        let viewers: u64 = self.channel.status().viewers.iter().map(|(_, count)| count).sum();
        let mut context = Context {
            slot: self.name(),
            at: now(),
            format: self.slot.format,
            duration_ms: u32::try_from(millis(self.slot.cue.duration).as_millis()).unwrap_or(u32::MAX),
            class: DisplayClass::Server,
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
        cohorts.groups().map(auction).collect()
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

    fn subject(&self) -> Subject {
        Subject::Program(self.channel.name().clone(), 0)
    }

    /// The campaigns as they stand; creatives that have just failed are not ready.
    fn house(&self, broken: &HashSet<u64>) -> House {
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
        inner.market().house(&campaigns, balance, self.channel.name(), &self.subject(), now())
    }

    async fn image(&self, place: &Reserved, campaign: CampaignId, creative: u64) -> Option<Image> {
        let inner = self.sale.inner();
        let fit = place.fit();
        if let Some(image) = inner.images.find(campaign, creative, fit) {
            return Some(image);
        }
        let file = match is_bidders(campaign) {
            true => inner.exchange.creative(campaign, creative)?.file.clone(),
            false => inner.bookings.creative_file(creative)?.bytes.clone(),
        };
        match inner.overlays.decode(file, fit).await {
            Ok(image) => {
                inner.images.keep(campaign, creative, fit, image.clone());
                Some(image)
            }
            Err(error) => {
                tracing::error!(channel = %self.channel.name(), creative, %error, "a creative cannot be shown");
                None
            }
        }
    }

    /// Whether the slot cannot be shown whole any more.
    fn is_late(&self) -> bool {
        let newest = self.channel.newest().map_or(MediaTime::ZERO, |(_, newest)| newest);
        newest > self.slot.cue.start
    }

    async fn release(&self, slot: SlotId) {
        if let Err(error) = self.sale.inner().ledger.submit(Event::Release { slot }).await {
            tracing::warn!(channel = %self.channel.name(), %error, "what was reserved comes back at its deadline");
        }
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

const fn unkept(why: String) -> Outcome {
    Outcome::Unkept { why }
}

fn now() -> UnixMillis {
    clock::unix_millis(clock::wall())
}

fn millis(duration: Option<MediaTime>) -> Duration {
    let millis = duration.unwrap_or(MediaTime::ZERO).as_millis();
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
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
