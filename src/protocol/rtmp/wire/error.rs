//! Why a session has to end.

use thiserror::Error;

use super::address::AddressError;
use super::aggregate::AggregateError;
use super::chunk::{ChunkError, MessageTooLong};
use super::command::CommandError;
use super::handshake::HandshakeError;
use super::message::ControlTooShort;

/// Why a session has to end. What [`poll`](super::ServerSession::poll) still gives is worth sending before the
/// connection is closed: it tells the peer why.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The peer does not speak RTMP.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// The peer's chunks cannot be read.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A control message cannot be read.
    #[error(transparent)]
    Control(#[from] ControlTooShort),
    /// A command cannot be read.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// An aggregate message cannot be taken apart.
    #[error(transparent)]
    Aggregate(#[from] AggregateError),
    /// A name is too long.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A message to be sent is too long.
    #[error(transparent)]
    TooLong(#[from] MessageTooLong),
    /// No publish or play request within the time for it.
    #[error("the peer did not ask to publish or play in time")]
    SetupTimeout,
    /// A command that needs a connection, before `connect`.
    #[error("RTMP command \"{0}\" before \"connect\"")]
    NotConnected(&'static str),
    /// `connect` on a connection that is connected.
    #[error("RTMP command \"connect\" for the second time")]
    AlreadyConnected,
    /// `publish` or `play` before any `createStream`.
    #[error("RTMP command \"{0}\" before \"createStream\"")]
    NoStream(&'static str),
    /// More streams than one connection needs.
    #[error("more than {0} message streams on one connection")]
    TooManyStreams(usize),
    /// The server refused what this client asked for.
    #[error("the server refused: {code} {description}")]
    Refused {
        /// The status code.
        code: String,
        /// The server's words.
        description: String,
    },
    /// Media sent by a client that is not publishing.
    #[error("the server has not accepted the stream yet")]
    NotPublishing,
}
