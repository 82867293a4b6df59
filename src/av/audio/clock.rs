//! Which sample is heard when: from the timestamps of a source to a clock that counts samples.

use crate::media::MediaTime;

/// Timestamps further than this from the clock are no jitter: something is missing, or there is too much.
const JITTER: MediaTime = MediaTime::from_millis(40);

/// A longer gap is left open: what comes after it begins anew.
const LONGEST_FILL: MediaTime = MediaTime::from_millis(100);

/// The clock follows the timestamps when their mean is further from it than this: RTMP's round to a millisecond.
const TOLERANCE: MediaTime = MediaTime::from_millis(1);

/// The mean goes over about so many frames: 1.4 s of AAC at 48 kHz.
const MEAN: i64 = 64;

/// Where a frame belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Right after the frame before it.
    Next,
    /// After a gap of so many frames.
    AfterGap(u32),
    /// After a gap that is not worth filling.
    Elsewhere,
    /// Nowhere: there is more sound than time, and this frame is left out.
    Surplus,
}

/// A clock that counts samples.
///
/// Timestamps jitter: RTMP rounds them to milliseconds, phones stamp audio when they get to it. The clock does not
/// follow them. It is set by the first, goes by the number of samples, and asks for a [`correction`](Self::correction)
/// of single samples only where the mean of the timestamps goes away from it: then the source's samples and its
/// timestamps go by different crystals.
#[derive(Debug)]
pub struct SampleClock {
    /// Samples a second of the source.
    rate: u32,
    /// Samples of a frame.
    frame: u32,
    /// Samples a second of the output, in which corrections are made.
    output_rate: u32,
    /// Media time of the first sample.
    anchor: MediaTime,
    /// Samples of the source since then.
    samples: i64,
    /// Samples of the output that corrections have left out; negative where they have added.
    left_out: i64,
    /// Mean distance of the timestamps from the clock.
    error: MediaTime,
    /// Frames are being left out until the timestamps have caught up.
    in_surplus: bool,
}

impl SampleClock {
    /// For frames of `frame` samples at `rate` samples a second, of which the first is heard at `anchor`.
    pub const fn new(rate: u32, frame: u32, output_rate: u32, anchor: MediaTime) -> Self {
        Self {
            rate,
            frame,
            output_rate,
            anchor,
            samples: 0,
            left_out: 0,
            error: MediaTime::ZERO,
            in_surplus: false,
        }
    }

    /// When the next sample of the source is heard.
    pub fn now(&self) -> MediaTime {
        self.anchor + MediaTime::from_ticks(self.samples, self.rate)
            - MediaTime::from_ticks(self.left_out, self.output_rate)
    }

    /// Where the frame with this timestamp belongs. A gap before it is counted, the frame is not yet.
    pub fn place(&mut self, pts: MediaTime) -> Place {
        let duration = MediaTime::from_ticks(self.frame.into(), self.rate);
        let limit = JITTER.max(duration);
        let error = pts - self.now();
        // Once too late, frames are left out until they are in time again, not until they are only just late.
        let most_behind = if self.in_surplus { MediaTime::ZERO - duration } else { MediaTime::ZERO - limit };
        self.in_surplus = error < most_behind;
        if self.in_surplus {
            return Place::Surplus;
        }
        if error > LONGEST_FILL.max(limit) {
            return Place::Elsewhere;
        }
        if error > limit {
            // At least one: no limit is shorter than half a frame. What remains is drift.
            let frames = error.to_ticks(self.rate) + i64::from(self.frame) / 2;
            let missing = u32::try_from(frames / i64::from(self.frame)).unwrap_or(0);
            self.advance(missing.saturating_mul(self.frame));
            self.error = pts - self.now();
            return Place::AfterGap(missing);
        }
        self.error += MediaTime::from_nanos((error - self.error).as_nanos() / MEAN);
        Place::Next
    }

    /// Counts samples of the source.
    pub const fn advance(&mut self, samples: u32) {
        self.samples = self.samples.saturating_add(samples as i64);
    }

    /// How many samples more (1) or fewer (-1) of the sound the next 20 ms of output are to be made of. One in 960
    /// changes the pitch by less than two cents, which nobody hears, and follows a drift of a thousand parts in a million;
    /// crystals are within a hundred.
    pub fn correction(&mut self) -> i64 {
        let correction = match self.error {
            // The timestamps run ahead: what there is has to last longer.
            error if error > TOLERANCE => -1,
            error if error < MediaTime::ZERO - TOLERANCE => 1,
            _ => return 0,
        };
        self.left_out = self.left_out.saturating_add(correction);
        self.error += MediaTime::from_ticks(correction, self.output_rate);
        correction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 44_100;
    const FRAME: u32 = 1024;

    fn clock() -> SampleClock {
        SampleClock::new(RATE, FRAME, 48_000, MediaTime::ZERO)
    }

    fn exact(frame: i64) -> MediaTime {
        MediaTime::from_ticks(frame * i64::from(FRAME), RATE)
    }

    #[test]
    fn an_hour_of_rounded_and_jittering_timestamps_moves_nothing() {
        let mut clock = clock();
        for frame in 0..155_000 {
            // Rounded to milliseconds, and up to 9 ms late in a pattern.
            let late = frame * 7 % 19 - 9;
            let pts = MediaTime::from_millis(exact(frame).as_millis() + if frame == 0 { 0 } else { late });
            assert_eq!(clock.place(pts), Place::Next);
            assert_eq!((clock.now(), clock.correction()), (exact(frame), 0), "frame {frame}");
            clock.advance(FRAME);
        }
    }

    #[test]
    fn another_crystal_is_followed() {
        for parts_per_million in [-200, -40, 40, 200] {
            let mut clock = clock();
            for frame in 0..155_000 {
                let true_time = exact(frame).as_nanos();
                let pts = MediaTime::from_nanos(true_time + true_time / 1_000_000 * parts_per_million);
                assert_eq!(clock.place(MediaTime::from_millis(pts.as_millis())), Place::Next);
                let distance = (clock.now() - pts).abs();
                assert!(distance < MediaTime::from_millis(3), "{distance:?} at frame {frame}");
                clock.advance(FRAME);
                clock.correction();
            }
        }
    }

    #[test]
    fn gaps_are_filled_if_short() {
        let mut clock = clock();
        clock.place(MediaTime::ZERO);
        clock.advance(FRAME);
        assert_eq!(clock.place(exact(1) + MediaTime::from_millis(39)), Place::Next, "jitter");
        clock.advance(FRAME);
        assert_eq!(clock.place(exact(2) + MediaTime::from_millis(80)), Place::AfterGap(3));
        assert_eq!(clock.now(), exact(5));
        clock.advance(FRAME);
        assert_eq!(clock.place(clock.now() + MediaTime::from_millis(101)), Place::Elsewhere);
    }

    #[test]
    fn sound_without_time_is_left_out() {
        let mut clock = clock();
        let mut left_out = 0;
        // Each frame claims to last one millisecond.
        for frame in 0..1000 {
            match clock.place(MediaTime::from_millis(frame)) {
                Place::Surplus => left_out += 1,
                place => {
                    assert_eq!(place, Place::Next);
                    clock.advance(FRAME);
                }
            }
        }
        assert!((930..970).contains(&left_out), "{left_out}");
        assert!((clock.now() - MediaTime::from_millis(1000)).abs() <= MediaTime::from_millis(70));
    }

    #[test]
    fn absurd_timestamps_do_not_panic() {
        let mut clock = clock();
        for pts in [MediaTime::MAX, MediaTime::from_nanos(i64::MIN), MediaTime::ZERO, MediaTime::MAX] {
            clock.place(pts);
            clock.advance(u32::MAX);
            clock.correction();
        }
    }
}
