//! FLV: the bodies of its audio and video tags, which RTMP carries as messages, and its file form.
//!
//! Read are the legacy bodies (FLV 10.1, Annex E) and those of Enhanced RTMP v2: codecs by FourCC, several tracks a
//! message, timestamps finer than a millisecond. Written are legacy bodies for H.264 and AAC, so that every player
//! takes them, and enhanced ones for the rest.
//!
//! - [`Demuxer`]: message bodies → tracks and frames;
//! - [`mux`]: tracks and frames → tag bodies; [`Muxer`] → the tags of a whole stream;
//! - [`file`]: tags ↔ the bytes of a file or an HTTP-FLV response.

mod body;
mod codec_id;
mod contents;
mod cursor;
mod demux;
mod error;
pub mod file;
pub mod mux;
mod muxer;
mod parameter_sets;
mod stream;
#[cfg(test)]
mod tests;

pub use demux::{Demuxer, Event, Events, Limits};
pub use error::FlvError;
pub use muxer::{Muxer, TagParts};
