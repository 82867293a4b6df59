//! Splice descriptors (SCTE 35 2022b §10).

use bytes::Bytes;

use super::bits::{BitReader, BitWriter};
use super::segmentation::SegmentationDescriptor;
use super::{CUE_IDENTIFIER, DecodeError, EncodeError};

const AVAIL: u8 = 0x00;
const DTMF: u8 = 0x01;
const SEGMENTATION: u8 = 0x02;
const TIME: u8 = 0x03;
const AUDIO: u8 = 0x04;

/// More about a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// `avail_descriptor()`: the provider's number of an avail.
    Avail {
        /// `provider_avail_id`.
        provider_avail_id: u32,
    },
    /// `DTMF_descriptor()`: tones for legacy equipment.
    Dtmf {
        /// Lead of the last tone before the splice, in tenths of a second.
        preroll: u8,
        /// The tones, of `0-9`, `*`, `#` (and `A-D`, which are seen in the field), at most 7.
        tones: String,
    },
    /// `segmentation_descriptor()`: a boundary of a programme, break or slot.
    Segmentation(SegmentationDescriptor),
    /// `time_descriptor()`: International Atomic Time.
    Time {
        /// `TAI_seconds`, 48 bits.
        tai_seconds: u64,
        /// `TAI_ns`.
        tai_nanos: u32,
        /// `UTC_offset`: seconds that TAI is ahead of UTC.
        utc_offset: u16,
    },
    /// `audio_descriptor()`: the audio components of the programme.
    Audio(Vec<AudioComponent>),
    /// Any other, as it is.
    Other {
        /// `splice_descriptor_tag`.
        tag: u8,
        /// All bytes after `descriptor_length`, the identifier included.
        data: Bytes,
    },
}

/// An audio component of a programme (§10.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioComponent {
    /// `component_tag`.
    pub tag: u8,
    /// ISO 639-2 language code.
    pub language: [u8; 3],
    /// `Bit_Stream_Mode`, 3 bits (ATSC A/52).
    pub bit_stream_mode: u8,
    /// `Num_Channels`, 4 bits (ATSC A/52).
    pub channels: u8,
    /// The component is a full service of its own.
    pub full_service: bool,
}

impl Descriptor {
    /// `splice_descriptor_tag`.
    pub fn tag(&self) -> u8 {
        match self {
            Self::Avail { .. } => AVAIL,
            Self::Dtmf { .. } => DTMF,
            Self::Segmentation(_) => SEGMENTATION,
            Self::Time { .. } => TIME,
            Self::Audio(_) => AUDIO,
            Self::Other { tag, .. } => *tag,
        }
    }

    /// Whose descriptor this is; `None` when it is too short to say.
    pub fn identifier(&self) -> Option<[u8; 4]> {
        match self {
            Self::Other { data, .. } => data.first_chunk().copied(),
            _ => Some(CUE_IDENTIFIER),
        }
    }

    pub(super) fn decode_loop(reader: &mut BitReader) -> Result<Vec<Self>, DecodeError> {
        let mut descriptors = Vec::new();
        while reader.remaining() > 0 {
            let tag = reader.byte()?;
            let length = reader.byte()?;
            descriptors.push(reader.nested(length.into(), name(tag), |content| Self::decode(tag, content))?);
        }
        Ok(descriptors)
    }

    fn decode(tag: u8, reader: &mut BitReader) -> Result<Self, DecodeError> {
        // Tags are numbered by their owner: another owner's 0x02 is no segmentation descriptor.
        if tag > AUDIO || !reader.starts_with(&CUE_IDENTIFIER) {
            return Ok(Self::Other { tag, data: reader.rest() });
        }
        reader.take(CUE_IDENTIFIER.len())?;
        match tag {
            AVAIL => Ok(Self::Avail { provider_avail_id: reader.word()? }),
            DTMF => decode_dtmf(reader),
            SEGMENTATION => SegmentationDescriptor::decode(reader).map(Self::Segmentation),
            TIME => Ok(Self::Time {
                tai_seconds: reader.bits(48)?,
                tai_nanos: reader.word()?,
                utc_offset: reader.short()?,
            }),
            _ => decode_audio(reader).map(Self::Audio),
        }
    }

    pub(super) fn encode_loop(descriptors: &[Self], writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
        for descriptor in descriptors {
            let data = writer.nested(|content| descriptor.encode(content))?;
            writer.byte(descriptor.tag())?;
            writer.length(data.len(), 8, "descriptor_length")?;
            writer.put(&data);
        }
        Ok(())
    }

    fn encode(&self, writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
        if !matches!(self, Self::Other { .. }) {
            writer.put(&CUE_IDENTIFIER);
        }
        match self {
            Self::Avail { provider_avail_id } => writer.word(*provider_avail_id),
            Self::Dtmf { preroll, tones } => {
                writer.byte(*preroll)?;
                writer.length(tones.len(), 3, "dtmf_count")?;
                writer.reserved(5)?;
                writer.put(tones.as_bytes());
                Ok(())
            }
            Self::Segmentation(segmentation) => segmentation.encode(writer),
            Self::Time { tai_seconds, tai_nanos, utc_offset } => {
                writer.bits(*tai_seconds, 48, "TAI_seconds")?;
                writer.word(*tai_nanos)?;
                writer.short(*utc_offset)
            }
            Self::Audio(components) => encode_audio(components, writer),
            Self::Other { data, .. } => {
                writer.put(data);
                Ok(())
            }
        }
    }
}

/// What a descriptor is called in errors.
fn name(tag: u8) -> &'static str {
    match tag {
        AVAIL => "an avail_descriptor",
        DTMF => "a DTMF_descriptor",
        SEGMENTATION => "a segmentation_descriptor",
        TIME => "a time_descriptor",
        AUDIO => "an audio_descriptor",
        _ => "a splice descriptor",
    }
}

fn decode_dtmf(reader: &mut BitReader) -> Result<Descriptor, DecodeError> {
    let preroll = reader.byte()?;
    let count = reader.bits(3)? as usize;
    reader.reserved(5)?;
    let tones = reader.take(count)?;
    if !tones.iter().all(|tone| matches!(tone, b'0'..=b'9' | b'A'..=b'D' | b'*' | b'#')) {
        return Err(DecodeError::Field("DTMF_char"));
    }
    Ok(Descriptor::Dtmf { preroll, tones: tones.iter().copied().map(char::from).collect() })
}

fn decode_audio(reader: &mut BitReader) -> Result<Vec<AudioComponent>, DecodeError> {
    let count = reader.bits(4)?;
    reader.reserved(4)?;
    let component = |_| {
        Ok(AudioComponent {
            tag: reader.byte()?,
            language: [reader.byte()?, reader.byte()?, reader.byte()?],
            bit_stream_mode: reader.bits(3)? as u8,
            channels: reader.bits(4)? as u8,
            full_service: reader.flag()?,
        })
    };
    (0..count).map(component).collect()
}

fn encode_audio(components: &[AudioComponent], writer: &mut BitWriter<'_>) -> Result<(), EncodeError> {
    writer.length(components.len(), 4, "audio_count")?;
    writer.reserved(4)?;
    for component in components {
        writer.byte(component.tag)?;
        writer.put(&component.language);
        writer.bits(component.bit_stream_mode.into(), 3, "Bit_Stream_Mode")?;
        writer.bits(component.channels.into(), 4, "Num_Channels")?;
        writer.flag(component.full_service)?;
    }
    Ok(())
}
