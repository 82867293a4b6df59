//! The one writer: whatever has come while the last commit was under way goes into the next, in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::account::{Account, CampaignId};
use super::book::Book;
use super::event::{Entry, Event, Receipt, Refusal, UnixMillis};
use super::store::{LedgerStore, LedgerStoreError};
use crate::clock;
use crate::money::Money;

/// Events that wait.
const QUEUE: usize = 16_384;
/// Events of one transaction.
const BATCH: usize = 2_048;
/// Entries after which the whole book is written down, so that a start reads no more than that.
const SNAPSHOT_EVERY: u64 = 50_000;
/// How often a batch is tried when somebody else adds to the log.
const ATTEMPTS: u32 = 5;
/// The wall clock may be set: it is looked at so often at least.
const LOOK: Duration = Duration::from_secs(5);

/// Tells the time, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// The machine's wall clock.
pub fn wall_clock() -> Clock {
    Arc::new(|| clock::unix_millis(clock::wall()))
}

/// The ledger of a running server. Clones are the same; the writer ends after the last.
#[derive(Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    budgets: Budgets,
}

type Budgets = Arc<RwLock<HashMap<CampaignId, Money>>>;

/// Why an event has no receipt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The rules forbid it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be kept. It may be asked again: if it was kept after all, that is known then.
    #[error("the ledger cannot keep anything: {0}")]
    Unavailable(String),
}

struct Job {
    event: Event,
    answer: oneshot::Sender<Result<Receipt, LedgerError>>,
}

impl Ledger {
    /// Restores the book and starts the writer.
    ///
    /// # Errors
    /// When the log cannot be read or breaks its own rules.
    pub async fn start(store: Arc<dyn LedgerStore>, clock: Clock) -> Result<Self, LedgerStoreError> {
        let budgets = Budgets::default();
        let mut writer = Writer { store, clock, book: None, budgets: Arc::clone(&budgets), last_snapshot: 0 };
        writer.restore().await?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(writer.run(queue));
        Ok(Self { jobs, budgets })
    }

    /// Does what an event says. When this returns `Ok`, it survives a crash and a loss of power: an overlay may be shown
    /// once its reservation has come back so.
    ///
    /// # Errors
    /// When the event is refused or cannot be kept.
    pub async fn submit(&self, event: Event) -> Result<Receipt, LedgerError> {
        let gone = || LedgerError::Unavailable("it has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { event, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// What a campaign may still reserve, as of the last commit.
    pub fn budget(&self, campaign: CampaignId) -> Money {
        let budgets = self.budgets.read().unwrap_or_else(PoisonError::into_inner);
        budgets.get(&campaign).copied().unwrap_or_default()
    }
}

struct Writer {
    store: Arc<dyn LedgerStore>,
    clock: Clock,
    /// As the store has it; `None` when it may have something else.
    book: Option<Book>,
    budgets: Budgets,
    last_snapshot: u64,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                }
                () = tokio::time::sleep(self.wait()) => {}
            }
            let answers = self.commit(&batch).await;
            // Whoever asked may be gone.
            for (job, answer) in batch.drain(..).zip(answers) {
                let _ = job.answer.send(answer);
            }
        }
    }

    /// Until money has to go back.
    fn wait(&self) -> Duration {
        let Some(timeout) = self.book.as_ref().and_then(Book::next_timeout) else { return LOOK };
        let millis = timeout.saturating_sub((self.clock)()).max(0);
        Duration::from_millis(millis.cast_unsigned()).min(LOOK)
    }

    /// The answers to a batch, once it is kept.
    async fn commit(&mut self, batch: &[Job]) -> Vec<Result<Receipt, LedgerError>> {
        for _ in 0..ATTEMPTS {
            match self.attempt(batch).await {
                Ok(answers) => return answers,
                Err(LedgerStoreError::Conflict) => {}
                Err(error) => {
                    tracing::error!(%error, events = batch.len(), "the ledger keeps nothing");
                    return unavailable(batch, &error);
                }
            }
        }
        tracing::error!(events = batch.len(), "others write into the ledger all the time");
        unavailable(batch, &LedgerStoreError::Conflict)
    }

    async fn attempt(
        &mut self,
        batch: &[Job],
    ) -> Result<Vec<Result<Receipt, LedgerError>>, LedgerStoreError> {
        let mut book = match self.book.take() {
            Some(book) => book,
            None => self.restored().await?,
        };
        let now = (self.clock)();
        let mut entries = Vec::new();
        while entries.len() < BATCH
            && let Some(expired) = book.expire(now)
        {
            entries.extend(expired.entry);
        }
        let mut answers = Vec::with_capacity(batch.len());
        for job in batch {
            let applied = book.apply(job.event.clone(), now);
            answers.push(applied.map_err(LedgerError::Refused).map(|applied| {
                entries.extend(applied.entry);
                applied.receipt
            }));
        }
        // If this fails the book is gone, and is restored as the store has it.
        let is_due = book.last_seq().saturating_sub(self.last_snapshot) >= SNAPSHOT_EVERY;
        self.store.append(&entries, is_due.then_some(&book)).await?;
        if is_due {
            self.last_snapshot = book.last_seq();
        }
        self.publish(&book, &entries);
        self.book = Some(book);
        Ok(answers)
    }

    async fn restore(&mut self) -> Result<(), LedgerStoreError> {
        self.book = Some(self.restored().await?);
        Ok(())
    }

    async fn restored(&self) -> Result<Book, LedgerStoreError> {
        let book = self.store.restore().await?;
        let mut budgets = self.budgets.write().unwrap_or_else(PoisonError::into_inner);
        budgets.clear();
        budgets.extend(book.accounts().filter_map(|(account, balance)| match account {
            Account::Budget(campaign) => Some((*campaign, balance)),
            _ => None,
        }));
        drop(budgets);
        Ok(book)
    }

    fn publish(&self, book: &Book, entries: &[Entry]) {
        let accounts = entries.iter().flat_map(|entry| &entry.postings).flat_map(|p| [&p.debit, &p.credit]);
        let mut budgets = self.budgets.write().unwrap_or_else(PoisonError::into_inner);
        for account in accounts {
            if let Account::Budget(campaign) = account {
                budgets.insert(*campaign, book.balance(account));
            }
        }
    }
}

fn unavailable(batch: &[Job], error: &LedgerStoreError) -> Vec<Result<Receipt, LedgerError>> {
    batch.iter().map(|_| Err(LedgerError::Unavailable(error.to_string()))).collect()
}
