//! The cues that something may still come of, in memory, and their way into the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use super::record::{CueNumber, CueRecord};
use super::store::{SaleStore, SaleStoreError};
use crate::ledger::{SettledLot, SlotId};

/// Cues that are written in one transaction.
const BATCH: usize = 256;
/// How long until what could not be kept is written again.
const AGAIN: Duration = Duration::from_secs(1);

/// Whether a cue is kept.
type Kept = Result<(), String>;

/// All cues.
pub(super) struct Records {
    store: Arc<dyn SaleStore>,
    next: AtomicU64,
    open: Mutex<Open>,
    changed: Notify,
}

#[derive(Default)]
struct Open {
    /// Those that are not over and settled: as many as slots may be announced, in all channels.
    cues: BTreeMap<CueNumber, CueRecord>,
    /// Those that were sold and are not settled.
    sold: HashMap<SlotId, CueNumber>,
    /// Those that have changed, and who waits until that is kept.
    dirty: BTreeMap<CueNumber, Vec<oneshot::Sender<Kept>>>,
}

impl Records {
    /// Records in a store. `first` is the first new one's number: more than any before the server was started.
    pub fn new(store: Arc<dyn SaleStore>, first: u64) -> Arc<Self> {
        let records =
            Self { store, next: AtomicU64::new(first), open: Mutex::default(), changed: Notify::new() };
        Arc::new(records)
    }

    /// A number for a new cue.
    pub fn number(&self) -> CueNumber {
        CueNumber(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A cue begins, or is known from before.
    pub fn add(&self, record: CueRecord) {
        let mut open = self.open();
        if let Some(sold) = &record.sold {
            open.sold.insert(sold.slot, record.id);
        }
        open.dirty.entry(record.id).or_default();
        open.cues.insert(record.id, record);
        self.changed.notify_one();
    }

    /// Changes a cue; it is written soon.
    pub fn change(&self, number: CueNumber, change: impl FnOnce(&mut CueRecord)) {
        self.open().change(number, change);
        self.changed.notify_one();
    }

    /// Changes a cue, and waits until that is kept.
    ///
    /// # Errors
    /// When it cannot be kept; the text says why.
    pub async fn keep(&self, number: CueNumber, change: impl FnOnce(&mut CueRecord)) -> Kept {
        let (done, kept) = oneshot::channel();
        {
            let mut open = self.open();
            open.change(number, change);
            open.dirty.entry(number).or_default().push(done);
        }
        self.changed.notify_one();
        kept.await.unwrap_or_else(|_| Err("the server ends".to_owned()))
    }

    /// The ledger is done with a slot.
    pub fn settle(&self, slot: SlotId, lots: &[SettledLot]) {
        let mut open = self.open();
        let Some(number) = open.sold.remove(&slot) else { return };
        // A slot that was moved was sold again: then this is what came of the sale before.
        let is_of = |record: &CueRecord| record.sold.as_ref().is_some_and(|sold| sold.slot == slot);
        if open.cues.get(&number).is_some_and(is_of) {
            open.change(number, |record| record.settle(lots));
            self.changed.notify_one();
        }
    }

    /// A cue.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn find(&self, number: CueNumber) -> Result<Option<CueRecord>, SaleStoreError> {
        match self.open_cue(number) {
            Some(record) => Ok(Some(record)),
            None => self.store.cue(number).await,
        }
    }

    /// A cue, if something may still come of it.
    pub fn open_cue(&self, number: CueNumber) -> Option<CueRecord> {
        self.open().cues.get(&number).cloned()
    }

    /// Writes what has changed, for as long as somebody may change something.
    pub async fn write(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep(AGAIN), if !self.open().dirty.is_empty() => {}
            }
            while self.write_some().await {}
        }
    }

    /// Writes some of what has changed; `false` when there was nothing, or it could not be kept and is to be written again.
    pub async fn write_some(&self) -> bool {
        let (records, waiting) = {
            let mut open = self.open();
            let dirty: Vec<CueNumber> = open.dirty.keys().copied().take(BATCH).collect();
            let waiting: Vec<_> = dirty.iter().filter_map(|number| open.dirty.remove(number)).collect();
            let records: Vec<CueRecord> =
                dirty.iter().filter_map(|number| open.cues.get(number).cloned()).collect();
            (records, waiting)
        };
        if waiting.is_empty() {
            return false;
        }
        let kept = self.store.keep(&records).await.map_err(|error| error.to_string());
        match &kept {
            // Nobody will change them any more: the store has them.
            Ok(()) => self.open().forget_finished(&records),
            Err(error) => {
                tracing::error!(%error, cues = records.len(), "cues are not kept yet");
                let mut open = self.open();
                for record in &records {
                    open.dirty.entry(record.id).or_default();
                }
            }
        }
        let is_kept = kept.is_ok();
        for waiting in waiting.into_iter().flatten() {
            // Whoever waited may be gone.
            let _ = waiting.send(kept.clone());
        }
        is_kept
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn change(&mut self, number: CueNumber, change: impl FnOnce(&mut CueRecord)) {
        let Some(record) = self.cues.get_mut(&number) else { return };
        change(record);
        if let Some(sold) = record.sold.as_ref().filter(|_| record.settled.is_none()) {
            self.sold.insert(sold.slot, number);
        }
        self.dirty.entry(number).or_default();
    }

    fn forget_finished(&mut self, written: &[CueRecord]) {
        for record in written {
            if record.is_finished() && !self.dirty.contains_key(&record.id) {
                self.cues.remove(&record.id);
            }
        }
    }
}
