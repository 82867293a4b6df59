//! Packetizers against depacketizers written from the specifications, on generated frames and on real ones.

mod av1;
mod depacketize;
mod h264;
mod opus;
mod recorded;
mod vpx;

use super::*;
use crate::media::{AudioParams, MediaTime, Params, TrackId, VideoParams};

/// A small generator of reproducible numbers (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }

    /// Sizes as they come in frames: a few bytes, around a packet, many packets.
    fn size(&mut self, max_payload: usize) -> usize {
        match self.below(4) {
            0 => 1 + self.below(40),
            1 => (max_payload - 12 + self.below(16)).max(1),
            2 => 1 + self.below(2 * max_payload),
            _ => 1 + self.below(10 * max_payload),
        }
    }
}

/// Payloads that hold a datagram of any size that there is a use for.
fn sizes(numbers: &mut Numbers) -> usize {
    100 + numbers.below(1301)
}

fn track(codec: Codec, config: impl Into<Bytes>) -> Track {
    let params = match codec.kind() {
        Kind::Video => Params::Video(VideoParams { width: 640, height: 360, reorder_depth: None }),
        Kind::Audio => Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: None }),
    };
    Track { id: TrackId(0), group: 0, rank: 0, codec, config: config.into(), params }
}

fn frame(payload: impl Into<Bytes>, keyframe: bool) -> Frame {
    let (pts, dts) = (MediaTime::ZERO, MediaTime::ZERO);
    Frame { track: TrackId(0), pts, dts, keyframe, disposable: false, payload: payload.into() }
}

/// The payloads of a frame, of which all that must be true of any is.
fn packetize(packetizer: &mut Packetizer, frame: &Frame, max_payload: usize) -> Vec<Payload> {
    let mut payloads = Vec::new();
    packetizer.packetize(frame, &mut payloads).unwrap();
    for (index, payload) in payloads.iter().enumerate() {
        let len = payload.bytes.len();
        assert!((1..=max_payload).contains(&len), "payload {index} has {len} bytes of {max_payload}");
        let is_last = index + 1 == payloads.len();
        assert_eq!(payload.marker, is_last && packetizer.kind() == Kind::Video, "payload {index}");
    }
    payloads
}

/// That all packets but the last are full.
fn assert_full(payloads: &[Payload], max_payload: usize) {
    let (_, full) = payloads.split_last().unwrap();
    assert!(full.iter().all(|payload| payload.bytes.len() == max_payload));
}

#[test]
fn codecs_that_browsers_cannot_take_are_refused_by_name() {
    for codec in [Codec::Aac, Codec::H265] {
        let unsupported = Packetizer::new(&track(codec, vec![]), 1200).unwrap_err();
        assert_eq!(unsupported, Unsupported { codec });
        assert!(unsupported.to_string().contains(codec.name()), "{unsupported}");
    }
}

#[test]
fn clock_rates_are_those_of_the_payload_formats() {
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1] {
        assert_eq!(Packetizer::new(&track(codec, vec![]), 1200).unwrap().clock_rate(), 90_000);
    }
    assert_eq!(Packetizer::new(&track(Codec::Opus, vec![]), 1200).unwrap().clock_rate(), 48_000);
}

#[test]
fn a_malformed_frame_appends_nothing_and_changes_nothing() {
    let cases: [(Codec, &[u8], &[u8]); 5] = [
        // The second NAL unit is cut off.
        (Codec::H264, &[0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 9, 0x41], &[0, 0, 0, 2, 0x65, 0x88]),
        (Codec::Av1, &[0x32, 1, 0x10, 0x32, 9, 0x10], &[0x32, 1, 0x10]),
        (Codec::Vp8, &[0, 0, 0, 1, 2, 3], &[0xd1, 1, 0, 5]),
        (Codec::Vp9, &[2], &[0x86, 0, 0x40, 0x92, 0x9c]),
        (Codec::Opus, &[3], &[0xfc, 1]),
    ];
    for (codec, broken, good) in cases {
        let mut packetizer = Packetizer::new(&track(codec, vec![]), 100).unwrap();
        let mut payloads = packetize(&mut packetizer, &frame(good, true), 100);
        let before = payloads.clone();
        assert!(packetizer.packetize(&frame(broken, true), &mut payloads).is_err(), "{codec}");
        assert_eq!(payloads, before, "{codec}");
        let mut untouched = Packetizer::new(&track(codec, vec![]), 100).unwrap();
        packetize(&mut untouched, &frame(good, true), 100);
        let next = packetize(&mut packetizer, &frame(good, true), 100);
        assert_eq!(next, packetize(&mut untouched, &frame(good, true), 100), "{codec}");
    }
}

#[test]
fn absurd_sizes_are_brought_into_what_the_formats_can_do() {
    let unit = [&[0, 1, 0x11, 0x70][..], &vec![0x65; 70_000]].concat();
    for (asked, given) in [(0, MIN_PAYLOAD), (63, MIN_PAYLOAD), (1 << 20, 65_535)] {
        let mut packetizer = Packetizer::new(&track(Codec::H264, vec![]), asked).unwrap();
        let payloads = packetize(&mut packetizer, &frame(unit.clone(), true), given);
        assert_full(&payloads, given);
    }
}
