//! Tests of the AAC parsers.

use bytes::Bytes;

use super::*;
use crate::codec::Malformed;
use crate::codec::bits::BitWriter;
use crate::codec::samples::hex;

fn parse(digits: &str) -> Result<AudioSpecificConfig, Malformed> {
    AudioSpecificConfig::parse(&hex(digits))
}

/// Output rate, channels, samples a frame, and the object type of the codec string.
fn output(digits: &str) -> (u32, u8, Option<u32>, u8) {
    let config = parse(digits).unwrap();
    (config.sample_rate(), config.channels(), config.frame_samples(), config.signalled_object_type())
}

/// A record with these fields: value and bits.
fn record(fields: &[(u32, u32)]) -> Vec<u8> {
    let mut writer = BitWriter::default();
    fields.iter().for_each(|&(value, bits)| writer.bits(value, bits));
    writer.finish()
}

#[test]
fn sbr_and_ps_change_what_the_decoder_puts_out() {
    assert_eq!(output("1210"), (44_100, 2, Some(1024), 2));
    // HE-AAC 24 → 48 kHz, explicit and hierarchical.
    let he = record(&[(5, 5), (6, 4), (2, 4), (3, 4), (2, 5), (0, 3)]);
    let config = AudioSpecificConfig::parse(&he).unwrap();
    assert_eq!((config.sample_rate(), config.channels(), config.frame_samples()), (48_000, 2, Some(2048)));
    assert_eq!((config.object_type, config.signalled_object_type(), config.core_sample_rate), (2, 5, 24_000));
    // HE-AAC v2: a mono core, two channels out.
    let he_v2 = record(&[(29, 5), (6, 4), (1, 4), (3, 4), (2, 5), (0, 3)]);
    let config = AudioSpecificConfig::parse(&he_v2).unwrap();
    assert_eq!((config.channels(), config.core_channels, config.signalled_object_type()), (2, 1, 29));
    // The same two, backward compatible.
    let sync = [(2, 5), (6, 4), (1, 4), (0, 3), (0x2b7, 11), (5, 5), (1, 1), (3, 4)];
    let config = AudioSpecificConfig::parse(&record(&sync)).unwrap();
    assert_eq!((config.sample_rate(), config.channels(), config.signalled_object_type()), (48_000, 1, 5));
    let config = AudioSpecificConfig::parse(&record(&[&sync[..], &[(0x548, 11), (1, 1)]].concat())).unwrap();
    assert_eq!((config.sample_rate(), config.channels(), config.signalled_object_type()), (48_000, 2, 29));
    // Downsampled SBR: the output rate is the core's.
    let same = record(&[(5, 5), (3, 4), (2, 4), (3, 4), (2, 5), (0, 3)]);
    assert_eq!(AudioSpecificConfig::parse(&same).unwrap().frame_samples(), Some(1024));
    // libav's encoder says that there is no SBR.
    assert_eq!(output("118856e500"), (48_000, 1, Some(1024), 2));
}

#[test]
fn frames_may_be_shorter() {
    let short = record(&[(2, 5), (4, 4), (2, 4), (0b100, 3)]);
    assert_eq!(AudioSpecificConfig::parse(&short).unwrap().frame_samples(), Some(960));
    let low_delay = record(&[(23, 5), (3, 4), (1, 4), (0, 3), (0, 2)]);
    assert_eq!(AudioSpecificConfig::parse(&low_delay).unwrap().frame_samples(), Some(512));
    let eld = record(&[(31, 5), (7, 6), (6, 4), (1, 4), (0, 4), (1, 1), (1, 1), (0, 8)]);
    let config = AudioSpecificConfig::parse(&eld).unwrap();
    assert_eq!((config.object_type, config.sample_rate(), config.frame_samples()), (39, 48_000, Some(1024)));
    assert_eq!(config.signalled_object_type(), 39);
    let usac = record(&[(31, 5), (10, 6), (3, 4), (2, 4), (0, 16)]);
    let config = AudioSpecificConfig::parse(&usac).unwrap();
    assert_eq!((config.signalled_object_type(), config.frame_samples()), (42, None));
}

#[test]
fn b18_rates_and_layouts_are_bounded() {
    let explicit = |rate| AudioSpecificConfig::parse(&record(&[(2, 5), (15, 4), (rate, 24), (2, 4), (0, 3)]));
    assert_eq!(explicit(47_999).unwrap().sample_rate(), 47_999);
    assert_eq!(explicit(0), Err(Malformed::Invalid { element: "samplingFrequency", value: 0 }));
    let too_large = |value| Err(Malformed::TooLarge { element: "samplingFrequency", value, max: 192_000 });
    assert_eq!(explicit(0xff_ffff), too_large(0xff_ffff));
    for index in [13, 14] {
        let reserved = AudioSpecificConfig::parse(&record(&[(2, 5), (index, 4), (2, 4), (0, 3)]));
        assert_eq!(
            reserved,
            Err(Malformed::Invalid { element: "samplingFrequencyIndex", value: index.into() })
        );
    }
    // 96 kHz 7.1 is right.
    assert_eq!(output("1038"), (96_000, 8, Some(1024), 2));
    let reserved = AudioSpecificConfig::parse(&record(&[(2, 5), (3, 4), (15, 4), (0, 3)]));
    assert_eq!(reserved, Err(Malformed::Invalid { element: "channelConfiguration", value: 15 }));
    for (rate, doubled) in [(3, 11), (6, 4)] {
        let sbr = record(&[(5, 5), (rate, 4), (2, 4), (doubled, 4), (2, 5), (0, 3)]);
        assert!(AudioSpecificConfig::parse(&sbr).is_err(), "SBR at another than the same or the double rate");
    }
    for object in [0, 9, 22, 30] {
        assert!(AudioSpecificConfig::parse(&record(&[(object, 5), (3, 4), (2, 4), (0, 8)])).is_err());
    }
    assert_eq!(parse(""), Err(Malformed::Truncated { element: "audioObjectType", bit: 0 }));
    assert_eq!(parse("12"), Err(Malformed::Truncated { element: "samplingFrequencyIndex", bit: 5 }));
    assert!(AudioSpecificConfig::parse(&[0x12; 2000]).is_err());
}

#[test]
fn b18_program_config_elements_are_bounded() {
    // -af 'pan=6.1|…' -c:a aac
    assert_eq!(output("118004c848002000c4400d4c61766335392e33372e31303056e500"), (48_000, 7, Some(1024), 2));
    let head = [(2, 5), (3, 4), (0, 4), (0, 3), (0, 10)];
    let program = |fields: &[(u32, u32)]| AudioSpecificConfig::parse(&record(&[&head[..], fields].concat()));
    let nothing = [(0, 12), (0, 2), (0, 3), (0, 4), (0, 3), (0, 32), (0, 32)];
    assert_eq!(program(&nothing), Err(Malformed::Empty { element: "program_config_element" }));
    // Forty-five elements, all pairs.
    let crowd = [(0xfff, 12), (0, 9), (0, 3)].into_iter().chain([(0x1f, 5); 45]).chain([(0, 32)]);
    let max = Malformed::TooLarge { element: "channels of program_config_element", value: 90, max: 24 };
    assert_eq!(program(&crowd.collect::<Vec<_>>()), Err(max));
    assert!(matches!(program(&[(0xfff, 12)]), Err(Malformed::Truncated { .. })));
}

#[test]
fn records_for_lc_are_written_and_read_back() {
    for (rate, channels, wanted) in [(44_100, 2, "1210"), (48_000, 1, "1188"), (96_000, 8, "1038")] {
        let written = AudioSpecificConfig::encode_lc(rate, channels).unwrap();
        assert_eq!(written, hex(wanted));
    }
    let odd = AudioSpecificConfig::encode_lc(47_999, 6).unwrap();
    let read = AudioSpecificConfig::parse(&odd).unwrap();
    assert_eq!((read.sample_rate(), read.channels(), read.frame_samples()), (47_999, 6, Some(1024)));
    for (rate, channels) in [(0, 2), (192_001, 2), (48_000, 0), (48_000, 7), (48_000, 9)] {
        assert!(AudioSpecificConfig::encode_lc(rate, channels).is_err());
    }
}

#[test]
fn adts_headers_are_taken_off_and_nothing_else() {
    // -i sine=r=44100:d=0.1 -ac 2 -c:a aac -f adts: the last frame.
    let frame = Bytes::from(hex("fff1508001dffc2140da4608c1c0"));
    let header = AdtsHeader::parse(&frame).unwrap();
    let wanted =
        AdtsHeader { object_type: 2, sample_rate: 44_100, channels: 2, header_len: 7, frame_len: 14 };
    assert_eq!(header, wanted);
    let raw = strip_adts(frame.clone());
    assert_eq!(raw, hex("2140da4608c1c0"));
    assert_eq!(strip_adts(raw.clone()), raw);
    let torn = frame.slice(..13);
    assert_eq!(strip_adts(torn.clone()), torn, "the length is another");
    assert!(AdtsHeader::parse(&hex("fff15080001ffc")).is_err(), "a frame shorter than its header");
    assert!(AdtsHeader::parse(&hex("fff1748001dffc")).is_err(), "a reserved rate");
    assert!(AdtsHeader::parse(&frame[..6]).is_err());
}
