//! The source frames that a worker must be given to take part: from a keyframe on.

use std::collections::VecDeque;

use crate::media::{Frame, MediaTime};

/// The newest source frames, from a keyframe on, in decoding order.
///
/// A GOP that is larger than the memory is not remembered at all, as nobody can begin in its middle.
#[derive(Debug)]
pub(super) struct Memory {
    frames: VecDeque<Frame>,
    bytes: usize,
    max_bytes: usize,
    max_frames: usize,
}

impl Memory {
    pub const fn new(max_bytes: usize, max_frames: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, max_bytes, max_frames }
    }

    /// The frames; none when nothing can begin.
    pub fn frames(&self) -> impl Iterator<Item = &Frame> {
        self.frames.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Adds the next frame of the source.
    pub fn push(&mut self, frame: Frame) {
        if self.frames.is_empty() && !frame.keyframe {
            return;
        }
        self.bytes += frame.payload.len();
        self.frames.push_back(frame);
        if self.bytes > self.max_bytes || self.frames.len() > self.max_frames {
            self.clear();
        }
    }

    /// Forgets what is older than the newest keyframe: all before it has been shown.
    pub fn forget_shown(&mut self) {
        let newest = self.frames.iter().rposition(|frame| frame.keyframe);
        self.forget(newest.unwrap_or_default());
    }

    /// Forgets what nobody needs any more to make the pictures after `pts`. A keyframe that is not shown yet may have leading
    /// pictures, which need what is before it.
    pub fn forget_until(&mut self, pts: MediaTime) {
        let shown = |frame: &Frame| frame.keyframe && frame.pts <= pts;
        self.forget(self.frames.iter().rposition(shown).unwrap_or_default());
    }

    fn forget(&mut self, count: usize) {
        let forgotten = self.frames.drain(..count).map(|frame| frame.payload.len());
        self.bytes -= forgotten.sum::<usize>();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::TrackId;

    fn frame(pts: i64, keyframe: bool) -> Frame {
        let pts = MediaTime::from_millis(pts);
        let payload = Bytes::from_static(&[0; 10]);
        Frame { track: TrackId(0), pts, dts: pts, keyframe, disposable: false, payload }
    }

    fn times(memory: &Memory) -> Vec<i64> {
        memory.frames().map(|frame| frame.pts.as_millis()).collect()
    }

    #[test]
    fn it_begins_with_a_keyframe_and_forgets_what_was_shown() {
        let mut memory = Memory::new(1000, 100);
        memory.push(frame(0, false));
        assert!(memory.is_empty());
        // The pictures at 80 and 100 lead an open GOP.
        for (pts, keyframe) in [(40, true), (60, false), (120, true), (80, false), (100, false), (140, false)]
        {
            memory.push(frame(pts, keyframe));
        }
        memory.forget_until(MediaTime::from_millis(100));
        assert_eq!(times(&memory), [40, 60, 120, 80, 100, 140]);
        memory.forget_until(MediaTime::from_millis(120));
        assert_eq!(times(&memory), [120, 80, 100, 140]);
        memory.push(frame(160, true));
        memory.forget_shown();
        assert_eq!(times(&memory), [160]);
        assert_eq!(memory.bytes, 10);
    }

    #[test]
    fn b21_a_gop_that_never_ends_is_not_remembered() {
        for (bytes, frames) in [(100, 1000), (100_000, 10)] {
            let mut memory = Memory::new(bytes, frames);
            for n in 0..50 {
                memory.push(frame(n, n == 0));
            }
            assert!(memory.is_empty() && memory.bytes == 0);
            memory.push(frame(50, true));
            assert_eq!(times(&memory), [50]);
        }
    }
}
