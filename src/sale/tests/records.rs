//! Cues on their way into the store.

use std::sync::Arc;

use super::*;
use crate::ledger::{CampaignId, SettledLot, SlotId};
use crate::money::Money;
use crate::sale::Outcome;
use crate::sale::record::{Settled, Sold, Stage};
use crate::sale::records::Records;
use crate::sale::store::{SaleStore, SqliteSale};

async fn records() -> (Arc<Records>, Arc<SqliteSale>, Store) {
    let database = database().await;
    let store = Arc::new(SqliteSale::new(database.pool()));
    (Records::new(store.clone(), 100), store, database)
}

#[tokio::test]
async fn a_change_that_is_waited_for_is_in_the_store() {
    let (records, store, _database) = records().await;
    tokio::spawn(Arc::clone(&records).write());
    let number = records.number();
    records.add(record(number.0, &kitchen(), CueOrigin::Api, 1));
    records.keep(number, |record| record.stage = Stage::Deciding).await.unwrap();
    assert_eq!(store.cue(number).await.unwrap().unwrap().stage, Stage::Deciding);
}

#[tokio::test]
async fn a_change_that_cannot_be_kept_is_told_so() {
    let (records, _store, database) = records().await;
    tokio::spawn(Arc::clone(&records).write());
    let number = records.number();
    records.add(record(number.0, &kitchen(), CueOrigin::Api, 1));
    database.close().await;
    assert!(records.keep(number, |record| record.stage = Stage::Deciding).await.is_err());
}

#[tokio::test]
async fn a_change_that_could_not_be_kept_is_kept_later() {
    let (records, store, database) = records().await;
    let number = records.number();
    records.add(record(number.0, &kitchen(), CueOrigin::Api, 1));
    records.change(number, |record| record.end(Outcome::NoBid));
    let rename = async |from: &str, to: &str| {
        let statement = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(database.pool()).await.unwrap();
    };
    rename("sale_cue", "elsewhere").await;
    assert!(!records.write_some().await && records.open_cue(number).is_some());
    rename("elsewhere", "sale_cue").await;
    tokio::spawn(Arc::clone(&records).write());
    while records.open_cue(number).is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.cue(number).await.unwrap().unwrap().outcome, Some(Outcome::NoBid));
}

#[tokio::test]
async fn a_cue_that_was_sold_stays_in_memory_until_it_is_settled() {
    let (records, store, _database) = records().await;
    let (sold, unsold) = (records.number(), records.number());
    for number in [sold, unsold] {
        records.add(record(number.0, &kitchen(), CueOrigin::Api, 1));
    }
    let sale = Sold { slot: SlotId(5), units: vec![3], traces: vec![0], overlays: Vec::new() };
    records.change(sold, |record| record.sold = Some(sale));
    records.change(sold, |record| record.end(Outcome::Completed));
    records.change(unsold, |record| record.end(Outcome::NoBid));
    while records.write_some().await {}
    assert!(records.open_cue(unsold).is_none() && records.open_cue(sold).is_some());
    let lot = |campaign, spent| SettledLot {
        campaign: CampaignId(campaign),
        reserved: Money::from_nanos(30),
        spent: Money::from_nanos(spent),
    };
    records.settle(SlotId(6), &[lot(1, 30)]);
    records.settle(SlotId(5), &[lot(1, 20), lot(2, 5)]);
    while records.write_some().await {}
    assert!(records.open_cue(sold).is_none());
    let settled = Settled { reserved: Money::from_nanos(60), spent: Money::from_nanos(25) };
    assert_eq!(store.cue(sold).await.unwrap().unwrap().settled, Some(settled));
    assert_eq!(records.find(sold).await.unwrap().unwrap().settled, Some(settled));
}

#[tokio::test]
async fn a_slot_that_was_sold_again_is_settled_as_it_was_sold_last() {
    let (records, _store, _database) = records().await;
    let number = records.number();
    records.add(record(number.0, &kitchen(), CueOrigin::Api, 1));
    let sold =
        |slot| Some(Sold { slot: SlotId(slot), units: vec![3], traces: vec![0], overlays: Vec::new() });
    records.change(number, |record| record.sold = sold(5));
    records.change(number, |record| record.sold = None);
    let lot = |spent| SettledLot {
        campaign: CampaignId(1),
        reserved: Money::from_nanos(30),
        spent: Money::from_nanos(spent),
    };
    records.settle(SlotId(5), &[lot(0)]);
    assert_eq!(records.open_cue(number).unwrap().settled, None);
    records.change(number, |record| record.sold = sold(6));
    records.settle(SlotId(6), &[lot(20)]);
    let settled = Settled { reserved: Money::from_nanos(30), spent: Money::from_nanos(20) };
    assert_eq!(records.open_cue(number).unwrap().settled, Some(settled));
}
