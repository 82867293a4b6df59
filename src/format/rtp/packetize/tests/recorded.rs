//! Real streams in packets and out again.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;
use crate::codec::{av1, h264, nal};
use crate::format::flv::file::{Reader, TagKind};
use crate::format::flv::{Demuxer, Event, Limits};

/// Small pictures: most still need several packets.
const MAX_PAYLOAD: usize = 300;

/// The tracks and frames of a recording, as they come.
fn events(name: &str) -> Vec<Event> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures").join(format!("{name}.flv"));
    let mut reader = Reader::new(1 << 24);
    reader.push(&std::fs::read(path).unwrap());
    let mut demuxer = Demuxer::new(Limits::default());
    let mut events = Vec::new();
    while let Some(tag) = reader.next_tag().unwrap() {
        let at = MediaTime::from_millis(tag.timestamp_ms.into());
        match tag.kind {
            TagKind::Video => events.extend(demuxer.video(at, tag.body).unwrap()),
            TagKind::Audio => events.extend(demuxer.audio(at, tag.body).unwrap()),
            TagKind::Script => {}
        }
    }
    events
}

/// What a receiver must make of a frame, and what it makes of the payloads.
fn both(track: &Track, frame: &Frame, payloads: &[Payload]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    match track.codec {
        Codec::H264 => {
            let mut payload = frame.payload.clone();
            if frame.keyframe {
                let config = h264::ConfigRecord::parse(&track.config).unwrap();
                payload = h264::with_parameter_sets(payload, &config);
            }
            let units = nal::units(&payload).map(|unit| unit.unwrap().to_vec());
            let is_sent = |unit: &Vec<u8>| match unit[0] & 0x1f {
                9 => false,
                // x264 writes its options into the first frame, and they fit no packet of these.
                6 => unit.len() <= MAX_PAYLOAD,
                _ => true,
            };
            (units.filter(is_sent).collect(), depacketize::h264(payloads))
        }
        Codec::Vp9 => (vec![frame.payload.to_vec()], vec![depacketize::vp9(payloads).payload]),
        Codec::Av1 => {
            let mut payload = frame.payload.clone();
            if frame.keyframe {
                let config = av1::ConfigRecord::parse(&track.config).unwrap();
                payload = av1::with_sequence_header(payload, &config);
            }
            let (obus, starts_sequence) = depacketize::av1(payloads);
            assert_eq!(starts_sequence, frame.keyframe);
            let sent = av1::obus(&payload).map(|obu| obu.unwrap());
            let sent = sent.map(|obu| [&[obu.kind << 3][..], obu.payload].concat()).collect();
            (sent, obus)
        }
        _ => (vec![frame.payload.to_vec()], payloads.iter().map(|payload| payload.bytes.to_vec()).collect()),
    }
}

#[test]
fn real_streams_come_out_as_they_went_in() {
    for (name, wanted) in [
        ("short", 60),
        ("h264-open-gop-aac", 180),
        ("resolution-2", 120),
        ("h264-opus", 180),
        ("av1-opus", 180),
        ("vp9-opus", 180),
    ] {
        let mut packetizers = BTreeMap::new();
        let (mut pictures, mut packets) = (0, 0);
        for event in events(name) {
            match event {
                Event::Track(track) if track.codec == Codec::Aac => {}
                Event::Track(track) => {
                    let packetizer = Packetizer::new(&track, MAX_PAYLOAD).unwrap();
                    packetizers.insert(track.id, (track, packetizer));
                }
                Event::Frame(frame) => {
                    let Some((track, packetizer)) = packetizers.get_mut(&frame.track) else { continue };
                    let payloads = packetize(packetizer, &frame, MAX_PAYLOAD);
                    let (sent, received) = both(track, &frame, &payloads);
                    assert!(sent == received, "{name} at {:?}", frame.dts);
                    pictures += usize::from(track.kind() == Kind::Video);
                    packets += payloads.len();
                }
            }
        }
        assert_eq!(pictures, wanted, "{name}");
        assert!(packets > pictures, "{name}");
    }
}
