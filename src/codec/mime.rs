//! Codec strings (RFC 6381), for playlists and Media Source Extensions.

use super::aac::{AudioSpecificConfig, object_type};
use super::{av1, h264, h265, vp9};
use crate::media::{Codec, Track};

/// The codec string of a track; `in_band` says that parameter sets travel in-band (`avc3`, `hev1`).
///
/// A track whose configuration cannot be read gets the string of its codec's most common profile: tracks are made
/// from what [`describe`](super::describe) returned, which can be read. VP8 has no string in RFC 6381's form; it is
/// `vp8`, as browsers call it.
pub fn mime(track: &Track, in_band: bool) -> String {
    let config = &track.config[..];
    match track.codec {
        Codec::H264 => {
            let name = if in_band { "avc3" } else { "avc1" };
            let (profile, constraints, level) = h264::ConfigRecord::parse(config)
                .map_or((0x64, 0, 0x1f), |record| (record.profile, record.constraints, record.level));
            format!("{name}.{profile:02X}{constraints:02X}{level:02X}")
        }
        Codec::H265 => {
            let name = if in_band { "hev1" } else { "hvc1" };
            let parameters = h265::ConfigRecord::parse(config)
                .map_or_else(|_| "1.6.L93.B0".to_owned(), |record| record.profile.codec_parameters());
            format!("{name}.{parameters}")
        }
        Codec::Av1 => av1::ConfigRecord::parse(config)
            .map_or_else(|_| "av01.0.08M.08".to_owned(), |record| av1_string(&record)),
        Codec::Vp8 => "vp8".to_owned(),
        Codec::Vp9 => {
            let (profile, level, depth) = vp9::ConfigRecord::parse(config)
                .map_or((0, 0, 8), |record| (record.profile, record.level, record.bit_depth));
            let level = if level == 0 { vp9_level(track) } else { level };
            format!("vp09.{profile:02}.{level:02}.{depth:02}")
        }
        Codec::Aac => {
            let object = AudioSpecificConfig::parse(config)
                .map_or(object_type::LC, |config| config.signalled_object_type());
            format!("mp4a.40.{object}")
        }
        Codec::Opus => "opus".to_owned(),
    }
}

/// AV1 Codec ISO Media File Format Binding §5. The optional fields stand there all or none, and only where they differ
/// from what players assume: 4:2:0 with the values of BT.709.
fn av1_string(record: &av1::ConfigRecord) -> String {
    let tier = if record.high_tier { 'H' } else { 'M' };
    let mut text = format!("av01.{}.{:02}{tier}.{:02}", record.profile, record.level, record.bit_depth);
    let header = record.sequence_header().ok().flatten();
    let known = |value: u8| if value == 2 { 1 } else { value };
    let colour = header.map(|header| header.colour);
    let (primaries, transfer, matrix) = colour
        .map_or((1, 1, 1), |colour| (known(colour.primaries), known(colour.transfer), known(colour.matrix)));
    let full_range = colour.is_some_and(|colour| colour.full_range);
    let usual = record.subsampling == (true, true)
        && !record.monochrome
        && (primaries, transfer, matrix) == (1, 1, 1)
        && !full_range;
    if !usual {
        let (x, y) = (u8::from(record.subsampling.0), u8::from(record.subsampling.1));
        let position = if (x, y) == (1, 1) { record.chroma_position } else { 0 };
        text += &format!(
            ".{}.{x}{y}{position}.{primaries:02}.{transfer:02}.{matrix:02}.{}",
            u8::from(record.monochrome),
            u8::from(full_range)
        );
    }
    text
}

/// The least level that allows the track's picture size; writers often leave the level out, and players want one.
fn vp9_level(track: &Track) -> u8 {
    /// Luma samples of a picture at most, and the level (VP9 Annex A).
    const LEVELS: [(u64, u8); 9] = [
        (36_864, 10),
        (73_728, 11),
        (122_880, 20),
        (245_760, 21),
        (552_960, 30),
        (983_040, 31),
        (2_228_224, 40),
        (8_912_896, 50),
        (35_651_584, 60),
    ];
    let samples = track.video().map_or(0, |video| u64::from(video.width) * u64::from(video.height));
    LEVELS.iter().find(|(most, _)| samples <= *most).map_or(62, |(_, level)| *level)
}
