//! RTMP: publishers come in, players are served.
//!
//! [`wire`] is the protocol, pure; [`play`] makes a stream's wire form, pure; the rest drives them on sockets.

mod connection;
mod egress;
mod ingest;
mod metrics;
mod play;
mod server;
pub mod wire;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use connection::{Connection, Ended, Session};
pub use server::Server;

use crate::format::cue_message::SlotTypes;
use crate::setting;

/// `[rtmp]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where RTMP is served.
    #[serde(with = "setting::address")]
    pub listen: Option<SocketAddr>,
    /// Where RTMPS is served.
    #[serde(with = "setting::address")]
    pub tls_listen: Option<SocketAddr>,
    /// Connections at one time, in all.
    pub max_connections: usize,
    /// Connections at one time from one address; loopback is not counted.
    pub max_connections_per_address: usize,
    /// How long a connection may take until it asks to publish or play.
    #[serde(with = "setting::duration")]
    pub setup_timeout: Duration,
    /// How long a publisher may send nothing before he is taken for gone.
    #[serde(with = "setting::duration")]
    pub idle_timeout: Duration,
    /// How long a viewer may take nothing before he is dropped.
    #[serde(with = "setting::duration")]
    pub stall_timeout: Duration,
    /// What the kernel may buffer for a viewer.
    #[serde(with = "setting::byte_size")]
    pub send_buffer: usize,
    /// The largest message a publisher may send: a frame.
    #[serde(with = "setting::byte_size")]
    pub max_message_size: usize,
    /// What a publisher's unfinished messages may take together.
    #[serde(with = "setting::byte_size")]
    pub max_buffered: usize,
    /// Messages of a publisher that may be unreadable, one after the other, before he is sent away.
    pub max_malformed: u32,
    /// `segmentation_type_id`s of SCTE 35 that begin a slot; the next higher number ends it.
    pub cue_segmentation_types: Vec<u8>,
    /// Whether SCTE 35's `splice_insert` means a slot.
    pub cue_splice_insert: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Some((Ipv4Addr::UNSPECIFIED, 1935).into()),
            tls_listen: None,
            max_connections: 15_000,
            max_connections_per_address: 1_000,
            setup_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(10),
            send_buffer: 512 << 10,
            max_message_size: 8 << 20,
            max_buffered: 16 << 20,
            max_malformed: 100,
            cue_segmentation_types: SlotTypes::default().segmentation_starts,
            cue_splice_insert: SlotTypes::default().splice_insert,
        }
    }
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for (key, value) in [
            ("setup_timeout", self.setup_timeout),
            ("idle_timeout", self.idle_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if value.is_zero() {
                problems.push((key, "expected more than 0s".to_owned()));
            }
        }
        if self.max_buffered < self.max_message_size {
            problems.push(("max_buffered", "expected at least rtmp.max_message_size".to_owned()));
        }
        problems
    }

    fn slot_types(&self) -> SlotTypes {
        SlotTypes {
            segmentation_starts: self.cue_segmentation_types.clone(),
            splice_insert: self.cue_splice_insert,
        }
    }

    fn limits(&self) -> wire::Limits {
        wire::Limits {
            max_message: self.max_message_size,
            max_buffered: self.max_buffered,
            setup_timeout: self.setup_timeout,
            ..wire::Limits::default()
        }
    }
}
