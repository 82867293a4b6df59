//! Metadata with a time: what players are told about a stretch of the programme.

use bytes::Bytes;

use super::MediaTime;

/// A message for players about `[start, start + duration)`, opaque to everything that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimedMetadata {
    /// What the payload is: an absolute URI, as in `emsg` and `EXT-X-DATERANGE`.
    pub scheme: &'static str,
    /// When it begins to hold.
    pub start: MediaTime,
    /// How long it holds; `None` for a moment.
    pub duration: Option<MediaTime>,
    /// The message.
    pub payload: Bytes,
}
