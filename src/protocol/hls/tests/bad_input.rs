//! Sources that do not behave: the packager's promises hold, memory is bounded, nothing panics.

use std::time::Duration;

use super::super::pace::PackagerConfig;
use super::support::*;
use crate::media::{Frame, MediaTime};

#[test]
fn b20_timestamp_jump_of_an_hour_is_a_discontinuity() {
    let mut frames = pictures(30.0, 60, 20.0);
    for frame in &mut frames[330..] {
        frame.dts += MediaTime::from_millis(3_600_000);
        frame.pts = frame.dts;
    }
    let packager = broadcast([picture()], &frames);
    let playlist = packager.main().unwrap();
    assert_durations(playlist, 0.85);
    assert_same(&all_samples(playlist, 1), &frames, 90_000);
    let marked: Vec<_> = playlist.segments().iter().filter(|segment| segment.discontinuity).collect();
    assert_eq!(marked.len(), 1);
    assert_eq!(marked[0].start, frames[330].pts);
}

#[test]
fn b20_one_and_a_thousand_frames_a_second() {
    for (fps, gop, seconds) in [(1.0, 2, 60.0), (1.0, 30, 60.0), (0.3, 1, 90.0), (1000.0, 1000, 8.0)] {
        let frames = pictures(fps, gop, seconds);
        let packager = broadcast([picture()], &frames);
        let playlist = packager.main().unwrap();
        assert_durations(playlist, 0.85);
        assert_same(&all_samples(playlist, 1), &frames, 90_000);
    }
}

#[test]
fn b20_backwards_equal_and_negative_timestamps_keep_decoding_times_rising() {
    let shifts: [&dyn Fn(usize) -> i64; 3] =
        [&|_| 0, &|index| 10_000 - index as i64 * 33, &|index| index as i64 * 33 - 100];
    for shift in shifts {
        let mut frames = pictures(30.0, 60, 10.0);
        for (index, frame) in frames.iter_mut().enumerate() {
            frame.dts = MediaTime::from_millis(shift(index));
            frame.pts = frame.dts;
        }
        let packager = broadcast([picture()], &frames);
        let playlist = packager.main().unwrap();
        let samples = all_samples(playlist, 1);
        assert_eq!(samples.len(), frames.len());
        assert!(samples.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        assert!(samples.iter().all(|sample| sample.dts >= 0 && sample.pts >= 0));
    }
}

#[test]
fn b20_absurd_timestamps_do_not_panic() {
    for extreme in [i64::MAX, i64::MIN, i64::MAX / 2] {
        let mut frames = interleaved([pictures(30.0, 30, 6.0), sounds(SOUND, 6.0)]);
        for (index, frame) in frames.iter_mut().enumerate() {
            if index % 97 == 13 {
                frame.dts = MediaTime::from_nanos(extreme);
            }
            if index % 89 == 7 {
                frame.pts = MediaTime::from_nanos(extreme);
            }
        }
        let packager = broadcast([picture(), sound(1, 0)], &frames);
        if packager.main().is_some() {
            text(&packager, super::super::playlist::Form::Full);
        }
    }
}

#[test]
fn b20_negative_composition_offset_is_kept() {
    let mut frames = pictures(30.0, 60, 10.0);
    for (index, frame) in frames.iter_mut().enumerate().skip(10) {
        frame.pts = frame.dts - MediaTime::from_millis(33 * (index as i64 % 3));
    }
    let packager = broadcast([picture()], &frames);
    assert_same(&all_samples(packager.main().unwrap(), 1), &frames, 90_000);
}

#[test]
fn picture_before_the_start_of_the_broadcast_is_moved_there_and_sound_left_out() {
    let before = MediaTime::from_millis(100);
    let mut frames = interleaved([pictures(30.0, 60, 6.0), sounds(SOUND, 6.0)]);
    for frame in &mut frames {
        frame.dts -= before;
        frame.pts = frame.dts;
    }
    let packager = broadcast([picture(), sound(1, 0)], &frames);
    let playlist = packager.main().unwrap();
    let (seen, heard) = (all_samples(playlist, 1), all_samples(playlist, 2));
    assert_eq!(seen.len(), 180);
    assert_eq!(seen[..4].iter().map(|sample| sample.pts).collect::<Vec<_>>(), [0, 0, 0, 0]);
    assert_eq!(seen[30].pts, MediaTime::from_millis(900).to_ticks(90_000));
    assert!(heard[0].dts.abs_diff(0) < 1024 && heard.len() + 5 >= sounds(SOUND, 6.0).len());
}

#[test]
fn b21_gop_that_never_ends_is_cut_without_keyframes() {
    let frames = pictures(30.0, usize::MAX, 65.0);
    let packager = broadcast([picture()], &frames);
    let playlist = packager.main().unwrap();
    assert_eq!(playlist.pace().target_duration, 10);
    assert_durations(playlist, 0.85);
    assert!(playlist.segments().len() >= 6);
    assert_same(&all_samples(playlist, 1), &frames, 90_000);
}

#[test]
fn b21_every_frame_a_keyframe() {
    let frames = pictures(30.0, 1, 30.0);
    let packager = broadcast([picture()], &frames);
    let playlist = packager.main().unwrap();
    assert_durations(playlist, 0.85);
    assert_same(&all_samples(playlist, 1), &frames, 90_000);
    assert_eq!(playlist.segments().len(), 15, "two seconds each all the same");
}

#[test]
fn gop_of_ten_seconds_and_gop_that_grows_keep_the_target_duration() {
    for gops in [vec![300; 6], vec![30, 30, 240, 60, 300], vec![60, 60, 75, 90]] {
        let total: usize = gops.iter().sum();
        let mut frames = pictures(30.0, usize::MAX, total as f64 / 30.0);
        let mut next = 0;
        for gop in gops {
            frames[next].keyframe = true;
            next += gop;
        }
        let packager = broadcast([picture()], &frames);
        assert_durations(packager.main().unwrap(), 0.0);
        assert_same(&all_samples(packager.main().unwrap(), 1), &frames, 90_000);
    }
}

#[test]
fn memory_stays_within_the_budget_whatever_the_window() {
    let config = PackagerConfig {
        window: Duration::from_secs(3600),
        window_bytes: 1 << 20,
        ..PackagerConfig::default()
    };
    let mut packager = packager(config, [picture(), sound(1, 0)]);
    for mut frame in interleaved([pictures(30.0, 60, 120.0), sounds(SOUND, 120.0)]) {
        frame.payload = vec![0; if frame.track == PICTURE { 4000 } else { 100 }].into();
        packager.frame(frame);
        if let Some(playlist) = packager.main() {
            let held: usize = playlist.segments().iter().map(|segment| segment.len()).sum();
            assert!(held <= 1 << 20, "{held} bytes");
        }
    }
    assert!(packager.main().unwrap().segments().len() > 1);
}

#[test]
fn picture_that_stops_while_sound_goes_on_holds_nothing_up() {
    let mut video = pictures(30.0, 60, 40.0);
    video.retain(|frame| !(8_000..30_000).contains(&frame.dts.as_millis()));
    let audio = sounds(SOUND, 40.0);
    let packager = broadcast([picture(), sound(1, 0)], &interleaved([video.clone(), audio.clone()]));
    let playlist = packager.main().unwrap();
    assert_same(&all_samples(playlist, 1), &video, 90_000);
    assert_eq!(all_samples(playlist, 2).len(), audio.len());
    assert_durations(playlist, 0.0);
}

#[test]
fn sound_far_ahead_or_behind_is_carried_all_the_same() {
    for shift in [-1500, 900, 60_000] {
        let mut audio = sounds(SOUND, 20.0);
        for frame in &mut audio {
            frame.dts += MediaTime::from_millis(shift);
            frame.pts = frame.dts;
        }
        let video = pictures(30.0, 60, 20.0);
        // Arrives together, whatever the timestamps say.
        let mut mixed: Vec<Frame> = Vec::new();
        let mut sounds = audio.clone().into_iter();
        for frame in video {
            mixed.push(frame);
            mixed.extend(sounds.by_ref().take(if mixed.len() % 5 < 3 { 2 } else { 1 }));
        }
        mixed.extend(sounds);
        let packager = broadcast([picture(), sound(1, 0)], &mixed);
        assert_durations(packager.main().unwrap(), 0.0);
        assert_eq!(all_samples(packager.main().unwrap(), 1).len(), 600, "{shift}");
    }
}

#[test]
fn tracks_that_cannot_be_described_are_left_out() {
    let mut broken = sound(1, 0);
    broken.config = bytes::Bytes::new();
    let packager =
        broadcast([picture(), broken], &interleaved([pictures(30.0, 60, 6.0), sounds(SOUND, 6.0)]));
    assert_eq!(packager.main_tracks().count(), 1);
    let mut broken = sound(1, 0);
    broken.config = bytes::Bytes::new();
    assert!(broadcast([broken], &sounds(SOUND, 6.0)).main().is_none());
}
