//! Everything that needs the whole server, or looks at the whole tree, in one binary: it links once.

mod api;
mod audience;
mod booking;
mod cache;
mod comments;
mod cues;
mod fanout;
mod fuzz_smoke;
mod hls;
mod layers;
mod ledger;
mod malformed;
mod matrix;
#[cfg(feature = "worker")]
mod overlay;
#[cfg(feature = "worker")]
mod sale;
mod shutdown;
mod sound;
mod support;
mod webrtc;
#[cfg(feature = "worker")]
mod worker;
