//! Names of channels, and the words a channel may not take.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// First segments of our own paths: a channel's page is at `/CHANNEL`, so no channel may be called so.
const RESERVED: &[&str] = &[
    "admin", "ads", "api", "app", "assets", "console", "docs", "embed", "events", "favicon", "healthz",
    "help", "hls", "index", "live", "login", "metrics", "onair", "readyz", "replay", "robots", "rtmp",
    "static", "studio", "watch", "whep", "whip", "ws",
];

/// The lasting name of a channel: `[a-z0-9][a-z0-9-]{1,62}`, and none of the reserved words.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(Arc<str>);

/// Why a text is no channel name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// Length or characters are off.
    #[error("a channel name has 2 to 63 characters a-z, 0-9 and '-', and does not begin with '-'")]
    Form,
    /// The word has a meaning of its own in our URLs.
    #[error("this name is reserved")]
    Reserved,
}

impl ChannelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(2..=63).contains(&text.len()) || text.starts_with('-') || !text.bytes().all(allowed) {
            return Err(InvalidName::Form);
        }
        if RESERVED.binary_search(&text).is_ok() {
            return Err(InvalidName::Reserved);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ChannelName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.as_str().to_owned()
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_lower_case_and_unreserved() {
        for good in ["kitchen", "a1", "0-0", &"x".repeat(63)] {
            assert_eq!(good.parse::<ChannelName>().unwrap().as_str(), good);
        }
        for bad in ["", "a", "-a", "Kitchen", "a b", "a/b", "a.b", "..", "käse", &"x".repeat(64)] {
            assert_eq!(bad.parse::<ChannelName>(), Err(InvalidName::Form), "{bad}");
        }
        assert_eq!("api".parse::<ChannelName>(), Err(InvalidName::Reserved));
    }

    #[test]
    fn reserved_words_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
    }
}
