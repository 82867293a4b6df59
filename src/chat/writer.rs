//! Keeps records: whatever has come while the last write was under way goes into the next, in one transaction.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Shared;
use super::hall::Hall;
use super::room::Record;
use super::store::ChatStore;
use crate::clock;
use crate::media::ChannelName;

/// Records that wait, of all rooms.
pub(super) const QUEUE: usize = 8192;
/// Records of one transaction.
const BATCH: usize = 512;
/// How often what is too old is forgotten.
const EXPIRY: Duration = Duration::from_secs(3600);
/// Comments that are forgotten in one transaction: others must not wait long for theirs.
const EXPIRED_AT_ONCE: u32 = 2000;

/// Something for the writer to do.
pub(super) enum Job {
    /// Keep a record and tell the room.
    Keep {
        /// The room.
        hall: Arc<Hall>,
        /// Its channel.
        channel: ChannelName,
        /// What to tell it by.
        ticket: u64,
        /// What; most of its kinds are smaller than the largest.
        record: Box<Record>,
    },
    /// Tell when all that came before is kept.
    Flush(oneshot::Sender<()>),
}

/// Keeps what comes until nobody can send any more.
pub(super) async fn run(store: Arc<dyn ChatStore>, mut jobs: mpsc::Receiver<Job>, shared: Arc<Shared>) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let (mut records, mut owners, mut flushed) = (Vec::new(), Vec::new(), Vec::new());
        for job in batch.drain(..) {
            match job {
                Job::Keep { hall, channel, ticket, record } => {
                    records.push((channel, *record));
                    owners.push((hall, ticket));
                }
                Job::Flush(done) => flushed.push(done),
            }
        }
        let kept = keep(&*store, &records).await;
        for ((hall, ticket), kept) in owners.into_iter().zip(kept) {
            if !kept {
                shared.metrics.unkept.inc();
            }
            hall.stored(ticket, kept);
        }
        // Whoever asked may be gone.
        for done in flushed {
            let _ = done.send(());
        }
    }
}

/// Which of the records are kept.
async fn keep(store: &dyn ChatStore, records: &[(ChannelName, Record)]) -> Vec<bool> {
    let Err(error) = store.write(records).await else { return vec![true; records.len()] };
    if records.len() == 1 {
        tracing::error!(%error, channel = %records[0].0, "a record of a room is not kept");
        return vec![false];
    }
    // One that cannot be kept, of a channel that was deleted meanwhile, must not take the others with it.
    let mut kept = Vec::with_capacity(records.len());
    for record in records.chunks(1) {
        let result = store.write(record).await;
        if let Err(error) = &result {
            tracing::error!(%error, channel = %record[0].0, "a record of a room is not kept");
        }
        kept.push(result.is_ok());
    }
    kept
}

/// Forgets what is too old, now and then.
pub(super) async fn expire(store: Arc<dyn ChatStore>, shared: Arc<Shared>) {
    let Ok(retention) = i64::try_from(shared.config.retention.as_millis()) else { return };
    if retention == 0 {
        return;
    }
    loop {
        let before = clock::unix_now().saturating_sub(retention);
        loop {
            match store.expire(before, EXPIRED_AT_ONCE).await {
                Ok(0) => break,
                Ok(comments) => tracing::info!(comments, "old comments forgotten"),
                Err(error) => {
                    tracing::warn!(%error, "old comments are not forgotten");
                    break;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(EXPIRY) => {}
            () = shared.life.draining() => return,
        }
    }
}
