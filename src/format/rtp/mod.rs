//! RTP (RFC 3550): how frames are put into packets for WebRTC viewers, and what the two sides report to one another.
//!
//! | | |
//! |---|---|
//! | [`Packetizer`] | a frame's payloads, made once for all viewers |
//! | [`Header`], [`Packet`] | what stands before a payload, written and read |
//! | [`RedHeader`] | what stands before redundant sound |
//! | [`rtcp`] | reports, feedback and farewells, read and written |
//! | [`ntp`] | the wall clock of sender reports |
//!
//! What is read here was decrypted before, but comes from strangers all the same: every length is checked, nothing is
//! allocated by a number on the wire, and errors name the byte.

mod error;
mod header;
mod ntp;
mod packetize;
mod red;
pub mod rtcp;

pub use error::ParseError;
pub use header::{Extension, Header, HeaderExtension, Packet};
pub use ntp::ntp;
pub use packetize::{MIN_PAYLOAD, Packetizer, Payload, Unsupported};
pub use red::RedHeader;
