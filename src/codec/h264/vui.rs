//! Video usability information of a sequence parameter set (H.264 §E.1.1), as far as it speaks of time and order.

use crate::codec::Malformed;
use crate::codec::bits::BitReader;

const EXTENDED_SAR: u32 = 255;
/// `MaxDpbFrames` is never more (§A.3.1).
const MAX_DPB_FRAMES: u32 = 16;

/// What the VUI says about time and order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vui {
    /// Frames a second, as numerator and denominator; neither is zero.
    pub(super) frame_rate: Option<(u32, u32)>,
    /// `max_num_reorder_frames` of the bitstream restriction.
    pub(super) max_reorder_frames: Option<u8>,
}

impl Vui {
    pub(super) fn parse(reader: &mut BitReader<'_>) -> Result<Self, Malformed> {
        if reader.flag("aspect_ratio_info_present_flag")?
            && reader.bits("aspect_ratio_idc", 8)? == EXTENDED_SAR
        {
            reader.skip("sar_width and sar_height", 32)?;
        }
        if reader.flag("overscan_info_present_flag")? {
            reader.skip("overscan_appropriate_flag", 1)?;
        }
        if reader.flag("video_signal_type_present_flag")? {
            reader.skip("video_format and video_full_range_flag", 4)?;
            if reader.flag("colour_description_present_flag")? {
                reader.skip("colour description", 24)?;
            }
        }
        if reader.flag("chroma_loc_info_present_flag")? {
            reader.ue_max("chroma_sample_loc_type_top_field", 5)?;
            reader.ue_max("chroma_sample_loc_type_bottom_field", 5)?;
        }
        let frame_rate = parse_timing(reader)?;
        let nal_hrd = reader.flag("nal_hrd_parameters_present_flag")?;
        if nal_hrd {
            skip_hrd(reader)?;
        }
        let vcl_hrd = reader.flag("vcl_hrd_parameters_present_flag")?;
        if vcl_hrd {
            skip_hrd(reader)?;
        }
        if nal_hrd || vcl_hrd {
            reader.skip("low_delay_hrd_flag", 1)?;
        }
        reader.skip("pic_struct_present_flag", 1)?;
        let max_reorder_frames = parse_restriction(reader)?;
        Ok(Self { frame_rate, max_reorder_frames })
    }
}

fn parse_timing(reader: &mut BitReader<'_>) -> Result<Option<(u32, u32)>, Malformed> {
    if !reader.flag("timing_info_present_flag")? {
        return Ok(None);
    }
    let units = reader.bits("num_units_in_tick", 32)?;
    let scale = reader.bits("time_scale", 32)?;
    reader.skip("fixed_frame_rate_flag", 1)?;
    // A tick is a field's time, so a frame takes two (§E.2.1).
    let frame = units.checked_mul(2).filter(|&units| units > 0);
    Ok(frame.filter(|_| scale > 0).map(|frame| (scale, frame)))
}

/// §E.1.2
fn skip_hrd(reader: &mut BitReader<'_>) -> Result<(), Malformed> {
    let count = reader.ue_max("cpb_cnt_minus1", 31)? + 1;
    reader.skip("bit_rate_scale and cpb_size_scale", 8)?;
    for _ in 0..count {
        reader.ue("bit_rate_value_minus1")?;
        reader.ue("cpb_size_value_minus1")?;
        reader.skip("cbr_flag", 1)?;
    }
    reader.skip("delay and offset lengths", 20)
}

fn parse_restriction(reader: &mut BitReader<'_>) -> Result<Option<u8>, Malformed> {
    if !reader.flag("bitstream_restriction_flag")? {
        return Ok(None);
    }
    reader.skip("motion_vectors_over_pic_boundaries_flag", 1)?;
    for element in ["max_bytes_per_pic_denom", "max_bits_per_mb_denom"] {
        reader.ue_max(element, 16)?;
    }
    for element in ["log2_max_mv_length_horizontal", "log2_max_mv_length_vertical"] {
        reader.ue_max(element, 16)?;
    }
    let reorder = reader.ue_max("max_num_reorder_frames", MAX_DPB_FRAMES)?;
    reader.ue_max("max_dec_frame_buffering", MAX_DPB_FRAMES)?;
    Ok(Some(reorder as u8))
}
