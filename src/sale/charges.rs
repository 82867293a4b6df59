//! Displays of burned-in overlays on their way into the ledger.

use tokio::task::JoinSet;

use super::server::Sale;
use super::slots::Due;
use crate::ledger::{DisplayClass, Event, LedgerError, Receipt, SessionId, SlotId};
use crate::media::CueId;

/// Displays that the ledger was told of.
pub(super) struct Charged {
    pub cue: CueId,
    pub slot: SlotId,
    pub lot: u16,
    /// Those that it could not take, and may be told again.
    pub failed: Vec<SessionId>,
}

/// Tells the ledger of displays.
pub(super) async fn charge(sale: &Sale, Due { cue, slot, lot, sessions }: Due) -> Charged {
    let inner = sale.inner();
    let mut answers = JoinSet::new();
    for session in sessions {
        let ledger = inner.ledger.clone();
        let event = Event::Display { slot, lot, session, class: DisplayClass::Server };
        answers.spawn(async move { (session, ledger.submit(event).await) });
    }
    let mut failed = Vec::new();
    while let Some(Ok((session, answer))) = answers.join_next().await {
        inner.metrics.display(match &answer {
            Ok(Receipt::Charged(_)) => "charged",
            Ok(Receipt::Free) => "free",
            Ok(_) => "repeated",
            Err(LedgerError::Refused(_)) => "refused",
            Err(_) => "failed",
        });
        if matches!(answer, Err(LedgerError::Unavailable(_))) {
            failed.push(session);
        }
    }
    Charged { cue, slot, lot, failed }
}
