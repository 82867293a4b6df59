//! `AV1CodecConfigurationRecord` (AV1 Codec ISO Media File Format Binding §2.3.3).

use bytes::{BufMut, Bytes, BytesMut};

use super::sequence::SequenceHeader;
use super::{obu_type, obus};
use crate::codec::bits::BitReader;
use crate::codec::{MAX_PARAMETER_SET, Malformed};

const VERSION: u8 = 1;
const HEADER_LEN: usize = 4;

/// What a decoder must know before the first temporal unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx_0`; 31 when the level is not bounded.
    pub level: u8,
    /// `seq_tier_0`: the High tier.
    pub high_tier: bool,
    /// Bits a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `mono_chrome`: there is no chroma.
    pub monochrome: bool,
    /// `chroma_subsampling_x` and `chroma_subsampling_y`.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position`: 0 unknown, 1 vertical, 2 co-located.
    pub chroma_position: u8,
    /// `initial_presentation_delay`, 1 to 16 frames.
    pub presentation_delay: Option<u8>,
    /// `configOBUs`: the sequence header first, perhaps metadata; empty when both come in-band only. At most 64 KiB.
    pub obus: Bytes,
}

impl ConfigRecord {
    /// Reads a record; its OBUs must be framed correctly.
    pub fn parse(record: &[u8]) -> Result<Self, Malformed> {
        let mut reader = BitReader::new(record);
        let marker = reader.flag("marker")?;
        let version = reader.byte("version", 7)?;
        if !marker || version != VERSION {
            let value = u64::from(marker) << 7 | u64::from(version);
            return Err(Malformed::Invalid { element: "marker and version", value });
        }
        let profile = reader.byte("seq_profile", 3)?;
        Malformed::check_max("seq_profile", profile.into(), 2)?;
        let level = reader.byte("seq_level_idx_0", 5)?;
        let high_tier = reader.flag("seq_tier_0")?;
        let high_bit_depth = reader.flag("high_bitdepth")?;
        let twelve_bit = reader.flag("twelve_bit")?;
        let monochrome = reader.flag("monochrome")?;
        let subsampling = (reader.flag("chroma_subsampling_x")?, reader.flag("chroma_subsampling_y")?);
        let chroma_position = reader.byte("chroma_sample_position", 2)?;
        reader.skip("reserved", 3)?;
        let delay_present = reader.flag("initial_presentation_delay_present")?;
        let delay = reader.byte("initial_presentation_delay_minus_one", 4)?;
        let config_obus = record.get(HEADER_LEN..).unwrap_or_default();
        Malformed::check_max("configOBUs", config_obus.len(), MAX_PARAMETER_SET)?;
        for obu in obus(config_obus) {
            obu?;
        }
        Ok(Self {
            profile,
            level,
            high_tier,
            bit_depth: match (high_bit_depth, twelve_bit) {
                (true, true) => 12,
                (true, false) => 10,
                _ => 8,
            },
            monochrome,
            subsampling,
            chroma_position,
            presentation_delay: delay_present.then_some(delay + 1),
            obus: Bytes::copy_from_slice(config_obus),
        })
    }

    /// A record for a stream with this sequence header OBU payload.
    pub fn from_sequence_header(payload: &[u8]) -> Result<Self, Malformed> {
        Malformed::check_max("sequence header", payload.len(), MAX_PARAMETER_SET - 4)?;
        let header = SequenceHeader::parse(payload)?;
        let mut obus = BytesMut::new();
        let kind = obu_type::SEQUENCE_HEADER;
        super::Obu { kind, extension: None, sized: true, payload }.put_sized(&mut obus);
        Ok(Self {
            profile: header.profile,
            level: header.level,
            high_tier: header.high_tier,
            bit_depth: header.bit_depth,
            monochrome: header.monochrome,
            subsampling: header.subsampling,
            chroma_position: header.chroma_position,
            presentation_delay: None,
            obus: obus.freeze(),
        })
    }

    /// The record with all OBUs sized and without temporal delimiters, and with what its sequence header says, whatever
    /// the writer of the record put there.
    pub fn canonical(self) -> Result<Self, Malformed> {
        let obus = super::to_canonical(self.obus.clone())?;
        let Some(header) = self.sequence_header()? else { return Ok(Self { obus, ..self }) };
        Ok(Self {
            profile: header.profile,
            level: header.level,
            high_tier: header.high_tier,
            bit_depth: header.bit_depth,
            monochrome: header.monochrome,
            subsampling: header.subsampling,
            chroma_position: header.chroma_position,
            presentation_delay: self.presentation_delay,
            obus,
        })
    }

    /// The sequence header, if the record has one.
    pub fn sequence_header(&self) -> Result<Option<SequenceHeader>, Malformed> {
        for obu in obus(&self.obus) {
            let obu = obu?;
            if obu.kind == obu_type::SEQUENCE_HEADER {
                return SequenceHeader::parse(obu.payload).map(Some);
            }
        }
        Ok(None)
    }

    /// The record as bytes.
    pub fn encode(&self) -> Bytes {
        let mut record = BytesMut::with_capacity(HEADER_LEN + self.obus.len());
        record.put_u8(0x80 | VERSION);
        record.put_u8(self.profile << 5 | self.level & 0x1f);
        let flags = [
            self.high_tier,
            self.bit_depth > 8,
            self.bit_depth > 10,
            self.monochrome,
            self.subsampling.0,
            self.subsampling.1,
        ];
        let flags = flags.iter().fold(0, |bits, &flag| bits << 1 | u8::from(flag));
        record.put_u8(flags << 2 | self.chroma_position & 3);
        record.put_u8(self.presentation_delay.map_or(0, |delay| 0x10 | delay.wrapping_sub(1) & 0xf));
        record.put_slice(&self.obus);
        record.freeze()
    }
}
