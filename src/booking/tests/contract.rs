//! What every store must do.

use super::super::creative::{ContentHash, Look, MediaType};
use super::super::store::LastNumbers;
use super::*;
use crate::auth::Digest;
use crate::media::OverlayFormat;
use crate::store::{Config, Store};

fn advertiser(id: u64) -> Advertiser {
    Advertiser {
        id: AdvertiserId(id),
        name: format!("The {id}; DROP TABLE booking_advertiser --"),
        domains: hosts(&["shop.example"]),
        created_at: 1_700_000_000_123,
    }
}

fn booking(id: u64, advertiser: u64) -> Booking {
    let mut campaign = Campaign { id: CampaignId(id), ..terms() };
    campaign.targeting.hashtags = words(&["käse", "it's"]);
    campaign.deal = Some("deal-1".into());
    Booking {
        advertiser: AdvertiserId(advertiser),
        name: "Summer".to_owned(),
        created_at: 5,
        campaign: Arc::new(campaign),
    }
}

fn creative(id: u64, campaign: u64, file: &[u8]) -> Creative {
    Creative {
        id,
        campaign: CampaignId(campaign),
        format: OverlayFormat::LowerThird,
        media_type: MediaType::Png,
        bytes: file.len(),
        hash: ContentHash::of(file),
        look: Look { width: 1920, height: 324, frames: 2, duration_ms: 200 },
        click_url: Some("https://shop.example/".to_owned()),
        categories: words(&["food"]),
        approval: Approval::Pending,
        reason: None,
        created_at: 6,
        is_ready: false,
    }
}

async fn contract(store: impl BookingStore) {
    let nothing = store.all().await.unwrap();
    assert!(nothing.advertisers.is_empty() && nothing.campaigns.is_empty() && nothing.creatives.is_empty());
    assert_eq!(nothing.last, LastNumbers::default());

    let (first, second) = (advertiser(1), advertiser(2));
    store.insert_advertiser(&first, Digest::of("k1")).await.unwrap();
    store.insert_advertiser(&second, Digest::of("k2")).await.unwrap();
    assert!(store.insert_advertiser(&advertiser(3), Digest::of("k2")).await.is_err(), "no key twice");
    let (one, other) = (booking(1, 1), booking(2, 1));
    store.insert_campaign(&one).await.unwrap();
    store.insert_campaign(&other).await.unwrap();
    assert!(store.insert_campaign(&booking(3, 9)).await.is_err(), "nobody's campaign");
    let (file, image) = ([0, 255, 10].repeat(1000), creative(7, 1, &[0, 255, 10].repeat(1000)));
    store.insert_creative(&image, &file).await.unwrap();
    store.insert_creative(&creative(8, 2, b"x"), b"x").await.unwrap();

    let all = store.all().await.unwrap();
    assert!(all.advertisers == [(first.clone(), Digest::of("k1")), (second.clone(), Digest::of("k2"))]);
    assert_eq!(all.campaigns, [one.clone(), other.clone()], "every field comes back");
    assert_eq!(all.creatives[0], (image.clone(), file.into()), "and every byte");

    let renamed = Advertiser { name: "Käse".to_owned(), domains: BTreeSet::new(), ..first.clone() };
    store.update_advertiser(&renamed).await.unwrap();
    store.set_key(first.id, Digest::of("k3")).await.unwrap();
    let paused = Campaign { is_paused: true, ..(*one.campaign).clone() };
    let paused = Booking { name: "Winter".to_owned(), campaign: Arc::new(paused), ..one.clone() };
    store.update_campaign(&paused).await.unwrap();
    let rejected =
        Creative { approval: Approval::Rejected, reason: Some("too loud".to_owned()), ..image.clone() };
    store.update_creative(&rejected).await.unwrap();
    let all = store.all().await.unwrap();
    assert!(all.advertisers[0] == (renamed, Digest::of("k3")));
    assert_eq!((&all.campaigns[0], &all.creatives[0].0), (&paused, &rejected));
    assert_eq!(all.creatives[0].1.len(), 3000, "the file stays");

    assert!(store.delete_advertiser(first.id).await.is_err(), "not while there are campaigns");
    store.delete_campaign(one.id()).await.unwrap();
    store.delete_creative(8).await.unwrap();
    store.delete_campaign(other.id()).await.unwrap();
    store.delete_advertiser(second.id).await.unwrap();
    let all = store.all().await.unwrap();
    assert!(all.campaigns.is_empty() && all.creatives.is_empty(), "creatives go with their campaign");
    assert_eq!(all.last, LastNumbers { advertiser: 2, campaign: 2, creative: 8 }, "no number twice");

    let missing = [
        store.update_advertiser(&second).await,
        store.set_key(second.id, Digest::of("k9")).await,
        store.delete_advertiser(second.id).await,
        store.update_campaign(&one).await,
        store.delete_campaign(one.id()).await,
        store.update_creative(&image).await,
        store.delete_creative(image.id).await,
    ];
    assert!(missing.iter().all(|answer| matches!(answer, Err(BookingStoreError::Missing))), "{missing:?}");
}

#[tokio::test]
async fn sqlite_keeps_bookings_as_the_contract_says() {
    let config = Config { url: "sqlite::memory:".to_owned() };
    let store = Store::open(&config, &std::env::temp_dir()).await.unwrap();
    contract(SqliteBookings::new(store.pool())).await;
}
