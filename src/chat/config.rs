//! `[chat]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use serde::{Deserialize, Serialize};

use super::pace::Pace;
use super::words::{MAX_WORD_CHARS, MAX_WORDS};
use crate::setting;

/// Comments, hearts, presence and order in the rooms of all channels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether there is a room to each channel.
    pub enabled: bool,
    /// Whether comments are taken while a channel is not on the air.
    pub open_when_offline: bool,
    /// The longest comment, in characters.
    pub max_text: usize,
    /// The largest message that a viewer may send.
    #[serde(with = "setting::byte_size")]
    pub max_message_size: usize,
    /// Events and comments that a room has in memory.
    pub history: usize,
    /// The most of the last comments that who comes in may ask for.
    pub join_history: usize,
    /// Comments that one person may send at once.
    pub comment_burst: u32,
    /// How long until one more.
    #[serde(with = "setting::duration")]
    pub comment_interval: Duration,
    /// Hearts and other reactions that one person may send at once.
    pub reaction_burst: u32,
    /// How long until one more.
    #[serde(with = "setting::duration")]
    pub reaction_interval: Duration,
    /// Messages of any kind that one connection may send at once.
    pub message_burst: u32,
    /// How long until one more.
    #[serde(with = "setting::duration")]
    pub message_interval: Duration,
    /// How long the same text of one person is a duplicate.
    #[serde(with = "setting::duration")]
    pub duplicate_window: Duration,
    /// Comments a second that a viewer should get; of more, each gets a fair sample. 0 is no limit.
    pub readable_per_second: u32,
    /// Up to how many people a room tells who comes and goes.
    pub list_up_to: usize,
    /// How long events wait for others, to be sent together.
    #[serde(with = "setting::duration")]
    pub batch_interval: Duration,
    /// Batches that a slow connection may fall behind before it loses some.
    pub max_behind: usize,
    /// Connections to one room at one time.
    pub max_connections_per_room: usize,
    /// People that a room remembers after they left, and names that it keeps for them.
    pub max_remembered: usize,
    /// Reactions that there are, the first is the heart.
    pub reactions: Vec<String>,
    /// Words that no room wants to read; `word*` means all that begin so.
    pub blocked_words: Vec<String>,
    /// How long somebody must have been in the room to be a juror.
    #[serde(with = "setting::duration")]
    pub jury_presence: Duration,
    /// How long jurors have.
    #[serde(with = "setting::duration")]
    pub jury_time: Duration,
    /// Whether a jury has one juror of a network at most, and none of the parties' networks.
    pub jury_one_per_network: bool,
    /// How long a jury's first verdict silences.
    #[serde(with = "setting::duration")]
    pub jury_mute: Duration,
    /// How long comments are kept; 0 for as long as the channel is there.
    #[serde(with = "setting::duration")]
    pub retention: Duration,
    /// Origins besides our own whose pages may connect, like `https://example.org`.
    pub origins: Vec<String>,
    /// The file with the keys by which embedding sites vouch for users, a JSON Web Key Set.
    #[serde(with = "setting::optional_path")]
    pub jwks: Option<PathBuf>,
    /// Where an embedding site publishes these keys instead, an `https` or `http` URL; empty for nowhere.
    pub jwks_url: String,
    /// What a voucher's `iss` must be; empty for any.
    pub token_issuer: String,
    /// What a voucher's `aud` must name.
    pub token_audience: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            enabled: true,
            open_when_offline: false,
            max_text: 300,
            max_message_size: 4 << 10,
            history: 1000,
            join_history: 100,
            comment_burst: 4,
            comment_interval: Duration::from_secs(1),
            reaction_burst: 30,
            reaction_interval: Duration::from_millis(100),
            message_burst: 40,
            message_interval: Duration::from_millis(100),
            duplicate_window: Duration::from_secs(30),
            readable_per_second: 12,
            list_up_to: 50,
            batch_interval: Duration::from_millis(50),
            max_behind: 256,
            max_connections_per_room: 100_000,
            max_remembered: 50_000,
            reactions: ["❤", "👏", "😂", "😮", "🔥", "🎉"].map(str::to_owned).to_vec(),
            blocked_words: Vec::new(),
            jury_presence: Duration::from_secs(60),
            jury_time: Duration::from_secs(10),
            jury_one_per_network: true,
            jury_mute: Duration::from_secs(60),
            retention: Duration::from_secs(90 * 24 * 60 * 60),
            origins: Vec::new(),
            jwks: None,
            jwks_url: String::new(),
            token_issuer: String::new(),
            token_audience: "onair".to_owned(),
        }
    }
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for (key, value, least, most) in [
            ("max_text", self.max_text, 1, 2000),
            ("max_message_size", self.max_message_size, 1024, 64 << 10),
            ("history", self.history, 10, 100_000),
            ("join_history", self.join_history, 0, self.history.min(1000)),
            ("comment_burst", self.comment_burst as usize, 1, 1000),
            ("reaction_burst", self.reaction_burst as usize, 1, 1000),
            ("message_burst", self.message_burst as usize, 1, 10_000),
            ("list_up_to", self.list_up_to, 0, 500),
            ("max_behind", self.max_behind, 16, 4096),
            ("max_remembered", self.max_remembered, 100, 1_000_000),
            ("reactions", self.reactions.len(), 1, 16),
            ("blocked_words", self.blocked_words.len(), 0, MAX_WORDS),
        ] {
            if !(least..=most).contains(&value) {
                problems.push((key, format!("expected {least} to {most}")));
            }
        }
        if self.batch_interval.is_zero() || self.batch_interval > Duration::from_secs(1) {
            problems.push(("batch_interval", "expected 1ms to 1s".to_owned()));
        }
        if self.jury_time.is_zero() {
            problems.push(("jury_time", "expected more than 0s".to_owned()));
        }
        if self.reactions.iter().any(|kind| kind.is_empty() || kind.len() > 32) {
            problems.push(("reactions", "expected texts of 1 to 32 bytes, usually one emoji".to_owned()));
        }
        if self.blocked_words.iter().any(|word| word.chars().count() > MAX_WORD_CHARS) {
            problems
                .push(("blocked_words", format!("expected words of at most {MAX_WORD_CHARS} characters")));
        }
        if !self.jwks_url.is_empty() && self.jwks_url().is_none() {
            problems.push(("jwks_url", "expected an https or http URL with a host".to_owned()));
        }
        if !self.jwks_url.is_empty() && self.jwks.is_some() {
            problems.push(("jwks_url", "chat.jwks is set too: expected one of them".to_owned()));
        }
        if (self.jwks.is_some() || !self.jwks_url.is_empty()) && self.token_audience.is_empty() {
            problems.push((
                "token_audience",
                "expected a name: vouchers for other services must not hold here".to_owned(),
            ));
        }
        problems
    }

    /// Where keys are fetched from, if anywhere.
    pub fn jwks_url(&self) -> Option<Uri> {
        let url: Uri = self.jwks_url.parse().ok()?;
        (matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()).then_some(url)
    }

    /// How fast one person may comment.
    pub const fn comments(&self) -> Pace {
        Pace { burst: self.comment_burst, interval: self.comment_interval }
    }

    /// How fast one person may react.
    pub const fn reactions(&self) -> Pace {
        Pace { burst: self.reaction_burst, interval: self.reaction_interval }
    }

    /// How fast one connection may send.
    pub const fn messages(&self) -> Pace {
        Pace { burst: self.message_burst, interval: self.message_interval }
    }
}
