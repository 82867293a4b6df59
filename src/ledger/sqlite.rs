//! The log in SQLite.

use std::collections::HashMap;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, SqliteConnection};

use super::account::{Account, CampaignId};
use super::attention::{Attention, AttentionKind, Place};
use super::book::{Book, Inconsistent};
use super::event::{
    DisplayClass, Entry, Event, Posting, Seq, SessionId, SettledLot, Settlement, SlotId, UnixMillis,
};
use super::report::{Displays, HOUR_MILLIS, MAX_ROWS, ReportFilter, ReportRow};
use super::store::{Display, LedgerStore, LedgerStoreError, Outcome};
use crate::media::ChannelName;
use crate::money::Money;

/// What `PRAGMA synchronous` says when a commit waits for the disk.
const SYNCHRONOUS_FULL: i64 = 2;
/// Entries that are read at once.
const PAGE: u32 = 10_000;

/// Adds rows that come as one JSON array of arrays: a statement for each of thousands of rows takes many times as long.
const INSERT_ENTRIES: &str = "INSERT INTO ledger_entry \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
    value ->> 8 FROM json_each(?)";
const INSERT_POSTINGS: &str = "INSERT INTO ledger_posting \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)";
const INSERT_LOTS: &str = "INSERT INTO ledger_lot \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, \
    value ->> 8, value ->> 9, value ->> 10 FROM json_each(?)";

const ADD_ATTENTION: &str = "INSERT INTO ledger_attention \
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?) WHERE true \
    ON CONFLICT DO UPDATE SET count = count + excluded.count";

/// The ledger's log in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteLedger(SqlitePool);

impl SqliteLedger {
    /// In an open database.
    ///
    /// # Errors
    /// When the database would acknowledge commits before they are durable.
    pub async fn open(pool: &SqlitePool) -> Result<Self, LedgerStoreError> {
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(pool).await?;
        if synchronous < SYNCHRONOUS_FULL {
            return Err(LedgerStoreError::NotDurable(synchronous));
        }
        Ok(Self(pool.clone()))
    }

    /// Adds attention to a report. Some is paid in the hour after the display: then that hour may have no display.
    async fn add_attention(
        &self,
        report: &mut Vec<ReportRow>,
        filter: &ReportFilter,
    ) -> Result<(), LedgerStoreError> {
        let query = sqlx::query(
            "SELECT campaign, channel, cohort, hour, kind, sum(count) AS count \
             FROM ledger_lot JOIN ledger_attention USING (slot, lot) \
             WHERE hour >= ?1 AND hour < ?2 AND (?3 IS NULL OR campaign = ?3) AND (?4 IS NULL OR channel = ?4) \
             GROUP BY campaign, channel, cohort, hour, kind",
        );
        let rows = query
            .bind(filter.from)
            .bind(filter.to)
            .bind(filter.campaign.map(|CampaignId(id)| signed(id)))
            .bind(filter.channel.as_ref().map(|channel| channel.as_str()))
            .fetch_all(&self.0)
            .await?;
        let place = |row: &ReportRow| (row.campaign, row.channel.clone(), row.hour, row.cohort.clone());
        let mut places: HashMap<_, usize> = report.iter().map(place).zip(0..).collect();
        for row in &rows {
            let line = line(row, row.try_get("hour")?)?;
            let at = *places.entry(place(&line)).or_insert_with(|| {
                report.push(line);
                report.len() - 1
            });
            count(&mut report[at].attention, row)?;
        }
        if report.len() > MAX_ROWS {
            return Err(LedgerStoreError::TooLong);
        }
        Ok(())
    }

    async fn snapshot(&self) -> Result<Book, LedgerStoreError> {
        let body = sqlx::query_scalar("SELECT body FROM ledger_snapshot").fetch_optional(&self.0).await?;
        let body: Option<String> = body;
        body.map_or_else(|| Ok(Book::default()), |body| Ok(serde_json::from_str(&body)?))
    }
}

impl LedgerStore for SqliteLedger {
    fn append<'a>(&'a self, entries: &'a [Entry], book: Option<&'a Book>) -> Outcome<'a, ()> {
        Box::pin(async move {
            let Some(first) = entries.first() else { return Ok(()) };
            let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
            let last: i64 = sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM ledger_entry")
                .fetch_one(&mut *transaction)
                .await?;
            if unsigned(last) + 1 != first.seq {
                return Err(LedgerStoreError::Conflict);
            }
            insert(&mut transaction, entries).await?;
            if let Some(book) = book {
                sqlx::query("INSERT OR REPLACE INTO ledger_snapshot VALUES (1, ?, ?)")
                    .bind(signed(book.last_seq()))
                    .bind(serde_json::to_string(book)?)
                    .execute(&mut *transaction)
                    .await?;
            }
            Ok(transaction.commit().await?)
        })
    }

    fn restore(&self) -> Outcome<'_, Book> {
        Box::pin(async move {
            let mut book = self.snapshot().await?;
            loop {
                let page = self.entries(book.last_seq(), PAGE).await?;
                for entry in &page {
                    book.replay(entry)?;
                }
                if page.is_empty() {
                    return Ok(book);
                }
            }
        })
    }

    fn entries(&self, after: Seq, at_most: u32) -> Outcome<'_, Vec<Entry>> {
        Box::pin(async move {
            let query = sqlx::query(
                "SELECT seq, at, body, charged FROM ledger_entry WHERE seq > ? ORDER BY seq LIMIT ?",
            );
            let rows = query.bind(signed(after)).bind(at_most).fetch_all(&self.0).await?;
            let mut entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = entries.last().map(|entry| signed(entry.seq)) else { return Ok(entries) };
            let query = sqlx::query(
                "SELECT seq, debit, credit, amount FROM ledger_posting WHERE seq > ? AND seq <= ? ORDER BY seq, line",
            );
            let mut postings: HashMap<Seq, Vec<Posting>> = HashMap::new();
            for row in query.bind(signed(after)).bind(last).fetch_all(&self.0).await? {
                let (seq, posting) = posting(&row)?;
                postings.entry(seq).or_default().push(posting);
            }
            let query = sqlx::query(
                "SELECT slot, units FROM ledger_lot WHERE slot > ? AND slot <= ? ORDER BY slot, lot",
            );
            let mut units: HashMap<Seq, Vec<u32>> = HashMap::new();
            for row in query.bind(signed(after)).bind(last).fetch_all(&self.0).await? {
                units.entry(unsigned(row.try_get("slot")?)).or_default().push(row.try_get("units")?);
            }
            for entry in &mut entries {
                entry.postings = postings.remove(&entry.seq).unwrap_or_default();
                if let Some(units) = units.remove(&entry.seq) {
                    entry.units = units;
                }
            }
            Ok(entries)
        })
    }

    fn displays(&self, since: UnixMillis, after: Seq, at_most: u32) -> Outcome<'_, Vec<Display>> {
        Box::pin(async move {
            let query = sqlx::query(
                "SELECT seq, at, slot, campaign, channel, session, server FROM ledger_entry JOIN ledger_lot USING (slot, lot) \
                 WHERE at >= ? AND seq > ? AND session IS NOT NULL ORDER BY seq LIMIT ?",
            );
            let rows = query.bind(since).bind(signed(after)).bind(at_most).fetch_all(&self.0).await?;
            rows.iter().map(display).collect()
        })
    }

    fn settlement(&self, slot: SlotId) -> Outcome<'_, Settlement> {
        Box::pin(async move {
            let query = sqlx::query(
                "SELECT campaign, price * units AS reserved, (SELECT coalesce(sum(charged), 0) FROM ledger_entry \
                 WHERE ledger_entry.slot = ledger_lot.slot AND ledger_entry.lot = ledger_lot.lot AND session IS NOT NULL) AS spent \
                 FROM ledger_lot WHERE slot = ? ORDER BY lot",
            );
            let rows = query.bind(signed(slot.0)).fetch_all(&self.0).await?;
            let lot = |row: &SqliteRow| -> Result<SettledLot, LedgerStoreError> {
                Ok(SettledLot {
                    campaign: CampaignId(unsigned(row.try_get("campaign")?)),
                    reserved: Money::from_nanos(row.try_get("reserved")?),
                    spent: Money::from_nanos(row.try_get("spent")?),
                })
            };
            Ok(Settlement { slot, lots: rows.iter().map(lot).collect::<Result<_, _>>()? })
        })
    }

    fn attend<'a>(&'a self, told: &'a [(Place, Attention)]) -> Outcome<'a, ()> {
        Box::pin(async move {
            let counts = |(place, attention): &'a (Place, Attention)| {
                let told = AttentionKind::ALL.into_iter().filter(|kind| attention.of(*kind) > 0);
                told.map(move |kind| {
                    (signed(place.slot.0), place.lot, place.hour, kind.name(), attention.of(kind))
                })
            };
            let rows: Vec<_> = told.iter().flat_map(counts).collect();
            sqlx::query(ADD_ATTENTION).bind(serde_json::to_string(&rows)?).execute(&self.0).await?;
            Ok(())
        })
    }

    fn attention(&self, slot: SlotId) -> Outcome<'_, Vec<Attention>> {
        Box::pin(async move {
            let query = sqlx::query(
                "SELECT lot, kind, sum(count) AS count FROM ledger_attention WHERE slot = ? GROUP BY lot, kind",
            );
            let mut lots: Vec<Attention> = Vec::new();
            for row in query.bind(signed(slot.0)).fetch_all(&self.0).await? {
                let lot = usize::from(row.try_get::<u16, _>("lot")?);
                if lots.len() <= lot {
                    lots.resize(lot + 1, Attention::default());
                }
                count(&mut lots[lot], &row)?;
            }
            Ok(lots)
        })
    }

    fn report<'a>(&'a self, filter: &'a ReportFilter) -> Outcome<'a, Vec<ReportRow>> {
        Box::pin(async move {
            let query = sqlx::query(
                "SELECT campaign, channel, cohort, at / ?1 AS hour, server, count(charged) AS charged, \
                 count(*) - count(charged) AS free, coalesce(sum(charged), 0) AS spent, coalesce(sum(earned), 0) AS earned \
                 FROM ledger_lot JOIN ledger_entry USING (slot, lot) \
                 WHERE at >= ?2 AND at < ?3 AND (?4 IS NULL OR campaign = ?4) AND (?5 IS NULL OR channel = ?5) \
                 GROUP BY campaign, channel, cohort, hour, server ORDER BY campaign, channel, hour, cohort LIMIT ?6",
            );
            let rows = query
                .bind(HOUR_MILLIS)
                .bind(filter.from)
                .bind(filter.to)
                .bind(filter.campaign.map(|CampaignId(id)| signed(id)))
                .bind(filter.channel.as_ref().map(|channel| channel.as_str()))
                .bind(i64::try_from(MAX_ROWS).unwrap_or(i64::MAX).saturating_add(1))
                .fetch_all(&self.0)
                .await?;
            if rows.len() > MAX_ROWS {
                return Err(LedgerStoreError::TooLong);
            }
            let mut report: Vec<ReportRow> = Vec::new();
            for row in &rows {
                add_to(&mut report, row)?;
            }
            self.add_attention(&mut report, filter).await?;
            Ok(report)
        })
    }
}

async fn insert(connection: &mut SqliteConnection, entries: &[Entry]) -> Result<(), LedgerStoreError> {
    let (mut rows, mut postings, mut lots) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let (seq, body) = (signed(entry.seq), serde_json::to_string(&entry.event)?);
        let nothing = (None, None, None, None, None, None);
        let display = if let Event::Display { slot, lot, session, class } = &entry.event {
            let spent = |posting: &Posting| posting.amount.as_nanos();
            let earned = entry.postings.iter().filter(|p| matches!(p.credit, Account::Broadcaster(_)));
            let (slot, session) = (Some(signed(slot.0)), Some(signed(session.0)));
            let server = Some(i64::from(*class == DisplayClass::Server));
            let is_charged = entry.units == [1];
            let charged = is_charged.then(|| entry.postings.iter().map(spent).sum::<i64>());
            (slot, Some(*lot), session, server, charged, is_charged.then(|| earned.map(spent).sum::<i64>()))
        } else {
            nothing
        };
        let (slot, lot, session, server, charged, earned) = display;
        rows.push((seq, entry.at, body, slot, lot, session, server, charged, earned));
        for (line, posting) in entry.postings.iter().enumerate() {
            postings.push((seq, line, &posting.debit, &posting.credit, posting.amount));
        }
        if let Event::Reserve(reservation) = &entry.event {
            let name = &reservation.slot;
            for (number, (lot, units)) in reservation.lots.iter().zip(&entry.units).enumerate() {
                lots.push((
                    seq,
                    number,
                    signed(lot.campaign.0),
                    signed(lot.creative),
                    &name.channel,
                    signed(name.broadcast),
                    &name.cue,
                    &lot.cohort,
                    lot.price,
                    lot.audience,
                    units,
                ));
            }
        }
    }
    let statements = [
        (INSERT_ENTRIES, serde_json::to_string(&rows)?),
        (INSERT_POSTINGS, serde_json::to_string(&postings)?),
        (INSERT_LOTS, serde_json::to_string(&lots)?),
    ];
    for (statement, rows) in statements {
        sqlx::query(statement).bind(rows).execute(&mut *connection).await?;
    }
    Ok(())
}

/// SQLite's integers are signed; the bits stay.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

/// An entry without its postings, and without the units of a reservation.
fn entry(row: &SqliteRow) -> Result<Entry, LedgerStoreError> {
    let body: String = row.try_get("body")?;
    let event = serde_json::from_str(&body)?;
    let charged: Option<i64> = row.try_get("charged")?;
    let units = match event {
        Event::Display { .. } => vec![u32::from(charged.is_some())],
        _ => Vec::new(),
    };
    Ok(Entry {
        seq: unsigned(row.try_get("seq")?),
        at: row.try_get("at")?,
        event,
        postings: Vec::new(),
        units,
    })
}

fn display(row: &SqliteRow) -> Result<Display, LedgerStoreError> {
    let seq = unsigned(row.try_get("seq")?);
    Ok(Display {
        seq,
        at: row.try_get("at")?,
        slot: SlotId(unsigned(row.try_get("slot")?)),
        campaign: CampaignId(unsigned(row.try_get("campaign")?)),
        channel: channel(row, seq)?,
        session: SessionId(unsigned(row.try_get("session")?)),
        class: if row.try_get::<i64, _>("server")? == 1 {
            DisplayClass::Server
        } else {
            DisplayClass::Client
        },
    })
}

fn channel(row: &SqliteRow, seq: Seq) -> Result<ChannelName, LedgerStoreError> {
    let text: String = row.try_get("channel")?;
    text.parse().map_err(|_| LedgerStoreError::Inconsistent(Inconsistent(seq)))
}

fn posting(row: &SqliteRow) -> Result<(Seq, Posting), LedgerStoreError> {
    let seq = unsigned(row.try_get("seq")?);
    let account = |column| -> Result<Account, LedgerStoreError> {
        let text: String = row.try_get(column)?;
        text.parse().map_err(|_| LedgerStoreError::Inconsistent(Inconsistent(seq)))
    };
    let amount = Money::from_nanos(row.try_get("amount")?);
    Ok((seq, Posting { debit: account("debit")?, credit: account("credit")?, amount }))
}

/// A line of a report, with nothing in it yet.
fn line(row: &SqliteRow, hour: UnixMillis) -> Result<ReportRow, LedgerStoreError> {
    Ok(ReportRow {
        campaign: CampaignId(unsigned(row.try_get("campaign")?)),
        channel: channel(row, 0)?,
        cohort: Some(row.try_get("cohort")?),
        hour,
        client: Displays::default(),
        server: Displays::default(),
        attention: Attention::default(),
    })
}

/// Counts what a row has of one kind. What a later release writes is not known here.
fn count(attention: &mut Attention, row: &SqliteRow) -> Result<(), LedgerStoreError> {
    if let Some(kind) = AttentionKind::named(row.try_get("kind")?) {
        attention.count(kind, unsigned(row.try_get("count")?));
    }
    Ok(())
}

/// Adds a group of one class to a report that has the one of the other class last, if there is one.
fn add_to(report: &mut Vec<ReportRow>, row: &SqliteRow) -> Result<(), LedgerStoreError> {
    let count = |column| row.try_get::<i64, _>(column).map(unsigned);
    let money = |column| row.try_get::<i64, _>(column).map(Money::from_nanos);
    let displays = Displays {
        charged: count("charged")?,
        free: count("free")?,
        spent: money("spent")?,
        earned: money("earned")?,
    };
    let hour: i64 = row.try_get("hour")?;
    let mut line = line(row, hour * HOUR_MILLIS)?;
    let is_server = count("server")? == 1;
    let same = |last: &&mut ReportRow| {
        (last.campaign, &last.channel, &last.cohort, last.hour)
            == (line.campaign, &line.channel, &line.cohort, line.hour)
    };
    if let Some(last) = report.last_mut().filter(same) {
        *(if is_server { &mut last.server } else { &mut last.client }) = displays;
        return Ok(());
    }
    *(if is_server { &mut line.server } else { &mut line.client }) = displays;
    report.push(line);
    Ok(())
}
