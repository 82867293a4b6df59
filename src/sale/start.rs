//! The start: takes up where the process before this one left off.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::broadcast;

use super::beacons::Gate;
use super::config::Config;
use super::exchange::{self, Exchange};
use super::guided::Guided;
use super::images::Images;
use super::market::Market;
use super::metrics::Metrics;
use super::record::{CueRecord, Outcome, Stage};
use super::records::Records;
use super::server::{Inner, Sale, Titles};
use super::store::{SaleStore, SaleStoreError};
use super::tracking::Players;
use crate::auction::Subject;
use crate::auction::campaign::MAX_WINDOW_MS;
use crate::auth::Pages;
use crate::booking::Bookings;
use crate::context::Life;
use crate::cue::Policy;
use crate::http::Countries;
use crate::hub::{Hub, MAX_VARIANTS};
use crate::impression::TrafficRules;
use crate::ledger::store::{LedgerStore, LedgerStoreError};
use crate::ledger::{Book, DisplayClass, Found, Ledger, Settlement, UnixMillis};
use crate::media::{ChannelName, Signal};
use crate::overlay::Overlays;
use crate::{clock, metrics};

/// Displays of earlier processes that are read at once.
const PAGE: u32 = 10_000;

/// What the sale is made with.
pub struct Parts {
    /// The channels.
    pub hub: Hub,
    /// The money.
    pub ledger: Ledger,
    /// What it found when the server was started.
    pub found: Found,
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
    /// Where viewers are.
    pub countries: Arc<Countries>,
    /// What links to this server begin with, where that is configured.
    pub public_base: Option<String>,
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
        let Parts { hub, ledger, found, ledger_store, bookings, overlays, store, .. } = parts;
        let now = clock::unix_now();
        let records = Records::new(Arc::clone(&store), now.unsigned_abs() * 1000);
        let (sold, settled) = take_up(&records, &*store, &found.book, &*ledger_store).await?;
        let mut market = Market::default();
        recall(&mut market, &bookings, &found.book, &*ledger_store, now).await?;
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
            players: Players::default(),
            public_base: parts.public_base,
            countries: parts.countries,
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
        for settlement in &settled {
            sale.settled(settlement).await;
        }
        tokio::spawn(sale.clone().settle(found.settlements));
        tokio::spawn(sale.clone().sweep());
        tokio::spawn(sale.clone().forget_players());
        tokio::spawn(sale.clone().direct(hub.begun(), hub));
        if let Some(signals) = parts.signals {
            tokio::spawn(sale.clone().listen(signals));
        }
        Ok(sale)
    }
}

/// Slots that ran when the process before this one ended are over; the ledger settles what was shown. Gives the cues that were
/// sold and say nothing yet of what they cost, and what is settled of them already.
async fn take_up(
    records: &Records,
    store: &dyn SaleStore,
    book: &Book,
    ledger: &dyn LedgerStore,
) -> Result<(Vec<CueRecord>, Vec<Settlement>), StartError> {
    let (mut unsettled, mut settled) = (Vec::new(), Vec::new());
    let open: HashSet<_> = book.open_slots().map(|(slot, _, _)| slot).collect();
    for mut record in store.unfinished().await? {
        let why = || "the server ended".to_owned();
        match record.stage {
            Stage::OnAir => record.end(Outcome::CutShort { why: why() }),
            Stage::Sold => record.end(Outcome::NotShown { why: why() }),
            Stage::Announced | Stage::Deciding => record.end(Outcome::BroadcastEnded),
            // It waits for its settlement.
            Stage::Over => {}
        }
        let Some(slot) = record.sold.as_ref().map(|sold| sold.slot) else {
            store.keep(&[record]).await?;
            continue;
        };
        if !open.contains(&slot) {
            settled.push(ledger.settlement(slot).await?);
        }
        unsettled.push(record.clone());
        records.add(record);
    }
    Ok((unsettled, settled))
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
            let (channel, slot, at) = (&display.channel, display.slot, display.at);
            match display.class {
                DisplayClass::Client => {
                    market.recall(&campaign, channel, Subject::Viewer(display.session), slot, at);
                }
                // One overlay in the programme was shown to many; in which of its variants is not kept.
                DisplayClass::Server if programs.insert((display.campaign, display.slot)) => {
                    market.recall_burned(&campaign, channel, 0..MAX_VARIANTS, slot, at);
                }
                DisplayClass::Server => {}
            }
        }
    }
    for (slot, reservation, _) in book.open_slots() {
        for lot in &reservation.lots {
            if let Some(campaign) = bookings.campaign(lot.campaign) {
                market.presume(&campaign, &reservation.slot.channel, slot, reservation.deadline);
            }
        }
    }
    Ok(())
}
