//! Fragmented MP4 (ISO/IEC 14496-12, CMAF): init segments, media fragments, event messages.
//!
//! Times are media time in the track's timescale and are never reset: a fragment's `tfdt` says when in the broadcast
//! it is. The boxes are few, so they are written here directly: codec records go in byte for byte as the publisher
//! sent them, in the conventional box order, and a fragment is laid out in one buffer of known size.
//!
//! `tfdt` is unsigned. What little lies before the start of the broadcast is the caller's to handle; HLS drops audio
//! that ends there and moves video to the start ([`MediaTime`](crate::media::MediaTime) zero).

mod boxes;
mod emsg;
mod fragment;
mod init;
mod sample_entry;
#[cfg(test)]
pub(crate) mod tests;

pub use emsg::EventMessage;
pub use fragment::{Run, Sample, SampleKind, fragment};
pub use init::{InitError, ParameterSets, init_segment, timescale};
