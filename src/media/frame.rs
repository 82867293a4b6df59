//! A frame: one access unit of one track, immutable, shared by everyone who sends it on.

use bytes::Bytes;

use super::{MediaTime, TrackId};

/// One video access unit, or one audio access unit or packet, in its codec's canonical form.
///
/// The payload has one form a codec, whatever protocol it came by:
/// - H.264 and H.265: NAL units, each behind a 4-byte big-endian length; SEI and access unit delimiters kept,
///   parameter sets in-band where the source sent them so;
/// - AV1: OBUs with size fields, without temporal delimiters;
/// - AAC: the raw access unit, without ADTS;
/// - Opus: the packet; VP8 and VP9: the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The track this belongs to.
    pub track: TrackId,
    /// When it is shown or heard.
    pub pts: MediaTime,
    /// When it is decoded; rises strictly within a track.
    pub dts: MediaTime,
    /// A decoder can start here. Every audio frame is one.
    pub keyframe: bool,
    /// No other frame refers to this one: it may be dropped alone.
    pub disposable: bool,
    /// The canonical payload, never empty.
    pub payload: Bytes,
}
