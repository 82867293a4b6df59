//! How payloads come on the wire, and how they become canonical.

use bytes::Bytes;

use super::{Malformed, aac, av1, h264, h265, nal};
use crate::media::Codec;

/// How a stream frames what is in its payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// NAL units behind lengths of so many bytes.
    Nal {
        /// 1, 2 or 4.
        length_size: u8,
    },
    /// Open bitstream units of AV1.
    Obu,
    /// An AAC access unit, perhaps with an ADTS header that should not be there.
    Aac,
    /// One packet or frame, as it is.
    Whole,
}

impl Framing {
    /// The framing that a configuration record announces. It is to be taken from the record as it came: the canonical
    /// one that [`describe`](super::describe) makes of it announces the canonical framing.
    pub fn announced(codec: Codec, config: &[u8]) -> Result<Self, Malformed> {
        Ok(match codec {
            Codec::H264 => Self::Nal { length_size: h264::ConfigRecord::parse(config)?.length_size },
            Codec::H265 => Self::Nal { length_size: h265::ConfigRecord::parse(config)?.length_size },
            Codec::Av1 => Self::Obu,
            Codec::Aac => Self::Aac,
            Codec::Vp8 | Codec::Vp9 | Codec::Opus => Self::Whole,
        })
    }

    /// The canonical form of a payload, uncopied where it is canonical already. An empty result is no frame: there
    /// was nothing in the payload, or nothing but delimiters.
    pub fn canonical(self, payload: Bytes) -> Result<Bytes, Malformed> {
        match self {
            Self::Nal { length_size } => nal::to_canonical(payload, length_size),
            Self::Obu => av1::to_canonical(payload),
            Self::Aac => Ok(aac::strip_adts(payload)),
            Self::Whole => Ok(payload),
        }
    }
}
