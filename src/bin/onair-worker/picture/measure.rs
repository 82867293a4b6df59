//! What a source is like: frames and bits a second, from the frames themselves.

use std::collections::VecDeque;

use onair::media::{Frame, MediaTime};

/// Measured over so many frames at most: more than a second of 60 a second.
const WINDOW: usize = 120;
/// Bitrate is not told from less: the first frame is a keyframe, and many times as large as others.
const SHORTEST: MediaTime = MediaTime::from_millis(900);
/// Frames a second that are believed.
const RATES: std::ops::RangeInclusive<f64> = 1.0..=240.0;
/// What is assumed while nothing is known.
const USUAL_RATE: f64 = 30.0;

/// Measures a track of pictures.
#[derive(Debug, Default)]
pub struct Measure {
    /// Decoding time and bytes of the newest frames.
    frames: VecDeque<(MediaTime, usize)>,
}

impl Measure {
    /// Counts a frame.
    pub fn add(&mut self, frame: &Frame) {
        if self.frames.len() == WINDOW {
            self.frames.pop_front();
        }
        self.frames.push_back((frame.dts, frame.payload.len()));
    }

    /// Frames a second: the median of the distances, so that a gap does not count.
    pub fn frame_rate(&self) -> f64 {
        let times = self.frames.iter().map(|(dts, _)| *dts);
        let mut distances: Vec<i64> =
            times.clone().zip(times.skip(1)).map(|(earlier, later)| (later - earlier).as_nanos()).collect();
        distances.sort_unstable();
        let median = distances.get(distances.len() / 2).copied().unwrap_or(0);
        let rate = 1e9 / median as f64;
        if RATES.contains(&rate) { rate } else { USUAL_RATE }
    }

    /// Frames that were counted and are not forgotten.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// Bits a second; `None` until there is enough.
    pub fn bitrate(&self) -> Option<u32> {
        let (first, last) = (self.frames.front()?.0, self.frames.back()?.0);
        let span = last - first;
        if span < SHORTEST {
            return None;
        }
        // The newest frame's own duration is not in the span.
        let bytes: usize = self.frames.iter().take(self.frames.len() - 1).map(|(_, bytes)| bytes).sum();
        Some((bytes as f64 * 8.0 / span.as_secs_f64()) as u32)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onair::media::TrackId;

    use super::*;

    fn frame(millis: i64, bytes: usize) -> Frame {
        let time = MediaTime::from_millis(millis);
        let payload = Bytes::from(vec![0; bytes]);
        Frame { track: TrackId(0), pts: time, dts: time, keyframe: false, disposable: false, payload }
    }

    #[test]
    fn rates_come_from_the_frames() {
        let mut measure = Measure::default();
        assert_eq!((measure.frame_rate(), measure.bitrate()), (USUAL_RATE, None));
        for index in 0..40 {
            // One frame is missing.
            measure.add(&frame(index * 40 + i64::from(index > 20) * 40, 5_000));
        }
        assert_eq!(measure.frame_rate(), 25.0);
        let bitrate = measure.bitrate().unwrap();
        assert!((960_000..1_000_000).contains(&bitrate), "{bitrate}");
    }

    #[test]
    fn nonsense_has_the_usual_rate() {
        for distance in [0, -5, 10_000_000] {
            let mut measure = Measure::default();
            (0..3).for_each(|index| measure.add(&frame(index * distance, 1)));
            assert_eq!(measure.frame_rate(), USUAL_RATE);
        }
    }

    #[test]
    fn only_the_newest_frames_count() {
        let mut measure = Measure::default();
        (0..1_000).for_each(|index| measure.add(&frame(index * 100, 1)));
        (1_000..1_200).for_each(|index| measure.add(&frame(90_000 + index * 10, 125)));
        assert_eq!(measure.frame_rate(), 100.0);
        assert_eq!(measure.bitrate(), Some(100_000));
    }
}
