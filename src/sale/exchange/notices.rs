//! Tells bidders what became of their bids.
//!
//! What means no money is told once, and left out where a bidder does not listen. What means money is told again every ten
//! seconds for a minute, until it is taken, always with the same `idempotency-key`.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::time::sleep;

use super::client::Client;
use super::metrics::Metrics;
use crate::auction::bidder::openrtb::notices::Notice;
use crate::clock;

/// Notices of one bidder that wait.
const WAITING: usize = 1024;
/// Notices that a bidder is told at one time.
const AT_ONCE: usize = 8;
/// Notices of money that wait for their turn or are told again.
const BILLS: usize = 4096;
/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a notice of money is told at most: every ten seconds for a minute (OpenRTB 2.6 implementation guide, §7.8).
const ATTEMPTS: u32 = 7;

/// Tells one bidder. Clones are the same.
#[derive(Clone)]
pub(super) struct Notifier {
    bidder: Arc<str>,
    metrics: Metrics,
    waiting: mpsc::Sender<Notice>,
    client: Client,
    bills: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
    /// How long until a notice of money is told again.
    pause: Duration,
}

impl Notifier {
    /// Begins; ends with the last clone.
    pub fn start(bidder: Arc<str>, client: Client, pause: Duration, metrics: Metrics) -> Self {
        let (waiting, queue) = mpsc::channel(WAITING);
        let notifier = Self {
            bidder,
            metrics,
            waiting,
            client,
            bills: Arc::new(Semaphore::new(BILLS)),
            at_once: Arc::new(Semaphore::new(AT_ONCE)),
            pause,
        };
        tokio::spawn(tell(
            queue,
            notifier.client.clone(),
            Arc::clone(&notifier.bidder),
            notifier.metrics.clone(),
        ));
        notifier
    }

    /// Tells something; does not wait.
    pub fn tell(&self, notice: Notice) {
        if notice.idempotency_key.is_some() {
            self.bill(notice);
        } else if self.waiting.try_send(notice).is_err() {
            self.metrics.notice(&self.bidder, "dropped");
        }
    }

    fn bill(&self, notice: Notice) {
        let Ok(place) = Arc::clone(&self.bills).try_acquire_owned() else {
            tracing::error!(bidder = %self.bidder, link = %notice.link, "a bill is not told: too many wait");
            return self.metrics.notice(&self.bidder, "bill_dropped");
        };
        let notifier = self.clone();
        tokio::spawn(async move {
            let _place = place;
            notifier.bill_until_taken(&notice).await;
        });
    }

    async fn bill_until_taken(&self, notice: &Notice) {
        let mut told = None;
        for attempt in 1..=ATTEMPTS {
            {
                // The semaphore is never closed: without a permit it is told all the same.
                let _turn = self.at_once.acquire().await;
                let deadline = clock::monotonic() + PATIENCE;
                match self.client.call(&notice.link, notice.idempotency_key.as_deref(), deadline).await {
                    Ok(()) => return self.metrics.notice(&self.bidder, "bill_taken"),
                    Err(error) => told = Some(error),
                }
            }
            self.metrics.notice(&self.bidder, "bill_failed");
            if attempt < ATTEMPTS {
                sleep(self.pause).await;
            }
        }
        let key = notice.idempotency_key.as_deref().unwrap_or_default();
        let error = told.map(|error| error.to_string()).unwrap_or_default();
        tracing::error!(bidder = %self.bidder, key, error, "a bill was not taken; the ledger has what is owed");
        self.metrics.notice(&self.bidder, "bill_given_up");
    }
}

/// Tells what means no money.
async fn tell(mut queue: mpsc::Receiver<Notice>, client: Client, bidder: Arc<str>, metrics: Metrics) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(notice) = queue.recv().await {
        let Ok(turn) = Arc::clone(&turns).acquire_owned().await else { return };
        let (client, bidder, metrics) = (client.clone(), Arc::clone(&bidder), metrics.clone());
        tokio::spawn(async move {
            let _turn = turn;
            let called = client.call(&notice.link, None, clock::monotonic() + PATIENCE).await;
            if let Err(error) = &called {
                tracing::debug!(%bidder, link = %notice.link, %error, "a notice was not taken");
            }
            metrics.notice(&bidder, if called.is_ok() { "told" } else { "failed" });
        });
    }
}
