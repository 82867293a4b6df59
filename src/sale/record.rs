//! What is known of a cue, from its announcement to its settlement.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::auction::Trace;
use crate::cue::Slot;
use crate::ledger::{SettledLot, SlotId, UnixMillis};
use crate::media::{ChannelName, CueId, CueOrigin, CueState, MediaTime, OverlayFormat};
use crate::money::Money;

/// Names a cue for the API: no other has it, in any channel or broadcast, also after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct CueNumber(pub u64);

impl fmt::Display for CueNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for CueNumber {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<CueNumber> for String {
    fn from(number: CueNumber) -> Self {
        number.to_string()
    }
}

/// A cue and all that came of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct CueRecord {
    /// Its name.
    pub id: CueNumber,
    /// Where.
    pub channel: ChannelName,
    /// In which broadcast: its number.
    pub broadcast: u64,
    /// What it is called in the broadcast.
    pub cue: CueId,
    /// Rises with every change.
    pub revision: u32,
    /// Who wanted it.
    pub origin: CueOrigin,
    /// How the overlay and the picture share the screen.
    pub format: OverlayFormat,
    /// When the slot begins, in nanoseconds of media time.
    pub start_ns: i64,
    /// How long it lasts, in milliseconds.
    pub duration_ms: u64,
    /// When it was announced.
    pub opened_at: UnixMillis,
    /// How far it has come.
    pub stage: Stage,
    /// What came of it, when it is over.
    pub outcome: Option<Outcome>,
    /// The auctions: of each cohort what was sold, who was asked, what they bid, and why not.
    pub traces: Vec<Trace>,
    /// What was sold.
    pub sold: Option<Sold>,
    /// What was shown.
    pub shown: Option<Shown>,
    /// What the ledger has made of it, once all displays are in.
    pub settled: Option<Settled>,
}

/// How far a cue has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It is announced; its time has not come.
    Announced,
    /// Bidders are asked.
    Deciding,
    /// Somebody has it, and it may be shown.
    Sold,
    /// It is on.
    OnAir,
    /// Nothing more will be shown.
    Over,
}

/// What came of a cue.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// An overlay was on, up to the slot's end.
    Completed,
    /// An overlay was on for a part of the slot.
    CutShort {
        /// Why.
        why: String,
    },
    /// It was sold, and nothing of it could be shown.
    NotShown {
        /// Why.
        why: String,
    },
    /// Nobody watches over a connection of ours.
    NoAudience,
    /// Nobody who could be shown has bid.
    NoBid,
    /// No overlay can be drawn there.
    NoPlace {
        /// Why.
        why: String,
    },
    /// It could not be decided in time.
    Late,
    /// The decision or the money could not be kept.
    Unkept {
        /// Why.
        why: String,
    },
    /// It was withdrawn before its time.
    Withdrawn,
    /// The broadcast ended before its time, or the server did.
    BroadcastEnded,
    /// The server failed to decide: a fault of its own, which its log has.
    Failed {
        /// How.
        why: String,
    },
}

impl Outcome {
    /// A word for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CutShort { .. } => "cut_short",
            Self::NotShown { .. } => "not_shown",
            Self::NoAudience => "no_audience",
            Self::NoBid => "no_bid",
            Self::NoPlace { .. } => "no_place",
            Self::Late => "late",
            Self::Unkept { .. } => "unkept",
            Self::Withdrawn => "withdrawn",
            Self::BroadcastEnded => "broadcast_ended",
            Self::Failed { .. } => "failed",
        }
    }
}

/// What was sold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Sold {
    /// The ledger's entry.
    pub slot: SlotId,
    /// Impressions that are paid for, for each lot.
    pub units: Vec<u32>,
    /// For each lot, the place of its trace.
    pub traces: Vec<usize>,
    /// The overlays that are burned in, for `/api/v1/overlays/ID`: one for each lot of the programme's viewers that is paid for.
    #[serde(default)]
    pub overlays: Vec<String>,
}

/// What was shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Shown {
    /// The first picture with the overlay, in nanoseconds of media time.
    pub first_pts_ns: Option<i64>,
    /// The last one, when it is over.
    pub last_pts_ns: Option<i64>,
    /// How many they were, when it is over.
    pub frames: u64,
}

/// What the ledger has made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Settled {
    /// What was kept back, in nanos.
    pub reserved: Money,
    /// What of it was spent, in nanos.
    pub spent: Money,
}

impl CueRecord {
    /// Of a slot that has just been opened.
    pub fn new(id: CueNumber, channel: &ChannelName, broadcast: u64, slot: &Slot, at: UnixMillis) -> Self {
        let mut record = Self {
            id,
            channel: channel.clone(),
            broadcast,
            cue: slot.cue.id.clone(),
            revision: 0,
            origin: slot.cue.origin,
            format: slot.format,
            start_ns: 0,
            duration_ms: 0,
            opened_at: at,
            stage: Stage::Announced,
            outcome: None,
            traces: Vec::new(),
            sold: None,
            shown: None,
            settled: None,
        };
        record.revise(slot);
        record
    }

    /// The slot has changed.
    pub fn revise(&mut self, slot: &Slot) {
        self.revision = slot.cue.revision;
        if slot.cue.state == CueState::Announced {
            self.format = slot.format;
            self.start_ns = slot.cue.start.as_nanos();
            let duration = slot.cue.duration.unwrap_or(MediaTime::ZERO).as_millis();
            self.duration_ms = u64::try_from(duration).unwrap_or(0);
        }
    }

    /// It is over.
    pub fn end(&mut self, outcome: Outcome) {
        self.stage = Stage::Over;
        self.outcome = Some(outcome);
    }

    /// Whether nothing more will come of it.
    pub fn is_finished(&self) -> bool {
        self.stage == Stage::Over && (self.sold.is_none() || self.settled.is_some())
    }

    /// The ledger is done with it.
    pub fn settle(&mut self, lots: &[SettledLot]) {
        let sum = |amount: fn(&SettledLot) -> Money| {
            let nanos = lots.iter().map(|lot| amount(lot).as_nanos());
            Money::from_nanos(nanos.fold(0, i64::saturating_add))
        };
        self.settled = Some(Settled { reserved: sum(|lot| lot.reserved), spent: sum(|lot| lot.spent) });
    }
}
