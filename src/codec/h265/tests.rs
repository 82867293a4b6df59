//! Tests of the H.265 parsers, on x265's streams and on parameter sets made to break them.

use bytes::Bytes;

use super::*;
use crate::codec::bits::{BitWriter, with_emulation_prevention};
use crate::codec::samples::hex;
use crate::codec::{MAX_DIMENSION, Malformed, nal};

// -i color=c=gray:s=64x64:r=10:d=2.5 -c:v libx265 -x265-params info=0:keyint=8:open-gop=0:bframes=0:repeat-headers=1
const VPS: &str = "40010c01ffff01600000030090000003000003001e928090";
const SPS: &str = "42010101600000030090000003000003001ea0208105964a924caf0168080000030008000003005040";
const PPS: &str = "4401c172b42240";
const IDR: &str = "2801af1180f49266fb69740380";
const AUD: &str = "460110";

fn payload(units: &[&str]) -> Bytes {
    nal::join(units.iter().map(|unit| hex(unit)).collect::<Vec<_>>().iter().map(Vec::as_slice))
}

fn config() -> ConfigRecord {
    let sets = |set: &str| vec![hex(set).into()];
    ConfigRecord::from_parameter_sets(sets(VPS), sets(SPS), sets(PPS)).unwrap()
}

/// An SPS with the fields that tests vary.
fn sps(
    sub_layers: u8,
    size: (u32, u32),
    window: Option<[u32; 4]>,
    reorder: (u32, u32),
) -> Result<Sps, Malformed> {
    let mut writer = BitWriter::default();
    writer.bits(0x4201, 16);
    writer.bits(0, 4);
    writer.bits(u32::from(sub_layers) - 1, 3);
    writer.bits(1, 1);
    writer.bits(0x01, 8);
    writer.bits(0x6000_0000, 32);
    writer.bits(0x9000, 16);
    writer.bits(0, 32);
    writer.bits(93, 8);
    if sub_layers > 1 {
        // Each lower sub-layer has its profile and level.
        (1..8).for_each(|layer| writer.bits(if layer < sub_layers { 0b11 } else { 0 }, 2));
        writer.bits(0, 2);
        (1..sub_layers).for_each(|_| (0..3).for_each(|_| writer.bits(0x5555_5555, 32)));
    }
    writer.ue(0);
    writer.ue(1);
    writer.ue(size.0);
    writer.ue(size.1);
    writer.bits(window.is_some().into(), 1);
    window.into_iter().flatten().for_each(|offset| writer.ue(offset));
    [0, 0, 4].into_iter().for_each(|value| writer.ue(value));
    writer.bits(0, 1);
    writer.ue(reorder.0);
    writer.ue(reorder.1);
    writer.ue(0);
    writer.bits(1, 1);
    Sps::parse(&with_emulation_prevention(&writer.finish()))
}

#[test]
fn sizes_are_those_of_the_conformance_window() {
    let plain = sps(1, (1920, 1088), Some([0, 0, 0, 4]), (4, 2)).unwrap();
    assert_eq!((plain.width, plain.height, plain.reorder_depth), (1920, 1080, 2));
    assert_eq!((plain.profile.idc, plain.profile.level, plain.frame_rate), (1, 93, None));
    for sub_layers in 2..=7 {
        let layered = sps(sub_layers, (64, 64), None, (4, 2)).unwrap();
        assert_eq!((layered.max_sub_layers, layered.width, layered.height), (sub_layers, 64, 64));
    }
}

#[test]
fn b16_absurd_sequence_parameter_sets_are_refused_by_name() {
    let too_large = |element, value: u64, max: u64| Err(Malformed::TooLarge { element, value, max });
    let max = u64::from(MAX_DIMENSION);
    assert_eq!(sps(1, (MAX_DIMENSION, 8), None, (0, 0)).unwrap().width, MAX_DIMENSION);
    assert_eq!(
        sps(1, (MAX_DIMENSION + 8, 8), None, (0, 0)),
        too_large("pic_width_in_luma_samples", max + 8, max)
    );
    assert_eq!(
        sps(1, (8, u32::MAX - 1), None, (0, 0)),
        too_large("pic_height_in_luma_samples", u64::from(u32::MAX) - 1, max)
    );
    assert_eq!(sps(1, (0, 8), None, (0, 0)), Err(Malformed::Empty { element: "picture" }));
    assert_eq!(sps(1, (8, 8), Some([2, 2, 0, 0]), (0, 0)), Err(Malformed::Empty { element: "picture" }));
    assert_eq!(sps(1, (8, 8), Some([0, 0, 9, 0]), (0, 0)), too_large("conformance window down", 18, 8));
    assert_eq!(sps(1, (8, 8), None, (16, 0)), too_large("sps_max_dec_pic_buffering_minus1", 16, 15));
    assert_eq!(sps(1, (8, 8), None, (2, 3)), too_large("sps_max_num_reorder_pics", 3, 2));
    assert_eq!(sps(8, (8, 8), None, (0, 0)), too_large("sps_max_sub_layers_minus1", 7, 6));
    assert_eq!(Sps::parse(&hex(PPS)), Err(Malformed::Invalid { element: "nal_unit_type", value: 34 }));
    assert_eq!(Sps::parse(&[0x42, 1]), Err(Malformed::Empty { element: "sequence parameter set" }));
}

#[test]
fn scaling_lists_and_temporal_layers_do_not_hide_the_frame_rate() {
    // -i testsrc2=s=160x90:r=10 -c:v libx265 -x265-params info=0:temporal-layers=1:bframes=3:scaling-list=default
    let layered =
        "42010201600000030090000003000003001e0000a0142061f2659594acb249caf0168080000003008000000504";
    let layered = Sps::parse(&hex(layered)).unwrap();
    assert_eq!((layered.max_sub_layers, layered.frame_rate), (2, Some((10, 1))));
    assert_eq!(Sps::parse(&hex(SPS)).unwrap().frame_rate, Some((10, 1)));
}

#[test]
fn b16_broken_records_are_refused_by_name() {
    let record = config().encode();
    assert_eq!(ConfigRecord::parse(&record), Ok(config()));
    let broken = |at: usize, value: u8| {
        let mut bytes = record.to_vec();
        bytes[at] = value;
        ConfigRecord::parse(&bytes)
    };
    let invalid = |element, value| Err(Malformed::Invalid { element, value });
    assert_eq!(broken(0, 2), invalid("configurationVersion", 2));
    assert_eq!(broken(21, 0x0e), invalid("NAL unit length size", 3), "B17");
    assert_eq!(broken(22, 17), Err(Malformed::TooLarge { element: "numOfArrays", value: 17, max: 16 }));
    // numNalus of the first array, the VPS.
    assert_eq!(broken(24, 1), Err(Malformed::TooLarge { element: "numNalus", value: 257, max: 16 }));
    assert_eq!(broken(27, 0), Err(Malformed::Empty { element: "video parameter set" }));
    assert_eq!(broken(28, 0x42), invalid("nal_unit_type", 33));
    for len in 0..record.len() {
        assert!(ConfigRecord::parse(&record[..len]).is_err(), "cut to {len} bytes");
    }
    let none = ConfigRecord::from_parameter_sets(vec![], vec![], vec![]);
    assert_eq!(none, Err(Malformed::Missing { element: "sequence parameter set" }));
}

#[test]
fn codec_strings_name_tier_and_constraints() {
    let mut profile = config().profile;
    assert_eq!(profile.codec_parameters(), "1.6.L30.90");
    (profile.high_tier, profile.space, profile.constraints) = (true, 2, [0; 6]);
    assert_eq!(profile.codec_parameters(), "B1.6.H30");
    profile.constraints = [0xb0, 0, 0x0a, 0, 0, 0];
    assert_eq!(profile.codec_parameters(), "B1.6.H30.B0.0.A");
}

#[test]
fn access_units_tell_open_from_closed() {
    // -x265-params info=0:open-gop=1:keyint=8:min-keyint=8:bframes=3:b-adapt=0:scenecut=0:aud=1
    let inspect = |payload: &str| AccessUnit::inspect(&hex(payload)).unwrap();
    let cra = inspect("00000003460110000000102a01ac2049089cc8f492af7fd32f6a13");
    assert_eq!((cra.random_access, cra.is_irap()), (RandomAccess::Cra, true));
    let leading = inspect("000000034601500000000d1201e0c225555f718ac0e47880");
    assert_eq!((leading.leading, leading.is_reference), (Leading::Skipped, true));
    let leading = inspect("000000034601500000000b1001e0a6f5d7d22c62e427");
    assert_eq!((leading.leading, leading.is_reference), (Leading::Skipped, false));
    let idr = AccessUnit::inspect(&payload(&[VPS, SPS, PPS, IDR])).unwrap();
    assert_eq!((idr.random_access, idr.has_parameter_sets), (RandomAccess::Idr, true));
    let trailing = inspect("000000034601300000000c0201d02149e10c6230fd5d10");
    assert_eq!((trailing.random_access, trailing.leading), (RandomAccess::None, Leading::No));
    assert!(trailing.is_reference && !trailing.is_disposable(1));
    let b = inspect("000000034601500000000b0001e024fd7e8b1980bf20");
    assert!(b.is_disposable(1) && !b.is_disposable(2), "a higher sub-layer may refer to it");
    let bla = AccessUnit::inspect(&payload(&["200180"])).unwrap();
    assert_eq!(bla.random_access, RandomAccess::Bla);
    assert!(!AccessUnit::inspect(&payload(&[AUD])).unwrap().has_picture);
    assert!(AccessUnit::inspect(&payload(&["26"])).is_err());
    assert!(AccessUnit::inspect(&payload(&["2600"])).is_err());
}

#[test]
fn a_keyframe_gets_the_parameter_sets_it_lacks_after_its_delimiter() {
    let whole = payload(&[AUD, VPS, SPS, PPS, IDR]);
    for lacking in [
        &[AUD, IDR][..],
        &[AUD, VPS, IDR],
        &[AUD, SPS, IDR],
        &[AUD, PPS, IDR],
        &[AUD, VPS, PPS, IDR],
        &[AUD, VPS, SPS, PPS, IDR],
    ] {
        assert_eq!(with_parameter_sets(payload(lacking), &config()), whole, "{lacking:?}");
    }
    assert_eq!(with_parameter_sets(payload(&[IDR]), &config()), payload(&[VPS, SPS, PPS, IDR]));
}
