//! How rooms are kept.

use std::pin::Pin;

use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{Row as _, SqliteConnection};

use super::event::Comment;
use super::history::Visibility;
use super::message::Seq;
use super::moderation::{Logged, MAX_LOG};
use super::person::UserId;
use super::room::{MAX_REQUESTS, Record, Restored};
use crate::media::ChannelName;

/// What a store's operation comes to.
pub type Outcome<'a, T> = Pin<Box<dyn Future<Output = Result<T, ChatStoreError>> + Send + 'a>>;

/// The most comments that one question is answered with.
pub const MAX_RANGE: u32 = 1000;

/// Keeps rooms. What has returned `Ok` is durable.
pub trait ChatStore: Send + Sync {
    /// Keeps records, all or none, in order. A comment that is there already, by author and request, stays as it is.
    fn write<'a>(&'a self, records: &'a [(ChannelName, Record)]) -> Outcome<'a, ()>;
    /// A channel's room with its last `comments` comments and at most `names` names.
    fn restore<'a>(
        &'a self,
        channel: &'a ChannelName,
        comments: usize,
        names: usize,
    ) -> Outcome<'a, Restored>;
    /// Comments that everybody may see, in the order of media time and number.
    fn range<'a>(&'a self, channel: &'a ChannelName, range: Range) -> Outcome<'a, Vec<Comment>>;
    /// The newest broadcast that has a comment.
    fn last_broadcast<'a>(&'a self, channel: &'a ChannelName) -> Outcome<'a, Option<u64>>;
    /// Forgets comments and entries of the log that were made before a moment, in Unix milliseconds, at most so many at
    /// once; returns how many comments.
    fn expire(&self, before: i64, at_most: u32) -> Outcome<'_, u64>;
}

/// A stretch of a broadcast's comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Of which broadcast.
    pub broadcast: u64,
    /// From this media time on, in nanoseconds.
    pub from_ns: i64,
    /// Up to, but not at, this one.
    pub to_ns: i64,
    /// At `from_ns` only comments with a higher number: where an earlier answer ended.
    pub after: Seq,
    /// How many at most; [`MAX_RANGE`] holds anyway.
    pub limit: u32,
}

/// Why an operation came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChatStoreError {
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// A row that this release did not write.
    #[error("a room in the database cannot be read: {0}")]
    Corrupt(#[from] serde_json::Error),
}

/// Rooms in SQLite.
#[derive(Clone, Debug)]
pub struct SqliteChat(SqlitePool);

impl SqliteChat {
    /// In an open database.
    pub fn new(pool: &SqlitePool) -> Self {
        Self(pool.clone())
    }
}

impl ChatStore for SqliteChat {
    fn write<'a>(&'a self, records: &'a [(ChannelName, Record)]) -> Outcome<'a, ()> {
        Box::pin(async move {
            let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
            for (channel, record) in records {
                write_one(&mut transaction, channel.as_str(), record).await?;
            }
            Ok(transaction.commit().await?)
        })
    }

    fn restore<'a>(
        &'a self,
        channel: &'a ChannelName,
        comments: usize,
        names: usize,
    ) -> Outcome<'a, Restored> {
        Box::pin(async move {
            let name = channel.as_str();
            let mut restored = Restored::default();
            let query = sqlx::query(
                "SELECT user, request, seq FROM chat_comment WHERE channel = ? ORDER BY seq DESC LIMIT ?",
            );
            for row in query.bind(name).bind(MAX_REQUESTS as i64).fetch_all(&self.0).await?.iter().rev() {
                let seq = unsigned(row.try_get("seq")?);
                let request: String = row.try_get("request")?;
                restored.requests.push((user(row)?, request.into(), seq));
                restored.last_seq = seq;
            }
            let query = sqlx::query(
                "SELECT body, visibility FROM chat_comment WHERE channel = ? ORDER BY seq DESC LIMIT ?",
            );
            let rows =
                query.bind(name).bind(i64::try_from(comments).unwrap_or(i64::MAX)).fetch_all(&self.0).await?;
            for row in rows.iter().rev() {
                let visibility = match row.try_get::<i64, _>("visibility")? {
                    0 => Visibility::Shown,
                    2 => Visibility::Shadowed,
                    _ => Visibility::Deleted,
                };
                restored.comments.push((comment(row)?, visibility));
            }
            let query =
                sqlx::query("SELECT user, name FROM chat_name WHERE channel = ? ORDER BY at DESC LIMIT ?");
            let rows =
                query.bind(name).bind(i64::try_from(names).unwrap_or(i64::MAX)).fetch_all(&self.0).await?;
            for row in rows.iter().rev() {
                restored.names.push((user(row)?, row.try_get("name")?));
            }
            let query = sqlx::query_scalar("SELECT standing FROM chat_standing WHERE channel = ?");
            if let Some(standing) = query.bind(name).fetch_optional(&self.0).await? {
                let standing: String = standing;
                restored.standing = serde_json::from_str(&standing)?;
            }
            let query =
                sqlx::query_scalar("SELECT body FROM chat_log WHERE channel = ? ORDER BY entry DESC LIMIT ?");
            let rows: Vec<String> = query.bind(name).bind(MAX_LOG as i64).fetch_all(&self.0).await?;
            let read = |body: &String| serde_json::from_str::<Logged>(body);
            restored.log = rows.iter().rev().map(read).collect::<Result<_, _>>()?;
            Ok(restored)
        })
    }

    fn range<'a>(&'a self, channel: &'a ChannelName, range: Range) -> Outcome<'a, Vec<Comment>> {
        Box::pin(async move {
            let query = sqlx::query(
                "SELECT body FROM chat_comment WHERE channel = ? AND broadcast = ? AND time_ns >= ? AND time_ns < ? \
                 AND (time_ns > ? OR seq > ?) AND visibility = 0 ORDER BY time_ns, seq LIMIT ?",
            );
            let rows = query
                .bind(channel.as_str())
                .bind(signed(range.broadcast))
                .bind(range.from_ns)
                .bind(range.to_ns)
                .bind(range.from_ns)
                .bind(signed(range.after))
                .bind(range.limit.min(MAX_RANGE))
                .fetch_all(&self.0)
                .await?;
            rows.iter().map(comment).collect()
        })
    }

    fn last_broadcast<'a>(&'a self, channel: &'a ChannelName) -> Outcome<'a, Option<u64>> {
        Box::pin(async move {
            let query = sqlx::query_scalar("SELECT max(broadcast) FROM chat_comment WHERE channel = ?");
            let last: Option<i64> = query.bind(channel.as_str()).fetch_one(&self.0).await?;
            Ok(last.map(unsigned))
        })
    }

    fn expire(&self, before: i64, at_most: u32) -> Outcome<'_, u64> {
        Box::pin(async move {
            let query = sqlx::query(
                "DELETE FROM chat_comment WHERE (channel, seq) IN \
                 (SELECT channel, seq FROM chat_comment WHERE at < ? LIMIT ?)",
            );
            let comments = query.bind(before).bind(at_most).execute(&self.0).await?.rows_affected();
            sqlx::query("DELETE FROM chat_log WHERE at < ?").bind(before).execute(&self.0).await?;
            Ok(comments)
        })
    }
}

async fn write_one(
    connection: &mut SqliteConnection,
    channel: &str,
    record: &Record,
) -> Result<(), ChatStoreError> {
    match record {
        Record::Comment { comment, id, visibility, broadcast } => {
            let query = sqlx::query(
                "INSERT INTO chat_comment (channel, seq, user, request, broadcast, time_ns, at, visibility, body) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (channel, user, request) DO NOTHING",
            );
            query
                .bind(channel)
                .bind(signed(comment.seq))
                .bind(signed(comment.user.0))
                .bind(&**id)
                .bind(broadcast.map(signed))
                .bind(comment.time_ns)
                .bind(comment.at)
                .bind(number(*visibility))
                .bind(serde_json::to_string(comment)?)
                .execute(&mut *connection)
                .await?;
        }
        Record::Order { visibility, log, standing } => {
            if let Some((seq, visibility)) = visibility {
                sqlx::query("UPDATE chat_comment SET visibility = ? WHERE channel = ? AND seq = ?")
                    .bind(number(*visibility))
                    .bind(channel)
                    .bind(signed(*seq))
                    .execute(&mut *connection)
                    .await?;
            }
            for logged in log {
                sqlx::query("INSERT OR REPLACE INTO chat_log (channel, entry, at, body) VALUES (?, ?, ?, ?)")
                    .bind(channel)
                    .bind(signed(logged.entry.entry))
                    .bind(logged.entry.at)
                    .bind(serde_json::to_string(logged)?)
                    .execute(&mut *connection)
                    .await?;
            }
            sqlx::query("INSERT OR REPLACE INTO chat_standing (channel, standing) VALUES (?, ?)")
                .bind(channel)
                .bind(serde_json::to_string(standing)?)
                .execute(&mut *connection)
                .await?;
        }
        Record::Name { user, name, at } => {
            sqlx::query("INSERT OR REPLACE INTO chat_name (channel, user, name, at) VALUES (?, ?, ?, ?)")
                .bind(channel)
                .bind(signed(user.0))
                .bind(&**name)
                .bind(*at)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

const fn number(visibility: Visibility) -> i64 {
    match visibility {
        Visibility::Shown => 0,
        Visibility::Deleted => 1,
        Visibility::Shadowed => 2,
    }
}

/// SQLite's integers are signed; the bits stay.
const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}

fn user(row: &SqliteRow) -> Result<UserId, ChatStoreError> {
    Ok(UserId(unsigned(row.try_get("user")?)))
}

fn comment(row: &SqliteRow) -> Result<Comment, ChatStoreError> {
    let body: String = row.try_get("body")?;
    Ok(serde_json::from_str(&body)?)
}

/// A store that cannot keep anything, for tests.
#[cfg(test)]
#[derive(Debug, Default)]
pub struct Broken;

#[cfg(test)]
impl ChatStore for Broken {
    fn write<'a>(&'a self, _: &'a [(ChannelName, Record)]) -> Outcome<'a, ()> {
        Box::pin(async { Err(sqlx::Error::PoolClosed.into()) })
    }

    fn restore<'a>(&'a self, _: &'a ChannelName, _: usize, _: usize) -> Outcome<'a, Restored> {
        Box::pin(async { Ok(Restored::default()) })
    }

    fn range<'a>(&'a self, _: &'a ChannelName, _: Range) -> Outcome<'a, Vec<Comment>> {
        Box::pin(async { Err(sqlx::Error::PoolClosed.into()) })
    }

    fn last_broadcast<'a>(&'a self, _: &'a ChannelName) -> Outcome<'a, Option<u64>> {
        Box::pin(async { Err(sqlx::Error::PoolClosed.into()) })
    }

    fn expire(&self, _: i64, _: u32) -> Outcome<'_, u64> {
        Box::pin(async { Err(sqlx::Error::PoolClosed.into()) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chat::event::AuditEntry;
    use crate::chat::message::Act;
    use crate::chat::moderation::{Reversal, Standing};
    use crate::chat::person::Role;
    use crate::store::{Config, Store};

    fn said(seq: Seq, user: u64, request: &str, time_ns: Option<i64>) -> Record {
        let comment = Comment {
            seq,
            user: UserId(user),
            name: "Ada".into(),
            role: Role::Guest,
            hue: 3,
            text: format!("'; DROP TABLE chat_comment -- {seq}").into(),
            time_ns,
            at: 1000 + seq.cast_signed(),
            reply_to: None,
            hashtags: vec!["live".into()],
            mentions: vec![UserId(u64::MAX)],
            shadowed: false,
        };
        let broadcast = time_ns.map(|_| 7);
        Record::Comment { comment, id: request.into(), visibility: Visibility::Shown, broadcast }
    }

    fn of(record: &Record) -> Comment {
        match record {
            Record::Comment { comment, .. } => comment.clone(),
            _ => panic!("no comment"),
        }
    }

    fn logged(entry: u64) -> Logged {
        let act = Act::Delete { comment: 2 };
        let by: Arc<str> = "Grace".into();
        let entry = AuditEntry {
            entry,
            at: 5,
            by,
            user: Some(UserId(9)),
            act,
            target: "x".into(),
            reason: "y".into(),
            undone_by: None,
        };
        Logged { entry, reversal: Some(Reversal::Restore(2)) }
    }

    /// What every store must do.
    async fn contract(store: impl ChatStore) {
        let (kitchen, garden): (ChannelName, ChannelName) =
            ("kitchen".parse().unwrap(), "garden".parse().unwrap());
        let records: Vec<Record> =
            (1..=5).map(|n| said(n, u64::MAX, &format!("r{n}"), Some(n as i64 * 10))).collect();
        let to_kitchen = |records: &[Record]| -> Vec<(ChannelName, Record)> {
            records.iter().map(|record| (kitchen.clone(), record.clone())).collect()
        };
        store.write(&to_kitchen(&records)).await.unwrap();
        // The same request again, under another number; and one of another channel.
        store.write(&to_kitchen(&[said(6, u64::MAX, "r5", Some(60))])).await.unwrap();
        store.write(&[(garden.clone(), said(1, 2, "r1", None))]).await.unwrap();
        let standing = Standing { slow: 5, moderators: vec![UserId(9)], ..Standing::default() };
        let order = |entries: Vec<Logged>| Record::Order {
            visibility: Some((2, Visibility::Deleted)),
            log: entries,
            standing: standing.clone(),
        };
        store.write(&to_kitchen(&[order(vec![logged(1)]), order(vec![logged(1), logged(2)])])).await.unwrap();
        let name = |name: &str| Record::Name { user: UserId(u64::MAX), name: name.into(), at: 1 };
        store.write(&to_kitchen(&[name("Ada"), name("Ada L")])).await.unwrap();

        let restored = store.restore(&kitchen, 3, 10).await.unwrap();
        assert_eq!((restored.last_seq, restored.requests.len()), (5, 5));
        let seqs: Vec<Seq> = restored.comments.iter().map(|(comment, _)| comment.seq).collect();
        assert_eq!(seqs, [3, 4, 5]);
        assert_eq!(restored.comments[0].0, of(&records[2]));
        assert_eq!(restored.names, [(UserId(u64::MAX), "Ada L".to_owned())]);
        assert_eq!((restored.standing, restored.log.len()), (standing, 2));
        assert_eq!(store.restore(&garden, 3, 10).await.unwrap().comments.len(), 1);

        let range = |from_ns, to_ns, after, limit| Range { broadcast: 7, from_ns, to_ns, after, limit };
        let seqs = async |range| -> Vec<Seq> {
            store.range(&kitchen, range).await.unwrap().iter().map(|comment| comment.seq).collect()
        };
        assert_eq!(seqs(range(10, 50, 0, 100)).await, [1, 3, 4], "without the deleted one");
        assert_eq!(seqs(range(30, i64::MAX, 3, 1)).await, [4], "one more page");
        assert_eq!(seqs(Range { broadcast: 8, ..range(0, 100, 0, 100) }).await, [] as [Seq; 0]);
        assert_eq!(store.last_broadcast(&kitchen).await.unwrap(), Some(7));
        assert_eq!(store.last_broadcast(&garden).await.unwrap(), None);

        // All or none.
        let nowhere: ChannelName = "nowhere".parse().unwrap();
        let mut batch = to_kitchen(&[said(8, 1, "r8", None)]);
        batch.push((nowhere, said(1, 1, "r1", None)));
        assert!(store.write(&batch).await.is_err());
        assert_eq!(store.restore(&kitchen, 9, 9).await.unwrap().last_seq, 5);

        assert_eq!(store.expire(1003, 1).await.unwrap(), 1);
        assert_eq!(store.expire(1003, 100).await.unwrap(), 2);
        assert_eq!(seqs(range(0, 100, 0, 100)).await, [3, 4, 5]);
        assert!(store.restore(&kitchen, 9, 9).await.unwrap().log.is_empty());
    }

    #[tokio::test]
    async fn sqlite_keeps_rooms_as_the_contract_says() {
        let config = Config { url: "sqlite::memory:".to_owned() };
        let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
        for channel in ["kitchen", "garden"] {
            sqlx::query("INSERT INTO channel VALUES (?, '', randomblob(32), 0)")
                .bind(channel)
                .execute(store.pool())
                .await
                .unwrap();
        }
        contract(SqliteChat::new(store.pool())).await;
        sqlx::query("DELETE FROM channel").execute(store.pool()).await.unwrap();
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM chat_comment").fetch_one(store.pool()).await.unwrap();
        assert_eq!(left, 0, "a channel's room goes with it");
    }
}
