//! A slot's auction: the audience is taken, bidders are asked, the trace is kept and the money reserved, both durable; only
//! then may anything be shown.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand;

use super::audience::Group;
use super::exchange::account::is_bidders;
use super::guided::{Shown, Standing};
use super::record::{CueNumber, Outcome, Sold, Stage};
use super::server::Sale;
use super::slots::{Burned, Live};
use super::variants::Variants;
use crate::auction::bid::LossReason;
use crate::auction::bidder::house::House;
use crate::auction::bidder::offer;
use crate::auction::external::External;
use crate::auction::sale::{self, deadline};
use crate::auction::{Auction, Campaign, Cohorts, Context, Offer, Subject, Trace};
use crate::clock;
use crate::cue::Slot;
use crate::hub::Channel;
use crate::ledger::{
    CampaignId, DisplayClass, Event, LedgerError, Lot, Receipt, Refusal, SlotId, SlotName, UnixMillis,
};
use crate::media::{Cohort, CueId, MediaTime};
use crate::money::Money;
use crate::overlay::{Image, Reserved};

/// How often a slot is decided again when the winner cannot be shown or paid for.
const ATTEMPTS: usize = 3;

/// What a decision is made of, beside what the sale itself knows.
pub(super) struct Job {
    pub sale: Sale,
    pub channel: Arc<Channel>,
    pub broadcast: u64,
    /// The wall clock at media time zero.
    pub began_at: UnixMillis,
    /// When the slot begins, on the wall clock.
    pub starts_at: UnixMillis,
    pub number: CueNumber,
    pub slot: Slot,
    /// Hashtags of the moment, the title's apart.
    pub hashtags: BTreeSet<Arc<str>>,
    /// How far the audience stands out.
    pub engagement: f64,
    /// Which groups of the programme's viewers get which variant of it.
    pub variants: Arc<Mutex<Variants>>,
}

/// What was decided.
pub(super) enum Decided {
    /// An overlay is on its way, and perhaps what pages draw.
    Sold(Box<(Live, Option<Standing>)>),
    /// There will be none.
    Unsold(Outcome),
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
        let mut audience = self.audience()?;
        let groups = audience.burned.iter().map(|group| (&group.cohort, group.count));
        let mut auctions = self.auctions(groups, DisplayClass::Server);
        let burned = auctions.len();
        let pages = audience.guided.iter().flat_map(Cohorts::groups);
        auctions.extend(self.auctions(pages, DisplayClass::Client));
        let outside = inner.exchange.offers(&auctions, clock::monotonic() + inner.config.deadline).await;
        let mut broken = HashSet::new();
        let mut attempts = ATTEMPTS;
        loop {
            let traces = self.traces(&auctions, &audience.burned, &outside, &broken);
            let deadline = self.deadline();
            let Some(sale) = sale::Sale::of(&traces, inner.config.share(), deadline) else {
                inner.exchange.tell(&traces, |_| None);
                inner.records.change(self.number, |record| record.traces = traces);
                return Err(Outcome::NoBid);
            };
            let unsold = |why, outcome| {
                inner.exchange.tell(&traces, |_| Some(why));
                Err(outcome)
            };
            attempts -= 1;
            let lots = sale.reservation.lots.clone();
            let Ok(mut images) = self.images(&sale, &audience.burned, &mut broken).await else {
                inner.records.change(self.number, |record| record.traces.clone_from(&traces));
                if attempts == 0 {
                    return unsold(LossReason::Unsold, Outcome::NoBid);
                }
                continue;
            };
            let places = sale.traces.clone();
            let kept = inner.records.keep(self.number, |record| record.traces.clone_from(&traces));
            let reserved = inner.ledger.submit(Event::Reserve(sale.reservation));
            let (kept, reserved) = tokio::join!(kept, reserved);
            let (slot, units) = match reserved {
                Ok(Receipt::Reserved { slot, units }) => (slot, units),
                // Other channels were faster.
                Err(LedgerError::Refused(Refusal::Exhausted)) if attempts > 0 => continue,
                Err(LedgerError::Refused(Refusal::Exhausted)) => {
                    return unsold(LossReason::Unsold, Outcome::NoBid);
                }
                Ok(other) => {
                    return unsold(LossReason::Unsold, unkept(format!("the ledger says {other:?}")));
                }
                Err(error) => return unsold(LossReason::Unsold, unkept(error.to_string())),
            };
            if let Err(why) = kept {
                self.release(slot).await;
                return unsold(LossReason::Unsold, unkept(why));
            }
            if self.is_late() {
                self.release(slot).await;
                return unsold(LossReason::Expired, Outcome::Late);
            }
            for (lot, count) in lots.iter().zip(&units) {
                let amount = lot.price.checked_times(*count).unwrap_or(Money::ZERO);
                inner.market().reserved(lot.campaign, amount);
            }
            let is_paid = |lot: usize| units.get(lot).is_some_and(|count| *count > 0);
            let mut overlays = Vec::new();
            let lot_of_trace = |trace: usize| places.iter().position(|place| *place == trace);
            for (trace, group) in std::mem::take(&mut audience.burned).into_iter().enumerate() {
                let lot = lot_of_trace(trace).filter(|lot| is_paid(*lot));
                if let Some(lot) = lot
                    && let Some(image) = images.remove(&lot)
                    && self.grant(&lots, lot, self.subject(&group))
                {
                    let number = u16::try_from(lot).unwrap_or(u16::MAX);
                    let Group { place, arranged, time, .. } = group;
                    overlays.push(Burned::new(time.show(image), number, place, &arranged));
                }
            }
            let shown = audience.guided.take().map(|cohorts| {
                let lot_of = |place: usize| {
                    let lot = lot_of_trace(burned + place)?;
                    let external = traces.get(burned + place).and_then(external);
                    self.shown(&lots, lot, external).filter(|_| is_paid(lot))
                };
                let lots: Vec<Option<Shown>> = (0..cohorts.groups().count()).map(lot_of).collect();
                self.standing(slot, deadline, cohorts, lots)
            });
            let shown = shown.filter(|standing| standing.lots.iter().any(Option::is_some));
            if overlays.is_empty() && shown.is_none() {
                self.release(slot).await;
                return unsold(LossReason::Unsold, Outcome::NoBid);
            }
            inner.exchange.sold(slot, &traces, &places);
            // Whoever has won what nothing could be kept back for has won nothing.
            let unpaid = |lot: usize| (!is_paid(lot)).then_some(LossReason::Unsold);
            inner.exchange.tell(&traces, |trace| lot_of_trace(trace).and_then(unpaid));
            inner.records.change(self.number, |record| {
                record.stage = Stage::Sold;
                let overlays = overlays.iter().map(|burned| burned.overlay.0.to_string()).collect();
                record.sold = Some(Sold { slot, units, traces: places, overlays });
            });
            let live = Live::new(slot, &self.slot, overlays, shown.is_some(), deadline);
            return Ok(Decided::Sold(Box::new((live, shown))));
        }
    }

    /// Decodes what is to be drawn for each lot of the programme's viewers.
    ///
    /// # Errors
    /// When a creative cannot be shown: it is broken from now on.
    async fn images(
        &self,
        sale: &sale::Sale,
        groups: &[Group],
        broken: &mut HashSet<u64>,
    ) -> Result<HashMap<usize, Image>, ()> {
        let mut images = HashMap::new();
        for (number, (lot, place)) in sale.reservation.lots.iter().zip(&sale.traces).enumerate() {
            let Some(group) = groups.get(*place) else { continue };
            let image = self.image(&group.time, lot.campaign, lot.creative).await;
            let Some(image) = image else {
                broken.insert(lot.creative);
                return Err(());
            };
            images.insert(number, image);
        }
        Ok(images)
    }

    /// Asks everybody, and decides.
    fn traces(
        &self,
        auctions: &[Auction],
        groups: &[Group],
        outside: &[Vec<Offer>],
        broken: &HashSet<u64>,
    ) -> Vec<Trace> {
        let pages = self.house(broken, None);
        let decide = |(place, (auction, outside)): (usize, (&Auction, &Vec<Offer>))| {
            let house = match groups.get(place) {
                Some(group) => offer(&self.house(broken, Some(&self.subject(group))), auction, &[]),
                None => offer(&pages, auction, &[]),
            };
            let outside = outside.iter().map(|offer| without(offer, broken));
            Trace::of(auction.clone(), std::iter::once(house).chain(outside).collect())
        };
        auctions.iter().zip(outside).enumerate().map(decide).collect()
    }

    /// Whether the programme may show a lot, by caps and separation: that is so unless another slot was faster.
    fn grant(&self, lots: &[Lot], lot: usize, subject: Subject) -> bool {
        let inner = self.sale.inner();
        let Some(sold) = lots.get(lot) else { return false };
        // Bidders outside have no caps here.
        is_bidders(sold.campaign)
            || inner.bookings.campaign(sold.campaign).is_some_and(|campaign| {
                inner.market().expose(&campaign, self.channel.name(), subject, clock::unix_now())
            })
    }

    /// What pages draw of a lot. `external` is what its bidder says, if it came from outside.
    fn shown(&self, lots: &[Lot], lot: usize, external: Option<&External>) -> Option<Shown> {
        let inner = self.sale.inner();
        let sold = lots.get(lot)?;
        let lot = u16::try_from(lot).ok()?;
        if is_bidders(sold.campaign) {
            let creative = inner.exchange.creative(sold.campaign, sold.creative)?;
            let external = external?;
            let domain = external.advertiser_domains.first().map(AsRef::as_ref);
            return Some(Shown {
                lot,
                campaign: None,
                creative: sold.creative,
                image: format!("/creatives/{}/{}", sold.campaign, sold.creative),
                media_type: creative.media_type().as_str(),
                is_clickable: inner.exchange.is_clickable(sold.campaign, sold.creative, external),
                advertiser: domain.unwrap_or(creative.host()).to_owned(),
            });
        }
        let file = inner.bookings.creative_file(sold.creative)?;
        let advertiser = inner.bookings.booking(sold.campaign)?.advertiser;
        Some(Shown {
            lot,
            campaign: Some(inner.bookings.campaign(sold.campaign)?),
            creative: sold.creative,
            image: format!("/api/v1/creatives/{}/image", sold.creative),
            media_type: file.media_type.as_str(),
            is_clickable: file.click_url.is_some(),
            advertiser: inner.bookings.advertiser(advertiser)?.name,
        })
    }

    fn standing(
        &self,
        slot: SlotId,
        deadline: UnixMillis,
        cohorts: Cohorts,
        lots: Vec<Option<Shown>>,
    ) -> Standing {
        let start = self.slot.cue.start;
        let duration = self.slot.cue.duration.unwrap_or(MediaTime::ZERO);
        Standing {
            cue: self.number,
            revision: self.slot.cue.revision,
            slot,
            format: self.slot.format,
            start,
            end: start + duration,
            duration,
            began_at: self.began_at,
            starts_at: self.starts_at,
            deadline,
            cohorts,
            lots,
            granted: HashSet::new(),
        }
    }

    /// When the ledger takes no more displays.
    fn deadline(&self) -> UnixMillis {
        deadline(self.starts_at, millis(self.slot.cue.duration), self.sale.inner().config.max_viewer_delay)
    }

    /// An auction for each cohort.
    fn auctions<'a>(
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

    /// A slot that is sold again after it was moved is another one for the ledger.
    fn name(&self) -> SlotName {
        let id = &self.slot.cue.id;
        let cue = match self.slot.cue.revision {
            1 => id.clone(),
            revision => CueId::new(&format!("{}@{revision}", cut(id.as_str()))),
        };
        SlotName { channel: self.channel.name().clone(), broadcast: self.broadcast, cue }
    }

    /// Who sees what is drawn for a group: all who get its variant.
    fn subject(&self, group: &Group) -> Subject {
        Subject::Program(self.channel.name().clone(), group.arranged.variant(group.place).into())
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

/// What the winner's bidder says, if it came from outside.
fn external(trace: &Trace) -> Option<&External> {
    let place = trace.decision.winner?;
    trace.offers.get(place.offer)?.external.get(place.bid)
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

pub(super) fn millis(duration: Option<MediaTime>) -> Duration {
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
