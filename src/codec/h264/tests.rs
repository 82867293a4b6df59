//! Tests of the H.264 parsers, on x264's streams and on parameter sets made to break them.

use bytes::Bytes;

use super::*;
use crate::codec::bits::{BitWriter, with_emulation_prevention};
use crate::codec::samples::hex;
use crate::codec::{MAX_DIMENSION, Malformed, nal};

// -i color=c=gray:s=64x64:r=10:d=2.5 -c:v libx264 -profile:v baseline -x264opts keyint=8:scenecut=0:repeat-headers=1:aud=1
const AUD: &str = "0910";
const SPS: &str = "6742c00ad90426c044000003000400000300503c489920";
const PPS: &str = "68cb83cb20";
const IDR: &str = "6588840ff2628000803c9c9c9d75d75d75d75d75d75e";
// -c:v libx264 -x264opts open-gop=1:keyint=8:min-keyint=8:bframes=3:b-adapt=0:scenecut=0:b-pyramid=none:aud=1
const P_UNIT: &str = "0000000209300000000a419a28d8821ffeaa57de";
const B_UNIT: &str = "00000002095000000008019e42f21bff077d";
const OPEN_GOP_UNIT: &str =
    "00000002091000000005060601c48000000020418894009ffffef7b18f813b145973a8a7a1fc35d816ea4da1449881f93be919";

fn payload(units: &[&str]) -> Bytes {
    nal::join(units.iter().map(|unit| hex(unit)).collect::<Vec<_>>().iter().map(Vec::as_slice))
}

fn config() -> ConfigRecord {
    ConfigRecord::from_parameter_sets(vec![hex(SPS).into()], vec![hex(PPS).into()]).unwrap()
}

/// The fields of an SPS that tests vary; the defaults are 64×64, progressive, with one reference frame.
struct Fields {
    profile: u8,
    constraints: u8,
    log2_frame_num: u32,
    order_type: u32,
    reference_frames: u32,
    macroblocks: (u32, u32),
    frame_mbs_only: bool,
    crop: Option<[u32; 4]>,
}

const FIELDS: Fields = Fields {
    profile: 77,
    constraints: 0,
    log2_frame_num: 0,
    order_type: 0,
    reference_frames: 1,
    macroblocks: (4, 4),
    frame_mbs_only: true,
    crop: None,
};

impl Fields {
    fn nal(&self) -> Vec<u8> {
        let mut writer = BitWriter::default();
        for byte in [0x67, self.profile, self.constraints, 30] {
            writer.bits(byte.into(), 8);
        }
        writer.ue(0);
        if self.profile == 100 {
            // 4:2:0, 8 bits, and every scaling list present: the first entry ends each.
            [1, 0, 0].into_iter().for_each(|value| writer.ue(value));
            writer.bits(0b01, 2);
            for _ in 0..8 {
                writer.bits(1, 1);
                // delta_scale −8 brings the next scale to 0.
                writer.ue(16);
            }
        }
        writer.ue(self.log2_frame_num);
        writer.ue(self.order_type);
        match self.order_type {
            0 => writer.ue(0),
            1 => {
                writer.bits(0, 1);
                [0, 0, 2, 3, 4].into_iter().for_each(|value| writer.ue(value));
            }
            _ => {}
        }
        writer.ue(self.reference_frames);
        writer.bits(0, 1);
        writer.ue(self.macroblocks.0.wrapping_sub(1));
        writer.ue(self.macroblocks.1.wrapping_sub(1));
        writer.bits(self.frame_mbs_only.into(), 1);
        writer.bits(if self.frame_mbs_only { 1 } else { 0b11 }, if self.frame_mbs_only { 1 } else { 2 });
        writer.bits(self.crop.is_some().into(), 1);
        self.crop.into_iter().flatten().for_each(|offset| writer.ue(offset));
        // No VUI, and the stop bit.
        writer.bits(0b01, 2);
        with_emulation_prevention(&writer.finish())
    }

    fn parse(&self) -> Result<Sps, Malformed> {
        Sps::parse(&self.nal())
    }
}

#[test]
fn interlaced_heights_count_field_pairs() {
    // -i testsrc2=s=1920x1080:r=25 -c:v libx264 -preset veryfast -flags +ildct+ilme -x264opts tff=1
    let sps = Sps::parse(&hex("67640028acd94078044fde0220000003002000000643e2c5b2c0")).unwrap();
    assert_eq!((sps.width, sps.height, sps.frame_mbs_only), (1920, 1080, false));
    assert_eq!((sps.profile, sps.level, sps.max_ref_frames), (100, 40, 4));
    let sps = Fields { frame_mbs_only: false, crop: Some([1, 0, 0, 2]), ..FIELDS }.parse().unwrap();
    assert_eq!((sps.width, sps.height), (62, 120));
}

#[test]
fn scaling_lists_and_every_order_count_type_are_passed() {
    for profile in [77, 100] {
        for order_type in 0..3 {
            let sps = Fields { profile, order_type, crop: Some([0, 1, 1, 0]), ..FIELDS }.parse().unwrap();
            assert_eq!((sps.width, sps.height), (62, 62));
        }
    }
}

#[test]
fn reordering_is_ruled_out_by_profile_and_order_count_only() {
    let depth = |fields: Fields| fields.parse().unwrap().reorder_depth;
    assert_eq!(depth(FIELDS), None);
    assert_eq!(depth(Fields { order_type: 2, ..FIELDS }), Some(0));
    assert_eq!(depth(Fields { profile: 66, ..FIELDS }), Some(0));
    assert_eq!(depth(Fields { profile: 100, constraints: 0x10, ..FIELDS }), Some(0));
    assert_eq!(depth(Fields { profile: 100, ..FIELDS }), None);
}

#[test]
fn b16_absurd_sequence_parameter_sets_are_refused_by_name() {
    let huge = MAX_DIMENSION / 16;
    assert_eq!(Fields { macroblocks: (huge, huge), ..FIELDS }.parse().unwrap().width, MAX_DIMENSION);
    let too_large = |element, value: u64, max: u64| Err(Malformed::TooLarge { element, value, max });
    let cases = [
        (
            Fields { macroblocks: (huge + 1, 4), ..FIELDS },
            too_large("pic_width_in_mbs_minus1", huge.into(), u64::from(huge) - 1),
        ),
        (
            Fields { macroblocks: (4, u32::MAX), ..FIELDS },
            too_large("pic_height_in_map_units_minus1", u64::from(u32::MAX) - 1, u64::from(huge) - 1),
        ),
        (
            Fields { macroblocks: (4, huge), frame_mbs_only: false, ..FIELDS },
            too_large("picture height", 2 * u64::from(MAX_DIMENSION), MAX_DIMENSION.into()),
        ),
        (Fields { log2_frame_num: 13, ..FIELDS }, too_large("log2_max_frame_num_minus4", 13, 12)),
        (Fields { order_type: 3, ..FIELDS }, too_large("pic_order_cnt_type", 3, 2)),
        (Fields { reference_frames: 17, ..FIELDS }, too_large("max_num_ref_frames", 17, 16)),
        (Fields { crop: Some([32, 0, 0, 0]), ..FIELDS }, too_large("frame cropping across", 64, 63)),
        (
            Fields { crop: Some([0, 0, u32::MAX - 1, u32::MAX - 1]), ..FIELDS },
            too_large("frame cropping down", 4 * (u64::from(u32::MAX) - 1), 63),
        ),
    ];
    for (fields, wanted) in cases {
        assert_eq!(fields.parse(), wanted);
    }
    let nal = FIELDS.nal();
    for len in 0..nal.len() - 1 {
        assert!(Sps::parse(&nal[..len]).is_err(), "cut to {len} bytes");
    }
    let long = [&nal[..], &[0; 70_000]].concat();
    assert_eq!(Sps::parse(&long), too_large("sequence parameter set", long.len() as u64, 65_535));
    assert_eq!(Sps::parse(&hex(PPS)), Err(Malformed::Invalid { element: "nal_unit_type", value: 8 }));
}

#[test]
fn usability_information_that_is_cut_off_is_taken_as_absent() {
    let whole = Sps::parse(&hex(SPS)).unwrap();
    assert_eq!((whole.frame_rate, whole.reorder_depth), (Some((20, 2)), Some(0)));
    let main = hex("674d401feca06c1ef3780880000003008000001e078c18cb");
    assert_eq!(Sps::parse(&main).unwrap().reorder_depth, Some(2));
    let cut = Sps::parse(&main[..main.len() - 3]).unwrap();
    assert_eq!((cut.width, cut.height, cut.frame_rate, cut.reorder_depth), (854, 480, None, None));
}

#[test]
fn another_encoders_sets_get_ids_that_are_free() {
    let record = config();
    assert_eq!(record.free_set_id(), 1, "encoders begin at 0");
    // A picture parameter set of id 1: ue(v) 010.
    let with_one = ConfigRecord { pps: vec![Bytes::from_static(&[0x68, 0b0100_0000])], ..record };
    assert_eq!(with_one.free_set_id(), 2);
}

#[test]
fn b16_broken_records_are_refused_by_name() {
    let record = config().encode();
    assert_eq!(ConfigRecord::parse(&record), Ok(config()));
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = record.to_vec();
        change(&mut bytes);
        ConfigRecord::parse(&bytes)
    };
    // Thirty-one are announced, one is there: what follows is read as their lengths.
    assert!(matches!(
        broken(&|bytes| bytes[5] = 0xff),
        Err(Malformed::Overrun { .. } | Malformed::Empty { .. })
    ));
    let sps = "sequenceParameterSetNALUnit";
    assert_eq!(
        broken(&|bytes| bytes.truncate(12)),
        Err(Malformed::Overrun { element: sps, at: 6, len: 23, remaining: 4 })
    );
    assert_eq!(broken(&|bytes| bytes[6..].fill(0)), Err(Malformed::Empty { element: sps }));
    // A PPS where the SPS should be.
    assert_eq!(broken(&|bytes| bytes[8] = 0x68), Err(Malformed::Invalid { element: sps, value: 8 }));
    assert_eq!(
        broken(&|bytes| bytes[0] = 0),
        Err(Malformed::Invalid { element: "configurationVersion", value: 0 })
    );
    assert_eq!(
        broken(&|bytes| bytes[4] = 0xfe),
        Err(Malformed::Invalid { element: "NAL unit length size", value: 3 }),
        "B17"
    );
    assert_eq!(
        ConfigRecord::parse(&[]),
        Err(Malformed::Truncated { element: "configurationVersion", bit: 0 })
    );
    let none = ConfigRecord::parse(&[1, 66, 0, 30, 0xff, 0xe0, 0]).unwrap();
    assert_eq!(none.canonical(), Err(Malformed::Missing { element: "sequence parameter set" }));
    assert!(ConfigRecord::from_parameter_sets(vec![hex(SPS).into(); 32], vec![]).is_err());
}

#[test]
fn access_units_tell_what_they_are() {
    let inspect = |payload: &[u8]| AccessUnit::inspect(payload).unwrap();
    let idr = inspect(&payload(&[AUD, SPS, PPS, IDR]));
    assert!(idr.is_idr && idr.has_parameter_sets && idr.is_reference && idr.is_intra && !idr.has_b_slices);
    assert!(!inspect(&payload(&[AUD, SPS, IDR])).has_parameter_sets);
    let p = inspect(&hex(P_UNIT));
    assert!(!p.is_idr && p.is_reference && !p.is_intra && !p.has_b_slices);
    let b = inspect(&hex(B_UNIT));
    assert!(!b.is_reference && b.has_b_slices);
    let open = inspect(&hex(OPEN_GOP_UNIT));
    assert!(!open.is_idr && open.is_intra && open.is_reference);
    assert_eq!((open.recovery_point, p.recovery_point), (Some(0), None));
    let empty = inspect(&payload(&[AUD]));
    assert!(!empty.has_picture && !empty.is_intra);
    assert!(AccessUnit::inspect(&payload(&["65"])).is_err());
}

#[test]
fn a_keyframe_gets_the_parameter_sets_it_lacks_after_its_delimiter() {
    let whole = payload(&[AUD, SPS, PPS, IDR]);
    for lacking in [&[AUD, IDR][..], &[AUD, SPS, IDR], &[AUD, PPS, IDR], &[AUD, SPS, PPS, IDR]] {
        assert_eq!(with_parameter_sets(payload(lacking), &config()), whole, "{lacking:?}");
    }
    assert_eq!(with_parameter_sets(payload(&[IDR]), &config()), payload(&[SPS, PPS, IDR]));
    // Sets after the slices come too late.
    let late = with_parameter_sets(payload(&[IDR, SPS, PPS]), &config());
    assert_eq!(late, payload(&[SPS, PPS, IDR, SPS, PPS]));
}

#[test]
fn parameter_sets_in_band_are_never_overridden() {
    // The same ids, other contents.
    let (sps, pps) = ("6742c00ad904424d1f", "68cb83cb21");
    let changed = payload(&[AUD, sps, pps, IDR]);
    let kept = with_parameter_sets(changed.clone(), &config());
    assert_eq!(kept.as_ptr(), changed.as_ptr(), "uncopied");
    let torn = changed.slice(..changed.len() - 1);
    assert_eq!(with_parameter_sets(torn.clone(), &config()), torn, "lengths that are wrong are not touched");
}
