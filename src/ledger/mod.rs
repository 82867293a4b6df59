//! The ledger: whose money it is, exact to the nano whatever crashes, is told twice or comes late.
//!
//! | | |
//! |---|---|
//! | [`account`] | whose money: a campaign's budget and what is reserved of it, broadcasters, the platform, the world |
//! | [`event`] | what is asked (fund, reserve, display, shorten, release), what it moves, what the answer is |
//! | [`book`] | the rules: a state that takes events and says what each moves |
//! | [`store`], `sqlite` | how the log is kept |
//! | `writer` | one writer, group commit, answers after the commit, deadlines |
//! | [`attention`] | what viewers paid of it: how much they saw, closed, clicked; no money |
//! | [`report`] | what was shown and what it cost, small groups hidden |
//!
//! Money goes *reserve → charge → release*. A reservation keeps back price × min(audience × 1.2, what is left), in one
//! entry for all cohorts of a slot. A display is charged once for each viewer session of a slot, from what is reserved;
//! beyond that it is free, and counted so. At the slot's deadline the rest goes back. A broadcaster's share of a charge is
//! rounded down and the platform gets the rest, so every nano has an owner.
//!
//! Nothing can spend more than a budget, because a budget's account cannot go below nothing, one writer decides, and what
//! it has decided is durable before anybody is told. Nothing is charged twice: payments are numbered, a slot is sold once, a
//! session counts once in a slot, and a slot that is released takes no displays. A second process that adds to the same
//! log finds that it has moved, reads it, and decides again.

pub mod account;
pub mod attention;
pub mod book;
pub mod event;
pub mod report;
pub mod store;

mod slot;
mod sqlite;
mod writer;

#[cfg(test)]
mod tests;

pub use account::{Account, CampaignId};
pub use attention::{Attention, AttentionKind};
pub use book::Book;
pub(crate) use book::wanted;
pub use event::{
    DisplayClass, Event, Lot, Receipt, Refusal, Reservation, SessionId, SettledLot, Settlement, SlotId,
    SlotName, UnixMillis,
};
pub use sqlite::SqliteLedger;
pub use writer::{Clock, Found, Ledger, LedgerError, wall_clock};
