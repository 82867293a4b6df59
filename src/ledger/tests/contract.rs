//! What every store must do.

use super::*;
use crate::ledger::SqliteLedger;
use crate::ledger::attention::{Attention, AttentionKind, Place};
use crate::ledger::event::Entry;
use crate::ledger::report::{HOUR_MILLIS, MAX_ROWS, ReportFilter};
use crate::ledger::store::{LedgerStore, LedgerStoreError};
use crate::store::{Config, Store};

const HOUR: i64 = HOUR_MILLIS;

/// A day: two campaigns, three slots in two channels, charged and free displays of both classes.
fn day() -> (Book, Vec<Entry>) {
    let mut book = Book::default();
    let mut log: Vec<Entry> = Vec::new();
    let mut keep = |event, at| {
        let applied = book.apply(event, at).unwrap();
        log.extend(applied.entry);
        applied.receipt
    };
    keep(fund(1, 1, 10_000), 0);
    keep(fund(u64::MAX, 1, 5_000), 1);
    let german = |lot: Lot| Lot { cohort: "de/'; DROP TABLE ledger_entry --".into(), ..lot };
    let lots = vec![lot(1, 333, 2), german(lot(u64::MAX, 100, 2))];
    let (first, _) = reserved(keep(Event::Reserve(reservation("a", 9 * HOUR, lots)), 10));
    let mut garden = reservation("a", 9 * HOUR, vec![lot(1, 50, 1)]);
    garden.slot.channel = "garden".parse().unwrap();
    let (second, _) = reserved(keep(Event::Reserve(garden), 11));
    for (session, at) in [(u64::MAX, 20), (1, 21), (2, HOUR), (3, HOUR + 1)] {
        keep(display(first, 0, session), at);
    }
    let server = |slot, lot, session| Event::Display {
        slot,
        lot,
        session: SessionId(session),
        class: DisplayClass::Server,
    };
    keep(server(first, 1, 4), HOUR + 2);
    keep(server(first, 0, 5), HOUR + 3);
    keep(server(second, 0, 4), HOUR + 4);
    keep(Event::Shorten { slot: second, deadline: 3 * HOUR }, HOUR + 5);
    keep(Event::Release { slot: first }, 2 * HOUR);
    let house = Event::Reserve(reservation("house", 9 * HOUR, vec![lot(7, 0, 3)]));
    let (third, _) = reserved(keep(house, 2 * HOUR));
    keep(display(third, 0, 6), 2 * HOUR);
    (book, log)
}

async fn contract(store: impl LedgerStore) {
    let (book, log) = day();
    assert_eq!(store.restore().await.unwrap(), Book::default());
    let (first, rest) = log.split_at(6);
    store.append(first, None).await.unwrap();
    store.append(&[], None).await.unwrap();
    assert!(matches!(store.append(first, None).await, Err(LedgerStoreError::Conflict)), "not twice");
    assert!(matches!(store.append(&rest[1..], None).await, Err(LedgerStoreError::Conflict)), "no gap");
    // All or none: the last of these counts a session again.
    let mut broken = rest.to_vec();
    broken.push(Entry { seq: log.len() as u64 + 1, ..log[5].clone() });
    assert!(store.append(&broken, None).await.is_err());
    assert_eq!(store.entries(0, 100).await.unwrap(), first);

    store.append(rest, None).await.unwrap();
    assert_eq!(store.entries(0, 100).await.unwrap(), log, "every field comes back");
    assert_eq!(store.entries(3, 2).await.unwrap(), log[3..5]);
    assert_eq!(store.restore().await.unwrap(), book);

    // From here on a start begins with the snapshot.
    let mut later = book.clone();
    let entry = later.apply(fund(1, 2, 1), 9 * HOUR).unwrap().entry.unwrap();
    store.append(&[entry], Some(&later)).await.unwrap();
    let entry = later.apply(fund(1, 3, 1), 9 * HOUR).unwrap().entry.unwrap();
    store.append(&[entry], None).await.unwrap();
    assert_eq!(store.restore().await.unwrap(), later);

    displays(&store).await;
    settlements(&store).await;
    reports(&store, &book).await;
    attention(&store).await;
}

async fn displays(store: &impl LedgerStore) {
    let all = store.displays(0, 0, 100).await.unwrap();
    assert_eq!(all.len(), 8, "free ones too");
    assert_eq!(all[0].session, SessionId(u64::MAX));
    let last = &all[7];
    assert_eq!((last.at, last.campaign, last.channel.as_str()), (2 * HOUR, CampaignId(7), "kitchen"));
    assert_eq!(all[4].class, DisplayClass::Server);
    assert_eq!(store.displays(HOUR, 0, 100).await.unwrap(), all[2..]);
    assert_eq!(store.displays(HOUR, all[3].seq, 2).await.unwrap(), all[4..6]);
}

async fn settlements(store: &impl LedgerStore) {
    let lots = async |slot| {
        let settlement = store.settlement(SlotId(slot)).await.unwrap();
        assert_eq!(settlement.slot, SlotId(slot));
        let lots = settlement.lots.iter();
        let figures = lots.map(|lot| (lot.campaign.0, lot.reserved.as_nanos(), lot.spent.as_nanos()));
        figures.collect::<Vec<_>>()
    };
    assert_eq!(lots(3).await, [(1, 999, 999), (u64::MAX, 300, 100)], "as the book has settled it");
    assert_eq!(lots(4).await, [(1, 100, 50)], "by now");
    assert_eq!(lots(99).await, []);
}

async fn reports(store: &impl LedgerStore, book: &Book) {
    let all = ReportFilter { to: i64::MAX, ..ReportFilter::default() };
    let rows = store.report(&all).await.unwrap();
    let earned: i64 =
        rows.iter().map(|row| row.client.earned.as_nanos() + row.server.earned.as_nanos()).sum();
    let owed = |channel: &str| book.balance(&Account::Broadcaster(channel.parse().unwrap())).as_nanos();
    assert_eq!(earned, owed("kitchen") + owed("garden"), "the statements are the ledger's, to the nano");
    let spent: i64 = rows.iter().map(|row| row.client.spent.as_nanos() + row.server.spent.as_nanos()).sum();
    assert_eq!(spent, earned + book.balance(&Account::Platform).as_nanos());

    let of_one = ReportFilter { campaign: Some(CampaignId(1)), ..all.clone() };
    let rows = store.report(&of_one).await.unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            let figures = |of: super::super::report::Displays| (of.charged, of.free, of.spent.as_nanos());
            (row.channel.as_str(), row.hour / HOUR, figures(row.client), figures(row.server))
        })
        .collect();
    let expected = [
        ("garden", 1, (0, 0, 0), (1, 0, 50)),
        ("kitchen", 0, (2, 0, 666), (0, 0, 0)),
        ("kitchen", 1, (1, 1, 333), (0, 1, 0)),
    ];
    assert_eq!(seen, expected, "two classes, never mixed");
    let garden = ReportFilter { channel: Some("garden".parse().unwrap()), ..all.clone() };
    assert_eq!(store.report(&garden).await.unwrap().len(), 1);
    let hour = ReportFilter { from: 2 * HOUR, to: 3 * HOUR, ..all };
    let rows = store.report(&hour).await.unwrap();
    assert_eq!((rows.len(), rows[0].client.charged), (1, 1), "what costs nothing is no free display");
}

async fn attention(store: &impl LedgerStore) {
    let (first, second) = (SlotId(3), SlotId(4));
    assert_eq!(store.attention(first).await.unwrap(), []);
    let told = |slot, lot, hour: i64, counts: &[(AttentionKind, u64)]| {
        let mut attention = Attention::default();
        counts.iter().for_each(|(kind, count)| attention.count(*kind, *count));
        (Place { slot, lot, hour: hour * HOUR }, attention)
    };
    let (viewable, click) = (AttentionKind::Viewable, AttentionKind::Click);
    store.attend(&[told(first, 0, 0, &[(viewable, 2)]), told(first, 1, 0, &[(click, 9)])]).await.unwrap();
    store.attend(&[told(first, 0, 0, &[(viewable, 1), (click, 1)])]).await.unwrap();
    store.attend(&[told(first, 0, 5, &[(click, 4)]), told(second, 0, 1, &[(click, 7)])]).await.unwrap();
    store.attend(&[]).await.unwrap();
    let of_first = store.attention(first).await.unwrap();
    let counts: Vec<_> = of_first.iter().map(|lot| (lot.of(viewable), lot.of(click))).collect();
    assert_eq!(counts, [(3, 5), (0, 9)], "of all hours");

    let filter = ReportFilter { campaign: Some(CampaignId(1)), to: i64::MAX, ..ReportFilter::default() };
    let rows = store.report(&filter).await.unwrap();
    let seen: Vec<_> = rows
        .iter()
        .map(|row| {
            let displays = row.client.count() + row.server.count();
            let attention = (row.attention.of(viewable), row.attention.of(click));
            (row.channel.as_str(), row.hour / HOUR, displays, attention)
        })
        .collect();
    let expected = [
        ("garden", 1, 1, (0, 7)),
        ("kitchen", 0, 2, (3, 1)),
        ("kitchen", 1, 3, (0, 0)),
        ("kitchen", 5, 0, (0, 4)),
    ];
    assert_eq!(seen, expected, "and of an hour in which nothing was displayed");
    let hour = ReportFilter { from: HOUR, to: 2 * HOUR, ..filter };
    let clicks = store.report(&hour).await.unwrap().iter().map(|row| row.attention.of(click)).sum::<u64>();
    assert_eq!(clicks, 7);
}

#[tokio::test]
async fn sqlite_keeps_the_ledger_as_the_contract_says() {
    let config = Config { url: "sqlite::memory:".to_owned() };
    let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
    contract(SqliteLedger::open(store.pool()).await.unwrap()).await;
}

#[tokio::test]
async fn a_database_that_does_not_wait_for_the_disk_is_refused() {
    let config = Config { url: "sqlite::memory:".to_owned() };
    let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
    sqlx::query("PRAGMA synchronous = NORMAL").execute(store.pool()).await.unwrap();
    let refused = SqliteLedger::open(store.pool()).await.unwrap_err();
    assert!(matches!(refused, LedgerStoreError::NotDurable(1)), "{refused}");
}

#[tokio::test]
async fn a_report_that_is_too_long_is_refused() {
    let config = Config { url: "sqlite::memory:".to_owned() };
    let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
    let ledger = SqliteLedger::open(store.pool()).await.unwrap();
    let (_, log) = day();
    ledger.append(&log[..6], None).await.unwrap();
    // A display in each of as many hours as may be, after the two that there are.
    let query = sqlx::query(
        "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < ?2) \
         INSERT INTO ledger_entry SELECT 100 + n, (n + 2) * ?1, body, slot, lot, 1000 + n, server, charged, earned \
         FROM n, ledger_entry WHERE seq = 6",
    );
    let most = MAX_ROWS as i64;
    query.bind(HOUR).bind(most - 1).execute(store.pool()).await.unwrap();
    let some = ReportFilter { from: 2 * HOUR, to: i64::MAX, ..ReportFilter::default() };
    assert_eq!(ledger.report(&some).await.unwrap().len(), MAX_ROWS);
    let all = ReportFilter { from: 0, ..some };
    assert!(matches!(ledger.report(&all).await, Err(LedgerStoreError::TooLong)));
}
