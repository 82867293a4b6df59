//! VP8 and VP9 in packets.

use super::depacketize::{Vp8Frame, Vp9Frame};
use super::*;

const VP8_KEY: [u8; 10] = [0xf0, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x41, 0x01, 0xf1, 0x40];
const VP8_INTER: [u8; 4] = [0xd1, 0x01, 0x00, 0x05];
/// 64x64.
const VP9_KEY: [u8; 12] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x03, 0xf0, 0x03, 0xf6, 0x00, 0x38, 0x24];
const VP9_INTER: [u8; 6] = [0x86, 0x00, 0x40, 0x92, 0x9c, 0x00];

fn disposable(payload: &[u8]) -> Frame {
    Frame { disposable: true, ..frame(payload.to_vec(), false) }
}

fn packetizer(codec: Codec, max_payload: usize) -> Packetizer {
    Packetizer::new(&track(codec, vec![]), max_payload).unwrap()
}

#[test]
fn vp8_packets_have_the_descriptor_of_the_rfc() {
    let mut packetizer = packetizer(Codec::Vp8, 100);
    let payload = [&VP8_KEY[..], &[7; 90]].concat();
    let payloads = packetize(&mut packetizer, &frame(payload, true), 100);
    assert_eq!(payloads[0].bytes[..5], [0x90, 0x80, 0x80, 0, 0xf0]);
    assert_eq!(payloads[1].bytes, &[0x80, 0x80, 0x80, 0, 7, 7, 7, 7][..]);
    let payloads = packetize(&mut packetizer, &disposable(&VP8_INTER), 100);
    assert_eq!(payloads[0].bytes, &[0xb0, 0x80, 0x80, 1, 0xd1, 1, 0, 5][..]);
}

#[test]
fn vp9_packets_have_the_descriptor_of_the_rfc() {
    let mut packetizer = packetizer(Codec::Vp9, 100);
    let payload = [&VP9_KEY[..], &[7; 90]].concat();
    let payloads = packetize(&mut packetizer, &frame(payload, true), 100);
    // I, L, F, B, V, Z; PictureID; layer; one layer of 64x64. Then without structure, ending.
    assert_eq!(payloads[0].bytes[..10], [0xbb, 0x80, 0, 0, 0x10, 0, 64, 0, 64, 0x82]);
    assert_eq!(payloads[1].bytes[..5], [0xb5, 0x80, 0, 0, 7]);
    let payloads = packetize(&mut packetizer, &frame(VP9_INTER.to_vec(), false), 100);
    assert_eq!(payloads[0].bytes, [&[0xfd, 0x80, 1, 0, 2][..], &VP9_INTER].concat());
}

#[test]
fn vp9_pictures_depend_on_the_newest_reference() {
    let mut packetizer = packetizer(Codec::Vp9, 1200);
    let mut references =
        |frame: &Frame| depacketize::vp9(&packetize(&mut packetizer, frame, 1200)).references;
    let (key, inter) = (frame(VP9_KEY.to_vec(), true), frame(VP9_INTER.to_vec(), false));
    assert_eq!(references(&inter), [1], "nothing is known of what came before");
    assert!(references(&key).is_empty());
    assert_eq!(references(&disposable(&VP9_INTER)), [1]);
    assert_eq!(references(&disposable(&VP9_INTER)), [2]);
    assert_eq!(references(&inter), [3]);
    assert_eq!(references(&inter), [1]);
    for distance in 1..=127 {
        assert_eq!(references(&disposable(&VP9_INTER)), [distance]);
    }
    assert_eq!(references(&inter), [1], "128 has no place in seven bits");
}

#[test]
fn a_vp9_picture_without_prediction_that_is_no_keyframe_is_not_called_one() {
    // Not shown, intra_only, the sync code, and all slots refreshed.
    let intra_only = [0x84, 0x89, 0x30, 0x68, 0x5f, 0xe0];
    let header = crate::codec::vp9::FrameHeader::parse(&intra_only).unwrap();
    assert_eq!(header.key_frame, None);
    let payloads = packetize(&mut packetizer(Codec::Vp9, 1200), &frame(intra_only.to_vec(), false), 1200);
    assert!(depacketize::vp9(&payloads).inter_picture);
}

#[test]
fn pictures_are_numbered_on_over_a_new_configuration_and_around_the_end() {
    for codec in [Codec::Vp8, Codec::Vp9] {
        let payload = if codec == Codec::Vp8 { VP8_INTER.to_vec() } else { VP9_INTER.to_vec() };
        let mut packetizer = packetizer(codec, 1200);
        let id = |packetizer: &mut Packetizer| {
            let payloads = packetize(packetizer, &frame(payload.clone(), false), 1200);
            match codec {
                Codec::Vp8 => depacketize::vp8(&payloads).picture_id.unwrap(),
                _ => depacketize::vp9(&payloads).picture_id.unwrap(),
            }
        };
        for wanted in (0..0x8000).chain(0..3) {
            assert_eq!(id(&mut packetizer), wanted);
        }
        packetizer.configure(&track(codec, vec![])).unwrap();
        assert_eq!(id(&mut packetizer), 3);
        assert_eq!(packetizer.configure(&track(Codec::Aac, vec![])), Err(Unsupported { codec: Codec::Aac }));
        packetizer.configure(&track(Codec::Opus, vec![])).unwrap();
        assert_eq!(packetizer.clock_rate(), 48_000);
    }
}

#[test]
fn random_frames_come_out_as_they_went_in() {
    for seed in 0..400 {
        let numbers = &mut Numbers::new(seed);
        let max_payload = sizes(numbers);
        let mut vp8 = packetizer(Codec::Vp8, max_payload);
        let mut vp9 = packetizer(Codec::Vp9, max_payload);
        for number in 0..5 {
            let (keyframe, disposable) = (numbers.below(3) == 0, numbers.below(3) == 0);
            let rest = numbers.size(max_payload);
            let rest = numbers.bytes(rest);

            let start = if keyframe { &VP8_KEY[..] } else { &VP8_INTER };
            let payload = [start, &rest].concat();
            let sent = Frame { disposable, ..frame(payload.clone(), keyframe) };
            let payloads = packetize(&mut vp8, &sent, max_payload);
            assert_full(&payloads, max_payload);
            let wanted = Vp8Frame { payload, picture_id: Some(number), non_reference: disposable };
            assert_eq!(depacketize::vp8(&payloads), wanted, "seed {seed}");

            let start = if keyframe { &VP9_KEY[..] } else { &VP9_INTER };
            let payload = [start, &rest].concat();
            let sent = Frame { disposable: false, ..frame(payload.clone(), keyframe) };
            let payloads = packetize(&mut vp9, &sent, max_payload);
            assert_full(&payloads, max_payload);
            let wanted = Vp9Frame {
                payload,
                picture_id: Some(number),
                inter_picture: !keyframe,
                flexible: true,
                layer: Some(0),
                references: if keyframe { vec![] } else { vec![1] },
                size: keyframe.then_some((64, 64)),
            };
            assert_eq!(depacketize::vp9(&payloads), wanted, "seed {seed}");
        }
    }
}
