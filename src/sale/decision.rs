//! A slot's auction: the audience is taken, bidders are asked, the trace is kept and the money reserved, both durable; only
//! then may anything be shown.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::audience::{Audience, Group};
use super::exchange::account::is_bidders;
use super::guided::{Shown, Standing};
use super::record::{CueNumber, Outcome, Sold, Stage};
use super::server::Sale;
use super::slots::{Burned, Live};
use super::variants::Variants;
use crate::auction::bid::LossReason;
use crate::auction::external::External;
use crate::auction::sale::{self, deadline};
use crate::auction::{Cohorts, Subject, Trace};
use crate::clock;
use crate::cue::Slot;
use crate::hub::Channel;
use crate::ledger::{DisplayClass, Event, LedgerError, Lot, Receipt, Refusal, SlotId, UnixMillis};
use crate::media::MediaTime;
use crate::money::Money;
use crate::overlay::Image;

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

/// A sale that may be shown: its trace and its money are durable.
struct Secured {
    slot: SlotId,
    lots: Vec<Lot>,
    /// Impressions that are paid for, for each lot.
    units: Vec<u32>,
    /// For each lot, the place of its trace.
    places: Vec<usize>,
    /// What is to be drawn, by lot.
    images: HashMap<usize, Image>,
}

/// Why a sale may not be shown.
enum Setback {
    /// A creative is broken, or a budget was used up meanwhile: decided again it may come to something.
    Again,
    /// Nothing will come of it.
    Final(LossReason, Outcome),
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
        let audience = self.audience()?;
        let groups = audience.burned.iter().map(|group| (&group.cohort, group.count));
        let mut auctions = self.auctions(groups, DisplayClass::Server);
        let pages = audience.guided.iter().flat_map(Cohorts::groups);
        auctions.extend(self.auctions(pages, DisplayClass::Client));
        let outside = inner.exchange.offers(&auctions, clock::monotonic() + inner.config.deadline).await;
        let mut broken = HashSet::new();
        let mut attempts = 1..=ATTEMPTS;
        loop {
            attempts.next();
            let traces = self.traces(&auctions, &audience.burned, &outside, &broken);
            let Some(sale) = sale::Sale::of(&traces, inner.config.share(), self.deadline()) else {
                inner.exchange.tell(&traces, |_| None);
                inner.records.change(self.number, |record| record.traces = kept_of(&traces));
                return Err(Outcome::NoBid);
            };
            let (why, outcome) = match self.secure(sale, &traces, &audience.burned, &mut broken).await {
                Ok(secured) => match self.place(secured, &traces, audience).await {
                    Some(sold) => return Ok(Decided::Sold(Box::new(sold))),
                    None => (LossReason::Unsold, Outcome::NoBid),
                },
                Err(Setback::Again) if !attempts.is_empty() => continue,
                Err(Setback::Again) => (LossReason::Unsold, Outcome::NoBid),
                Err(Setback::Final(why, outcome)) => (why, outcome),
            };
            inner.exchange.tell(&traces, |_| Some(why));
            return Err(outcome);
        }
    }

    /// Has ready what is to be drawn, and makes trace and money durable: from then on it may be shown.
    async fn secure(
        &self,
        sale: sale::Sale,
        traces: &[Trace],
        groups: &[Group],
        broken: &mut HashSet<u64>,
    ) -> Result<Secured, Setback> {
        let inner = self.sale.inner();
        let Ok(images) = self.images(&sale, groups, broken).await else {
            inner.records.change(self.number, |record| record.traces = kept_of(traces));
            return Err(Setback::Again);
        };
        let sale::Sale { reservation, traces: places } = sale;
        let lots = reservation.lots.clone();
        let kept = inner.records.keep(self.number, |record| record.traces = kept_of(traces));
        let reserved = inner.ledger.submit(Event::Reserve(reservation));
        let (kept, reserved) = tokio::join!(kept, reserved);
        let unkept = |why: String| Setback::Final(LossReason::Unsold, Outcome::Unkept { why });
        let (slot, units) = match reserved {
            Ok(Receipt::Reserved { slot, units }) => (slot, units),
            // Other channels were faster.
            Err(LedgerError::Refused(Refusal::Exhausted)) => return Err(Setback::Again),
            Ok(other) => return Err(unkept(format!("the ledger says {other:?}"))),
            Err(error) => return Err(unkept(error.to_string())),
        };
        if let Err(why) = kept {
            self.release(slot).await;
            return Err(unkept(why));
        }
        if self.is_late() {
            self.release(slot).await;
            return Err(Setback::Final(LossReason::Expired, Outcome::Late));
        }
        for (lot, count) in lots.iter().zip(&units) {
            let amount = lot.price.checked_times(*count).unwrap_or(Money::ZERO);
            inner.market().reserved(lot.campaign, amount);
        }
        Ok(Secured { slot, lots, units, places, images })
    }

    /// Has shown what was sold: drawn for the programme's groups, and by pages. `None` when caps and separation leave nothing.
    async fn place(
        &self,
        secured: Secured,
        traces: &[Trace],
        audience: Audience,
    ) -> Option<(Live, Option<Standing>)> {
        let inner = self.sale.inner();
        let Secured { slot, lots, units, places, mut images } = secured;
        let is_paid = |lot: usize| units.get(lot).is_some_and(|count| *count > 0);
        let lot_of_trace = |trace: usize| places.iter().position(|place| *place == trace);
        let burned = audience.burned.len();
        let mut overlays = Vec::new();
        for (trace, group) in audience.burned.into_iter().enumerate() {
            let lot = lot_of_trace(trace).filter(|lot| is_paid(*lot));
            if let Some(lot) = lot
                && let Some(image) = images.remove(&lot)
                && self.grant(slot, &lots, lot, self.subject(&group))
            {
                let number = u16::try_from(lot).unwrap_or(u16::MAX);
                let Group { place, arranged, time, .. } = group;
                overlays.push(Burned::new(time.show(image), number, place, &arranged));
            }
        }
        let standing = audience.guided.map(|cohorts| {
            let lot_of = |place: usize| {
                let lot = lot_of_trace(burned + place)?;
                let external = traces.get(burned + place).and_then(external);
                self.shown(&lots, lot, external).filter(|_| is_paid(lot))
            };
            let lots: Vec<Option<Shown>> = (0..cohorts.groups().count()).map(lot_of).collect();
            self.standing(slot, cohorts, lots)
        });
        let standing = standing.filter(|standing| standing.lots.iter().any(Option::is_some));
        if overlays.is_empty() && standing.is_none() {
            self.release(slot).await;
            return None;
        }
        inner.exchange.sold(slot, traces, &places);
        // Whoever has won what nothing could be kept back for has won nothing.
        let unpaid = |lot: usize| (!is_paid(lot)).then_some(LossReason::Unsold);
        inner.exchange.tell(traces, |trace| lot_of_trace(trace).and_then(unpaid));
        inner.records.change(self.number, |record| {
            record.stage = Stage::Sold;
            let overlays = overlays.iter().map(|burned| burned.overlay.0.to_string()).collect();
            record.sold = Some(Sold { slot, units, traces: places, overlays });
        });
        Some((Live::new(slot, &self.slot, overlays, standing.is_some(), self.deadline()), standing))
    }

    /// Whether the programme may show a lot, by caps and separation: that is so unless another slot was faster.
    fn grant(&self, slot: SlotId, lots: &[Lot], lot: usize, subject: Subject) -> bool {
        let inner = self.sale.inner();
        let Some(sold) = lots.get(lot) else { return false };
        // Bidders outside have no caps here.
        is_bidders(sold.campaign)
            || inner.bookings.campaign(sold.campaign).is_some_and(|campaign| {
                inner.market().expose(&campaign, self.channel.name(), subject, slot, clock::unix_now())
            })
    }

    /// When the ledger takes no more displays.
    pub(super) fn deadline(&self) -> UnixMillis {
        deadline(self.starts_at, millis(self.slot.cue.duration), self.sale.inner().config.max_viewer_delay)
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

/// What is written down of an auction.
fn kept_of(traces: &[Trace]) -> Vec<Trace> {
    traces.iter().map(Trace::to_keep).collect()
}

/// What the winner's bidder says, if it came from outside.
fn external(trace: &Trace) -> Option<&External> {
    let place = trace.decision.winner?;
    trace.offers.get(place.offer)?.external.get(place.bid)
}

pub(super) fn millis(duration: Option<MediaTime>) -> Duration {
    let millis = duration.unwrap_or(MediaTime::ZERO).as_millis();
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}
