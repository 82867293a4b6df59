//! ffmpeg decodes what is written, in full and without a complaint.

use std::process::Command;

use crate::media::{Frame, Track};

use super::reader::{encode, tempfile};
use super::*;

/// The frames of `tracks` as one init segment and fragments of half a second.
fn mux(tracks: &[Track], frames: &[Frame], sets: ParameterSets) -> Vec<u8> {
    let mut out = init_segment(&tracks.iter().collect::<Vec<_>>(), sets).unwrap().to_vec();
    let mut sequence = 0;
    for group in frames.chunk_by(|a, b| a.dts.as_millis() / 500 == b.dts.as_millis() / 500) {
        let runs: Vec<Run> = (1..).zip(tracks).map(|(id, track)| run(id, track, group, frames)).collect();
        sequence += 1;
        out.extend(fragment(sequence, &runs));
    }
    out
}

fn run(track_id: u32, track: &Track, group: &[Frame], all: &[Frame]) -> Run {
    let scale = timescale(track);
    let mine: Vec<&Frame> = group.iter().filter(|frame| frame.track == track.id).collect();
    let next = |frame: &Frame| {
        all.iter()
            .find(|next| next.track == track.id && next.dts > frame.dts)
            .map_or(1, |next| u32::try_from(next.dts.to_ticks(scale) - frame.dts.to_ticks(scale)).unwrap())
    };
    Run {
        track_id,
        decode_time: mine.first().map_or(0, |frame| frame.dts.to_ticks(scale) as u64),
        samples: mine
            .iter()
            .map(|frame| Sample {
                duration: next(frame),
                composition_offset: i32::try_from((frame.pts - frame.dts).to_ticks(scale)).unwrap(),
                kind: if frame.keyframe { SampleKind::Sync } else { SampleKind::Dependent },
                payload: frame.payload.clone(),
            })
            .collect(),
    }
}

fn ffmpeg_decodes_all(name: &str, args: &str) {
    let Some((tracks, frames)) = encode(args) else {
        eprintln!("{name}: this ffmpeg has no such encoder");
        return;
    };
    for sets in [ParameterSets::InBand, ParameterSets::InInit] {
        let file = tempfile(&format!("{name}-{sets:?}.mp4"));
        std::fs::write(&file, mux(&tracks, &frames, sets)).unwrap();
        let decode = Command::new("ffmpeg")
            .args("-nostdin -hide_banner -loglevel warning -i".split(' '))
            .arg(&file)
            .args("-map 0 -f null -".split(' '))
            .output()
            .unwrap();
        assert!(decode.status.success() && decode.stderr.is_empty(), "{name}: {decode:?}");
        let packets = Command::new("ffprobe")
            .args("-loglevel error -show_entries packet=pts_time,size -of csv=p=0".split(' '))
            .arg(&file)
            .output()
            .unwrap();
        let _ = std::fs::remove_file(&file);
        let read = String::from_utf8(packets.stdout).unwrap();
        assert!(packets.stderr.is_empty(), "{name}: {:?}", packets.stderr);
        let mut read: Vec<(i64, usize)> = read.lines().map(packet).collect();
        let mut written: Vec<(i64, usize)> =
            frames.iter().map(|frame| (frame.pts.as_nanos() / 1000, frame.payload.len())).collect();
        read.sort_unstable();
        written.sort_unstable();
        assert_eq!(read.len(), written.len(), "{name}");
        for (read, written) in read.iter().zip(&written) {
            assert!(read.0.abs_diff(written.0) <= 12, "{name}: {read:?} {written:?}: more than a tick off");
            assert_eq!(read.1, written.1, "{name}");
        }
    }
}

/// Time in microseconds, size in bytes.
fn packet(line: &str) -> (i64, usize) {
    let (time, size) = line.split_once(',').unwrap();
    ((time.parse::<f64>().unwrap() * 1e6) as i64, size.trim_end_matches(',').parse().unwrap())
}

#[test]
fn h264_without_and_with_b_frames_and_aac() {
    let common = "-t 2 -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 30 -c:a aac";
    ffmpeg_decodes_all("h264", &format!("{common} -bf 0"));
    ffmpeg_decodes_all("h264-b", &format!("{common} -bf 3"));
}

#[test]
fn audio_alone_and_video_alone() {
    ffmpeg_decodes_all("aac", "-map 1 -t 2 -c:a aac");
    ffmpeg_decodes_all("video", "-map 0 -t 1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p");
}

#[test]
fn hevc_av1_vp9_and_opus() {
    ffmpeg_decodes_all(
        "hevc",
        "-t 1 -c:v libx265 -preset ultrafast -x265-params log-level=error -tag:v hvc1 -c:a libopus",
    );
    ffmpeg_decodes_all("av1", "-t 1 -c:v libsvtav1 -preset 12 -an");
    ffmpeg_decodes_all("vp9", "-t 1 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -c:a libopus");
}
