//! How the log is kept.

use std::pin::Pin;

use super::account::CampaignId;
use super::attention::{Attention, Place};
use super::book::{Book, Inconsistent};
use super::event::{DisplayClass, Entry, Seq, SessionId, Settlement, SlotId, UnixMillis};
use super::report::{MAX_ROWS, ReportFilter, ReportRow};
use crate::media::ChannelName;

/// What a store's operation comes to.
pub type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, LedgerStoreError>> + Send + 'a>>;

/// Keeps the ledger's log. What has returned `Ok` survives a crash of the process and a loss of power.
pub trait LedgerStore: Send + Sync {
    /// Adds entries, all or none. The first follows the newest that is kept. With a book, that is what they lead to: it
    /// makes restoring short.
    fn append<'a>(&'a self, entries: &'a [Entry], book: Option<&'a Book>) -> Outcome<'a, ()>;
    /// The book as the log has it.
    fn restore(&self) -> Outcome<'_, Book>;
    /// Entries after a place, in order, at most so many.
    fn entries(&self, after: Seq, at_most: u32) -> Outcome<'_, Vec<Entry>>;
    /// Who was shown what since a moment, after a place in the log, in order, at most so many.
    fn displays(&self, since: UnixMillis, after: Seq, at_most: u32) -> Outcome<'_, Vec<Display>>;
    /// What was reserved for a slot and what of it is spent by now, which is its settlement once it is released; no lots when there
    /// was never such a slot.
    fn settlement(&self, slot: SlotId) -> Outcome<'_, Settlement>;
    /// Adds to the attention that was paid to lots.
    fn attend<'a>(&'a self, told: &'a [(Place, Attention)]) -> Outcome<'a, ()>;
    /// The attention that was paid to a slot's lots, in order, up to the last of which anything is known.
    fn attention(&self, slot: SlotId) -> Outcome<'_, Vec<Attention>>;
    /// What was shown, what it cost and what attention it got, by campaign, channel, cohort and hour; [`LedgerStoreError::TooLong`] when it has more
    /// than [`MAX_ROWS`] lines.
    fn report<'a>(&'a self, filter: &'a ReportFilter) -> Outcome<'a, Vec<ReportRow>>;
}

/// Somebody was shown something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Display {
    /// The entry.
    pub seq: Seq,
    /// When it was told.
    pub at: UnixMillis,
    /// In which slot.
    pub slot: SlotId,
    /// Of which campaign.
    pub campaign: CampaignId,
    /// In which channel.
    pub channel: ChannelName,
    /// To whom.
    pub session: SessionId,
    /// How that is known.
    pub class: DisplayClass,
}

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerStoreError {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Somebody else has added to the log since it was restored.
    #[error("the log has other entries than expected")]
    Conflict,
    /// The database would acknowledge what a loss of power takes back.
    #[error(
        "the database acknowledges commits before they are durable: PRAGMA synchronous is {0}, and must be FULL"
    )]
    NotDurable(i64),
    /// The report would be longer than anybody reads.
    #[error("the report has more than {MAX_ROWS} lines")]
    TooLong,
    /// A row that this release did not write.
    #[error("an entry of the log cannot be read: {0}")]
    Corrupt(#[from] serde_json::Error),
    /// The log breaks its own rules.
    #[error(transparent)]
    Inconsistent(#[from] Inconsistent),
}
