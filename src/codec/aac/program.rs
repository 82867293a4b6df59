//! `program_config_element()` (ISO/IEC 14496-3 §4.4.1.1), which lays out channels that no configuration number does.

use crate::codec::Malformed;
use crate::codec::bits::BitReader;

/// A decoder's output has no more channels than that of the largest `channelConfiguration`.
const MAX_CHANNELS: u8 = 24;

/// Counts the channels, and passes over the element.
pub(super) fn parse_channels(reader: &mut BitReader<'_>) -> Result<u8, Malformed> {
    reader.skip("element_instance_tag, object_type and sampling_frequency_index", 10)?;
    let mut full_range = 0;
    for element in ["num_front_channel_elements", "num_side_channel_elements", "num_back_channel_elements"] {
        full_range += reader.bits(element, 4)?;
    }
    let low_frequency = reader.byte("num_lfe_channel_elements", 2)?;
    let data = reader.bits("num_assoc_data_elements", 3)? as usize;
    let coupling = reader.bits("num_valid_cc_elements", 4)? as usize;
    for (present, bits) in
        [("mono_mixdown_present", 4), ("stereo_mixdown_present", 4), ("matrix_mixdown_idx_present", 3)]
    {
        if reader.flag(present)? {
            reader.skip(present, bits)?;
        }
    }
    let mut channels = low_frequency;
    for _ in 0..full_range {
        channels += if reader.flag("element_is_cpe")? { 2 } else { 1 };
        reader.skip("element_tag_select", 4)?;
    }
    reader.skip("lfe_element_tag_select", 4 * usize::from(low_frequency))?;
    reader.skip("assoc_data_element_tag_select", 4 * data)?;
    reader.skip("cc_element_is_ind_sw and valid_cc_element_tag_select", 5 * coupling)?;
    // Alignment counts from the start of the record (§4.5.1.1).
    reader.align();
    let comment = reader.bits("comment_field_bytes", 8)? as usize;
    reader.skip("comment_field_data", 8 * comment)?;
    if channels == 0 {
        return Err(Malformed::Empty { element: "program_config_element" });
    }
    Malformed::check_max("channels of program_config_element", channels.into(), MAX_CHANNELS.into())?;
    Ok(channels)
}
