//! Who gets which variant of a programme.
//!
//! Whoever sells the programme says so, for those who are there and for those to come. Who is there goes over as soon as his
//! variant and the other have the same picture: outside slots all have the same.

use std::fmt;
use std::sync::Arc;

use super::channel::Channel;
use crate::media::Cohort;

/// Who gets which variant of a broadcast's programme.
#[derive(Clone)]
pub(super) struct Arrangement {
    /// How many variants there are.
    variants: u8,
    variant_of: Arc<dyn Fn(&Cohort) -> u8 + Send + Sync>,
}

impl Arrangement {
    pub fn variant_of(&self, cohort: &Cohort) -> u8 {
        (self.variant_of)(cohort).min(self.variants.saturating_sub(1))
    }
}

impl Default for Arrangement {
    /// The programme is the same for everybody.
    fn default() -> Self {
        Self { variants: 1, variant_of: Arc::new(|_| 0) }
    }
}

impl fmt::Debug for Arrangement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrangement").field("variants", &self.variants).finish_non_exhaustive()
    }
}

impl Channel {
    /// Says who gets which of so many variants of the programme, for as long as this broadcast lasts or until it is said again;
    /// `false` when nothing is on the air.
    pub fn arrange(&self, variants: u8, variant_of: impl Fn(&Cohort) -> u8 + Send + Sync + 'static) -> bool {
        let Ok(broadcast) = self.broadcast() else { return false };
        let arrangement = Arrangement { variants: variants.max(1), variant_of: Arc::new(variant_of) };
        broadcast.arrange(arrangement.clone());
        self.audience.arrange(&arrangement);
        true
    }

    /// How many variants of the programme there are.
    pub fn variants(&self) -> u8 {
        self.broadcast().map_or(1, |broadcast| broadcast.arrangement().variants)
    }

    /// The variant of the programme that such a viewer gets.
    pub fn variant_of(&self, cohort: &Cohort) -> u8 {
        self.broadcast().map_or(0, |broadcast| broadcast.arrangement().variant_of(cohort))
    }
}
