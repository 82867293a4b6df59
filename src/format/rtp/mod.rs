//! RTP (RFC 3550): how frames are put into packets for WebRTC viewers.
//!
//! | | |
//! |---|---|
//! | [`Packetizer`] | a frame's payloads, made once for all viewers |
//! | [`Header`], [`Packet`] | what stands before a payload, written and read |
//!
//! What is read here was decrypted before, but comes from strangers all the same: every length is checked, nothing is
//! allocated by a number on the wire, and errors name the byte.

mod error;
mod header;
mod packetize;

pub use error::ParseError;
pub use header::{Extension, Header, HeaderExtension, Packet};
pub use packetize::{MIN_PAYLOAD, Packetizer, Payload, Unsupported};
