//! What an access unit is, told from its NAL unit headers.

use bytes::Bytes;

use super::config::{ConfigRecord, pps_id, sps_id, vps_id};
use super::{nal_type, unit_type};
use crate::codec::Malformed;
use crate::codec::nal::{self, Role, SetId};

/// Whether decoding can start at a picture, and what becomes of the pictures around it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RandomAccess {
    /// Decoding cannot start here.
    #[default]
    None,
    /// IDR: nothing after it refers to anything before it.
    Idr,
    /// CRA, an open GOP: pictures shown before it may refer to what came before.
    Cra,
    /// BLA: as CRA, with what came before known to be lost.
    Bla,
}

/// Whether a picture leads: it follows an IRAP picture in decoding order and precedes it in output order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Leading {
    /// It does not.
    #[default]
    No,
    /// RADL: decodable from its IRAP picture on.
    Decodable,
    /// RASL: to be left out when decoding starts at its IRAP picture, or after a splice.
    Skipped,
}

/// Facts about one access unit. Slice types are not among them: encoders code pictures without reordering as B slices
/// too, so they tell nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessUnit {
    /// Whether decoding can start here.
    pub random_access: RandomAccess,
    /// Whether this is a leading picture.
    pub leading: Leading,
    /// VPS, SPS and PPS all travel in-band.
    pub has_parameter_sets: bool,
    /// Pictures of the same temporal sub-layer may refer to this one.
    pub is_reference: bool,
    /// There is a slice: without one the unit holds no picture.
    pub has_picture: bool,
    /// `TemporalId`, 0 to 6.
    pub temporal_id: u8,
}

impl AccessUnit {
    /// Looks at a canonical payload.
    pub fn inspect(payload: &[u8]) -> Result<Self, Malformed> {
        let mut unit = Self::default();
        let (mut vps, mut sps, mut pps) = (false, false, false);
        for nal in nal::units(payload) {
            let nal = nal?;
            match unit_type(nal) {
                nal_type::VPS => vps = true,
                nal_type::SPS => sps = true,
                nal_type::PPS => pps = true,
                kind @ ..=nal_type::SLICE_LAST => unit.add_slice(nal, kind)?,
                _ => {}
            }
        }
        unit.has_parameter_sets = vps && sps && pps;
        Ok(unit)
    }

    /// An IRAP picture: decoding can start here.
    pub fn is_irap(&self) -> bool {
        self.random_access != RandomAccess::None
    }

    /// No picture at all refers to this one, in a stream of `max_sub_layers` temporal sub-layers (from the SPS).
    pub fn is_disposable(&self, max_sub_layers: u8) -> bool {
        self.has_picture && !self.is_reference && self.temporal_id + 1 >= max_sub_layers
    }

    fn add_slice(&mut self, nal: &[u8], kind: u8) -> Result<(), Malformed> {
        let Some(&[first, second]) = nal.first_chunk() else {
            return Err(Malformed::Truncated { element: "NAL unit header", bit: 0 });
        };
        let temporal_id_plus1 = second & 7;
        if temporal_id_plus1 == 0 {
            return Err(Malformed::Invalid { element: "nuh_temporal_id_plus1", value: 0 });
        }
        // Layers above the base are not decoded by anyone here.
        let layer = (first & 1) << 5 | second >> 3;
        if layer != 0 {
            return Ok(());
        }
        self.has_picture = true;
        self.temporal_id = temporal_id_plus1 - 1;
        // Up to 15 even types are sub-layer non-reference pictures (table 7-1).
        self.is_reference |= kind > 15 || kind % 2 == 1;
        self.leading = match kind {
            nal_type::RADL_N | nal_type::RADL_R => Leading::Decodable,
            nal_type::RASL_N | nal_type::RASL_R => Leading::Skipped,
            _ => Leading::No,
        };
        self.random_access = match kind {
            nal_type::BLA_W_LP..=nal_type::BLA_N_LP => RandomAccess::Bla,
            nal_type::IDR_W_RADL | nal_type::IDR_N_LP => RandomAccess::Idr,
            nal_type::CRA..=nal_type::IRAP_LAST => RandomAccess::Cra,
            _ => RandomAccess::None,
        };
        Ok(())
    }
}

/// The payload with those parameter sets of `config` that it does not carry itself, so that a decoder can start with it:
/// after the access unit delimiter if there is one. For keyframes. Not copied when nothing is missing.
pub fn with_parameter_sets(payload: Bytes, config: &ConfigRecord) -> Bytes {
    nal::with_missing_sets(payload, config.vps.iter().chain(&config.sps).chain(&config.pps), role)
}

fn role(nal: &[u8]) -> Role {
    let set = |rank, id: Result<u8, Malformed>| id.map_or(Role::Other, |id| Role::Set(SetId { rank, id }));
    match unit_type(nal) {
        nal_type::DELIMITER => Role::Delimiter,
        nal_type::VPS => set(0, vps_id(nal)),
        nal_type::SPS => set(1, sps_id(nal)),
        nal_type::PPS => set(2, pps_id(nal)),
        ..=nal_type::SLICE_LAST => Role::Slice,
        _ => Role::Other,
    }
}
