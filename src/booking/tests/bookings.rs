//! Changes, limits, and what auctions see of them.

use bytes::Bytes;

use super::super::creative::Look;
use super::super::intake::Outcome;
use super::*;
use crate::ledger::{Account, Event, Ledger, LedgerError, Refusal, SqliteLedger, wall_clock};
use crate::media::OverlayFormat;
use crate::overlay::AskError;
use crate::store::{self, Store};

/// Takes for an image what says so.
struct Pretence;

impl Intake for Pretence {
    fn look(&self, _: OverlayFormat, file: Bytes) -> Outcome<'_> {
        Box::pin(async move {
            if file.starts_with(b"\x89PNG") {
                return Ok(Look { width: 640, height: 108, frames: 1, duration_ms: 0 });
            }
            Err(AskError::Image("no image".to_owned()))
        })
    }
}

async fn database() -> Store {
    let config = store::Config { url: "sqlite::memory:".to_owned() };
    Store::open(&config, &std::env::temp_dir()).await.unwrap()
}

async fn load(store: &Store, config: &Config) -> (Bookings, Ledger) {
    let log = SqliteLedger::open(store.pool()).await.unwrap();
    let (ledger, _) = Ledger::start(Arc::new(log), wall_clock()).await.unwrap();
    let bookings = SqliteBookings::new(store.pool());
    let bookings = Bookings::load(config, bookings, Arc::new(Pretence), ledger.clone()).await.unwrap();
    (bookings, ledger)
}

async fn started() -> (Store, Bookings) {
    let store = database().await;
    let (bookings, _) = load(&store, &Config::default()).await;
    (store, bookings)
}

fn upload(file: &'static [u8]) -> Upload {
    Upload {
        format: OverlayFormat::LowerThird,
        file: Bytes::from_static(file),
        click_url: Some("https://shop.example/offer".to_owned()),
        categories: words(&["Food"]),
        by_operator: false,
    }
}

const PNG: &[u8] = b"\x89PNG of a kind";

async fn booked(bookings: &Bookings) -> CampaignId {
    let domains = hosts(&["shop.example"]);
    let (advertiser, _) = bookings.add_advertiser("Shop".to_owned(), domains).await.unwrap();
    bookings.add_campaign(advertiser.id, "Summer".to_owned(), terms()).await.unwrap().id()
}

#[tokio::test]
async fn a_creative_may_bid_once_it_is_looked_at_and_allowed() {
    let (_store, bookings) = started().await;
    let id = booked(&bookings).await;
    let mut changes = bookings.changes();
    changes.mark_unchanged();
    let showable = |bookings: &Bookings| -> Vec<bool> {
        let campaign = bookings.campaign(id).unwrap();
        campaign.creatives.iter().map(|creative| creative.is_showable()).collect()
    };
    let creative = bookings.add_creative(id, upload(PNG)).await.unwrap();
    assert!(changes.has_changed().unwrap());
    assert_eq!((creative.look.width, creative.media_type.as_str(), creative.bytes), (640, "image/png", 14));
    assert_eq!(showable(&bookings), [false], "nobody has looked at it but a worker");
    bookings.approve(creative.id).await.unwrap();
    assert_eq!(showable(&bookings), [true]);
    assert_eq!(bookings.campaigns()[0].creatives[0].categories, words(&["food"]));
    let file = bookings.creative_file(creative.id).unwrap();
    assert_eq!((&file.bytes[..], file.click_url.as_deref()), (PNG, Some("https://shop.example/offer")));

    let rejected = bookings.reject(creative.id, " too loud ").await.unwrap();
    assert_eq!(rejected.reason.as_deref(), Some("too loud"));
    assert_eq!(showable(&bookings), [false]);
    assert!(matches!(bookings.reject(creative.id, "").await, Err(BookingError::Invalid(_))));
    bookings.delete_creative(creative.id).await.unwrap();
    assert!(showable(&bookings).is_empty() && bookings.creative_file(creative.id).is_none());

    let own = Upload { by_operator: true, ..upload(PNG) };
    bookings.add_creative(id, own).await.unwrap();
    assert_eq!(showable(&bookings), [true], "the operator has looked at what the operator uploads");
}

#[tokio::test]
async fn what_no_worker_can_read_and_what_leads_elsewhere_is_refused() {
    let (_store, bookings) = started().await;
    let id = booked(&bookings).await;
    let refused = bookings.add_creative(id, upload(b"<html>")).await.unwrap_err();
    assert_eq!(refused.to_string(), "image: no image");
    let elsewhere = Upload { click_url: Some("https://evil.example".to_owned()), ..upload(PNG) };
    let refused = bookings.add_creative(id, elsewhere).await.unwrap_err();
    assert!(refused.to_string().starts_with("click_url: "), "{refused}");
    for file in [&b""[..], &[0; 350_001]] {
        let refused = bookings.add_creative(id, upload(Vec::leak(file.to_vec()))).await.unwrap_err();
        assert_eq!(refused.to_string(), "image: a file of 1 to 350000 bytes");
    }
    assert!(bookings.creatives_of(id).is_empty());
}

#[tokio::test]
async fn everything_has_a_limit_that_is_told() {
    let store = database().await;
    let config = Config {
        max_advertisers: 2,
        max_campaigns: 3,
        campaigns_per_advertiser: 2,
        creatives_per_campaign: 2,
        creative_memory: 40,
        ..Config::default()
    };
    let (bookings, _) = load(&store, &config).await;
    let first = booked(&bookings).await;
    let limit = |error: BookingError| match error {
        BookingError::TooMany { limit, .. } => limit,
        error => panic!("{error}"),
    };
    let (other, _) = bookings.add_advertiser("Other".to_owned(), BTreeSet::new()).await.unwrap();
    let third = bookings.add_advertiser("Third".to_owned(), BTreeSet::new()).await;
    assert_eq!(limit(third.map(drop).unwrap_err()), "max_advertisers");
    let second = bookings.add_campaign(AdvertiserId(1), "b".to_owned(), terms()).await.unwrap().id();
    let more = bookings.add_campaign(AdvertiserId(1), "c".to_owned(), terms()).await;
    assert_eq!(limit(more.unwrap_err()), "campaigns_per_advertiser");
    bookings.add_campaign(other.id, "d".to_owned(), terms()).await.unwrap();
    let more = bookings.add_campaign(other.id, "e".to_owned(), terms()).await;
    assert_eq!(limit(more.unwrap_err()), "max_campaigns");
    bookings.add_creative(first, upload(PNG)).await.unwrap();
    bookings.add_creative(first, upload(PNG)).await.unwrap();
    let more = bookings.add_creative(first, upload(PNG)).await;
    assert_eq!(limit(more.unwrap_err()), "creatives_per_campaign");
    let more = bookings.add_creative(second, upload(PNG)).await;
    assert!(matches!(more, Err(BookingError::NoMemory)), "42 bytes");
}

#[tokio::test]
async fn a_payment_counts_once_and_money_keeps_its_campaign() {
    let (_store, bookings) = started().await;
    let id = booked(&bookings).await;
    let nanos = Money::from_nanos;
    let paid = bookings.pay(id, 1, nanos(500)).await.unwrap();
    assert_eq!((paid.budget, paid.is_repeated), (nanos(500), false));
    let again = bookings.pay(id, 1, nanos(500)).await.unwrap();
    assert_eq!((again.budget, again.is_repeated), (nanos(500), true));
    let early = bookings.pay(id, 3, nanos(1)).await;
    assert!(matches!(early, Err(BookingError::Ledger(LedgerError::Refused(Refusal::OutOfOrder)))));
    assert!(matches!(bookings.delete_campaign(id).await, Err(BookingError::HasMoney)));
    assert!(matches!(bookings.delete_advertiser(AdvertiserId(1)).await, Err(BookingError::HasCampaigns)));
    bookings.pay(id, 2, nanos(-500)).await.unwrap();
    bookings.delete_campaign(id).await.unwrap();
    let gone = bookings.pay(id, 3, nanos(1)).await;
    assert!(matches!(gone, Err(BookingError::Missing(Thing::Campaign))), "nothing is paid to nobody");
    bookings.delete_advertiser(AdvertiserId(1)).await.unwrap();
    assert_eq!(booked(&bookings).await, CampaignId(2), "the ledger remembers the first one for ever");
}

#[tokio::test]
async fn terms_change_and_number_and_creatives_stay() {
    let (_store, bookings) = started().await;
    let id = booked(&bookings).await;
    bookings.add_creative(id, upload(PNG)).await.unwrap();
    let change = |before: &Booking| {
        let terms = Campaign {
            id: CampaignId(99),
            is_paused: true,
            creatives: Vec::new(),
            ..(*before.campaign).clone()
        };
        Ok::<_, ()>((format!("{} again", before.name), terms))
    };
    let changed = bookings.change_campaign(id, change).await.unwrap().unwrap();
    assert_eq!((changed.id(), changed.name.as_str()), (id, "Summer again"));
    assert!(changed.campaign.is_paused && changed.campaign.creatives.len() == 1);
    assert_eq!(bookings.booking(id), Some(changed.clone()));
    let refusal = bookings.change_campaign(id, |_| Err::<(String, Campaign), _>("no")).await.unwrap();
    assert_eq!(refusal, Err("no"));
    let bad = |before: &Booking| {
        Ok::<_, ()>((String::new(), Campaign { bid: Money::ZERO, ..(*before.campaign).clone() }))
    };
    let refused = bookings.change_campaign(id, bad).await.unwrap_err().to_string();
    assert!(refused.starts_with("name: ") && refused.contains("; bid: "), "{refused}");
    assert_eq!(bookings.booking(id), Some(changed), "nothing has changed");
}

#[tokio::test]
async fn a_key_opens_until_it_is_rotated_and_all_is_there_after_a_restart() {
    let (store, bookings) = started().await;
    let (shop, old) = bookings.add_advertiser("Shop".to_owned(), BTreeSet::new()).await.unwrap();
    assert_eq!(bookings.advertiser_for(old.expose()), Some(shop.id));
    let new = bookings.rotate_key(shop.id).await.unwrap();
    assert_eq!(bookings.advertiser_for(old.expose()), None);
    let id = bookings.add_campaign(shop.id, "Summer".to_owned(), terms()).await.unwrap().id();
    let creative = bookings.add_creative(id, upload(PNG)).await.unwrap();
    bookings.approve(creative.id).await.unwrap();
    let damaged = bookings.add_creative(id, upload(PNG)).await.unwrap();
    bookings.pay(id, 1, Money::from_nanos(5)).await.unwrap();

    let file = sqlx::query("UPDATE booking_creative SET file = x'89' WHERE id = ?");
    file.bind(damaged.id.cast_signed()).execute(store.pool()).await.unwrap();
    let (again, ledger) = load(&store, &Config::default()).await;
    assert_eq!(again.advertiser_for(new.expose()), Some(shop.id));
    assert_eq!(again.advertiser_for(""), None);
    let campaign = again.campaign(id).unwrap();
    let ready: Vec<bool> = campaign.creatives.iter().map(|creative| creative.is_ready).collect();
    assert_eq!(ready, [true, false], "a file that is another one is not shown");
    assert!(campaign.creatives[0].is_showable() && again.creative_file(damaged.id).is_none());
    assert!(matches!(again.approve(damaged.id).await, Err(BookingError::Damaged)));
    assert_eq!(&again.creative_file(creative.id).unwrap().bytes[..], PNG);
    assert_eq!(ledger.balance(&Account::Budget(id)), Money::from_nanos(5));
    let fund = Event::Fund { campaign: id, number: 2, amount: Money::from_nanos(-5) };
    ledger.submit(fund).await.unwrap();
}
