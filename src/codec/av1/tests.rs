//! Tests of the AV1 parsers, on libaom's and SVT-AV1's streams.

use bytes::Bytes;

use super::*;
use crate::codec::samples::hex;
use crate::codec::{MAX_DIMENSION, Malformed};

// -i color=c=gray:s=64x64:r=10:d=2.5 -c:v libaom-av1 -cpu-used 8 -g 8 -usage realtime -lag-in-frames 0
const SEQUENCE: &str = "0a0a00000002afff9b5f2008";
const KEY: &str = "321010009000082082200000c1b4d0c14df8";
const INTER: &str = "321230038080fdf806c000596596281042009530";

fn bytes(parts: &[&str]) -> Bytes {
    hex(&parts.concat()).into()
}

fn config() -> ConfigRecord {
    ConfigRecord::from_sequence_header(&hex(&SEQUENCE[4..])).unwrap()
}

#[test]
fn sequence_headers_tell_size_depth_and_colour() {
    // -i testsrc2=s=322x242:r=30 -c:v libaom-av1 -pix_fmt yuv420p10le -color_primaries bt2020 -color_trc smpte2084
    // -colorspace bt2020nc
    let header = SequenceHeader::parse(&hex("000000043d07c4daf95091009040")).unwrap();
    assert_eq!((header.width, header.height, header.bit_depth), (322, 242, 10));
    assert_eq!(header.colour, Colour { primaries: 9, transfer: 16, matrix: 9, full_range: false });
    assert_eq!((header.subsampling, header.monochrome), ((true, true), false));
    let header = SequenceHeader::parse(&hex("20000003bd7471b5f204")).unwrap();
    assert_eq!((header.profile, header.width, header.height), (1, 175, 143));
    assert_eq!(header.subsampling, (false, false));
}

#[test]
fn b16_sequence_headers_cut_off_or_absurd_are_refused() {
    let header = hex(&SEQUENCE[4..]);
    for len in 0..header.len() - 1 {
        assert!(SequenceHeader::parse(&header[..len]).is_err(), "cut to {len} bytes");
    }
    // 16 bits each for width and height, all ones.
    let element = "max_frame_width";
    let huge = Malformed::TooLarge { element, value: 65_536, max: MAX_DIMENSION.into() };
    assert_eq!(SequenceHeader::parse(&[0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]), Err(huge));
    assert!(SequenceHeader::parse(&[0xe0; 16]).is_err(), "a profile that does not exist");
    assert!(SequenceHeader::parse(&[0x08; 16]).is_err(), "reduced header without a still picture");
}

#[test]
fn records_are_made_from_sequence_headers_and_read_back() {
    let record = config();
    assert_eq!(record.obus, hex(SEQUENCE));
    assert_eq!(ConfigRecord::parse(&record.encode()), Ok(record.clone()));
    assert_eq!(record.clone().canonical(), Ok(record.clone()));
    let header = record.sequence_header().unwrap().unwrap();
    assert_eq!((header.width, header.height), (64, 64));
    let delayed = ConfigRecord { presentation_delay: Some(16), ..record };
    assert_eq!(ConfigRecord::parse(&delayed.encode()).unwrap().presentation_delay, Some(16));
}

#[test]
fn a_record_whose_header_lies_is_set_right_and_its_obus_sized() {
    let mut record = config().encode().to_vec();
    record[1] = 0x4d;
    record[2] = 0xff;
    // Without the size field.
    record[4] &= !2;
    record.remove(5);
    assert_eq!(ConfigRecord::parse(&record).unwrap().canonical(), Ok(config()));
}

#[test]
fn b16_broken_records_are_refused() {
    let invalid = Malformed::Invalid { element: "marker and version", value: 1 };
    assert_eq!(ConfigRecord::parse(&[1, 0, 12, 0]), Err(invalid));
    assert!(ConfigRecord::parse(&[0x81, 0, 12]).is_err());
    assert_eq!(ConfigRecord::parse(&[0x81, 0, 12, 0]).unwrap().sequence_header(), Ok(None));
    let overrun = Malformed::Overrun { element: "OBU", at: 1, len: 10, remaining: 1 };
    assert_eq!(ConfigRecord::parse(&[0x81, 0, 12, 0, 0x0a, 10, 0]), Err(overrun));
}

#[test]
fn the_canonical_form_has_sizes_and_no_delimiters() {
    let canonical = bytes(&[SEQUENCE, KEY]);
    let same = to_canonical(canonical.clone()).unwrap();
    assert_eq!(same.as_ptr(), canonical.as_ptr(), "uncopied");
    assert_eq!(to_canonical(bytes(&["1200", SEQUENCE, KEY])).unwrap(), canonical);
    // The last OBU may come without its size, and OBUs may have an extension.
    assert_eq!(to_canonical(bytes(&["1200", SEQUENCE, "30", &KEY[4..]])).unwrap(), canonical);
    assert_eq!(to_canonical(bytes(&["1200", "340810"])).unwrap(), hex("36080110"));
    assert!(to_canonical(bytes(&["1200"])).unwrap().is_empty());
    // A size of two bytes.
    let long = Bytes::from([&[0x30][..], &[7; 300]].concat());
    assert_eq!(to_canonical(long).unwrap()[..4], [0x32, 0xac, 0x02, 7]);
}

#[test]
fn b17_lengths_that_lie_are_refused() {
    let cases: [(&[u8], Malformed); 4] = [
        (&[0x32, 3, 1, 2], Malformed::Overrun { element: "OBU", at: 1, len: 3, remaining: 2 }),
        (&[0x32, 0x80], Malformed::Truncated { element: "obu_size", bit: 16 }),
        (&[0x36], Malformed::Truncated { element: "obu_extension_header", bit: 8 }),
        (&[0xb2, 0], Malformed::Invalid { element: "obu_forbidden_bit", value: 1 }),
    ];
    for (payload, error) in cases {
        assert_eq!(to_canonical(Bytes::from_static(payload)), Err(error));
        let mut iterator = obus(payload);
        assert_eq!(iterator.next(), Some(Err(error)));
        assert_eq!(iterator.next(), None);
    }
    assert!(to_canonical(Bytes::from_static(&[0x32, 255, 255, 255, 255, 255, 255, 255, 255, 1])).is_err());
}

#[test]
fn key_frames_are_told_from_others() {
    let key = TemporalUnit::inspect(&bytes(&["1200", SEQUENCE, KEY])).unwrap();
    assert!(key.is_key_frame && key.has_frame && key.sequence_header.is_some());
    let inter = TemporalUnit::inspect(&bytes(&[INTER])).unwrap();
    assert!(!inter.is_key_frame && inter.has_frame && inter.sequence_header.is_none());
    // show_existing_frame, and a key frame that is not shown.
    assert!(!TemporalUnit::inspect(&[0x32, 1, 0x90]).unwrap().is_key_frame);
    assert!(!TemporalUnit::inspect(&[0x32, 1, 0x00]).unwrap().is_key_frame);
    assert!(!TemporalUnit::inspect(&[0x12, 0]).unwrap().has_frame);
    assert!(TemporalUnit::inspect(&[0x32, 0]).is_err());
}

#[test]
fn a_key_frame_gets_the_sequence_header_it_lacks() {
    let whole = bytes(&[SEQUENCE, KEY]);
    assert_eq!(with_sequence_header(bytes(&[KEY]), &config()), whole);
    assert_eq!(with_sequence_header(whole.clone(), &config()).as_ptr(), whole.as_ptr());
}
