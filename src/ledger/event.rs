//! What happens to money, and what that comes to.

use serde::{Deserialize, Serialize};

use super::account::{Account, CampaignId};
use crate::media::{ChannelName, CueId};
use crate::money::{Money, Share};

/// A moment, in Unix milliseconds.
pub type UnixMillis = i64;
/// An entry's place in the log: from 1, without a gap.
pub type Seq = u64;

/// A slot that was sold: the entry that reserved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct SlotId(pub Seq);

/// A viewer session: 64 bits derived from the signed id of a page load or a connection, which tell it to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(transparent)]
pub struct SessionId(pub u64);

/// What a slot is to the rest of the server. It is sold once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
pub struct SlotName {
    /// The channel.
    pub channel: ChannelName,
    /// Its broadcast; a channel's later ones have higher numbers.
    pub broadcast: u64,
    /// The cue.
    pub cue: CueId,
}

/// Something that was asked of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Event {
    /// Money paid into a campaign's budget, or back out of it when negative.
    Fund {
        /// Whose budget.
        campaign: CampaignId,
        /// The payments of a campaign are numbered from 1 without a gap by who makes them: a repetition is known by that.
        number: u64,
        /// How much.
        amount: Money,
    },
    /// Money kept back for a slot.
    Reserve(Reservation),
    /// An overlay was seen by a session.
    Display {
        /// In which slot.
        slot: SlotId,
        /// Which of its lots.
        lot: u16,
        /// By whom. Each session counts once in a slot, whatever the lot.
        session: SessionId,
        /// How that is known.
        class: DisplayClass,
    },
    /// The slot ends before its time; what was seen until then may be told until the new deadline.
    Shorten {
        /// Which slot.
        slot: SlotId,
        /// When displays are no longer taken; not later than before.
        deadline: UnixMillis,
    },
    /// Nothing more is charged: what is still reserved goes back. The book does this itself at the deadline.
    Release {
        /// Which slot.
        slot: SlotId,
    },
}

/// A sale: who gets which cohort at which price.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Reservation {
    /// What is sold.
    pub slot: SlotName,
    /// What the broadcaster gets of each charge.
    pub share: Share,
    /// When displays are no longer taken and the rest goes back.
    pub deadline: UnixMillis,
    /// The winners, at least one and at most [`MAX_LOTS`].
    pub lots: Vec<Lot>,
}

/// The most cohorts of a slot that are sold apart.
pub const MAX_LOTS: usize = 256;

/// A cohort of a slot's audience, sold to one campaign.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lot {
    /// Who pays.
    pub campaign: CampaignId,
    /// Which of its creatives is shown.
    pub creative: u64,
    /// For each impression; nothing for house fill-ins.
    pub price: Money,
    /// Viewers when it was sold.
    pub audience: u32,
    /// Who they are, for reports.
    pub cohort: String,
}

/// How a display is known. The two are never mixed in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DisplayClass {
    /// The viewer's page told so, with a signed token, after frames were on screen for the required time.
    Client,
    /// Burned-in frames were written to a live session of ours.
    Server,
}

/// A movement of money: `amount`, which is positive, from `debit` to `credit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Posting {
    /// Where it was.
    pub debit: Account,
    /// Where it is.
    pub credit: Account,
    /// How much.
    pub amount: Money,
}

/// An event that was accepted, with its place in the log and what it moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// When it was accepted.
    pub at: UnixMillis,
    /// What happened.
    pub event: Event,
    /// What was moved; nothing for a free display.
    pub postings: Vec<Posting>,
    /// Of a reservation, the impressions that were reserved, for each of its lots; of a display, one if it was reserved
    /// and none if it is free.
    pub units: Vec<u32>,
}

/// The answer to an event that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// The budget after the payment.
    Funded {
        /// What may be reserved now.
        budget: Money,
    },
    /// The overlays of lots with impressions may be shown.
    Reserved {
        /// The slot.
        slot: SlotId,
        /// Impressions that are paid for, for each lot; a lot with none must not be shown.
        units: Vec<u32>,
    },
    /// The display counts: it cost this much.
    Charged(Money),
    /// The display counts and costs nothing: more saw it than was reserved for.
    Free,
    /// The slot ends earlier.
    Shortened,
    /// The slot is over, and what was not spent is back in the budgets.
    Released(Settlement),
    /// It had happened already; nothing changed.
    Repeated,
}

/// What came of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which.
    pub slot: SlotId,
    /// Its lots, in order.
    pub lots: Vec<SettledLot>,
}

/// What came of a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettledLot {
    /// Who paid.
    pub campaign: CampaignId,
    /// What was kept back.
    pub reserved: Money,
    /// What of it was spent; the rest went back.
    pub spent: Money,
}

/// Why an event changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The payment's number is not the next one.
    #[error("the payment's number is not the next one")]
    OutOfOrder,
    /// There is not so much in the budget.
    #[error("there is not so much in the budget")]
    Insufficient,
    /// None of the campaigns has the price of one impression left.
    #[error("no campaign has the price of one impression left")]
    Exhausted,
    /// No lots, too many of them, or a price below nothing.
    #[error("the reservation is malformed")]
    Malformed,
    /// The slot was sold in another way already.
    #[error("the slot is sold already")]
    Conflict,
    /// The time for it is over.
    #[error("the slot's time is over")]
    Expired,
    /// There is no such slot, or it is released.
    #[error("there is no such slot any more")]
    NoSuchSlot,
    /// The slot has no such lot, or nothing was reserved for it.
    #[error("nothing was reserved for this lot")]
    NoSuchLot,
    /// More slots are running, or more displays are told, than anybody can mean.
    #[error("there are too many")]
    TooMany,
    /// Beyond the largest number.
    #[error("the amount is beyond all numbers")]
    Overflow,
}
