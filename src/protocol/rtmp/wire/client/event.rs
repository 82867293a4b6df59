//! What a client session wants, and what it tells.

use super::super::{Capabilities, Limits, MediaMessage};
use crate::format::amf::Value;

/// What a client wants of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Publish under this name or key.
    Publish(String),
    /// Play the stream of this name.
    Play(String),
}

/// How a client presents itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The application.
    pub app: String,
    /// The URL of the application, as `rtmp://host/app`.
    pub tc_url: String,
    /// Name and version.
    pub flash_ver: String,
    /// What to do.
    pub purpose: Purpose,
    /// Told to the server if there.
    pub capabilities: Option<Capabilities>,
    /// Chunk size of what is sent, in bytes.
    pub chunk_size: u32,
    /// What the server may cost; `setup_timeout` is the time until the stream is accepted. `out_chunk_size` and
    /// `window` are not used.
    pub limits: Limits,
}

impl ClientSettings {
    /// An ordinary client of the application `app` on `host`.
    pub fn new(host: &str, app: &str, purpose: Purpose) -> Self {
        Self {
            app: app.to_owned(),
            tc_url: format!("rtmp://{host}/{app}"),
            flash_ver: "FMLE/3.0 (compatible; onair)".to_owned(),
            purpose,
            capabilities: None,
            chunk_size: 4096,
            limits: Limits::default(),
        }
    }
}

/// What a server does or sends.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The server knows the application.
    Connected {
        /// What it told of Enhanced RTMP.
        capabilities: Capabilities,
    },
    /// Media may be sent.
    Publishing,
    /// The stream plays.
    Playing,
    /// Audio of the stream.
    Audio(MediaMessage),
    /// Video of the stream.
    Video(MediaMessage),
    /// Data of the stream.
    Data {
        /// As on the wire, in milliseconds; wraps at 2³².
        timestamp: u32,
        /// The name and its arguments.
        values: Vec<Value>,
    },
    /// The server says something else.
    Status {
        /// `status`, `warning` or `error`.
        level: String,
        /// For programs.
        code: String,
        /// For people.
        description: String,
    },
    /// The server asks to connect again and goes on meanwhile.
    ReconnectRequest {
        /// Where; the same place if `None`.
        tc_url: Option<String>,
        /// For people.
        description: String,
    },
    /// This is the end: the connection can be closed.
    Closed,
}
