//! A track: what a decoder must know before the first frame.

use std::fmt;

use bytes::Bytes;

/// Names a track within its broadcast. The first video is 0 and the first audio is 1 by convention of the ingests;
/// nothing may depend on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u8);

/// Picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Picture.
    Video,
    /// Sound.
    Audio,
}

/// A codec that the server carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// H.264 / AVC (ISO/IEC 14496-10).
    H264,
    /// H.265 / HEVC (ISO/IEC 23008-2).
    H265,
    /// AV1.
    Av1,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// AAC (ISO/IEC 14496-3), any object type an `AudioSpecificConfig` can name.
    Aac,
    /// Opus (RFC 6716).
    Opus,
}

impl Codec {
    /// Whether this is a picture or a sound codec.
    pub const fn kind(self) -> Kind {
        match self {
            Self::H264 | Self::H265 | Self::Av1 | Self::Vp8 | Self::Vp9 => Kind::Video,
            Self::Aac | Self::Opus => Kind::Audio,
        }
    }

    /// The name people use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Av1 => "AV1",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Aac => "AAC",
            Self::Opus => "Opus",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a decoder must know before the first frame of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The track's name within the broadcast.
    pub id: TrackId,
    /// Tracks of one group are alternatives of one another (simulcast layers, languages): a viewer gets one of them.
    pub group: u8,
    /// Preference within the group, 0 first.
    pub rank: u8,
    /// The codec.
    pub codec: Codec,
    /// The codec's configuration record: `AVCDecoderConfigurationRecord` (with 4-byte lengths),
    /// `HEVCDecoderConfigurationRecord`, `AV1CodecConfigurationRecord`, `VPCodecConfigurationRecord` (without the
    /// full-box header), `AudioSpecificConfig`, `OpusHead` (RFC 7845 §5.1). Empty for VP8.
    pub config: Bytes,
    /// Picture size or sample rate.
    pub params: Params,
}

impl Track {
    /// Whether this is picture or sound.
    pub const fn kind(&self) -> Kind {
        self.codec.kind()
    }

    /// The picture's parameters, if this is a picture.
    pub const fn video(&self) -> Option<&VideoParams> {
        match &self.params {
            Params::Video(video) => Some(video),
            Params::Audio(_) => None,
        }
    }

    /// The sound's parameters, if this is sound.
    pub const fn audio(&self) -> Option<&AudioParams> {
        match &self.params {
            Params::Audio(audio) => Some(audio),
            Params::Video(_) => None,
        }
    }
}

/// What is particular to picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Params {
    /// Of a picture.
    Video(VideoParams),
    /// Of sound.
    Audio(AudioParams),
}

/// A picture's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoParams {
    /// Displayed width in pixels, after cropping.
    pub width: u32,
    /// Displayed height in pixels, after cropping.
    pub height: u32,
    /// How many frames may precede one in decoding order and follow it in display order (B-frames), as the parameter sets
    /// promise it; where they are silent, `None` until the pictures show that there are some, then 1.
    pub reorder_depth: Option<u8>,
}

/// Sound's parameters, as its configuration record tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioParams {
    /// Samples a second at the decoder's output (after SBR).
    pub sample_rate: u32,
    /// Channels at the decoder's output.
    pub channels: u8,
    /// Samples (at `sample_rate`) that one frame decodes to; `None` where it varies by packet (Opus).
    pub frame_samples: Option<u32>,
}
