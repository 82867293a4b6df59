//! What is taken up of the process before.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::stage::{Stage, silent};
use super::*;
use crate::ledger::{DisplayClass, Event, SessionId};
use crate::money::Money;
use crate::sale::Outcome;
use crate::sale::record::{Settled, Sold, Stage as CueStage};

/// A cue that was sold, and that one viewer was shown.
async fn sold(stage: &Stage, id: &str, at: CueStage) -> CueNumber {
    let slot = slot(id, CueOrigin::Api);
    let reserved = stage.reserve(&slot.cue.id, 60_000).await;
    let (lot, session, class) = (0, SessionId(7), DisplayClass::Server);
    stage.ledger.submit(Event::Display { slot: reserved, lot, session, class }).await.unwrap();
    let records = &stage.sale.inner().records;
    let number = records.number();
    let mut record = CueRecord::new(number, &kitchen(), 1, &slot, crate::clock::unix_now());
    record.sold = Some(Sold { slot: reserved, units: vec![3], traces: vec![0], overlays: Vec::new() });
    record.stage = at;
    if at == CueStage::Over {
        record.end(Outcome::Completed);
    }
    records.add(record);
    records.keep(number, |_| {}).await.unwrap();
    number
}

#[tokio::test]
async fn what_expired_while_nothing_ran_and_what_was_settled_unheard_say_what_they_cost() {
    let (database, ahead) = (database().await, Arc::new(AtomicI64::new(0)));
    let stage = Stage::on(&database, &ahead, silent(), |_| {}).await;
    let shown = sold(&stage, "shown", CueStage::OnAir).await;
    let over = sold(&stage, "over", CueStage::Over).await;
    let heard = sold(&stage, "settled", CueStage::Over).await;
    let slot = stage.sale.cue(heard).await.unwrap().unwrap().sold.unwrap().slot;
    stage.ledger.submit(Event::Release { slot }).await.unwrap();
    let settled = stage.until(heard, |cue| cue.settled.is_some()).await;
    // The crash came before that was written down.
    let store = crate::sale::store::SqliteSale::new(database.pool());
    let lost = CueRecord { settled: None, ..settled };
    crate::sale::store::SaleStore::keep(&store, &[lost]).await.unwrap();

    // The next process begins after the deadline of the others.
    ahead.store(120_000, Ordering::Relaxed);
    let next = Stage::on(&database, &ahead, silent(), |_| {}).await;
    let expected = Settled { reserved: Money::from_nanos(300), spent: Money::from_nanos(100) };
    for (number, outcome) in [
        (shown, Outcome::CutShort { why: "the server ended".to_owned() }),
        (over, Outcome::Completed),
        (heard, Outcome::Completed),
    ] {
        let cue = next.until(number, |cue| cue.settled.is_some()).await;
        assert_eq!((cue.settled, cue.outcome), (Some(expected), Some(outcome)));
    }
}
