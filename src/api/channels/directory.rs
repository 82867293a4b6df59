//! The channels there are: kept in the store, mirrored in memory, in the hub and among the stream keys.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Mutex;
use tokio::task::JoinError;

use super::store::{ChannelStore, ChannelStoreError, StoredChannel};
use crate::auth::{AccessKey, NoRandomness, StreamKeys};
use crate::clock;
use crate::hub::{Dismissal, Hub};
use crate::media::ChannelName;

/// All channels. Reading asks memory; changing writes to the store first and then takes effect everywhere.
pub struct Directory(Arc<Inner>);

struct Inner {
    store: Box<dyn ChannelStore>,
    hub: Hub,
    keys: StreamKeys,
    records: RwLock<BTreeMap<ChannelName, Record>>,
    /// Held during a change, so that changes of one channel cannot overtake one another between store and memory.
    changing: Mutex<()>,
}

/// A channel as the operator made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The lasting name.
    pub name: ChannelName,
    /// What viewers read.
    pub title: String,
    /// When it was made.
    pub created_at: SystemTime,
}

/// Why a channel could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// The store refused or failed.
    #[error(transparent)]
    Store(#[from] ChannelStoreError),
    /// No key can be made.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The change broke off.
    #[error("the change broke off: {0}")]
    Broken(#[from] JoinError),
}

impl Directory {
    /// Reads all channels and makes them known to the hub and the stream keys.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn load(
        store: impl ChannelStore + 'static,
        hub: Hub,
        keys: StreamKeys,
    ) -> Result<Self, ChannelStoreError> {
        let stored = store.all().await?;
        let inner = Inner {
            store: Box::new(store),
            hub,
            keys,
            records: RwLock::default(),
            changing: Mutex::default(),
        };
        for channel in stored {
            inner.announce(channel);
        }
        Ok(Self(Arc::new(inner)))
    }

    /// All channels, by name.
    pub fn channels(&self) -> Vec<Record> {
        self.0.records.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The channel of this name.
    pub fn channel(&self, name: &ChannelName) -> Option<Record> {
        self.0.records.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether this is the channel's stream key.
    pub fn opens(&self, key: &str, name: &ChannelName) -> bool {
        self.0.keys.channel_for(key).is_some_and(|channel| channel == *name)
    }

    /// Makes a channel and its key.
    ///
    /// # Errors
    /// When the name is taken or the store fails; then nothing has changed.
    pub async fn create(&self, name: ChannelName, title: String) -> Result<AccessKey, DirectoryError> {
        self.change(|inner| async move {
            let key = AccessKey::generate()?;
            let created_at = whole_millis(clock::wall());
            let channel = StoredChannel { name, title, key: key.digest(), created_at };
            inner.store.insert(&channel).await?;
            tracing::info!(channel = %channel.name, "channel made");
            inner.announce(channel);
            Ok(key)
        })
        .await
    }

    /// Changes what viewers read.
    ///
    /// # Errors
    /// When there is no such channel or the store fails.
    pub async fn set_title(&self, name: ChannelName, title: String) -> Result<(), DirectoryError> {
        self.change(|inner| async move {
            inner.store.set_title(&name, &title).await?;
            let mut records = inner.records.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(record) = records.get_mut(&name) {
                record.title = title;
            }
            Ok(())
        })
        .await
    }

    /// Gives the channel a new key; the publisher with the old one is sent away.
    ///
    /// # Errors
    /// When there is no such channel or the store fails.
    pub async fn rotate_key(&self, name: ChannelName) -> Result<AccessKey, DirectoryError> {
        self.change(|inner| async move {
            let key = AccessKey::generate()?;
            inner.store.set_key(&name, key.digest()).await?;
            inner.keys.set(&name, key.digest());
            // After the key: a publisher who comes in between has shown the old one, and is sent away too.
            if let Some(channel) = inner.hub.channel(&name) {
                channel.dismiss(Dismissal::KeyRotated);
            }
            tracing::info!(channel = %name, "stream key changed");
            Ok(key)
        })
        .await
    }

    /// Deletes a channel: its key is void, its broadcast ends.
    ///
    /// # Errors
    /// When there is no such channel or the store fails.
    pub async fn delete(&self, name: ChannelName) -> Result<(), DirectoryError> {
        self.change(|inner| async move {
            inner.store.delete(&name).await?;
            inner.keys.remove(&name);
            inner.records.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
            inner.hub.remove(&name);
            tracing::info!(channel = %name, "channel deleted");
            Ok(())
        })
        .await
    }

    /// Runs a change to its end, one at a time, in a task of its own: a client who hangs up in the middle must not
    /// leave the store and the memory apart.
    async fn change<T, F>(
        &self,
        change: impl FnOnce(Arc<Inner>) -> F + Send + 'static,
    ) -> Result<T, DirectoryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, DirectoryError>> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let task = tokio::spawn(async move {
            let guarded = Arc::clone(&inner);
            let _one_at_a_time = guarded.changing.lock().await;
            change(inner).await
        });
        task.await?
    }
}

impl Inner {
    fn announce(&self, channel: StoredChannel) {
        let StoredChannel { name, title, key, created_at } = channel;
        self.hub.create(&name);
        self.keys.set(&name, key);
        let record = Record { name: name.clone(), title, created_at };
        self.records.write().unwrap_or_else(PoisonError::into_inner).insert(name, record);
    }
}

/// As precise as the store keeps it.
fn whole_millis(moment: SystemTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(clock::unix_millis(moment)).unwrap_or(0))
}
