//! WebRTC: publishing over WHIP (RFC 9725), watching over WHEP (draft-ietf-wish-whep).
//!
//! | | |
//! |---|---|
//! | [`offer`], [`fragment`] | what an offer or a PATCH asks for, and whether it can be answered |
//! | [`demux`] | what a datagram is, and whose |
//! | [`received`], [`common_clock`] | a publisher's frames on their way into the hub |
//! | [`history`], [`send`] | payloads made once for all viewers, and one viewer's place in them |
//! | [`srtp`] | sealing and opening packets |
//! | `dtls_keys` | how the keys get out of the WebRTC library |
//! | `peer` | one session's ICE, DTLS and SDP, which are the library's |
//! | `tcp`, `outlet` | the ways in and out beside the UDP socket |
//! | `viewer`, `relay` | sending a stream to its viewers |
//! | `publisher` | a session that publishes |
//! | `shard` | one thread with its socket, its sessions and its relays |
//! | `registry` | all sessions, for HTTP and for datagrams that reach the wrong shard |
//! | `signalling`, `whip`, `whep`, `events` | the routes |
//!
//! Each processor has a shard; all shards listen on one UDP port. A session belongs to the shard that its POST was
//! given to, and its name fragment says so, so that a connectivity check finds home from wherever it arrives. A viewer's
//! packets are sealed and sent by his shard alone: no lock, no channel and no allocation per packet.

pub mod common_clock;
pub mod demux;
pub mod fragment;
pub mod history;
pub mod offer;
pub mod received;
pub mod redundancy;
pub mod send;
pub mod srtp;

mod addresses;
mod dtls_keys;
mod events;
mod media_clock;
mod metrics;
mod outlet;
mod peer;
mod publisher;
mod registry;
mod relay;
mod server;
mod setup;
mod shard;
mod signalling;
mod tcp;
mod viewer;
mod whep;
mod whip;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use server::{Server, StartError};

use crate::setting;

/// `[webrtc]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The one UDP port of all sessions.
    #[serde(with = "setting::address")]
    pub listen: Option<SocketAddr>,
    /// Take the same TCP port for peers whom UDP does not reach.
    pub tcp: bool,
    /// The addresses that peers are told, as IP or IP:PORT; empty for those of the machine.
    pub public_addresses: Vec<String>,
    /// STUN and TURN servers that peers are told: `URL`, or `URL USERNAME CREDENTIAL`.
    pub ice_servers: Vec<String>,
    /// Another server to send those to for whom there is no room here, or while this one goes down; empty for none.
    pub overflow_url: String,
    /// Threads that send media; 0 for one a processor.
    pub shards: usize,
    /// Sessions at one time.
    pub max_sessions: usize,
    /// How long a session may take from its POST to its first media.
    #[serde(with = "setting::duration")]
    pub setup_timeout: Duration,
    /// How long a peer may answer nothing before he is taken for gone.
    #[serde(with = "setting::duration")]
    pub idle_timeout: Duration,
    /// Send each frame of sound twice to viewers who offer to take it so: one lost packet is not heard then.
    pub redundant_sound: bool,
    /// Bytes of RTP payloads that are kept per stream and shard, whatever the GOP length.
    #[serde(with = "setting::byte_size")]
    pub history_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Some(([0, 0, 0, 0], 8189).into()),
            tcp: true,
            public_addresses: Vec::new(),
            ice_servers: Vec::new(),
            overflow_url: String::new(),
            shards: 0,
            max_sessions: 10_000,
            setup_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            redundant_sound: true,
            history_bytes: 16 << 20,
        }
    }
}

impl Config {
    /// The most shards: a name fragment holds two hexadecimal digits for them.
    const MAX_SHARDS: usize = 256;

    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        for text in &self.public_addresses {
            if addresses::parse(text, 0).is_none() {
                let reason = format!("{text:?}: expected IP addresses, each with a port or without");
                problems.push(("public_addresses", reason));
            }
        }
        for text in &self.ice_servers {
            if signalling::ice_server_link(text).is_none() {
                let reason = format!(
                    "{text:?}: expected \"stun:HOST\", \"turn:HOST USERNAME CREDENTIAL\" or \"turns:HOST USERNAME CREDENTIAL\""
                );
                problems.push(("ice_servers", reason));
            }
        }
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if !self.overflow_url.is_empty() && !is_url(&self.overflow_url) {
            let reason = format!("{:?}: expected the URL of a server, as https://HOST", self.overflow_url);
            problems.push(("overflow_url", reason));
        }
        if self.shards > Self::MAX_SHARDS {
            problems.push(("shards", format!("expected 0 to {}", Self::MAX_SHARDS)));
        }
        for (key, value) in [("setup_timeout", self.setup_timeout), ("idle_timeout", self.idle_timeout)] {
            if value.is_zero() {
                problems.push((key, "expected more than 0s".to_owned()));
            }
        }
        problems
    }
}
