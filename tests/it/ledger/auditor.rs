//! Reads a ledger's log from its beginning and believes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use onair::ledger::store::LedgerStore;
use onair::ledger::{Account, Book, CampaignId, Event, SlotName, SqliteLedger};

/// Entries that are read at once.
const PAGE: u32 = 10_000;

/// What a log says.
#[derive(Default)]
pub struct Audit {
    /// Slots that were sold.
    pub sold: u64,
    /// Displays that were free.
    pub free: u64,
    /// Displays that were charged, with their price: slot and session.
    pub charged: HashMap<(u64, u64), i64>,
    /// What is reserved in the end.
    pub reserved: i128,
    /// What all campaigns have spent.
    pub spent: i128,
}

/// Reads it all, and checks each prefix.
pub async fn audit(store: &SqliteLedger) -> Audit {
    let mut audit = Audit::default();
    let mut balances: BTreeMap<Account, i128> = BTreeMap::new();
    let (mut paid_in, mut spent): (HashMap<CampaignId, i128>, HashMap<CampaignId, i128>) = Default::default();
    let (mut seen, mut names): (HashSet<(u64, u64)>, HashSet<SlotName>) = Default::default();
    let mut book = Book::default();
    loop {
        let page = store.entries(book.last_seq(), PAGE).await.expect("a readable log");
        if page.is_empty() {
            break;
        }
        for entry in page {
            book.replay(&entry).expect("it follows from what was before");
            let mut price = 0;
            for posting in &entry.postings {
                let amount = i128::from(posting.amount.as_nanos());
                *balances.entry(posting.debit.clone()).or_default() -= amount;
                *balances.entry(posting.credit.clone()).or_default() += amount;
                match (&posting.debit, &posting.credit) {
                    (Account::Outside, Account::Budget(of)) => *paid_in.entry(*of).or_default() += amount,
                    (Account::Reserved(of), Account::Broadcaster(_) | Account::Platform) => {
                        *spent.entry(*of).or_default() += amount;
                        price += posting.amount.as_nanos();
                        assert!(spent[of] <= paid_in[of], "{of} has spent more than its budget");
                    }
                    _ => {}
                }
                for account in [&posting.debit, &posting.credit] {
                    assert!(balances[account] >= 0 || *account == Account::Outside, "{account} is overdrawn");
                }
            }
            match &entry.event {
                Event::Display { slot, session, .. } => {
                    assert!(seen.insert((slot.0, session.0)), "a session is counted twice");
                    if entry.units == [1] {
                        audit.charged.insert((slot.0, session.0), price);
                    } else {
                        audit.free += 1;
                    }
                }
                Event::Reserve(reservation) => {
                    assert!(names.insert(reservation.slot.clone()), "a slot is sold twice");
                    audit.sold += 1;
                }
                _ => {}
            }
        }
    }
    assert_eq!(balances.values().sum::<i128>(), 0, "credits are debits");
    for (account, balance) in &balances {
        assert_eq!(*balance, i128::from(book.balance(account).as_nanos()), "{account}");
    }
    let restored = store.restore().await.expect("a snapshot and what came after it");
    assert!(restored.accounts().eq(book.accounts()), "the snapshot is what the log says");
    let reserved = balances.iter().filter(|(account, _)| matches!(account, Account::Reserved(_)));
    audit.reserved = reserved.map(|(_, balance)| balance).sum();
    audit.spent = spent.values().sum();
    audit
}
