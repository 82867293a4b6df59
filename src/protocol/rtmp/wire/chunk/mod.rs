//! Messages cut into chunks, and put together again (RTMP §5.3).

mod decoder;
#[cfg(test)]
mod tests;
mod writer;

pub(super) use decoder::DecoderLimits;
pub use decoder::{ChunkDecoder, ChunkError};
pub use writer::{MessageTooLong, write_message};

/// Chunk size of either direction until a peer sets another, in bytes (RTMP §5.4.1).
pub const DEFAULT_CHUNK_SIZE: u32 = 128;

/// Chunk stream of protocol control and user control messages (RTMP §5.4).
pub const CSID_CONTROL: u32 = 2;

/// Chunk stream of commands and their answers.
pub const CSID_COMMAND: u32 = 3;

/// Chunk stream of audio.
pub const CSID_AUDIO: u32 = 4;

/// Chunk stream of data messages.
pub const CSID_DATA: u32 = 5;

/// Chunk stream of video.
pub const CSID_VIDEO: u32 = 6;

/// The timestamp field that says that an extended timestamp follows (RTMP §5.3.1.3).
const EXTENDED: u32 = 0xff_ffff;
