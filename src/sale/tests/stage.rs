//! A sale without sockets and workers: a broadcast, a ledger whose clock the test sets, and a database that outlives it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;

use super::*;
use crate::auth::{AdminToken, Pages};
use crate::av::worker::{self, Workers};
use crate::booking::{self, Bookings, SqliteBookings};
use crate::context::Life;
use crate::cue::Policy;
use crate::hub::{self, Channel, Hub, Protocol, Publisher};
use crate::impression::TrafficRules;
use crate::ledger::{CampaignId, Event, Ledger, Lot, Receipt, Reservation, SlotId, SlotName, SqliteLedger};
use crate::media::{Codec, Frame, Params, Track, TrackId, VideoParams};
use crate::metrics::Metrics;
use crate::money::{Money, Share};
use crate::overlay::{self, Overlays};
use crate::sale::store::SqliteSale;
use crate::sale::{Config, Parts, Sale, Title, Titles};
use crate::{clock, sale};

const VIDEO: TrackId = TrackId(0);

/// A server that sells, as far as the sale is concerned.
pub struct Stage {
    pub sale: Sale,
    pub ledger: Ledger,
    pub channel: Arc<Channel>,
    pub metrics: Metrics,
    hub: Hub,
    publisher: Publisher,
}

/// Titles that say nothing.
pub fn silent() -> Titles {
    Box::new(|_| Title::default())
}

/// The wall clock, until it is set forward by so many milliseconds.
fn ahead(millis: &Arc<AtomicI64>) -> crate::ledger::Clock {
    let millis = Arc::clone(millis);
    Arc::new(move || clock::unix_now().saturating_add(millis.load(Ordering::Relaxed)))
}

impl Stage {
    pub async fn set(titles: Titles, change: impl FnOnce(&mut Config)) -> Self {
        Self::on(&database().await, &Arc::default(), titles, change).await
    }

    /// On a database, with the ledger's clock so many milliseconds ahead.
    pub async fn on(
        database: &Store,
        millis: &Arc<AtomicI64>,
        titles: Titles,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let (metrics, life) = (Metrics::new(), Life::default());
        let hub = Hub::new(hub::Config::default(), Arc::default());
        let none = worker::Config { max_jobs: 0, ..worker::Config::default() };
        let workers = Workers::start(&none, &metrics);
        let overlays = Overlays::new(&overlay::Config::default(), workers, life.clone(), &metrics);
        let log = Arc::new(SqliteLedger::open(database.pool()).await.unwrap());
        let (ledger, found) = Ledger::start(log.clone(), ahead(millis)).await.unwrap();
        let bookings = SqliteBookings::new(database.pool());
        let intake = Arc::new(overlays.clone());
        let config = booking::Config::default();
        let bookings = Bookings::load(&config, bookings, intake, ledger.clone()).await.unwrap();
        let parts = Parts {
            hub: hub.clone(),
            ledger: ledger.clone(),
            found,
            ledger_store: log,
            bookings,
            overlays,
            store: Arc::new(SqliteSale::new(database.pool())),
            titles,
            signals: None,
            secret: vec![7; 32],
            pages: Pages::new(&AdminToken::for_tests()),
            countries: Arc::default(),
            public_base: None,
            life,
        };
        let mut config = sale::Config::default();
        change(&mut config);
        let (policy, rules) = (Policy::default(), TrafficRules::default());
        let sale = Sale::start(&config, &policy, &rules, parts, &metrics).await.unwrap();
        let channel = hub.create(&kitchen());
        let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
        publisher.configure(picture(640, 360));
        let mut stage = Self { sale, ledger, channel, metrics, hub, publisher };
        stage.frame(0);
        stage
    }

    /// Another encoder goes on, with a picture of this size.
    pub fn resize(&mut self, width: u32, height: u32) {
        self.publisher = self.channel.publish(Protocol::Rtmp).unwrap();
        self.publisher.configure(picture(width, height));
    }

    /// Ends the broadcast.
    pub fn off_the_air(&self) {
        self.hub.remove(&kitchen());
    }

    /// Sends a picture.
    pub fn frame(&mut self, millis: i64) {
        let time = MediaTime::from_millis(millis);
        let payload = Bytes::from_static(b"picture");
        self.publisher.write(Frame {
            track: VIDEO,
            pts: time,
            dts: time,
            keyframe: true,
            disposable: false,
            payload,
        });
    }

    /// Reserves money for a slot whose displays are taken for so many milliseconds: of 1000 nanos, 300.
    pub async fn reserve(&self, cue: &CueId, millis: i64) -> SlotId {
        let campaign = CampaignId(1);
        let amount = Money::from_nanos(1000);
        self.ledger.submit(Event::Fund { campaign, number: 1, amount }).await.unwrap();
        let price = Money::from_nanos(100);
        let lot = Lot { campaign, creative: 1, price, audience: 2, cohort: "*".to_owned() };
        let (broadcast, _) = self.channel.newest().unwrap();
        let slot = SlotName { channel: kitchen(), broadcast, cue: cue.clone() };
        let deadline = clock::unix_now() + millis;
        let reservation = Reservation { slot, share: Share::percent(55), deadline, lots: vec![lot] };
        let receipt = self.ledger.submit(Event::Reserve(reservation)).await.unwrap();
        let Receipt::Reserved { slot, units } = receipt else { panic!("{receipt:?}") };
        assert_eq!(units, [3]);
        slot
    }

    /// Waits until something can be said of a cue.
    pub async fn until(&self, number: CueNumber, is_so: impl Fn(&CueRecord) -> bool) -> CueRecord {
        loop {
            let record = self.sale.cue(number).await.unwrap().expect("the cue");
            if is_so(&record) {
                return record;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A line of the metrics has this value.
    pub fn counts(&self, metric: &str, value: u64) -> bool {
        let line = format!("{metric} {value}");
        self.metrics.text().lines().any(|counted| counted == line)
    }
}

fn picture(width: u32, height: u32) -> Track {
    let params = Params::Video(VideoParams { width, height, reorder_depth: Some(0) });
    let config = Bytes::from_static(b"avcC");
    Track { id: VIDEO, group: 0, rank: 0, codec: Codec::H264, config, params }
}
