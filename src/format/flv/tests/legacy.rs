//! Bodies as FLV 10.1 has them.

use bytes::Bytes;

use super::samples::{H264, OPUS, TWO_AAC};
use super::{demuxer, frame, hex, ms, track};
use crate::format::flv::{FlvError, Limits};
use crate::media::{Codec, TrackId};

#[test]
fn h264_becomes_a_track_and_canonical_frames() {
    let mut demuxer = demuxer();
    let track = track(demuxer.video(ms(0), hex(H264[0])));
    assert_eq!((track.id, track.group, track.rank, track.codec), (TrackId(0), 0, 0, Codec::H264));
    assert_eq!(track.config, hex(H264[0]).slice(5..));
    assert_eq!(track.video().map(|video| (video.width, video.height)), Some((64, 48)));

    let idr = frame(demuxer.video(ms(1000), hex(H264[1])));
    assert_eq!((idr.keyframe, idr.disposable, idr.dts, idr.pts), (true, false, ms(1000), ms(1000)));
    assert_eq!(idr.payload, hex(H264[1]).slice(5..));
    let inter = frame(demuxer.video(ms(1040), hex(H264[2])));
    assert!(!inter.keyframe && !inter.disposable);
    assert!(frame(demuxer.video(ms(1080), hex(H264[3]))).disposable);
    assert_eq!(demuxer.video(ms(1080), hex(H264[4])), Ok(vec![]));
}

#[test]
fn aac_becomes_a_track_and_raw_access_units() {
    let mut demuxer = demuxer();
    let track = track(demuxer.audio(ms(0), hex(TWO_AAC[0])));
    assert_eq!((track.id, track.group, track.rank, track.codec), (TrackId(1), 1, 0, Codec::Aac));
    let audio = *track.audio().unwrap();
    assert_eq!((audio.sample_rate, audio.channels, audio.frame_samples), (48_000, 1, Some(1024)));
    let frame = frame(demuxer.audio(ms(21), hex(TWO_AAC[3])));
    assert_eq!((frame.track, frame.keyframe, frame.pts), (TrackId(1), true, ms(21)));
    assert_eq!(frame.payload, hex("01182007"));
}

#[test]
fn b15_empty_bodies_are_passed_over_and_headers_alone_are_refused() {
    let mut demuxer = demuxer();
    assert_eq!(demuxer.video(ms(0), Bytes::new()), Ok(vec![]));
    assert_eq!(demuxer.audio(ms(0), Bytes::new()), Ok(vec![]));
    track(demuxer.video(ms(0), hex(H264[0])));
    track(demuxer.audio(ms(0), hex(TWO_AAC[0])));
    for header in ["17", "1701", "17010000", "90", "9068766331", "91687663310000"] {
        let error = demuxer.video(ms(0), hex(header)).map(|events| assert!(events.is_empty()));
        assert!(matches!(error, Err(FlvError::Truncated(_)) | Ok(())), "{header}: {error:?}");
    }
    assert!(matches!(
        demuxer.video(ms(0), hex("1701000000")),
        Err(FlvError::Payload { codec: Codec::H264, .. })
    ));
    assert!(matches!(demuxer.audio(ms(0), hex("af")), Err(FlvError::Truncated("AACPacketType"))));
    // Some encoders send sound without a byte in it.
    assert_eq!(demuxer.audio(ms(0), hex("af01")), Ok(vec![]));
    frame(demuxer.video(ms(0), hex(H264[1])));
}

#[test]
fn b18_frames_before_their_configuration_are_refused_and_later_ones_taken() {
    let mut demuxer = demuxer();
    assert_eq!(demuxer.audio(ms(0), hex(TWO_AAC[3])), Err(FlvError::FrameBeforeConfig(Codec::Aac)));
    assert_eq!(demuxer.video(ms(0), hex(H264[1])), Err(FlvError::FrameBeforeConfig(Codec::H264)));
    assert_eq!(demuxer.audio(ms(0), hex(OPUS[2])), Err(FlvError::FrameBeforeConfig(Codec::Opus)));
    track(demuxer.audio(ms(0), hex(TWO_AAC[0])));
    frame(demuxer.audio(ms(0), hex(TWO_AAC[3])));
}

#[test]
fn b18_audio_configurations_that_make_no_sense_are_refused() {
    let mut demuxer = demuxer();
    // Index 15 with an explicit rate of 0; a reserved index; cut off.
    for config in ["af0017800000 08", "af0016 88", "af0012"] {
        let error = demuxer.audio(ms(0), hex(config));
        assert!(matches!(error, Err(FlvError::Payload { codec: Codec::Aac, .. })), "{config}: {error:?}");
    }
    assert_eq!(demuxer.audio(ms(0), hex("af00")), Ok(vec![]), "no configuration at all is nothing");
    assert_eq!(demuxer.audio(ms(0), hex(TWO_AAC[3])), Err(FlvError::FrameBeforeConfig(Codec::Aac)));
}

#[test]
fn other_codecs_are_refused_by_their_names() {
    let mut demuxer = demuxer();
    for (first, name) in [("12", "Sorenson H.263"), ("24", "VP6"), ("1f", "legacy codec id 15")] {
        let Err(FlvError::Unsupported { codec }) = demuxer.video(ms(0), hex(&format!("{first}0000"))) else {
            panic!("{name} must be refused")
        };
        assert!(codec.contains(name), "{codec}");
    }
    for (first, name) in [("2f", "MP3"), ("bf", "Speex"), ("7f", "G.711 A-law"), ("6f", "Nellymoser")] {
        let Err(FlvError::Unsupported { codec }) = demuxer.audio(ms(0), hex(&format!("{first}0000"))) else {
            panic!("{name} must be refused")
        };
        assert_eq!(codec, name);
    }
}

#[test]
fn player_commands_are_passed_over() {
    assert_eq!(demuxer().video(ms(0), hex("5700")), Ok(vec![]));
    assert_eq!(demuxer().video(ms(0), hex("d000")), Ok(vec![]));
}

#[test]
fn h265_under_its_unofficial_number_is_taken() {
    let enhanced = hex(super::samples::H265[0]);
    let legacy = [&hex("1c00000000")[..], &enhanced[5..]].concat();
    assert_eq!(track(demuxer().video(ms(0), legacy.into())).codec, Codec::H265);
}

#[test]
fn b20_times_go_through_as_they_are() {
    let mut demuxer = demuxer();
    track(demuxer.video(ms(0), hex(H264[0])));
    for millis in [0, 0, 1, 3_600_000, 5, 0xFFFF_FFFF, 0x1_0000_0000] {
        assert_eq!(frame(demuxer.video(ms(millis), hex(H264[1]))).dts, ms(millis));
    }
    for (composition, millis) in [("ffffd8", -40), ("800000", -0x80_0000), ("7fffff", 0x7F_FFFF)] {
        let body = H264[1].replacen("1701000000", &format!("1701{composition}"), 1);
        let frame = frame(demuxer.video(ms(10), hex(&body)));
        assert_eq!((frame.dts, frame.pts), (ms(10), ms(10 + millis)));
    }
}

#[test]
fn a_keyframe_is_one_for_the_tag_and_for_the_payload() {
    let mut demuxer = demuxer();
    track(demuxer.video(ms(0), hex(H264[0])));
    let mut called_inter = hex(H264[1]).to_vec();
    called_inter[0] = 0x27;
    assert!(!frame(demuxer.video(ms(0), called_inter.into())).keyframe);
    let mut called_key = hex(H264[2]).to_vec();
    called_key[0] = 0x17;
    assert!(!frame(demuxer.video(ms(0), called_key.into())).keyframe);
}

#[test]
fn audio_alone_and_video_alone_keep_their_ids() {
    let mut limited = super::Demuxer::new(Limits { max_tracks: 1 });
    assert_eq!(track(limited.audio(ms(0), hex(TWO_AAC[0]))).id, TrackId(1));
    assert_eq!(limited.video(ms(0), hex(H264[0])), Err(FlvError::TooManyTracks(1)));
}
