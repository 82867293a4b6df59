//! A campaign in JSON, in and out.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::day_parts::DayPartsForm;
use crate::auction::Campaign;
use crate::auction::bid::FILL_IN;
use crate::auction::campaign::{Cap, CapScope, MAX_CAP, MAX_WINDOW_MS, Pacing, Separation, Targeting};
use crate::auction::schedule::Schedule;
use crate::booking::Booking;
use crate::clock;
use crate::http::ApiError;
use crate::ledger::{CampaignId, UnixMillis};
use crate::media::{ChannelName, Code, Device};
use crate::money::Money;

/// The priority of campaigns that nobody has given another: room before and behind it.
const USUAL_PRIORITY: u8 = 100;
/// Nanos that the price of a thousand has, for each nano that the price of one has.
const MILLE: i64 = 1000;

/// The terms of a campaign.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::api) struct CampaignForm {
    /// 1 to 100 characters in one line.
    name: String,
    /// The price of a thousand impressions, in units of the currency: up to 1000, with up to 6 decimals. 0 for a fill-in.
    #[schema(example = "2.50")]
    cpm: String,
    /// When it begins, RFC 3339.
    #[schema(example = "2026-03-01T00:00:00Z")]
    start: String,
    /// When it is over, RFC 3339.
    #[schema(example = "2026-04-01T00:00:00+02:00")]
    end: String,
    /// Hours of the week in which it runs; always if it is left out.
    #[serde(default)]
    day_parts: Option<DayPartsForm>,
    /// `even`, or `front_loaded`: three times as much in the first hour as in the last.
    #[serde(default)]
    #[schema(value_type = String)]
    pacing: Pacing,
    /// To whom, and beside what; everything if it is left out.
    #[serde(default)]
    targeting: TargetingForm,
    /// How often one sees it at most; up to 4.
    #[serde(default)]
    caps: Vec<CapForm>,
    /// From whom it keeps away.
    #[serde(default)]
    separation: Option<SeparationForm>,
    /// Whether displays that the server counts are bought: overlays that are burned into the programme. Without it only those
    /// that viewers' pages tell.
    #[serde(default = "yes")]
    accepts_server_counts: bool,
    /// Whether it is stopped for now.
    #[serde(default)]
    paused: bool,
    /// Groups with a lower number are served first, whatever the price: 0 to 254, usually 100. For the operator to set.
    #[serde(default = "usual_priority")]
    priority: u8,
    /// The agreement under which it bids, 1 to 64 visible ASCII characters. For the operator to set.
    #[serde(default)]
    deal: Option<String>,
    /// Whether it is shown for nothing where nobody pays. For the operator to set.
    #[serde(default)]
    fill_in: bool,
}

/// What is wanted; an empty list is "any". Up to 100 entries each.
#[derive(Clone, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct TargetingForm {
    /// In these channels.
    #[schema(value_type = Vec<String>)]
    channels: BTreeSet<ChannelName>,
    /// In channels of these categories.
    #[schema(value_type = Vec<String>)]
    categories: BTreeSet<Arc<str>>,
    /// With one of these tags, of the channel or of the viewer's stream.
    #[schema(value_type = Vec<String>)]
    tags: BTreeSet<Arc<str>>,
    /// In a moment with one of these hashtags, of title or comments.
    #[schema(value_type = Vec<String>)]
    hashtags: BTreeSet<Arc<str>>,
    /// In these countries, ISO 3166-1 alpha-2.
    #[schema(value_type = Vec<String>)]
    countries: BTreeSet<Code>,
    /// To viewers who read one of these languages, or where it is spoken, ISO 639-1.
    #[schema(value_type = Vec<String>)]
    languages: BTreeSet<Code>,
    /// On these devices: `phone`, `tablet`, `desktop`, `tv`.
    #[schema(value_type = Vec<String>)]
    devices: BTreeSet<Device>,
}

/// At most so many displays in any so many milliseconds.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CapForm {
    /// `viewer` or `channel`: whose displays are counted.
    #[schema(value_type = String)]
    scope: CapScope,
    /// 1 to 1000.
    count: u32,
    /// Up to a week, 604800000.
    window_ms: i64,
}

/// No campaign that shares a category is shown to the same viewer within the window, before or after.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SeparationForm {
    /// What it competes in.
    #[schema(value_type = Vec<String>)]
    categories: BTreeSet<Arc<str>>,
    /// Up to a week, 604800000.
    window_ms: i64,
}

const fn yes() -> bool {
    true
}

const fn usual_priority() -> u8 {
    USUAL_PRIORITY
}

/// A campaign with nothing that only the operator sets.
pub(super) fn usual() -> Campaign {
    Campaign {
        id: CampaignId(0),
        is_paused: false,
        bid: Money::ZERO,
        priority: USUAL_PRIORITY,
        deal: None,
        schedule: Schedule { start: 0, end: 0, hours: Default::default() },
        pacing: Pacing::Even,
        targeting: Targeting::default(),
        caps: Vec::new(),
        separation: None,
        creatives: Vec::new(),
        accepts_server_counts: true,
    }
}

impl CampaignForm {
    /// How a campaign is written.
    pub fn of(booking: &Booking) -> Self {
        let Campaign { schedule, targeting, .. } = &*booking.campaign;
        let campaign = &booking.campaign;
        let fill_in = campaign.priority == FILL_IN;
        // No price is so high: it was read from a number a thousand times as large.
        let cpm = Money::from_nanos(campaign.bid.as_nanos().saturating_mul(MILLE));
        Self {
            name: booking.name.clone(),
            cpm: cpm.to_string(),
            start: clock::rfc3339_millis(schedule.start),
            end: clock::rfc3339_millis(schedule.end),
            day_parts: DayPartsForm::of(&schedule.hours),
            pacing: campaign.pacing,
            targeting: TargetingForm::of(targeting),
            caps: campaign
                .caps
                .iter()
                .map(|Cap { scope, count, window_ms }| CapForm {
                    scope: *scope,
                    count: *count,
                    window_ms: *window_ms,
                })
                .collect(),
            separation: campaign.separation.as_ref().map(|separation| SeparationForm {
                categories: separation.categories.clone(),
                window_ms: separation.window_ms,
            }),
            accepts_server_counts: campaign.accepts_server_counts,
            paused: campaign.is_paused,
            priority: if fill_in { USUAL_PRIORITY } else { campaign.priority },
            deal: campaign.deal.as_deref().map(str::to_owned),
            fill_in,
        }
    }

    /// With a patch merged into it.
    pub fn merged(&self, patch: &Value) -> Result<Self, ApiError> {
        let mut form = serde_json::to_value(self).map_err(|_| ApiError::internal())?;
        if !patch.is_object() {
            return Err(ApiError::invalid("an object with the fields to change"));
        }
        merge(&mut form, patch);
        Self::deserialize(form).map_err(|error| ApiError::invalid(error.to_string()))
    }

    /// Name and terms; all that cannot be read is told at once.
    pub fn read(&self) -> Result<(String, Campaign), ApiError> {
        let mut problems = Vec::new();
        let schedule = self.schedule(&mut problems);
        let bid = read_cpm(&self.cpm).unwrap_or_else(|problem| {
            problems.push(problem);
            Money::ZERO
        });
        if self.priority == FILL_IN {
            problems.push("priority: 0 to 254".to_owned());
        }
        for cap in &self.caps {
            let is_good = (1..=MAX_CAP).contains(&cap.count) && (1..=MAX_WINDOW_MS).contains(&cap.window_ms);
            if !is_good {
                let allowed = format!("count is 1 to {MAX_CAP}, window_ms is 1 to {MAX_WINDOW_MS}");
                problems.push(format!("caps: {allowed}"));
            }
        }
        if !problems.is_empty() {
            return Err(ApiError::invalid(problems.join("; ")));
        }
        let caps = self.caps.iter().map(|CapForm { scope, count, window_ms }| Cap {
            scope: *scope,
            count: *count,
            window_ms: *window_ms,
        });
        let separation = self.separation.as_ref().map(|separation| Separation {
            categories: separation.categories.clone(),
            window_ms: separation.window_ms,
        });
        let terms = Campaign {
            is_paused: self.paused,
            bid,
            priority: if self.fill_in { FILL_IN } else { self.priority },
            deal: self.deal.as_deref().map(Arc::from),
            schedule,
            pacing: self.pacing,
            targeting: self.targeting.read(),
            caps: caps.collect(),
            separation,
            accepts_server_counts: self.accepts_server_counts,
            ..usual()
        };
        Ok((self.name.clone(), terms))
    }

    fn schedule(&self, problems: &mut Vec<String>) -> Schedule {
        let mut moment = |field: &str, text: &str| -> UnixMillis {
            clock::parse_rfc3339(text).unwrap_or_else(|| {
                problems.push(format!("{field}: a moment like 2026-03-01T00:00:00Z (RFC 3339)"));
                0
            })
        };
        let (start, end) = (moment("start", &self.start), moment("end", &self.end));
        let hours = self.day_parts.as_ref().map(DayPartsForm::read).transpose();
        let hours = hours.unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        Schedule { start, end, hours: hours.unwrap_or_default() }
    }
}

impl TargetingForm {
    fn of(targeting: &Targeting) -> Self {
        let Targeting { channels, categories, tags, hashtags, countries, languages, devices } =
            targeting.clone();
        Self { channels, categories, tags, hashtags, countries, languages, devices }
    }

    fn read(&self) -> Targeting {
        let Self { channels, categories, tags, hashtags, countries, languages, devices } = self.clone();
        Targeting { channels, categories, tags, hashtags, countries, languages, devices }
    }
}

/// The price of one, of a price for a thousand: no nano is lost.
fn read_cpm(text: &str) -> Result<Money, String> {
    let mille: Option<Money> = text.parse().ok().filter(|price: &Money| price.as_nanos() % MILLE == 0);
    let price = mille.ok_or("cpm: a decimal text like \"2.50\", with up to 6 decimals")?;
    Ok(Money::from_nanos(price.as_nanos() / MILLE))
}

/// JSON Merge Patch (RFC 7396).
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    let Value::Object(into) = into else { return };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}
