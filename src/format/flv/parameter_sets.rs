//! Parameter sets that travel in-band, and the configuration record that goes with them.

use bytes::Bytes;

use crate::codec::{Malformed, av1, h264, h265, nal};
use crate::media::Codec;

/// The configuration record that goes with the parameter sets in `payload`, if some of them are not in `config`.
pub(super) fn changed_config(
    codec: Codec,
    config: &[u8],
    payload: &[u8],
) -> Result<Option<Bytes>, Malformed> {
    match codec {
        Codec::H264 => changed_h264(config, payload),
        Codec::H265 => changed_h265(config, payload),
        Codec::Av1 => changed_av1(config, payload),
        Codec::Vp8 | Codec::Vp9 | Codec::Aac | Codec::Opus => Ok(None),
    }
}

fn changed_h264(config: &[u8], payload: &[u8]) -> Result<Option<Bytes>, Malformed> {
    let [sps, pps] = sets(payload, h264::unit_type, [h264::nal_type::SPS, h264::nal_type::PPS])?;
    if sps.is_empty() && pps.is_empty() {
        return Ok(None);
    }
    let record = h264::ConfigRecord::parse(config)?;
    if is_within(&sps, &record.sps) && is_within(&pps, &record.pps) {
        return Ok(None);
    }
    let record = h264::ConfigRecord::from_parameter_sets(merged(&sps, record.sps), merged(&pps, record.pps))?;
    Ok(Some(record.encode()))
}

fn changed_h265(config: &[u8], payload: &[u8]) -> Result<Option<Bytes>, Malformed> {
    use h265::nal_type::{PPS, SPS, VPS};
    let [vps, sps, pps] = sets(payload, h265::unit_type, [VPS, SPS, PPS])?;
    if vps.is_empty() && sps.is_empty() && pps.is_empty() {
        return Ok(None);
    }
    let record = h265::ConfigRecord::parse(config)?;
    if is_within(&vps, &record.vps) && is_within(&sps, &record.sps) && is_within(&pps, &record.pps) {
        return Ok(None);
    }
    let record = h265::ConfigRecord::from_parameter_sets(
        merged(&vps, record.vps),
        merged(&sps, record.sps),
        merged(&pps, record.pps),
    )?;
    Ok(Some(record.encode()))
}

fn changed_av1(config: &[u8], payload: &[u8]) -> Result<Option<Bytes>, Malformed> {
    let Some(in_band) = sequence_header(payload)? else { return Ok(None) };
    let record = av1::ConfigRecord::parse(config)?;
    if sequence_header(&record.obus)? == Some(in_band) {
        return Ok(None);
    }
    Ok(Some(av1::ConfigRecord::from_sequence_header(in_band)?.encode()))
}

fn sequence_header(obus: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    for obu in av1::obus(obus) {
        let obu = obu?;
        if obu.kind == av1::obu_type::SEQUENCE_HEADER {
            return Ok(Some(obu.payload));
        }
    }
    Ok(None)
}

/// The parameter sets of the given types in a payload, each once.
fn sets<const N: usize>(
    payload: &[u8],
    unit_type: fn(&[u8]) -> u8,
    types: [u8; N],
) -> Result<[Vec<&[u8]>; N], Malformed> {
    let mut found = [const { Vec::new() }; N];
    for unit in nal::units(payload) {
        let unit = unit?;
        for (sets, wanted) in found.iter_mut().zip(types) {
            if unit_type(unit) == wanted && !sets.contains(&unit) {
                sets.push(unit);
            }
        }
    }
    Ok(found)
}

fn is_within(sets: &[&[u8]], known: &[Bytes]) -> bool {
    sets.iter().all(|set| known.iter().any(|known| known == set))
}

/// The sets in-band where there are any, else those known.
fn merged(in_band: &[&[u8]], known: Vec<Bytes>) -> Vec<Bytes> {
    if in_band.is_empty() { known } else { in_band.iter().map(|set| Bytes::copy_from_slice(set)).collect() }
}
