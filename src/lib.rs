//! onair: one self-contained server for live video.
//!
//! A protocol is a pure state machine plus a thin driver; all protocols meet only in the [`hub`], which moves
//! immutable frames that it does not understand. `ARCHITECTURE.md` tells the rest.

pub mod api;
pub mod app;
pub mod auction;
pub mod auth;
pub mod av;
pub mod bench;
pub mod booking;
pub mod chat;
pub mod cli;
pub mod clock;
pub mod codec;
pub mod config;
pub mod context;
pub mod cue;
pub mod demo;
pub mod format;
pub mod http;
pub mod hub;
pub mod impression;
pub mod ledger;
pub mod log;
pub mod media;
pub mod metrics;
pub mod money;
pub mod net;
pub mod overlay;
pub mod protocol;
pub mod random;
pub mod sale;
pub mod setting;
pub mod store;
