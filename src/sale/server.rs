//! The way in: one director for each broadcast, and what they share.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::beacons::Gate;
use super::config::{ChannelSettings, Config};
use super::director::{Command, Director};
use super::exchange::{self, Exchange};
use super::guided::Guided;
use super::images::Images;
use super::market::{Balance, Market};
use super::metrics::Metrics;
use super::record::{CueNumber, CueRecord, Outcome, Stage};
use super::records::Records;
use super::store::{SaleStore, SaleStoreError};
use crate::auction::Subject;
use crate::auction::campaign::MAX_WINDOW_MS;
use crate::auth::Pages;
use crate::booking::Bookings;
use crate::context::Life;
use crate::cue::{CueBus, Policy, Proposal, Refused, SlotChange};
use crate::hub::{Channel, Hub};
use crate::impression::TrafficRules;
use crate::ledger::store::{LedgerStore, LedgerStoreError};
use crate::ledger::{Account, Book, CampaignId, DisplayClass, Ledger, UnixMillis};
use crate::media::{ChannelName, CueId, Signal};
use crate::overlay::Overlays;
use crate::{clock, metrics};

/// What directors are asked and have not answered.
const COMMANDS: usize = 256;
/// Displays of earlier processes that are read at once.
const PAGE: u32 = 10_000;
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

/// What the sale is made with.
pub struct Parts {
    /// The channels.
    pub hub: Hub,
    /// The money.
    pub ledger: Ledger,
    /// As it was found when the server was started.
    pub book: Book,
    /// Its log.
    pub ledger_store: Arc<dyn LedgerStore>,
    /// What is booked.
    pub bookings: Bookings,
    /// What draws.
    pub overlays: Overlays,
    /// Where cues are kept.
    pub store: Arc<dyn SaleStore>,
    /// What channels are called.
    pub titles: Titles,
    /// What audiences do, if anybody tells.
    pub signals: Option<broadcast::Receiver<(ChannelName, Signal)>>,
    /// A secret of at least 128 bits that only the server knows: tokens are signed with it.
    pub secret: Vec<u8>,
    /// Signs the words of pages that draw overlays themselves.
    pub pages: Pages,
    /// The server's life.
    pub life: Life,
}

/// Why the sale does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Cues or settings cannot be read.
    #[error(transparent)]
    Store(#[from] SaleStoreError),
    /// The ledger's log cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerStoreError),
    /// Certificates cannot be read.
    #[error("sale.trust: {0}")]
    Trust(#[from] rustls::pki_types::pem::Error),
}

/// Why something that was asked of the sale was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no such cue.
    #[error("there is no such cue")]
    Missing,
    /// The cue bus says no.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] SaleStoreError),
}

/// The sale of the whole server. Clones are the same.
#[derive(Clone)]
pub struct Sale(Arc<Inner>);

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
    pub pages: Pages,
    pub hub: Hub,
    pub life: Life,
    policy: Policy,
    store: Arc<dyn SaleStore>,
    market: Mutex<Market>,
    settings: RwLock<HashMap<ChannelName, Arc<ChannelSettings>>>,
    /// One for each broadcast that is on the air.
    directors: Mutex<HashMap<ChannelName, mpsc::Sender<Command>>>,
}

impl Sale {
    /// Takes up where the process before this one left off, and directs every broadcast that begins from now on.
    ///
    /// # Errors
    /// When what was kept cannot be read.
    pub async fn start(
        config: &Config,
        policy: &Policy,
        rules: &TrafficRules,
        parts: Parts,
        registry: &metrics::Metrics,
    ) -> Result<Self, StartError> {
        let Parts { hub, ledger, book, ledger_store, bookings, overlays, store, .. } = parts;
        let now = unix_millis();
        let records = Records::new(Arc::clone(&store), now.unsigned_abs() * 1000);
        let sold = take_up(&records, &*store, &book).await?;
        let mut market = Market::default();
        recall(&mut market, &bookings, &book, &*ledger_store, now).await?;
        let outside = exchange::Parts {
            bidders: config.bidders.clone(),
            seller: config.seller.clone(),
            k: config.k,
            deadline: config.deadline,
            hosts: config.hosts.clone(),
            roots: exchange::client::roots(config.trust.as_deref())?,
            ledger: ledger.clone(),
            max_image: overlays.max_image(),
            intake: Arc::new(overlays.clone()),
        };
        let exchange = Exchange::start(outside, registry).await;
        for record in &sold {
            if let Some(sold) = &record.sold {
                exchange.sold(sold.slot, &record.traces, &sold.traces);
            }
        }
        let settings = store.settings().await?.into_iter();
        let settings = settings.map(|(channel, settings)| (channel, Arc::new(settings))).collect();
        let sale = Self(Arc::new(Inner {
            config: config.clone(),
            overlays,
            ledger,
            bookings,
            records: Arc::clone(&records),
            images: Images::default(),
            exchange,
            metrics: Metrics::new(registry),
            title: parts.titles,
            gate: Gate::new(&parts.secret, config, rules),
            guided: Guided::default(),
            pages: parts.pages,
            hub: hub.clone(),
            life: parts.life,
            policy: policy.clone(),
            store,
            market: Mutex::new(market),
            settings: RwLock::new(settings),
            directors: Mutex::default(),
        }));
        tokio::spawn(records.write());
        tokio::spawn(sale.clone().settle());
        tokio::spawn(sale.clone().sweep());
        tokio::spawn(sale.clone().direct(hub.begun(), hub));
        if let Some(signals) = parts.signals {
            tokio::spawn(sale.clone().listen(signals));
        }
        Ok(sale)
    }

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
        director.send(command(answer)).await.map_err(|_| offline())?;
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
    async fn direct(self, mut begun: broadcast::Receiver<ChannelName>, hub: Hub) {
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
            let since = unix_millis().saturating_sub(HOUR_MILLIS);
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
    async fn listen(self, mut signals: broadcast::Receiver<(ChannelName, Signal)>) {
        loop {
            match signals.recv().await {
                Ok((channel, signal)) => {
                    let director = self.directors().get(&channel).cloned();
                    // A director that has no time for it will do without: these are statistics.
                    if let Some(director) = director {
                        drop(director.try_send(Command::Signal(signal)));
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Learns what has become of slots.
    async fn settle(self) {
        let mut settlements = self.0.ledger.settlements();
        loop {
            match settlements.recv().await {
                Ok(settlement) => {
                    settlement.lots.iter().for_each(|lot| self.0.market().settled(lot));
                    self.0.records.settle(settlement.slot, &settlement.lots);
                    self.0.exchange.settle(&settlement);
                }
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "settlements were missed: some cues will not tell what they cost");
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Forgets what is too old, as long as the server runs.
    async fn sweep(self) {
        loop {
            let now = unix_millis();
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

/// Slots that ran when the process before this one ended are over; the ledger settles what was shown. Gives those that it has
/// not settled.
async fn take_up(
    records: &Records,
    store: &dyn SaleStore,
    book: &Book,
) -> Result<Vec<CueRecord>, SaleStoreError> {
    let mut sold = Vec::new();
    let open: HashSet<_> = book.open_slots().map(|(slot, _, _)| slot).collect();
    for mut record in store.unfinished().await? {
        let why = || "the server ended".to_owned();
        record.end(match record.stage {
            Stage::OnAir => Outcome::CutShort { why: why() },
            Stage::Sold => Outcome::NotShown { why: why() },
            Stage::Announced | Stage::Deciding | Stage::Over => Outcome::BroadcastEnded,
        });
        if record.sold.as_ref().is_some_and(|sold| open.contains(&sold.slot)) {
            sold.push(record.clone());
            records.add(record);
        } else {
            store.keep(&[record]).await?;
        }
    }
    Ok(sold)
}

/// What was shown to whom, as far as caps and separation need it.
async fn recall(
    market: &mut Market,
    bookings: &Bookings,
    book: &Book,
    ledger: &dyn LedgerStore,
    now: UnixMillis,
) -> Result<(), LedgerStoreError> {
    let (mut after, mut programs) = (0, HashSet::new());
    loop {
        let page = ledger.displays(now.saturating_sub(MAX_WINDOW_MS), after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for display in &page {
            let Some(campaign) = bookings.campaign(display.campaign) else { continue };
            let subject = match display.class {
                DisplayClass::Client => Subject::Viewer(display.session),
                // One overlay in the programme was shown to many.
                DisplayClass::Server if programs.insert((display.campaign, display.slot)) => {
                    Subject::Program(display.channel.clone(), 0)
                }
                DisplayClass::Server => continue,
            };
            market.recall(&campaign, &display.channel, subject, display.at);
        }
    }
    for (_, reservation, _) in book.open_slots() {
        for lot in &reservation.lots {
            if let Some(campaign) = bookings.campaign(lot.campaign) {
                market.presume(&campaign, &reservation.slot.channel, reservation.deadline);
            }
        }
    }
    Ok(())
}

pub(super) fn unix_millis() -> UnixMillis {
    clock::unix_millis(clock::wall())
}
