//! All rooms: opened when somebody comes, kept by one writer, forgotten when they are empty for long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use aws_lc_rs::rand;
use tokio::sync::{OnceCell, broadcast, mpsc, oneshot};

use super::event::Refusal;
use super::hall::{self, Feed, Hall, Jobs};
use super::key_set::KeySet;
use super::message::Join;
use super::metrics::Metrics;
use super::room::{Air, Arrival, Refused, Room, SessionId};
use super::store::{ChatStore, ChatStoreError};
use super::voucher::KeysError;
use super::writer::{self, Job};
use super::{Config, admission};
use crate::auth::{Studio, Viewers};
use crate::clock;
use crate::context::Life;
use crate::media::{ChannelName, Signal};
use crate::metrics;

/// Signals that a reader may fall behind.
const SIGNALS: usize = 1024;
/// Tries to get into a room that goes out of memory in the same moment.
const TRIES: usize = 3;

/// What rooms need to know of channels.
pub trait Channels: Send + Sync {
    /// Whether there is such a channel.
    fn exists(&self, name: &ChannelName) -> bool;
    /// What is on the air there.
    fn air(&self, name: &ChannelName) -> Option<Air>;
}

/// What all rooms share.
pub(super) struct Shared {
    pub config: Arc<Config>,
    pub metrics: Metrics,
    pub channels: Box<dyn Channels>,
    pub store: Arc<dyn ChatStore>,
    pub jobs: Jobs,
    pub viewers: Viewers,
    pub studio: Studio,
    pub public_base: Option<String>,
    pub started: Instant,
    pub signals: broadcast::Sender<(ChannelName, Signal)>,
    pub life: Life,
    pub keys: KeySet,
    halls: Mutex<HashMap<ChannelName, Arc<OnceCell<Arc<Hall>>>>>,
    /// Connections that speak by POST, by their secrets.
    posters: Mutex<HashMap<String, (Weak<Hall>, SessionId)>>,
}

/// The comment channel of the whole server. Clones are the same.
#[derive(Clone)]
pub struct Chat {
    pub(super) shared: Arc<Shared>,
}

/// What the comment channel is made with.
pub struct Parts {
    /// What rooms know of channels.
    pub channels: Box<dyn Channels>,
    /// Where rooms are kept.
    pub store: Arc<dyn ChatStore>,
    /// Viewers by their cookies.
    pub viewers: Viewers,
    /// Broadcasters by theirs.
    pub studio: Studio,
    /// The address that viewers use, if the configuration names one.
    pub public_base: Option<String>,
    /// The server's life.
    pub life: Life,
}

impl Chat {
    /// Starts the writer; rooms open when somebody comes.
    ///
    /// # Errors
    /// When the keys of vouchers cannot be read.
    pub fn start(config: &Config, parts: Parts, registry: &metrics::Metrics) -> Result<Self, KeysError> {
        let Parts { channels, store, viewers, studio, public_base, life } = parts;
        let keys = KeySet::new(config)?;
        let metrics = Metrics::default();
        metrics.register(registry);
        let (jobs, waiting) = mpsc::channel(writer::QUEUE);
        let shared = Arc::new(Shared {
            config: Arc::new(config.clone()),
            metrics,
            channels,
            store: Arc::clone(&store),
            jobs,
            viewers,
            studio,
            public_base,
            started: hall::beginning(),
            signals: broadcast::Sender::new(SIGNALS),
            life,
            keys,
            halls: Mutex::default(),
            posters: Mutex::default(),
        });
        tokio::spawn(writer::run(Arc::clone(&store), waiting, Arc::clone(&shared)));
        tokio::spawn(writer::expire(store, Arc::clone(&shared)));
        let following = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::select! {
                () = following.keys.follow() => {}
                () = following.life.draining() => {}
            }
        });
        Ok(Self { shared })
    }

    /// Reads the keys of vouchers again.
    ///
    /// # Errors
    /// When they cannot be read; the old ones hold.
    pub fn reload(&self, config: &Config) -> Result<(), KeysError> {
        self.shared.keys.reload(config)
    }

    /// What the audiences of all channels do, from now on.
    pub fn signals(&self) -> broadcast::Receiver<(ChannelName, Signal)> {
        self.shared.signals.subscribe()
    }

    /// Waits until everything that was said is kept; after the last connection ended.
    pub async fn finish(&self) {
        let (done, kept) = oneshot::channel();
        if self.shared.jobs.send(Job::Flush(done)).await.is_ok() {
            // The writer is gone only when everything is.
            drop(kept.await);
        }
    }
}

impl Shared {
    /// Somebody comes into a channel's room.
    ///
    /// # Errors
    /// When they may not, or there is no such room.
    pub async fn enter(
        self: &Arc<Self>,
        channel: &ChannelName,
        caller: &admission::Caller,
        join: &Join,
    ) -> Result<Feed, Refused> {
        let mut join = join.clone();
        let Arrival { visitor, invitation } = self.arrival(channel, caller, &join).await?;
        if visitor.role == super::person::Role::Broadcaster && join.name.is_none() {
            join.name = Some(channel.to_string());
        }
        for _ in 0..TRIES {
            let hall = self.hall(channel).await?;
            let arrival = Arrival { visitor: visitor.clone(), invitation };
            if let Some(feed) = hall.enter(arrival, &join)? {
                return Ok(feed);
            }
        }
        Err(Refused::new(Refusal::Unavailable, "come back in a moment"))
    }

    async fn hall(self: &Arc<Self>, channel: &ChannelName) -> Result<Arc<Hall>, Refused> {
        if !self.channels.exists(channel) {
            return Err(Refused::new(Refusal::NotFound, "there is no channel of this name"));
        }
        let cell = Arc::clone(
            self.halls.lock().unwrap_or_else(PoisonError::into_inner).entry(channel.clone()).or_default(),
        );
        let opened = cell.get_or_try_init(|| self.open(channel)).await;
        opened.cloned().map_err(|error| {
            tracing::error!(%error, %channel, "a room cannot be opened");
            Refused::new(Refusal::Unavailable, "the room cannot be opened at the moment")
        })
    }

    async fn open(self: &Arc<Self>, channel: &ChannelName) -> Result<Arc<Hall>, ChatStoreError> {
        let config = &self.config;
        let restored = self.store.restore(channel, config.history, config.max_remembered / 2).await?;
        let mut seed = [0; 8];
        // A room whose jurors can be foreseen is better than none.
        if rand::fill(&mut seed).is_err() {
            tracing::warn!("the system gives no random numbers");
        }
        let epoch = u64::try_from(clock::unix_now()).unwrap_or(0);
        let room = Room::new(Arc::clone(config), restored, epoch, u64::from_le_bytes(seed));
        Ok(Hall::open(channel.clone(), room, Arc::clone(self)))
    }

    /// A room went out of memory.
    pub fn forget(&self, channel: &ChannelName, hall: &Arc<Hall>) {
        let mut halls = self.halls.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |cell: &Arc<OnceCell<Arc<Hall>>>| cell.get().is_some_and(|open| Arc::ptr_eq(open, hall));
        if halls.get(channel).is_some_and(is_it) {
            halls.remove(channel);
        }
    }

    /// Lets a connection speak by POST; it is known by the secret while the guard lives.
    pub fn poster(self: &Arc<Self>, feed: &Feed) -> Option<Poster> {
        let mut secret = [0_u8; 16];
        rand::fill(&mut secret).ok()?;
        let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let (hall, session) = feed.place();
        let mut posters = self.posters.lock().unwrap_or_else(PoisonError::into_inner);
        posters.insert(secret.clone(), (Arc::downgrade(&hall), session));
        Some(Poster { shared: Arc::clone(self), secret })
    }

    /// The connection of this secret.
    pub fn posted(&self, secret: &str) -> Option<(Arc<Hall>, SessionId)> {
        let posters = self.posters.lock().unwrap_or_else(PoisonError::into_inner);
        let (hall, session) = posters.get(secret)?;
        Some((hall.upgrade()?, *session))
    }
}

/// See [`Shared::poster`].
pub(super) struct Poster {
    shared: Arc<Shared>,
    pub secret: String,
}

impl Drop for Poster {
    fn drop(&mut self) {
        self.shared.posters.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.secret);
    }
}
