//! What is around a frame: containers, and messages that travel with a stream. And what is around a creative.

pub mod amf;
pub mod category;
pub mod cue_message;
pub mod flv;
pub mod fmp4;
pub mod link;
pub mod rtp;
pub mod scte35;
pub mod vast;
