//! Why a tag body cannot be used.

use std::borrow::Cow;

use crate::codec::Malformed;
use crate::media::Codec;

/// Why a tag body cannot be used.
///
/// After [`Unsupported`](Self::Unsupported) nothing better will come, and the publisher is told which codec it was. The
/// others concern the one body: it is dropped and counted, and the demuxer is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlvError {
    /// A codec or a form that the server does not carry.
    #[error("{codec} is not supported; send H.264, H.265, AV1, VP8 or VP9 with AAC or Opus")]
    Unsupported {
        /// What people call it.
        codec: Cow<'static, str>,
    },
    /// The body ends before what must be in it.
    #[error("the tag body ends before its {0}")]
    Truncated(&'static str),
    /// A field holds a value that has no meaning there.
    #[error("{field} is {value} in the tag body, which has no meaning there")]
    Invalid {
        /// The name of the field.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// The codec's configuration or payload is wrong.
    #[error("{codec} payload or configuration: {error}")]
    Payload {
        /// The codec.
        codec: Codec,
        /// What is wrong.
        #[source]
        error: Malformed,
    },
    /// A frame came before the configuration of its codec.
    #[error("a {0} frame came before its sequence header")]
    FrameBeforeConfig(Codec),
    /// The publisher sends more tracks than are taken.
    #[error("more than {0} tracks")]
    TooManyTracks(u8),
    /// One body speaks twice of the same track.
    #[error("track {0} appears twice in one tag body")]
    DuplicateTrack(u8),
}

impl FlvError {
    pub(super) fn unsupported(codec: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported { codec: codec.into() }
    }
}
