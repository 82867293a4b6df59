//! What everyone wants to know of a frame, whatever its codec.

use super::{Malformed, av1, h264, h265, opus, vp8, vp9};
use crate::media::Codec;

/// Facts about one canonical payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A decoder can start here, given the track's configuration. That includes the entry points of open GOPs (H.264
    /// intra pictures with a recovery point at once, H.265 CRA), at which frames shown before this one may be lost:
    /// encoders with open GOPs send nothing else after the first picture. Every audio frame is one.
    pub keyframe: bool,
    /// No other frame refers to this one, as far as its headers tell; where they do not, `false`.
    pub disposable: bool,
    /// Width and height in pixels, where a keyframe tells them outside parameter sets (AV1, VP8, VP9).
    pub size: Option<(u32, u32)>,
}

/// Looks at a canonical payload. A video payload without a picture is neither keyframe nor disposable.
///
/// An H.265 picture is called disposable by its type, which speaks of its own temporal sub-layer only: in a stream of
/// several, [`h265::AccessUnit::is_disposable`] has the last word.
pub fn inspect(codec: Codec, payload: &[u8]) -> Result<Facts, Malformed> {
    match codec {
        Codec::H264 => {
            let unit = h264::AccessUnit::inspect(payload)?;
            let disposable = unit.has_picture && !unit.is_reference;
            Ok(Facts { keyframe: unit.is_random_access(), disposable, size: None })
        }
        Codec::H265 => {
            let unit = h265::AccessUnit::inspect(payload)?;
            Ok(Facts { keyframe: unit.is_irap(), disposable: unit.is_disposable(1), size: None })
        }
        Codec::Av1 => {
            let unit = av1::TemporalUnit::inspect(payload)?;
            let size = unit.sequence_header.map(|header| (header.width, header.height));
            Ok(Facts { keyframe: unit.is_key_frame, disposable: false, size })
        }
        Codec::Vp8 => {
            let header = vp8::FrameHeader::parse(payload)?;
            Ok(Facts { keyframe: header.key_frame.is_some(), disposable: false, size: header.key_frame })
        }
        Codec::Vp9 => inspect_vp9(payload),
        Codec::Aac if payload.is_empty() => Err(Malformed::Empty { element: "AAC access unit" }),
        Codec::Aac => Ok(Facts { keyframe: true, disposable: true, size: None }),
        Codec::Opus => {
            opus::packet_samples(payload)?;
            Ok(Facts { keyframe: true, disposable: true, size: None })
        }
    }
}

fn inspect_vp9(payload: &[u8]) -> Result<Facts, Malformed> {
    let mut facts = Facts { disposable: true, ..Facts::default() };
    for (index, frame) in vp9::frames(payload)?.into_iter().enumerate() {
        let header = vp9::FrameHeader::parse(frame)?;
        facts.disposable &= !header.is_reference;
        if index == 0 {
            facts.keyframe = header.key_frame.is_some();
            facts.size = header.key_frame.map(|key| (key.width, key.height));
        }
    }
    Ok(facts)
}
