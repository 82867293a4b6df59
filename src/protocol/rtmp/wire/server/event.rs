//! What a server session tells the application, and what the application may answer.

use super::super::{Capabilities, MediaMessage, StreamAddress};
use crate::format::amf::Value;

/// What the peer of a server session wants or sends.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Asks to publish. Answer with `accept_publish` or `reject_publish`; no media comes before.
    Publish(StreamRequest),
    /// Asks to play. Answer with `accept_play` or `reject_play`.
    Play(StreamRequest),
    /// Audio of the accepted stream.
    Audio(MediaMessage),
    /// Video of the accepted stream.
    Video(MediaMessage),
    /// Data of the accepted stream: `onMetaData`, cue points, captions.
    Data {
        /// As on the wire, in milliseconds; wraps at 2³².
        timestamp: u32,
        /// The name and its arguments; `@setDataFrame` in front of them is taken away. Never empty.
        values: Vec<Value>,
    },
    /// The publisher is done; it may publish again on the same connection.
    Unpublish,
    /// The player is done; it may play again on the same connection.
    StopPlay,
    /// The player pauses or goes on. It has been answered.
    Pause(bool),
    /// The answer to a ping, with the number it was sent with.
    Pong(u32),
}

/// A request to publish or to play. `Debug` shows nothing that may hold a stream key.
#[derive(Clone, PartialEq, Eq)]
pub struct StreamRequest {
    /// Application, stream, query and key.
    pub address: StreamAddress,
    /// The URL the client says it connects to.
    pub tc_url: Option<String>,
    /// The client's name and version, in its own words.
    pub flash_ver: Option<String>,
    /// What the client told of Enhanced RTMP; empty for clients from before it.
    pub capabilities: Capabilities,
}

impl std::fmt::Debug for StreamRequest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("StreamRequest")
            .field("address", &self.address)
            .field("flash_ver", &self.flash_ver)
            .field("capabilities", &self.capabilities)
            .finish_non_exhaustive()
    }
}

/// Why a publisher is refused, in the codes that encoders know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishRefusal {
    /// No such stream, a wrong key, or a name that is taken: `NetStream.Publish.BadName`.
    BadName,
    /// Not allowed: `NetStream.Publish.Denied`.
    Denied,
    /// The server cannot: `NetStream.Publish.Failed`.
    Failed,
}

impl PublishRefusal {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::BadName => "NetStream.Publish.BadName",
            Self::Denied => "NetStream.Publish.Denied",
            Self::Failed => "NetStream.Publish.Failed",
        }
    }
}

/// Why a player is refused, in the codes that players know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayRefusal {
    /// Nothing is there: `NetStream.Play.StreamNotFound`.
    StreamNotFound,
    /// The server cannot, or will not: `NetStream.Play.Failed`.
    Failed,
}

impl PlayRefusal {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::StreamNotFound => "NetStream.Play.StreamNotFound",
            Self::Failed => "NetStream.Play.Failed",
        }
    }
}

/// Why a player gets nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// The publisher has gone and may return; the player stays: `NetStream.Play.UnpublishNotify`.
    Unpublished,
    /// The broadcast is over: `NetStream.Play.Stop`.
    Stopped,
}
