//! What is written is read back by an independent reader (`mp4-atom`), and decoded by ffmpeg.

mod decode;
pub(crate) mod reader;

use bytes::Bytes;
use mp4_atom::{Any, Codec as Entry, Decode, DecodeMaybe, Emsg, EmsgTimestamp, Moof, Moov};

use crate::media::{AudioParams, Codec, Params, Track, TrackId, VideoParams};

use super::*;

fn track(id: u8, codec: Codec, config: &'static [u8]) -> Track {
    let params = match codec.kind() {
        crate::media::Kind::Video => {
            Params::Video(VideoParams { width: 1280, height: 720, reorder_depth: None })
        }
        crate::media::Kind::Audio => {
            Params::Audio(AudioParams { sample_rate: 44_100, channels: 2, frame_samples: Some(1024) })
        }
    };
    Track { id: TrackId(id), group: id, rank: 0, codec, config: Bytes::from_static(config), params }
}

const AVCC: &[u8] = b"\x01\x64\x00\x1f\xff\xe1\x00\x04\x67\x64\x00\x1f\x01\x00\x02\x68\xee\xfd\xf8\xf8\x00";
const OPUS_HEAD: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";

fn moov(init: &Bytes) -> Moov {
    let mut rest = init.as_ref();
    assert!(matches!(Any::decode(&mut rest).unwrap(), Any::Ftyp(_)));
    let Any::Moov(moov) = Any::decode(&mut rest).unwrap() else { panic!("no moov") };
    assert!(rest.is_empty());
    moov
}

#[test]
fn init_segment_describes_each_track_with_its_record_unchanged() {
    let (video, audio) = (track(0, Codec::H264, AVCC), track(1, Codec::Aac, &[0x12, 0x10]));
    let moov = moov(&init_segment(&[&video, &audio], ParameterSets::InBand).unwrap());
    let timescales: Vec<u32> = moov.trak.iter().map(|trak| trak.mdia.mdhd.timescale).collect();
    assert_eq!(timescales, [90_000, 44_100]);
    let trex: Vec<u32> = moov.mvex.unwrap().trex.iter().map(|trex| trex.track_id).collect();
    assert_eq!(trex, [1, 2]);

    let Entry::Avc3(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("not avc3") };
    assert_eq!((entry.visual.width, entry.visual.height), (1280, 720));
    assert_eq!(entry.avcc.sequence_parameter_sets, [b"\x67\x64\x00\x1f"]);
    let Entry::Mp4a(entry) = &moov.trak[1].mdia.minf.stbl.stsd.codecs[0] else { panic!("not mp4a") };
    assert_eq!(entry.audio.sample_rate.integer(), 44_100);
    assert_eq!(entry.esds.es_desc.dec_config.dec_specific.as_ref().unwrap().raw, [0x12, 0x10]);
}

#[test]
fn parameter_sets_out_of_band_make_the_other_sample_entry() {
    let video = track(0, Codec::H264, AVCC);
    let moov = moov(&init_segment(&[&video], ParameterSets::InInit).unwrap());
    assert!(matches!(moov.trak[0].mdia.minf.stbl.stsd.codecs[0], Entry::Avc1(_)));
}

#[test]
fn opus_head_turns_into_dops_with_its_numbers_intact() {
    let audio = track(0, Codec::Opus, OPUS_HEAD);
    let moov = moov(&init_segment(&[&audio], ParameterSets::InBand).unwrap());
    let Entry::Opus(entry) = &moov.trak[0].mdia.minf.stbl.stsd.codecs[0] else { panic!("not Opus") };
    assert_eq!((entry.dops.output_channel_count, entry.dops.pre_skip), (2, 312));
    assert_eq!(entry.dops.input_sample_rate, 48_000);
    assert_eq!(moov.trak[0].mdia.mdhd.timescale, 48_000);
}

#[test]
fn tracks_without_a_usable_record_are_refused_by_name() {
    let refused = |codec, config| init_segment(&[&track(0, codec, config)], ParameterSets::InBand);
    for codec in [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9, Codec::Aac, Codec::Opus] {
        assert_eq!(refused(codec, b""), Err(InitError::NoConfig { codec }));
    }
    assert_eq!(refused(Codec::Opus, b"OpusHead"), Err(InitError::NoConfig { codec: Codec::Opus }));
    assert!(refused(Codec::Vp8, b"").is_ok());
    assert_eq!(init_segment(&[], ParameterSets::InBand), Err(InitError::Count(0)));
    let mut mixed = track(0, Codec::H264, AVCC);
    mixed.codec = Codec::Aac;
    let mismatch = Err(InitError::Mismatch { codec: Codec::Aac });
    assert_eq!(init_segment(&[&mixed], ParameterSets::InBand), mismatch);
}

#[test]
fn fragment_places_every_sample_where_its_header_says() {
    let sample = |duration, composition_offset, kind, payload: &'static [u8]| Sample {
        duration,
        composition_offset,
        kind,
        payload: Bytes::from_static(payload),
    };
    let video = Run {
        track_id: 1,
        decode_time: 1 << 33,
        samples: vec![
            sample(3000, 6000, SampleKind::Sync, b"key"),
            sample(3000, -3000, SampleKind::Disposable, b"b"),
        ],
    };
    let empty = Run { track_id: 3, decode_time: 0, samples: Vec::new() };
    let audio =
        Run { track_id: 2, decode_time: 7, samples: vec![sample(1024, 0, SampleKind::Sync, b"sound")] };
    let bytes = fragment(42, &[video, empty, audio]);

    let mut rest = bytes.as_ref();
    let moof = Moof::decode(&mut rest).unwrap();
    assert_eq!(moof.mfhd.sequence_number, 42);
    assert_eq!(moof.traf.len(), 2, "a run without samples has no traf");
    assert_eq!(moof.traf[0].tfdt.as_ref().unwrap().base_media_decode_time, 1 << 33);
    assert!(moof.traf.iter().all(|traf| traf.tfhd.default_base_is_moof));
    let at = |offset: Option<i32>, len: usize| {
        let offset = usize::try_from(offset.unwrap()).unwrap();
        bytes.slice(offset..offset + len)
    };
    let run = &moof.traf[0].trun[0];
    assert_eq!(at(run.data_offset, 4).as_ref(), b"keyb");
    let entries: Vec<_> =
        run.samples.iter().map(|entry| (entry.duration, entry.size, entry.flags, entry.cts)).collect();
    let expected = [
        (Some(3000), Some(3), Some(0x0200_0000), Some(6000)),
        (Some(3000), Some(1), Some(0x0181_0000), Some(-3000)),
    ];
    assert_eq!(entries, expected);
    assert_eq!(at(moof.traf[1].trun[0].data_offset, 5).as_ref(), b"sound");
    let Some(Any::Mdat(data)) = Any::decode_maybe(&mut rest).unwrap() else { panic!("no mdat") };
    assert_eq!(data.data.as_ref() as &[u8], b"keybsound");
}

#[test]
fn event_message_is_version_1_with_absolute_time() {
    let message = EventMessage {
        scheme: "urn:scte:scte35:2013:bin".into(),
        value: "1001".into(),
        timescale: 90_000,
        presentation_time: 90_000_000,
        duration: Some(900_000),
        id: 1_241_513_985,
        data: Bytes::from_static(b"\xfc\x30"),
    };
    let read = Emsg::decode(&mut message.to_bytes().as_ref()).unwrap();
    assert_eq!(read.presentation_time, EmsgTimestamp::Absolute(90_000_000));
    assert_eq!((read.event_duration, read.id), (900_000, 1_241_513_985));
    assert_eq!((read.scheme_id_uri.as_str(), read.value.as_str()), ("urn:scte:scte35:2013:bin", "1001"));
    assert_eq!(read.message_data, b"\xfc\x30");

    let unknown = EventMessage { duration: None, value: "cut\0here".into(), ..message };
    let read = Emsg::decode(&mut unknown.to_bytes().as_ref()).unwrap();
    assert_eq!((read.event_duration, read.value.as_str()), (u32::MAX, "cut"));
}
