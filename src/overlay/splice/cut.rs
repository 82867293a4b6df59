//! Cuts: source frames such that all before them, in decoding order, are shown before all from them on.

use crate::media::{Frame, MediaTime};

/// What was seen of the order of pictures.
#[derive(Debug, Default)]
pub(super) struct DisplayOrder {
    /// The latest presentation time so far.
    newest: Option<MediaTime>,
    /// The latest decoding time so far: nothing that comes is shown before it.
    reached: MediaTime,
    /// What was the latest before the frame that has it now.
    before_newest: Option<MediaTime>,
    /// A frame that was later than all before it turned out to be no cut.
    uneven: bool,
    /// A frame was earlier than one before it.
    reordered: bool,
}

impl DisplayOrder {
    /// The latest presentation time so far.
    pub const fn newest(&self) -> Option<MediaTime> {
        self.newest
    }

    /// No frame to come is shown before this moment.
    pub const fn reached(&self) -> MediaTime {
        self.reached
    }

    /// Frames that are later than all before them are not always cuts: encoders that hold back more than one frame that others
    /// refer to. With all others, the first frame at or after a moment is a cut that is good for it.
    pub const fn is_uneven(&self) -> bool {
        self.uneven
    }

    /// Frames are not shown in the order in which they are decoded, whatever the parameter sets promise.
    pub const fn is_reordered(&self) -> bool {
        self.reordered
    }

    /// Whether a frame is later than all before it: only those may be cuts.
    pub fn advances(&self, pts: MediaTime) -> bool {
        self.newest.is_none_or(|newest| pts > newest)
    }

    /// Takes the next frame into account.
    pub fn add(&mut self, dts: MediaTime, pts: MediaTime) {
        self.reached = dts;
        if self.advances(pts) {
            self.before_newest = self.newest;
            self.newest = Some(pts);
        } else {
            self.reordered = true;
            self.uneven |= self.before_newest.is_some_and(|before| pts <= before);
        }
    }
}

/// The smallest presentation time of all frames from a cut on, once no frame to come can be smaller: `held` are those that are
/// here, `depth` is how many frames may precede one in decoding order and follow it in display order.
pub(super) fn first_shown<'a>(held: impl Iterator<Item = &'a Frame>, depth: Option<u8>) -> Option<MediaTime> {
    let (mut count, mut first, mut newest) = (0, MediaTime::MAX, None);
    for frame in held {
        count += 1;
        first = first.min(frame.pts);
        newest = Some(frame.dts);
    }
    // A frame is not shown before it is decoded, and decoding times rise.
    let decoded = newest.is_some_and(|dts| dts >= first);
    let deep = depth.is_some_and(|depth| count > usize::from(depth));
    (decoded || deep).then_some(first)
}

/// The first of these frames that may still be a cut, where all before the first of them are shown up to `bound`.
pub(super) fn first_candidate(frames: &[Frame], bound: MediaTime) -> Option<(usize, MediaTime)> {
    let mut bound = bound;
    for (index, frame) in frames.iter().enumerate() {
        if frames[index..].iter().all(|later| later.pts > bound) {
            return Some((index, bound));
        }
        bound = bound.max(frame.pts);
    }
    None
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::TrackId;

    fn frames(times: &[(i64, i64)]) -> Vec<Frame> {
        let frame = |&(dts, pts): &(i64, i64)| {
            let [dts, pts] = [dts, pts].map(MediaTime::from_millis);
            let payload = Bytes::new();
            Frame { track: TrackId(0), pts, dts, keyframe: false, disposable: false, payload }
        };
        times.iter().map(frame).collect()
    }

    fn is_uneven(times: &[i64]) -> bool {
        let mut order = DisplayOrder::default();
        times.iter().for_each(|&pts| order.add(MediaTime::ZERO, MediaTime::from_millis(pts)));
        order.is_uneven()
    }

    #[test]
    fn pyramids_are_even_and_two_anchors_ahead_are_not() {
        assert!(!is_uneven(&[0, 1, 2, 3]));
        assert!(!is_uneven(&[0, 3, 1, 2, 6, 4, 5]));
        assert!(!is_uneven(&[0, 8, 4, 2, 1, 3, 6, 5, 7, 16, 12]));
        assert!(is_uneven(&[0, 4, 8, 2, 1, 3, 6]), "8 is no cut: 2 comes after it and is shown before 4");
    }

    #[test]
    fn the_first_shown_is_known_when_nothing_earlier_can_come() {
        let known =
            |times: &[(i64, i64)], depth| first_shown(frames(times).iter(), depth).map(MediaTime::as_millis);
        assert_eq!(known(&[(40, 40)], None), Some(40), "without reordering at once");
        let reordered = [(0, 160), (40, 120), (80, 80), (120, 140)];
        assert_eq!(known(&reordered[..2], None), None);
        assert_eq!(known(&reordered[..3], None), Some(80));
        assert_eq!(
            known(&reordered[..1], Some(0)),
            Some(160),
            "the parameter sets promise that none is reordered"
        );
        assert_eq!(known(&reordered[..2], Some(2)), None);
        assert_eq!(known(&reordered[..3], Some(2)), Some(80));
        assert_eq!(known(&[], Some(0)), None);
    }

    #[test]
    fn a_candidate_that_is_none_gives_way_to_the_next() {
        let candidate = |times: &[(i64, i64)], bound| {
            first_candidate(&frames(times), MediaTime::from_millis(bound))
                .map(|(index, bound)| (index, bound.as_millis()))
        };
        assert_eq!(candidate(&[(0, 80), (1, 40)], 20), Some((0, 20)));
        assert_eq!(candidate(&[(0, 80), (1, 20)], 40), None);
        assert_eq!(candidate(&[(0, 80), (1, 20), (2, 120), (3, 100)], 40), Some((2, 80)));
    }
}
