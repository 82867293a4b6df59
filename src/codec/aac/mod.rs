//! AAC (ISO/IEC 14496-3): `AudioSpecificConfig`, and the ADTS headers that some senders put before access units.

mod adts;
mod config;
mod program;

#[cfg(test)]
mod tests;

pub use adts::{AdtsHeader, strip_adts};
pub use config::{AudioSpecificConfig, SAMPLE_RATES, SpectralBandReplication, object_type};
