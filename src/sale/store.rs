//! How cues with their traces, and what is set for channels, are kept.

use std::pin::Pin;

use sqlx::Row as _;
use sqlx::sqlite::SqlitePool;

use super::config::ChannelSettings;
use super::record::{CueNumber, CueRecord};
use crate::ledger::UnixMillis;
use crate::media::{ChannelName, CueOrigin};

/// What a store's operation comes to.
pub type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, SaleStoreError>> + Send + 'a>>;

/// Keeps cues and settings. What has returned `Ok` is durable.
pub trait SaleStore: Send + Sync {
    /// Keeps cues as they are now, in the place of what was kept of them; all or none.
    fn keep<'a>(&'a self, records: &'a [CueRecord]) -> Outcome<'a, ()>;
    /// A cue.
    fn cue(&self, number: CueNumber) -> Outcome<'_, Option<CueRecord>>;
    /// A channel's cues, the newest first, at most so many, from before a number if there is one.
    fn cues<'a>(
        &'a self,
        channel: &'a ChannelName,
        before: Option<CueNumber>,
        at_most: u32,
    ) -> Outcome<'a, Vec<CueRecord>>;
    /// Cues that something was still to come of when the server ended: their end, or their settlement.
    fn unfinished(&self) -> Outcome<'_, Vec<CueRecord>>;
    /// When a channel's broadcaster opened slots since a moment, with the stream or in the studio.
    fn opened_since<'a>(
        &'a self,
        channel: &'a ChannelName,
        since: UnixMillis,
    ) -> Outcome<'a, Vec<UnixMillis>>;
    /// Forgets cues that were opened before a moment.
    fn forget_before(&self, moment: UnixMillis) -> Outcome<'_, u64>;
    /// What is set for channels.
    fn settings(&self) -> Outcome<'_, Vec<(ChannelName, ChannelSettings)>>;
    /// Sets something for a channel.
    fn set<'a>(&'a self, channel: &'a ChannelName, settings: &'a ChannelSettings) -> Outcome<'a, ()>;
}

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaleStoreError {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that this release did not write.
    #[error("a row of the sale cannot be read: {0}")]
    Corrupt(#[from] serde_json::Error),
}

/// Cues and settings in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteSale(SqlitePool);

impl SqliteSale {
    /// In an open database.
    pub fn new(pool: &SqlitePool) -> Self {
        Self(pool.clone())
    }
}

impl SaleStore for SqliteSale {
    fn keep<'a>(&'a self, records: &'a [CueRecord]) -> Outcome<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
            for record in records {
                sqlx::query("INSERT OR REPLACE INTO sale_cue VALUES (?, ?, ?, ?, ?, ?, ?)")
                    .bind(signed(record.id.0))
                    .bind(record.channel.as_str())
                    .bind(signed(record.broadcast))
                    .bind(record.opened_at)
                    .bind(origin(record.origin)?)
                    .bind(record.is_finished())
                    .bind(serde_json::to_string(record)?)
                    .execute(&mut *transaction)
                    .await?;
            }
            Ok(transaction.commit().await?)
        })
    }

    fn cue(&self, number: CueNumber) -> Outcome<'_, Option<CueRecord>> {
        Box::pin(async move {
            let query = sqlx::query_scalar("SELECT body FROM sale_cue WHERE number = ?");
            let body: Option<String> = query.bind(signed(number.0)).fetch_optional(&self.0).await?;
            Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
        })
    }

    fn cues<'a>(
        &'a self,
        channel: &'a ChannelName,
        before: Option<CueNumber>,
        at_most: u32,
    ) -> Outcome<'a, Vec<CueRecord>> {
        Box::pin(async move {
            let query = sqlx::query_scalar(
                "SELECT body FROM sale_cue WHERE channel = ? AND number < ? ORDER BY number DESC LIMIT ?",
            );
            let before = before.map_or(i64::MAX, |number| signed(number.0));
            let query = query.bind(channel.as_str()).bind(before).bind(at_most);
            let bodies: Vec<String> = query.fetch_all(&self.0).await?;
            Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
        })
    }

    fn unfinished(&self) -> Outcome<'_, Vec<CueRecord>> {
        Box::pin(async move {
            let query = sqlx::query_scalar("SELECT body FROM sale_cue WHERE over = 0 ORDER BY number");
            let bodies: Vec<String> = query.fetch_all(&self.0).await?;
            Ok(bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<_, _>>()?)
        })
    }

    fn opened_since<'a>(
        &'a self,
        channel: &'a ChannelName,
        since: UnixMillis,
    ) -> Outcome<'a, Vec<UnixMillis>> {
        Box::pin(async move {
            let query = sqlx::query_scalar(
                "SELECT opened_at FROM sale_cue WHERE channel = ? AND opened_at >= ? \
                AND origin IN ('publisher', 'studio') ORDER BY opened_at",
            );
            Ok(query.bind(channel.as_str()).bind(since).fetch_all(&self.0).await?)
        })
    }

    fn forget_before(&self, moment: UnixMillis) -> Outcome<'_, u64> {
        Box::pin(async move {
            let query = sqlx::query("DELETE FROM sale_cue WHERE opened_at < ?").bind(moment);
            Ok(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn settings(&self) -> Outcome<'_, Vec<(ChannelName, ChannelSettings)>> {
        Box::pin(async move {
            let rows = sqlx::query("SELECT channel, body FROM sale_channel").fetch_all(&self.0).await?;
            let mut settings = Vec::with_capacity(rows.len());
            for row in rows {
                let (channel, body): (String, String) = (row.try_get(0)?, row.try_get(1)?);
                // A name that is reserved by now has no channel any more.
                if let Ok(channel) = channel.parse() {
                    settings.push((channel, serde_json::from_str(&body)?));
                }
            }
            Ok(settings)
        })
    }

    fn set<'a>(&'a self, channel: &'a ChannelName, settings: &'a ChannelSettings) -> Outcome<'a, ()> {
        Box::pin(async move {
            let query = sqlx::query("INSERT OR REPLACE INTO sale_channel VALUES (?, ?)");
            let query = query.bind(channel.as_str()).bind(serde_json::to_string(settings)?);
            query.execute(&self.0).await?;
            Ok(())
        })
    }
}

/// Numbers of cues and broadcasts are milliseconds and more: far from the end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn origin(origin: CueOrigin) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(&origin)?.trim_matches('"').to_owned())
}
