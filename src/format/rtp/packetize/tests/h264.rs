//! H.264 in packets.

use super::*;
use crate::codec::h264::ConfigRecord;
use crate::codec::nal;

// As x264 writes them for 176x144 (baseline).
const SPS: [u8; 22] = [
    0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x02, 0xc4, 0xec, 0x04, 0x40, 0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00,
    0x07, 0x83, 0xc4, 0x89, 0x92,
];
const PPS: [u8; 5] = [0x68, 0xcb, 0x83, 0xcb, 0x20];

fn packetizer(max_payload: usize) -> Packetizer {
    let record = ConfigRecord::from_parameter_sets(vec![SPS.to_vec().into()], vec![PPS.to_vec().into()]);
    Packetizer::new(&track(Codec::H264, record.unwrap().encode()), max_payload).unwrap()
}

fn units(units: &[&[u8]]) -> Bytes {
    nal::join(units.iter().copied())
}

#[test]
fn a_keyframe_has_its_parameter_sets_in_one_packet_with_what_is_small() {
    let slice = [0x65, 0x88, 0x84];
    let payloads = packetize(&mut packetizer(1200), &frame(units(&[&[9, 0x10], &slice]), true), 1200);
    assert_eq!(payloads.len(), 1);
    let together = [&[0x78, 0, 22][..], &SPS, &[0, 5], &PPS, &[0, 3], &slice].concat();
    assert_eq!(payloads[0].bytes, together);

    let payloads = packetize(&mut packetizer(1200), &frame(units(&[&[9, 0x30], &[0x41, 0x9a]]), false), 1200);
    assert_eq!(payloads[0].bytes, &[0x41, 0x9a][..], "another frame has none, and goes as it is");
}

#[test]
fn parameter_sets_that_are_in_band_are_not_sent_twice() {
    let payload = units(&[&SPS, &PPS, &[0x65, 0x88]]);
    let payloads = packetize(&mut packetizer(1200), &frame(payload, true), 1200);
    assert_eq!(depacketize::h264(&payloads), [&SPS[..], &PPS, &[0x65, 0x88]]);
}

#[test]
fn a_large_unit_goes_in_fragments_of_which_only_the_last_is_shorter() {
    let slice: Vec<u8> = std::iter::once(0x65).chain((0..3000).map(|n| n as u8)).collect();
    let payloads = packetize(&mut packetizer(1000), &frame(units(&[&slice]), true), 1000);
    let lens: Vec<_> = payloads.iter().map(|payload| payload.bytes.len()).collect();
    // 3000 bytes of slice, 998 to a packet, behind a STAP-A with the parameter sets.
    assert_eq!(lens, [1 + 2 + 22 + 2 + 5, 1000, 1000, 1000, 2 + 6]);
    let heads: Vec<_> = payloads[1..].iter().map(|payload| [payload.bytes[0], payload.bytes[1]]).collect();
    assert_eq!(heads, [[0x7c, 0x85], [0x7c, 5], [0x7c, 5], [0x7c, 0x45]]);
    assert_eq!(depacketize::h264(&payloads), [&SPS[..], &PPS, &slice]);
}

#[test]
fn a_unit_as_large_as_a_packet_is_not_divided() {
    for (len, packets) in [(100, 1), (101, 2)] {
        let payloads = packetize(&mut packetizer(100), &frame(units(&[&vec![0x41; len]]), false), 100);
        assert_eq!(payloads.len(), packets, "{len} bytes");
    }
}

#[test]
fn what_is_not_for_viewers_is_left_out() {
    let (small_sei, huge_sei) = (vec![6; 100], vec![6; 101]);
    let payload =
        units(&[&[9, 0x10], &small_sei, &huge_sei, &[12; 500], &[0x41, 1], &[28, 0x85, 1], &[24, 0, 1]]);
    let payloads = packetize(&mut packetizer(100), &frame(payload, false), 100);
    assert_eq!(depacketize::h264(&payloads), [small_sei, vec![0x41, 1]]);

    let mut none = Vec::new();
    packetizer(100).packetize(&frame(units(&[&[9, 0x10]]), false), &mut none).unwrap();
    assert!(none.is_empty(), "a delimiter alone");
}

#[test]
fn the_importance_of_an_aggregate_is_its_most_important_units() {
    let payload = units(&[&[0x06, 1], &[0x01, 2], &[0xa1, 3]]);
    let payloads = packetize(&mut packetizer(100), &frame(payload, false), 100);
    assert_eq!(payloads[0].bytes[0], 0x80 | 0x20 | 24, "F and NRI");
}

#[test]
fn random_access_units_come_out_as_they_went_in() {
    for seed in 0..400 {
        let numbers = &mut Numbers::new(seed);
        let max_payload = sizes(numbers);
        let mut sent = Vec::new();
        for _ in 0..1 + numbers.below(8) {
            let mut unit = vec![numbers.below(128) as u8];
            let len = numbers.size(max_payload) - 1;
            unit.extend(numbers.bytes(len));
            sent.push(unit);
        }
        let payload = nal::join(sent.iter().map(Vec::as_slice));
        let mut packetizer = Packetizer::new(&track(Codec::H264, vec![]), max_payload).unwrap();
        let payloads = packetize(&mut packetizer, &frame(payload, numbers.below(2) == 0), max_payload);
        let is_kept = |unit: &Vec<u8>| match unit[0] & 0x1f {
            0 | 9 | 12 | 24..=31 => false,
            6 => unit.len() <= max_payload,
            _ => true,
        };
        sent.retain(is_kept);
        assert_eq!(depacketize::h264(&payloads), sent, "seed {seed}");

        let is_end = |payload: &Payload| payload.bytes[0] & 0x1f == 28 && payload.bytes[1] & 0x40 != 0;
        for payload in payloads.iter().filter(|payload| payload.bytes[0] & 0x1f == 28 && !is_end(payload)) {
            assert_eq!(payload.bytes.len(), max_payload, "seed {seed}: a fragment before the last");
        }
        for pair in payloads.windows(2) {
            let is_small = |payload: &Payload| payload.bytes[0] & 0x1f != 28;
            if is_small(&pair[0]) && is_small(&pair[1]) {
                let first = |payload: &Payload| match payload.bytes[0] & 0x1f {
                    24 => usize::from(u16::from_be_bytes([payload.bytes[1], payload.bytes[2]])),
                    _ => payload.bytes.len(),
                };
                let header = if pair[0].bytes[0] & 0x1f == 24 { 0 } else { 3 };
                let together = pair[0].bytes.len() + header + 2 + first(&pair[1]);
                assert!(together > max_payload, "seed {seed}: what fits one packet went in two");
            }
        }
    }
}
