//! Cohorts: the audience in groups that are large enough to be spoken of outside the server.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The smallest group that is spoken of, by default: the k of k-anonymity.
pub const DEFAULT_K: u32 = 50;

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

/// How a cohort's parent differs from it; those that are given up first come first.
const GENERALISATIONS: [fn(&mut Cohort); 5] = [
    |cohort| cohort.tags.clear(),
    |cohort| cohort.device = None,
    |cohort| cohort.language = None,
    |cohort| cohort.country = None,
    |cohort| cohort.consent = false,
];

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

/// An audience in cohorts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohorts {
    groups: BTreeMap<Cohort, u32>,
    /// Where groups went that were too small.
    merged: BTreeMap<Cohort, Cohort>,
}

impl Cohorts {
    /// Groups an audience: a group of fewer than `k` merges into its parent. What is left in the end and is still too few
    /// takes the smallest group in, and so on, so that no group of fewer than `k` can be told apart; an audience of fewer
    /// is one group of which nothing is told. There are `at_most` groups, the smallest ones merge.
    pub fn group(audience: impl IntoIterator<Item = Cohort>, k: u32, at_most: usize) -> Self {
        let mut cohorts = Self::default();
        for viewer in audience {
            *cohorts.groups.entry(viewer.told()).or_default() += 1;
        }
        for generalise in GENERALISATIONS {
            let small: Vec<Cohort> = cohorts.below(k).cloned().collect();
            for cohort in small {
                let mut parent = cohort.clone();
                generalise(&mut parent);
                cohorts.merge(&cohort, &parent);
            }
        }
        let everybody = Cohort::everybody();
        while let Some(smallest) = cohorts.smallest() {
            let rest = cohorts.groups.get(&everybody);
            let is_rest_small = rest.is_some_and(|count| *count < k);
            if !is_rest_small && cohorts.groups.len() <= at_most.max(1) {
                break;
            }
            cohorts.merge(&smallest, &everybody);
        }
        cohorts
    }

    /// The groups with their sizes.
    pub fn groups(&self) -> impl Iterator<Item = (&Cohort, u32)> {
        self.groups.iter().map(|(cohort, count)| (cohort, *count))
    }

    /// The place among the groups of the one that a viewer is in. Who came too late to be counted is in the nearest one.
    pub fn place(&self, viewer: &Cohort) -> Option<usize> {
        let mut group = viewer.clone().told();
        let mut generalisations = GENERALISATIONS.iter();
        // Groups merge into more general ones only, so this comes to an end.
        loop {
            if let Some(parent) = self.merged.get(&group) {
                group.clone_from(parent);
            } else if self.groups.contains_key(&group) {
                return self.groups.keys().position(|cohort| *cohort == group);
            } else {
                generalisations.next()?(&mut group);
            }
        }
    }

    fn below(&self, k: u32) -> impl Iterator<Item = &Cohort> {
        self.groups.iter().filter(move |(_, count)| **count < k).map(|(cohort, _)| cohort)
    }

    /// The smallest group that something is told of.
    fn smallest(&self) -> Option<Cohort> {
        let told = self.groups.iter().filter(|(cohort, _)| **cohort != Cohort::everybody());
        told.min_by_key(|(_, count)| **count).map(|(cohort, _)| cohort.clone())
    }

    fn merge(&mut self, cohort: &Cohort, parent: &Cohort) {
        if cohort == parent {
            return;
        }
        let Some(count) = self.groups.remove(cohort) else { return };
        *self.groups.entry(parent.clone()).or_default() += count;
        self.merged.insert(cohort.clone(), parent.clone());
    }
}
