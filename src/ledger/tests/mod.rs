//! The rules, alone and on every prefix of random logs; the contract of stores; the writer on stores that fail.

mod contract;
mod property;
mod rules;
mod writer;

use super::book::{Applied, Book};
use super::event::{DisplayClass, Event, Lot, Receipt, Reservation, SessionId, SlotId, SlotName};
use super::{Account, CampaignId};
use crate::media::CueId;
use crate::money::{Money, Share};

pub(super) const CLIENT: DisplayClass = DisplayClass::Client;

pub(super) fn nanos(nanos: i64) -> Money {
    Money::from_nanos(nanos)
}

pub(super) fn fund(campaign: u64, number: u64, amount: i64) -> Event {
    Event::Fund { campaign: CampaignId(campaign), number, amount: nanos(amount) }
}

pub(super) fn name(cue: &str) -> SlotName {
    SlotName { channel: "kitchen".parse().unwrap(), broadcast: 1, cue: CueId::new(cue) }
}

pub(super) fn lot(campaign: u64, price: i64, audience: u32) -> Lot {
    Lot { campaign: CampaignId(campaign), creative: 1, price: nanos(price), audience, cohort: "all".into() }
}

/// A sale in which the broadcaster gets 55 % and displays are taken until `deadline`.
pub(super) fn reservation(cue: &str, deadline: i64, lots: Vec<Lot>) -> Reservation {
    Reservation { slot: name(cue), share: Share::percent(55), deadline, lots }
}

pub(super) fn display(slot: SlotId, lot: u16, session: u64) -> Event {
    Event::Display { slot, lot, session: SessionId(session), class: CLIENT }
}

/// The slot and the units of a receipt.
pub(super) fn reserved(receipt: Receipt) -> (SlotId, Vec<u32>) {
    match receipt {
        Receipt::Reserved { slot, units } => (slot, units),
        other => panic!("no reservation: {other:?}"),
    }
}

pub(super) fn budget(book: &Book, campaign: u64) -> i64 {
    book.balance(&Account::Budget(CampaignId(campaign))).as_nanos()
}

pub(super) fn kept_back(book: &Book, campaign: u64) -> i64 {
    book.balance(&Account::Reserved(CampaignId(campaign))).as_nanos()
}

/// A receipt of something that happened.
pub(super) fn new(applied: Applied) -> Receipt {
    assert!(applied.entry.is_some(), "{applied:?} changes nothing");
    applied.receipt
}
