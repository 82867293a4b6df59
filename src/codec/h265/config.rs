//! `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1).

use bytes::Bytes;

use super::{Profile, Sps, nal_type, unit_type};
use crate::codec::bits::{BitReader, without_emulation_prevention};
use crate::codec::{MAX_PARAMETER_SET, Malformed, nal};

/// Arrays in a record: one each for VPS, SPS, PPS and two kinds of SEI, and room for what is to come.
const MAX_ARRAYS: usize = 16;
const MAX_VPS: usize = 16;
const MAX_SPS: usize = 16;
const MAX_PPS: usize = 64;
const MAX_SEI: usize = 16;
const COMPLETE: u8 = 0x80;

/// The parameter sets of a stream, and how the payload frames its NAL units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// Profile, tier and level.
    pub profile: Profile,
    /// `min_spatial_segmentation_idc`, 12 bits.
    pub min_spatial_segmentation: u16,
    /// `parallelismType`: 0 unknown or mixed, 1 slices, 2 tiles, 3 wavefronts.
    pub parallelism: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format: u8,
    /// Bits a luma sample.
    pub bit_depth_luma: u8,
    /// Bits a chroma sample.
    pub bit_depth_chroma: u8,
    /// `avgFrameRate` in frames per 256 seconds, 0 when unknown.
    pub average_frame_rate: u16,
    /// `constantFrameRate`, 0 to 2.
    pub constant_frame_rate: u8,
    /// `numTemporalLayers`, 0 when unknown.
    pub temporal_layers: u8,
    /// `temporalIdNested`.
    pub temporal_id_nested: bool,
    /// Bytes of a NAL unit's length in the payload: 1, 2 or 4.
    pub length_size: u8,
    /// `array_completeness` of the parameter sets: none travel in-band (`hvc1`, as against `hev1`).
    pub complete: bool,
    /// Video parameter sets, at most 16.
    pub vps: Vec<Bytes>,
    /// Sequence parameter sets, at most 16.
    pub sps: Vec<Bytes>,
    /// Picture parameter sets, at most 64.
    pub pps: Vec<Bytes>,
    /// SEI that holds for the whole stream, at most 16.
    pub sei: Vec<Bytes>,
}

impl ConfigRecord {
    /// Reads a record. Parameter sets must be of their array's NAL unit type, not empty and at most 64 KiB each; there
    /// may be none of them (`hev1`). Arrays of other kinds are passed over.
    pub fn parse(record: &[u8]) -> Result<Self, Malformed> {
        let mut reader = BitReader::new(record);
        let version = reader.byte("configurationVersion", 8)?;
        // Writers that follow the drafts of the format say 0.
        if version > 1 {
            return Err(Malformed::Invalid { element: "configurationVersion", value: version.into() });
        }
        let profile = Profile::parse_general(&mut reader)?;
        reader.skip("reserved", 4)?;
        let min_spatial_segmentation = reader.bits("min_spatial_segmentation_idc", 12)? as u16;
        reader.skip("reserved", 6)?;
        let parallelism = reader.byte("parallelismType", 2)?;
        reader.skip("reserved", 6)?;
        let chroma_format = reader.byte("chroma_format_idc", 2)?;
        reader.skip("reserved", 5)?;
        let bit_depth_luma = reader.byte("bit_depth_luma_minus8", 3)? + 8;
        reader.skip("reserved", 5)?;
        let bit_depth_chroma = reader.byte("bit_depth_chroma_minus8", 3)? + 8;
        let average_frame_rate = reader.bits("avgFrameRate", 16)? as u16;
        let constant_frame_rate = reader.byte("constantFrameRate", 2)?;
        let temporal_layers = reader.byte("numTemporalLayers", 3)?;
        let temporal_id_nested = reader.flag("temporalIdNested")?;
        let length_size = reader.byte("lengthSizeMinusOne", 2)? + 1;
        nal::check_length_size(length_size)?;
        let mut config = Self {
            profile,
            min_spatial_segmentation,
            parallelism,
            chroma_format,
            bit_depth_luma,
            bit_depth_chroma,
            average_frame_rate,
            constant_frame_rate,
            temporal_layers,
            temporal_id_nested,
            length_size,
            complete: true,
            vps: Vec::new(),
            sps: Vec::new(),
            pps: Vec::new(),
            sei: Vec::new(),
        };
        let arrays = reader.byte("numOfArrays", 8)?;
        Malformed::check_max("numOfArrays", arrays.into(), MAX_ARRAYS)?;
        for _ in 0..arrays {
            config.parse_array(&mut reader, record)?;
        }
        Ok(config)
    }

    /// A record for these parameter sets and 4-byte lengths. Fails when there is no SPS, when the first cannot be
    /// read, or when a set is too long or there are too many.
    pub fn from_parameter_sets(vps: Vec<Bytes>, sps: Vec<Bytes>, pps: Vec<Bytes>) -> Result<Self, Malformed> {
        let kinds = [(nal_type::VPS, &vps), (nal_type::SPS, &sps), (nal_type::PPS, &pps)];
        for (kind, sets) in kinds {
            Malformed::check_max("numNalus", sets.len(), max_sets(kind))?;
            for set in sets {
                check_set(kind, set)?;
            }
        }
        let first = Sps::parse(sps.first().ok_or(Malformed::Missing { element: "sequence parameter set" })?)?;
        let config = Self {
            profile: first.profile,
            min_spatial_segmentation: 0,
            parallelism: 0,
            chroma_format: first.chroma_format,
            bit_depth_luma: first.bit_depth_luma,
            bit_depth_chroma: first.bit_depth_chroma,
            average_frame_rate: 0,
            constant_frame_rate: 0,
            temporal_layers: first.max_sub_layers,
            temporal_id_nested: first.temporal_id_nesting,
            length_size: nal::LENGTH_SIZE,
            complete: false,
            vps,
            sps,
            pps,
            sei: Vec::new(),
        };
        Ok(config)
    }

    /// The record that goes with canonical payloads: 4-byte lengths, and profile and sample format as the first SPS has
    /// them, whatever the writer of the record put there.
    pub fn canonical(mut self) -> Result<Self, Malformed> {
        let sps = self.active_sps()?;
        self.length_size = nal::LENGTH_SIZE;
        self.profile = sps.profile;
        self.chroma_format = sps.chroma_format;
        self.bit_depth_luma = sps.bit_depth_luma;
        self.bit_depth_chroma = sps.bit_depth_chroma;
        Ok(self)
    }

    /// The first sequence parameter set.
    pub fn active_sps(&self) -> Result<Sps, Malformed> {
        Sps::parse(self.sps.first().ok_or(Malformed::Missing { element: "sequence parameter set" })?)
    }

    /// The record as bytes.
    pub fn encode(&self) -> Bytes {
        let mut record = vec![1];
        self.profile.put(&mut record);
        record.extend_from_slice(&(0xf000 | self.min_spatial_segmentation & 0xfff).to_be_bytes());
        record.push(0xfc | self.parallelism & 3);
        record.push(0xfc | self.chroma_format & 3);
        record.push(0xf8 | self.bit_depth_luma.wrapping_sub(8) & 7);
        record.push(0xf8 | self.bit_depth_chroma.wrapping_sub(8) & 7);
        record.extend_from_slice(&self.average_frame_rate.to_be_bytes());
        let nested = u8::from(self.temporal_id_nested);
        let length_size = self.length_size.wrapping_sub(1) & 3;
        record.push(
            self.constant_frame_rate << 6 | (self.temporal_layers & 7) << 3 | nested << 2 | length_size,
        );
        let of_kind = |kind| self.sei.iter().filter(move |sei| unit_type(sei) == kind);
        let arrays: [(u8, Vec<&Bytes>); 5] = [
            (nal_type::VPS, self.vps.iter().collect()),
            (nal_type::SPS, self.sps.iter().collect()),
            (nal_type::PPS, self.pps.iter().collect()),
            (nal_type::PREFIX_SEI, of_kind(nal_type::PREFIX_SEI).collect()),
            (nal_type::SUFFIX_SEI, of_kind(nal_type::SUFFIX_SEI).collect()),
        ];
        record.push(arrays.iter().filter(|(_, sets)| !sets.is_empty()).count() as u8);
        for (kind, sets) in arrays.iter().filter(|(_, sets)| !sets.is_empty()) {
            put_array(&mut record, *kind, sets, self.complete);
        }
        record.into()
    }

    fn parse_array(&mut self, reader: &mut BitReader<'_>, record: &[u8]) -> Result<(), Malformed> {
        let complete = reader.flag("array_completeness")?;
        reader.skip("reserved", 1)?;
        let kind = reader.byte("NAL_unit_type", 6)?;
        let count = reader.bits("numNalus", 16)? as usize;
        let max = max_sets(kind);
        Malformed::check_max("numNalus", count, max)?;
        for _ in 0..count {
            let at = reader.position() / 8;
            let len = reader.bits("nalUnitLength", 16)? as usize;
            let Some(set) = record.get(at + 2..at + 2 + len) else {
                let remaining = reader.remaining() / 8;
                return Err(Malformed::Overrun { element: "nalUnit", at, len: len as u64, remaining });
            };
            check_set(kind, set)?;
            reader.skip("nalUnit", len * 8)?;
            let sets = match kind {
                nal_type::VPS => &mut self.vps,
                nal_type::SPS => &mut self.sps,
                nal_type::PPS => &mut self.pps,
                nal_type::PREFIX_SEI | nal_type::SUFFIX_SEI => &mut self.sei,
                _ => continue,
            };
            // A kind may be spread over several arrays.
            Malformed::check_max("numNalus", sets.len() + 1, max)?;
            sets.push(Bytes::copy_from_slice(set));
            if matches!(kind, nal_type::VPS..=nal_type::PPS) {
                self.complete &= complete;
            }
        }
        Ok(())
    }
}

/// `vps_video_parameter_set_id` of a VPS.
pub(super) fn vps_id(set: &[u8]) -> Result<u8, Malformed> {
    let mut reader = BitReader::new(set);
    reader.skip("NAL unit header", 16)?;
    reader.byte("vps_video_parameter_set_id", 4)
}

/// `sps_seq_parameter_set_id` of an SPS.
pub(super) fn sps_id(set: &[u8]) -> Result<u8, Malformed> {
    // The id follows profiles of up to seven sub-layers, at most 112 bytes with escapes a half more.
    let head = without_emulation_prevention(set.get(..set.len().min(192)).unwrap_or_default());
    let mut reader = BitReader::new(&head);
    Sps::parse_to_id(&mut reader).map(|(_, id)| id)
}

/// `pps_pic_parameter_set_id` of a PPS.
pub(super) fn pps_id(set: &[u8]) -> Result<u8, Malformed> {
    let head = without_emulation_prevention(set.get(..set.len().min(10)).unwrap_or_default());
    let mut reader = BitReader::new(&head);
    reader.skip("NAL unit header", 16)?;
    Ok(reader.ue_max("pps_pic_parameter_set_id", 63)? as u8)
}

const fn max_sets(kind: u8) -> usize {
    match kind {
        nal_type::VPS => MAX_VPS,
        nal_type::SPS => MAX_SPS,
        nal_type::PPS => MAX_PPS,
        _ => MAX_SEI,
    }
}

fn check_set(kind: u8, set: &[u8]) -> Result<(), Malformed> {
    let element = match kind {
        nal_type::VPS => "video parameter set",
        nal_type::SPS => "sequence parameter set",
        nal_type::PPS => "picture parameter set",
        _ => "nalUnit",
    };
    // The two header bytes alone hold nothing.
    if set.len() < 3 {
        return Err(Malformed::Empty { element });
    }
    Malformed::check_max(element, set.len(), MAX_PARAMETER_SET)?;
    if unit_type(set) != kind {
        return Err(Malformed::Invalid { element: "nal_unit_type", value: unit_type(set).into() });
    }
    match kind {
        nal_type::VPS => vps_id(set).map(drop),
        nal_type::SPS => sps_id(set).map(drop),
        nal_type::PPS => pps_id(set).map(drop),
        _ => Ok(()),
    }
}

/// The fields are public: sets too long for the length field, or too many for the kind, are left out.
fn put_array(record: &mut Vec<u8>, kind: u8, sets: &[&Bytes], complete: bool) {
    let max = max_sets(kind);
    let sets: Vec<_> =
        sets.iter().filter_map(|set| Some((u16::try_from(set.len()).ok()?, set))).take(max).collect();
    record.push(kind | if complete { COMPLETE } else { 0 });
    record.extend_from_slice(&(sets.len() as u16).to_be_bytes());
    for (len, set) in sets {
        record.extend_from_slice(&len.to_be_bytes());
        record.extend_from_slice(set);
    }
}
