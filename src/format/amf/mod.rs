//! AMF, the value encoding of RTMP commands and FLV script data: AMF0 (both ways) and AMF3 (decoding).
//!
//! Both decoders give the same [`Value`] tree, and both are bounded by [`MAX_DEPTH`], [`MAX_VALUES`] and [`MAX_TEXT`]:
//! a count on the wire never reserves memory, and a reference costs what it expands to.
//! Specifications: "Action Message Format – AMF 0" and "Action Message Format – AMF 3" (Adobe).

pub mod amf0;
pub mod amf3;
mod error;
mod reader;
#[cfg(test)]
mod tests;
mod value;

pub use error::AmfError;
pub use reader::{MAX_DEPTH, MAX_TEXT, MAX_VALUES};
pub use value::Value;
