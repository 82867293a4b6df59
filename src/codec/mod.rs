//! What is inside a frame: configuration records, parameter sets, and the facts of access units.
//!
//! Everything here is pure and takes bytes from strangers: parsers return [`Malformed`], allocate no more than the
//! input's own length allows, and never panic.
//!
//! | | |
//! |---|---|
//! | [`describe`], [`mime`] | what a configuration record says, for a track and for a playlist |
//! | [`Framing`] | how a stream's payloads become canonical |
//! | [`inspect`] | keyframe, disposable, size: of a canonical payload of any codec |
//! | [`nal`], [`h264`], [`h265`] | NAL units and what is in them |
//! | [`av1`], [`vp8`], [`vp9`] | the other video codecs |
//! | [`aac`], [`opus`] | audio codecs |
//! | [`bits`] | the bit reader under all of them |

pub mod aac;
pub mod av1;
pub mod bits;
pub mod h264;
pub mod h265;
pub mod nal;
pub mod opus;
pub mod vp8;
pub mod vp9;

mod describe;
mod error;
mod facts;
mod framing;
mod mime;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;

pub use describe::{Description, describe};
pub use error::Malformed;
pub use facts::{Facts, inspect};
pub use framing::Framing;
pub use mime::mime;

/// The widest and highest picture that is let in, in pixels: twice 8K. The limit of every level of every codec here.
pub const MAX_DIMENSION: u32 = 16_384;
/// The longest parameter set or initialisation data that is let in, in bytes: what a 16-bit length can say.
pub const MAX_PARAMETER_SET: usize = 65_535;
