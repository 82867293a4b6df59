//! `[sale]` of the configuration, and what is set for each channel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auction::bidder::openrtb::{Seller, Settings};
use crate::auction::cohort::DEFAULT_K;
use crate::auction::{Context, Deal};
use crate::cue::Policy;
use crate::media::{Code, OverlayFormat};
use crate::money::{Cpm, Money, Share};
use crate::setting;

/// The most words of one kind that are set for a channel.
const MAX_WORDS: usize = 100;
/// The longest of them, in bytes.
const MAX_WORD: usize = 100;
/// The most bidders outside: each is asked at every cue, for every cohort.
const MAX_BIDDERS: usize = 32;

/// `[sale]` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether anything is sold. Without it cues of publishers go to players as they are.
    pub enabled: bool,
    /// What all amounts are in: a code of ISO 4217.
    pub currency: String,
    /// The smallest group of viewers that is spoken of.
    pub k: u32,
    /// How long bidders have for an answer.
    #[serde(with = "setting::duration")]
    pub deadline: Duration,
    /// How long before its beginning a slot is sold, where it is announced so early.
    #[serde(with = "setting::duration")]
    pub decide_ahead: Duration,
    /// What broadcasters get of each charge, in percent.
    pub broadcaster_percent: u8,
    /// How far behind a viewer may be whose displays count.
    #[serde(with = "setting::duration")]
    pub max_viewer_delay: Duration,
    /// How long an overlay is on screen until that is a display; the MRC wants a second.
    #[serde(with = "setting::duration")]
    pub display_time: Duration,
    /// The lowest price of a thousand impressions of a lower third.
    pub floor_lower_third: Cpm,
    /// The lowest price of a thousand impressions in the corner.
    pub floor_corner: Cpm,
    /// The lowest price of a thousand impressions of an L-shape.
    pub floor_l_shape: Cpm,
    /// The lowest price of a thousand impressions of a double box.
    pub floor_double_box: Cpm,
    /// A MaxMind DB file with the countries of addresses.
    #[serde(with = "setting::optional_path")]
    pub countries: Option<PathBuf>,
    /// Pages that may follow placements at one time, in all channels.
    pub max_pages: usize,
    /// Pages and players of one address, as of a school: following costs whoever asks for it nothing, and something is sold for it.
    pub max_pages_per_address: usize,
    /// How long a player that asks for what to draw, as players ask MediaTailor, may not ask until it is gone.
    #[serde(with = "setting::duration")]
    pub player_timeout: Duration,
    /// How long cues and their traces are kept.
    #[serde(with = "setting::duration")]
    pub keep: Duration,
    /// Who is asked outside, over OpenRTB.
    pub bidders: Vec<Settings>,
    /// Addresses of names that are not looked up, for bidders and links of theirs: the only way into a private network.
    pub hosts: BTreeMap<String, IpAddr>,
    /// A PEM file of certificates that are believed beside the system's.
    #[serde(with = "setting::optional_path")]
    pub trust: Option<PathBuf>,
    /// What bidders outside are told of who sells.
    pub seller: Seller,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            currency: "USD".to_owned(),
            k: DEFAULT_K,
            deadline: Duration::from_millis(150),
            decide_ahead: Duration::from_secs(2),
            broadcaster_percent: 55,
            max_viewer_delay: Duration::from_secs(30),
            display_time: Duration::from_secs(1),
            floor_lower_third: Cpm::from_micros(1_000_000),
            floor_corner: Cpm::from_micros(500_000),
            floor_l_shape: Cpm::from_micros(2_000_000),
            floor_double_box: Cpm::from_micros(2_000_000),
            countries: None,
            max_pages: 15_000,
            max_pages_per_address: 100,
            player_timeout: Duration::from_secs(30),
            keep: Duration::from_secs(90 * 24 * 3600),
            bidders: Vec::new(),
            hosts: BTreeMap::new(),
            trust: None,
            seller: Seller::default(),
        }
    }
}

impl Config {
    /// What is wrong with it: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.currency.len() != 3 || !self.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            problems.push(("currency", "three capital letters, as in USD".to_owned()));
        }
        if self.k == 0 {
            problems.push(("k", "at least 1, and 50 where anybody's privacy matters".to_owned()));
        }
        if self.broadcaster_percent > 100 {
            problems.push(("broadcaster_percent", "0 to 100".to_owned()));
        }
        let most = Duration::from_secs(2);
        if self.deadline.is_zero() || self.deadline > most {
            problems.push(("deadline", "more than 0s and no more than 2s".to_owned()));
        }
        if self.decide_ahead < self.deadline || self.decide_ahead > Duration::from_secs(60) {
            problems.push(("decide_ahead", "no less than deadline and no more than 1m".to_owned()));
        }
        if self.display_time.is_zero() || self.display_time > Duration::from_secs(60) {
            problems.push(("display_time", "more than 0s and no more than 1m".to_owned()));
        }
        if self.player_timeout.is_zero() || self.player_timeout > Duration::from_secs(600) {
            problems.push(("player_timeout", "more than 0s and no more than 10m".to_owned()));
        }
        if self.max_viewer_delay > Duration::from_secs(600) {
            problems.push(("max_viewer_delay", "no more than 10m".to_owned()));
        }
        problems.extend(self.problems_of_bidders());
        problems
    }

    fn problems_of_bidders(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.bidders.len() > MAX_BIDDERS {
            problems.push(("bidders", format!("no more than {MAX_BIDDERS}")));
        }
        let mut names = BTreeSet::new();
        for bidder in &self.bidders {
            let name = &bidder.name;
            let own = bidder.problems().into_iter();
            problems.extend(own.map(|(key, reason)| ("bidders", format!("{name:?}: {key}: {reason}"))));
            if !names.insert(name) {
                problems.push(("bidders", format!("{name:?}: name: there is another of this name")));
            }
        }
        let is_lower =
            |name: &String| !name.is_empty() && *name == name.to_ascii_lowercase() && !name.ends_with('.');
        if !self.hosts.keys().all(is_lower) {
            problems.push(("hosts", "names in small letters, without a dot at the end".to_owned()));
        }
        if !self.bidders.is_empty() && self.seller.currency != self.currency {
            problems.push(("seller", format!("currency: {:?}, as sale.currency", self.currency)));
        }
        problems
    }

    /// The lowest price of an impression in a format.
    pub const fn floor(&self, format: OverlayFormat) -> Money {
        match format {
            OverlayFormat::LowerThird => self.floor_lower_third,
            OverlayFormat::Corner => self.floor_corner,
            OverlayFormat::LShape => self.floor_l_shape,
            OverlayFormat::DoubleBox => self.floor_double_box,
        }
        .per_impression()
    }

    /// What broadcasters get of each charge.
    pub const fn share(&self) -> Share {
        Share::percent(self.broadcaster_percent)
    }
}

/// What is set for a channel.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelSettings {
    /// Who may open slots, and how long and how often; `null` for what the configuration says of all channels.
    pub policy: Option<Policy>,
    /// How overlays reach viewers.
    pub delivery: Delivery,
    /// What the channel is about, in one word.
    pub category: Option<Arc<str>>,
    /// What the channel is about, in several.
    pub tags: BTreeSet<Arc<str>>,
    /// The language that is spoken, as a code of ISO 639-1.
    pub language: Option<Code>,
    /// Creatives of these categories are not shown here.
    pub blocked_categories: BTreeSet<Arc<str>>,
    /// Agreements with buyers that hold here.
    pub deals: Vec<DealSetting>,
}

/// How overlays reach viewers. Each viewer gets them in one way only, so nothing counts twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Pages that can draw them do; everybody else watches a programme into which they are drawn.
    GuidedAndBurned,
    /// Pages that can draw them do; everybody else sees none.
    Guided,
    /// They are drawn into the programme, for everybody.
    #[default]
    Burned,
}

/// An agreement with a buyer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DealSetting {
    /// What both call it.
    pub id: Arc<str>,
    /// The lowest price of a thousand impressions under it.
    pub floor: Cpm,
}

impl ChannelSettings {
    /// What is wrong with it: field and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = self.policy.as_ref().map(Policy::problems).unwrap_or_default();
        let is_word = |word: &Arc<str>| (1..=MAX_WORD).contains(&word.len());
        let words = |words: &BTreeSet<Arc<str>>| words.len() <= MAX_WORDS && words.iter().all(is_word);
        let allowed = format!("at most {MAX_WORDS} words of 1 to {MAX_WORD} bytes");
        let lists = [("tags", &self.tags), ("blocked_categories", &self.blocked_categories)];
        for (field, _) in lists.into_iter().filter(|(_, list)| !words(list)) {
            problems.push((field, allowed.clone()));
        }
        if !self.category.iter().all(is_word) {
            problems.push(("category", format!("1 to {MAX_WORD} bytes")));
        }
        if self.deals.len() > MAX_WORDS || !self.deals.iter().all(|deal| is_word(&deal.id)) {
            problems.push(("deals", format!("at most {MAX_WORDS}, with ids of 1 to {MAX_WORD} bytes")));
        }
        problems
    }

    /// The agreements, as an auction wants them.
    pub fn deals(&self) -> Vec<Deal> {
        let deal = |deal: &DealSetting| Deal { id: Arc::clone(&deal.id), floor: deal.floor.per_impression() };
        self.deals.iter().map(deal).collect()
    }

    /// Tells an auction's context what is set for the channel.
    pub fn describe(&self, context: &mut Context) {
        context.category.clone_from(&self.category);
        context.tags.clone_from(&self.tags);
        context.language = self.language;
        context.blocked_categories.clone_from(&self.blocked_categories);
    }
}
