//! The events of impressions: each counts once, and none before it can be true.

use std::collections::{BTreeMap, HashMap};

use super::token::Impression;
use crate::ledger::{AttentionKind, SessionId, SlotId, UnixMillis};

/// Impressions whose events are remembered.
const MAX_IMPRESSIONS: usize = 2_000_000;
/// Of an impression whose display does not count: a bit beside those of events.
const DISCOUNTED: u16 = 1 << 15;
/// Clocks of pages run a little fast.
const TOLERANCE_MS: i64 = 250;

/// What a page tells of an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// Frames of it were on screen for the required time: this is the impression that is paid for.
    Display,
    /// What the viewer made of it.
    Attention(AttentionKind),
}

/// Why an event does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// It cannot be true yet.
    #[error("this cannot have happened yet")]
    Early,
    /// It counts already.
    #[error("this was told already")]
    Repeated,
    /// More impressions are running than are remembered.
    #[error("too many impressions are running")]
    TooMany,
    /// Its display was told, and does not count: nor does what follows.
    #[error("its display does not count")]
    Discounted,
}

/// What was told of the impressions that are running.
#[derive(Debug)]
pub struct Beacons {
    /// How long frames must have been on screen, in milliseconds.
    required_ms: u32,
    /// A bit for each kind, and [`DISCOUNTED`].
    told: HashMap<(SlotId, SessionId), u16>,
    /// Which to forget, and when.
    deadlines: BTreeMap<UnixMillis, Vec<(SlotId, SessionId)>>,
}

impl Beacons {
    /// Nothing told yet. `required_ms` is how long frames must have been on screen: the MRC wants a second of a still
    /// picture.
    pub fn new(required_ms: u32) -> Self {
        Self { required_ms, told: HashMap::new(), deadlines: BTreeMap::new() }
    }

    /// Takes an event of an impression whose token holds.
    ///
    /// # Errors
    /// When it does not count.
    pub fn take(
        &mut self,
        impression: &Impression,
        kind: EventKind,
        now: UnixMillis,
    ) -> Result<(), NotTaken> {
        self.forget(now);
        let earliest = impression.start.saturating_add(self.after_ms(impression, kind));
        if now < earliest.saturating_sub(TOLERANCE_MS) {
            return Err(NotTaken::Early);
        }
        let key = (impression.slot, impression.session);
        if !self.told.contains_key(&key) {
            if self.told.len() >= MAX_IMPRESSIONS {
                return Err(NotTaken::TooMany);
            }
            self.deadlines.entry(impression.deadline).or_default().push(key);
        }
        let told = self.told.entry(key).or_default();
        if *told & DISCOUNTED != 0 {
            return Err(NotTaken::Discounted);
        }
        if *told & kind.bit() != 0 {
            return Err(NotTaken::Repeated);
        }
        // Viewable impressions are some of the impressions.
        if kind == EventKind::Attention(AttentionKind::Viewable) && *told & EventKind::Display.bit() == 0 {
            return Err(NotTaken::Early);
        }
        *told |= kind.bit();
        Ok(())
    }

    /// An event that was taken could not be kept: it may be told again.
    pub fn give_back(&mut self, impression: &Impression, kind: EventKind) {
        if let Some(told) = self.told.get_mut(&(impression.slot, impression.session)) {
            *told &= !kind.bit();
        }
    }

    /// A display that was taken does not count after all.
    pub fn discount(&mut self, impression: &Impression) {
        if let Some(told) = self.told.get_mut(&(impression.slot, impression.session)) {
            *told |= DISCOUNTED;
        }
    }

    /// How many impressions are remembered.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn forget(&mut self, now: UnixMillis) {
        while let Some(entry) = self.deadlines.first_entry().filter(|entry| *entry.key() <= now) {
            for key in entry.remove() {
                self.told.remove(&key);
            }
        }
    }

    /// How long after the beginning an event can be true, in milliseconds.
    fn after_ms(&self, impression: &Impression, kind: EventKind) -> i64 {
        let quarters = |count: i64| i64::from(impression.duration_ms) * count / 4;
        let EventKind::Attention(kind) = kind else { return self.required_ms.into() };
        match kind {
            AttentionKind::Viewable => self.required_ms.into(),
            AttentionKind::FirstQuartile => quarters(1),
            AttentionKind::Midpoint => quarters(2),
            AttentionKind::ThirdQuartile => quarters(3),
            AttentionKind::Complete => quarters(4),
            AttentionKind::Close | AttentionKind::Click => 0,
        }
    }
}

impl EventKind {
    /// The one with this name, as pages write it.
    pub fn named(name: &str) -> Option<Self> {
        if name == "display" { Some(Self::Display) } else { AttentionKind::named(name).map(Self::Attention) }
    }

    const fn bit(self) -> u16 {
        match self {
            Self::Display => 1,
            Self::Attention(kind) => 2 << kind as u16,
        }
    }
}
