//! What a payload says about itself.

use crate::codec::{self, Facts, Malformed, av1, h264, h265};
use crate::media::Codec;

/// What a canonical payload holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents {
    pub(super) facts: Facts,
    /// There is a picture or sound, not parameter sets alone.
    pub(super) has_frame: bool,
}

impl Contents {
    /// Looks at a payload. `sub_layers` is the number of temporal sub-layers, of H.265.
    pub(super) fn inspect(codec: Codec, payload: &[u8], sub_layers: u8) -> Result<Self, Malformed> {
        let (keyframe, disposable, has_frame) = match codec {
            Codec::H264 => {
                let unit = h264::AccessUnit::inspect(payload)?;
                (unit.is_random_access(), !unit.is_reference, unit.has_picture)
            }
            Codec::H265 => {
                let unit = h265::AccessUnit::inspect(payload)?;
                (unit.is_irap(), unit.is_disposable(sub_layers), unit.has_picture)
            }
            Codec::Av1 => {
                let unit = av1::TemporalUnit::inspect(payload)?;
                (unit.is_key_frame, false, unit.has_frame)
            }
            Codec::Vp8 | Codec::Vp9 | Codec::Aac | Codec::Opus => {
                return Ok(Self { facts: codec::inspect(codec, payload)?, has_frame: true });
            }
        };
        Ok(Self { facts: Facts { keyframe, disposable, size: None }, has_frame })
    }
}
