//! What a configuration record says, for a track.

use bytes::Bytes;

use super::aac::AudioSpecificConfig;
use super::opus::OpusHead;
use super::{Malformed, av1, h264, h265, opus, vp9};
use crate::media::{AudioParams, Codec, Params, VideoParams};

/// A track's configuration and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The canonical record, as [`Track::config`](crate::media::Track::config) wants it: NAL unit lengths of 4 bytes.
    pub config: Bytes,
    /// Picture size or sample rate. Width and height are 0 where the record does not tell and the first keyframe will
    /// (VP8, VP9, AV1 without a sequence header): see [`inspect`](super::inspect).
    pub params: Params,
}

/// The canonical configuration record and what it says. `config` is the record as it came on the wire: the body of
/// the sequence header in FLV and Enhanced RTMP.
///
/// Profile, level and the like in the canonical record are those of the parameter sets. Parameter sets must be there
/// and readable: a record without them describes nothing.
pub fn describe(codec: Codec, config: &[u8]) -> Result<Description, Malformed> {
    match codec {
        Codec::H264 => describe_h264(config),
        Codec::H265 => describe_h265(config),
        Codec::Av1 => describe_av1(config),
        Codec::Vp8 => Ok(Description { config: Bytes::new(), params: picture(0, 0, Some(0)) }),
        Codec::Vp9 => {
            let record = vp9::ConfigRecord::parse(config)?;
            Ok(Description { config: record.encode(), params: picture(0, 0, Some(0)) })
        }
        Codec::Aac => describe_aac(config),
        Codec::Opus => {
            let head = OpusHead::parse(config)?;
            Ok(Description { config: head.encode(), params: sound(opus::SAMPLE_RATE, head.channels, None) })
        }
    }
}

fn describe_h264(config: &[u8]) -> Result<Description, Malformed> {
    let record = h264::ConfigRecord::parse(config)?.canonical()?;
    if record.pps.is_empty() {
        return Err(Malformed::Missing { element: "picture parameter set" });
    }
    let sps = record.active_sps()?;
    Ok(Description { config: record.encode(), params: picture(sps.width, sps.height, sps.reorder_depth) })
}

fn describe_h265(config: &[u8]) -> Result<Description, Malformed> {
    let record = h265::ConfigRecord::parse(config)?.canonical()?;
    for (sets, element) in [(&record.vps, "video parameter set"), (&record.pps, "picture parameter set")] {
        if sets.is_empty() {
            return Err(Malformed::Missing { element });
        }
    }
    let sps = record.active_sps()?;
    Ok(Description {
        config: record.encode(),
        params: picture(sps.width, sps.height, Some(sps.reorder_depth)),
    })
}

fn describe_av1(config: &[u8]) -> Result<Description, Malformed> {
    let record = av1::ConfigRecord::parse(config)?.canonical()?;
    let (width, height) = record.sequence_header()?.map_or((0, 0), |header| (header.width, header.height));
    // A temporal unit holds all that is decoded before the frame it shows, so units come in the order of display.
    Ok(Description { config: record.encode(), params: picture(width, height, Some(0)) })
}

fn describe_aac(config: &[u8]) -> Result<Description, Malformed> {
    let record = AudioSpecificConfig::parse(config)?;
    let params = sound(record.sample_rate(), record.channels(), record.frame_samples());
    Ok(Description { config: Bytes::copy_from_slice(config), params })
}

const fn picture(width: u32, height: u32, reorder_depth: Option<u8>) -> Params {
    Params::Video(VideoParams { width, height, reorder_depth })
}

const fn sound(sample_rate: u32, channels: u8, frame_samples: Option<u32>) -> Params {
    Params::Audio(AudioParams { sample_rate, channels, frame_samples })
}
