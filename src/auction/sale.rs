//! From decisions to the reservation that makes them hold.

use std::time::Duration;

use super::decide::Trace;
use crate::ledger::{Reservation, UnixMillis};
use crate::money::Share;

/// What is waited for after the last viewer has seen the end of a slot, until money goes back.
const GRACE: Duration = Duration::from_secs(5);

/// A slot's sale: what is to be reserved, and whose each lot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// For the ledger.
    pub reservation: Reservation,
    /// For each lot, the place of its trace.
    pub traces: Vec<usize>,
}

impl Sale {
    /// Of the decisions of all cohorts of one slot; `None` when nobody has won anything.
    pub fn of(traces: &[Trace], share: Share, deadline: UnixMillis) -> Option<Self> {
        let slot = traces.first()?.auction.context.slot.clone();
        let sold = traces.iter().enumerate().filter_map(|(place, trace)| Some((place, trace.lot()?)));
        let (traces, lots): (Vec<usize>, Vec<_>) = sold.unzip();
        if lots.is_empty() {
            return None;
        }
        Some(Self { reservation: Reservation { slot, share, deadline, lots }, traces })
    }
}

/// When a slot's displays are no longer taken: after its end, the longest delay of a viewer that is allowed, and a grace.
pub fn deadline(start: UnixMillis, duration: Duration, max_viewer_delay: Duration) -> UnixMillis {
    let after = duration.saturating_add(max_viewer_delay).saturating_add(GRACE);
    start.saturating_add(i64::try_from(after.as_millis()).unwrap_or(i64::MAX))
}
