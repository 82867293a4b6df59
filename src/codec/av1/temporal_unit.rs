//! A temporal unit: the OBUs of one moment, which is what a frame's payload holds.

use bytes::{BufMut, Bytes, BytesMut};

use super::config::ConfigRecord;
use super::sequence::SequenceHeader;
use super::{Obu, obu_type, obus};
use crate::codec::Malformed;
use crate::codec::bits::BitReader;

const KEY_FRAME: u32 = 0;

/// Facts about one temporal unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TemporalUnit {
    /// The sequence header, if it travels in-band.
    pub sequence_header: Option<SequenceHeader>,
    /// The first frame is a key frame that is shown: with the sequence header, a decoder can start here.
    pub is_key_frame: bool,
    /// There is a frame, or a frame is shown again.
    pub has_frame: bool,
}

impl TemporalUnit {
    /// Looks at a payload, canonical or not.
    pub fn inspect(payload: &[u8]) -> Result<Self, Malformed> {
        let mut unit = Self::default();
        for obu in obus(payload) {
            let obu = obu?;
            match obu.kind {
                obu_type::SEQUENCE_HEADER => unit.sequence_header = Some(SequenceHeader::parse(obu.payload)?),
                obu_type::FRAME | obu_type::FRAME_HEADER if !unit.has_frame => {
                    unit.has_frame = true;
                    unit.is_key_frame = unit.shows_key_frame(obu)?;
                }
                _ => {}
            }
        }
        Ok(unit)
    }

    /// The first bits of `uncompressed_header()` (§5.9.2).
    fn shows_key_frame(&self, frame: Obu<'_>) -> Result<bool, Malformed> {
        if self.sequence_header.is_some_and(|header| header.reduced_still_picture) {
            return Ok(true);
        }
        let mut reader = BitReader::new(frame.payload);
        if reader.flag("show_existing_frame")? {
            return Ok(false);
        }
        let frame_type = reader.bits("frame_type", 2)?;
        Ok(frame_type == KEY_FRAME && reader.flag("show_frame")?)
    }
}

/// The canonical form of a temporal unit: every OBU has a size field, and there is no temporal delimiter. A unit that
/// is canonical already comes back uncopied. The result is empty when there was nothing but a delimiter.
pub fn to_canonical(payload: Bytes) -> Result<Bytes, Malformed> {
    let mut canonical = true;
    for obu in obus(&payload) {
        let obu = obu?;
        canonical &= obu.sized && obu.kind != obu_type::TEMPORAL_DELIMITER;
    }
    if canonical {
        return Ok(payload);
    }
    // One OBU without size may be there, the last.
    let mut rebuilt = BytesMut::with_capacity(payload.len() + 8);
    for obu in obus(&payload) {
        let obu = obu?;
        if obu.kind != obu_type::TEMPORAL_DELIMITER {
            obu.put_sized(&mut rebuilt);
        }
    }
    Ok(rebuilt.freeze())
}

/// The temporal unit with the OBUs of `config` before it, unless it carries a sequence header itself, so that a
/// decoder can start with it. For keyframes.
pub fn with_sequence_header(payload: Bytes, config: &ConfigRecord) -> Bytes {
    let present = obus(&payload).any(|obu| obu.is_ok_and(|obu| obu.kind == obu_type::SEQUENCE_HEADER));
    if present || config.obus.is_empty() {
        return payload;
    }
    let mut whole = BytesMut::with_capacity(config.obus.len() + payload.len());
    whole.put_slice(&config.obus);
    whole.put_slice(&payload);
    whole.freeze()
}
