//! The attention that viewers pay to an overlay: how much of it they saw, and that they closed or followed it. Their pages tell
//! it; it means no money, and is no entry of the log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::event::{SlotId, UnixMillis};
use super::report::HOUR_MILLIS;

/// Something that a viewer's page tells of an overlay, beside that it was displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttentionKind {
    /// It could be seen for as long as the MRC wants.
    Viewable,
    /// A quarter of it was seen.
    FirstQuartile,
    /// Half of it.
    Midpoint,
    /// Three quarters.
    ThirdQuartile,
    /// All of it.
    Complete,
    /// The viewer has closed it.
    Close,
    /// The viewer has followed it.
    Click,
}

impl AttentionKind {
    /// All of them, in the order of the variants.
    pub const ALL: [Self; 7] = [
        Self::Viewable,
        Self::FirstQuartile,
        Self::Midpoint,
        Self::ThirdQuartile,
        Self::Complete,
        Self::Close,
        Self::Click,
    ];

    /// Its name in reports, in the database, and in what pages tell.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewable => "viewable",
            Self::FirstQuartile => "first_quartile",
            Self::Midpoint => "midpoint",
            Self::ThirdQuartile => "third_quartile",
            Self::Complete => "complete",
            Self::Close => "close",
            Self::Click => "click",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Attention([u64; AttentionKind::ALL.len()]);

impl Attention {
    /// How many of one.
    pub const fn of(&self, kind: AttentionKind) -> u64 {
        self.0[kind as usize]
    }

    /// So many more of one.
    pub const fn count(&mut self, kind: AttentionKind, count: u64) {
        let place = &mut self.0[kind as usize];
        *place = place.saturating_add(count);
    }

    /// More of all.
    pub fn add(&mut self, other: &Self) {
        AttentionKind::ALL.into_iter().for_each(|kind| self.count(kind, other.of(kind)));
    }
}

/// To what attention was paid, and when. The ledger bounds the slots and their lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// In which slot.
    pub slot: SlotId,
    /// Of which of its lots.
    pub lot: u16,
    /// The beginning of the hour.
    pub hour: UnixMillis,
}

/// Attention that waits to be kept.
#[derive(Debug, Default)]
pub(super) struct Waiting(Mutex<BTreeMap<Place, Attention>>);

impl Waiting {
    pub fn add(&self, slot: SlotId, lot: u16, kind: AttentionKind, at: UnixMillis) {
        let hour = at.div_euclid(HOUR_MILLIS) * HOUR_MILLIS;
        self.all().entry(Place { slot, lot, hour }).or_default().count(kind, 1);
    }

    pub fn take(&self) -> Vec<(Place, Attention)> {
        std::mem::take(&mut *self.all()).into_iter().collect()
    }

    /// They could not be kept.
    pub fn put_back(&self, taken: &[(Place, Attention)]) {
        let mut all = self.all();
        taken.iter().for_each(|(place, attention)| all.entry(*place).or_default().add(attention));
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Place, Attention>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
