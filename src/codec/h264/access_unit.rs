//! What an access unit is, told from its NAL unit headers and the first bits of its slices.

use bytes::Bytes;

use super::config::{ConfigRecord, pps_id, sps_id};
use super::{nal_type, unit_type};
use crate::codec::Malformed;
use crate::codec::bits::{BitReader, without_emulation_prevention};
use crate::codec::nal::{self, Role, SetId};

const SEI_RECOVERY_POINT: usize = 6;
/// A SEI NAL unit is searched this far for a recovery point: encoders put it before their large messages.
const SEI_SEARCHED: usize = 4096;

/// Facts about one access unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// An IDR picture: nothing after it refers to anything before it.
    pub is_idr: bool,
    /// SPS and PPS both travel in-band.
    pub has_parameter_sets: bool,
    /// Other pictures may refer to this one (`nal_ref_idc` is not zero).
    pub is_reference: bool,
    /// There is a slice: without one the unit holds no picture.
    pub has_picture: bool,
    /// A slice may predict from two pictures.
    pub has_b_slices: bool,
    /// Every slice is an intra slice.
    pub is_intra: bool,
    /// `recovery_frame_cnt` of a recovery point SEI: decoding may start here, and is right after that many frames. The
    /// only entry points of streams with open GOPs or intra refresh.
    pub recovery_point: Option<u32>,
}

impl AccessUnit {
    /// A decoder can start here: an IDR picture, or the entry point of an open GOP, at which pictures shown before
    /// this one may be lost. Encoders with open GOPs send no IDR picture after the first.
    pub fn is_random_access(&self) -> bool {
        self.is_idr || (self.is_intra && self.recovery_point == Some(0))
    }

    /// Looks at a canonical payload.
    pub fn inspect(payload: &[u8]) -> Result<Self, Malformed> {
        let mut unit = Self { is_intra: true, ..Self::default() };
        let (mut sps, mut pps) = (false, false);
        for nal in nal::units(payload) {
            let nal = nal?;
            match unit_type(nal) {
                nal_type::SLICE | nal_type::SLICE_PARTITION_A => unit.add_slice(nal)?,
                nal_type::IDR_SLICE => {
                    unit.is_idr = true;
                    unit.add_slice(nal)?;
                }
                nal_type::SEI => unit.recovery_point = unit.recovery_point.or_else(|| recovery_point(nal)),
                nal_type::SPS => sps = true,
                nal_type::PPS => pps = true,
                _ => {}
            }
        }
        unit.has_parameter_sets = sps && pps;
        unit.is_intra &= unit.has_picture;
        Ok(unit)
    }

    fn add_slice(&mut self, nal: &[u8]) -> Result<(), Malformed> {
        self.has_picture = true;
        self.is_reference |= nal.first().is_some_and(|header| header & 0x60 != 0);
        // Two codes of at most 63 bits and 7 bits, escapes included.
        let head = without_emulation_prevention(nal.get(1..nal.len().min(16)).unwrap_or_default());
        let mut reader = BitReader::new(&head);
        reader.ue("first_mb_in_slice")?;
        // 0 to 4 are P, B, I, SP and SI; 5 to 9 the same, when all slices of the picture are so (table 7-6).
        match reader.ue_max("slice_type", 9)? % 5 {
            1 => (self.has_b_slices, self.is_intra) = (true, false),
            2 | 4 => {}
            _ => self.is_intra = false,
        }
        Ok(())
    }
}

/// The payload with those parameter sets of `config` that it does not carry itself, so that a decoder can start with it:
/// after the access unit delimiter if there is one. For keyframes. Not copied when nothing is missing.
pub fn with_parameter_sets(payload: Bytes, config: &ConfigRecord) -> Bytes {
    nal::with_missing_sets(payload, config.sps.iter().chain(&config.pps), role)
}

fn role(nal: &[u8]) -> Role {
    let set = |rank, id: Result<u8, Malformed>| id.map_or(Role::Other, |id| Role::Set(SetId { rank, id }));
    match unit_type(nal) {
        nal_type::DELIMITER => Role::Delimiter,
        nal_type::SPS => set(0, sps_id(nal)),
        nal_type::PPS => set(1, pps_id(nal)),
        nal_type::SLICE..=nal_type::IDR_SLICE => Role::Slice,
        _ => Role::Other,
    }
}

/// `recovery_frame_cnt`, if the SEI NAL unit has a recovery point message (§7.3.2.3.1, §D.1.8). SEI that makes no
/// sense has none: players pass over it.
fn recovery_point(nal: &[u8]) -> Option<u32> {
    let plain = without_emulation_prevention(nal.get(1..nal.len().min(SEI_SEARCHED))?);
    let mut rest = &plain[..];
    // More than the trailing bits must be left.
    while rest.len() > 1 {
        let (kind, after) = split_sei_number(rest)?;
        let (len, after) = split_sei_number(after)?;
        if kind == SEI_RECOVERY_POINT {
            return BitReader::new(after).ue_max("recovery_frame_cnt", u16::MAX.into()).ok();
        }
        rest = after.get(len..)?;
    }
    None
}

/// A number coded as any count of 255s and a last byte, and what follows it.
fn split_sei_number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let full = bytes.iter().take_while(|&&byte| byte == 255).count();
    let (last, rest) = bytes.get(full..)?.split_first()?;
    Some((full * 255 + usize::from(*last), rest))
}
