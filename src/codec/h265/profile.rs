//! `profile_tier_level()` (H.265 §7.3.3), which the configuration record repeats.

use std::fmt::Write as _;

use crate::codec::Malformed;
use crate::codec::bits::BitReader;

/// Profile, tier and level of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// `general_profile_space`, 0 for everything known.
    pub space: u8,
    /// `general_tier_flag`: the High tier.
    pub high_tier: bool,
    /// `general_profile_idc`: 1 Main, 2 Main 10, 3 Main Still Picture, 4 range extensions.
    pub idc: u8,
    /// `general_profile_compatibility_flag[0]` in the most significant bit, to `[31]` in the least.
    pub compatibility: u32,
    /// The six bytes from `general_progressive_source_flag` on.
    pub constraints: [u8; 6],
    /// `general_level_idc`, thirty times the level.
    pub level: u8,
}

impl Profile {
    /// Reads the general part; the 96 bits are the same in parameter sets and in the configuration record.
    pub(super) fn parse_general(reader: &mut BitReader<'_>) -> Result<Self, Malformed> {
        let space = reader.byte("general_profile_space", 2)?;
        let high_tier = reader.flag("general_tier_flag")?;
        let idc = reader.byte("general_profile_idc", 5)?;
        let compatibility = reader.bits("general_profile_compatibility_flags", 32)?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = reader.byte("general_constraint_indicator_flags", 8)?;
        }
        let level = reader.byte("general_level_idc", 8)?;
        Ok(Self { space, high_tier, idc, compatibility, constraints, level })
    }

    /// Reads the general part and passes over that of the sub-layers.
    pub(super) fn parse(reader: &mut BitReader<'_>, max_sub_layers: u8) -> Result<Self, Malformed> {
        let general = Self::parse_general(reader)?;
        let lower = usize::from(max_sub_layers.saturating_sub(1));
        let mut present = [(false, false); 8];
        for flags in present.iter_mut().take(lower) {
            *flags = (
                reader.flag("sub_layer_profile_present_flag")?,
                reader.flag("sub_layer_level_present_flag")?,
            );
        }
        if lower > 0 {
            reader.skip("reserved_zero_2bits", 2 * (8 - lower.min(8)))?;
        }
        for (profile, level) in present {
            reader.skip("sub_layer_profile", if profile { 88 } else { 0 })?;
            reader.skip("sub_layer_level_idc", if level { 8 } else { 0 })?;
        }
        Ok(general)
    }

    /// The bytes of [`parse_general`](Self::parse_general).
    pub(super) fn put(&self, record: &mut Vec<u8>) {
        record.push(self.space << 6 | u8::from(self.high_tier) << 5 | self.idc & 0x1f);
        record.extend_from_slice(&self.compatibility.to_be_bytes());
        record.extend_from_slice(&self.constraints);
        record.push(self.level);
    }

    /// What stands behind the sample entry's name in the codec string (ISO/IEC 14496-15 Annex E.3), such as `1.6.L93.90`.
    pub fn codec_parameters(&self) -> String {
        let mut text = String::new();
        if let Some(letter) = self.space.checked_sub(1) {
            text.push(char::from(b'A' + letter.min(2)));
        }
        let tier = if self.high_tier { 'H' } else { 'L' };
        // The flags are written with the first one as the least significant bit.
        let compatibility = self.compatibility.reverse_bits();
        let _ = write!(text, "{}.{compatibility:X}.{tier}{}", self.idc, self.level);
        let last = self.constraints.iter().rposition(|&byte| byte != 0);
        for byte in self.constraints.iter().take(last.map_or(0, |last| last + 1)) {
            let _ = write!(text, ".{byte:X}");
        }
        text
    }
}
