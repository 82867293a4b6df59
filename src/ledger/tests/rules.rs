//! What each event does, and what it is refused for.

use super::*;
use crate::ledger::event::{Refusal, SettledLot, Settlement};

fn funded(amount: i64) -> Book {
    let mut book = Book::default();
    new(book.apply(fund(1, 1, amount), 0).unwrap());
    book
}

/// The receipt of a slot with one lot of the first campaign.
fn released(slot: SlotId, reserved: i64, spent: i64) -> Receipt {
    let lot = SettledLot { campaign: CampaignId(1), reserved: nanos(reserved), spent: nanos(spent) };
    Receipt::Released(Settlement { slot, lots: vec![lot] })
}

#[test]
fn money_is_reserved_charged_and_released() {
    let mut book = funded(1_000_000);
    let event = Event::Reserve(reservation("a", 1000, vec![lot(1, 333, 10)]));
    let (slot, units) = reserved(new(book.apply(event, 0).unwrap()));
    assert_eq!(units, [12], "a fifth more than are there");
    assert_eq!((budget(&book, 1), kept_back(&book, 1)), (1_000_000 - 12 * 333, 12 * 333));
    assert_eq!(new(book.apply(display(slot, 0, 7), 10).unwrap()), Receipt::Charged(nanos(333)));
    let earned = book.balance(&Account::Broadcaster("kitchen".parse().unwrap()));
    assert_eq!(earned, nanos(183), "55 % of 333 are 183.15");
    assert_eq!(book.balance(&Account::Platform), nanos(150));
    assert_eq!(book.next_timeout(), Some(1000));
    assert_eq!(book.expire(999), None);
    assert_eq!(new(book.expire(1000).unwrap()), released(slot, 12 * 333, 333));
    assert_eq!((budget(&book, 1), kept_back(&book, 1)), (1_000_000 - 333, 0));
    assert_eq!((book.expire(2000), book.next_timeout()), (None, None));
}

#[test]
fn a_session_counts_once_in_a_slot_whatever_the_lot() {
    let mut book = funded(1_000_000);
    let lots = vec![lot(1, 100, 10), lot(1, 200, 10)];
    let (slot, _) = reserved(new(book.apply(Event::Reserve(reservation("a", 1000, lots)), 0).unwrap()));
    new(book.apply(display(slot, 1, 7), 0).unwrap());
    for lot in [0, 1, 1, 0] {
        let again = book.apply(display(slot, lot, 7), 0).unwrap();
        assert_eq!(again, Applied { receipt: Receipt::Repeated, entry: None });
    }
    assert_eq!(budget(&book, 1) + kept_back(&book, 1), 1_000_000 - 200);
}

#[test]
fn displays_beyond_the_reservation_are_free_and_counted() {
    let mut book = funded(250);
    let event = Event::Reserve(reservation("a", 1000, vec![lot(1, 100, 10)]));
    let (slot, units) = reserved(new(book.apply(event, 0).unwrap()));
    assert_eq!((units, budget(&book, 1)), (vec![2], 50), "what is left pays for two");
    let receipts: Vec<Receipt> =
        (0..4).map(|session| new(book.apply(display(slot, 0, session), 0).unwrap())).collect();
    let charged = Receipt::Charged(nanos(100));
    assert_eq!(receipts, [charged.clone(), charged, Receipt::Free, Receipt::Free]);
    assert_eq!(book.apply(display(slot, 0, 3), 0).unwrap().receipt, Receipt::Repeated, "free ones too");
    let flood = (4..2000).find_map(|session| book.apply(display(slot, 0, session), 0).err());
    assert_eq!(flood, Some(Refusal::TooMany), "nobody has so many viewers");
}

#[test]
fn lots_of_one_campaign_share_its_budget_and_one_without_units_is_not_shown() {
    let mut book = funded(1000);
    let lots = vec![lot(1, 100, 5), lot(1, 100, 5), lot(2, 1, 5), lot(1, 0, 5)];
    let (slot, units) = reserved(new(book.apply(Event::Reserve(reservation("a", 1000, lots)), 0).unwrap()));
    assert_eq!(units, [6, 4, 0, 6], "six, what is left, nothing paid in, nothing to pay");
    assert_eq!(book.apply(display(slot, 2, 1), 0), Err(Refusal::NoSuchLot));
    assert_eq!(book.apply(display(slot, 4, 1), 0), Err(Refusal::NoSuchLot));
    assert_eq!(new(book.apply(display(slot, 3, 1), 0).unwrap()), Receipt::Charged(Money::ZERO));
    let event = Event::Reserve(reservation("b", 1000, vec![lot(1, 100, 1), lot(2, 1, 1)]));
    assert_eq!(book.apply(event, 0), Err(Refusal::Exhausted));
}

#[test]
fn a_slot_is_sold_once() {
    let mut book = funded(1_000_000);
    let sale = reservation("a", 1000, vec![lot(1, 100, 10)]);
    let first = book.apply(Event::Reserve(sale.clone()), 0).unwrap().receipt;
    let again = book.apply(Event::Reserve(sale.clone()), 5).unwrap();
    assert_eq!(again, Applied { receipt: first.clone(), entry: None });
    let other = reservation("a", 1000, vec![lot(1, 90, 10)]);
    assert_eq!(book.apply(Event::Reserve(other), 5), Err(Refusal::Conflict));
    let (slot, _) = reserved(first);
    new(book.apply(Event::Release { slot }, 5).unwrap());
    for at in [6, 999, 1000, 5000] {
        let late = book.apply(Event::Reserve(sale.clone()), at);
        assert_eq!(late, Err(Refusal::Expired), "released, and then too late: never again");
    }
    let again = reservation("a", 9000, vec![lot(1, 100, 10)]);
    assert_eq!(book.apply(Event::Reserve(again.clone()), 5000), Err(Refusal::Expired), "nor with more time");
    let mut next = again.clone();
    next.slot.broadcast = 2;
    new(book.apply(Event::Reserve(next), 5000).unwrap());
    let mut before = again;
    before.slot = SlotName { cue: CueId::new("b"), ..before.slot };
    assert_eq!(book.apply(Event::Reserve(before), 5000), Err(Refusal::Expired), "a broadcast that is over");
    assert_eq!(budget(&book, 1) + kept_back(&book, 1), 1_000_000);
}

#[test]
fn displays_come_in_time_or_not_at_all() {
    let mut book = funded(1_000_000);
    let (slot, _) = reserved(
        book.apply(Event::Reserve(reservation("a", 1000, vec![lot(1, 100, 10)])), 0).unwrap().receipt,
    );
    assert_eq!(book.apply(display(SlotId(99), 0, 1), 0), Err(Refusal::NoSuchSlot));
    assert_eq!(book.apply(Event::Shorten { slot, deadline: 2000 }, 0).unwrap().receipt, Receipt::Repeated);
    new(book.apply(Event::Shorten { slot, deadline: 500 }, 0).unwrap());
    new(book.apply(display(slot, 0, 1), 499).unwrap());
    assert_eq!(book.apply(display(slot, 0, 2), 500), Err(Refusal::Expired), "though nothing is released yet");
    assert_eq!(book.apply(display(slot, 0, 2), 499), Err(Refusal::Expired), "time does not go back");
    assert_eq!(new(book.expire(500).unwrap()), released(slot, 1200, 100));
    assert_eq!(book.apply(display(slot, 0, 3), 501), Err(Refusal::NoSuchSlot));
    let sale = reservation("late", 501, vec![lot(1, 100, 10)]);
    assert_eq!(book.apply(Event::Reserve(sale), 501), Err(Refusal::Expired));
}

#[test]
fn payments_are_numbered_and_only_what_is_free_comes_back() {
    let mut book = funded(1000);
    assert_eq!(book.apply(fund(1, 1, 1000), 0).unwrap().entry, None, "told twice");
    assert_eq!(book.apply(fund(1, 3, 1000), 0), Err(Refusal::OutOfOrder));
    assert_eq!(book.apply(fund(1, 0, 1000), 0), Err(Refusal::OutOfOrder));
    book.apply(Event::Reserve(reservation("a", 1000, vec![lot(1, 100, 5)])), 0).unwrap();
    assert_eq!(book.apply(fund(1, 2, -401), 0), Err(Refusal::Insufficient), "600 are reserved");
    assert_eq!(new(book.apply(fund(1, 2, -400), 0).unwrap()), Receipt::Funded { budget: Money::ZERO });
    assert_eq!(book.apply(fund(1, 3, i64::MIN), 0), Err(Refusal::Overflow));
    assert_eq!(book.apply(fund(1, 3, 0), 0), Err(Refusal::Malformed));
    new(book.apply(fund(2, 1, i64::MAX - 600), 0).unwrap());
    assert_eq!(book.apply(fund(2, 2, i64::MAX), 0), Err(Refusal::Overflow));
}

#[test]
fn nonsense_reserves_nothing() {
    let mut book = funded(1000);
    let too_many = vec![lot(1, 1, 1); crate::ledger::event::MAX_LOTS + 1];
    for lots in [vec![], vec![lot(1, -1, 1)], vec![lot(1, 1, 0)], too_many] {
        let event = Event::Reserve(reservation("a", 1000, lots));
        assert_eq!(book.apply(event, 0), Err(Refusal::Malformed));
    }
    let event = Event::Reserve(reservation("a", 1000, vec![lot(1, i64::MAX, u32::MAX)]));
    assert_eq!(book.apply(event, 0), Err(Refusal::Exhausted));
    assert_eq!((budget(&book, 1), kept_back(&book, 1), book.last_seq()), (1000, 0, 1));
}
