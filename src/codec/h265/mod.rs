//! H.265 / HEVC (ISO/IEC 23008-2, ITU-T H.265): configuration record, sequence parameter set, access units.

mod access_unit;
mod config;
mod profile;
mod sps;
mod timing;

#[cfg(test)]
mod tests;

pub use access_unit::{AccessUnit, Leading, RandomAccess, with_parameter_sets};
pub use config::ConfigRecord;
pub use profile::Profile;
pub use sps::Sps;

/// Values of `nal_unit_type` (H.265 table 7-1). Below 32 are slices.
pub mod nal_type {
    /// Random access decodable leading picture that no other picture of its sub-layer refers to; 7 is one that others
    /// may refer to.
    pub const RADL_N: u8 = 6;
    /// As [`RADL_N`], for reference.
    pub const RADL_R: u8 = 7;
    /// Random access skipped leading picture: not decodable when decoding starts at its IRAP picture.
    pub const RASL_N: u8 = 8;
    /// As [`RASL_N`], for reference.
    pub const RASL_R: u8 = 9;
    /// First of the broken link access pictures, 16 to 18.
    pub const BLA_W_LP: u8 = 16;
    /// Last of the broken link access pictures.
    pub const BLA_N_LP: u8 = 18;
    /// Instantaneous decoding refresh that may have decodable leading pictures.
    pub const IDR_W_RADL: u8 = 19;
    /// Instantaneous decoding refresh without leading pictures.
    pub const IDR_N_LP: u8 = 20;
    /// Clean random access.
    pub const CRA: u8 = 21;
    /// Last of the intra random access point types, which begin at 16; 22 and 23 are reserved.
    pub const IRAP_LAST: u8 = 23;
    /// Last of the slice types.
    pub const SLICE_LAST: u8 = 31;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const DELIMITER: u8 = 35;
    /// SEI before the slices.
    pub const PREFIX_SEI: u8 = 39;
    /// SEI after the slices.
    pub const SUFFIX_SEI: u8 = 40;
}

/// The `nal_unit_type` of a NAL unit; 63 (unspecified) for an empty one.
pub fn unit_type(nal: &[u8]) -> u8 {
    nal.first().map_or(63, |header| header >> 1 & 0x3f)
}
