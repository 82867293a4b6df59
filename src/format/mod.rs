//! What is around a frame: containers, and messages that travel with a stream.

pub mod amf;
pub mod cue_message;
pub mod flv;
pub mod fmp4;
pub mod rtp;
pub mod scte35;
