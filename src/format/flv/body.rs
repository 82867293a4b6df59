//! The framing inside a tag body: which tracks it speaks of, and what it says of each.
//!
//! FLV 10.1 §E.4.2 and §E.4.3; Enhanced RTMP v2, "Enhanced Audio" and "Enhanced Video".

use bytes::Bytes;

use super::FlvError;
use super::codec_id::{self, ENHANCED_AUDIO};
use super::cursor::Cursor;
use crate::media::{Codec, Kind, MediaTime};

/// A chain of `ModEx` prefixes longer than this is refused; one is all that has a use.
const MAX_MOD_EX: usize = 8;
/// `ModEx` type of the nanoseconds to add to the message's timestamp.
const MOD_EX_TIMESTAMP_OFFSET_NANO: u8 = 0;
/// The largest nanosecond offset: more would be a millisecond of the message's own timestamp.
const MAX_NANOS: u32 = 999_999;
/// `VideoFrameType`: a message to the player instead of a picture.
const FRAME_TYPE_COMMAND: u8 = 5;

/// What a body says of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    /// The publisher's number of the track; 0 where it does not number them.
    pub(super) track: u8,
    pub(super) codec: Codec,
    pub(super) content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// The codec's configuration record.
    Config(Bytes),
    /// A coded frame.
    Frame {
        /// From decoding to display.
        composition: MediaTime,
        payload: Bytes,
    },
}

/// A body whose header has been read; iterates over its packets.
#[derive(Debug)]
pub(super) struct Body {
    cursor: Cursor,
    kind: Kind,
    layout: Layout,
    /// `VideoFrameType`, 0 for audio.
    pub(super) frame_type: u8,
    /// To be added to the message's timestamp.
    pub(super) offset: MediaTime,
}

/// Where the packets of a body are.
#[derive(Clone, Copy, Debug)]
enum Layout {
    /// Nothing for us.
    Nothing,
    /// One packet, to the end of the body.
    One { track: Track, codec: Codec, packet_type: PacketType },
    /// Packets with sizes; `codec` where they all share one.
    Many { codec: Option<Codec>, packet_type: PacketType },
}

#[derive(Clone, Copy, Debug)]
enum Track {
    Default,
    Numbered,
}

/// The packet types of audio and video under one roof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PacketType {
    SequenceStart,
    /// A frame, with a composition time for codecs that reorder.
    CodedFrames,
    /// A frame whose composition time is zero.
    CodedFramesX,
    SequenceEnd,
    Metadata,
    Mpeg2TsSequenceStart,
    MultichannelConfig,
    Multitrack,
    ModEx,
}

impl Body {
    /// Reads the header of a video body that is not empty.
    pub(super) fn video(body: Bytes) -> Result<Self, FlvError> {
        let mut cursor = Cursor(body);
        let first = cursor.byte("header")?;
        let frame_type = (first >> 4) & 7;
        if first & 0x80 != 0 {
            return Self::enhanced(Kind::Video, frame_type, first & 15, cursor);
        }
        if frame_type == FRAME_TYPE_COMMAND {
            return Ok(Self::nothing(Kind::Video, cursor));
        }
        let codec = codec_id::legacy_video(first & 15)?;
        let packet_type = match cursor.byte("AVCPacketType")? {
            0 => PacketType::SequenceStart,
            1 => PacketType::CodedFrames,
            2 => PacketType::SequenceEnd,
            other => return Err(FlvError::Invalid { field: "AVCPacketType", value: other.into() }),
        };
        if packet_type == PacketType::SequenceStart {
            // Legacy sequence headers have a composition time too; it means nothing.
            cursor.medium("CompositionTime")?;
        }
        let layout = Layout::One { track: Track::Default, codec, packet_type };
        Ok(Self { cursor, kind: Kind::Video, layout, frame_type, offset: MediaTime::ZERO })
    }

    /// Reads the header of an audio body that is not empty.
    pub(super) fn audio(body: Bytes) -> Result<Self, FlvError> {
        let mut cursor = Cursor(body);
        let first = cursor.byte("header")?;
        if first >> 4 == ENHANCED_AUDIO {
            return Self::enhanced(Kind::Audio, 0, first & 15, cursor);
        }
        let codec = codec_id::legacy_audio(first >> 4)?;
        let packet_type = match cursor.byte("AACPacketType")? {
            0 => PacketType::SequenceStart,
            1 => PacketType::CodedFrames,
            other => return Err(FlvError::Invalid { field: "AACPacketType", value: other.into() }),
        };
        let layout = Layout::One { track: Track::Default, codec, packet_type };
        Ok(Self { cursor, kind: Kind::Audio, layout, frame_type: 0, offset: MediaTime::ZERO })
    }

    fn nothing(kind: Kind, cursor: Cursor) -> Self {
        Self { cursor, kind, layout: Layout::Nothing, frame_type: 0, offset: MediaTime::ZERO }
    }

    fn enhanced(kind: Kind, frame_type: u8, packet_type: u8, mut cursor: Cursor) -> Result<Self, FlvError> {
        let mut packet_type = PacketType::new(kind, packet_type)?;
        let mut nanos = 0;
        let mut prefixes = 0;
        while packet_type == PacketType::ModEx {
            prefixes += 1;
            if prefixes > MAX_MOD_EX {
                return Err(FlvError::Invalid { field: "number of ModEx prefixes", value: prefixes as u32 });
            }
            packet_type = read_mod_ex(kind, &mut cursor, &mut nanos)?;
        }
        // Colour and other metadata of Enhanced RTMP is told by the bitstream as well, and metadata frames have the
        // frame type of commands.
        if frame_type == FRAME_TYPE_COMMAND || packet_type.is_ignored() {
            return Ok(Self::nothing(kind, cursor));
        }
        let layout = if packet_type == PacketType::Multitrack {
            read_multitrack(kind, &mut cursor)?
        } else {
            let codec = codec_id::of_fourcc(kind, cursor.array("FourCC")?)?;
            Layout::One { track: Track::Default, codec, packet_type }
        };
        let offset = MediaTime::from_nanos(nanos.into());
        Ok(Self { cursor, kind, layout, frame_type, offset })
    }

    /// Whether the body may hold several packets.
    pub(super) fn is_multiple(&self) -> bool {
        matches!(self.layout, Layout::Many { .. })
    }

    /// The next packet, if there is one more.
    pub(super) fn next_packet(&mut self) -> Result<Option<Packet>, FlvError> {
        match self.layout {
            Layout::Nothing => Ok(None),
            Layout::One { track, codec, packet_type } => {
                self.layout = Layout::Nothing;
                let track = match track {
                    Track::Default => 0,
                    Track::Numbered => self.cursor.byte("track id")?,
                };
                let data = Cursor(self.cursor.rest());
                packet(track, codec, packet_type, data)
            }
            Layout::Many { codec, packet_type } => {
                while !self.cursor.is_empty() {
                    let codec = match codec {
                        Some(codec) => codec,
                        None => codec_id::of_fourcc(self.kind, self.cursor.array("FourCC")?)?,
                    };
                    let track = self.cursor.byte("track id")?;
                    let size = self.cursor.medium("size of track")? as usize;
                    let data = Cursor(self.cursor.take(size, "track data")?);
                    if let Some(packet) = packet(track, codec, packet_type, data)? {
                        return Ok(Some(packet));
                    }
                }
                Ok(None)
            }
        }
    }
}

impl PacketType {
    /// `VideoPacketType` or `AudioPacketType`.
    fn new(kind: Kind, value: u8) -> Result<Self, FlvError> {
        Ok(match (kind, value) {
            (_, 0) => Self::SequenceStart,
            (_, 1) => Self::CodedFrames,
            (_, 2) => Self::SequenceEnd,
            (Kind::Video, 3) => Self::CodedFramesX,
            (Kind::Video, 4) => Self::Metadata,
            (Kind::Video, 5) => Self::Mpeg2TsSequenceStart,
            (Kind::Video, 6) | (Kind::Audio, 5) => Self::Multitrack,
            (Kind::Audio, 4) => Self::MultichannelConfig,
            (_, 7) => Self::ModEx,
            (Kind::Video, other) => {
                return Err(FlvError::Invalid { field: "VideoPacketType", value: other.into() });
            }
            (Kind::Audio, other) => {
                return Err(FlvError::Invalid { field: "AudioPacketType", value: other.into() });
            }
        })
    }

    fn is_ignored(self) -> bool {
        matches!(self, Self::Metadata | Self::MultichannelConfig | Self::SequenceEnd)
    }
}

/// Reads one `ModEx` prefix; the packet type that follows it comes back.
fn read_mod_ex(kind: Kind, cursor: &mut Cursor, nanos: &mut u32) -> Result<PacketType, FlvError> {
    let mut size = usize::from(cursor.byte("ModEx size")?) + 1;
    if size == 256 {
        size = usize::from(cursor.short("ModEx size")?) + 1;
    }
    let data = cursor.take(size, "ModEx data")?;
    let types = cursor.byte("ModEx type")?;
    if types >> 4 == MOD_EX_TIMESTAMP_OFFSET_NANO {
        *nanos = Cursor(data).medium("nanosecond offset")?;
        if *nanos > MAX_NANOS {
            return Err(FlvError::Invalid { field: "nanosecond offset", value: *nanos });
        }
    }
    PacketType::new(kind, types & 15)
}

fn read_multitrack(kind: Kind, cursor: &mut Cursor) -> Result<Layout, FlvError> {
    let types = cursor.byte("multitrack type")?;
    let packet_type = PacketType::new(kind, types & 15)?;
    if matches!(packet_type, PacketType::Multitrack | PacketType::ModEx) {
        return Err(FlvError::Invalid { field: "packet type within Multitrack", value: (types & 15).into() });
    }
    if packet_type.is_ignored() {
        return Ok(Layout::Nothing);
    }
    match types >> 4 {
        0 => {
            let codec = codec_id::of_fourcc(kind, cursor.array("FourCC")?)?;
            Ok(Layout::One { track: Track::Numbered, codec, packet_type })
        }
        1 => {
            let codec = codec_id::of_fourcc(kind, cursor.array("FourCC")?)?;
            Ok(Layout::Many { codec: Some(codec), packet_type })
        }
        2 => Ok(Layout::Many { codec: None, packet_type }),
        other => Err(FlvError::Invalid { field: "multitrack type", value: other.into() }),
    }
}

fn packet(
    track: u8,
    codec: Codec,
    packet_type: PacketType,
    mut data: Cursor,
) -> Result<Option<Packet>, FlvError> {
    let content = match packet_type {
        PacketType::SequenceStart => Content::Config(data.rest()),
        PacketType::CodedFrames => {
            let composition = if matches!(codec, Codec::H264 | Codec::H265) {
                MediaTime::from_millis(data.signed_medium("CompositionTime")?.into())
            } else {
                MediaTime::ZERO
            };
            Content::Frame { composition, payload: data.rest() }
        }
        PacketType::CodedFramesX => Content::Frame { composition: MediaTime::ZERO, payload: data.rest() },
        PacketType::Mpeg2TsSequenceStart => {
            return Err(FlvError::unsupported(format!("{codec} configured by an MPEG-2 TS descriptor")));
        }
        PacketType::SequenceEnd
        | PacketType::Metadata
        | PacketType::MultichannelConfig
        | PacketType::Multitrack
        | PacketType::ModEx => return Ok(None),
    };
    Ok(Some(Packet { track, codec, content }))
}
