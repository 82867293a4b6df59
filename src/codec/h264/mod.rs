//! H.264 / AVC (ISO/IEC 14496-10, ITU-T H.264): configuration record, sequence parameter set, access units.

mod access_unit;
mod config;
mod sps;
mod vui;

#[cfg(test)]
mod tests;

pub use access_unit::{AccessUnit, with_parameter_sets};
pub use config::{ConfigRecord, SampleFormat};
pub use sps::Sps;

/// Values of `nal_unit_type` (H.264 table 7-1).
pub mod nal_type {
    /// Slice of a picture that is not an IDR picture.
    pub const SLICE: u8 = 1;
    /// First of three partitions of a slice; the others are 3 and 4.
    pub const SLICE_PARTITION_A: u8 = 2;
    /// Slice of an IDR picture.
    pub const IDR_SLICE: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const DELIMITER: u8 = 9;
    /// Sequence parameter set extension.
    pub const SPS_EXTENSION: u8 = 13;
}

/// The `nal_unit_type` of a NAL unit; 0 (unspecified) for an empty one.
pub fn unit_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header & 0x1f)
}
