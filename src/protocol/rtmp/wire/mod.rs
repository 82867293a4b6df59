//! RTMP on the wire, without sockets or clock: handshake, chunks, messages, and both ends of a session.
//!
//! [`ServerSession`] and [`ClientSession`] are state machines: bytes go in with `receive`, what has to be sent and
//! what has happened comes out of `poll`, time comes in with `timeout`. Beneath them lie [`handshake`], [`chunk`]
//! (messages cut into chunks), [`message`] (what the messages mean) and [`command`]; [`address`] reads the
//! application, stream and key out of what encoders put where. What every viewer of a stream receives alike is
//! made once with [`chunk::write_message`].
//!
//! Specifications: "Adobe's Real Time Messaging Protocol" 1.0 (RTMP) and "Enhanced RTMP" v2 (E-RTMP).

pub mod address;
pub mod aggregate;
pub mod capabilities;
pub mod chunk;
pub mod client;
pub mod command;
mod error;
pub mod handshake;
mod limits;
mod link;
pub mod message;
pub mod server;
#[cfg(test)]
mod tests;

pub use address::StreamAddress;
pub use capabilities::Capabilities;
pub use client::{ClientEvent, ClientSession, ClientSettings, Purpose};
pub use error::SessionError;
pub use limits::Limits;
pub use link::{Intake, MediaMessage, Output};
pub use server::{Event, PlayEnd, PlayRefusal, PublishRefusal, ServerSession, StreamRequest};
