//! The protocols that bring streams in and take them out. None of them knows another.

pub mod hls;
pub mod http_flv;
pub mod rtmp;
pub mod webrtc;
