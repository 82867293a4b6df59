//! Tests across codecs: real records, canonical forms, and twenty thousand broken ones.

use bytes::Bytes;

use super::aac::{AdtsHeader, AudioSpecificConfig, strip_adts};
use super::opus::OpusHead;
use super::samples::{SAMPLES, hex};
use super::*;
use crate::media::{Codec, Params, Track, TrackId};

fn track(codec: Codec, description: Description) -> Track {
    let Description { config, params } = description;
    Track { id: TrackId(0), group: 0, rank: 0, codec, config, params }
}

#[test]
fn real_records_say_what_ffprobe_says() {
    for sample in SAMPLES {
        let config = sample.config();
        let description =
            describe(sample.codec, &config).unwrap_or_else(|error| panic!("{}: {error}", sample.made_by));
        assert_eq!(description.params, sample.params, "{}", sample.made_by);
        assert_eq!(description.config, config, "canonical already: {}", sample.made_by);
        assert_eq!(mime(&track(sample.codec, description), false), sample.mime, "{}", sample.made_by);
        let frame_rate = match sample.codec {
            Codec::H264 => h264::ConfigRecord::parse(&config).unwrap().active_sps().unwrap().frame_rate,
            Codec::H265 => h265::ConfigRecord::parse(&config).unwrap().active_sps().unwrap().frame_rate,
            _ => continue,
        };
        let (frames, seconds) = frame_rate.unwrap();
        assert_eq!(
            u64::from(frames) * u64::from(sample.frame_rate.1),
            u64::from(seconds) * u64::from(sample.frame_rate.0),
            "{}",
            sample.made_by
        );
    }
}

#[test]
fn parameter_sets_in_band_change_the_name_of_the_codec() {
    for sample in SAMPLES {
        let description = describe(sample.codec, &sample.config()).unwrap();
        let in_band = mime(&track(sample.codec, description), true);
        assert_eq!(in_band, sample.mime.replace("avc1", "avc3").replace("hvc1", "hev1"));
    }
}

#[test]
fn records_of_shorter_lengths_become_canonical() {
    for sample in SAMPLES.iter().filter(|sample| matches!(sample.codec, Codec::H264 | Codec::H265)) {
        let length_at = if sample.codec == Codec::H264 { 4 } else { 21 };
        let canonical = sample.config();
        let mut config = canonical.clone();
        for length_size in [1, 2] {
            config[length_at] = config[length_at] & !3 | (length_size - 1);
            assert_eq!(Framing::announced(sample.codec, &config), Ok(Framing::Nal { length_size }));
            assert_eq!(describe(sample.codec, &config).unwrap().config, canonical);
        }
        config[length_at] = config[length_at] & !3 | 2;
        let three = Malformed::Invalid { element: "NAL unit length size", value: 3 };
        assert_eq!(describe(sample.codec, &config), Err(three), "B17");
    }
}

#[test]
fn a_record_whose_header_lies_about_the_profile_is_set_right() {
    let mut config = SAMPLES[0].config();
    config[1] = 0x64;
    config[3] = 0xff;
    assert_eq!(describe(Codec::H264, &config).unwrap().config, SAMPLES[0].config());
}

#[test]
fn b16_every_truncation_of_a_record_is_refused_or_harmless() {
    for sample in SAMPLES {
        let config = sample.config();
        let whole = describe(sample.codec, &config).unwrap();
        for len in 0..config.len() {
            match describe(sample.codec, &config[..len]) {
                Err(_) => {}
                // Only what no decoder needs may be gone: format bytes that the SPS has too, padding of AAC, OBUs.
                Ok(cut) => {
                    let needed = match sample.codec {
                        Codec::H264 => config.len() - 4,
                        Codec::Av1 => 4,
                        Codec::Aac => 2,
                        _ => config.len(),
                    };
                    assert!(len >= needed, "{} cut to {len} bytes", sample.made_by);
                    if sample.codec != Codec::Av1 {
                        assert_eq!(cut.params, whole.params);
                    }
                }
            }
        }
    }
}

#[test]
fn payloads_become_canonical_as_their_record_announces() {
    let nal = Framing::Nal { length_size: 2 };
    assert_eq!(nal.canonical(Bytes::from_static(&[0, 1, 0x65])).unwrap(), &[0, 0, 0, 1, 0x65][..]);
    assert_eq!(Framing::announced(Codec::Av1, &[]), Ok(Framing::Obu));
    assert!(Framing::Obu.canonical(Bytes::from_static(&[0x12, 0])).unwrap().is_empty());
    let adts = Bytes::from(hex("fff1508001dffc2140da4608c1c0"));
    assert_eq!(Framing::Aac.canonical(adts).unwrap(), hex("2140da4608c1c0"));
    let packet = Bytes::from_static(&[0xfc, 2]);
    assert_eq!(Framing::announced(Codec::Opus, &[]).unwrap().canonical(packet.clone()).unwrap(), packet);
}

#[test]
fn facts_of_frames_are_told_whatever_the_codec() {
    let facts = |codec, payload: &str| inspect(codec, &hex(payload));
    let key = Facts { keyframe: true, disposable: false, size: None };
    let nothing = Facts::default();
    let disposable = Facts { disposable: true, ..nothing };
    assert_eq!(facts(Codec::H264, "000000056588840ff2"), Ok(key));
    assert_eq!(facts(Codec::H264, "00000002095000000008019e42f21bff077d"), Ok(disposable));
    assert_eq!(facts(Codec::H264, "000000020950"), Ok(nothing));
    // B22: open GOPs of x264 and x265.
    assert_eq!(facts(Codec::H264, PAYLOADS[1]), Ok(key));
    assert_eq!(facts(Codec::H265, "00000003460110000000102a01ac2049089cc8f492af7fd32f6a13"), Ok(key));
    assert_eq!(facts(Codec::H265, "0000000d2801af1180f492e1fdae5d00e0"), Ok(key));
    assert_eq!(facts(Codec::H265, "000000034601500000000b0001e024fd7e8b1980bf20"), Ok(disposable));
    let sized = Facts { size: Some((64, 64)), ..key };
    assert_eq!(facts(Codec::Av1, "0a0a00000002afff9b5f2008321010009000082082200000c1b4d0c14df8"), Ok(sized));
    assert_eq!(facts(Codec::Av1, "321230038080fdf806c000596596281042009530"), Ok(nothing));
    assert_eq!(facts(Codec::Vp9, "824983420003f003f60038241c184a00003060000013b818000000"), Ok(sized));
    assert_eq!(facts(Codec::Vp8, "f002009d012a40004000004708858588858488020200067049d96f54"), Ok(sized));
    assert_eq!(facts(Codec::Vp8, "d101000510ac00180018582ff400088e8000"), Ok(nothing));
    let sound = Facts { keyframe: true, ..disposable };
    assert_eq!(facts(Codec::Aac, "2140da4608c1c0"), Ok(sound));
    assert_eq!(facts(Codec::Opus, "fcb4"), Ok(sound));
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Aac, Codec::Opus] {
        assert!(inspect(codec, &[]).is_err(), "B15: an empty {codec} frame");
    }
}

/// Real payloads, for [`b16_broken_records_and_payloads_never_panic`].
const PAYLOADS: [&str; 9] = [
    "000000020910000000176742c00ad90426c044000003000400000300503c4899200000000568cb83cb20000000166588840ff262800080",
    "00000002091000000005060601c48000000020418894009ffffef7b18f813b145973a8a7a1fc35d816ea4da1449881f93be919",
    "0000001840010c01ffff01600000030090000003000003001e9280900000002942010101600000030090000003000003001ea0208105964\
     a924caf0168080000030008000003005040000000074401c172b422400000000d2801af1180f49266fb69740380",
    "12000a0a00000002afff9b5f2008321010009000082082200000c1b4d0c14df8",
    "824983420003f003f60038241c184a00003060000013b818000000",
    "860040929c0050000000003200000547086004092c00f0fc1",
    "f002009d012a40004000004708858588858488020200067049d96f5416a425e200fe6800",
    "fff1508001dffc2140da4608c1c0",
    "fb83fb83",
];

#[test]
fn b16_broken_records_and_payloads_never_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let payloads = PAYLOADS.map(|payload| hex(&payload[..payload.len() & !1]));
    let seeds: Vec<Vec<u8>> = SAMPLES.iter().map(|sample| sample.config()).chain(payloads).collect();
    let mut accepted = 0;
    for round in 0..24_000 {
        let mut data = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(6) {
            mutate(&mut data, &mut random);
        }
        accepted += exercise(&data);
    }
    // Mutations that nothing accepts would exercise first bytes only.
    assert!(accepted > 24_000, "only {accepted} parses succeeded");
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(data.len().max(1));
    match random.below(7) {
        0 if !data.is_empty() => data[at] ^= 1 << random.below(8),
        1 if !data.is_empty() => data[at] = random.next() as u8,
        2 if !data.is_empty() => data[at] = [0, 0x7f, 0x80, 0xff][random.below(4)],
        3 => data.truncate(at),
        4 => data.insert(at.min(data.len()), random.next() as u8),
        5 if !data.is_empty() => drop(data.remove(at)),
        6 if !data.is_empty() => data.extend_from_within(at..),
        _ => data.push(0),
    }
}

/// Gives `data` to everything that reads bytes of a peer; says how many reads succeeded. What was read must survive
/// being written and read again.
fn exercise(data: &[u8]) -> usize {
    fn again<T>(data: &[u8], parse: fn(&[u8]) -> Result<T, Malformed>, encode: fn(&T) -> Bytes) -> usize {
        let Ok(record) = parse(data) else { return 0 };
        let encoded = encode(&record);
        let second = parse(&encoded).unwrap_or_else(|error| panic!("{error}: {encoded:02x?} of {data:02x?}"));
        assert_eq!(encode(&second), encoded);
        1
    }
    let payload = Bytes::copy_from_slice(data);
    let mut accepted = again(data, h264::ConfigRecord::parse, h264::ConfigRecord::encode)
        + again(data, h265::ConfigRecord::parse, h265::ConfigRecord::encode)
        + again(data, av1::ConfigRecord::parse, av1::ConfigRecord::encode)
        + again(data, vp9::ConfigRecord::parse, vp9::ConfigRecord::encode)
        + again(data, OpusHead::parse, OpusHead::encode);
    for codec in [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::Aac, Codec::Opus] {
        accepted += usize::from(inspect(codec, data).is_ok());
        let Ok(description) = describe(codec, data) else { continue };
        accepted += 1;
        assert_eq!(
            describe(codec, &description.config).as_ref(),
            Ok(&description),
            "{codec} from {data:02x?}"
        );
        if let Params::Video(video) = description.params {
            assert!(video.width <= MAX_DIMENSION && video.height <= MAX_DIMENSION);
        }
        mime(&track(codec, description), false);
    }
    for start in 0..data.len().min(64) {
        let rest = &data[start..];
        accepted += usize::from(h264::Sps::parse(rest).is_ok()) + usize::from(h265::Sps::parse(rest).is_ok());
        accepted += usize::from(av1::SequenceHeader::parse(rest).is_ok());
    }
    for length_size in [1, 2, 4] {
        let Ok(canonical) = nal::to_canonical(payload.clone(), length_size) else { continue };
        accepted += 1;
        let stream = nal::to_annex_b(&canonical).unwrap();
        assert!(canonical.is_empty() || nal::from_annex_b(&stream).is_ok());
    }
    if let (Ok(avc), Ok(hevc)) = (h264::ConfigRecord::parse(&SAMPLES[0].config()), h265_record()) {
        h264::with_parameter_sets(payload.clone(), &avc);
        h265::with_parameter_sets(payload.clone(), &hevc);
    }
    let _ = nal::from_annex_b(data);
    let _ = AdtsHeader::parse(data);
    let _ = AudioSpecificConfig::parse(data);
    strip_adts(payload.clone());
    if let Ok(canonical) = av1::to_canonical(payload) {
        assert_eq!(av1::to_canonical(canonical.clone()), Ok(canonical));
    }
    accepted
}

fn h265_record() -> Result<h265::ConfigRecord, Malformed> {
    let sample = SAMPLES.iter().find(|sample| sample.codec == Codec::H265).unwrap();
    h265::ConfigRecord::parse(&sample.config())
}

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}
