//! `[[sale.bidders]]` of the configuration, and who sells.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::macros::Encoding;
use crate::format::link::Link;
use crate::setting;

/// Header names that are ours to set.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
    "x-openrtb-version",
];
/// The most categories, advertisers, seats or deals of a list.
const MAX_LIST: usize = 500;

/// A bidder that is asked over OpenRTB.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What it is called in traces, reports and metrics.
    pub name: String,
    /// Where its requests go.
    pub url: Link,
    /// Which version of the protocol it reads.
    #[serde(default)]
    pub version: Version,
    /// How long it is waited for at most; the sale's own deadline holds as well.
    #[serde(default = "default_timeout", with = "setting::duration")]
    pub timeout: Duration,
    /// Whether requests are compressed. Whoever sends them does it, and says so in `content-encoding`.
    #[serde(default)]
    pub gzip: bool,
    /// Headers that it wants beside ours, such as a key. Whoever sends requests adds them.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether overlays are offered as non-linear video, for VAST.
    #[serde(default = "yes")]
    pub video: bool,
    /// Whether overlays are offered as banners, for images.
    #[serde(default)]
    pub banner: bool,
    /// Whether answers are read as `docs/bidders.md` tells of the lenient mode.
    #[serde(default)]
    pub lenient: bool,
    /// The taxonomy of its categories: AdCOM, list "Category Taxonomies"; 1 for the IAB's first.
    #[serde(default = "default_taxonomy")]
    pub category_taxonomy: u32,
    /// Categories of that taxonomy that are never shown. A category blocks those below it.
    #[serde(default)]
    pub blocked_categories: BTreeSet<String>,
    /// Domains of advertisers that are never shown, with those below them.
    #[serde(default)]
    pub blocked_advertisers: BTreeSet<String>,
    /// Seats that may buy; empty for all.
    #[serde(default)]
    pub allowed_seats: BTreeSet<String>,
    /// Seats that may not. Not together with `allowed_seats`.
    #[serde(default)]
    pub blocked_seats: BTreeSet<String>,
    /// The agreements with it, beside what the sale says of them.
    #[serde(default)]
    pub deals: Vec<DealSettings>,
    /// A floor for each second of a creative, in micros of a CPM; 0 for none.
    #[serde(default)]
    pub min_cpm_per_second: i64,
    /// What it may owe before it is asked no more, in units of the currency.
    #[serde(default)]
    pub credit_limit: u64,
    /// Whether it pays for displays that the server counts.
    #[serde(default)]
    pub accepts_server_counts: bool,
    /// Encodings of macros (`${AUCTION_PRICE:B64}`) that are agreed with it.
    #[serde(default)]
    pub macro_encodings: BTreeSet<Encoding>,
    /// Its priority group; a lower number is served first.
    #[serde(default = "default_priority")]
    pub priority: u8,
}

/// An agreement with a bidder. Its floor is the sale's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DealSettings {
    /// What both call it.
    pub id: String,
    /// Seats that may use it; empty for all.
    #[serde(default)]
    pub seats: BTreeSet<String>,
    /// Advertisers that may; empty for all.
    #[serde(default)]
    pub advertisers: BTreeSet<String>,
    /// Whether its floor is the price, whatever is bid.
    #[serde(default)]
    pub fixed_price: bool,
}

/// A version of OpenRTB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Version {
    /// 2.5 of 2016: what came later is in `ext`.
    #[serde(rename = "2.5")]
    V2_5,
    /// 2.6, as of June 2026.
    #[default]
    #[serde(rename = "2.6")]
    V2_6,
}

impl Version {
    /// As the header `x-openrtb-version` has it.
    pub const fn header(self) -> &'static str {
        match self {
            Self::V2_5 => "2.5",
            Self::V2_6 => "2.6",
        }
    }
}

const fn yes() -> bool {
    true
}

const fn default_timeout() -> Duration {
    Duration::from_millis(150)
}

const fn default_taxonomy() -> u32 {
    1
}

const fn default_priority() -> u8 {
    10
}

impl Settings {
    /// A bidder with defaults.
    pub fn new(name: &str, url: Link) -> Self {
        Self {
            name: name.to_owned(),
            url,
            version: Version::default(),
            timeout: default_timeout(),
            gzip: false,
            headers: BTreeMap::new(),
            video: true,
            banner: false,
            lenient: false,
            category_taxonomy: default_taxonomy(),
            blocked_categories: BTreeSet::new(),
            blocked_advertisers: BTreeSet::new(),
            allowed_seats: BTreeSet::new(),
            blocked_seats: BTreeSet::new(),
            deals: Vec::new(),
            min_cpm_per_second: 0,
            credit_limit: 0,
            accepts_server_counts: false,
            macro_encodings: BTreeSet::new(),
            priority: default_priority(),
        }
    }

    /// What is wrong with it: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut problem = |is: bool, key, reason: &str| {
            if is {
                problems.push((key, reason.to_owned()));
            }
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_named = (1..=40).contains(&self.name.len()) && self.name.chars().all(is_name);
        problem(!is_named, "name", "must have 1 to 40 characters a-z, 0-9 and '-'");
        problem(self.name == super::super::house::NAME, "name", "is the house's own");
        let longest = Duration::from_secs(5);
        problem(
            self.timeout.is_zero() || self.timeout > longest,
            "timeout",
            "must be more than nothing, up to 5s",
        );
        problem(!self.video && !self.banner, "video", "either this or banner must be offered");
        let is_header = |name: &str| {
            let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            let is_own = OWN_HEADERS.iter().any(|own| name.eq_ignore_ascii_case(own));
            !name.is_empty() && name.bytes().all(is_token) && !is_own
        };
        let is_value = |value: &str| value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        let are_headers = self.headers.iter().all(|(name, value)| is_header(name) && is_value(value));
        problem(!are_headers, "headers", "must be plain names and values, and none that is set here");
        let is_both = !self.allowed_seats.is_empty() && !self.blocked_seats.is_empty();
        problem(is_both, "blocked_seats", "must not be together with allowed_seats");
        let lists = [
            self.blocked_categories.len(),
            self.blocked_advertisers.len(),
            self.allowed_seats.len(),
            self.blocked_seats.len(),
            self.deals.len(),
        ];
        problem(
            lists.iter().any(|length| *length > MAX_LIST),
            "deals",
            "no list may have more than 500 entries",
        );
        problem(self.deals.iter().any(|deal| deal.id.is_empty()), "deals", "each needs an id");
        let most = super::price::MAX_PRICE.as_nanos();
        problem(
            !(0..=most).contains(&self.min_cpm_per_second),
            "min_cpm_per_second",
            "must be 0 to a thousand units, in micros",
        );
        problem(self.credit_limit == 0, "credit_limit", "must be more than nothing: it buys on credit");
        problem(self.category_taxonomy == 0, "category_taxonomy", "must be a number of AdCOM's list");
        let is_old = self.version == Version::V2_5 && self.category_taxonomy != 1;
        problem(is_old, "category_taxonomy", "must be 1 with version 2.5, which has no other");
        problem(self.priority == crate::auction::bid::FILL_IN, "priority", "255 is for house fill-ins");
        problems
    }
}

/// Who sells, and under which laws: the same to all bidders.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seller {
    /// The site's host, as its ads.txt is found.
    pub domain: String,
    /// What a channel's page begins with; the channel's name follows.
    pub page: String,
    /// The account at this exchange, as its sellers.json has it; with the channel's name behind it, if `per_channel`.
    pub publisher: String,
    /// Whether each channel is a publisher of its own.
    pub per_channel: bool,
    /// The one currency: ISO 4217.
    pub currency: String,
    /// Under which laws.
    pub regulations: Regulations,
}

/// Which laws hold, and what the audience has said about them.
///
/// A cohort is many people: it has no consent string of its own. What stands here is what holds for everybody who has
/// agreed, in the words of the operator's own consent dialogue; it goes along only with cohorts that have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Regulations {
    /// Whether the site is made for children (COPPA): nothing is told of the audience then, whoever has agreed.
    pub coppa: bool,
    /// Whether the GDPR holds; `None` if that is not known.
    pub gdpr: Option<bool>,
    /// What is agreed to (TCF).
    pub tcf: Option<String>,
    /// US privacy string.
    pub us_privacy: Option<String>,
    /// Global Privacy Platform string.
    pub gpp: Option<String>,
    /// Which of its sections hold.
    pub gpp_sections: Vec<u32>,
}

impl Default for Seller {
    fn default() -> Self {
        Self {
            domain: "localhost".to_owned(),
            page: "https://localhost/".to_owned(),
            publisher: "onair".to_owned(),
            per_channel: true,
            currency: "USD".to_owned(),
            regulations: Regulations::default(),
        }
    }
}
