//! AV1 in packets.

use super::*;
use crate::codec::av1::ConfigRecord;

/// A sequence header (64x64) and a key frame's first bytes, as libaom writes them.
const SEQUENCE: [u8; 12] = [0x0a, 0x0a, 0, 0, 0, 2, 0xaf, 0xff, 0x9b, 0x5f, 0x20, 0x08];
const KEY: [u8; 5] = [0x32, 3, 0x10, 0, 0x90];

fn packetizer(max_payload: usize) -> Packetizer {
    let record = ConfigRecord::from_sequence_header(&SEQUENCE[2..]).unwrap();
    Packetizer::new(&track(Codec::Av1, record.encode()), max_payload).unwrap()
}

/// An OBU with a size field, and as it is to be sent.
fn obu(kind: u8, extension: Option<u8>, payload: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let header = kind << 3 | u8::from(extension.is_some()) << 2;
    let mut canonical = vec![header | 2];
    canonical.extend(extension);
    let mut size = payload.len();
    while size > 0x7f {
        canonical.push(size as u8 | 0x80);
        size >>= 7;
    }
    canonical.push(size as u8);
    canonical.extend_from_slice(payload);
    let mut sent = vec![header];
    sent.extend(extension);
    sent.extend_from_slice(payload);
    (canonical, sent)
}

#[test]
fn a_keyframe_begins_with_the_sequence_header_and_says_so() {
    let payloads = packetize(&mut packetizer(1200), &frame(KEY.to_vec(), true), 1200);
    assert_eq!(payloads.len(), 1);
    // W 2 and N; the sequence header behind its length and without size; the frame without either.
    let sequence = [&[0x28, 11, 0x08][..], &SEQUENCE[2..]].concat();
    assert_eq!(payloads[0].bytes, [&sequence[..], &[0x30, 0x10, 0, 0x90]].concat());

    let in_band = [&SEQUENCE[..], &KEY].concat();
    assert_eq!(packetize(&mut packetizer(1200), &frame(in_band, true), 1200), payloads);
    let another = packetize(&mut packetizer(1200), &frame(vec![0x32, 2, 0x30, 3], false), 1200);
    assert_eq!(another[0].bytes, &[0x10, 0x30, 0x30, 3][..], "another frame does not");
}

#[test]
fn a_keyframe_whose_sequence_header_is_nowhere_does_not_claim_to_begin_a_sequence() {
    let mut packetizer = Packetizer::new(&track(Codec::Av1, vec![]), 1200).unwrap();
    let payloads = packetize(&mut packetizer, &frame(KEY.to_vec(), true), 1200);
    assert_eq!(depacketize::av1(&payloads), (vec![vec![0x30, 0x10, 0, 0x90]], false));
}

#[test]
fn delimiters_tile_lists_and_padding_are_left_out() {
    let kinds = [2, 8, 15, 5, 6, 15];
    let payload: Vec<u8> = kinds.iter().flat_map(|&kind| obu(kind, None, &[9]).0).collect();
    let payloads = packetize(&mut packetizer(1200), &frame(payload, false), 1200);
    assert_eq!(depacketize::av1(&payloads).0, [[5 << 3, 9], [6 << 3, 9]]);
    let mut none = Vec::new();
    packetizer(1200).packetize(&frame(vec![0x12, 0], false), &mut none).unwrap();
    assert!(none.is_empty());
}

#[test]
fn more_than_three_elements_all_have_lengths() {
    let payload: Vec<u8> = (0..5).flat_map(|_| obu(4, Some(8), &[1]).0).collect();
    let payloads = packetize(&mut packetizer(1200), &frame(payload, false), 1200);
    let element = [3, 0x24, 8, 1];
    assert_eq!(payloads[0].bytes, [&[0][..], &element.repeat(5)].concat());
}

#[test]
fn an_obu_goes_on_in_full_packets() {
    let (canonical, sent) = obu(6, None, &[7; 250]);
    let payloads = packetize(&mut packetizer(100), &frame(canonical, false), 100);
    assert_full(&payloads, 100);
    let heads: Vec<u8> = payloads.iter().map(|payload| payload.bytes[0]).collect();
    assert_eq!(heads, [0x50, 0xd0, 0x90]);
    assert_eq!(depacketize::av1(&payloads).0, [sent]);
}

#[test]
fn random_temporal_units_come_out_as_they_went_in() {
    for seed in 0..400 {
        let numbers = &mut Numbers::new(seed);
        let max_payload = sizes(numbers);
        let (mut payload, mut wanted) = (Vec::new(), Vec::new());
        let keyframe = numbers.below(2) == 0;
        if keyframe {
            payload.extend_from_slice(&SEQUENCE);
            wanted.push([&[0x08][..], &SEQUENCE[2..]].concat());
        }
        for _ in 0..1 + numbers.below(8) {
            let kind = [3, 4, 5, 6][numbers.below(4)];
            let extension = (numbers.below(2) == 0).then(|| numbers.below(32) as u8 * 8);
            let len = numbers.size(max_payload) - 1;
            let (canonical, sent) = obu(kind, extension, &numbers.bytes(len));
            payload.extend(canonical);
            wanted.push(sent);
        }
        let payloads = packetize(&mut packetizer(max_payload), &frame(payload, keyframe), max_payload);
        assert_eq!(depacketize::av1(&payloads), (wanted, keyframe), "seed {seed}");
        for (index, payload) in payloads.iter().enumerate().rev().skip(1) {
            // An OBU may end so near to the end of the packet that what the next one costs has no room.
            let unused = max_payload - payload.bytes.len();
            let is_divided = payload.bytes[0] & 0x40 != 0 && payload.bytes[0] & 0x30 != 0;
            let allowed = if is_divided { 0 } else { 4 };
            assert!(unused <= allowed, "seed {seed}: packet {index} has {unused} bytes free");
        }
    }
}
