//! What is known of a viewer, as far as it matters with whom he is counted.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most tags that an embedding page may set, and the longest of them.
const MAX_TAGS: usize = 8;
const MAX_TAG: usize = 40;

/// Two small letters: a country (ISO 3166-1 alpha-2) or a language (ISO 639-1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Code([u8; 2]);

/// A text that is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no code of two letters")]
pub struct InvalidCode(String);

impl FromStr for Code {
    type Err = InvalidCode;

    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        match text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_lowercase(), b.to_ascii_lowercase()]))
            }
            _ => Err(InvalidCode(text.chars().take(20).collect())),
        }
    }
}

impl TryFrom<String> for Code {
    type Error = InvalidCode;

    fn try_from(text: String) -> Result<Self, InvalidCode> {
        text.parse()
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.to_string()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What somebody watches with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// A phone.
    Phone,
    /// A tablet.
    Tablet,
    /// A computer.
    Desktop,
    /// A television or a box beside it.
    Tv,
}

impl Device {
    /// The one of this name, as in JSON.
    fn named(name: &str) -> Option<Self> {
        match name {
            "phone" => Some(Self::Phone),
            "tablet" => Some(Self::Tablet),
            "desktop" => Some(Self::Desktop),
            "tv" => Some(Self::Tv),
            _ => None,
        }
    }
}

/// A group of viewers, or what is known of one. What is `None` is unknown, or not told.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub struct Cohort {
    /// Whether they have agreed to be spoken of as more than an audience of this channel.
    pub consent: bool,
    /// Where they are.
    pub country: Option<Code>,
    /// What they read.
    pub language: Option<Code>,
    /// What they watch with.
    pub device: Option<Device>,
    /// Tags of the stream that they watch, as an embedding page has set them.
    pub tags: BTreeSet<Arc<str>>,
}

impl Cohort {
    /// The whole audience, of whom nothing is told.
    pub fn everybody() -> Self {
        Self::default()
    }

    /// What may be told of a viewer: nothing without consent.
    #[must_use]
    pub fn told(self) -> Self {
        if self.consent { self } else { Self::everybody() }
    }
}

impl fmt::Display for Cohort {
    /// As reports name it: `de/en/phone/news`, with `*` for what is not told; `*` for everybody.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::everybody() {
            return f.write_str("*");
        }
        let code = |code: Option<Code>| code.map_or_else(|| "*".to_owned(), |code| code.to_string());
        let device = match self.device {
            None => "*",
            Some(Device::Phone) => "phone",
            Some(Device::Tablet) => "tablet",
            Some(Device::Desktop) => "desktop",
            Some(Device::Tv) => "tv",
        };
        write!(f, "{}/{}/{device}", code(self.country), code(self.language))?;
        self.tags.iter().try_for_each(|tag| write!(f, "/{tag}"))
    }
}

/// What a viewer's page, or the address that he watches at, says of him. Nobody is refused for what makes no sense here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct About {
    /// What he reads: `en`, or `en-GB`.
    pub lang: Option<String>,
    /// What he watches with: `phone`, `tablet`, `desktop` or `tv`.
    pub device: Option<String>,
    /// `1`: he has agreed to be spoken of as more than an audience of this channel.
    pub consent: Option<String>,
    /// Tags that an embedding page sets, with commas between them.
    pub tags: Option<String>,
}

impl About {
    /// Whom a viewer in this country is counted with.
    pub fn cohort(&self, country: Option<Code>) -> Cohort {
        let tags = self.tags.as_deref().unwrap_or_default().split(',').map(str::trim);
        let tags = tags.filter(|tag| (1..=MAX_TAG).contains(&tag.len())).take(MAX_TAGS);
        // `en-GB` is read by who reads `en`.
        let language = self.lang.as_deref().map(|lang| lang.split('-').next().unwrap_or_default());
        Cohort {
            consent: self.consent.as_deref() == Some("1"),
            country,
            language: language.and_then(|language| language.parse().ok()),
            device: self.device.as_deref().and_then(Device::named),
            tags: tags.map(Arc::from).collect::<BTreeSet<_>>(),
        }
    }
}
