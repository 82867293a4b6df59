//! The cue bus: everything that may open a slot in a channel, in one id space.
//!
//! | | |
//! |---|---|
//! | [`bus`] | a channel's bus: a state machine that takes proposals and gives slots |
//! | [`slot`] | a slot, and what a proposal for one says |
//! | [`engagement`] | when the audience stands out of the broadcast's own baseline |
//! | [`policy`] | what a channel allows |
//!
//! Cues come over the API, from the studio's button, from the publisher's stream (data messages and the SCTE 35 sections
//! in them: [`format::cue_message`](crate::format::cue_message) reads those), from a schedule, and from the audience's
//! engagement. The bus knows repetitions, holds that slots do not overlap, that a publisher has the permission and stays
//! within an hourly budget, that the broadcaster's veto and hold-off are kept, and that a slot that comes too late is
//! served whole or skipped whole. What it gives is final: a [`Slot`] with a rising revision, for whoever sells and shows it.

pub mod bus;
pub mod engagement;
pub mod policy;
pub mod slot;

mod refused;
mod timetable;

#[cfg(test)]
mod tests;

pub use bus::CueBus;
pub use engagement::Engagement;
pub use policy::{OnEngagement, Policy};
pub use refused::Refused;
pub use slot::{Moment, Proposal, Slot, SlotChange};
