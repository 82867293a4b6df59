//! The file form of FLV (FLV 10.1 Annex E.2 and E.3), which HTTP-FLV streams.
//!
//! [`header`] and [`write_tag`] write it; [`tag_header`] and [`tag_trailer`] are for callers that send a body from where
//! it lies. [`Reader`] reads it from bytes as they come.

use bytes::{Buf, BufMut, Bytes, BytesMut};

const SIGNATURE: &[u8; 3] = b"FLV";
const VERSION: u8 = 1;
const HAS_VIDEO: u8 = 1;
const HAS_AUDIO: u8 = 4;
const HEADER: usize = 9;
const TAG_HEADER: usize = 11;
/// `PreviousTagSize`, after the header and after each tag.
const TRAILER: usize = 4;
/// The largest body that a tag can have.
pub const MAX_BODY: usize = 0xFF_FFFF;

/// What a tag holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TagKind {
    /// An audio body.
    Audio,
    /// A video body.
    Video,
    /// AMF0 values, as `onMetaData`.
    Script,
}

/// A tag as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// What it holds.
    pub kind: TagKind,
    /// When it is decoded, in milliseconds.
    pub timestamp_ms: u32,
    /// Its body.
    pub body: Bytes,
}

/// Why bytes are not FLV; the reader is of no use afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The first bytes are others.
    #[error("this is not FLV: it does not begin with 'FLV' and version 1")]
    Signature,
    /// The header's length is absurd.
    #[error("the FLV header claims {0} bytes")]
    HeaderLength(u32),
    /// A tag of another type, or a damaged file.
    #[error("FLV tag type {kind} at byte {position} is not known")]
    TagType {
        /// `TagType`, with the bits around it.
        kind: u8,
        /// Where the tag begins.
        position: u64,
    },
    /// An encrypted tag.
    #[error("the FLV tag at byte {position} is encrypted")]
    Encrypted {
        /// Where the tag begins.
        position: u64,
    },
    /// A body longer than the reader takes.
    #[error("the FLV tag at byte {position} has {length} bytes, more than {max} are not taken")]
    TooLong {
        /// Where the tag begins.
        position: u64,
        /// Bytes of its body.
        length: usize,
        /// Bytes that are taken.
        max: usize,
    },
}

impl TagKind {
    /// `TagType`, which is the RTMP message type too.
    pub const fn id(self) -> u8 {
        match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Script => 18,
        }
    }
}

/// The file header with the first, empty, `PreviousTagSize`.
pub const fn header(has_video: bool, has_audio: bool) -> [u8; HEADER + TRAILER] {
    let video = if has_video { HAS_VIDEO } else { 0 };
    let audio = if has_audio { HAS_AUDIO } else { 0 };
    [b'F', b'L', b'V', VERSION, video | audio, 0, 0, 0, HEADER as u8, 0, 0, 0, 0]
}

/// The header of a tag with a body of `length` bytes, at most [`MAX_BODY`]; what is above is cut off.
pub const fn tag_header(kind: TagKind, length: usize, timestamp_ms: u32) -> [u8; TAG_HEADER] {
    let [_, size @ ..] = (length as u32).to_be_bytes();
    let [extended, time @ ..] = timestamp_ms.to_be_bytes();
    [kind.id(), size[0], size[1], size[2], time[0], time[1], time[2], extended, 0, 0, 0]
}

/// What follows the body: the `PreviousTagSize` that speaks of it.
pub const fn tag_trailer(length: usize) -> [u8; TRAILER] {
    ((TAG_HEADER + length) as u32).to_be_bytes()
}

/// Appends a whole tag whose body is the `parts` one after the other, at most [`MAX_BODY`] bytes together.
pub fn write_tag(out: &mut BytesMut, kind: TagKind, timestamp_ms: u32, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    debug_assert!(length <= MAX_BODY, "a tag body is bounded by its 24-bit length");
    out.reserve(TAG_HEADER + length + TRAILER);
    out.put_slice(&tag_header(kind, length, timestamp_ms));
    for part in parts {
        out.put_slice(part);
    }
    out.put_slice(&tag_trailer(length));
}

/// Reads FLV from bytes as they come; never holds more than one tag and what was pushed last.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    max_body: usize,
    position: u64,
    /// Bytes to pass over before the next tag; `None` before the file header.
    skip: Option<usize>,
}

impl Reader {
    /// A reader that takes bodies of at most `max_body` bytes.
    pub fn new(max_body: usize) -> Self {
        Self { buffer: BytesMut::new(), max_body, position: 0, skip: None }
    }

    /// Adds bytes; [`next_tag`](Self::next_tag) is to be called until it has no more.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next tag, or `None` until more bytes come. `PreviousTagSize` is passed over, as many writers have it wrong.
    pub fn next_tag(&mut self) -> Result<Option<Tag>, FileError> {
        let skip = match self.skip {
            Some(skip) => skip,
            None => match self.read_header()? {
                Some(skip) => skip,
                None => return Ok(None),
            },
        };
        let passed = skip.min(self.buffer.len());
        self.advance(passed);
        self.skip = Some(skip - passed);
        let Some(&[kind, s0, s1, s2, t0, t1, t2, t3, ..]) = self.buffer.first_chunk::<TAG_HEADER>() else {
            return Ok(None);
        };
        let position = self.position;
        let kind = match kind {
            8 => TagKind::Audio,
            9 => TagKind::Video,
            18 => TagKind::Script,
            40 | 41 | 50 => return Err(FileError::Encrypted { position }),
            kind => return Err(FileError::TagType { kind, position }),
        };
        let length = u32::from_be_bytes([0, s0, s1, s2]) as usize;
        if length > self.max_body {
            return Err(FileError::TooLong { position, length, max: self.max_body });
        }
        if self.buffer.len() < TAG_HEADER + length {
            return Ok(None);
        }
        self.advance(TAG_HEADER);
        let body = self.buffer.split_to(length).freeze();
        self.position += length as u64;
        self.skip = Some(TRAILER);
        Ok(Some(Tag { kind, timestamp_ms: u32::from_be_bytes([t3, t0, t1, t2]), body }))
    }

    /// How many bytes stand before the first tag, once the header is there.
    fn read_header(&mut self) -> Result<Option<usize>, FileError> {
        const LONGEST: u32 = 1024;
        let known = self.buffer.len().min(SIGNATURE.len());
        if self.buffer[..known] != SIGNATURE[..known] {
            return Err(FileError::Signature);
        }
        let Some(&[_, _, _, version, _, a, b, c, d]) = self.buffer.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        if version != VERSION {
            return Err(FileError::Signature);
        }
        let length = u32::from_be_bytes([a, b, c, d]);
        if !(HEADER as u32..=LONGEST).contains(&length) {
            return Err(FileError::HeaderLength(length));
        }
        Ok(Some(length as usize + TRAILER))
    }

    fn advance(&mut self, count: usize) {
        self.buffer.advance(count);
        self.position += count as u64;
    }
}
