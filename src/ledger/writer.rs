//! The one writer: whatever has come while the last commit was under way goes into the next, in one transaction.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot};

use super::account::{Account, CampaignId};
use super::attention::{Attention, AttentionKind, Waiting};
use super::book::Book;
use super::event::{Entry, Event, Receipt, Refusal, Settlement, SlotId, UnixMillis};
use super::report::{ReportFilter, ReportRow};
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
/// Settlements that somebody who listens may be behind.
const SETTLEMENTS: usize = 4_096;
/// The wall clock may be set, and attention wait to be kept: it is looked so often at least.
const LOOK: Duration = Duration::from_secs(1);
/// Attention wait so long for others.
const ATTENTION_WAIT_MS: i64 = 1000;

/// Tells the time, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// The machine's wall clock.
pub fn wall_clock() -> Clock {
    Arc::new(clock::unix_now)
}

/// The ledger of a running server. Clones are the same; the writer ends after the last.
#[derive(Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    store: Arc<dyn LedgerStore>,
    standing: Shared,
    settlements: broadcast::Sender<Settlement>,
    attention: Arc<Waiting>,
}

type Shared = Arc<RwLock<Standing>>;

/// What anybody may know of the book, as of the last commit.
#[derive(Default)]
struct Standing {
    balances: HashMap<Account, Money>,
    /// The number of each campaign's last payment.
    payments: HashMap<CampaignId, u64>,
}

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

/// What a ledger found when it was started.
#[derive(Debug)]
pub struct Found {
    /// The book: it tells which slots were running.
    pub book: Book,
    /// What comes of slots, those included that expired while nothing ran.
    pub settlements: broadcast::Receiver<Settlement>,
}

struct Job {
    event: Event,
    answer: oneshot::Sender<Result<Receipt, LedgerError>>,
}

impl Ledger {
    /// Restores the book and starts the writer. What was found comes along.
    ///
    /// # Errors
    /// When the log cannot be read or breaks its own rules.
    pub async fn start(store: Arc<dyn LedgerStore>, clock: Clock) -> Result<(Self, Found), LedgerStoreError> {
        let book = store.restore().await?;
        let (standing, attention) = (Shared::default(), Arc::<Waiting>::default());
        // There before the writer: what expired while nothing ran is settled at once.
        let (settlements, coming) = broadcast::channel(SETTLEMENTS);
        let writer = Writer {
            store: Arc::clone(&store),
            clock,
            // A process that often dies young would never write one: each does soon.
            last_snapshot: 0,
            book: Some(book.clone()),
            standing: Arc::clone(&standing),
            settlements: settlements.clone(),
            attention: Arc::clone(&attention),
            attention_kept: 0,
        };
        writer.publish_all(&book);
        let (jobs, queue) = mpsc::channel(QUEUE);
        tokio::spawn(writer.run(queue));
        Ok((Self { jobs, store, standing, settlements, attention }, Found { book, settlements: coming }))
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

    /// What is on an account, as of the last commit.
    pub fn balance(&self, account: &Account) -> Money {
        let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
        standing.balances.get(account).copied().unwrap_or_default()
    }

    /// The number of a campaign's last payment, as of the last commit; 0 before the first.
    pub fn last_payment(&self, campaign: CampaignId) -> u64 {
        let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
        standing.payments.get(&campaign).copied().unwrap_or(0)
    }

    /// A viewer's page has told something of an overlay. It is kept within a second or so, and a crash may lose it.
    pub fn attend(&self, slot: SlotId, lot: u16, kind: AttentionKind, at: UnixMillis) {
        self.attention.add(slot, lot, kind, at);
    }

    /// The attention that was paid to a slot's lots, in order, up to the last of which anything is known.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn attention(&self, slot: SlotId) -> Result<Vec<Attention>, LedgerStoreError> {
        self.store.attention(slot).await
    }

    /// What was shown, what it cost and what attention it got, by campaign, channel, cohort and hour.
    ///
    /// # Errors
    /// When the log cannot be read, or that would be more lines than anybody reads.
    pub async fn report(&self, filter: &ReportFilter) -> Result<Vec<ReportRow>, LedgerStoreError> {
        self.store.report(filter).await
    }

    /// What comes of slots, from now on, as they are released. Who falls far behind misses some.
    pub fn settlements(&self) -> broadcast::Receiver<Settlement> {
        self.settlements.subscribe()
    }
}

struct Writer {
    store: Arc<dyn LedgerStore>,
    clock: Clock,
    /// As the store has it; `None` when it may have something else.
    book: Option<Book>,
    standing: Shared,
    settlements: broadcast::Sender<Settlement>,
    attention: Arc<Waiting>,
    attention_kept: UnixMillis,
    last_snapshot: u64,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                count = queue.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return self.keep_attention().await;
                    }
                }
                () = tokio::time::sleep(self.wait()) => {}
            }
            // Not with each batch; but before a slot is settled, so that whoever hears of that finds all that was told.
            if self.wait().is_zero() || (self.clock)() - self.attention_kept >= ATTENTION_WAIT_MS {
                self.keep_attention().await;
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

    async fn keep_attention(&mut self) {
        self.attention_kept = (self.clock)();
        let told = self.attention.take();
        if told.is_empty() {
            return;
        }
        if let Err(error) = self.store.attend(&told).await {
            tracing::error!(%error, "attention is not kept yet");
            self.attention.put_back(&told);
        }
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
            None => {
                let book = self.store.restore().await?;
                self.publish_all(&book);
                book
            }
        };
        let now = (self.clock)();
        let (mut entries, mut settled) = (Vec::new(), Vec::new());
        while entries.len() < BATCH
            && let Some(expired) = book.expire(now)
        {
            entries.extend(expired.entry);
            settled.push(expired.receipt);
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
        let receipts = settled.iter().chain(answers.iter().flatten());
        for receipt in receipts {
            if let Receipt::Released(settlement) = receipt {
                // Perhaps nobody listens.
                let _ = self.settlements.send(settlement.clone());
            }
        }
        Ok(answers)
    }

    fn publish_all(&self, book: &Book) {
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        standing.balances = book.accounts().map(|(account, balance)| (account.clone(), balance)).collect();
        standing.payments = book.payments().collect();
    }

    fn publish(&self, book: &Book, entries: &[Entry]) {
        let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            for account in entry.postings.iter().flat_map(|posting| [&posting.debit, &posting.credit]) {
                standing.balances.insert(account.clone(), book.balance(account));
            }
            if let Event::Fund { campaign, number, .. } = entry.event {
                standing.payments.insert(campaign, number);
            }
        }
    }
}

fn unavailable(batch: &[Job], error: &LedgerStoreError) -> Vec<Result<Receipt, LedgerError>> {
    batch.iter().map(|_| Err(LedgerError::Unavailable(error.to_string()))).collect()
}
