//! AV1 (RTP Payload Format For AV1, v1.0): packets hold elements, which are OBUs or parts of OBUs.
//!
//! The sequence header travels in-band with every keyframe, and the N bit of its first packet tells receivers of the
//! keyframe: without the dependency descriptor, Chromium has no other sign.

use super::Writer;
use crate::codec::Malformed;
use crate::codec::av1::{ConfigRecord, Obu, obu_type, obus, with_sequence_header};
use crate::media::Frame;

/// OBU types that are not for packets, beside the temporal delimiter (§5).
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;

/// Z: the first element goes on with an OBU that began before (§4.4).
const CONTINUES: u8 = 0x80;
/// Y: the last element's OBU goes on in the next packet.
const TO_BE_CONTINUED: u8 = 0x40;
/// N: the first packet of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;
/// W can count this many elements; the last of them then needs no length. With more, W is 0 and all have lengths.
const MAX_COUNTED: usize = 3;

#[derive(Debug)]
pub(super) struct Av1 {
    /// The sequence header for keyframes that come without; `None` when it is always in-band.
    config: Option<ConfigRecord>,
}

impl Av1 {
    pub(super) fn new(config: &[u8]) -> Self {
        Self { config: ConfigRecord::parse(config).ok() }
    }

    pub(super) fn packetize(&self, frame: &Frame, to: &mut Writer<'_>) -> Result<(), Malformed> {
        let mut payload = frame.payload.clone();
        if let Some(config) = &self.config
            && frame.keyframe
        {
            payload = with_sequence_header(payload, config);
        }
        let mut has_sequence_header = false;
        let mut units = Vec::new();
        for obu in obus(&payload) {
            let obu = obu?;
            has_sequence_header |= obu.kind == obu_type::SEQUENCE_HEADER;
            if !matches!(obu.kind, obu_type::TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
                units.push(Unit::new(&obu));
            }
        }
        let mut packet = Packet::default();
        if frame.keyframe && has_sequence_header {
            packet.flags |= NEW_SEQUENCE;
        }
        for unit in &units {
            packet.add(unit, to);
        }
        packet.flush(to);
        Ok(())
    }
}

/// An OBU as it is sent, without a size field (§5).
struct Unit<'a> {
    header: [u8; 2],
    header_len: usize,
    payload: &'a [u8],
}

impl<'a> Unit<'a> {
    fn new(obu: &Obu<'a>) -> Self {
        let has_extension = obu.extension.is_some();
        let header = [obu.kind << 3 | u8::from(has_extension) << 2, obu.extension.unwrap_or(0)];
        Self { header, header_len: 1 + usize::from(has_extension), payload: obu.payload }
    }

    fn len(&self) -> usize {
        self.header_len + self.payload.len()
    }

    /// Writes the bytes from `start`, `len` of them; there must be as many.
    fn put(&self, start: usize, len: usize, to: &mut Writer<'_>) {
        let end = start + len;
        let header = self.header.get(start..end.min(self.header_len)).unwrap_or_default();
        let payload = start.saturating_sub(self.header_len)..end.saturating_sub(self.header_len);
        to.put(header);
        to.put(self.payload.get(payload).unwrap_or_default());
    }
}

/// An OBU, or a part of one, in a packet.
struct Element<'a> {
    unit: &'a Unit<'a>,
    /// The first byte of the OBU that is in the packet.
    start: usize,
    /// Bytes, never none.
    len: usize,
}

/// The packet being filled.
#[derive(Default)]
struct Packet<'a> {
    /// What is known of the aggregation header.
    flags: u8,
    elements: Vec<Element<'a>>,
    /// Bytes of the elements, each with its length.
    len: usize,
}

impl<'a> Packet<'a> {
    /// Adds a unit; packets that become full on the way are written.
    fn add(&mut self, unit: &'a Unit<'a>, to: &mut Writer<'_>) {
        let mut start = 0;
        while start < unit.len() {
            let room = self.room(to.max_payload);
            if room == 0 {
                self.flush(to);
                continue;
            }
            let len = room.min(unit.len() - start);
            self.elements.push(Element { unit, start, len });
            self.len += leb128_len(len) + len;
            start += len;
            if start < unit.len() {
                self.flags |= TO_BE_CONTINUED;
                self.flush(to);
                self.flags |= CONTINUES;
            }
        }
    }

    /// The longest element that can be added. Every one before it needs a length then.
    fn room(&self, max_payload: usize) -> usize {
        let free = max_payload.saturating_sub(1 + self.len);
        if self.elements.len() < MAX_COUNTED {
            return free;
        }
        // It needs a length itself, of as few bytes as will do.
        let mut length_len = 1;
        while leb128_len(free.saturating_sub(length_len)) > length_len {
            length_len += 1;
        }
        free.saturating_sub(length_len)
    }

    /// Writes the packet, if there is anything in it.
    fn flush(&mut self, to: &mut Writer<'_>) {
        let count = self.elements.len();
        if count == 0 {
            return;
        }
        let counted = count <= MAX_COUNTED;
        // Two bits.
        let count_bits = if counted { (count as u8) << 4 } else { 0 };
        to.put(&[self.flags | count_bits]);
        for (index, element) in self.elements.iter().enumerate() {
            if !counted || index + 1 < count {
                put_leb128(element.len, to);
            }
            element.unit.put(element.start, element.len, to);
        }
        to.end_payload();
        self.elements.clear();
        self.len = 0;
        self.flags = 0;
    }
}

/// Bytes of a `leb128()` (AV1 §4.10.5).
fn leb128_len(value: usize) -> usize {
    let bits = usize::BITS - value.leading_zeros();
    bits.div_ceil(7).max(1) as usize
}

fn put_leb128(mut value: usize, to: &mut Writer<'_>) {
    while value > 0x7f {
        to.put(&[value as u8 | 0x80]);
        value >>= 7;
    }
    to.put(&[value as u8]);
}
