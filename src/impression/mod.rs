//! Impressions: what a viewer's page tells of an overlay, and whether that is believed.
//!
//! | | |
//! |---|---|
//! | [`token`] | the server's own word for one overlay before one session, in one time, signed |
//! | [`beacons`] | which events of it came, each once and none before it can be true |
//! | [`traffic`] | rules against traffic that no people make; configuration |
//!
//! A page gets a token with its placement and sends it back with each event. Only a display is money: it goes on to the
//! [`ledger`](crate::ledger), which counts a session once. Forged, early, expired and repeated ones are refused and counted.

pub mod beacons;
pub mod token;
pub mod traffic;

#[cfg(test)]
mod tests;

pub use beacons::{Beacons, EventKind, NotTaken};
pub use token::{Impression, TokenError, Tokens};
pub use traffic::{Invalid, Observation, Traffic, TrafficRules};
