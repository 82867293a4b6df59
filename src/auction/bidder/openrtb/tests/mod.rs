//! The published requests and responses, judged as their index says; each loss code; requests that tell of nobody; notices;
//! mutations.

mod asking;
mod judging;
mod telling;
mod vectors;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::auction::context::{Context, Deal};
use crate::format::link::Link;
use crate::ledger::{DisplayClass, SlotName};
use crate::media::{Cohort, CueId, Device, OverlayFormat};
use crate::money::Money;

fn words<const N: usize>(words: [&str; N]) -> BTreeSet<Arc<str>> {
    words.into_iter().map(Arc::from).collect()
}

fn link(text: &str) -> Link {
    Link::parse(text).unwrap()
}

fn context() -> Context {
    Context {
        slot: SlotName { channel: "kitchen".parse().unwrap(), broadcast: 7, cue: CueId::new("a") },
        at: 1_764_090_000_000,
        starts_at: 1_764_090_000_000,
        counts_until: 1_764_090_052_400,
        format: OverlayFormat::LowerThird,
        duration_ms: 15_000,
        class: DisplayClass::Client,
        title: "Soup #live".into(),
        category: Some("food".into()),
        tags: words(["german"]),
        hashtags: words(["soup"]),
        language: Some("de".parse().unwrap()),
        engagement: 3,
        viewers: 1234,
        blocked_categories: BTreeSet::new(),
    }
}

fn cohort() -> Cohort {
    Cohort {
        consent: true,
        country: Some("at".parse().unwrap()),
        language: Some("en".parse().unwrap()),
        device: Some(Device::Phone),
        tags: words(["embedded"]),
    }
}

fn auction() -> Auction {
    Auction {
        context: Arc::new(context()),
        cohort: cohort(),
        audience: 1000,
        floor: Money::per_impression(4_350_000),
        deals: vec![Deal { id: "D-1".into(), floor: Money::per_impression(9_000_000) }],
        seed: 5,
    }
}

fn settings() -> Settings {
    Settings { banner: true, credit_limit: 100, ..Settings::new("one", link("https://bid.example/rtb")) }
}

fn bidder(settings: Settings) -> OpenRtb {
    OpenRtb {
        settings: Arc::new(settings),
        seller: Arc::new(Seller::default()),
        campaign: CampaignId(77),
        k: 50,
        creatives: Arc::default(),
    }
}

const VAST: &str = "<VAST version='4.2'><Ad><InLine><AdSystem>s</AdSystem><AdTitle>t</AdTitle><Impression>https://t.example/i\
    </Impression><Error>https://t.example/e?c=[ERRORCODE]&amp;p=${AUCTION_PRICE}</Error><Creatives><Creative><NonLinearAds>\
    <NonLinear width='1920' height='324'><StaticResource creativeType='image/png'>https://c.example/a.png</StaticResource>\
    </NonLinear></NonLinearAds></Creative></Creatives></InLine></Ad></VAST>";

/// A bid that is right.
fn bid() -> Value {
    json!({
        "id": "b1", "impid": "1", "price": 6.5, "crid": "cr", "adomain": ["brand.example"], "mtype": 2, "adm": VAST,
        "w": 1920, "h": 324, "dur": 10, "cat": ["IAB8-1"], "attr": [21], "protocol": 13,
        "nurl": "https://d.example/win?p=${AUCTION_PRICE}", "burl": "https://d.example/bill",
        "lurl": "https://d.example/lost?r=${AUCTION_LOSS}",
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut bid = bid();
    change(&mut bid);
    bid
}

fn respond(body: &Value) -> Response {
    Response { status: 200, body: body.to_string().into() }
}

/// A response to `auction()` with bids of one seat.
fn answer(bids: &[Value]) -> Value {
    json!({ "id": request::auction_id(&auction()), "cur": "USD", "bidid": "r1", "seatbid": [{ "seat": "s", "bid": bids }] })
}
