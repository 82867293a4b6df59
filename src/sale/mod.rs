//! The sale: at a cue the server decides whose overlay goes on the air, at what price and for whom, and has it shown.
//!
//! | | |
//! |---|---|
//! | [`record`] | ≈ what is known of a cue, from its announcement to its settlement |
//! | [`market`] | ≈ campaigns as they stand: budgets, pacing, caps and separation over all channels |
//! | [`displays`] | ≈ which sessions were shown a burned-in overlay for long enough |
//! | [`store`] | how cues with their traces, and what is set for channels, are kept |
//! | [`Sale`] | all of it: the API's way in, one director for each broadcast |
//! | `start` | taking up where the process before this one left off |
//! | `director` | a broadcast's cue bus, and carrying out what it says |
//! | [`slots`] | ≈ a broadcast's slots on their way: what becomes of each, and what is to be done |
//! | [`moment`] | ≈ the hashtags of the moment |
//! | `charges` | displays on their way into the ledger |
//! | [`variants`] | ≈ which group of a programme's viewers gets which variant of it |
//! | `audience` | who can be shown something at a cue |
//! | `decision` | a slot's auction, from the audience to what may be shown |
//! | `asking` | what is asked of everybody who may buy |
//! | `showing` | what is shown of what was sold |
//! | `guided`, `pages` | pages that draw overlays themselves: what each is told, over `/events/CHANNEL` |
//! | `tracking` | the same for players that ask again and again, as they do of AWS Elemental MediaTailor |
//! | `notices` | what is burned in by hand, for those pages |
//! | [`exchange`] | bidders outside: asked, their creatives fetched, told what became of it |
//! | `beacons` | the routes of events: `/i/TOKEN/EVENT` and `/c/TOKEN` |
//!
//! A slot goes: cue bus → announced in the broadcast → time and audience taken → auction → trace kept and money
//! reserved, both durable → overlay on the exact frame → displays charged as they happen → settled by the ledger.

mod asking;
mod audience;
mod beacons;
mod charges;
mod config;
mod decision;
mod director;
pub mod displays;
pub mod exchange;
mod guided;
mod images;
pub mod market;
mod metrics;
pub mod moment;
mod notices;
mod pages;
pub mod record;
mod records;
mod server;
mod showing;
pub mod slots;
mod start;
pub mod store;
mod tracking;
pub mod variants;

#[cfg(test)]
mod tests;

pub use config::{ChannelSettings, Config, Delivery};
pub use notices::ByHand;
pub use record::{CueNumber, CueRecord, Outcome, Stage};
pub use server::{AskError, Sale, Title, Titles};
pub use start::{Parts, StartError};
