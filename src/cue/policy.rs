//! What a channel allows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::media::OverlayFormat;
use crate::setting;

/// Slots in a channel: who may open them, and how long and how often.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Whether cues in the publisher's stream open slots. Who publishes from a phone is not always who is trusted.
    pub publisher_cues: bool,
    /// Slots that the broadcaster may open in any hour, with the stream and in the studio together.
    pub publisher_slots_per_hour: u32,
    /// The shortest slot.
    #[serde(with = "setting::duration")]
    pub min_duration: Duration,
    /// The longest slot.
    #[serde(with = "setting::duration")]
    pub max_duration: Duration,
    /// How long a slot is of which that is not said.
    #[serde(with = "setting::duration")]
    pub default_duration: Duration,
    /// How the overlay and the picture share the screen where that is not said.
    pub default_format: OverlayFormat,
    /// What a decision and a worker that gets ready need between cue and overlay.
    #[serde(with = "setting::duration")]
    pub lead: Duration,
    /// A slot that comes too late begins later by so much at most, whole; beyond that it is skipped, whole.
    #[serde(with = "setting::duration")]
    pub late_tolerance: Duration,
    /// How far ahead a slot may be announced.
    #[serde(with = "setting::duration")]
    pub max_ahead: Duration,
    /// How long at least from the end of a slot to the beginning of the next.
    #[serde(with = "setting::duration")]
    pub gap: Duration,
    /// How often the schedule opens a slot; 0 for never.
    #[serde(with = "setting::duration")]
    pub schedule_every: Duration,
    /// How long a broadcast is without slots of the schedule at its beginning.
    #[serde(with = "setting::duration")]
    pub schedule_after: Duration,
    /// What happens when the audience's engagement stands out.
    pub on_engagement: OnEngagement,
    /// How far it has to, in standard deviations of the broadcast's own baseline.
    pub engagement_threshold: f64,
    /// How long at least from one slot of engagement to the next, and how long a moment is kept free of slots.
    #[serde(with = "setting::duration")]
    pub engagement_gap: Duration,
}

/// What happens when the audience's engagement stands out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnEngagement {
    /// Nothing.
    #[default]
    Nothing,
    /// A slot opens: the moment is what people came for.
    Sell,
    /// No slot begins for a while: nothing covers the decisive moment.
    HoldOff,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            publisher_cues: false,
            // What Twitch allows.
            publisher_slots_per_hour: 8,
            min_duration: Duration::from_secs(1),
            max_duration: Duration::from_secs(120),
            default_duration: Duration::from_secs(15),
            default_format: OverlayFormat::LowerThird,
            lead: Duration::from_millis(300),
            late_tolerance: Duration::from_secs(1),
            max_ahead: Duration::from_secs(86_400),
            gap: Duration::from_secs(10),
            schedule_every: Duration::ZERO,
            schedule_after: Duration::from_secs(300),
            on_engagement: OnEngagement::Nothing,
            engagement_threshold: 6.0,
            engagement_gap: Duration::from_secs(600),
        }
    }
}

impl Policy {
    /// What is wrong with it: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.min_duration.is_zero() || self.min_duration > self.max_duration {
            problems.push(("min_duration", "must be more than nothing and at most max_duration".to_owned()));
        }
        if !(self.min_duration..=self.max_duration).contains(&self.default_duration) {
            problems.push(("default_duration", "must lie between min_duration and max_duration".to_owned()));
        }
        if !self.schedule_every.is_zero() && self.schedule_every < self.default_duration + self.gap {
            problems
                .push(("schedule_every", "must be longer than default_duration and gap together".to_owned()));
        }
        // This is so for NaN as well.
        if !(1.0..=1000.0).contains(&self.engagement_threshold) {
            problems.push(("engagement_threshold", "must be 1 to 1000 standard deviations".to_owned()));
        }
        problems
    }
}
