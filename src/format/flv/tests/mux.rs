//! What viewers get.

use bytes::Bytes;

use super::samples::{AV1, H264, H265, OPUS, TWO_AAC, VP8, VP9};
use super::{demuxer, hex, ms, track};
use crate::format::amf::{Value, amf0};
use crate::format::flv::{Event, mux};
use crate::media::{Frame, Kind, MediaTime, Track};

/// Demuxes bodies 40 ms apart and muxes what comes out.
fn remuxed(kind: Kind, bodies: &[&str]) -> Vec<Bytes> {
    let mut demuxer = demuxer();
    let mut current: Option<Track> = None;
    let mut out = Vec::new();
    for (index, body) in bodies.iter().enumerate() {
        let time = ms(40 * index as i64);
        let events = match kind {
            Kind::Video => demuxer.video(time, hex(body)),
            Kind::Audio => demuxer.audio(time, hex(body)),
        };
        for event in events.unwrap() {
            match event {
                Event::Track(track) => {
                    out.extend(mux::sequence_header(&track));
                    current = Some(track);
                }
                Event::Frame(frame) => {
                    let prefix = mux::frame_prefix(current.as_ref().unwrap(), &frame);
                    out.push([prefix.as_ref(), &frame.payload].concat().into());
                }
            }
        }
    }
    out
}

#[test]
fn bodies_come_out_as_encoders_sent_them() {
    assert_eq!(remuxed(Kind::Video, &H264[..3]), H264[..3].iter().map(|body| hex(body)).collect::<Vec<_>>());
    assert_eq!(remuxed(Kind::Video, &H265), H265.map(hex));
    assert_eq!(remuxed(Kind::Video, &VP9), VP9.map(hex));
    assert_eq!(remuxed(Kind::Video, &VP8), VP8.map(hex));
    assert_eq!(remuxed(Kind::Audio, &OPUS), [hex(OPUS[0]), hex(OPUS[2])]);
    assert_eq!(remuxed(Kind::Audio, &[TWO_AAC[0], TWO_AAC[3]]), [TWO_AAC[0], TWO_AAC[3]].map(hex));
    // AV1 comes out without its temporal delimiters.
    let without = |body: &str| hex(&body.replacen("1200", "", 1));
    assert_eq!(remuxed(Kind::Video, &AV1), [hex(AV1[1]), without(AV1[2]), without(AV1[3])]);
}

#[test]
fn composition_times_are_whole_milliseconds_that_add_up_and_are_bounded() {
    let track = track(demuxer().video(ms(0), hex(H264[0])));
    let prefix = |dts, pts| {
        let frame =
            Frame { track: track.id, pts, dts, keyframe: false, disposable: true, payload: Bytes::new() };
        mux::frame_prefix(&track, &frame)
    };
    assert_eq!(prefix(ms(0), ms(-40)).as_ref(), &hex("2701ffffd8")[..]);
    // 33.4 and 66.7 ms are written as 33 and 67.
    let micros = |micros: i64| MediaTime::from_nanos(micros * 1000);
    assert_eq!(prefix(micros(33_400), micros(66_700)).as_ref(), &hex("2701000022")[..]);
    assert_eq!(prefix(ms(0), MediaTime::MAX).as_ref(), &hex("27017fffff")[..]);
    assert_eq!(prefix(MediaTime::MAX, ms(0)).as_ref(), &hex("2701800000")[..]);
}

#[test]
fn metadata_names_what_players_look_for() {
    let mut demuxer = demuxer();
    let video = track(demuxer.video(ms(0), hex(H265[0])));
    let audio = track(demuxer.audio(ms(0), hex(TWO_AAC[0])));
    let further = track(demuxer.audio(ms(0), hex(TWO_AAC[1])));
    let message = mux::on_metadata([&video, &audio, &further], &[("title", "Kitchen".into())]);
    let values = amf0::decode_all(&message).unwrap();
    assert_eq!(values[0], Value::from("onMetaData"));
    let number = |name| values[1].property(name).and_then(Value::as_f64);
    assert_eq!((number("width"), number("height")), (Some(64.0), Some(48.0)));
    assert_eq!(number("videocodecid"), Some(f64::from(u32::from_be_bytes(*b"hvc1"))));
    assert_eq!((number("audiocodecid"), number("audiosamplerate")), (Some(10.0), Some(48_000.0)));
    assert_eq!(values[1].property("stereo"), Some(&Value::Boolean(false)));
    assert_eq!(values[1].property("encoder"), Some(&Value::from("onair")));
    assert_eq!(values[1].property("title"), Some(&Value::from("Kitchen")));
    assert_eq!(values[1].entries().unwrap().iter().filter(|(key, _)| key == "audiocodecid").count(), 1);
}
