//! A slot that money is reserved for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::event::{Lot, Refusal, Reservation, SessionId, SettledLot, UnixMillis};

/// Displays of a slot that are remembered beyond what is reserved: more than that many come from nobody's viewers.
const FREE_FACTOR: usize = 4;
/// The same for slots with few viewers.
const FREE_MINIMUM: usize = 1000;

/// A slot, from its reservation to its deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Slot {
    pub reservation: Reservation,
    /// Impressions that were reserved, for each lot.
    pub units: Vec<u32>,
    /// Of them, those that are not charged yet.
    left: Vec<u32>,
    /// When displays are no longer taken.
    pub deadline: UnixMillis,
    /// What is left went back before the deadline. The slot is remembered until then, so that it is not sold twice.
    pub is_released: bool,
    seen: HashSet<SessionId>,
}

/// What a display comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The session was counted already.
    Repeated,
    /// One of the reserved impressions.
    Charged,
    /// There are none left.
    Free,
}

impl Slot {
    pub fn new(reservation: Reservation, units: Vec<u32>) -> Self {
        Self {
            deadline: reservation.deadline,
            left: units.clone(),
            units,
            reservation,
            is_released: false,
            seen: HashSet::new(),
        }
    }

    /// The lot that a display belongs to.
    pub fn lot(&self, lot: u16) -> Result<&Lot, Refusal> {
        let reserved = self.units.get(usize::from(lot)).is_some_and(|units| *units > 0);
        self.reservation.lots.get(usize::from(lot)).filter(|_| reserved).ok_or(Refusal::NoSuchLot)
    }

    /// Counts a display of a lot that there is.
    pub fn display(&mut self, lot: u16, session: SessionId) -> Result<Seen, Refusal> {
        if self.seen.contains(&session) {
            return Ok(Seen::Repeated);
        }
        let reserved: usize = self.units.iter().map(|units| *units as usize).sum();
        if self.seen.len() >= reserved.saturating_mul(FREE_FACTOR).saturating_add(FREE_MINIMUM) {
            return Err(Refusal::TooMany);
        }
        let left = self.left.get_mut(usize::from(lot)).ok_or(Refusal::NoSuchLot)?;
        self.seen.insert(session);
        if *left == 0 {
            return Ok(Seen::Free);
        }
        *left -= 1;
        Ok(Seen::Charged)
    }

    /// What was reserved and spent, for each lot.
    pub fn settlement(&self) -> impl Iterator<Item = SettledLot> {
        let lots = self.reservation.lots.iter().zip(self.units.iter().zip(&self.left));
        lots.map(|(lot, (units, left))| {
            // It was reserved, so it is not beyond all numbers.
            let cost = |units: u32| lot.price.checked_times(units).unwrap_or_default();
            SettledLot {
                campaign: lot.campaign,
                reserved: cost(*units),
                spent: cost(units.saturating_sub(*left)),
            }
        })
    }

    /// Nothing is reserved any more; who has seen it does not matter either.
    pub fn release(&mut self) {
        self.is_released = true;
        self.left.fill(0);
        self.seen = HashSet::new();
    }
}
