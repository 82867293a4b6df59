//! The rules of money: a state that takes events and says what each moves. No store, no clock.
//!
//! Whoever drives a book keeps each entry it gives before telling anybody of its receipt. The same entries, applied in
//! their order to the same book, give the same book: that is how one is restored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use super::account::{Account, CampaignId};
use super::event::{
    DisplayClass, Entry, Event, Lot, MAX_LOTS, Posting, Receipt, Refusal, Reservation, Seq, SessionId,
    SettledLot, Settlement, SlotId, SlotName, UnixMillis,
};
use super::slot::{Seen, Slot};
use crate::media::{ChannelName, CueId};
use crate::money::Money;

/// Slots that run at one time.
const MAX_SLOTS: usize = 100_000;
/// Cues of a broadcast that are sold: three a minute for three weeks.
const MAX_SOLD: usize = 100_000;
/// Impressions are reserved for this part of the audience, in tenths: some join between the sale and the slot's end.
const RESERVED_TENTHS: u64 = 12;

/// All balances, and the slots that money is reserved for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Snapshot", into = "Snapshot")]
pub struct Book {
    seq: Seq,
    now: UnixMillis,
    accounts: BTreeMap<Account, Money>,
    /// The number of each campaign's last payment.
    payments: BTreeMap<CampaignId, u64>,
    slots: BTreeMap<SlotId, Slot>,
    /// What was sold of each channel's newest broadcast.
    sold: BTreeMap<ChannelName, Sold>,
    names: HashMap<SlotName, SlotId>,
    deadlines: BTreeSet<(UnixMillis, SlotId)>,
    /// Slots that are released, until the time they were sold for is over.
    released: BTreeSet<(UnixMillis, SlotId)>,
}

/// A book as it is written down.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    seq: Seq,
    now: UnixMillis,
    accounts: BTreeMap<Account, Money>,
    payments: BTreeMap<CampaignId, u64>,
    slots: BTreeMap<SlotId, Slot>,
    sold: BTreeMap<ChannelName, Sold>,
}

/// What was sold of a broadcast.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sold {
    broadcast: u64,
    cues: BTreeSet<CueId>,
}

/// An event that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The answer.
    pub receipt: Receipt,
    /// What is to be kept before the answer is given; `None` when nothing has changed.
    pub entry: Option<Entry>,
}

/// A log that no book of these rules has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {0} of the log does not follow from those before it")]
pub struct Inconsistent(pub Seq);

impl Book {
    /// Takes an event at a moment. Moments do not go back: an earlier one counts as the latest that was told.
    ///
    /// # Errors
    /// When the event is refused; nothing has changed then.
    pub fn apply(&mut self, event: Event, at: UnixMillis) -> Result<Applied, Refusal> {
        self.now = self.now.max(at);
        self.forget();
        match event {
            Event::Fund { campaign, number, amount } => self.fund(campaign, number, amount),
            Event::Reserve(reservation) => self.reserve(reservation),
            Event::Display { slot, lot, session, class } => self.display(slot, lot, session, class),
            Event::Shorten { slot, deadline } => self.shorten(slot, deadline),
            Event::Release { slot } => self.release(slot),
        }
    }

    /// Takes back into the books what is kept back for a slot whose deadline has come, one slot at a time: to be called
    /// until it gives nothing.
    pub fn expire(&mut self, at: UnixMillis) -> Option<Applied> {
        self.now = self.now.max(at);
        self.forget();
        let (_, slot) = *self.deadlines.first().filter(|(deadline, _)| *deadline <= self.now)?;
        self.release(slot).ok()
    }

    /// When [`expire`](Self::expire) has something to do.
    pub fn next_timeout(&self) -> Option<UnixMillis> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Takes an entry of the log, in order.
    ///
    /// # Errors
    /// When it does not follow from the entries before it.
    pub fn replay(&mut self, entry: &Entry) -> Result<(), Inconsistent> {
        let applied = self.apply(entry.event.clone(), entry.at).map_err(|_| Inconsistent(entry.seq))?;
        if applied.entry.as_ref() == Some(entry) { Ok(()) } else { Err(Inconsistent(entry.seq)) }
    }

    /// The place of the last entry; 0 before the first.
    pub const fn last_seq(&self) -> Seq {
        self.seq
    }

    /// What is on an account.
    pub fn balance(&self, account: &Account) -> Money {
        self.accounts.get(account).copied().unwrap_or_default()
    }

    /// All accounts that something was ever on.
    pub fn accounts(&self) -> impl Iterator<Item = (&Account, Money)> {
        self.accounts.iter().map(|(account, balance)| (account, *balance))
    }

    /// The number of the last payment of each campaign that was ever paid for.
    pub fn payments(&self) -> impl Iterator<Item = (CampaignId, u64)> {
        self.payments.iter().map(|(campaign, number)| (*campaign, *number))
    }

    /// Slots whose money is not released, with what each was sold as and the impressions of its lots.
    pub fn open_slots(&self) -> impl Iterator<Item = (SlotId, &Reservation, &[u32])> {
        let open = self.slots.iter().filter(|(_, slot)| !slot.is_released);
        open.map(|(id, slot)| (*id, &slot.reservation, &slot.units[..]))
    }

    fn fund(&mut self, campaign: CampaignId, number: u64, amount: Money) -> Result<Applied, Refusal> {
        let budget = Account::Budget(campaign);
        let last = self.payments.get(&campaign).copied().unwrap_or(0);
        if number == last && number > 0 {
            return Ok(Applied::repeated());
        }
        if number != last.saturating_add(1) {
            return Err(Refusal::OutOfOrder);
        }
        if amount == Money::ZERO {
            return Err(Refusal::Malformed);
        }
        let posting = if amount.is_negative() {
            let amount = Money::ZERO.checked_sub(amount).ok_or(Refusal::Overflow)?;
            Posting { debit: budget.clone(), credit: Account::Outside, amount }
        } else {
            Posting { debit: Account::Outside, credit: budget.clone(), amount }
        };
        let postings = self.post(vec![posting])?;
        self.payments.insert(campaign, number);
        let receipt = Receipt::Funded { budget: self.balance(&budget) };
        Ok(self.entry(Event::Fund { campaign, number, amount }, postings, Vec::new(), receipt))
    }

    fn reserve(&mut self, reservation: Reservation) -> Result<Applied, Refusal> {
        if let Some(id) = self.names.get(&reservation.slot) {
            let known = self.slots.get(id).ok_or(Refusal::NoSuchSlot)?;
            if known.reservation != reservation {
                return Err(Refusal::Conflict);
            }
            if known.is_released {
                return Err(Refusal::Expired);
            }
            let receipt = Receipt::Reserved { slot: *id, units: known.units.clone() };
            return Ok(Applied { receipt, entry: None });
        }
        if reservation.deadline <= self.now || self.was_sold(&reservation.slot) {
            return Err(Refusal::Expired);
        }
        let malformed = reservation.lots.is_empty()
            || reservation.lots.len() > MAX_LOTS
            || reservation.lots.iter().any(|lot| lot.price.is_negative() || lot.audience == 0);
        if malformed {
            return Err(Refusal::Malformed);
        }
        let sold = self.sold.get(&reservation.slot.channel);
        let is_full =
            |sold: &Sold| sold.cues.len() >= MAX_SOLD && sold.broadcast == reservation.slot.broadcast;
        if self.slots.len() >= MAX_SLOTS || sold.is_some_and(is_full) {
            return Err(Refusal::TooMany);
        }
        // Several lots may be of one campaign: what an earlier one takes is not there for a later one.
        let mut taken: HashMap<CampaignId, Money> = HashMap::new();
        let (mut units, mut postings) = (Vec::new(), Vec::new());
        for lot in &reservation.lots {
            let taken = taken.entry(lot.campaign).or_default();
            let budget = self.balance(&Account::Budget(lot.campaign));
            let left = budget.checked_sub(*taken).ok_or(Refusal::Overflow)?;
            let count = wanted(lot.audience).min(left.covers(lot.price));
            units.push(count);
            let amount = lot.price.checked_times(count).ok_or(Refusal::Overflow)?;
            *taken = taken.checked_add(amount).ok_or(Refusal::Overflow)?;
            if amount.is_positive() {
                let (debit, credit) = (Account::Budget(lot.campaign), Account::Reserved(lot.campaign));
                postings.push(Posting { debit, credit, amount });
            }
        }
        if units.iter().all(|count| *count == 0) {
            return Err(Refusal::Exhausted);
        }
        let postings = self.post(postings)?;
        let slot = SlotId(self.seq + 1);
        let sold = self.sold.entry(reservation.slot.channel.clone()).or_default();
        if sold.broadcast < reservation.slot.broadcast {
            *sold = Sold { broadcast: reservation.slot.broadcast, cues: BTreeSet::new() };
        }
        sold.cues.insert(reservation.slot.cue.clone());
        self.names.insert(reservation.slot.clone(), slot);
        self.deadlines.insert((reservation.deadline, slot));
        self.slots.insert(slot, Slot::new(reservation.clone(), units.clone()));
        let receipt = Receipt::Reserved { slot, units: units.clone() };
        Ok(self.entry(Event::Reserve(reservation), postings, units, receipt))
    }

    fn display(
        &mut self,
        id: SlotId,
        lot: u16,
        session: SessionId,
        class: DisplayClass,
    ) -> Result<Applied, Refusal> {
        if self.open(id)?.deadline <= self.now {
            return Err(Refusal::Expired);
        }
        let slot = self.slots.get_mut(&id).ok_or(Refusal::NoSuchSlot)?;
        let Lot { campaign, price, .. } = *slot.lot(lot)?;
        let (share, channel) = (slot.reservation.share, slot.reservation.slot.channel.clone());
        let (receipt, units, postings) = match slot.display(lot, session)? {
            Seen::Repeated => return Ok(Applied::repeated()),
            Seen::Free => (Receipt::Free, 0, Vec::new()),
            Seen::Charged => {
                let earned = share.of(price);
                let rest = price.checked_sub(earned).ok_or(Refusal::Overflow)?;
                let reserved = Account::Reserved(campaign);
                let to_broadcaster = Posting {
                    debit: reserved.clone(),
                    credit: Account::Broadcaster(channel),
                    amount: earned,
                };
                let to_platform = Posting { debit: reserved, credit: Account::Platform, amount: rest };
                let mut postings = vec![to_broadcaster, to_platform];
                postings.retain(|posting| posting.amount.is_positive());
                (Receipt::Charged(price), 1, postings)
            }
        };
        // What was reserved is there, and nobody earns more than was paid in: this is not refused.
        let postings = self.post(postings)?;
        let event = Event::Display { slot: id, lot, session, class };
        Ok(self.entry(event, postings, vec![units], receipt))
    }

    fn shorten(&mut self, id: SlotId, deadline: UnixMillis) -> Result<Applied, Refusal> {
        let before = self.open(id)?.deadline;
        if deadline <= self.now {
            return self.release(id);
        }
        if deadline >= before {
            return Ok(Applied::repeated());
        }
        self.deadlines.remove(&(before, id));
        self.deadlines.insert((deadline, id));
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.deadline = deadline;
        }
        let receipt = Receipt::Shortened;
        Ok(self.entry(Event::Shorten { slot: id, deadline }, Vec::new(), Vec::new(), receipt))
    }

    fn release(&mut self, id: SlotId) -> Result<Applied, Refusal> {
        let slot = self.open(id)?;
        let deadline = slot.deadline;
        let lots: Vec<SettledLot> = slot.settlement().collect();
        let mut rests: BTreeMap<CampaignId, Money> = BTreeMap::new();
        for lot in &lots {
            let rest = lot.reserved.checked_sub(lot.spent).ok_or(Refusal::Overflow)?;
            let sum = rests.entry(lot.campaign).or_default();
            *sum = sum.checked_add(rest).ok_or(Refusal::Overflow)?;
        }
        rests.retain(|_, rest| rest.is_positive());
        let back = |(campaign, amount): (CampaignId, Money)| Posting {
            debit: Account::Reserved(campaign),
            credit: Account::Budget(campaign),
            amount,
        };
        let postings = self.post(rests.into_iter().map(back).collect())?;
        self.deadlines.remove(&(deadline, id));
        if let Some(slot) = self.slots.get_mut(&id) {
            slot.release();
            self.released.insert((slot.reservation.deadline, id));
        }
        let receipt = Receipt::Released(Settlement { slot: id, lots });
        Ok(self.entry(Event::Release { slot: id }, postings, Vec::new(), receipt))
    }

    /// Whether the cue was sold, or is of a broadcast before the newest.
    fn was_sold(&self, slot: &SlotName) -> bool {
        self.sold.get(&slot.channel).is_some_and(|sold| {
            slot.broadcast < sold.broadcast
                || slot.broadcast == sold.broadcast && sold.cues.contains(&slot.cue)
        })
    }

    fn open(&self, id: SlotId) -> Result<&Slot, Refusal> {
        self.slots.get(&id).filter(|slot| !slot.is_released).ok_or(Refusal::NoSuchSlot)
    }

    /// Moves money: all postings or none.
    fn post(&mut self, postings: Vec<Posting>) -> Result<Vec<Posting>, Refusal> {
        let mut changed: BTreeMap<&Account, Money> = BTreeMap::new();
        for Posting { debit, credit, amount } in &postings {
            let balance = changed.entry(debit).or_insert_with(|| self.balance(debit));
            *balance = balance.checked_sub(*amount).ok_or(Refusal::Overflow)?;
            let balance = changed.entry(credit).or_insert_with(|| self.balance(credit));
            *balance = balance.checked_add(*amount).ok_or(Refusal::Overflow)?;
        }
        if changed.iter().any(|(account, balance)| account.is_prepaid() && balance.is_negative()) {
            return Err(Refusal::Insufficient);
        }
        for (account, balance) in changed {
            self.accounts.insert(account.clone(), balance);
        }
        Ok(postings)
    }

    fn entry(&mut self, event: Event, postings: Vec<Posting>, units: Vec<u32>, receipt: Receipt) -> Applied {
        self.seq += 1;
        Applied { receipt, entry: Some(Entry { seq: self.seq, at: self.now, event, postings, units }) }
    }

    /// Forgets slots that are released and whose time is over; that they were sold is not forgotten.
    fn forget(&mut self) {
        while let Some((_, id)) = self.released.first().filter(|(end, _)| *end <= self.now).copied() {
            self.released.pop_first();
            if let Some(slot) = self.slots.remove(&id) {
                self.names.remove(&slot.reservation.slot);
            }
        }
    }
}

impl Applied {
    const fn repeated() -> Self {
        Self { receipt: Receipt::Repeated, entry: None }
    }
}

/// Impressions that are reserved for an audience if the budget has them.
pub(crate) fn wanted(audience: u32) -> u32 {
    let tenths = u64::from(audience) * RESERVED_TENTHS;
    u32::try_from(tenths.div_ceil(10)).unwrap_or(u32::MAX)
}

impl From<Snapshot> for Book {
    fn from(Snapshot { seq, now, accounts, payments, slots, sold }: Snapshot) -> Self {
        let names = slots.iter().map(|(id, slot)| (slot.reservation.slot.clone(), *id)).collect();
        let of = |released: bool| slots.iter().filter(move |(_, slot)| slot.is_released == released);
        let deadlines = of(false).map(|(id, slot)| (slot.deadline, *id)).collect();
        let released = of(true).map(|(id, slot)| (slot.reservation.deadline, *id)).collect();
        Self { seq, now, accounts, payments, slots, sold, names, deadlines, released }
    }
}

impl From<Book> for Snapshot {
    fn from(Book { seq, now, accounts, payments, slots, sold, .. }: Book) -> Self {
        Self { seq, now, accounts, payments, slots, sold }
    }
}
