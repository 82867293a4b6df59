//! Sets of a programme's variants.

use crate::hub::MAX_VARIANTS;

/// Some of a programme's variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantSet(u8);

impl VariantSet {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// All that somebody gets.
    pub const ALL: Self = Self(u8::MAX);

    /// This one alone.
    pub const fn one(variant: u8) -> Self {
        Self::NONE.with(variant)
    }

    /// These, and this one.
    #[must_use]
    pub const fn with(self, variant: u8) -> Self {
        Self(self.0 | 1 << (variant % 8))
    }

    /// Whether this one is among them.
    pub const fn has(self, variant: u8) -> bool {
        variant < 8 && self.0 & 1 << variant != 0
    }

    /// Whether some are in both.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Their numbers, where so many variants are in use.
    pub fn numbers(self, in_use: u8) -> impl Iterator<Item = u8> {
        let most = if self == Self::ALL { in_use } else { MAX_VARIANTS };
        (0..most).filter(move |variant| self.has(*variant))
    }
}
