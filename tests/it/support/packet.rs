//! What is in a tag, read by other code than the server's: legacy H.264 and AAC, and Enhanced RTMP's single track.

use std::fmt;

use bytes::Bytes;
use onair::format::flv::file::{Tag, TagKind};

/// What is in a tag.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A decoder configuration.
    Config {
        /// The codec's FourCC.
        codec: [u8; 4],
        /// The configuration record.
        record: Bytes,
    },
    /// A frame.
    Frame(Packet),
    /// Anything else: metadata, ends of sequences.
    Other,
}

/// A frame as a viewer gets it.
#[derive(Clone, PartialEq)]
pub struct Packet {
    /// The codec's FourCC.
    pub codec: [u8; 4],
    /// Decoding time in milliseconds.
    pub dts: i64,
    /// Composition time in milliseconds.
    pub cts: i32,
    /// The tag calls it a keyframe. Sound always is one.
    pub keyframe: bool,
    /// NAL units, OBUs, access unit or packet.
    pub payload: Bytes,
}

impl Packet {
    /// Reads a tag's body.
    pub fn parse(tag: &Tag) -> Content {
        let body = &tag.body;
        let Some(&first) = body.first() else { return Content::Other };
        let keyframe = tag.kind == TagKind::Audio || first >> 4 & 7 == 1;
        let (codec, packet_type, at) = match (tag.kind, first) {
            (TagKind::Script, _) => return Content::Other,
            (TagKind::Video, 0x80..) | (TagKind::Audio, 0x90..0xa0) => {
                let Some(codec) = body.get(1..5).and_then(|codec| codec.first_chunk()) else {
                    return Content::Other;
                };
                (*codec, first & 0xf, 5)
            }
            (TagKind::Video, _) if first & 0xf == 7 => (*b"avc1", body.get(1).copied().unwrap_or(2), 2),
            (TagKind::Audio, _) if first >> 4 == 10 => (*b"mp4a", body.get(1).copied().unwrap_or(2), 2),
            _ => return Content::Other,
        };
        let legacy_video = tag.kind == TagKind::Video && first < 0x80;
        let has_cts = legacy_video || (&codec == b"hvc1" && packet_type == 1);
        let (cts, at) = match (has_cts, body.get(at..at + 3)) {
            (true, Some(&[high, middle, low])) => (i32::from_be_bytes([high, middle, low, 0]) >> 8, at + 3),
            _ => (0, at),
        };
        let rest = body.slice(at.min(body.len())..);
        match packet_type {
            0 => Content::Config { codec, record: rest },
            1 => {
                Content::Frame(Self { codec, dts: i64::from(tag.timestamp_ms), cts, keyframe, payload: rest })
            }
            3 if !legacy_video => {
                Content::Frame(Self { codec, dts: i64::from(tag.timestamp_ms), cts, keyframe, payload: rest })
            }
            _ => Content::Other,
        }
    }

    /// Whether this is a picture.
    pub fn is_video(&self) -> bool {
        !matches!(&self.codec, b"mp4a" | b"Opus")
    }

    /// As the server hands it on: AV1 without temporal delimiters.
    pub fn canonical(mut self) -> Self {
        if &self.codec == b"av01" && self.payload.starts_with(&[0x12, 0]) {
            self.payload = self.payload.slice(2..);
        }
        self
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codec = self.codec.escape_ascii();
        let key = if self.keyframe { " key" } else { "" };
        let start: Vec<String> = self.payload.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let (dts, cts, length) = (self.dts, self.cts, self.payload.len());
        write!(f, "{codec} dts {dts} cts {cts}{key} {length} B {}", start.concat())
    }
}

/// Fails with the first difference, and little else.
pub fn assert_same(what: &str, received: &[Packet], expected: &[Packet]) {
    for (index, (received, expected)) in received.iter().zip(expected).enumerate() {
        assert!(received == expected, "{what}: frame {index} is {received:?} instead of {expected:?}");
    }
    assert_eq!(received.len(), expected.len(), "{what}: number of frames");
}
