//! Clients of RTMP and WebRTC stacks that onair did not write; those of RTMP each reduced to a channel of FLV tags.
//!
//! A publisher is ready when its function returns: the server has accepted it, and what is put into the channel is sent;
//! the end of the channel ends it. A player is in when its function returns, and its channel ends with the broadcast.

pub mod rml;
pub mod rtmp_crate;
pub mod server;
pub mod webrtc_crate;

use onair::format::flv::file::Tag;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// What a publisher sends.
pub type Outgoing = UnboundedSender<Tag>;

/// What a player gets.
pub type Incoming = UnboundedReceiver<Tag>;

/// The application that encoders publish to.
const APP: &str = "live";
