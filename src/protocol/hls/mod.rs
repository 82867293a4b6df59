//! HLS and low-latency HLS (RFC 8216bis): CMAF parts that are made once, for any number of players and caches.
//!
//! | | |
//! |---|---|
//! | [`variants`] | a packager for each variant of the programme, and who waits for whom |
//! | [`packager`] | frames in, parts and segments out; decides what the playlists promise |
//! | [`pace`], `watch` | part target and target duration, from the first seconds |
//! | `writer`, `lane`, `rhythm` | cutting a rendition; one track on its way into parts; its habits |
//! | `lead`, `sharing` | making the same bytes of the same frames; finding what is the same |
//! | [`media_playlist`] | a rendition's window of segments |
//! | [`playlist`] | the text of playlists |
//! | [`date_range`], `cue_event` | cues in playlists, and in parts |
//! | [`reload`], [`resource`] | what a request asks for, and whether it can be answered |
//! | `snapshot` | everything that can be served at a moment |
//! | `feeds`, `live` | the task that packages a channel while somebody watches |
//! | `serve` | the routes |
//!
//! All but the last two are pure. A channel is packaged from its first player's request until a while after the last
//! one. Everything below `/hls/CHANNEL/SESSION/` is immutable, or a playlist at a moment that its address names: a
//! cache in front answers any number of players with one request a part.
//!
//! The query of `/hls/CHANNEL/index.m3u8` says of a player what decides which variant of the programme he gets, once: his
//! multivariant playlist names that variant's folders. Everybody's are `SESSION/main/` and `SESSION/audioN/`; those of variant
//! 1 are `SESSION/main.1/` and `SESSION/audioN.1/`. Outside slots their playlists list `../main/57.m4s` and `../main/57.2.m4s`,
//! so that caches hold once what is the same.

mod cue_event;
pub mod date_range;
pub mod media_playlist;
pub mod pace;
pub mod packager;
pub mod playlist;
pub mod reload;
pub mod resource;
pub mod variants;

mod body;
mod feeds;
mod lane;
mod lead;
mod live;
mod metrics;
mod rhythm;
mod serve;
mod sharing;
mod snapshot;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use serve::router;

use crate::setting;
use pace::PackagerConfig;

/// `[hls]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The part duration aimed at; parts are whole frames, and all of one stream are alike.
    #[serde(with = "setting::duration")]
    pub part_duration: Duration,
    /// Segments end at the first keyframe after so long.
    #[serde(with = "setting::duration")]
    pub segment_duration: Duration,
    /// Where keyframes are farther apart than this, segments end without one.
    #[serde(with = "setting::duration")]
    pub max_segment_duration: Duration,
    /// How far back playlists reach; at least four of their target durations whatever is set here.
    #[serde(with = "setting::duration")]
    pub window: Duration,
    /// Bytes of media kept in memory per rendition, whatever the window.
    #[serde(with = "setting::byte_size")]
    pub window_bytes: usize,
    /// How long after the last request a channel is still packaged.
    #[serde(with = "setting::duration")]
    pub idle_timeout: Duration,
    /// Requests that wait for the next part, per channel.
    pub max_waiting_per_channel: usize,
    /// Requests that wait for the next part, in all.
    pub max_waiting: usize,
}

impl Default for Config {
    fn default() -> Self {
        let packager = PackagerConfig::default();
        Self {
            part_duration: packager.part_duration,
            segment_duration: packager.segment_duration,
            max_segment_duration: packager.max_segment_duration,
            window: packager.window,
            window_bytes: packager.window_bytes,
            idle_timeout: Duration::from_secs(60),
            max_waiting_per_channel: 10_000,
            max_waiting: 20_000,
        }
    }
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        let mut between = |key, value: Duration, least: Duration, most: Duration| {
            if value < least || value > most {
                let (least, most) = (setting::duration::text(least), setting::duration::text(most));
                problems.push((key, format!("expected {least} to {most}")));
            }
        };
        let seconds = Duration::from_secs;
        between("part_duration", self.part_duration, Duration::from_millis(50), seconds(2));
        between("segment_duration", self.segment_duration, seconds(1), seconds(30));
        between("max_segment_duration", self.max_segment_duration, self.segment_duration, seconds(60));
        between("window", self.window, seconds(6), seconds(3600));
        between("idle_timeout", self.idle_timeout, seconds(10), seconds(86_400));
        problems
    }

    fn packager(&self) -> PackagerConfig {
        PackagerConfig {
            part_duration: self.part_duration,
            segment_duration: self.segment_duration,
            max_segment_duration: self.max_segment_duration,
            window: self.window,
            window_bytes: self.window_bytes,
        }
    }
}
