//! What a bid is judged by: the request that it answers.

use std::collections::BTreeSet;

use serde_json::Value;

use super::price;
use crate::money::Money;

/// What a request demands of its answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// The request's name.
    pub id: String,
    /// Currencies that may be bid in.
    pub currencies: BTreeSet<String>,
    /// Categories that are blocked, with those below them.
    pub blocked_categories: BTreeSet<String>,
    /// Advertisers that are blocked, with the domains below theirs.
    pub blocked_advertisers: BTreeSet<String>,
    /// Seats that may buy; empty for all.
    pub allowed_seats: BTreeSet<String>,
    /// Seats that may not.
    pub blocked_seats: BTreeSet<String>,
    /// What is offered.
    pub imps: Vec<Imp>,
    /// In how many seconds it begins: a bid holds no longer than it says.
    pub starts_in: u32,
}

/// Something that is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imp {
    /// Its name.
    pub id: String,
    /// The lowest price without a deal.
    pub floor: Money,
    /// Whether everything has to be fetched over TLS.
    pub is_secure: bool,
    /// As a video.
    pub video: Option<Video>,
    /// As a banner.
    pub banner: Option<Banner>,
    /// Under which agreements.
    pub deals: Vec<DealTerms>,
}

/// An offer as a video.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Video {
    /// The player's size, if it is told.
    pub size: Option<(u64, u64)>,
    /// In seconds.
    pub shortest: u64,
    /// In seconds.
    pub longest: Option<u64>,
    /// Whether it must be an overlay.
    pub is_nonlinear: bool,
    /// Creative attributes that are blocked.
    pub blocked_attributes: BTreeSet<u64>,
    /// Protocols that are read; empty for any.
    pub protocols: BTreeSet<u64>,
    /// A floor for each second.
    pub floor_per_second: Money,
    /// Floors by duration in seconds, both ends included.
    pub duration_floors: Vec<(u64, u64, Money)>,
}

/// An offer as a banner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Banner {
    /// Sizes that fit; empty for any.
    pub sizes: Vec<(u64, u64)>,
    /// Creative attributes that are blocked.
    pub blocked_attributes: BTreeSet<u64>,
}

/// An agreement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DealTerms {
    /// Its name.
    pub id: String,
    /// Its floor.
    pub floor: Money,
    /// Whether the floor is the price, whatever is bid.
    pub is_fixed: bool,
    /// Seats that may use it; empty for all.
    pub seats: BTreeSet<String>,
    /// Advertisers that may; empty for all.
    pub advertisers: BTreeSet<String>,
}

impl Terms {
    /// Of a request.
    pub fn of(request: &Value) -> Self {
        Self {
            id: text(request, "id"),
            currencies: texts(request, "cur"),
            blocked_categories: texts(request, "bcat"),
            blocked_advertisers: texts(request, "badv"),
            allowed_seats: texts(request, "wseat"),
            blocked_seats: texts(request, "bseat"),
            imps: list(request, "imp").iter().map(Imp::of).collect(),
            starts_in: 0,
        }
    }

    /// Whether an answer may be in a currency; US dollars where the request names none.
    pub fn takes(&self, currency: &str) -> bool {
        if self.currencies.is_empty() { currency == "USD" } else { self.currencies.contains(currency) }
    }
}

impl Imp {
    fn of(imp: &Value) -> Self {
        Self {
            id: text(imp, "id"),
            floor: money(imp, "bidfloor"),
            is_secure: imp["secure"] == 1,
            video: imp.get("video").map(Video::of),
            banner: imp.get("banner").map(Banner::of),
            deals: list(&imp["pmp"], "deals").iter().map(DealTerms::of).collect(),
        }
    }
}

impl Video {
    fn of(video: &Value) -> Self {
        let floors = list(video, "durfloors").iter();
        Self {
            size: size(video),
            shortest: video["minduration"].as_u64().unwrap_or(0),
            longest: video["maxduration"].as_u64(),
            is_nonlinear: video["linearity"] == 2,
            blocked_attributes: numbers(video, "battr"),
            protocols: numbers(video, "protocols"),
            floor_per_second: money(video, "mincpmpersec"),
            duration_floors: floors
                .map(|floor| {
                    let from = floor["mindur"].as_u64().unwrap_or(0);
                    (from, floor["maxdur"].as_u64().unwrap_or(u64::MAX), money(floor, "bidfloor"))
                })
                .collect(),
        }
    }
}

impl Banner {
    fn of(banner: &Value) -> Self {
        let formats = list(banner, "format").iter().filter_map(size);
        let own = size(banner).filter(|_| list(banner, "format").is_empty());
        Self { sizes: formats.chain(own).collect(), blocked_attributes: numbers(banner, "battr") }
    }
}

impl DealTerms {
    fn of(deal: &Value) -> Self {
        Self {
            id: text(deal, "id"),
            floor: money(deal, "bidfloor"),
            is_fixed: deal["at"] == 3,
            seats: texts(deal, "wseat"),
            advertisers: texts(deal, "wadomain"),
        }
    }
}

fn size(of: &Value) -> Option<(u64, u64)> {
    Some((of["w"].as_u64()?, of["h"].as_u64()?))
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().map_or(&[], Vec::as_slice)
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().to_owned()
}

fn texts(of: &Value, name: &str) -> BTreeSet<String> {
    list(of, name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn numbers(of: &Value, name: &str) -> BTreeSet<u64> {
    list(of, name).iter().filter_map(Value::as_u64).collect()
}

/// A price; nothing where there is none.
fn money(of: &Value, name: &str) -> Money {
    let number = of[name].as_number().map(ToString::to_string);
    number.and_then(|text| price::parse(&text).ok()).unwrap_or_default()
}
