//! Random logs: advertisers, sales and viewers that do everything twice, late, in the wrong order, with restarts between.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::*;
use crate::ledger::event::{Entry, Posting};
use crate::random::Random;

const CAMPAIGNS: usize = 5;

/// Keeps the sums of a log's postings apart from the book's.
#[derive(Default)]
struct Auditor {
    balances: BTreeMap<Account, i128>,
    paid_in: HashMap<CampaignId, i128>,
    spent: HashMap<CampaignId, i128>,
    sessions: HashSet<(SlotId, SessionId)>,
    slots: HashSet<SlotName>,
    seq: u64,
    charged: u64,
    free: u64,
}

impl Auditor {
    fn check(&mut self, entry: &Entry, book: &Book) {
        self.seq += 1;
        assert_eq!(entry.seq, self.seq, "the log has no gap");
        for Posting { debit, credit, amount } in &entry.postings {
            assert!(amount.is_positive());
            let amount = i128::from(amount.as_nanos());
            *self.balances.entry(debit.clone()).or_default() -= amount;
            *self.balances.entry(credit.clone()).or_default() += amount;
            match (debit, credit) {
                (Account::Outside, Account::Budget(of)) => *self.paid_in.entry(*of).or_default() += amount,
                (Account::Budget(of), Account::Outside) => *self.paid_in.entry(*of).or_default() -= amount,
                (Account::Reserved(of), Account::Broadcaster(_) | Account::Platform) => {
                    *self.spent.entry(*of).or_default() += amount;
                }
                (Account::Budget(from), Account::Reserved(to))
                | (Account::Reserved(from), Account::Budget(to)) => assert_eq!(from, to),
                other => panic!("money goes {other:?}"),
            }
        }
        match &entry.event {
            Event::Display { slot, session, .. } => {
                assert!(self.sessions.insert((*slot, *session)), "a session is counted twice");
                *(if entry.units == [1] { &mut self.charged } else { &mut self.free }) += 1;
            }
            Event::Reserve(sale) => assert!(self.slots.insert(sale.slot.clone()), "a slot is sold twice"),
            _ => {}
        }
        assert_eq!(self.balances.values().sum::<i128>(), 0, "credits are debits");
        for (account, balance) in &self.balances {
            assert_eq!(i128::from(book.balance(account).as_nanos()), *balance, "{account}");
            assert!(*balance >= 0 || *account == Account::Outside, "{account} is overdrawn");
        }
        for (campaign, spent) in &self.spent {
            assert!(*spent <= self.paid_in[campaign], "campaign {campaign} has spent more than its budget");
        }
    }
}

/// One of everything that somebody may ask.
fn anything(random: &mut Random, sold: &[SlotId], payments: &[u64; CAMPAIGNS], now: i64) -> Event {
    let campaign = random.below(CAMPAIGNS);
    let slot = |random: &mut Random| sold.get(random.below(sold.len())).copied().unwrap_or(SlotId(1));
    match random.below(100) {
        0..4 => {
            let number = payments[campaign] + [1, 1, 1, 0, 2][random.below(5)];
            fund(campaign as u64, number, random.below(8000) as i64 - 3000)
        }
        4..15 => {
            let lots = (0..=random.below(3))
                .map(|_| {
                    lot(random.below(CAMPAIGNS) as u64, random.below(90) as i64, 1 + random.below(12) as u32)
                })
                .collect();
            let near = now / 40 + random.below(30) as i64;
            let sale = reservation(&near.to_string(), now + random.below(3000) as i64, lots);
            Event::Reserve(sale)
        }
        15..18 => Event::Shorten { slot: slot(random), deadline: now + random.below(1500) as i64 - 20 },
        18..20 => Event::Release { slot: slot(random) },
        _ => display(slot(random), random.below(4) as u16, random.below(40) as u64),
    }
}

fn run(seed: u64, steps: usize) -> (u64, u64) {
    let (mut book, mut auditor, mut random) = (Book::default(), Auditor::default(), Random::new(seed));
    let (mut log, mut sold, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let (mut payments, mut now) = ([0; CAMPAIGNS], 0);
    for _ in 0..steps {
        now += random.below(20) as i64;
        while random.below(3) > 0 {
            let Some(expired) = book.expire(now) else { break };
            let entry = expired.entry.unwrap();
            auditor.check(&entry, &book);
            log.push(entry);
        }
        // Many ask at once; what they ask arrives in any order, and again.
        while waiting.len() < 12 {
            let event = anything(&mut random, &sold, &payments, now);
            waiting.extend(std::iter::repeat_n(event, 1 + random.below(3)));
        }
        let event = waiting.swap_remove(random.below(waiting.len()));
        let before = book.clone();
        match book.apply(event, now) {
            Ok(Applied { entry: Some(entry), receipt }) => {
                if let Receipt::Reserved { slot, .. } = receipt {
                    sold.push(slot);
                }
                if let Event::Fund { campaign, number, .. } = entry.event {
                    payments[campaign.0 as usize] = number;
                }
                auditor.check(&entry, &book);
                log.push(entry);
            }
            Ok(_) | Err(_) => {
                let same = before.accounts().eq(book.accounts()) && before.last_seq() == book.last_seq();
                assert!(same, "what is refused or repeated changes nothing");
            }
        }
        if sold.len() > 30 {
            sold.remove(0);
        }
        if random.below(200) == 0 {
            // A crash: half of what was asked is lost, and the book is read again, from a snapshot or the log.
            waiting.truncate(waiting.len() / 2);
            let json = serde_json::to_string(&book).unwrap();
            let snapshot: Book = serde_json::from_str(&json).unwrap();
            let mut replayed = Book::default();
            log.iter().for_each(|entry| replayed.replay(entry).unwrap());
            assert_eq!(snapshot, book);
            assert!(replayed.accounts().eq(book.accounts()) && replayed.open_slots().eq(book.open_slots()));
            book = if random.below(2) == 0 { snapshot } else { replayed };
        }
    }
    while let Some(expired) = book.expire(i64::MAX) {
        auditor.check(&expired.entry.unwrap(), &book);
    }
    let stranded = book.accounts().filter(|(account, _)| matches!(account, Account::Reserved(_)));
    assert!(stranded.into_iter().all(|(_, balance)| balance == Money::ZERO), "nothing stays reserved");
    (auditor.charged, auditor.free)
}

#[test]
fn for_every_prefix_credits_are_debits_and_spend_is_within_budget() {
    let (mut charged, mut free) = (0, 0);
    for seed in 0..24 {
        let (more_charged, more_free) = run(seed, 3000);
        (charged, free) = (charged + more_charged, free + more_free);
    }
    assert!(charged > 2000 && free > 50, "the runs meet both: {charged} {free}");
}

#[test]
fn a_log_that_was_tampered_with_is_not_believed() {
    let mut book = Book::default();
    let mut log: Vec<Entry> = Vec::new();
    let mut keep = |event, at| log.extend(book.apply(event, at).unwrap().entry);
    keep(fund(1, 1, 1000), 0);
    keep(Event::Reserve(reservation("a", 1000, vec![lot(1, 10, 10)])), 1);
    keep(display(SlotId(2), 0, 1), 2);
    let replay = |log: &[Entry]| {
        let mut book = Book::default();
        log.iter().try_for_each(|entry| book.replay(entry))
    };
    assert_eq!(replay(&log), Ok(()));
    let mut cheaper = log.clone();
    cheaper[2].postings[0].amount = nanos(1);
    let mut fewer = log.clone();
    fewer.remove(1);
    let mut richer = log;
    richer[0].event = fund(1, 1, 2000);
    for bad in [cheaper, fewer, richer] {
        assert!(replay(&bad).is_err());
    }
}
