//! Numbers and FourCCs of codecs, and the names of those that are refused.

use std::borrow::Cow;

use super::FlvError;
use crate::media::{Codec, Kind};

/// `CodecID` of H.264 in a legacy video tag.
pub(super) const LEGACY_H264: u8 = 7;
/// `CodecID` that devices without Enhanced RTMP use for H.265, laid out as H.264 is; never standardised.
pub(super) const LEGACY_H265: u8 = 12;
/// `SoundFormat` of AAC in a legacy audio tag.
pub(super) const LEGACY_AAC: u8 = 10;
/// `SoundFormat` that marks an enhanced audio tag.
pub(super) const ENHANCED_AUDIO: u8 = 9;

/// The codec of a legacy video tag.
pub(super) fn legacy_video(codec_id: u8) -> Result<Codec, FlvError> {
    let name = match codec_id {
        LEGACY_H264 => return Ok(Codec::H264),
        LEGACY_H265 => return Ok(Codec::H265),
        1 => "JPEG",
        2 => "Sorenson H.263",
        3 | 6 => "Screen Video",
        4 | 5 => "VP6",
        8 => "H.263",
        9 => "MPEG-4 Part 2",
        other => return Err(FlvError::unsupported(format!("video with the legacy codec id {other}"))),
    };
    Err(FlvError::unsupported(name))
}

/// The codec of a legacy audio tag.
pub(super) fn legacy_audio(sound_format: u8) -> Result<Codec, FlvError> {
    let name = match sound_format {
        LEGACY_AAC => return Ok(Codec::Aac),
        0 | 3 => "PCM",
        1 => "ADPCM",
        2 | 14 => "MP3",
        4..=6 => "Nellymoser",
        7 => "G.711 A-law",
        8 => "G.711 mu-law",
        11 => "Speex",
        other => return Err(FlvError::unsupported(format!("audio with the legacy format {other}"))),
    };
    Err(FlvError::unsupported(name))
}

/// The codec of a FourCC in a message of this kind.
pub(super) fn of_fourcc(kind: Kind, fourcc: [u8; 4]) -> Result<Codec, FlvError> {
    let codec = match &fourcc {
        b"avc1" => Codec::H264,
        b"hvc1" => Codec::H265,
        b"av01" => Codec::Av1,
        b"vp08" => Codec::Vp8,
        b"vp09" => Codec::Vp9,
        b"mp4a" => Codec::Aac,
        b"Opus" => Codec::Opus,
        _ => return Err(FlvError::unsupported(name_of_unknown(fourcc))),
    };
    if codec.kind() == kind {
        Ok(codec)
    } else {
        Err(FlvError::Invalid { field: "FourCC", value: u32::from_be_bytes(fourcc) })
    }
}

/// The FourCC of a codec.
pub(super) const fn fourcc(codec: Codec) -> &'static [u8; 4] {
    match codec {
        Codec::H264 => b"avc1",
        Codec::H265 => b"hvc1",
        Codec::Av1 => b"av01",
        Codec::Vp8 => b"vp08",
        Codec::Vp9 => b"vp09",
        Codec::Aac => b"mp4a",
        Codec::Opus => b"Opus",
    }
}

fn name_of_unknown(fourcc: [u8; 4]) -> Cow<'static, str> {
    match &fourcc {
        b".mp3" => "MP3".into(),
        b"ac-3" => "AC-3".into(),
        b"ec-3" => "E-AC-3".into(),
        b"fLaC" => "FLAC".into(),
        b"vvc1" => "H.266".into(),
        _ => format!("the codec '{}'", fourcc.escape_ascii()).into(),
    }
}
