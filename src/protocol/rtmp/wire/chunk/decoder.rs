//! Reading: chunks put together to messages, within bounds that the peer cannot move.

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::super::message::Message;
use super::{DEFAULT_CHUNK_SIZE, EXTENDED};

/// Why a peer's chunks cannot be read on. All of these end the connection: the place in the stream is lost, or the
/// peer asks for more than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// A chunk whose header refers to one before it, on a chunk stream that has none.
    #[error("chunk of format {format} on chunk stream {csid}, which has sent no full header")]
    NoPreviousHeader {
        /// The chunk stream.
        csid: u32,
        /// The header's format, 2 or 3.
        format: u8,
    },
    /// A new message where the rest of one was due.
    #[error("chunk stream {csid} begins a message with {missing} bytes of the last one missing")]
    Interrupted {
        /// The chunk stream.
        csid: u32,
        /// Bytes that were still to come.
        missing: usize,
    },
    /// More chunk streams than allowed.
    #[error("more than {0} chunk streams")]
    TooManyChunkStreams(usize),
    /// A message longer than allowed.
    #[error("message of {length} bytes on chunk stream {csid}, allowed are {limit}")]
    MessageTooLong {
        /// The chunk stream.
        csid: u32,
        /// The announced length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// Incomplete messages that together hold more bytes than allowed.
    #[error("more than {0} bytes in incomplete messages")]
    TooMuchBuffered(usize),
    /// A chunk size of zero, with the reserved bit set, or beyond the limit.
    #[error("chunk size {size} is not between 1 and {limit}")]
    ChunkSize {
        /// The size asked for.
        size: u32,
        /// The limit.
        limit: u32,
    },
}

/// What the decoder may hold.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct DecoderLimits {
    pub(in super::super) max_message: usize,
    pub(in super::super) max_buffered: usize,
    pub(in super::super) max_chunk_streams: usize,
    pub(in super::super) max_chunk_size: u32,
}

/// What is remembered of one chunk stream.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    /// Of the current message, in milliseconds.
    timestamp: u32,
    /// The last timestamp field: a moment or a step.
    field: u32,
    /// The last field was a moment, not a step.
    absolute: bool,
    /// The last field stood in an extended timestamp.
    extended: bool,
    length: usize,
    type_id: u8,
    stream_id: u32,
    /// What has arrived of the current message.
    body: Vec<u8>,
    /// The current message is not complete.
    open: bool,
}

/// A chunk header that is all there.
struct Header {
    format: u8,
    csid: u32,
    /// Place of `csid` in the table, if it has been seen.
    known: Option<usize>,
    /// Timestamp, length, type and stream of the message, as far as this format has them.
    fields: Fields,
    /// Bytes of the header.
    consumed: usize,
}

#[derive(Default)]
struct Fields {
    timestamp: Option<u32>,
    extended: bool,
    length_and_type: Option<(usize, u8)>,
    stream_id: Option<u32>,
}

/// Puts messages together from chunks, one buffer per chunk stream, under one limit for all of them.
#[derive(Debug)]
pub struct ChunkDecoder {
    limits: DecoderLimits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// The chunk that is being read: its place in `streams` and how many bytes of it are to come.
    current: Option<(usize, usize)>,
    /// Room taken by the buffers of all incomplete messages.
    buffered: usize,
}

impl ChunkDecoder {
    pub(in super::super) fn new(limits: DecoderLimits) -> Self {
        let chunk_size = DEFAULT_CHUNK_SIZE as usize;
        Self { limits, chunk_size, streams: Vec::new(), current: None, buffered: 0 }
    }

    /// Changes what messages may hold from now on.
    pub(in super::super) fn set_message_limits(&mut self, max_message: usize, max_buffered: usize) {
        self.limits.max_message = max_message;
        self.limits.max_buffered = max_buffered;
    }

    /// Obeys the peer's "set chunk size" (RTMP §5.4.1); a message half read goes on with the new size.
    ///
    /// # Errors
    /// [`ChunkError::ChunkSize`].
    pub fn set_chunk_size(&mut self, size: u32) -> Result<(), ChunkError> {
        let limit = self.limits.max_chunk_size;
        if size == 0 || size > limit {
            return Err(ChunkError::ChunkSize { size, limit });
        }
        self.chunk_size = usize::try_from(size).unwrap_or(usize::MAX);
        Ok(())
    }

    /// Obeys the peer's "abort message" (RTMP §5.4.2): drops what has arrived of the message on `csid`.
    pub fn abort(&mut self, csid: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.csid == csid) {
            self.buffered -= stream.body.capacity();
            stream.body = Vec::new();
            stream.open = false;
        }
    }

    /// Room taken by incomplete messages, in bytes.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Takes bytes off `input` until a message is complete, or until more bytes are needed.
    ///
    /// # Errors
    /// See [`ChunkError`]; the decoder is of no further use.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, ChunkError> {
        loop {
            let (index, remaining) = match self.current {
                Some(current) => current,
                None => {
                    let Some(header) = self.header(input) else { return Ok(None) };
                    input.advance(header.consumed);
                    self.begin_chunk(&header)?
                }
            };
            let now = remaining.min(input.len());
            self.append(index, input, now)?;
            if now < remaining {
                self.current = Some((index, remaining - now));
                return Ok(None);
            }
            self.current = None;
            if let Some(message) = self.complete(index) {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a header without consuming it; `None` if it is not all there.
    fn header(&self, input: &[u8]) -> Option<Header> {
        let first = *input.first()?;
        let (csid, mut at) = match first & 0x3f {
            0 => (64 + u32::from(*input.get(1)?), 2),
            1 => (64 + u32::from(*input.get(1)?) + 256 * u32::from(*input.get(2)?), 3),
            short => (u32::from(short), 1),
        };
        let mut header =
            Header { format: first >> 6, csid, known: None, fields: Fields::default(), consumed: 0 };
        header.known = self.streams.iter().position(|stream| stream.csid == csid);

        if header.format < 3 {
            let timestamp = u24(input, &mut at)?;
            if header.format < 2 {
                header.fields.length_and_type =
                    Some((u24(input, &mut at)? as usize, take::<1>(input, &mut at)?[0]));
            }
            if header.format == 0 {
                header.fields.stream_id = Some(u32::from_le_bytes(take(input, &mut at)?));
            }
            header.fields.extended = timestamp == EXTENDED;
            header.fields.timestamp = Some(match header.fields.extended {
                true => u32::from_be_bytes(take(input, &mut at)?),
                false => timestamp,
            });
        } else if let Some(stream) = header.known.and_then(|index| self.streams.get(index))
            && stream.extended
            && stream.repeats_timestamp(input.get(at..)?)?
        {
            at += 4;
        }
        header.consumed = at;
        Some(header)
    }

    /// Enters a chunk; gives its place in the table and how many bytes it has.
    fn begin_chunk(&mut self, header: &Header) -> Result<(usize, usize), ChunkError> {
        let index = match header.known {
            Some(index) => index,
            None => self.add_stream(header)?,
        };
        let stream = &mut self.streams[index];
        if !stream.open {
            stream.begin_message(header);
            let (length, limit) = (stream.length, self.limits.max_message);
            if length > limit {
                return Err(ChunkError::MessageTooLong { csid: header.csid, length, limit });
            }
        } else if header.format != 3 {
            let missing = stream.length - stream.body.len();
            return Err(ChunkError::Interrupted { csid: header.csid, missing });
        }
        Ok((index, self.chunk_size.min(stream.length - stream.body.len())))
    }

    fn add_stream(&mut self, header: &Header) -> Result<usize, ChunkError> {
        // A first header without message stream (format 1) is what librtmp sends for its pings and
        // acknowledgements: they belong to stream 0. The other formats have no length: nothing can be read.
        if header.format > 1 {
            return Err(ChunkError::NoPreviousHeader { csid: header.csid, format: header.format });
        }
        if self.streams.len() >= self.limits.max_chunk_streams {
            return Err(ChunkError::TooManyChunkStreams(self.limits.max_chunk_streams));
        }
        self.streams.push(ChunkStream::new(header.csid));
        Ok(self.streams.len() - 1)
    }

    /// Moves `now` bytes of a chunk from the input to its message.
    fn append(&mut self, index: usize, input: &mut BytesMut, now: usize) -> Result<(), ChunkError> {
        let stream = &mut self.streams[index];
        let needed = stream.body.len() + now;
        if needed > stream.body.capacity() {
            // Grows with what has arrived, at most to what is announced, so that a complete message fills its buffer.
            let arrived = stream.body.len() + input.len();
            let target = arrived.max(2 * stream.body.len()).min(stream.length).max(needed);
            let before = stream.body.capacity();
            if self.buffered - before + target > self.limits.max_buffered {
                return Err(ChunkError::TooMuchBuffered(self.limits.max_buffered));
            }
            stream.body.reserve_exact(target - stream.body.len());
            self.buffered += stream.body.capacity() - before;
        }
        stream.body.extend_from_slice(&input[..now]);
        input.advance(now);
        Ok(())
    }

    /// The message on a chunk stream, if all of it is there.
    fn complete(&mut self, index: usize) -> Option<Message> {
        let stream = &mut self.streams[index];
        if stream.body.len() < stream.length {
            return None;
        }
        stream.open = false;
        let body = std::mem::take(&mut stream.body);
        self.buffered -= body.capacity();
        Some(Message {
            type_id: stream.type_id,
            stream_id: stream.stream_id,
            timestamp: stream.timestamp,
            body: Bytes::from(body),
        })
    }
}

impl ChunkStream {
    fn new(csid: u32) -> Self {
        Self {
            csid,
            timestamp: 0,
            field: 0,
            absolute: false,
            extended: false,
            length: 0,
            type_id: 0,
            stream_id: 0,
            body: Vec::new(),
            open: false,
        }
    }

    fn begin_message(&mut self, header: &Header) {
        let fields = &header.fields;
        if let Some(field) = fields.timestamp {
            self.field = field;
            self.extended = fields.extended;
            self.absolute = header.format == 0;
        }
        if let Some((length, type_id)) = fields.length_and_type {
            self.length = length;
            self.type_id = type_id;
        }
        if let Some(stream_id) = fields.stream_id {
            self.stream_id = stream_id;
        }
        // A message without header after a full one takes its moment for a step (RTMP §5.3.1.2.4). Steps of hours
        // do not exist: where the moment was an extended one, senders mean "the same moment".
        let same_moment = header.format == 3 && self.absolute && self.extended;
        self.timestamp = match header.format {
            0 => self.field,
            _ if same_moment => self.timestamp,
            _ => self.timestamp.wrapping_add(self.field),
        };
        self.open = true;
    }

    /// Whether a chunk without header begins with the extended timestamp once more, as the specification wants, and
    /// some encoders do not do. `None` if more bytes are needed to tell. Some repeat the field, some write the
    /// message's timestamp.
    fn repeats_timestamp(&self, rest: &[u8]) -> Option<bool> {
        let seen = &rest[..rest.len().min(4)];
        let may_be = [self.field, self.timestamp].iter().any(|value| value.to_be_bytes().starts_with(seen));
        if may_be && seen.len() < 4 {
            return None;
        }
        Some(may_be)
    }
}

fn take<const N: usize>(input: &[u8], at: &mut usize) -> Option<[u8; N]> {
    let taken = *input.get(*at..)?.first_chunk::<N>()?;
    *at += N;
    Some(taken)
}

fn u24(input: &[u8], at: &mut usize) -> Option<u32> {
    let [high, middle, low] = take(input, at)?;
    Some(u32::from_be_bytes([0, high, middle, low]))
}
