//! The sequence parameter set (H.265 §7.3.2.2.1).

use super::{Profile, nal_type, timing, unit_type};
use crate::codec::bits::{BitReader, without_emulation_prevention};
use crate::codec::{MAX_DIMENSION, MAX_PARAMETER_SET, Malformed};

const CHROMA_444: u8 = 3;
/// `MaxDpbSize` is never more (§A.4.2).
const MAX_DPB_PICTURES: u32 = 16;

/// What a sequence parameter set says about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`.
    pub id: u8,
    /// Temporal sub-layers, 1 to 7.
    pub max_sub_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_id_nesting: bool,
    /// Profile, tier and level.
    pub profile: Profile,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits a luma sample.
    pub bit_depth_luma: u8,
    /// Bits a chroma sample.
    pub bit_depth_chroma: u8,
    /// Displayed width in pixels, inside the conformance window.
    pub width: u32,
    /// Displayed height in pixels, inside the conformance window.
    pub height: u32,
    /// How many pictures may precede a picture in decoding order and follow it in output order, with all sub-layers.
    pub reorder_depth: u8,
    /// Pictures a second as numerator and denominator, from the VUI's timing; neither is zero.
    pub frame_rate: Option<(u32, u32)>,
}

impl Sps {
    /// Reads an SPS NAL unit, its two header bytes included. Pictures are at most 16384 pixels wide and high.
    ///
    /// What comes after the reorder depth matters to decoders only; all that is looked for there is the frame rate, and
    /// it is taken as absent where the rest cannot be read.
    pub fn parse(nal: &[u8]) -> Result<Self, Malformed> {
        if nal.len() < 3 {
            return Err(Malformed::Empty { element: "sequence parameter set" });
        }
        Malformed::check_max("sequence parameter set", nal.len(), MAX_PARAMETER_SET)?;
        if unit_type(nal) != nal_type::SPS {
            return Err(Malformed::Invalid { element: "nal_unit_type", value: unit_type(nal).into() });
        }
        let rbsp = without_emulation_prevention(nal);
        let mut reader = BitReader::new(&rbsp);
        let (head, id) = Self::parse_to_id(&mut reader)?;
        let chroma_format = reader.ue_max("chroma_format_idc", CHROMA_444.into())? as u8;
        let separate_planes = chroma_format == CHROMA_444 && reader.flag("separate_colour_plane_flag")?;
        let (width, height) = parse_size(&mut reader, chroma_format, separate_planes)?;
        // 16 bits, of extended profiles alone, have no place in the three bits of a configuration record.
        let bit_depth_luma = reader.ue_max("bit_depth_luma_minus8", 7)? as u8 + 8;
        let bit_depth_chroma = reader.ue_max("bit_depth_chroma_minus8", 7)? as u8 + 8;
        let log2_max_order_count = reader.ue_max("log2_max_pic_order_cnt_lsb_minus4", 12)? + 4;
        let reorder_depth = parse_ordering(&mut reader, head.max_sub_layers)?;
        let frame_rate = timing::frame_rate(&mut reader, log2_max_order_count).unwrap_or_default();
        Ok(Self {
            id,
            max_sub_layers: head.max_sub_layers,
            temporal_id_nesting: head.temporal_id_nesting,
            profile: head.profile,
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            width,
            height,
            reorder_depth,
            frame_rate,
        })
    }

    /// Reads from the NAL unit header up to and with `sps_seq_parameter_set_id`.
    pub(super) fn parse_to_id(reader: &mut BitReader<'_>) -> Result<(Head, u8), Malformed> {
        reader.skip("NAL unit header", 16)?;
        reader.skip("sps_video_parameter_set_id", 4)?;
        let max_sub_layers = reader.byte("sps_max_sub_layers_minus1", 3)? + 1;
        Malformed::check_max("sps_max_sub_layers_minus1", usize::from(max_sub_layers) - 1, 6)?;
        let temporal_id_nesting = reader.flag("sps_temporal_id_nesting_flag")?;
        let profile = Profile::parse(reader, max_sub_layers)?;
        let id = reader.ue_max("sps_seq_parameter_set_id", 15)? as u8;
        Ok((Head { max_sub_layers, temporal_id_nesting, profile }, id))
    }
}

/// What stands before the id.
pub(super) struct Head {
    max_sub_layers: u8,
    temporal_id_nesting: bool,
    profile: Profile,
}

fn parse_size(
    reader: &mut BitReader<'_>,
    chroma_format: u8,
    separate_planes: bool,
) -> Result<(u32, u32), Malformed> {
    let mut width = reader.ue_max("pic_width_in_luma_samples", MAX_DIMENSION)?;
    let mut height = reader.ue_max("pic_height_in_luma_samples", MAX_DIMENSION)?;
    let (unit_x, unit_y) = match chroma_format {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    };
    let (unit_x, unit_y) = if separate_planes { (1, 1) } else { (unit_x, unit_y) };
    if reader.flag("conformance_window_flag")? {
        let mut offset = |element| Ok(u64::from(reader.ue(element)?));
        let across = offset("conf_win_left_offset")? + offset("conf_win_right_offset")?;
        let down = offset("conf_win_top_offset")? + offset("conf_win_bottom_offset")?;
        width = cropped("conformance window across", width, across * unit_x)?;
        height = cropped("conformance window down", height, down * unit_y)?;
    }
    if width == 0 || height == 0 {
        return Err(Malformed::Empty { element: "picture" });
    }
    Ok((width, height))
}

fn cropped(element: &'static str, size: u32, crop: u64) -> Result<u32, Malformed> {
    match u32::try_from(crop) {
        Ok(crop) if crop <= size => Ok(size - crop),
        _ => Err(Malformed::TooLarge { element, value: crop, max: size.into() }),
    }
}

/// `sps_max_num_reorder_pics` of the highest sub-layer, which is the last one told.
fn parse_ordering(reader: &mut BitReader<'_>, max_sub_layers: u8) -> Result<u8, Malformed> {
    let all = reader.flag("sps_sub_layer_ordering_info_present_flag")?;
    let mut reorder_depth = 0;
    for _ in 0..if all { max_sub_layers } else { 1 } {
        let buffered = reader.ue_max("sps_max_dec_pic_buffering_minus1", MAX_DPB_PICTURES - 1)?;
        reorder_depth = reader.ue_max("sps_max_num_reorder_pics", buffered)?;
        reader.ue("sps_max_latency_increase_plus1")?;
    }
    Ok(reorder_depth as u8)
}
