//! The sequence parameter set (H.264 §7.3.2.1.1).

use super::vui::Vui;
use super::{nal_type, unit_type};
use crate::codec::bits::{BitReader, without_emulation_prevention};
use crate::codec::{MAX_DIMENSION, MAX_PARAMETER_SET, Malformed};

const BASELINE: u8 = 66;
/// Profiles whose SPS tells chroma format, bit depths and scaling matrices.
const HIGH_PROFILES: [u8; 13] = [44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244];
/// Profiles that are intra-only when `constraint_set3_flag` is set (§E.2.1, `max_num_reorder_frames`).
const INTRA_PROFILES: [u8; 6] = [44, 86, 100, 110, 122, 244];
const CONSTRAINT_SET3: u8 = 0x10;
const MACROBLOCK: u32 = 16;
const CHROMA_420: u8 = 1;
const CHROMA_422: u8 = 2;
const CHROMA_444: u8 = 3;

/// What a sequence parameter set says about the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u8,
    /// `constraint_set0_flag` (most significant bit) to `constraint_set5_flag`, and two reserved bits.
    pub constraints: u8,
    /// `level_idc`, ten times the level.
    pub level: u8,
    /// `seq_parameter_set_id`.
    pub id: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits a luma sample.
    pub bit_depth_luma: u8,
    /// Bits a chroma sample.
    pub bit_depth_chroma: u8,
    /// `pic_order_cnt_type`; with 2 output order is decoding order.
    pub pic_order_cnt_type: u8,
    /// `max_num_ref_frames`.
    pub max_ref_frames: u8,
    /// No picture is coded as fields, nor any macroblock.
    pub frame_mbs_only: bool,
    /// Displayed width in pixels, after cropping.
    pub width: u32,
    /// Displayed height in pixels, after cropping.
    pub height: u32,
    /// How many frames may precede a frame in decoding order and follow it in output order; `None` when neither the
    /// bitstream restriction nor profile or order count type tell.
    pub reorder_depth: Option<u8>,
    /// Frames a second as numerator and denominator, from the VUI's timing; neither is zero.
    pub frame_rate: Option<(u32, u32)>,
}

impl Sps {
    /// Reads an SPS NAL unit, header byte included. Pictures are at most 16384 pixels wide and high.
    ///
    /// Everything that a decoder needs must be right. VUI that is cut off or overlong is taken as absent, as players
    /// take it: encoders get it wrong without consequence for the picture.
    pub fn parse(nal: &[u8]) -> Result<Self, Malformed> {
        if nal.len() < 2 {
            return Err(Malformed::Empty { element: "sequence parameter set" });
        }
        Malformed::check_max("sequence parameter set", nal.len(), MAX_PARAMETER_SET)?;
        if unit_type(nal) != nal_type::SPS {
            return Err(Malformed::Invalid { element: "nal_unit_type", value: unit_type(nal).into() });
        }
        let rbsp = without_emulation_prevention(nal);
        let mut reader = BitReader::new(&rbsp);
        reader.skip("NAL unit header", 8)?;
        let profile = reader.byte("profile_idc", 8)?;
        let constraints = reader.byte("constraint_set_flags", 8)?;
        let level = reader.byte("level_idc", 8)?;
        let id = reader.ue_max("seq_parameter_set_id", 31)? as u8;
        let samples = Samples::parse(&mut reader, profile)?;
        reader.ue_max("log2_max_frame_num_minus4", 12)?;
        let pic_order_cnt_type = parse_order_count(&mut reader)?;
        let max_ref_frames = reader.ue_max("max_num_ref_frames", 16)? as u8;
        reader.skip("gaps_in_frame_num_value_allowed_flag", 1)?;
        let (width, height, frame_mbs_only) = parse_size(&mut reader, &samples)?;
        let vui = match reader.flag("vui_parameters_present_flag")? {
            true => Vui::parse(&mut reader).unwrap_or_default(),
            false => Vui::default(),
        };
        let in_order = pic_order_cnt_type == 2
            || profile == BASELINE
            || INTRA_PROFILES.contains(&profile) && constraints & CONSTRAINT_SET3 != 0;
        Ok(Self {
            profile,
            constraints,
            level,
            id,
            chroma_format: samples.chroma_format,
            bit_depth_luma: samples.bit_depth_luma,
            bit_depth_chroma: samples.bit_depth_chroma,
            pic_order_cnt_type,
            max_ref_frames,
            frame_mbs_only,
            width,
            height,
            reorder_depth: vui.max_reorder_frames.or(in_order.then_some(0)),
            frame_rate: vui.frame_rate,
        })
    }
}

struct Samples {
    chroma_format: u8,
    separate_planes: bool,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
}

impl Samples {
    fn parse(reader: &mut BitReader<'_>, profile: u8) -> Result<Self, Malformed> {
        if !HIGH_PROFILES.contains(&profile) {
            return Ok(Self {
                chroma_format: CHROMA_420,
                separate_planes: false,
                bit_depth_luma: 8,
                bit_depth_chroma: 8,
            });
        }
        let chroma_format = reader.ue_max("chroma_format_idc", CHROMA_444.into())? as u8;
        let separate_planes = chroma_format == CHROMA_444 && reader.flag("separate_colour_plane_flag")?;
        let bit_depth_luma = reader.ue_max("bit_depth_luma_minus8", 6)? as u8 + 8;
        let bit_depth_chroma = reader.ue_max("bit_depth_chroma_minus8", 6)? as u8 + 8;
        reader.skip("qpprime_y_zero_transform_bypass_flag", 1)?;
        if reader.flag("seq_scaling_matrix_present_flag")? {
            let lists = if chroma_format == CHROMA_444 { 12 } else { 8 };
            for list in 0..lists {
                if reader.flag("seq_scaling_list_present_flag")? {
                    skip_scaling_list(reader, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(Self { chroma_format, separate_planes, bit_depth_luma, bit_depth_chroma })
    }

    /// `CropUnitX` and `CropUnitY` (§7.4.2.1.1).
    fn crop_units(&self, frame_mbs_only: bool) -> (u32, u32) {
        let (x, y) = match self.chroma_format {
            CHROMA_420 => (2, 2),
            CHROMA_422 => (2, 1),
            _ => (1, 1),
        };
        let (x, y) = if self.separate_planes { (1, 1) } else { (x, y) };
        (x, if frame_mbs_only { y } else { 2 * y })
    }
}

/// §7.3.2.1.1.1
fn skip_scaling_list(reader: &mut BitReader<'_>, size: u32) -> Result<(), Malformed> {
    let mut last = 8i32;
    for _ in 0..size {
        let delta = reader.se("delta_scale")?;
        if !(-128..=127).contains(&delta) {
            return Err(Malformed::Invalid { element: "delta_scale", value: delta.unsigned_abs().into() });
        }
        last = (last + delta + 256) % 256;
        if last == 0 {
            break;
        }
    }
    Ok(())
}

fn parse_order_count(reader: &mut BitReader<'_>) -> Result<u8, Malformed> {
    let order_type = reader.ue_max("pic_order_cnt_type", 2)?;
    match order_type {
        0 => drop(reader.ue_max("log2_max_pic_order_cnt_lsb_minus4", 12)?),
        1 => {
            reader.skip("delta_pic_order_always_zero_flag", 1)?;
            reader.se("offset_for_non_ref_pic")?;
            reader.se("offset_for_top_to_bottom_field")?;
            for _ in 0..reader.ue_max("num_ref_frames_in_pic_order_cnt_cycle", 255)? {
                reader.se("offset_for_ref_frame")?;
            }
        }
        _ => {}
    }
    Ok(order_type as u8)
}

/// Width, height and `frame_mbs_only_flag`.
fn parse_size(reader: &mut BitReader<'_>, samples: &Samples) -> Result<(u32, u32, bool), Malformed> {
    const MAX_MACROBLOCKS: u32 = MAX_DIMENSION / MACROBLOCK;
    let across = reader.ue_max("pic_width_in_mbs_minus1", MAX_MACROBLOCKS - 1)? + 1;
    let map_units = reader.ue_max("pic_height_in_map_units_minus1", MAX_MACROBLOCKS - 1)? + 1;
    let frame_mbs_only = reader.flag("frame_mbs_only_flag")?;
    if !frame_mbs_only {
        reader.skip("mb_adaptive_frame_field_flag", 1)?;
    }
    let down = if frame_mbs_only { map_units } else { 2 * map_units };
    if down > MAX_MACROBLOCKS {
        let value = u64::from(down * MACROBLOCK);
        return Err(Malformed::TooLarge { element: "picture height", value, max: MAX_DIMENSION.into() });
    }
    reader.skip("direct_8x8_inference_flag", 1)?;
    let (mut width, mut height) = (across * MACROBLOCK, down * MACROBLOCK);
    if reader.flag("frame_cropping_flag")? {
        let mut offset = |element| Ok(u64::from(reader.ue(element)?));
        let across = offset("frame_crop_left_offset")? + offset("frame_crop_right_offset")?;
        let down = offset("frame_crop_top_offset")? + offset("frame_crop_bottom_offset")?;
        let (unit_x, unit_y) = samples.crop_units(frame_mbs_only);
        width = cropped("frame cropping across", width, across * u64::from(unit_x))?;
        height = cropped("frame cropping down", height, down * u64::from(unit_y))?;
    }
    Ok((width, height, frame_mbs_only))
}

fn cropped(element: &'static str, size: u32, crop: u64) -> Result<u32, Malformed> {
    match u32::try_from(crop) {
        Ok(crop) if crop < size => Ok(size - crop),
        _ => Err(Malformed::TooLarge { element, value: crop, max: u64::from(size) - 1 }),
    }
}
