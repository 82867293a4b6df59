//! Frames come out once, in order and in time; parts and segments keep their promises.

use super::super::playlist::{Form, multivariant};
use super::support::*;
use crate::media::{Cue, CueId, CueOrigin, CueState, Frame, MediaTime, TrackId};

#[test]
fn every_frame_once_in_order_and_in_time_at_any_frame_rate() {
    for (fps, gop) in
        [(30.0, 60), (30.0, 50), (29.97, 60), (25.0, 50), (24.0, 48), (60.0, 120), (15.0, 30), (4.0, 8)]
    {
        let (video, audio) = (pictures(fps, gop, 21.0), sounds(SOUND, 21.0));
        let packager = broadcast([picture(), sound(1, 0)], &interleaved([video.clone(), audio.clone()]));
        let playlist = packager.main().unwrap();
        assert_durations(playlist, 0.85);
        assert_same(&all_samples(playlist, 1), &video, 90_000);
        let heard = all_samples(playlist, 2);
        assert_eq!(heard.len(), audio.len(), "{fps}");
        for (index, (sample, frame)) in heard.iter().zip(&audio).enumerate() {
            assert_eq!(sample.payload, frame.payload);
            assert_eq!(sample.dts, 1024 * index as i64, "sound follows the count of its samples");
            assert_eq!(sample.duration, 1024);
        }
        for segment in playlist.segments() {
            assert!(segment.parts[0].independent, "{fps}: segment {} begins with a keyframe", segment.msn);
        }
    }
}

#[test]
fn durations_sum_up_to_media_time() {
    let packager = broadcast([picture()], &pictures(30.0, 60, 61.0));
    let segments = packager.main().unwrap().segments();
    let mut time = MediaTime::ZERO;
    for segment in segments {
        assert_eq!(segment.start.to_ticks(90_000), time.to_ticks(90_000), "segment {}", segment.msn);
        let parts = segment.parts.iter().fold(MediaTime::ZERO, |sum, part| sum + part.duration);
        let duration = segment.duration.unwrap();
        assert!(
            (parts - duration).abs() <= MediaTime::from_millis(2),
            "parts {parts:?}, segment {duration:?}"
        );
        time += duration;
    }
    assert!((time - MediaTime::from_millis(61_000)).abs() <= MediaTime::from_millis(1));
}

#[test]
fn part_is_complete_with_its_last_frame_not_with_the_next() {
    let mut packager = packager(endless(), [picture()]);
    let frames = pictures(30.0, 60, 10.0);
    for frame in &frames[..91] {
        packager.frame(frame.clone());
    }
    let before = packager.main().unwrap().newest().unwrap();
    for frame in &frames[91..95] {
        packager.frame(frame.clone());
    }
    assert_eq!(packager.main().unwrap().newest(), Some(before));
    packager.frame(frames[95].clone());
    assert_eq!(packager.main().unwrap().newest().unwrap().part, before.part + 1, "96 frames are 16 parts");
}

#[test]
fn parts_of_a_segment_are_its_bytes() {
    let packager =
        broadcast([picture(), sound(1, 0)], &interleaved([pictures(30.0, 60, 9.0), sounds(SOUND, 9.0)]));
    for segment in packager.main().unwrap().segments() {
        let joined: usize = segment.parts.iter().map(|part| part.bytes.len()).sum();
        assert_eq!(joined, segment.len());
        assert!(segment.parts.iter().all(|part| &part.bytes[4..8] == b"moof"));
    }
}

#[test]
fn b38_a_cue_is_an_event_message_in_the_next_part_and_a_storm_of_them_is_bounded() {
    let cue = |number: u32| Cue {
        id: CueId::new(&number.to_string()),
        revision: 1,
        state: CueState::Announced,
        start: MediaTime::from_millis(20_000),
        duration: Some(MediaTime::from_millis(10_000)),
        origin: CueOrigin::Api,
        scte35: None,
    };
    let mut packager = packager(endless(), [picture(), sound(1, 0)]);
    for (place, frame) in interleaved([pictures(30.0, 60, 9.0), sounds(SOUND, 9.0)]).into_iter().enumerate() {
        match place {
            // Before the first part is made, and among the parts; the second is a repetition.
            10 | 11 => packager.cue(cue(1)),
            400 => (100..1_100).for_each(|number| packager.cue(cue(number))),
            _ => {}
        }
        packager.frame(frame);
    }
    let parts = packager.main().unwrap().segments().iter().flat_map(|segment| &segment.parts);
    let mut counts = Vec::new();
    for part in parts {
        let mut rest = &part.bytes[..];
        let mut count = 0;
        while &rest[4..8] == b"emsg" {
            let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            rest = &rest[length..];
            count += 1;
        }
        assert_eq!(&rest[4..8], b"moof");
        counts.push(count);
    }
    let first = counts.remove(0);
    counts.retain(|count| *count > 0);
    assert_eq!((first, &counts[..]), (1, &[64][..]));
}

#[test]
fn b_frames_are_shown_in_time() {
    // Decoding order I P B B with display two frames after decoding for the first.
    let shown = [2, 5, 3, 4, 8, 6, 7, 11, 9, 10];
    let mut frames = pictures(30.0, 60, 12.0);
    for (index, frame) in frames.iter_mut().enumerate() {
        let ahead = if index % 60 == 0 { 2 } else { shown[index % 10] - (index as i64 % 10) };
        frame.pts = frame.dts + MediaTime::from_millis(ahead.max(0) * 33);
    }
    let packager = broadcast([picture()], &frames);
    assert_same(&all_samples(packager.main().unwrap(), 1), &frames, 90_000);
    assert_eq!(
        packager.main().unwrap().segments()[1].start,
        frames[60].pts,
        "a segment's date is its first picture's"
    );
}

#[test]
fn capture_jitter_does_not_break_parts() {
    // Phones stamp pictures up to 8 ms early or late.
    let jitter = |index: usize| ((index * 7919) % 17) as i64 - 8;
    let mut frames = pictures(30.0, 60, 40.0);
    for (index, frame) in frames.iter_mut().enumerate().skip(1) {
        frame.dts += MediaTime::from_millis(jitter(index));
        frame.pts = frame.dts;
    }
    let packager = broadcast([picture()], &frames);
    assert_durations(packager.main().unwrap(), 0.8);
    assert_same(&all_samples(packager.main().unwrap(), 1), &frames, 90_000);
}

#[test]
fn lost_frames_leave_no_hole_in_decoding_time() {
    let mut frames = pictures(30.0, 60, 20.0);
    // Ten frames are lost at several places in a part.
    frames.retain(|frame| {
        ![100, 201, 302, 403].iter().any(|start| (*start..start + 10).contains(&number(frame)))
    });
    let packager = broadcast([picture()], &frames);
    let samples = all_samples(packager.main().unwrap(), 1);
    assert_same(&samples, &frames, 90_000);
    for pair in samples.windows(2) {
        let (distance, duration) = (pair[1].dts - pair[0].dts, pair[0].duration);
        assert!(distance <= duration * 2, "players drop everything up to the next keyframe here: {pair:?}");
    }
    assert_durations(packager.main().unwrap(), 0.0);
}

fn number(frame: &Frame) -> usize {
    std::str::from_utf8(&frame.payload).unwrap().split_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn audio_alone_is_cut_by_whole_frames() {
    let audio = sounds(SOUND, 30.0);
    let packager = broadcast([sound(1, 0)], &audio);
    let playlist = packager.main().unwrap();
    assert_durations(playlist, 0.85);
    assert!(playlist.segments().iter().flat_map(|segment| &segment.parts).all(|part| part.independent));
    assert_eq!(all_samples(playlist, 1).len(), audio.len());
    assert!(playlist.segments().len() >= 13, "two seconds each");
}

#[test]
fn sound_that_leaves_its_grid_by_more_than_20_ms_is_put_right() {
    let mut audio = sounds(SOUND, 10.0);
    for frame in &mut audio[200..] {
        frame.dts += MediaTime::from_millis(300);
        frame.pts = frame.dts;
    }
    let packager =
        broadcast([picture(), sound(1, 0)], &interleaved([pictures(30.0, 60, 10.0), audio.clone()]));
    let heard = all_samples(packager.main().unwrap(), 2);
    assert_eq!(heard.len(), audio.len());
    let late = heard
        .iter()
        .zip(&audio)
        .filter(|(sample, frame)| sample.dts.abs_diff(frame.pts.to_ticks(48_000)) > 48);
    assert!(late.count() <= 1, "one frame bridges the hole");
}

#[test]
fn variable_frame_rate_keeps_parts_below_the_target() {
    let mut time = 0;
    let frames: Vec<Frame> = (0..600)
        .map(|index| {
            time += [33, 33, 67, 100, 33, 133, 33, 167][index * 31 % 8];
            frame(PICTURE, MediaTime::from_millis(time), index % 40 == 0, index)
        })
        .collect();
    let packager = broadcast([picture()], &frames);
    assert_durations(packager.main().unwrap(), 0.0);
    assert_same(&all_samples(packager.main().unwrap(), 1), &frames, 90_000);
}

#[test]
fn frame_rate_change_keeps_the_promises() {
    let mut frames = pictures(30.0, 60, 20.0);
    let later = pictures(60.0, 120, 20.0).into_iter().zip(600..).map(|(mut frame, index)| {
        frame.dts += MediaTime::from_millis(20_000);
        frame.pts = frame.dts;
        frame.payload = format!("0:{index}").into();
        frame
    });
    frames.extend(later);
    let packager = broadcast([picture()], &frames);
    let playlist = packager.main().unwrap();
    assert_same(&all_samples(playlist, 1), &frames, 90_000);
    assert_durations(playlist, 0.4);
    let settled =
        playlist.segments().iter().skip(12).flat_map(|segment| &segment.parts[..segment.parts.len() - 1]);
    assert!(settled.clone().count() > 50);
    assert!(
        settled.into_iter().all(|part| part.duration >= MediaTime::from_millis(170)),
        "twelve frames a part now"
    );
}

#[test]
fn alternative_sounds_have_renditions_with_the_same_numbers() {
    let all = [pictures(30.0, 60, 20.0), sounds(SOUND, 20.0), sounds(TrackId(2), 20.0)];
    let packager = broadcast([picture(), sound(1, 0), sound(2, 1)], &interleaved(all.clone()));
    let (main, other) = (packager.main().unwrap(), packager.playlists().nth(1).unwrap());
    assert_eq!(other.name(), "audio2");
    assert_eq!(other.pace().target_duration, main.pace().target_duration);
    assert_eq!(all_samples(main, 2).len(), all[1].len());
    assert_eq!(all_samples(other, 1).len(), all[2].len());
    assert_durations(other, 0.85);
    for (a, b) in main.segments().iter().zip(other.segments()) {
        assert_eq!(a.msn, b.msn);
        assert!((a.start - b.start).abs() < MediaTime::from_millis(60), "{:?} {:?}", a.start, b.start);
    }
    assert!(text_of(&packager, other, Form::Full).contains("#EXT-X-ENDLIST"));
    let text = multivariant(&packager, "s").unwrap();
    assert!(text.contains("URI=\"s/audio2/index.m3u8\""), "{text}");
}

#[test]
fn changed_sound_gets_a_new_init_segment_at_the_next_keyframe() {
    let mut packager = packager(endless(), [picture(), sound(1, 0)]);
    let all = interleaved([pictures(30.0, 60, 12.0), sounds(SOUND, 12.0)]);
    for frame in &all {
        if frame.dts == MediaTime::from_millis(5000) && frame.track == PICTURE {
            let mut mono = sound(1, 0);
            mono.config = bytes::Bytes::from_static(&[0x11, 0x88]);
            packager.track(mono.into());
        }
        packager.frame(frame.clone());
    }
    packager.ended();
    let playlist = packager.main().unwrap();
    let inits: Vec<u32> = playlist.segments().iter().map(|segment| segment.init).collect();
    assert_eq!(inits, [0, 0, 0, 1, 1, 1]);
    assert!(playlist.segments()[3].discontinuity && playlist.segments()[3].parts[0].independent);
    assert_same(&all_samples(playlist, 1), &pictures(30.0, 60, 12.0), 90_000);
    assert!(playlist.init(1).is_some());
}

#[test]
fn new_parameter_sets_of_the_same_codec_need_no_new_init_segment() {
    let mut packager = packager(endless(), [picture()]);
    for frame in pictures(30.0, 60, 12.0) {
        if frame.dts == MediaTime::from_millis(6000) {
            let mut larger = picture();
            larger.config = bytes::Bytes::from_static(b"other parameter sets");
            packager.track(larger.into());
        }
        packager.frame(frame);
    }
    packager.ended();
    let segments = packager.main().unwrap().segments();
    assert!(segments.iter().all(|segment| segment.init == 0 && !segment.discontinuity));
}

#[test]
fn interruption_is_a_discontinuity_at_true_media_time() {
    let mut packager = packager(endless(), [picture(), sound(1, 0)]);
    let first = interleaved([pictures(30.0, 60, 5.0), sounds(SOUND, 5.0)]);
    first.iter().cloned().for_each(|frame| packager.frame(frame));
    packager.interrupted();
    let gap = MediaTime::from_millis(12_345);
    for mut frame in first.clone() {
        frame.dts += gap;
        frame.pts = frame.dts;
        packager.frame(frame);
    }
    packager.ended();
    let playlist = packager.main().unwrap();
    let marked: Vec<_> = playlist.segments().iter().filter(|segment| segment.discontinuity).collect();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0].start, gap);
    assert_eq!(samples(&marked[0].parts[0])[0].dts, gap.to_ticks(90_000));
    assert!(
        playlist.segments().iter().all(|segment| segment.init == 0),
        "the same tracks need no new init segment"
    );
    assert_eq!(all_samples(playlist, 1).len(), 300);
    assert_eq!(all_samples(playlist, 2).len(), sounds(SOUND, 5.0).len() * 2);
}

#[test]
fn publisher_that_returns_without_sound_is_a_new_layout() {
    let mut packager = packager(endless(), [picture(), sound(1, 0)]);
    let first = interleaved([pictures(30.0, 60, 4.0), sounds(SOUND, 4.0)]);
    first.into_iter().for_each(|frame| packager.frame(frame));
    packager.interrupted();
    for mut frame in pictures(30.0, 60, 4.0) {
        frame.dts += MediaTime::from_millis(10_000);
        frame.pts = frame.dts;
        packager.frame(frame);
    }
    packager.ended();
    let last = packager.main().unwrap().segments().back().unwrap();
    assert_eq!(last.init, 1);
    assert_eq!(packager.main_tracks().count(), 1);
}

#[test]
fn segments_begin_with_keyframes_again_after_one_that_came_between() {
    // A picture that somebody draws into begins with a keyframe, and the source comes back with one, out of their turn.
    for (gop, between) in
        [(60, vec![283]), (60, vec![270, 330, 390]), (30, vec![255, 315, 375]), (300, vec![400])]
    {
        let mut frames = pictures(30.0, gop, 40.0);
        frames[between[0]..=between[between.len() - 1]].iter_mut().for_each(|frame| frame.keyframe = false);
        between.iter().for_each(|index| frames[*index].keyframe = true);
        let packager = broadcast([picture()], &frames);
        let playlist = packager.main().unwrap();
        assert_durations(playlist, 0.0);
        assert_same(&all_samples(playlist, 1), &frames, 90_000);
        let without: Vec<_> =
            playlist.segments().iter().filter(|segment| !segment.parts[0].independent).collect();
        // That it comes in another rhythm than before cannot be known until it has not come.
        assert!(without.len() <= usize::from(gop == 30), "{gop}: {:?}", without[0].start);
    }
}

#[test]
fn fragments_are_numbered_by_media_time_and_their_numbers_rise() {
    let number = |part: &crate::protocol::hls::media_playlist::Part| {
        u32::from_be_bytes(part.bytes[20..24].try_into().unwrap())
    };
    let packager = broadcast([picture()], &pictures(30.0, 60, 6.0));
    let parts = packager.main().unwrap().segments().iter().flat_map(|segment| &segment.parts);
    let numbers: Vec<u32> = parts.map(number).collect();
    assert_eq!(numbers[..4], [1, 201, 401, 601]);
    // Many at the same moment.
    let mut frames = pictures(30.0, 60, 12.0);
    for (index, frame) in frames[100..200].iter_mut().enumerate() {
        frame.dts = MediaTime::from_millis(3_300) + MediaTime::from_nanos(index as i64);
        frame.pts = frame.dts;
        frame.payload = vec![0; 3 << 20].into();
    }
    let packager = broadcast([picture()], &frames);
    let parts = packager.main().unwrap().segments().iter().flat_map(|segment| &segment.parts);
    let numbers: Vec<u32> = parts.map(number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    assert!(numbers.windows(2).filter(|pair| pair[1] == pair[0] + 1).count() > 10, "{numbers:?}");
    assert_eq!(numbers.last(), Some(&11_801), "they are the time again");
}
