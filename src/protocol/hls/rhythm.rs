//! What the frames of a leading track have shown so far: how long one lasts, and how many lie between keyframes.

use std::collections::VecDeque;

use crate::media::MediaTime;

/// Frame distances remembered to notice another frame rate.
const RECENT: usize = 15;

/// The habits of a track.
#[derive(Clone, Debug)]
pub(super) struct Rhythm {
    /// What a frame usually lasts.
    frame: MediaTime,
    recent: VecDeque<MediaTime>,
    last_dts: Option<MediaTime>,
    gop: GopHabit,
}

/// How many frames the source puts between keyframes.
#[derive(Clone, Copy, Debug, Default)]
struct GopHabit {
    frames: u32,
    previous: Option<u32>,
    /// Those before the previous one.
    earlier: [u32; 2],
    regular: bool,
}

impl Rhythm {
    /// Of a track of which nothing is known but what a frame lasts.
    pub fn new(frame: MediaTime) -> Self {
        Self { frame, recent: VecDeque::with_capacity(RECENT), last_dts: None, gop: GopHabit::default() }
    }

    /// What a frame usually lasts.
    pub const fn frame(&self) -> MediaTime {
        self.frame
    }

    /// Takes in a frame; `keyframe` for those of a picture that are.
    pub fn count(&mut self, dts: MediaTime, keyframe: bool) {
        self.measure(dts);
        if keyframe {
            self.gop.keyframe();
        }
        self.gop.frames += 1;
    }

    /// The next frame is a keyframe, by habit.
    pub fn gop_ends(&self) -> bool {
        self.gop.regular && self.gop.previous == Some(self.gop.frames)
    }

    /// The longest of the last few stretches between keyframes; the last of them ends here.
    pub fn longest_gop(&self) -> MediaTime {
        let GopHabit { frames, previous, earlier: [before, first], .. } = self.gop;
        let longest = frames.max(previous.unwrap_or(0)).max(before).max(first);
        MediaTime::from_nanos(self.frame.as_nanos().saturating_mul(longest.into()))
    }

    /// What comes next does not continue what was.
    pub fn interrupt(&mut self) {
        self.last_dts = None;
        self.gop = GopHabit::default();
    }

    /// Follows the source to another frame rate.
    fn measure(&mut self, dts: MediaTime) {
        if let Some(last) = self.last_dts.replace(dts) {
            self.recent.push_back(dts - last);
        }
        if self.recent.len() < RECENT {
            return;
        }
        let mut sorted: Vec<MediaTime> = self.recent.drain(..).collect();
        sorted.sort_unstable();
        let median = sorted[RECENT / 2];
        let tenth = MediaTime::from_nanos(self.frame.as_nanos() / 10);
        if (median - self.frame).abs() > tenth && median > MediaTime::ZERO {
            self.frame = median;
        }
    }
}

impl GopHabit {
    fn keyframe(&mut self) {
        if self.frames > 0 {
            // One GOP is a habit until another contradicts it: a wrong guess costs a short part.
            self.regular = self.previous.is_none_or(|previous| previous == self.frames);
            self.earlier = [self.previous.unwrap_or(0), self.earlier[0]];
            self.previous = Some(self.frames);
        }
        self.frames = 0;
    }
}
