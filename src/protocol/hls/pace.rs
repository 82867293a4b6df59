//! What a playlist promises about its durations, decided once from the first seconds of a broadcast.

use std::time::Duration;

use crate::media::MediaTime;

/// How parts and segments are to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackagerConfig {
    /// The part duration aimed at; the part target is the multiple of the frame duration that is nearest to it.
    pub part_duration: Duration,
    /// Segments end at the first keyframe after so long.
    pub segment_duration: Duration,
    /// Where keyframes are farther apart than this, segments end without one.
    pub max_segment_duration: Duration,
    /// How far back playlists reach; at least four target durations whatever is set.
    pub window: Duration,
    /// Bytes of media that one rendition keeps; goes before `window`.
    pub window_bytes: usize,
}

impl Default for PackagerConfig {
    fn default() -> Self {
        Self {
            part_duration: Duration::from_millis(200),
            segment_duration: Duration::from_secs(2),
            max_segment_duration: Duration::from_secs(10),
            window: Duration::from_secs(30),
            window_bytes: 64 << 20,
        }
    }
}

/// What a media playlist promises, and holds to for its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Duration of one frame, as measured.
    pub frame: MediaTime,
    /// The frames come at a constant rate, but for jitter.
    pub constant: bool,
    /// `PART-TARGET`: no part is longer.
    pub part_target: MediaTime,
    /// `EXT-X-TARGETDURATION`: no segment is longer when rounded to whole seconds.
    pub target_duration: u32,
}

/// Shortest and longest frame durations believed, 2000 and 0.1 frames a second: beyond them the timestamps are broken.
const FRAME_DURATIONS: (i64, i64) = (500_000, 10_000_000_000);

impl Pace {
    /// The pace of a picture track, from the decoding times and keyframe flags of its first frames.
    pub fn of_video(frames: &[(MediaTime, bool)], config: &PackagerConfig) -> Self {
        let times: Vec<i64> = frames.iter().map(|(dts, _)| dts.as_nanos()).collect();
        let (frame, constant) = frame_duration(&times);
        let keyframes: Vec<i64> =
            frames.iter().filter(|(_, keyframe)| *keyframe).map(|(dts, _)| dts.as_nanos()).collect();
        let gop = keyframes.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max();
        let longest = MediaTime::from(config.max_segment_duration).as_nanos();
        let segment = gop.filter(|&gop| gop > 0).map_or(longest, |gop| {
            let wanted = MediaTime::from(config.segment_duration).as_nanos() - frame / 2;
            gop.saturating_mul((wanted / gop + i64::from(wanted % gop > 0)).max(1)).min(longest)
        });
        Self::new(frame, constant, segment, config)
    }

    /// The pace of a sound track whose frames last `frame` each.
    pub fn of_audio(frame: MediaTime, config: &PackagerConfig) -> Self {
        let frame = frame.as_nanos().clamp(FRAME_DURATIONS.0, FRAME_DURATIONS.1);
        let segment = MediaTime::from(config.segment_duration).as_nanos();
        let mut pace = Self::new(frame, true, segment, config);
        // A segment ends with the part that reaches its duration.
        let part = pace.part_target.as_nanos();
        pace.target_duration =
            pace.target_duration.max(seconds_rounded((segment - 1).max(0) / part * part + part));
        pace
    }

    fn new(frame: i64, constant: bool, segment: i64, config: &PackagerConfig) -> Self {
        let wanted = MediaTime::from(config.part_duration).as_nanos();
        let frames = ((wanted + frame / 2) / frame).max(1);
        // Whole milliseconds look tidy and leave room for the rounding of timestamps; a third of one is measuring noise.
        const MILLI: i64 = 1_000_000;
        let part = frames * frame;
        let part_target = ((part - MILLI / 3 + MILLI - 1) / MILLI).max(1) * MILLI;
        Self {
            frame: MediaTime::from_nanos(frame),
            constant,
            part_target: MediaTime::from_nanos(part_target),
            // A little more: source clocks are not exact, and segments cut short would lose their keyframes.
            target_duration: seconds_rounded(segment + 100 * MILLI).max(seconds_rounded(part_target)).max(1),
        }
    }

    /// The target duration as a time.
    pub fn target(&self) -> MediaTime {
        MediaTime::from_millis(i64::from(self.target_duration) * 1000)
    }

    /// The longest duration that rounds to the target duration, with a little distance.
    pub fn longest_segment(&self) -> MediaTime {
        self.target() + MediaTime::from_millis(450)
    }
}

/// Nearest whole seconds, as playlists compare segment durations with their target.
fn seconds_rounded(nanos: i64) -> u32 {
    u32::try_from((nanos + 500_000_000) / 1_000_000_000).unwrap_or(0)
}

/// The usual distance of `times`, and whether all are near it.
fn frame_duration(times: &[i64]) -> (i64, bool) {
    const ASSUMED: i64 = 33_333_333;
    let mut distances: Vec<i64> = times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    distances.sort_unstable();
    let Some(&median) = distances.get(distances.len() / 2) else { return (ASSUMED, false) };
    let constant = distances
        .iter()
        .all(|&distance| distance.abs_diff(median) <= median.unsigned_abs() / 10 * 3 + 1_000_000);
    // Timestamps are often whole milliseconds: the mean sees through the rounding, the median through outliers.
    let typical = match (constant, times.first(), times.last()) {
        (true, Some(&first), Some(&last)) => last.saturating_sub(first) / distances.len() as i64,
        _ => median,
    };
    (typical.clamp(FRAME_DURATIONS.0, FRAME_DURATIONS.1), constant)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames at `fps` for three seconds with millisecond timestamps and a keyframe every `gop` frames.
    fn frames(fps: f64, gop: usize) -> Vec<(MediaTime, bool)> {
        let count = (fps * 3.0) as usize + 2;
        (0..count)
            .map(|index| {
                (MediaTime::from_millis((index as f64 * 1000.0 / fps).round() as i64), index % gop == 0)
            })
            .collect()
    }

    fn video(fps: f64, gop: usize) -> (i64, u32) {
        let pace = Pace::of_video(&frames(fps, gop), &PackagerConfig::default());
        (pace.part_target.as_millis(), pace.target_duration)
    }

    #[test]
    fn part_target_is_the_multiple_of_the_frame_duration_nearest_200_ms() {
        assert_eq!(video(30.0, 60), (200, 2));
        assert_eq!(video(30_000.0 / 1001.0, 60).0, 200);
        assert_eq!(video(25.0, 50), (200, 2));
        assert_eq!(video(24.0, 48), (209, 2));
        assert_eq!(video(60.0, 60), (200, 2));
        assert_eq!(video(15.0, 30), (200, 2));
        assert_eq!(video(4.0, 4), (250, 2));
        assert_eq!(video(1000.0, 1000), (200, 2));
    }

    #[test]
    fn target_duration_is_whole_gops_or_the_maximum_when_the_gop_is_long() {
        assert_eq!(video(30.0, 15).1, 2, "four GOPs of half a second");
        assert_eq!(video(30.0, 45).1, 3, "two GOPs of 1.5 s");
        assert_eq!(video(30.0, 1).1, 2, "every frame a keyframe");
        assert_eq!(video(30.0, 250).1, 10, "no second keyframe was seen");
        assert_eq!(video(1.0, 1), (1000, 2));
    }

    #[test]
    fn audio_parts_are_whole_frames() {
        let config = PackagerConfig::default();
        let aac = |rate| Pace::of_audio(MediaTime::from_ticks(1024, rate), &config);
        assert_eq!(aac(48_000).part_target, MediaTime::from_millis(192));
        assert_eq!(aac(44_100).part_target, MediaTime::from_millis(209));
        assert_eq!(Pace::of_audio(MediaTime::from_millis(20), &config).part_target.as_millis(), 200);
    }

    #[test]
    fn b20_broken_timestamps_give_a_pace_nevertheless() {
        let config = PackagerConfig::default();
        for step in [0, i64::MAX / 8, -5] {
            let frames: Vec<_> = (0..10)
                .map(|index| (MediaTime::from_nanos(step.saturating_mul(index)), index == 0))
                .collect();
            let pace = Pace::of_video(&frames, &config);
            assert!(pace.part_target > MediaTime::ZERO && pace.target_duration >= 1, "{pace:?}");
        }
        assert!(Pace::of_video(&[], &config).target_duration >= 1);
        assert!(Pace::of_audio(MediaTime::ZERO, &config).target_duration >= 1);
    }
}
