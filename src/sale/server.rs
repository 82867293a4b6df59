//! The way in: one director for each broadcast, and what they share.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::beacons::Gate;
use super::config::{ChannelSettings, Config};
use super::director::{Command, Director};
use super::exchange::Exchange;
use super::guided::Guided;
use super::images::Images;
use super::market::{Balance, Market};
use super::metrics::Metrics;
use super::record::{CueNumber, CueRecord, Stage};
use super::records::Records;
use super::store::{SaleStore, SaleStoreError};
use super::tracking::Players;
use crate::auth::Pages;
use crate::booking::Bookings;
use crate::clock;
use crate::context::Life;
use crate::cue::{CueBus, Policy, Proposal, Refused, SlotChange};
use crate::http::Countries;
use crate::hub::{Channel, Hub};
use crate::ledger::{Account, CampaignId, Ledger, Settlement};
use crate::media::{ChannelName, CueId, Signal};
use crate::overlay::Overlays;

/// What a director is asked and has not looked at: more is refused.
pub(super) const COMMANDS: usize = 256;
/// How often what is too old is forgotten.
const SWEEP: Duration = Duration::from_secs(600);
const HOUR_MILLIS: i64 = 3_600_000;

/// What a channel's viewers read.
#[derive(Clone, Debug, Default)]
pub struct Title {
    /// The whole of it.
    pub text: String,
    /// The hashtags in it.
    pub hashtags: BTreeSet<Arc<str>>,
}

/// Tells a channel's title.
pub type Titles = Box<dyn Fn(&ChannelName) -> Title + Send + Sync>;

/// Why something that was asked of the sale was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no such cue.
    #[error("there is no such cue")]
    Missing,
    /// The director has too much to do.
    #[error("too much is asked of this channel at once: ask again")]
    Busy,
    /// The cue bus says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] SaleStoreError),
}

/// The sale of the whole server. Clones are the same.
#[derive(Clone)]
pub struct Sale(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub config: Config,
    pub overlays: Overlays,
    pub ledger: Ledger,
    pub bookings: Bookings,
    pub records: Arc<Records>,
    pub images: Images,
    pub exchange: Exchange,
    pub metrics: Metrics,
    pub title: Titles,
    pub gate: Gate,
    pub guided: Guided,
    pub players: Players,
    pub public_base: Option<String>,
    pub countries: Arc<Countries>,
    pub pages: Pages,
    pub hub: Hub,
    pub life: Life,
    pub policy: Policy,
    pub store: Arc<dyn SaleStore>,
    pub market: Mutex<Market>,
    pub settings: RwLock<HashMap<ChannelName, Arc<ChannelSettings>>>,
    /// One for each broadcast that is on the air.
    pub directors: Mutex<HashMap<ChannelName, mpsc::Sender<Command>>>,
}

impl Sale {
    /// Opens a slot in a channel; gives its cue's number.
    ///
    /// # Errors
    /// When there is no slot.
    pub async fn propose(&self, channel: &ChannelName, proposal: Proposal) -> Result<CueNumber, AskError> {
        self.ask(channel, |answer| Command::Propose(proposal, answer)).await?.map_err(AskError::Refused)
    }

    /// Changes a slot.
    ///
    /// # Errors
    /// When there is none, or it cannot be so.
    pub async fn update(&self, number: CueNumber, change: SlotChange) -> Result<(), AskError> {
        self.ask_about(number, |cue, answer| Command::Update(cue, change, answer)).await
    }

    /// Withdraws a slot, or ends it if it is running.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub async fn cancel(&self, number: CueNumber) -> Result<(), AskError> {
        self.ask_about(number, Command::Cancel).await
    }

    /// The broadcaster forbids a slot.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub async fn veto(&self, number: CueNumber) -> Result<(), AskError> {
        self.ask_about(number, Command::Veto).await
    }

    /// The broadcaster wants no slot to begin for so long from now on.
    ///
    /// # Errors
    /// When the channel is not on the air.
    pub async fn hold_off(&self, channel: &ChannelName, time: Duration) -> Result<(), AskError> {
        self.ask(channel, |answer| Command::HoldOff(time, answer)).await
    }

    /// A cue and what came of it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cue(&self, number: CueNumber) -> Result<Option<CueRecord>, AskError> {
        Ok(self.0.records.find(number).await?)
    }

    /// A channel's cues, the newest first, at most so many, from before a number if there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn cues(
        &self,
        channel: &ChannelName,
        before: Option<CueNumber>,
        at_most: u32,
    ) -> Result<Vec<CueRecord>, AskError> {
        let mut cues = self.0.store.cues(channel, before, at_most).await?;
        // What memory has is newer.
        for cue in &mut cues {
            if let Some(open) = self.0.records.open_cue(cue.id) {
                *cue = open;
            }
        }
        Ok(cues)
    }

    /// What is set for a channel.
    pub fn settings(&self, channel: &ChannelName) -> Arc<ChannelSettings> {
        let settings = self.0.settings.read().unwrap_or_else(PoisonError::into_inner);
        settings.get(channel).cloned().unwrap_or_default()
    }

    /// Who may open slots in a channel, and how long and how often.
    pub fn policy(&self, channel: &ChannelName) -> Policy {
        self.settings(channel).policy.clone().unwrap_or_else(|| self.0.policy.clone())
    }

    /// Sets something for a channel. Who may open slots holds from the next broadcast on.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn set(&self, channel: &ChannelName, settings: ChannelSettings) -> Result<(), AskError> {
        self.0.store.set(channel, &settings).await?;
        let mut all = self.0.settings.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(channel.clone(), Arc::new(settings));
        Ok(())
    }

    pub(super) const fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// What a campaign may reserve, and what of it is reserved.
    pub(super) fn balance(&self, campaign: CampaignId) -> Balance {
        Balance {
            budget: self.0.ledger.balance(&Account::Budget(campaign)),
            reserved: self.0.ledger.balance(&Account::Reserved(campaign)),
        }
    }

    /// Asks a channel's director.
    async fn ask<T>(
        &self,
        channel: &ChannelName,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, AskError> {
        let offline = || AskError::Refused(Refused::Offline);
        let director = self.directors().get(channel).cloned().ok_or_else(offline)?;
        let (answer, answered) = oneshot::channel();
        director.try_send(command(answer)).map_err(|error| match error {
            TrySendError::Full(_) => {
                self.0.metrics.unheard("command");
                AskError::Busy
            }
            TrySendError::Closed(_) => offline(),
        })?;
        answered.await.map_err(|_| offline())
    }

    /// Asks about a cue that is not over.
    async fn ask_about(
        &self,
        number: CueNumber,
        command: impl FnOnce(CueId, oneshot::Sender<Result<(), Refused>>) -> Command,
    ) -> Result<(), AskError> {
        let record = self.cue(number).await?.ok_or(AskError::Missing)?;
        if record.stage == Stage::Over {
            return Err(AskError::Refused(Refused::Unknown));
        }
        self.ask(&record.channel, |answer| command(record.cue, answer)).await?.map_err(AskError::Refused)
    }

    /// Gives every broadcast a director.
    pub(super) async fn direct(self, mut begun: broadcast::Receiver<ChannelName>, hub: Hub) {
        loop {
            match begun.recv().await {
                Ok(name) => {
                    if let Some(channel) = hub.channel(&name) {
                        self.direct_one(channel);
                    }
                }
                Err(RecvError::Lagged(_)) => {
                    hub.channels().into_iter().for_each(|channel| self.direct_one(channel));
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn direct_one(&self, channel: Arc<Channel>) {
        let Some(air) = channel.on_air() else { return };
        let name = channel.name().clone();
        let mut directors = self.directors();
        if directors.get(&name).is_some_and(|director| !director.is_closed()) {
            return;
        }
        let (commands, orders) = mpsc::channel(COMMANDS);
        directors.insert(name.clone(), commands.clone());
        drop(directors);
        let sale = self.clone();
        self.0.life.spawn(async move {
            let since = clock::unix_now().saturating_sub(HOUR_MILLIS);
            let opened = sale.0.store.opened_since(&name, since).await.unwrap_or_else(|error| {
                tracing::error!(channel = %name, %error, "it is not known how many slots the broadcaster has opened");
                Vec::new()
            });
            let bus = CueBus::new(sale.policy(&name), opened);
            Director::new(sale.clone(), Arc::clone(&channel), air, bus, orders).run().await;
            let mut directors = sale.directors();
            if directors.get(&name).is_some_and(|director| director.same_channel(&commands)) {
                directors.remove(&name);
            }
            drop(directors);
            // The next broadcast may have begun before this one was done with.
            if channel.on_air().is_some_and(|next| next.broadcast != air.broadcast) {
                sale.direct_one(channel);
            }
        });
    }

    /// Hands on what audiences do.
    pub(super) async fn listen(self, mut signals: broadcast::Receiver<(ChannelName, Signal)>) {
        loop {
            match signals.recv().await {
                Ok((channel, signal)) => {
                    let director = self.directors().get(&channel).cloned();
                    // A director that has no time for it will do without: these are statistics.
                    if let Some(Err(TrySendError::Full(_))) =
                        director.map(|director| director.try_send(Command::Signal(signal)))
                    {
                        self.0.metrics.unheard("signal");
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Learns what becomes of slots.
    pub(super) async fn settle(self, mut settlements: broadcast::Receiver<Settlement>) {
        loop {
            match settlements.recv().await {
                Ok(settlement) => self.settled(&settlement).await,
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "settlements were missed: some cues will not tell what they cost");
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// The ledger is done with a slot.
    pub(super) async fn settled(&self, settlement: &Settlement) {
        settlement.lots.iter().for_each(|lot| self.0.market().settled(lot));
        self.0.records.settle(settlement.slot, &settlement.lots);
        let attention = self.0.ledger.attention(settlement.slot).await.unwrap_or_else(|error| {
            tracing::error!(%error, "bidders are not told what attention they got");
            Vec::new()
        });
        self.0.exchange.settle(settlement, &attention);
    }

    /// Forgets what is too old, as long as the server runs.
    pub(super) async fn sweep(self) {
        loop {
            let now = clock::unix_now();
            self.0.market().forget(now);
            let keep = i64::try_from(self.0.config.keep.as_millis()).unwrap_or(i64::MAX);
            match self.0.store.forget_before(now.saturating_sub(keep)).await {
                Ok(0) => {}
                Ok(cues) => tracing::info!(cues, "old cues are forgotten"),
                Err(error) => tracing::error!(%error, "old cues are not forgotten"),
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP) => {}
                () = self.0.life.draining() => return,
            }
        }
    }

    fn directors(&self) -> MutexGuard<'_, HashMap<ChannelName, mpsc::Sender<Command>>> {
        self.0.directors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub fn market(&self) -> MutexGuard<'_, Market> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
