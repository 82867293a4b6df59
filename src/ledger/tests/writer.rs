//! The writer: on SQLite, beside another one, and on a store that fails.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::ledger::attention::{Attention, AttentionKind, Place};
use crate::ledger::event::{Entry, Refusal, Seq, SettledLot, Settlement, UnixMillis};
use crate::ledger::report::{ReportFilter, ReportRow};
use crate::ledger::store::{Display, LedgerStore, LedgerStoreError, Outcome};
use crate::ledger::{Clock, Ledger, LedgerError, SqliteLedger};
use crate::store::{Config, Store};

fn at(time: &Arc<AtomicI64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || time.load(Ordering::Relaxed))
}

/// What the campaign may still reserve.
fn left(ledger: &Ledger) -> Money {
    ledger.balance(&Account::Budget(CampaignId(1)))
}

async fn sqlite() -> Arc<SqliteLedger> {
    let config = Config { url: "sqlite::memory:".to_owned() };
    let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
    Arc::new(SqliteLedger::open(store.pool()).await.unwrap())
}

#[tokio::test]
async fn thousands_at_once_are_charged_once_each_and_the_rest_goes_back() {
    let (store, time) = (sqlite().await, Arc::new(AtomicI64::new(0)));
    let (ledger, _) = Ledger::start(store.clone(), at(&time)).await.unwrap();
    assert_eq!(ledger.last_payment(CampaignId(1)), 0);
    ledger.submit(fund(1, 1, 1_000_000)).await.unwrap();
    assert_eq!(ledger.last_payment(CampaignId(1)), 1);
    let sale = Event::Reserve(reservation("a", 1000, vec![lot(1, 100, 5000)]));
    let (slot, units) = reserved(ledger.submit(sale).await.unwrap());
    assert_eq!((units, left(&ledger)), (vec![6000], nanos(400_000)));
    let tasks: Vec<_> = (0..9000)
        .map(|number| {
            let ledger = ledger.clone();
            tokio::spawn(async move { ledger.submit(display(slot, 0, number % 3000)).await })
        })
        .collect();
    let mut charged = 0;
    for task in tasks {
        match task.await.unwrap().unwrap() {
            Receipt::Charged(price) => charged += price.as_nanos(),
            Receipt::Repeated => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(charged, 300_000);
    let mut settlements = ledger.settlements();
    time.store(1000, Ordering::Relaxed);
    ledger.submit(fund(1, 2, 1)).await.unwrap();
    let lots = vec![SettledLot { campaign: CampaignId(1), reserved: nanos(600_000), spent: nanos(300_000) }];
    assert_eq!(settlements.try_recv().unwrap(), Settlement { slot, lots });
    assert_eq!(left(&ledger), nanos(700_001), "the deadline has come");
    let book = store.restore().await.unwrap();
    assert_eq!((budget(&book, 1), kept_back(&book, 1)), (700_001, 0));
}

#[tokio::test]
async fn what_is_reserved_goes_back_at_a_start_that_comes_too_late() {
    let (store, time) = (sqlite().await, Arc::new(AtomicI64::new(0)));
    let (ledger, _) = Ledger::start(store.clone(), at(&time)).await.unwrap();
    ledger.submit(fund(1, 1, 1000)).await.unwrap();
    ledger.submit(Event::Reserve(reservation("a", 10, vec![lot(1, 100, 5)]))).await.unwrap();
    drop(ledger);
    time.store(11, Ordering::Relaxed);
    let (ledger, found) = Ledger::start(store.clone(), at(&time)).await.unwrap();
    assert_eq!(
        found.book.open_slots().map(|(slot, ..)| slot).collect::<Vec<_>>(),
        [SlotId(2)],
        "it was running"
    );
    // A deadline that is over needs no event; it wins against none, so one is sent.
    assert_eq!(ledger.submit(fund(1, 1, 1000)).await.unwrap(), Receipt::Repeated);
    assert_eq!(left(&ledger), nanos(1000));
    let mut settlements = found.settlements;
    assert_eq!(settlements.try_recv().unwrap().slot, SlotId(2), "whoever begins with the ledger is told");
}

#[tokio::test]
async fn two_writers_on_one_database_do_not_overspend() {
    let (store, time) = (sqlite().await, Arc::new(AtomicI64::new(0)));
    let ledgers = [
        Ledger::start(store.clone(), at(&time)).await.unwrap().0,
        Ledger::start(store.clone(), at(&time)).await.unwrap().0,
    ];
    ledgers[0].submit(fund(1, 1, 10_000)).await.unwrap();
    let mut sold = 0;
    for number in 0..20 {
        let sale = Event::Reserve(reservation(&number.to_string(), 1000, vec![lot(1, 100, 10)]));
        match ledgers[number % 2].submit(sale).await {
            Ok(receipt) => sold += reserved(receipt).1[0],
            Err(error) => assert_eq!(error, LedgerError::Refused(Refusal::Exhausted)),
        }
    }
    assert_eq!(sold, 100);
    let book = store.restore().await.unwrap();
    assert_eq!((budget(&book, 1), kept_back(&book, 1)), (0, 10_000));
}

#[tokio::test]
async fn what_viewers_made_of_a_slot_is_there_when_it_is_settled_and_after_the_end() {
    let (store, time) = (sqlite().await, Arc::new(AtomicI64::new(1)));
    let (ledger, _) = Ledger::start(Arc::clone(&store) as Arc<_>, at(&time)).await.unwrap();
    let mut settlements = ledger.settlements();
    ledger.submit(fund(1, 1, 1000)).await.unwrap();
    let lots = vec![lot(1, 10, 2), lot(1, 10, 2)];
    let receipt = ledger.submit(Event::Reserve(reservation("a", 5000, lots))).await.unwrap();
    let (slot, _) = reserved(receipt);
    for _ in 0..3 {
        ledger.attend(slot, 1, AttentionKind::Click, 2);
    }
    ledger.attend(slot, 1, AttentionKind::Viewable, 2);
    time.store(5000, Ordering::Relaxed);
    ledger.submit(fund(1, 2, 1)).await.unwrap();
    assert_eq!(settlements.recv().await.unwrap().slot, slot);
    let told = ledger.attention(slot).await.unwrap();
    let clicks: Vec<u64> = told.iter().map(|lot| lot.of(AttentionKind::Click)).collect();
    assert_eq!((clicks, told[1].of(AttentionKind::Viewable)), (vec![0, 3], 1));

    ledger.attend(slot, 1, AttentionKind::Click, 4_000_000);
    drop(ledger);
    // The writer ends by itself, and keeps what it has before.
    let told = loop {
        let told = store.attention(slot).await.unwrap();
        if told[1].of(AttentionKind::Click) > 3 {
            break told;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(told[1].of(AttentionKind::Click), 4);
}

/// A store in memory whose commits fail, before or after they are kept.
#[derive(Default)]
struct Failing {
    log: Mutex<Vec<Entry>>,
    fails: AtomicBool,
    keeps: AtomicBool,
}

impl LedgerStore for Failing {
    fn append<'a>(&'a self, entries: &'a [Entry], _: Option<&'a Book>) -> Outcome<'a, ()> {
        Box::pin(async move {
            let fails = self.fails.load(Ordering::Relaxed);
            if !fails || self.keeps.load(Ordering::Relaxed) {
                self.log.lock().unwrap().extend_from_slice(entries);
            }
            if fails { Err(LedgerStoreError::Database(sqlx::Error::WorkerCrashed)) } else { Ok(()) }
        })
    }

    fn restore(&self) -> Outcome<'_, Book> {
        Box::pin(async {
            let mut book = Book::default();
            for entry in self.log.lock().unwrap().iter() {
                book.replay(entry)?;
            }
            Ok(book)
        })
    }

    fn entries(&self, after: Seq, at_most: u32) -> Outcome<'_, Vec<Entry>> {
        Box::pin(async move {
            let log = self.log.lock().unwrap();
            Ok(log.iter().skip(after as usize).take(at_most as usize).cloned().collect())
        })
    }

    fn displays(&self, _: UnixMillis, _: Seq, _: u32) -> Outcome<'_, Vec<Display>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn settlement(&self, slot: SlotId) -> Outcome<'_, Settlement> {
        Box::pin(async move { Ok(Settlement { slot, lots: Vec::new() }) })
    }

    fn attend<'a>(&'a self, _: &'a [(Place, Attention)]) -> Outcome<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn attention(&self, _: SlotId) -> Outcome<'_, Vec<Attention>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn report<'a>(&'a self, _: &'a ReportFilter) -> Outcome<'a, Vec<ReportRow>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::test]
async fn nothing_is_promised_that_is_not_kept_and_nothing_kept_is_done_twice() {
    let (store, time) = (Arc::new(Failing::default()), Arc::new(AtomicI64::new(0)));
    let (ledger, _) = Ledger::start(store.clone(), at(&time)).await.unwrap();
    ledger.submit(fund(1, 1, 1000)).await.unwrap();
    let sale = Event::Reserve(reservation("a", 1000, vec![lot(1, 100, 5)]));
    for keeps in [false, true] {
        store.fails.store(true, Ordering::Relaxed);
        store.keeps.store(keeps, Ordering::Relaxed);
        let refused = ledger.submit(sale.clone()).await.unwrap_err();
        assert!(matches!(refused, LedgerError::Unavailable(_)), "{refused}");
        assert_eq!(left(&ledger), nanos(1000), "as it was acknowledged");
        store.fails.store(false, Ordering::Relaxed);
    }
    // The second was kept, though its commit failed: asked again, it is known.
    let (slot, units) = reserved(ledger.submit(sale).await.unwrap());
    assert_eq!((slot, units), (SlotId(2), vec![6]));
    assert_eq!(ledger.submit(display(slot, 0, 1)).await.unwrap(), Receipt::Charged(nanos(100)));
    assert_eq!(store.log.lock().unwrap().len(), 3);
    assert_eq!(left(&ledger), nanos(400));
}
