//! What is sold: a moment of a broadcast, to a cohort of its audience.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::{DisplayClass, SlotName, UnixMillis};
use crate::media::{Code, Cohort, OverlayFormat};
use crate::money::Money;

/// The moment: the same for all cohorts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Context {
    /// The slot.
    pub slot: SlotName,
    /// When it was decided.
    pub at: UnixMillis,
    /// When it begins; 0 where that is not known, as of what was decided before that was kept.
    #[serde(default)]
    pub starts_at: UnixMillis,
    /// When the last display may be told that counts.
    #[serde(default)]
    pub counts_until: UnixMillis,
    /// How the overlay and the picture share the screen.
    pub format: OverlayFormat,
    /// How long it is shown.
    pub duration_ms: u32,
    /// How displays are counted: guided ones by the viewers' pages, burned-in ones by the server.
    pub class: DisplayClass,
    /// The broadcast's title.
    pub title: String,
    /// The channel's category.
    pub category: Option<Arc<str>>,
    /// The channel's tags.
    pub tags: BTreeSet<Arc<str>>,
    /// Hashtags of title and comments at this moment, without `#`.
    pub hashtags: BTreeSet<Arc<str>>,
    /// The language that is spoken.
    pub language: Option<Code>,
    /// How far the audience's engagement stands out of the broadcast's own baseline, in standard deviations; 0 if it does
    /// not.
    pub engagement: u32,
    /// Everybody who watches, as the page shows it.
    pub viewers: u32,
    /// Creatives of these categories are not shown in this channel.
    pub blocked_categories: BTreeSet<Arc<str>>,
}

/// One sale.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Auction {
    /// The moment.
    pub context: Arc<Context>,
    /// To whom.
    pub cohort: Cohort,
    /// How many they are.
    pub audience: u32,
    /// The lowest price of an impression in this format.
    pub floor: Money,
    /// Agreements with buyers that hold here.
    pub deals: Vec<Deal>,
    /// Decides between equals.
    pub seed: u64,
}

/// An agreement with a buyer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Deal {
    /// What both call it.
    pub id: Arc<str>,
    /// The lowest price of an impression under it, instead of the format's.
    pub floor: Money,
}
