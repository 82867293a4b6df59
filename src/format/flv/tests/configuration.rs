//! Configurations: wrong, repeated, changed, in-band.

use bytes::Bytes;

use super::samples::{AV1, H264, H264_LARGER, H265, TWO_AAC, VP8, VP9};
use super::{demuxer, frame, hex, ms, track};
use crate::format::flv::{Event, FlvError};
use crate::media::{Codec, Track, TrackId};

fn size(track: &Track) -> (u32, u32) {
    track.video().map(|video| (video.width, video.height)).unwrap()
}

/// The IDR frame of a sample with the parameter sets of its sequence header before it.
fn with_sets([header, idr]: [&str; 2]) -> Bytes {
    let (header, idr) = (hex(header), hex(idr));
    let sps = usize::from(header[12]);
    let pps = usize::from(header[15 + sps]);
    let mut body = idr[..5].to_vec();
    for set in [&header[13..13 + sps], &header[16 + sps..16 + sps + pps]] {
        body.extend_from_slice(&(set.len() as u32).to_be_bytes());
        body.extend_from_slice(set);
    }
    body.extend_from_slice(&idr[5..]);
    body.into()
}

#[test]
fn b16_broken_h264_configurations_are_refused_and_the_next_good_one_is_taken() {
    let good = hex(H264[0]);
    let mut demuxer = demuxer();
    let with = |place: usize, value: u8| {
        let mut bytes = good.to_vec();
        bytes[place] = value;
        Bytes::from(bytes)
    };
    // 31 SPS announced; an SPS of length 0, and one longer than the record; a PPS where the SPS belongs; another version.
    let mut broken = vec![with(10, 0xff), with(12, 0), with(12, 0xff), with(13, 0x68), with(5, 9)];
    broken.extend((6..good.len() - 4).map(|length| good.slice(..length)));
    for body in broken {
        let error = demuxer.video(ms(0), body.clone());
        assert!(matches!(error, Err(FlvError::Payload { codec: Codec::H264, .. })), "{body:x}: {error:?}");
    }
    assert_eq!(track(demuxer.video(ms(0), good)).id, TrackId(0));
}

#[test]
fn b17_nal_units_longer_than_the_payload_are_refused() {
    let mut demuxer = demuxer();
    track(demuxer.video(ms(0), hex(H264[0])));
    for lengths in ["17010000000000001a", "170100000000ffffff", "1701000000ffffffff", "1701000000000000"] {
        let body = H264[1].replacen("170100000000000019", lengths, 1);
        let error = demuxer.video(ms(0), hex(&body));
        assert!(matches!(error, Err(FlvError::Payload { .. })), "{lengths}: {error:?}");
    }
    frame(demuxer.video(ms(0), hex(H264[1])));
}

#[test]
fn b17_lengths_of_one_and_two_bytes_become_four_and_three_are_refused() {
    for (size, marker, length) in [(1, 0xfc, "19"), (2, 0xfd, "0019")] {
        let mut demuxer = demuxer();
        let mut header = hex(H264[0]).to_vec();
        header[9] = marker;
        let track = track(demuxer.video(ms(0), header.into()));
        assert_eq!(track.config, hex(H264[0]).slice(5..), "the track has the canonical lengths");
        let body = H264[1].replacen("00000019", length, 1);
        assert_eq!(frame(demuxer.video(ms(0), hex(&body))).payload, hex(H264[1]).slice(5..), "{size}");
    }
    let mut header = hex(H264[0]).to_vec();
    header[9] = 0xfe;
    assert!(matches!(demuxer().video(ms(0), header.into()), Err(FlvError::Payload { .. })));
}

#[test]
fn a_repeated_sequence_header_is_no_news_and_a_new_one_is() {
    let mut demuxer = demuxer();
    let first = track(demuxer.video(ms(0), hex(H264[0])));
    assert_eq!(demuxer.video(ms(0), hex(H264[0])), Ok(vec![]));
    let larger = track(demuxer.video(ms(0), hex(H264_LARGER[0])));
    assert_eq!((size(&first), size(&larger)), ((64, 48), (96, 64)));
    assert_eq!((first.id, first.rank), (larger.id, larger.rank));
    assert_eq!(track(demuxer.video(ms(0), hex(H264[0]))), first);
}

#[test]
fn b16_parameter_sets_that_change_in_a_keyframe_change_the_track() {
    let mut demuxer = demuxer();
    let first = track(demuxer.video(ms(0), hex(H264[0])));
    // The sets of the header itself are no news.
    frame(demuxer.video(ms(0), with_sets([H264[0], H264[1]])));
    let body = with_sets(H264_LARGER);
    let events = demuxer.video(ms(40), body.clone()).unwrap();
    let [Event::Track(larger), Event::Frame(keyframe)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(size(larger), (96, 64));
    assert_eq!(larger.config, hex(H264_LARGER[0]).slice(5..));
    assert!(keyframe.keyframe);
    assert_eq!(keyframe.payload, body.slice(5..), "in-band sets stay in the payload");
    frame(demuxer.video(ms(80), body));

    // An encoder that repeats its outdated header before every keyframe changes nothing …
    assert_eq!(demuxer.video(ms(120), hex(H264[0])), Ok(vec![]));
    frame(demuxer.video(ms(120), with_sets(H264_LARGER)));
    // … unless the keyframe after it has no sets of its own.
    assert_eq!(demuxer.video(ms(160), hex(H264[0])), Ok(vec![]));
    let events = demuxer.video(ms(160), hex(H264[1])).unwrap();
    assert!(
        matches!(events.as_slice(), [Event::Track(track), Event::Frame(_)] if *track == first),
        "{events:?}"
    );
}

#[test]
fn b16_parameter_sets_in_the_middle_of_a_group_of_pictures_wait_for_a_keyframe() {
    let mut demuxer = demuxer();
    track(demuxer.video(ms(0), hex(H264[0])));
    let mut body = with_sets([H264_LARGER[0], H264[2]]).to_vec();
    body[0] = 0x27;
    frame(demuxer.video(ms(0), body.into()));
}

#[test]
fn parameter_sets_sent_alone_change_the_track_and_make_no_frame() {
    let mut demuxer = demuxer();
    track(demuxer.video(ms(0), hex(H264[0])));
    let whole = with_sets(H264_LARGER);
    let picture = hex(H264_LARGER[1]).len() - 5;
    assert_eq!(size(&track(demuxer.video(ms(0), whole.slice(..whole.len() - picture)))), (96, 64));
}

#[test]
fn b19_a_publisher_may_switch_codecs_on_a_track() {
    let mut demuxer = demuxer();
    track(demuxer.video(ms(0), hex(H264[0])));
    frame(demuxer.video(ms(0), hex(H264[1])));
    assert_eq!(demuxer.video(ms(40), hex(H265[1])), Err(FlvError::FrameBeforeConfig(Codec::H265)));
    let h265 = track(demuxer.video(ms(40), hex(H265[0])));
    assert_eq!((h265.id, h265.codec), (TrackId(0), Codec::H265));
    assert!(frame(demuxer.video(ms(40), hex(H265[1]))).keyframe);
    assert_eq!(demuxer.video(ms(80), hex(H264[1])), Err(FlvError::FrameBeforeConfig(Codec::H264)));
}

#[test]
fn av1_takes_its_size_from_the_sequence_header_wherever_it_is() {
    let mut demuxer = demuxer();
    assert_eq!(demuxer.video(ms(0), hex(AV1[0])), Ok(vec![]), "ffmpeg begins with an empty configuration");
    let first = track(demuxer.video(ms(0), hex(AV1[1])));
    assert_eq!(size(&first), (64, 48));
    // Without configuration OBUs the first key frame tells.
    let mut bare = super::demuxer();
    assert_eq!(bare.video(ms(0), hex(AV1[1]).slice(..9)), Ok(vec![]));
    assert_eq!(bare.video(ms(0), hex(AV1[3])), Err(FlvError::FrameBeforeConfig(Codec::Av1)));
    let events = bare.video(ms(0), hex(AV1[2])).unwrap();
    let [Event::Track(told), Event::Frame(keyframe)] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(size(told), (64, 48));
    assert!(keyframe.keyframe);
}

#[test]
fn vp8_and_vp9_are_tracks_once_a_key_frame_tells_their_size() {
    for (header, key, inter) in [(None, VP8[0], VP8[1]), (Some(VP9[0]), VP9[1], VP9[2])] {
        let mut demuxer = demuxer();
        if let Some(header) = header {
            assert_eq!(demuxer.video(ms(0), hex(header)), Ok(vec![]));
        }
        assert!(matches!(demuxer.video(ms(0), hex(inter)), Err(FlvError::FrameBeforeConfig(_))));
        let events = demuxer.video(ms(0), hex(key)).unwrap();
        let [Event::Track(told), Event::Frame(keyframe)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((told.id, size(told)), (TrackId(0), (64, 48)));
        assert!(keyframe.keyframe);
        assert!(!frame(demuxer.video(ms(40), hex(inter))).keyframe);
        frame(demuxer.video(ms(80), hex(key)));
    }
}

#[test]
fn a_failed_body_leaves_the_demuxer_as_it_was() {
    let mut demuxer = demuxer();
    track(demuxer.audio(ms(0), hex(TWO_AAC[0])));
    // Two tracks, the second of which is wrong.
    let body = "9511".to_owned() + "6d703461" + "05" + "000005" + "118856e500" + "06" + "000001" + "11";
    let body = body.replacen("9511", "9510", 1);
    assert!(matches!(demuxer.audio(ms(0), hex(&body)), Err(FlvError::Payload { .. })));
    let good = "9510".to_owned() + "6d703461" + "06" + "000005" + "118856e500";
    assert_eq!(track(demuxer.audio(ms(0), hex(&good))).id, TrackId(2), "track 5 left no trace");
}
