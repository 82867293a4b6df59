//! Bodies of Enhanced RTMP.

use super::samples::{AV1, H264, H265, METADATA, OPUS, TWO_AAC};
use super::{demuxer, frame, hex, ms, track};
use crate::format::flv::{Demuxer, Event, Events, FlvError, Limits};
use crate::media::{Codec, MediaTime, Track, TrackId};

const AAC_CONFIG: &str = "118856e500";
const AAC_FRAME: &str = "01182007";

fn tracks(result: Result<Events, FlvError>) -> Vec<Track> {
    let tracks = result.unwrap().into_iter().map(|event| match event {
        Event::Track(track) => track,
        other => panic!("tracks expected, not {other:?}"),
    });
    tracks.collect()
}

/// An enhanced audio body of many tracks that share a FourCC.
fn many(packet_type: u8, parts: &[(u8, &str)]) -> String {
    let part = |(id, data): &(u8, &str)| format!("{id:02x}{:06x}{data}", data.len() / 2);
    format!("951{packet_type:x}6d703461{}", parts.iter().map(part).collect::<String>())
}

#[test]
fn h265_frames_come_with_and_without_a_composition_time() {
    let mut demuxer = demuxer();
    let track = track(demuxer.video(ms(0), hex(H265[0])));
    assert_eq!((track.id, track.codec), (TrackId(0), Codec::H265));
    assert_eq!(track.video().map(|video| (video.width, video.height)), Some((64, 48)));
    assert_eq!(demuxer.video(ms(0), hex(METADATA)), Ok(vec![]));
    let frames: Vec<_> =
        (0..4).map(|n| frame(demuxer.video(ms(40 * n), hex(H265[1 + n as usize])))).collect();
    let times: Vec<_> = frames.iter().map(|frame| frame.pts.as_millis()).collect();
    assert_eq!(times, [80, 200, 160, 120], "display order is not decoding order");
    let keyframes: Vec<_> = frames.iter().map(|frame| frame.keyframe).collect();
    assert_eq!(keyframes, [true, false, false, false]);
    assert_eq!(frames[3].payload, hex(H265[4]).slice(5..));
    assert!(frames[3].disposable && !frames[1].disposable);
}

#[test]
fn av1_loses_its_temporal_delimiters() {
    let mut demuxer = demuxer();
    assert_eq!(track(demuxer.video(ms(0), hex(AV1[1]))).codec, Codec::Av1);
    let key = frame(demuxer.video(ms(0), hex(AV1[2])));
    assert!(key.keyframe);
    assert_eq!(key.payload, hex(AV1[2]).slice(7..));
    assert!(!frame(demuxer.video(ms(40), hex(AV1[3]))).keyframe);
}

#[test]
fn opus_is_audio_with_an_identification_header() {
    let mut demuxer = demuxer();
    let track = track(demuxer.audio(ms(0), hex(OPUS[0])));
    assert_eq!(
        (track.id, track.codec, track.config.clone()),
        (TrackId(1), Codec::Opus, hex(OPUS[0]).slice(5..))
    );
    assert_eq!(demuxer.audio(ms(0), hex(OPUS[1])), Ok(vec![]), "the channel layout is in the header already");
    assert_eq!(frame(demuxer.audio(ms(20), hex(OPUS[2]))).payload, hex(OPUS[2]).slice(5..));
}

#[test]
fn h264_and_aac_may_come_by_fourcc() {
    let mut demuxer = demuxer();
    let legacy = hex(H264[0]);
    let config = [&hex("9061766331")[..], &legacy[5..]].concat();
    assert_eq!(track(demuxer.video(ms(0), config.into())).codec, Codec::H264);
    let payload = hex(H264[1]).slice(5..);
    let coded = [&hex("9161766331 ffffff")[..], &payload].concat();
    assert_eq!(frame(demuxer.video(ms(5), coded.into())).pts, ms(4));
    let coded_x = [&hex("9361766331")[..], &payload].concat();
    assert_eq!(frame(demuxer.video(ms(5), coded_x.into())).pts, ms(5));
    assert_eq!(track(demuxer.audio(ms(0), hex("906d703461118856e500"))).codec, Codec::Aac);
    assert_eq!(frame(demuxer.audio(ms(0), hex("916d70346101182007"))).payload, hex(AAC_FRAME));
}

#[test]
fn the_second_track_of_ffmpeg_is_told_apart_by_its_number() {
    let mut demuxer = demuxer();
    let first = track(demuxer.audio(ms(0), hex(TWO_AAC[0])));
    let second = track(demuxer.audio(ms(0), hex(TWO_AAC[1])));
    assert_eq!((first.id, first.group, first.rank), (TrackId(1), 1, 0));
    assert_eq!((second.id, second.group, second.rank), (TrackId(2), 1, 1));
    assert_eq!(demuxer.audio(ms(0), hex(TWO_AAC[2])), Ok(vec![]));
    assert_eq!(frame(demuxer.audio(ms(0), hex(TWO_AAC[3]))).track, TrackId(1));
    assert_eq!(frame(demuxer.audio(ms(0), hex(TWO_AAC[4]))).track, TrackId(2));
}

#[test]
fn one_body_may_hold_frames_of_many_tracks_and_codecs() {
    let mut demuxer = demuxer();
    let told = tracks(demuxer.audio(ms(0), hex(&many(0, &[(0, AAC_CONFIG), (1, AAC_CONFIG)]))));
    assert_eq!(
        told.iter().map(|track| (track.id, track.rank)).collect::<Vec<_>>(),
        [(TrackId(1), 0), (TrackId(2), 1)]
    );
    let events = demuxer.audio(ms(21), hex(&many(1, &[(1, AAC_FRAME), (0, ""), (2, "")]))).unwrap();
    assert!(matches!(events.as_slice(), [Event::Frame(frame)] if frame.track == TrackId(2)), "{events:?}");

    let opus = &OPUS[0][10..];
    let body = format!("9520 6d703461 00 000005 {AAC_CONFIG} 4f707573 07 {:06x} {opus}", opus.len() / 2);
    let told = tracks(demuxer.audio(ms(0), hex(&body)));
    assert_eq!(
        told.iter().map(|track| (track.id, track.codec)).collect::<Vec<_>>(),
        [(TrackId(3), Codec::Opus)]
    );
}

#[test]
fn b19_multitrack_with_false_sizes_ids_or_types_is_refused() {
    let mut demuxer = demuxer();
    tracks(demuxer.audio(ms(0), hex(&many(0, &[(0, AAC_CONFIG), (1, AAC_CONFIG)]))));
    let twice = many(1, &[(1, AAC_FRAME), (1, AAC_FRAME)]);
    assert_eq!(demuxer.audio(ms(0), hex(&twice)), Err(FlvError::DuplicateTrack(1)));
    let good = many(1, &[(0, AAC_FRAME), (1, AAC_FRAME)]);
    let whole = hex(&good);
    // Without its parts, or with the first of the two, the body is whole.
    for length in (1..whole.len()).filter(|length| ![6, 14].contains(length)) {
        let result = demuxer.audio(ms(0), whole.slice(..length));
        assert!(matches!(result, Err(FlvError::Truncated(_))), "cut to {length}: {result:?}");
    }
    let codecs = format!("9521 6d703461 00 000004 {AAC_FRAME} 6d703461 01 ffffff {AAC_FRAME}");
    assert_eq!(demuxer.audio(ms(0), hex(&codecs)), Err(FlvError::Truncated("track data")));
    assert!(matches!(demuxer.audio(ms(0), hex("95316d703461")), Err(FlvError::Invalid { .. })));
    assert!(matches!(demuxer.audio(ms(0), hex("95156d703461")), Err(FlvError::Invalid { .. })));
    assert!(matches!(demuxer.audio(ms(0), hex("95176d703461")), Err(FlvError::Invalid { .. })));
    assert_eq!(demuxer.audio(ms(0), hex(&good)).unwrap().len(), 2);
}

#[test]
fn b19_no_more_tracks_than_allowed() {
    let mut demuxer = Demuxer::new(Limits { max_tracks: 3 });
    let ids = [0, 1, 2, 3].map(|id| (id, AAC_CONFIG));
    assert_eq!(demuxer.audio(ms(0), hex(&many(0, &ids))), Err(FlvError::TooManyTracks(3)));
    assert_eq!(tracks(demuxer.audio(ms(0), hex(&many(0, &ids[..3])))).len(), 3);
    assert_eq!(demuxer.video(ms(0), hex(H264[0])), Err(FlvError::TooManyTracks(3)));
}

#[test]
fn b19_unknown_fourccs_are_refused_by_name() {
    let mut demuxer = demuxer();
    let refused = |result: Result<Events, FlvError>| match result {
        Err(FlvError::Unsupported { codec }) => codec.into_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(demuxer.audio(ms(0), hex("9061632d33"))), "AC-3");
    assert_eq!(refused(demuxer.audio(ms(0), hex("90664c6143"))), "FLAC");
    assert_eq!(refused(demuxer.video(ms(0), hex("9076766331"))), "H.266");
    assert_eq!(refused(demuxer.video(ms(0), hex("90ff00ff0a"))), r"the codec '\xff\x00\xff\n'");
    assert!(refused(demuxer.video(ms(0), hex("9561763031"))).contains("MPEG-2 TS"));
    assert!(matches!(
        demuxer.video(ms(0), hex("906d703461")),
        Err(FlvError::Invalid { field: "FourCC", .. })
    ));
    assert!(matches!(demuxer.video(ms(0), hex("9861763031")), Err(FlvError::Invalid { .. })));
    assert!(matches!(demuxer.audio(ms(0), hex("936d703461")), Err(FlvError::Invalid { .. })));
}

#[test]
fn nanosecond_offsets_are_added_to_both_times() {
    let mut demuxer = demuxer();
    track(demuxer.audio(ms(0), hex(OPUS[0])));
    let body = OPUS[2].replacen("91", "97 02 07a120 01", 1);
    let frame = frame(demuxer.audio(ms(20), hex(&body)));
    assert_eq!(frame.pts, ms(20) + MediaTime::from_nanos(500_000));
    assert_eq!(frame.dts, frame.pts);
    let too_much = OPUS[2].replacen("91", "97 02 0f4240 01", 1);
    assert!(matches!(demuxer.audio(ms(20), hex(&too_much)), Err(FlvError::Invalid { .. })));
    let too_short = OPUS[2].replacen("91", "97 01 0f42 01", 1);
    assert!(matches!(demuxer.audio(ms(20), hex(&too_short)), Err(FlvError::Truncated(_))));
}

#[test]
fn b19_modifiers_of_the_future_are_passed_over_and_long_chains_refused() {
    let mut demuxer = demuxer();
    track(demuxer.audio(ms(0), hex(OPUS[0])));
    // An unknown modifier of 3 bytes, and one of 257 bytes with the long form of its size.
    let unknown = OPUS[2].replacen("91", "97 02 aabbcc 51", 1);
    assert_eq!(frame(demuxer.audio(ms(7), hex(&unknown))).pts, ms(7));
    let long = OPUS[2].replacen("91", &format!("97 ff 0100 {} 51", "00".repeat(257)), 1);
    assert_eq!(frame(demuxer.audio(ms(7), hex(&long))).pts, ms(7));
    let chain = OPUS[2].replacen("91", &format!("97 {} 00 00 51", "00 00 57".repeat(255)), 1);
    assert!(matches!(demuxer.audio(ms(7), hex(&chain)), Err(FlvError::Invalid { .. })));
    let overrun = OPUS[2].replacen("91", "97 ff ffff 00 51", 1);
    assert_eq!(demuxer.audio(ms(7), hex(&overrun)), Err(FlvError::Truncated("ModEx data")));
}
