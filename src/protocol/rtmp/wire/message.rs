//! What RTMP messages are: their types, protocol control (RTMP §5.4) and user control (RTMP §6.2, §7.1.7).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::chunk::{CSID_CONTROL, DEFAULT_CHUNK_SIZE, MessageTooLong, write_message};

/// Set chunk size (RTMP §5.4.1).
pub const SET_CHUNK_SIZE: u8 = 1;
/// Abort message (RTMP §5.4.2).
pub const ABORT: u8 = 2;
/// Acknowledgement (RTMP §5.4.3).
pub const ACKNOWLEDGEMENT: u8 = 3;
/// User control (RTMP §6.2).
pub const USER_CONTROL: u8 = 4;
/// Window acknowledgement size (RTMP §5.4.4).
pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
/// Set peer bandwidth (RTMP §5.4.5).
pub const SET_PEER_BANDWIDTH: u8 = 6;
/// Audio (RTMP §7.1.4).
pub const AUDIO: u8 = 8;
/// Video (RTMP §7.1.5).
pub const VIDEO: u8 = 9;
/// Data in AMF3 (RTMP §7.1.2).
pub const DATA_AMF3: u8 = 15;
/// Command in AMF3 (RTMP §7.1.1).
pub const COMMAND_AMF3: u8 = 17;
/// Data in AMF0 (RTMP §7.1.2).
pub const DATA_AMF0: u8 = 18;
/// Command in AMF0 (RTMP §7.1.1).
pub const COMMAND_AMF0: u8 = 20;
/// Aggregate of audio, video and data messages (RTMP §7.1.6).
pub const AGGREGATE: u8 = 22;

/// One message, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One of the types above, or one that nobody knows.
    pub type_id: u8,
    /// The message stream; 0 is the connection.
    pub stream_id: u32,
    /// In milliseconds; wraps at 2³².
    pub timestamp: u32,
    /// The payload.
    pub body: Bytes,
}

/// A control message that is shorter than its type requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("RTMP control message of type {type_id} has {length} bytes, too few")]
pub struct ControlTooShort {
    /// The message type.
    pub type_id: u8,
    /// The length of its body.
    pub length: usize,
}

/// What the two ends tell each other about the connection itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The sender cuts its messages into chunks of this size from now on, in bytes.
    SetChunkSize(u32),
    /// The message begun on this chunk stream will not be completed.
    Abort(u32),
    /// The sender has received this many bytes, modulo 2³².
    Acknowledgement(u32),
    /// The sender expects an acknowledgement every so many bytes.
    WindowAcknowledgementSize(u32),
    /// The receiver is to send at most so many bytes unacknowledged.
    SetPeerBandwidth(u32),
    /// An event about a stream or the link.
    User(UserControl),
}

/// The events of user control messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserControl {
    /// The stream can be used.
    StreamBegin(u32),
    /// The stream's playback is over.
    StreamEof(u32),
    /// The player's buffer.
    SetBufferLength {
        /// The stream.
        stream_id: u32,
        /// In milliseconds.
        length: u32,
    },
    /// Asks for the same number back.
    PingRequest(u32),
    /// The number of a ping request.
    PingResponse(u32),
    /// Any other event: its type.
    Other(u16),
}

impl Control {
    /// Reads a message of a control type; `None` if it is of another type.
    ///
    /// # Errors
    /// [`ControlTooShort`].
    pub fn read(message: &Message) -> Result<Option<Self>, ControlTooShort> {
        if !matches!(message.type_id, SET_CHUNK_SIZE..=SET_PEER_BANDWIDTH) {
            return Ok(None);
        }
        let short = ControlTooShort { type_id: message.type_id, length: message.body.len() };
        Self::read_body(message.type_id, &message.body).map(Some).ok_or(short)
    }

    fn read_body(type_id: u8, body: &[u8]) -> Option<Self> {
        if type_id == USER_CONTROL {
            return UserControl::read(body).map(Self::User);
        }
        let number = u32_at(body, 0)?;
        Some(match type_id {
            SET_CHUNK_SIZE => Self::SetChunkSize(number),
            ABORT => Self::Abort(number),
            ACKNOWLEDGEMENT => Self::Acknowledgement(number),
            WINDOW_ACKNOWLEDGEMENT_SIZE => Self::WindowAcknowledgementSize(number),
            _ => Self::SetPeerBandwidth(number),
        })
    }

    /// Appends this as a message, in one chunk.
    pub fn write(&self, out: &mut BytesMut) {
        let mut body = BytesMut::new();
        let type_id = match *self {
            Self::SetChunkSize(size) => {
                body.put_u32(size);
                SET_CHUNK_SIZE
            }
            Self::Abort(csid) => {
                body.put_u32(csid);
                ABORT
            }
            Self::Acknowledgement(received) => {
                body.put_u32(received);
                ACKNOWLEDGEMENT
            }
            Self::WindowAcknowledgementSize(size) => {
                body.put_u32(size);
                WINDOW_ACKNOWLEDGEMENT_SIZE
            }
            Self::SetPeerBandwidth(size) => {
                body.put_u32(size);
                // Dynamic: no stricter than a limit the peer already obeys (RTMP §5.4.5).
                body.put_u8(2);
                SET_PEER_BANDWIDTH
            }
            Self::User(event) => {
                event.write(&mut body);
                USER_CONTROL
            }
        };
        let written: Result<(), MessageTooLong> =
            write_message(out, CSID_CONTROL, 0, type_id, 0, DEFAULT_CHUNK_SIZE, &[&body]);
        debug_assert!(written.is_ok(), "a control message has ten bytes at most");
    }
}

impl UserControl {
    fn read(body: &[u8]) -> Option<Self> {
        let event = u16::from_be_bytes(*body.first_chunk()?);
        Some(match event {
            0 => Self::StreamBegin(u32_at(body, 2)?),
            1 => Self::StreamEof(u32_at(body, 2)?),
            3 => Self::SetBufferLength { stream_id: u32_at(body, 2)?, length: u32_at(body, 6)? },
            6 => Self::PingRequest(u32_at(body, 2)?),
            7 => Self::PingResponse(u32_at(body, 2)?),
            other => Self::Other(other),
        })
    }

    fn write(self, body: &mut BytesMut) {
        let (event, number, length) = match self {
            Self::StreamBegin(stream_id) => (0, Some(stream_id), None),
            Self::StreamEof(stream_id) => (1, Some(stream_id), None),
            Self::SetBufferLength { stream_id, length } => (3, Some(stream_id), Some(length)),
            Self::PingRequest(number) => (6, Some(number), None),
            Self::PingResponse(number) => (7, Some(number), None),
            Self::Other(event) => (event, None, None),
        };
        body.put_u16(event);
        for number in [number, length].into_iter().flatten() {
            body.put_u32(number);
        }
    }
}

fn u32_at(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
