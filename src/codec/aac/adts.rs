//! The header of the Audio Data Transport Stream (ISO/IEC 14496-3 §1.A.2.2).

use bytes::Bytes;

use super::config::{channels, indexed_sample_rate};
use crate::codec::Malformed;
use crate::codec::bits::BitReader;

const SYNC_WORD: u32 = 0xfff;
const HEADER_LEN: usize = 7;
const CHECKSUM_LEN: usize = 2;

/// An ADTS header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdtsHeader {
    /// Audio object type, 1 to 4.
    pub object_type: u8,
    /// Samples a second of the core coder.
    pub sample_rate: u32,
    /// Channels; 0 when the access unit itself tells.
    pub channels: u8,
    /// Bytes of the header, checksum included: 7 or 9.
    pub header_len: usize,
    /// Bytes of the frame, header included.
    pub frame_len: usize,
}

impl AdtsHeader {
    /// Reads the header of a frame with one access unit; several in one frame are not used by anyone and are refused.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut BitReader::new(frame);
        let sync_word = reader.bits("syncword", 12)?;
        if sync_word != SYNC_WORD {
            return Err(Malformed::Invalid { element: "syncword", value: sync_word.into() });
        }
        reader.skip("ID", 1)?;
        let layer = reader.byte("layer", 2)?;
        if layer != 0 {
            return Err(Malformed::Invalid { element: "layer", value: layer.into() });
        }
        let protected = !reader.flag("protection_absent")?;
        let object_type = reader.byte("profile_ObjectType", 2)? + 1;
        let sample_rate = indexed_sample_rate(reader.byte("sampling_frequency_index", 4)?)?;
        reader.skip("private_bit", 1)?;
        let channels = match reader.byte("channel_configuration", 3)? {
            0 => 0,
            configuration => channels(configuration)?,
        };
        reader.skip("original_copy, home and copyright", 4)?;
        let frame_len = reader.bits("aac_frame_length", 13)? as usize;
        reader.skip("adts_buffer_fullness", 11)?;
        let blocks = reader.byte("number_of_raw_data_blocks_in_frame", 2)?;
        Malformed::check_max("number_of_raw_data_blocks_in_frame", blocks.into(), 0)?;
        let header_len = if protected { HEADER_LEN + CHECKSUM_LEN } else { HEADER_LEN };
        if frame_len < header_len {
            return Err(Malformed::Invalid { element: "aac_frame_length", value: frame_len as u64 });
        }
        Ok(Self { object_type, sample_rate, channels, header_len, frame_len })
    }
}

/// The raw access unit of a payload that may have an ADTS header before it; uncopied.
///
/// A raw access unit begins with the three bits of an element's id; all ones say that it ends there, so only an empty
/// one could be taken for the sync word. The length in the header must be that of the payload as well.
pub fn strip_adts(payload: Bytes) -> Bytes {
    match AdtsHeader::parse(&payload) {
        Ok(header) if header.frame_len == payload.len() => payload.slice(header.header_len..),
        _ => payload,
    }
}
