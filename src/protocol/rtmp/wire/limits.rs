//! What one connection may cost.

use std::time::Duration;

/// What one connection may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message accepted, in bytes.
    pub max_message: usize,
    /// Most bytes held in messages that are not complete yet, over all chunk streams.
    pub max_buffered: usize,
    /// The same two limits until the application has accepted a publish or play request: nobody is known before.
    pub max_setup_buffered: usize,
    /// Most chunk streams one peer may use.
    pub max_chunk_streams: usize,
    /// Largest chunk size the peer may set, in bytes.
    pub max_chunk_size: u32,
    /// Chunk size announced to the peer and used towards it, in bytes, at least 1. Media written with
    /// [`write_message`](super::chunk::write_message) uses the same.
    pub out_chunk_size: u32,
    /// Acknowledgement window announced to the peer, in bytes.
    pub window: u32,
    /// Time from the first byte of the handshake to the publish or play request.
    pub setup_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 8 << 20,
            max_buffered: 16 << 20,
            max_setup_buffered: 1 << 20,
            max_chunk_streams: 64,
            // A message's length has 24 bits, so larger chunks cannot occur (RTMP §5.4.1).
            max_chunk_size: 0xff_ffff,
            // The largest that every player takes: earlier editions of the specification end here.
            out_chunk_size: 65_536,
            window: 2_500_000,
            setup_timeout: Duration::from_secs(10),
        }
    }
}
