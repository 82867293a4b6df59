//! `[overlay]` of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::splice::Limits;
use crate::av::worker::ipc::{MAX_IMAGE, MAX_SPRITE_FRAMES};
use crate::hub::MAX_VARIANTS;
use crate::setting;

/// `[overlay]` of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The largest image file.
    #[serde(with = "setting::byte_size")]
    pub image_bytes: usize,
    /// The most pixels of an image, of each frame if it is animated.
    pub image_pixels: u32,
    /// The most frames of an animated image.
    pub image_frames: u16,
    /// How long decoding an image may take.
    #[serde(with = "setting::duration")]
    pub image_time: Duration,
    /// Memory for the decoded images of all slots that are not over.
    #[serde(with = "setting::byte_size")]
    pub image_memory: usize,
    /// The shortest slot.
    #[serde(with = "setting::duration")]
    pub min_duration: Duration,
    /// The longest slot.
    #[serde(with = "setting::duration")]
    pub max_duration: Duration,
    /// How far ahead a slot may be asked for.
    #[serde(with = "setting::duration")]
    pub max_ahead: Duration,
    /// A worker that has work and says nothing for so long is given up: viewers see nothing new for that long.
    #[serde(with = "setting::duration")]
    pub stall_timeout: Duration,
    /// A hand-over to a worker that takes longer is given up, and the slot with it.
    #[serde(with = "setting::duration")]
    pub hand_over_timeout: Duration,
    /// The most variants of a programme that are burned in at one time, for groups of viewers who are shown different overlays.
    pub variants: u8,
    /// The most slots of one channel that are not over.
    pub max_waiting: usize,
    /// How many slots that are over can still be asked about, over all channels.
    pub remembered: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            image_bytes: 4 << 20,
            image_pixels: 16 << 20,
            image_frames: 300,
            image_time: Duration::from_secs(2),
            image_memory: 256 << 20,
            min_duration: Duration::from_secs(1),
            max_duration: Duration::from_secs(120),
            max_ahead: Duration::from_secs(600),
            stall_timeout: Duration::from_millis(700),
            hand_over_timeout: Duration::from_secs(2),
            variants: 2,
            max_waiting: 16,
            remembered: 10_000,
        }
    }
}

impl Config {
    /// Mistakes: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.image_bytes > MAX_IMAGE {
            problems.push(("image_bytes", format!("no more than {}MiB", MAX_IMAGE >> 20)));
        }
        if usize::from(self.image_frames) > MAX_SPRITE_FRAMES || self.image_frames == 0 {
            problems.push(("image_frames", format!("1 to {MAX_SPRITE_FRAMES}")));
        }
        if self.min_duration.is_zero() || self.min_duration > self.max_duration {
            problems.push(("min_duration", "more than 0s and no more than max_duration".to_owned()));
        }
        if !(1..=MAX_VARIANTS).contains(&self.variants) {
            problems.push(("variants", format!("1 to {MAX_VARIANTS}")));
        }
        if self.stall_timeout < Duration::from_millis(100) {
            problems.push(("stall_timeout", "no worker answers in less than 100ms".to_owned()));
        }
        problems
    }

    /// What a splicer may use.
    pub(super) fn limits(&self) -> Limits {
        let defaults = Limits::default();
        Limits {
            held_time: self.hand_over_timeout,
            stall: self.stall_timeout,
            // A process may have to be started first.
            start: defaults.start.max(self.stall_timeout),
            ..defaults
        }
    }
}
