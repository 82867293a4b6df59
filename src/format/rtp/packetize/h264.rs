//! H.264 (RFC 6184, packetization mode 1): small NAL units together, large ones in fragments.
//!
//! Parameter sets travel in-band with every keyframe, so that a viewer can begin with it. Chromium tells keyframes by the
//! NAL units in their packets, and wants the parameter sets in the same access unit.

use super::Writer;
use crate::codec::h264::{ConfigRecord, nal_type, unit_type, with_parameter_sets};
use crate::codec::{Malformed, nal};
use crate::media::Frame;

/// NAL unit type of filler data (H.264 table 7-1).
const FILLER: u8 = 12;
/// The first NAL unit type that H.264 leaves open, and RFC 6184 gives to packets of its own kinds.
const FIRST_UNSPECIFIED: u8 = 24;
/// A packet with several NAL units, each behind its length.
const STAP_A: u8 = 24;
/// A packet with a part of a NAL unit.
const FU_A: u8 = 28;
/// Bytes before the NAL units in a STAP-A, and before each of them.
const STAP_HEADER_LEN: usize = 1;
const STAP_LENGTH_LEN: usize = 2;
/// Bytes before the part of a NAL unit in an FU-A; they stand for its header.
const FU_HEADER_LEN: usize = 2;
const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

#[derive(Debug)]
pub(super) struct H264 {
    /// Parameter sets for keyframes that come without; `None` when they are all in-band.
    config: Option<ConfigRecord>,
}

impl H264 {
    pub(super) fn new(config: &[u8]) -> Self {
        Self { config: ConfigRecord::parse(config).ok() }
    }

    pub(super) fn packetize(&self, frame: &Frame, to: &mut Writer<'_>) -> Result<(), Malformed> {
        let mut payload = frame.payload.clone();
        if let Some(config) = &self.config
            && frame.keyframe
        {
            payload = with_parameter_sets(payload, config);
        }
        let mut small = Aggregate::default();
        for unit in nal::units(&payload) {
            let unit = unit?;
            if !is_sent(unit, to.max_payload) {
                continue;
            }
            if !small.has_room_for(unit, to.max_payload) {
                small.flush(to);
            }
            if unit.len() > to.max_payload {
                put_fragments(unit, to);
            } else {
                small.push(unit);
            }
        }
        small.flush(to);
        Ok(())
    }
}

/// Delimiters and filler are not needed in packets. Types that H.264 leaves open would be taken for packets of another
/// kind; decoders ignore them. SEI is sent if it fits one packet: what is larger is no viewer's business.
fn is_sent(unit: &[u8], max_payload: usize) -> bool {
    match unit_type(unit) {
        0 | nal_type::DELIMITER | FILLER | FIRST_UNSPECIFIED.. => false,
        nal_type::SEI => unit.len() <= max_payload,
        _ => true,
    }
}

/// NAL units that go into one packet.
#[derive(Default)]
struct Aggregate<'a> {
    units: Vec<&'a [u8]>,
    /// Bytes of a STAP-A with these units, but for its header.
    len: usize,
}

impl<'a> Aggregate<'a> {
    fn has_room_for(&self, unit: &[u8], max_payload: usize) -> bool {
        self.units.is_empty() || STAP_HEADER_LEN + self.len + STAP_LENGTH_LEN + unit.len() <= max_payload
    }

    fn push(&mut self, unit: &'a [u8]) {
        self.units.push(unit);
        self.len += STAP_LENGTH_LEN + unit.len();
    }

    /// Writes the packet, if there is anything for it: a NAL unit that is alone goes as it is (§5.6, §5.7.1).
    fn flush(&mut self, to: &mut Writer<'_>) {
        match self.units[..] {
            [] => return,
            [unit] => to.put(unit),
            _ => {
                // One forbidden bit taints the whole, and the most important unit speaks for it (§5.7).
                let first_byte = |unit: &&[u8]| unit.first().copied().unwrap_or(0);
                let forbidden = self.units.iter().map(|unit| first_byte(unit) & 0x80).max().unwrap_or(0);
                let importance = self.units.iter().map(|unit| first_byte(unit) & 0x60).max().unwrap_or(0);
                to.put(&[forbidden | importance | STAP_A]);
                for unit in &self.units {
                    // Shorter than a packet, which a 16-bit length can measure.
                    to.put(&(unit.len() as u16).to_be_bytes());
                    to.put(unit);
                }
            }
        }
        to.end_payload();
        self.units.clear();
        self.len = 0;
    }
}

/// A NAL unit in fragments (§5.8). It is longer than a packet, so that there are two at least.
fn put_fragments(unit: &[u8], to: &mut Writer<'_>) {
    let Some((&header, body)) = unit.split_first() else { return };
    let mut position = FU_START;
    let mut parts = body.chunks(to.max_payload - FU_HEADER_LEN).peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            position = FU_END;
        }
        to.put(&[header & 0xe0 | FU_A, position | unit_type(unit)]);
        to.put(part);
        to.end_payload();
        position = 0;
    }
}
