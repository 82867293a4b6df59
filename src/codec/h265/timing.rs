//! The way to the frame rate: from the reorder depth of a sequence parameter set to the timing in its VUI
//! (H.265 §7.3.2.2.1, §E.2.1).

use crate::codec::Malformed;
use crate::codec::bits::BitReader;

const EXTENDED_SAR: u32 = 255;
/// `num_negative_pics` and `num_positive_pics` are at most `sps_max_dec_pic_buffering_minus1` (§7.4.8).
const MAX_REFERENCES: u32 = 16;

/// Pictures a second as numerator and denominator, neither zero; `None` when the VUI does not tell. The reader stands
/// behind the sub-layer ordering information.
pub(super) fn frame_rate(
    reader: &mut BitReader<'_>,
    log2_max_order_count: u32,
) -> Result<Option<(u32, u32)>, Malformed> {
    for element in [
        "log2_min_luma_coding_block_size_minus3",
        "log2_diff_max_min_luma_coding_block_size",
        "log2_min_luma_transform_block_size_minus2",
        "log2_diff_max_min_luma_transform_block_size",
        "max_transform_hierarchy_depth_inter",
        "max_transform_hierarchy_depth_intra",
    ] {
        reader.ue(element)?;
    }
    if reader.flag("scaling_list_enabled_flag")? && reader.flag("sps_scaling_list_data_present_flag")? {
        skip_scaling_lists(reader)?;
    }
    reader.skip("amp_enabled_flag and sample_adaptive_offset_enabled_flag", 2)?;
    if reader.flag("pcm_enabled_flag")? {
        reader.skip("pcm_sample_bit_depths", 8)?;
        reader.ue("log2_min_pcm_luma_coding_block_size_minus3")?;
        reader.ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
        reader.skip("pcm_loop_filter_disabled_flag", 1)?;
    }
    skip_short_term_sets(reader)?;
    if reader.flag("long_term_ref_pics_present_flag")? {
        let count = reader.ue_max("num_long_term_ref_pics_sps", 32)?;
        for _ in 0..count {
            reader.skip(
                "lt_ref_pic_poc_lsb_sps and used_by_curr_pic_lt_sps_flag",
                log2_max_order_count as usize + 1,
            )?;
        }
    }
    reader.skip("sps_temporal_mvp_enabled_flag and strong_intra_smoothing_enabled_flag", 2)?;
    if !reader.flag("vui_parameters_present_flag")? {
        return Ok(None);
    }
    vui_timing(reader)
}

/// §7.3.4
fn skip_scaling_lists(reader: &mut BitReader<'_>) -> Result<(), Malformed> {
    for size_id in 0..4u32 {
        // 32×32 blocks have two lists, luma intra and inter.
        for _ in 0..if size_id == 3 { 2 } else { 6 } {
            if !reader.flag("scaling_list_pred_mode_flag")? {
                reader.ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size_id > 1 {
                reader.se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..(1 << (4 + (size_id << 1))).min(64) {
                reader.se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// §7.3.7, for the sets of an SPS.
fn skip_short_term_sets(reader: &mut BitReader<'_>) -> Result<(), Malformed> {
    let sets = reader.ue_max("num_short_term_ref_pic_sets", 64)?;
    // `NumDeltaPocs` of the set before, to which a predicted set refers.
    let mut pictures = 0;
    for index in 0..sets {
        if index > 0 && reader.flag("inter_ref_pic_set_prediction_flag")? {
            reader.skip("delta_rps_sign", 1)?;
            reader.ue("abs_delta_rps_minus1")?;
            let mut kept = 0;
            for _ in 0..=pictures {
                let used = reader.flag("used_by_curr_pic_flag")?;
                // A picture that is not used may still be kept for those that follow.
                if used || reader.flag("use_delta_flag")? {
                    kept += 1;
                }
            }
            pictures = kept;
            Malformed::check_max("NumDeltaPocs", pictures as usize, 2 * MAX_REFERENCES as usize)?;
            continue;
        }
        let negative = reader.ue_max("num_negative_pics", MAX_REFERENCES)?;
        let positive = reader.ue_max("num_positive_pics", MAX_REFERENCES)?;
        pictures = negative + positive;
        for _ in 0..pictures {
            reader.ue("delta_poc_minus1")?;
            reader.skip("used_by_curr_pic_flag", 1)?;
        }
    }
    Ok(())
}

fn vui_timing(reader: &mut BitReader<'_>) -> Result<Option<(u32, u32)>, Malformed> {
    if reader.flag("aspect_ratio_info_present_flag")? && reader.bits("aspect_ratio_idc", 8)? == EXTENDED_SAR {
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
        reader.ue("chroma_sample_loc_type_top_field")?;
        reader.ue("chroma_sample_loc_type_bottom_field")?;
    }
    reader.skip("neutral_chroma_indication_flag, field_seq_flag and frame_field_info_present_flag", 3)?;
    if reader.flag("default_display_window_flag")? {
        for element in ["left", "right", "top", "bottom"] {
            reader.ue(element)?;
        }
    }
    if !reader.flag("vui_timing_info_present_flag")? {
        return Ok(None);
    }
    let units = reader.bits("vui_num_units_in_tick", 32)?;
    let scale = reader.bits("vui_time_scale", 32)?;
    Ok((units > 0 && scale > 0).then_some((scale, units)))
}
