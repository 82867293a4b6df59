//! The database: opened, brought up to date, shared. Each feature owns its tables' SQL.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// The database's file in the data directory, unless the settings name another.
const FILE: &str = "onair.db";
/// How long a statement waits for another process's lock, a backup for instance.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection before it is told that the store is overloaded.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLite has one writer at a time and its readers are quick: more connections only wait for one another.
const MAX_CONNECTIONS: u32 = 4;

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// The directory for everything that must outlive the process.
    pub dir: PathBuf,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self { dir: "data".into() }
    }
}

/// Which database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `sqlite://PATH` or `sqlite::memory:`; empty for a file in the data directory.
    pub url: String,
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        match self.options(Path::new("")) {
            Ok(_) => Vec::new(),
            Err(error) => vec![("url", error.to_string())],
        }
    }

    fn options(&self, data_dir: &Path) -> Result<SqliteConnectOptions, OpenError> {
        if self.url.is_empty() {
            return Ok(SqliteConnectOptions::new().filename(data_dir.join(FILE)));
        }
        if !self.url.starts_with("sqlite:") {
            return Err(OpenError::Url { url: self.url.clone() });
        }
        SqliteConnectOptions::from_str(&self.url).map_err(|_| OpenError::Url { url: self.url.clone() })
    }
}

/// Why the store is not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL names no database that is supported.
    #[error("{url:?} is no database: expected sqlite://PATH, sqlite::memory: or \"\" for a file in data.dir")]
    Url {
        /// The URL.
        url: String,
    },
    /// The data directory cannot be made.
    #[error("data directory {}: {source}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What was wrong.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("database: {0}")]
    Connect(sqlx::Error),
    /// The database cannot be brought up to date; it may be of a newer release.
    #[error("database schema: {0}")]
    Migrate(#[from] MigrateError),
}

/// The open database. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Makes the data directory, opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, OpenError> {
        let make = std::fs::DirBuilder::new().recursive(true).mode(0o750).create(data_dir);
        make.map_err(|source| OpenError::Directory { path: data_dir.to_owned(), source })?;
        let options = config
            .options(data_dir)?
            .create_if_missing(true)
            .foreign_keys(true)
            // Readers and the writer do not wait for one another, and a commit survives a crash of the process.
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was acknowledged must survive a loss of power too.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        // A database in memory lives in its one connection, as long as that is open.
        let in_memory = config.url.contains(":memory:") || config.url.contains("mode=memory");
        let pool = SqlitePoolOptions::new()
            .max_connections(if in_memory { 1 } else { MAX_CONNECTIONS })
            .min_connections(u32::from(in_memory))
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(OpenError::Connect)?;
        MIGRATIONS.run(&pool).await?;
        Ok(Self { pool })
    }

    /// The connections, for the features' own SQL.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// When it gives none.
    pub async fn ping(&self) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT 1").execute(&self.pool).await.map(drop)
    }

    /// Lets running statements end and closes the database.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("onair-store-{}-{name}", std::process::id()));
        drop(std::fs::remove_dir_all(&path));
        path
    }

    #[tokio::test]
    async fn what_is_written_is_there_after_a_restart() {
        let dir = directory("restart");
        let store = Store::open(&Config::default(), &dir).await.unwrap();
        sqlx::query("INSERT INTO channel VALUES ('kitchen', 'Kitchen', zeroblob(32), 0)")
            .execute(store.pool())
            .await
            .unwrap();
        store.close().await;
        assert!(store.ping().await.is_err());
        let again = Store::open(&Config::default(), &dir).await.unwrap();
        let title: String =
            sqlx::query_scalar("SELECT title FROM channel").fetch_one(again.pool()).await.unwrap();
        assert_eq!(title, "Kitchen");
        again.close().await;
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[tokio::test]
    async fn a_database_in_memory_serves_many_at_once() {
        let config = Config { url: "sqlite::memory:".to_owned() };
        let store = Store::open(&config, &directory("memory")).await.unwrap();
        let asked: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.ping().await })
            })
            .collect();
        for answer in asked {
            answer.await.unwrap().unwrap();
        }
        let tables: i64 =
            sqlx::query_scalar("SELECT count(*) FROM channel").fetch_one(store.pool()).await.unwrap();
        assert_eq!(tables, 0);
    }

    #[tokio::test]
    async fn a_foreign_url_and_an_impossible_directory_are_refused() {
        let config = Config { url: "mysql://localhost/onair".to_owned() };
        assert_eq!(config.problems()[0].0, "url");
        let dir = directory("file");
        std::fs::write(&dir, "not a directory").unwrap();
        let error = Store::open(&Config::default(), &dir.join("data")).await.unwrap_err();
        assert!(matches!(error, OpenError::Directory { .. }), "{error}");
        std::fs::remove_file(dir).unwrap();
    }
}
