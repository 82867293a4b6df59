//! What a bidder of the demonstration answers.

use serde_json::{Value, json};

/// A bidder that buys for one advertiser.
pub(super) struct Sample {
    pub name: &'static str,
    pub host: &'static str,
    pub advertiser: &'static str,
    pub markup: Markup,
    /// The least that it bids, in hundredths of the currency for a thousand impressions.
    pub lowest_cents: u32,
    /// How many prices it has, half a unit apart.
    pub steps: u64,
    pub creatives: &'static [Creative],
}

/// What a bidder sends to be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    /// A VAST document with a `NonLinear`.
    Vast,
    /// One image that links somewhere.
    Image,
}

pub(super) struct Creative {
    /// The place that it is for, as requests name it in `tagid`.
    pub place: &'static str,
    pub file: &'static str,
    /// Width and height in pixels.
    pub size: (u32, u32),
    pub image: &'static [u8],
}

/// The answer to a request, the `turn`th one; `None` where it has nothing for that place, or the floor is too high.
pub(super) fn answer(sample: &Sample, port: u16, turn: u64, request: &Value) -> Option<Value> {
    let imp = request.get("imp")?.get(0)?;
    let place = imp.get("tagid")?.as_str()?;
    let creative = sample.creatives.iter().find(|creative| creative.place == place)?;
    // Every moment is worth something else: of the prices one after the other, in no order that shows.
    let cents = sample.lowest_cents + u32::try_from(turn.wrapping_mul(3) % sample.steps).unwrap_or(0) * 50;
    let price = f64::from(cents) / 100.0;
    if imp.get("bidfloor").and_then(Value::as_f64).is_some_and(|floor| floor > price) {
        return None;
    }
    let at = |path: &str| format!("https://{}:{port}{path}", sample.host);
    let image = at(&format!("/creatives/{}", creative.file));
    let landing = format!("https://{}/", sample.advertiser);
    let (width, height) = creative.size;
    let shown = at("/told/shown?count=${AUCTION_MULTIPLIER}");
    let (adm, mtype) = match sample.markup {
        Markup::Image => (format!("<a href=\"{landing}\"><img src=\"{image}\"></a>"), 1),
        Markup::Vast => (
            format!(
                "<VAST version=\"4.2\"><Ad id=\"{turn}\"><InLine><AdSystem>{}</AdSystem><AdTitle>{}</AdTitle>\
                 <AdServingId>{turn}</AdServingId><Impression>{shown}</Impression><Creatives><Creative>\
                 <UniversalAdId idRegistry=\"{}\">{}</UniversalAdId><NonLinearAds>\
                 <NonLinear width=\"{width}\" height=\"{height}\"><StaticResource creativeType=\"image/png\">{image}\
                 </StaticResource><NonLinearClickThrough>{landing}</NonLinearClickThrough></NonLinear>\
                 </NonLinearAds></Creative></Creatives></InLine></Ad></VAST>",
                sample.name, sample.advertiser, sample.host, creative.file
            ),
            2,
        ),
    };
    let bid = json!({
        "id": turn.to_string(),
        "impid": imp.get("id")?,
        "price": price,
        "adomain": [sample.advertiser],
        "crid": creative.file,
        "w": width,
        "h": height,
        "mtype": mtype,
        "adm": adm,
        "nurl": at("/told/won?price=${AUCTION_PRICE}"),
        "lurl": at("/told/lost?why=${AUCTION_LOSS}&to_win=${AUCTION_MIN_TO_WIN}"),
        "burl": at("/told/billed?price=${AUCTION_PRICE}&count=${AUCTION_MULTIPLIER}"),
    });
    Some(
        json!({ "id": request.get("id")?, "cur": "USD", "seatbid": [{ "seat": sample.name, "bid": [bid] }] }),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::SAMPLES;
    use super::*;
    use crate::auction::bidder::openrtb::{OpenRtb, Seller};
    use crate::auction::bidder::{Bidder as _, Response};
    use crate::auction::context::Context;
    use crate::auction::{Auction, Offer};
    use crate::ledger::{CampaignId, DisplayClass, SlotName};
    use crate::media::{Cohort, CueId, OverlayFormat};
    use crate::money::Money;

    fn auction(format: OverlayFormat, class: DisplayClass, floor: i64) -> Auction {
        let context = Context {
            slot: SlotName { channel: "demo".parse().unwrap(), broadcast: 1, cue: CueId::new("a") },
            at: 0,
            starts_at: 0,
            counts_until: 0,
            format,
            duration_ms: 10_000,
            class,
            title: "A clock".into(),
            category: None,
            tags: Default::default(),
            hashtags: Default::default(),
            language: None,
            engagement: 0,
            viewers: 3,
            blocked_categories: Default::default(),
        };
        Auction {
            context: Arc::new(context),
            cohort: Cohort::everybody(),
            audience: 3,
            floor: Money::per_impression(floor),
            deals: Vec::new(),
            seed: 1,
        }
    }

    /// What the exchange makes of a sample's answer to its own request.
    fn offer(sample: &Sample, turn: u64, auction: &Auction) -> Option<Offer> {
        let bidder = OpenRtb {
            settings: Arc::new(sample.settings(4000).unwrap()),
            seller: Arc::new(Seller::default()),
            campaign: CampaignId(1),
            k: 50,
            creatives: Arc::default(),
        };
        let request = serde_json::from_slice(&bidder.requests(auction)[0].body).unwrap();
        let body = answer(sample, 4000, turn, &request)?.to_string().into();
        Some(bidder.bids(auction, &[Response { status: 200, body }]).unwrap())
    }

    #[test]
    fn what_they_answer_is_taken_in_both_deliveries() {
        for class in [DisplayClass::Server, DisplayClass::Client] {
            let auction = auction(OverlayFormat::LowerThird, class, 1_000_000);
            for sample in &SAMPLES {
                let prices: Vec<Money> = (0..sample.steps)
                    .map(|turn| {
                        let offer = offer(sample, turn, &auction).unwrap();
                        assert_eq!((offer.bids.len(), offer.refused.len()), (1, 0), "{offer:?}");
                        offer.bids[0].price
                    })
                    .collect();
                let mut each = prices.clone();
                each.sort();
                each.dedup();
                assert_eq!(each.len(), prices.len(), "{prices:?}");
                assert_eq!(each[0], Money::per_impression(i64::from(sample.lowest_cents) * 10_000));
            }
        }
    }

    #[test]
    fn nothing_is_bid_for_other_places_or_below_the_floor() {
        let [vast, image] = &SAMPLES;
        let corner = auction(OverlayFormat::Corner, DisplayClass::Server, 500_000);
        assert!(offer(vast, 0, &corner).is_some_and(|offer| offer.bids.len() == 1));
        assert!(offer(image, 0, &corner).is_none());
        let l_shape = auction(OverlayFormat::LShape, DisplayClass::Server, 500_000);
        assert!(offer(vast, 0, &l_shape).is_none());
        let dear = auction(OverlayFormat::LowerThird, DisplayClass::Server, 9_000_000);
        assert!(offer(vast, 0, &dear).is_none());
    }
}
