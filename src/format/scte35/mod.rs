//! SCTE 35 (ANSI/SCTE 35 2022b): the binary messages that announce splices, slots and programme boundaries.
//!
//! [`SpliceInfoSection::decode`] is strict: a wrong CRC, a length that does not add up, a reserved command or an
//! encrypted section is an error that names the fault. [`SpliceInfoSection::encode`] is its inverse: what was
//! decoded encodes to the same bytes.

mod bits;
mod command;
mod crc;
mod descriptor;
mod section;
mod segmentation;
pub mod slot;
#[cfg(test)]
mod tests;
mod upid;

pub use command::{
    BreakDuration, Command, ComponentTime, ScheduledEvent, ScheduledMode, ScheduledSplice, SpliceInsert,
    SpliceMode, SplicePoint, SpliceTime,
};
pub use descriptor::{AudioComponent, Descriptor};
pub use section::{DecodeError, EncodeError, SpliceInfoSection};
pub use segmentation::{
    Restrictions, Segmentation, SegmentationComponent, SegmentationDescriptor, SubSegment,
};
pub use upid::Upid;

/// Ticks of every time and duration in a section: the 90 kHz clock of MPEG-2 systems.
pub const TICKS_PER_SECOND: u32 = 90_000;

/// The identifier of the descriptors and commands that SCTE 35 itself defines.
pub const CUE_IDENTIFIER: [u8; 4] = *b"CUEI";
