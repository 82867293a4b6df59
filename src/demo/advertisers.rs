//! Two advertisers of the demonstration, who compete for a slot every half a minute.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::DemoError;
use crate::auction::Campaign;
use crate::auction::campaign::{Cap, CapScope, Pacing, Targeting};
use crate::auction::schedule::{DayParts, Schedule};
use crate::booking::{AdvertiserId, Bookings, Upload};
use crate::clock;
use crate::cue::Policy;
use crate::ledger::CampaignId;
use crate::media::{ChannelName, OverlayFormat};
use crate::money::{Cpm, Money};
use crate::sale::{ChannelSettings, Delivery, Sale};

/// How long a campaign is booked at each start: the demonstration may run for that long.
const FLIGHT_MS: i64 = 7 * 24 * 3_600_000;
/// Lower is served first.
pub(super) const PRIORITY: u8 = 100;
/// What each has for that time, in nanos: ten thousand.
const BUDGET: Money = Money::from_nanos(10_000_000_000_000);

/// An advertiser, and the one campaign that it has.
struct Sample {
    name: &'static str,
    click_url: &'static str,
    category: &'static str,
    cpm: Cpm,
    /// How often it may be seen in a channel, at most, in milliseconds.
    every_ms: Option<i64>,
    creatives: &'static [(OverlayFormat, &'static [u8])],
}

/// The first pays more and is not to be seen in each slot, so that both are.
const SAMPLES: [Sample; 2] = [
    Sample {
        name: "Alba Coffee (sample)",
        click_url: "https://coffee.example/",
        category: "coffee",
        cpm: Cpm::from_micros(5_000_000),
        every_ms: Some(45_000),
        creatives: &[
            (OverlayFormat::LowerThird, include_bytes!("creatives/coffee-lower_third.svg")),
            (OverlayFormat::Corner, include_bytes!("creatives/coffee-corner.svg")),
        ],
    },
    Sample {
        name: "Velo City (sample)",
        click_url: "https://velo.example/",
        category: "bicycles",
        cpm: Cpm::from_micros(4_000_000),
        every_ms: None,
        creatives: &[(OverlayFormat::LowerThird, include_bytes!("creatives/bike-lower_third.svg"))],
    },
];

/// Books the samples, if they are not booked, gives them money, and opens a slot in the channel every half a minute.
pub(super) async fn book(channel: &ChannelName, bookings: &Bookings, sale: &Sale) -> Result<(), DemoError> {
    for sample in &SAMPLES {
        let known = bookings.advertisers().into_iter().find(|advertiser| advertiser.name == sample.name);
        let campaign = match known {
            Some(advertiser) => renew(sample, advertiser.id, bookings).await?,
            None => {
                let (advertiser, _) =
                    bookings.add_advertiser(sample.name.to_owned(), BTreeSet::new()).await?;
                Some(sample.book(advertiser.id, bookings).await?)
            }
        };
        if let Some(campaign) = campaign {
            bookings.pay(campaign, bookings.next_payment(campaign), BUDGET).await?;
        }
    }
    let policy = Policy {
        schedule_every: Duration::from_secs(30),
        schedule_after: Duration::from_secs(15),
        default_duration: Duration::from_secs(10),
        gap: Duration::from_secs(5),
        ..Policy::default()
    };
    let settings = ChannelSettings {
        policy: Some(policy),
        delivery: Delivery::GuidedAndBurned,
        category: Some("demonstration".into()),
        tags: ["clock".into()].into(),
        ..ChannelSettings::default()
    };
    Ok(sale.set(channel, settings).await?)
}

/// Books the campaigns of an earlier start for longer; gives the one that has little money left.
async fn renew(
    sample: &Sample,
    advertiser: AdvertiserId,
    bookings: &Bookings,
) -> Result<Option<CampaignId>, DemoError> {
    let Some(booking) = bookings.bookings_of(advertiser).into_iter().next() else {
        return sample.book(advertiser, bookings).await.map(Some);
    };
    let terms = sample.terms();
    let renewed = bookings
        .change_campaign(booking.id(), move |booking| Ok::<_, DemoError>((booking.name.clone(), terms)));
    renewed.await??;
    let poor = bookings.budget(booking.id()) < Money::from_nanos(BUDGET.as_nanos() / 2);
    Ok(poor.then(|| booking.id()))
}

impl Sample {
    async fn book(&self, advertiser: AdvertiserId, bookings: &Bookings) -> Result<CampaignId, DemoError> {
        let campaign = bookings.add_campaign(advertiser, self.name.to_owned(), self.terms()).await?.id();
        for (format, file) in self.creatives {
            let upload = Upload {
                format: *format,
                file: Bytes::from_static(file),
                click_url: Some(self.click_url.to_owned()),
                categories: [Arc::from(self.category)].into(),
                by_operator: true,
            };
            bookings.add_creative(campaign, upload).await?;
        }
        Ok(campaign)
    }

    fn terms(&self) -> Campaign {
        let now = clock::unix_now();
        let cap = self.every_ms.map(|window_ms| Cap { scope: CapScope::Channel, count: 1, window_ms });
        Campaign {
            id: CampaignId(0),
            is_paused: false,
            bid: self.cpm.per_impression(),
            priority: PRIORITY,
            deal: None,
            schedule: Schedule { start: now, end: now + FLIGHT_MS, hours: DayParts::default() },
            pacing: Pacing::Even,
            targeting: Targeting::default(),
            caps: cap.into_iter().collect(),
            separation: None,
            creatives: Vec::new(),
            accepts_server_counts: true,
        }
    }
}
