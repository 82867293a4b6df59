//! The sequence header OBU (AV1 §5.5).

use crate::codec::bits::BitReader;
use crate::codec::{MAX_DIMENSION, Malformed};

const SELECT_PER_FRAME: u32 = 2;
/// Levels from here on (4.0) have a High tier (AV1 §5.5.1).
const LAST_LEVEL_WITHOUT_TIER: u8 = 7;
const PRIMARIES_BT709: u8 = 1;
const TRANSFER_SRGB: u8 = 13;
const MATRIX_IDENTITY: u8 = 0;

/// What a sequence header says about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceHeader {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx[0]`; 31 when the level is not bounded.
    pub level: u8,
    /// `seq_tier[0]`: the High tier.
    pub high_tier: bool,
    /// `reduced_still_picture_header`: the sequence is one picture.
    pub reduced_still_picture: bool,
    /// Greatest width of a frame in pixels.
    pub width: u32,
    /// Greatest height of a frame in pixels.
    pub height: u32,
    /// Bits a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `mono_chrome`: there is no chroma.
    pub monochrome: bool,
    /// `subsampling_x` and `subsampling_y`.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position`: 0 unknown, 1 vertical, 2 co-located.
    pub chroma_position: u8,
    /// How sample values are meant.
    pub colour: Colour,
    /// Frames a second as numerator and denominator, when they come at equal intervals; neither is zero.
    pub frame_rate: Option<(u32, u32)>,
}

/// How sample values are meant (ISO/IEC 23091-2); 2 is "unspecified".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    /// `color_primaries`.
    pub primaries: u8,
    /// `transfer_characteristics`.
    pub transfer: u8,
    /// `matrix_coefficients`.
    pub matrix: u8,
    /// `color_range`: the full range of values is used.
    pub full_range: bool,
}

impl SequenceHeader {
    /// Reads the payload of a sequence header OBU. Frames are at most 16384 pixels wide and high.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut BitReader::new(payload);
        let profile = reader.byte("seq_profile", 3)?;
        Malformed::check_max("seq_profile", profile.into(), 2)?;
        let still_picture = reader.flag("still_picture")?;
        let reduced_still_picture = reader.flag("reduced_still_picture_header")?;
        if reduced_still_picture && !still_picture {
            return Err(Malformed::Invalid { element: "reduced_still_picture_header", value: 1 });
        }
        let mut frame_rate = None;
        let (level, high_tier) = if reduced_still_picture {
            (reader.byte("seq_level_idx", 5)?, false)
        } else {
            let delays;
            (frame_rate, delays) = parse_timing(reader)?;
            parse_operating_points(reader, delays)?
        };
        let width_bits = reader.bits("frame_width_bits_minus_1", 4)? + 1;
        let height_bits = reader.bits("frame_height_bits_minus_1", 4)? + 1;
        let width = reader.bits("max_frame_width_minus_1", width_bits)? + 1;
        let height = reader.bits("max_frame_height_minus_1", height_bits)? + 1;
        Malformed::check_max("max_frame_width", width as usize, MAX_DIMENSION as usize)?;
        Malformed::check_max("max_frame_height", height as usize, MAX_DIMENSION as usize)?;
        skip_tools(reader, reduced_still_picture)?;
        let samples = parse_colour(reader, profile)?;
        reader.skip("film_grain_params_present", 1)?;
        Ok(Self {
            profile,
            level,
            high_tier,
            reduced_still_picture,
            width,
            height,
            bit_depth: samples.bit_depth,
            monochrome: samples.monochrome,
            subsampling: samples.subsampling,
            chroma_position: samples.chroma_position,
            colour: samples.colour,
            frame_rate,
        })
    }
}

/// Bits of the delays of an operating point's decoder model; `None` when there is no model.
type DelayBits = Option<usize>;

/// Frame rate, and how long delays are. §5.5.3, §5.5.4
fn parse_timing(reader: &mut BitReader<'_>) -> Result<(Option<(u32, u32)>, DelayBits), Malformed> {
    if !reader.flag("timing_info_present_flag")? {
        return Ok((None, None));
    }
    let units = reader.bits("num_units_in_display_tick", 32)?;
    let scale = reader.bits("time_scale", 32)?;
    let mut ticks = None;
    if reader.flag("equal_picture_interval")? {
        // `uvlc()` is the unsigned Exp-Golomb code.
        ticks = reader.ue("num_ticks_per_picture_minus_1")?.checked_add(1);
    }
    let per_picture = ticks.and_then(|ticks| ticks.checked_mul(units)).filter(|&units| units > 0);
    let frame_rate = per_picture.filter(|_| scale > 0).map(|units| (scale, units));
    let mut delays = None;
    if reader.flag("decoder_model_info_present_flag")? {
        delays = Some(reader.bits("buffer_delay_length_minus_1", 5)? as usize + 1);
        reader.skip("num_units_in_decoding_tick", 32)?;
        reader.skip("buffer_removal_time_length and frame_presentation_time_length", 10)?;
    }
    Ok((frame_rate, delays))
}

/// Level and tier of the first operating point.
fn parse_operating_points(reader: &mut BitReader<'_>, delays: DelayBits) -> Result<(u8, bool), Malformed> {
    let initial_delay = reader.flag("initial_display_delay_present_flag")?;
    let count = reader.bits("operating_points_cnt_minus_1", 5)? + 1;
    let mut first = None;
    for _ in 0..count {
        reader.skip("operating_point_idc", 12)?;
        let level = reader.byte("seq_level_idx", 5)?;
        let high_tier = level > LAST_LEVEL_WITHOUT_TIER && reader.flag("seq_tier")?;
        if let Some(bits) = delays
            && reader.flag("decoder_model_present_for_this_op")?
        {
            reader.skip("operating_parameters_info", 2 * bits + 1)?;
        }
        if initial_delay && reader.flag("initial_display_delay_present_for_this_op")? {
            reader.skip("initial_display_delay_minus_1", 4)?;
        }
        first.get_or_insert((level, high_tier));
    }
    first.ok_or(Malformed::Missing { element: "operating point" })
}

/// From `frame_id_numbers_present_flag` to `enable_restoration`.
fn skip_tools(reader: &mut BitReader<'_>, reduced_still_picture: bool) -> Result<(), Malformed> {
    if !reduced_still_picture && reader.flag("frame_id_numbers_present_flag")? {
        reader.skip("frame id lengths", 7)?;
    }
    reader.skip("use_128x128_superblock, enable_filter_intra and enable_intra_edge_filter", 3)?;
    if !reduced_still_picture {
        reader.skip("compound, motion and filter tools", 4)?;
        let order_hint = reader.flag("enable_order_hint")?;
        if order_hint {
            reader.skip("enable_jnt_comp and enable_ref_frame_mvs", 2)?;
        }
        let mut screen_content = SELECT_PER_FRAME;
        if !reader.flag("seq_choose_screen_content_tools")? {
            screen_content = reader.bits("seq_force_screen_content_tools", 1)?;
        }
        if screen_content > 0 && !reader.flag("seq_choose_integer_mv")? {
            reader.skip("seq_force_integer_mv", 1)?;
        }
        if order_hint {
            reader.skip("order_hint_bits_minus_1", 3)?;
        }
    }
    reader.skip("enable_superres, enable_cdef and enable_restoration", 3)
}

struct Samples {
    bit_depth: u8,
    monochrome: bool,
    subsampling: (bool, bool),
    chroma_position: u8,
    colour: Colour,
}

/// §5.5.2
fn parse_colour(reader: &mut BitReader<'_>, profile: u8) -> Result<Samples, Malformed> {
    let high_bit_depth = reader.flag("high_bitdepth")?;
    let bit_depth = match high_bit_depth {
        true if profile == 2 && reader.flag("twelve_bit")? => 12,
        true => 10,
        false => 8,
    };
    let monochrome = profile != 1 && reader.flag("mono_chrome")?;
    let mut colour = Colour { primaries: 2, transfer: 2, matrix: 2, full_range: true };
    if reader.flag("color_description_present_flag")? {
        colour.primaries = reader.byte("color_primaries", 8)?;
        colour.transfer = reader.byte("transfer_characteristics", 8)?;
        colour.matrix = reader.byte("matrix_coefficients", 8)?;
    }
    let mut samples =
        Samples { bit_depth, monochrome, subsampling: (true, true), chroma_position: 0, colour };
    if monochrome {
        samples.colour.full_range = reader.flag("color_range")?;
        return Ok(samples);
    }
    if (colour.primaries, colour.transfer, colour.matrix) == (PRIMARIES_BT709, TRANSFER_SRGB, MATRIX_IDENTITY)
    {
        samples.subsampling = (false, false);
    } else {
        samples.colour.full_range = reader.flag("color_range")?;
        samples.subsampling = match (profile, bit_depth) {
            (0, _) => (true, true),
            (1, _) => (false, false),
            (_, 12) => {
                let across = reader.flag("subsampling_x")?;
                (across, across && reader.flag("subsampling_y")?)
            }
            _ => (true, false),
        };
        if samples.subsampling == (true, true) {
            samples.chroma_position = reader.byte("chroma_sample_position", 2)?;
        }
    }
    reader.skip("separate_uv_delta_q", 1)?;
    Ok(samples)
}
