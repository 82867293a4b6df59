//! How channels are kept.

use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sqlx::Row as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};

use crate::auth::Digest;
use crate::clock;
use crate::media::ChannelName;

/// What a store's operation comes to.
pub type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, ChannelStoreError>> + Send + 'a>>;

/// Keeps channels. What has returned `Ok` is durable.
pub trait ChannelStore: Send + Sync {
    /// All channels.
    fn all(&self) -> Outcome<'_, Vec<StoredChannel>>;
    /// Adds a channel; [`ChannelStoreError::Exists`] when the name is taken.
    fn insert<'a>(&'a self, channel: &'a StoredChannel) -> Outcome<'a, ()>;
    /// Changes the title; [`ChannelStoreError::Missing`] when there is no such channel.
    fn set_title<'a>(&'a self, name: &'a ChannelName, title: &'a str) -> Outcome<'a, ()>;
    /// Changes the key; [`ChannelStoreError::Missing`] when there is no such channel.
    fn set_key<'a>(&'a self, name: &'a ChannelName, key: Digest) -> Outcome<'a, ()>;
    /// Forgets a channel; [`ChannelStoreError::Missing`] when there is none.
    fn delete<'a>(&'a self, name: &'a ChannelName) -> Outcome<'a, ()>;
}

/// A channel as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredChannel {
    /// The lasting name.
    pub name: ChannelName,
    /// What viewers read.
    pub title: String,
    /// Of the stream key.
    pub key: Digest,
    /// When it was made, in whole milliseconds.
    pub created_at: SystemTime,
}

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelStoreError {
    /// The name is taken.
    #[error("there is a channel of this name")]
    Exists,
    /// There is no such channel.
    #[error("there is no channel of this name")]
    Missing,
    /// A row that this release did not write.
    #[error("channel {name:?} in the database has a {column} that cannot be read")]
    Corrupt {
        /// The channel.
        name: String,
        /// What is wrong about it.
        column: &'static str,
    },
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

/// Channels in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteChannels(SqlitePool);

impl SqliteChannels {
    /// In an open database.
    pub fn new(pool: &SqlitePool) -> Self {
        Self(pool.clone())
    }
}

impl ChannelStore for SqliteChannels {
    fn all(&self) -> Outcome<'_, Vec<StoredChannel>> {
        Box::pin(async {
            let query = sqlx::query("SELECT name, title, key_digest, created_at FROM channel ORDER BY name");
            query.fetch_all(&self.0).await?.iter().map(channel).collect()
        })
    }

    fn insert<'a>(&'a self, channel: &'a StoredChannel) -> Outcome<'a, ()> {
        Box::pin(async {
            let inserted =
                sqlx::query("INSERT INTO channel (name, title, key_digest, created_at) VALUES (?, ?, ?, ?)")
                    .bind(channel.name.as_str())
                    .bind(&channel.title)
                    .bind(channel.key.as_bytes())
                    .bind(clock::unix_millis(channel.created_at))
                    .execute(&self.0)
                    .await;
            match inserted {
                Ok(_) => Ok(()),
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    Err(ChannelStoreError::Exists)
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    fn set_title<'a>(&'a self, name: &'a ChannelName, title: &'a str) -> Outcome<'a, ()> {
        Box::pin(async move {
            let query =
                sqlx::query("UPDATE channel SET title = ? WHERE name = ?").bind(title).bind(name.as_str());
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn set_key<'a>(&'a self, name: &'a ChannelName, key: Digest) -> Outcome<'a, ()> {
        Box::pin(async move {
            let query = sqlx::query("UPDATE channel SET key_digest = ? WHERE name = ?")
                .bind(key.as_bytes())
                .bind(name.as_str());
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }

    fn delete<'a>(&'a self, name: &'a ChannelName) -> Outcome<'a, ()> {
        Box::pin(async {
            let query = sqlx::query("DELETE FROM channel WHERE name = ?").bind(name.as_str());
            one_row(query.execute(&self.0).await?.rows_affected())
        })
    }
}

fn one_row(affected: u64) -> Result<(), ChannelStoreError> {
    if affected == 0 { Err(ChannelStoreError::Missing) } else { Ok(()) }
}

fn channel(row: &SqliteRow) -> Result<StoredChannel, ChannelStoreError> {
    let text: String = row.try_get("name")?;
    let corrupt = |column| ChannelStoreError::Corrupt { name: text.clone(), column };
    let millis: i64 = row.try_get("created_at")?;
    let since_epoch = u64::try_from(millis).map_err(|_| corrupt("created_at"))?;
    Ok(StoredChannel {
        name: text.parse().map_err(|_| corrupt("name"))?,
        title: row.try_get("title")?,
        key: Digest::from_bytes(row.try_get("key_digest")?).ok_or_else(|| corrupt("key_digest"))?,
        created_at: UNIX_EPOCH + Duration::from_millis(since_epoch),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Config, Store};

    fn stored(name: &str, key: &str) -> StoredChannel {
        StoredChannel {
            name: name.parse().unwrap(),
            title: format!("The {name}; DROP TABLE channel --"),
            key: Digest::of(key),
            created_at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        }
    }

    /// What every store must do.
    async fn contract(store: impl ChannelStore) {
        let (kitchen, garden) = (stored("kitchen", "k1"), stored("garden", "k2"));
        assert!(store.all().await.unwrap().is_empty());
        store.insert(&kitchen).await.unwrap();
        store.insert(&garden).await.unwrap();
        assert!(matches!(store.insert(&stored("kitchen", "k3")).await, Err(ChannelStoreError::Exists)));
        assert!(store.all().await.unwrap() == [garden.clone(), kitchen.clone()]);

        store.set_title(&kitchen.name, "Küche").await.unwrap();
        store.set_key(&kitchen.name, Digest::of("k4")).await.unwrap();
        let changed = StoredChannel { title: "Küche".to_owned(), key: Digest::of("k4"), ..kitchen.clone() };
        assert!(store.all().await.unwrap() == [garden.clone(), changed]);

        store.delete(&kitchen.name).await.unwrap();
        assert!(store.all().await.unwrap() == [garden]);
        assert!(matches!(store.delete(&kitchen.name).await, Err(ChannelStoreError::Missing)));
        assert!(matches!(store.set_title(&kitchen.name, "x").await, Err(ChannelStoreError::Missing)));
        assert!(matches!(store.set_key(&kitchen.name, kitchen.key).await, Err(ChannelStoreError::Missing)));
        store.insert(&kitchen).await.unwrap();
    }

    #[tokio::test]
    async fn sqlite_keeps_channels_as_the_contract_says() {
        let config = Config { url: "sqlite::memory:".to_owned() };
        let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
        contract(SqliteChannels::new(store.pool())).await;
    }
}
