//! A virtual broadcast, and what a player can read of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use mp4_atom::{Decode, Moof};

use super::super::media_playlist::{MediaPlaylist, Part};
use super::super::pace::PackagerConfig;
use super::super::packager::Packager;
use super::super::playlist::{Form, Surroundings, media};
use crate::media::{AudioParams, Codec, Frame, MediaTime, Params, Track, TrackId, VideoParams};

pub(super) const PICTURE: TrackId = TrackId(0);
pub(super) const SOUND: TrackId = TrackId(1);

/// 2026-03-01T12:00:00Z.
pub(super) fn epoch() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_366_400)
}

pub(super) fn picture() -> Track {
    let params = Params::Video(VideoParams { width: 1280, height: 720, reorder_depth: None });
    let config = Bytes::from_static(b"no parameter sets");
    Track { id: PICTURE, group: 0, rank: 0, codec: Codec::H264, config, params }
}

pub(super) fn sound(id: u8, rank: u8) -> Track {
    let params = Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: Some(1024) });
    Track {
        id: TrackId(id),
        group: 1,
        rank,
        codec: Codec::Aac,
        config: Bytes::from_static(&[0x11, 0x90]),
        params,
    }
}

/// A frame whose payload names it.
pub(super) fn frame(track: TrackId, dts: MediaTime, keyframe: bool, number: usize) -> Frame {
    let payload = Bytes::from(format!("{}:{number}", track.0));
    Frame { track, pts: dts, dts, keyframe, disposable: false, payload }
}

/// Pictures at `fps` with millisecond timestamps and a keyframe every `gop` frames.
pub(super) fn pictures(fps: f64, gop: usize, seconds: f64) -> Vec<Frame> {
    let count = (fps * seconds).round() as usize;
    let at = |index: usize| MediaTime::from_millis((index as f64 * 1000.0 / fps).round() as i64);
    (0..count).map(|index| frame(PICTURE, at(index), index % gop == 0, index)).collect()
}

/// AAC frames with millisecond timestamps, as RTMP carries them.
pub(super) fn sounds(track: TrackId, seconds: f64) -> Vec<Frame> {
    let count = (seconds * 48_000.0 / 1024.0) as i64;
    let at = |index: i64| MediaTime::from_millis((index * 1024 * 1000 + 24_000) / 48_000);
    (0..count).map(|index| frame(track, at(index), true, index as usize)).collect()
}

/// Frames as a live source interleaves them.
pub(super) fn interleaved(tracks: impl IntoIterator<Item = Vec<Frame>>) -> Vec<Frame> {
    let mut all: Vec<Frame> = tracks.into_iter().flatten().collect();
    all.sort_by_key(|frame| frame.dts);
    all
}

/// Never forgets anything.
pub(super) fn endless() -> PackagerConfig {
    PackagerConfig {
        window: Duration::from_secs(100_000),
        window_bytes: usize::MAX,
        ..PackagerConfig::default()
    }
}

pub(super) fn packager(config: PackagerConfig, tracks: impl IntoIterator<Item = Track>) -> Packager {
    let mut packager = Packager::new(config);
    tracks.into_iter().for_each(|track| packager.track(Arc::new(track)));
    packager
}

/// A whole broadcast.
pub(super) fn broadcast(tracks: impl IntoIterator<Item = Track>, frames: &[Frame]) -> Packager {
    let mut packager = packager(endless(), tracks);
    frames.iter().cloned().for_each(|frame| packager.frame(frame));
    packager.ended();
    packager
}

pub(super) fn text(packager: &Packager, form: Form) -> String {
    text_of(packager, packager.main().expect("the pace is decided"), form)
}

pub(super) fn text_of(packager: &Packager, playlist: &MediaPlaylist, form: Form) -> String {
    let renditions: Vec<_> = packager.playlists().map(|other| (other.name(), other.newest())).collect();
    let around =
        Surroundings { epoch: epoch(), date_ranges: packager.date_ranges(), renditions: &renditions };
    media(playlist, &around, form)
}

/// A sample as a player reads it.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub track_id: u32,
    /// Ticks of the track's timescale.
    pub dts: i64,
    pub pts: i64,
    pub duration: i64,
    pub sync: bool,
    pub payload: Bytes,
}

pub(super) fn samples(part: &Part) -> Vec<Sample> {
    let mut rest = part.bytes.as_ref();
    let moof = Moof::decode(&mut rest).expect("a part begins with a moof");
    let mut samples = Vec::new();
    for traf in &moof.traf {
        let mut dts = traf.tfdt.as_ref().expect("tfdt").base_media_decode_time as i64;
        for run in &traf.trun {
            let mut offset = run.data_offset.expect("data offset") as usize;
            for entry in run.samples.iter() {
                let size = entry.size.unwrap() as usize;
                let duration = i64::from(entry.duration.unwrap());
                samples.push(Sample {
                    track_id: traf.tfhd.track_id,
                    dts,
                    pts: dts + entry.cts.unwrap(),
                    duration,
                    sync: entry.flags.unwrap() & 0x1_0000 == 0,
                    payload: part.bytes.slice(offset..offset + size),
                });
                dts += duration;
                offset += size;
            }
        }
    }
    samples
}

/// All samples of a track of a rendition, in the order they are served.
pub(super) fn all_samples(playlist: &MediaPlaylist, track_id: u32) -> Vec<Sample> {
    let parts = playlist.segments().iter().flat_map(|segment| &segment.parts);
    parts.flat_map(samples).filter(|sample| sample.track_id == track_id).collect()
}

/// Asserts what Apple's authoring rules and RFC 8216bis say of durations; `least` is the least share of the part
/// target for parts that do not end a segment.
pub(super) fn assert_durations(playlist: &MediaPlaylist, least: f64) {
    let pace = playlist.pace();
    let target = pace.part_target.as_secs_f64();
    for segment in playlist.segments() {
        if let Some(duration) = segment.duration {
            let rounded = (duration.as_secs_f64() + 0.5).floor() as u32;
            assert!(rounded <= pace.target_duration, "segment {} lasts {duration:?}", segment.msn);
        }
        let inner = segment.parts.len().saturating_sub(1);
        for (index, part) in segment.parts.iter().enumerate() {
            let duration = part.duration.as_secs_f64();
            assert!(duration <= target, "part {}.{index} lasts {duration} > {target}", segment.msn);
            if index < inner {
                assert!(
                    duration >= target * least,
                    "part {}.{index} lasts {duration} of {target}",
                    segment.msn
                );
            }
        }
    }
}

/// Asserts that the samples are `frames`, each once and in order, shown within a tick of their time.
pub(super) fn assert_same(samples: &[Sample], frames: &[Frame], timescale: u32) {
    assert_eq!(samples.len(), frames.len());
    for (sample, frame) in samples.iter().zip(frames) {
        assert_eq!(sample.payload, frame.payload);
        assert_eq!(sample.sync, frame.keyframe);
        let told = frame.pts.to_ticks(timescale);
        assert!(sample.pts.abs_diff(told) <= 1, "{:?} is shown at {} not {told}", frame.payload, sample.pts);
    }
    for pair in samples.windows(2) {
        assert!(pair[0].dts < pair[1].dts, "decoding times rise");
    }
}
