//! AV1: configuration record, open bitstream units, sequence header, temporal units.

mod config;
mod obu;
mod sequence;
mod temporal_unit;

#[cfg(test)]
mod tests;

pub use config::ConfigRecord;
pub use obu::{Obu, obu_type, obus};
pub use sequence::{Colour, SequenceHeader};
pub use temporal_unit::{TemporalUnit, to_canonical, with_sequence_header};
