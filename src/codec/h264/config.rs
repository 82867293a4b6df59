//! `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1), the body of an FLV AVC sequence header.

use bytes::Bytes;

use super::{Sps, nal_type, unit_type};
use crate::codec::bits::{BitReader, without_emulation_prevention};
use crate::codec::{MAX_PARAMETER_SET, Malformed, nal};

const MAX_SPS: usize = 31;
const MAX_PPS: usize = 255;
const MAX_PPS_ID: u32 = 255;
const MAX_SPS_ID: u32 = 31;

/// The parameter sets of a stream, and how the payload frames its NAL units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// `AVCProfileIndication`.
    pub profile: u8,
    /// `profile_compatibility`: the constraint flags of the SPS.
    pub constraints: u8,
    /// `AVCLevelIndication`, ten times the level.
    pub level: u8,
    /// Bytes of a NAL unit's length in the payload: 1, 2 or 4.
    pub length_size: u8,
    /// Sequence parameter sets, at most 31.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, at most 255.
    pub pps: Vec<Bytes>,
    /// What records of the High profiles add; some writers leave it out.
    pub sample_format: Option<SampleFormat>,
    /// Sequence parameter set extensions, at most 255; only together with `sample_format`.
    pub sps_extensions: Vec<Bytes>,
}

/// Chroma format and bit depths, as the SPS has them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleFormat {
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits a luma sample.
    pub bit_depth_luma: u8,
    /// Bits a chroma sample.
    pub bit_depth_chroma: u8,
}

impl ConfigRecord {
    /// Reads a record. Parameter sets must be of the right NAL unit type, not empty and at most 64 KiB each; there may
    /// be none of them (`avc3`).
    pub fn parse(record: &[u8]) -> Result<Self, Malformed> {
        let mut reader = BitReader::new(record);
        let version = reader.byte("configurationVersion", 8)?;
        if version != 1 {
            return Err(Malformed::Invalid { element: "configurationVersion", value: version.into() });
        }
        let profile = reader.byte("AVCProfileIndication", 8)?;
        let constraints = reader.byte("profile_compatibility", 8)?;
        let level = reader.byte("AVCLevelIndication", 8)?;
        reader.skip("reserved", 6)?;
        let length_size = reader.byte("lengthSizeMinusOne", 2)? + 1;
        nal::check_length_size(length_size)?;
        reader.skip("reserved", 3)?;
        let count = reader.byte("numOfSequenceParameterSets", 5)?;
        let sps = parse_sets(&mut reader, record, count, "sequenceParameterSetNALUnit", nal_type::SPS)?;
        let count = reader.byte("numOfPictureParameterSets", 8)?;
        let pps = parse_sets(&mut reader, record, count, "pictureParameterSetNALUnit", nal_type::PPS)?;

        let mut sample_format = None;
        let mut sps_extensions = Vec::new();
        if has_sample_format(profile) && reader.remaining() >= 32 {
            reader.skip("reserved", 6)?;
            let chroma_format = reader.byte("chroma_format", 2)?;
            reader.skip("reserved", 5)?;
            let bit_depth_luma = reader.byte("bit_depth_luma_minus8", 3)? + 8;
            reader.skip("reserved", 5)?;
            let bit_depth_chroma = reader.byte("bit_depth_chroma_minus8", 3)? + 8;
            sample_format = Some(SampleFormat { chroma_format, bit_depth_luma, bit_depth_chroma });
            let count = reader.byte("numOfSequenceParameterSetExt", 8)?;
            let element = "sequenceParameterSetExtNALUnit";
            sps_extensions = parse_sets(&mut reader, record, count, element, nal_type::SPS_EXTENSION)?;
        }
        Ok(Self { profile, constraints, level, length_size, sps, pps, sample_format, sps_extensions })
    }

    /// A record for these parameter sets and 4-byte lengths. Profile and level are those of the first SPS; fails when
    /// there is none, when it cannot be read, or when a set is too long or there are too many.
    pub fn from_parameter_sets(sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, Malformed> {
        Malformed::check_max("numOfSequenceParameterSets", sps.len(), MAX_SPS)?;
        Malformed::check_max("numOfPictureParameterSets", pps.len(), MAX_PPS)?;
        for set in &sps {
            check_set("sequenceParameterSetNALUnit", set, nal_type::SPS)?;
        }
        for set in &pps {
            check_set("pictureParameterSetNALUnit", set, nal_type::PPS)?;
        }
        let record = Self {
            profile: 0,
            constraints: 0,
            level: 0,
            length_size: nal::LENGTH_SIZE,
            sps,
            pps,
            sample_format: None,
            sps_extensions: Vec::new(),
        };
        record.canonical()
    }

    /// The record that goes with canonical payloads: 4-byte lengths, and profile, level and sample format as the first
    /// SPS has them, whatever the writer of the record put there.
    pub fn canonical(mut self) -> Result<Self, Malformed> {
        let sps = self.active_sps()?;
        self.length_size = nal::LENGTH_SIZE;
        self.profile = sps.profile;
        self.constraints = sps.constraints;
        self.level = sps.level;
        self.sample_format = has_sample_format(sps.profile).then_some(SampleFormat {
            chroma_format: sps.chroma_format,
            bit_depth_luma: sps.bit_depth_luma,
            bit_depth_chroma: sps.bit_depth_chroma,
        });
        Ok(self)
    }

    /// The first sequence parameter set.
    pub fn active_sps(&self) -> Result<Sps, Malformed> {
        Sps::parse(self.sps.first().ok_or(Malformed::Missing { element: "sequence parameter set" })?)
    }

    /// An id that none of the sets has, neither a sequence nor a picture parameter set: for those of another encoder
    /// that takes turns with this one. The smallest from 1 on; 0 when all are taken.
    pub fn free_set_id(&self) -> u8 {
        let sps = self.sps.iter().map(|set| sps_id(set));
        let taken: Vec<u8> =
            sps.chain(self.pps.iter().map(|set| pps_id(set))).filter_map(Result::ok).collect();
        (1..=MAX_SPS_ID as u8).find(|id| !taken.contains(id)).unwrap_or_default()
    }

    /// The record as bytes.
    pub fn encode(&self) -> Bytes {
        let mut record =
            vec![1, self.profile, self.constraints, self.level, 0xfc | self.length_size.wrapping_sub(1) & 3];
        put_sets(&mut record, &self.sps, MAX_SPS, 0xe0);
        put_sets(&mut record, &self.pps, MAX_PPS, 0);
        if let Some(format) = self.sample_format {
            record.push(0xfc | format.chroma_format & 3);
            record.push(0xf8 | format.bit_depth_luma.wrapping_sub(8) & 7);
            record.push(0xf8 | format.bit_depth_chroma.wrapping_sub(8) & 7);
            put_sets(&mut record, &self.sps_extensions, MAX_PPS, 0);
        }
        record.into()
    }
}

/// The `seq_parameter_set_id` of an SPS.
pub(super) fn sps_id(set: &[u8]) -> Result<u8, Malformed> {
    // The id follows the header byte, profile, constraints and level; 8 bytes hold it, escapes included.
    let head = without_emulation_prevention(set.get(..set.len().min(10)).unwrap_or_default());
    let mut reader = BitReader::new(&head);
    reader.skip("seq_parameter_set_data", 32)?;
    Ok(reader.ue_max("seq_parameter_set_id", MAX_SPS_ID)? as u8)
}

/// The `pic_parameter_set_id` of a PPS.
pub(super) fn pps_id(set: &[u8]) -> Result<u8, Malformed> {
    let head = without_emulation_prevention(set.get(..set.len().min(10)).unwrap_or_default());
    let mut reader = BitReader::new(&head);
    reader.skip("NAL unit header", 8)?;
    Ok(reader.ue_max("pic_parameter_set_id", MAX_PPS_ID)? as u8)
}

/// Whether the record of a profile ends with chroma format and bit depths.
const fn has_sample_format(profile: u8) -> bool {
    !matches!(profile, 66 | 77 | 88)
}

fn check_set(element: &'static str, set: &[u8], wanted: u8) -> Result<(), Malformed> {
    // A header byte alone holds no parameter set either.
    if set.len() < 2 {
        return Err(Malformed::Empty { element });
    }
    Malformed::check_max(element, set.len(), MAX_PARAMETER_SET)?;
    if unit_type(set) != wanted {
        return Err(Malformed::Invalid { element, value: unit_type(set).into() });
    }
    match wanted {
        nal_type::SPS => sps_id(set).map(drop),
        nal_type::PPS => pps_id(set).map(drop),
        _ => Ok(()),
    }
}

fn parse_sets(
    reader: &mut BitReader<'_>,
    record: &[u8],
    count: u8,
    element: &'static str,
    wanted: u8,
) -> Result<Vec<Bytes>, Malformed> {
    let mut sets = Vec::new();
    for _ in 0..count {
        let at = reader.position() / 8;
        let len = reader.bits(element, 16)? as usize;
        let start = at + 2;
        let Some(set) = record.get(start..start + len) else {
            let remaining = reader.remaining() / 8;
            return Err(Malformed::Overrun { element, at, len: len as u64, remaining });
        };
        check_set(element, set, wanted)?;
        reader.skip(element, len * 8)?;
        sets.push(Bytes::copy_from_slice(set));
    }
    Ok(sets)
}

/// Writes a count, with the bits of `marker` set, and that many sets. The fields are public: more sets than the count
/// can say, or longer ones than the length can say, are left out.
fn put_sets(record: &mut Vec<u8>, sets: &[Bytes], max: usize, marker: u8) {
    let sets: Vec<_> =
        sets.iter().filter_map(|set| Some((u16::try_from(set.len()).ok()?, set))).take(max).collect();
    record.push(marker | sets.len() as u8);
    for (len, set) in sets {
        record.extend_from_slice(&len.to_be_bytes());
        record.extend_from_slice(set);
    }
}
