//! What a broadcaster wants to know of the stream that arrives: rates, GOP length, and what is wrong with it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::media::{Frame, Kind, MediaTime, Track};

/// Rates are means over this stretch of arrival time: short enough to show a change, long enough to hide a GOP.
const WINDOW: Duration = Duration::from_secs(5);

/// The window is kept in steps of this length, so that its memory does not depend on the frame rate.
const STEP: Duration = Duration::from_millis(500);

/// A viewer who joins waits for a keyframe, or gets the whole GOP at once: from here on people notice.
const LONG_GOP: MediaTime = MediaTime::from_millis(4_500);

/// Running figures of a publisher's stream.
#[derive(Debug)]
pub struct SourceStats {
    began: Instant,
    steps: VecDeque<Step>,
    last_keyframe: Option<MediaTime>,
    newest: MediaTime,
    gop: Option<MediaTime>,
    /// When the newest picture is shown.
    shown: MediaTime,
    reordered: bool,
    has_video: bool,
    has_audio: bool,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    began: Instant,
    video_bytes: u64,
    audio_bytes: u64,
    video_frames: u32,
}

/// A reading of [`SourceStats`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceFigures {
    /// Picture, bits a second.
    pub video_bitrate: u64,
    /// Sound, bits a second.
    pub audio_bitrate: u64,
    /// Pictures a second, as they arrive.
    pub frame_rate: f64,
    /// Distance of the last two keyframes.
    pub gop: Option<Duration>,
    /// What the broadcaster should change, in words.
    pub warnings: Vec<String>,
}

impl SourceStats {
    /// For a publisher who comes in at `now`.
    pub const fn new(now: Instant) -> Self {
        Self {
            began: now,
            steps: VecDeque::new(),
            last_keyframe: None,
            newest: MediaTime::ZERO,
            gop: None,
            shown: MediaTime::ZERO,
            reordered: false,
            has_video: false,
            has_audio: false,
        }
    }

    /// A track was announced.
    pub fn track(&mut self, track: &Track) {
        match track.kind() {
            Kind::Video => self.has_video = true,
            Kind::Audio => self.has_audio = true,
        }
    }

    /// A frame arrived.
    pub fn frame(&mut self, kind: Kind, frame: &Frame, now: Instant) {
        if self.steps.back().is_none_or(|step| now.saturating_duration_since(step.began) >= STEP) {
            self.steps.push_back(Step { began: now, video_bytes: 0, audio_bytes: 0, video_frames: 0 });
            while self.steps.front().is_some_and(|step| now.saturating_duration_since(step.began) > WINDOW) {
                self.steps.pop_front();
            }
        }
        let Some(step) = self.steps.back_mut() else { return };
        if kind == Kind::Audio {
            step.audio_bytes += frame.payload.len() as u64;
            return;
        }
        step.video_bytes += frame.payload.len() as u64;
        step.video_frames += 1;
        self.newest = frame.dts;
        self.reordered |= frame.pts < self.shown;
        self.shown = frame.pts;
        if frame.keyframe {
            self.gop = self.last_keyframe.map(|previous| frame.dts - previous).or(self.gop);
            self.last_keyframe = Some(frame.dts);
        }
    }

    /// The figures as of `now`.
    pub fn figures(&self, now: Instant) -> SourceFigures {
        let since = self.steps.front().map_or(self.began, |step| step.began);
        let seconds = now.saturating_duration_since(since).as_secs_f64().max(STEP.as_secs_f64());
        let rate = |count: u64| (count as f64 / seconds).round();
        let sum = |of: fn(&Step) -> u64| self.steps.iter().map(of).sum::<u64>();
        SourceFigures {
            video_bitrate: rate(sum(|step| step.video_bytes) * 8) as u64,
            audio_bitrate: rate(sum(|step| step.audio_bytes) * 8) as u64,
            frame_rate: (sum(|step| step.video_frames.into()) as f64 / seconds * 10.0).round() / 10.0,
            gop: self.gop.map(|gop| gop.since(MediaTime::ZERO)),
            warnings: self.warnings(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let open = self.last_keyframe.map_or(MediaTime::ZERO, |keyframe| self.newest - keyframe);
        let gop = self.gop.unwrap_or_default().max(open);
        if gop >= LONG_GOP {
            warnings.push(format!(
                "Keyframes are {:.1} s apart: set the encoder's keyframe interval to 2 s, or viewers join late.",
                gop.as_secs_f64()
            ));
        }
        if self.reordered {
            warnings.push(
                "The picture has B-frames: they add delay, and browsers show them over WebRTC only after a \
                 conversion. Choose the encoder's \"zerolatency\" tune or 0 B-frames."
                    .to_owned(),
            );
        }
        if self.has_video && !self.has_audio {
            warnings.push("There is no sound.".to_owned());
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::clock;
    use crate::media::TrackId;

    fn frame(dts_ms: i64, cts_ms: i64, keyframe: bool, bytes: usize) -> Frame {
        Frame {
            track: TrackId(0),
            pts: MediaTime::from_millis(dts_ms + cts_ms),
            dts: MediaTime::from_millis(dts_ms),
            keyframe,
            disposable: false,
            payload: Bytes::from(vec![0; bytes]),
        }
    }

    #[test]
    fn rates_and_gop_are_measured() {
        let start = clock::monotonic();
        let mut stats = SourceStats::new(start);
        let mut now = start;
        for n in 0..500_i64 {
            now = start + Duration::from_millis(n as u64 * 40);
            stats.frame(Kind::Video, &frame(n * 40, 0, n % 50 == 0, 5_000), now);
            stats.frame(Kind::Audio, &frame(n * 40, 0, true, 500), now);
        }
        let figures = stats.figures(now);
        assert!((figures.frame_rate - 25.0).abs() < 1.5, "{figures:?}");
        assert!(figures.video_bitrate.abs_diff(1_000_000) < 60_000, "{figures:?}");
        assert!(figures.audio_bitrate.abs_diff(100_000) < 6_000, "{figures:?}");
        assert_eq!(figures.gop, Some(Duration::from_secs(2)));
        assert!(figures.warnings.is_empty());
        assert!(stats.steps.len() <= 12, "the memory of the window is bounded");
    }

    #[test]
    fn long_gops_b_frames_and_silence_are_pointed_out() {
        let now = clock::monotonic();
        let mut stats = SourceStats::new(now);
        stats.has_video = true;
        stats.frame(Kind::Video, &frame(0, 0, true, 10), now);
        stats.frame(Kind::Video, &frame(9_000, 80, false, 10), now);
        stats.frame(Kind::Video, &frame(9_040, 0, false, 10), now);
        let warnings = stats.figures(now).warnings.join("\n");
        for word in ["9.0 s apart", "B-frames", "no sound"] {
            assert!(warnings.contains(word), "{warnings}");
        }
    }
}
