//! Whether pictures come in another order than they are shown in (B-frames), where the encoder does not say.
//!
//! H.264 may leave it out of its parameter sets, and some hardware encoders do. Who cannot show such pictures must know of
//! it all the same: the first one that goes back in time tells.

use crate::media::{Frame, MediaTime, Params, Track, TrackId, VideoParams};

/// What the times of a publisher's frames tell of his tracks.
#[derive(Debug, Default)]
pub struct Reordering(Vec<(TrackId, Shown)>);

#[derive(Clone, Copy, Debug)]
enum Shown {
    /// In order, up to this time.
    InOrder(MediaTime),
    Reordered,
}

impl Reordering {
    /// A track is announced, maybe again: as its parameter sets describe it, and with what is known besides.
    pub fn describe(&mut self, track: Track) -> Track {
        let known = self.0.iter().position(|(id, _)| *id == track.id);
        match track.params {
            Params::Video(video @ VideoParams { reorder_depth: None, .. }) => match known {
                Some(place) if matches!(self.0[place].1, Shown::Reordered) => reordered(track, video),
                Some(_) => track,
                None => {
                    self.0.push((track.id, Shown::InOrder(MediaTime::from_nanos(i64::MIN))));
                    track
                }
            },
            _ => {
                known.map(|place| self.0.swap_remove(place));
                track
            }
        }
    }

    /// A frame of a track comes. `true` when it is the first to show that the track's pictures are reordered.
    pub fn frame(&mut self, frame: &Frame) -> bool {
        let Some((_, shown)) = self.0.iter_mut().find(|(id, _)| *id == frame.track) else { return false };
        match *shown {
            Shown::InOrder(newest) if frame.pts < newest => {
                *shown = Shown::Reordered;
                true
            }
            Shown::InOrder(_) => {
                *shown = Shown::InOrder(frame.pts);
                false
            }
            Shown::Reordered => false,
        }
    }
}

fn reordered(track: Track, video: VideoParams) -> Track {
    Track { params: Params::Video(VideoParams { reorder_depth: Some(1), ..video }), ..track }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::Codec;

    fn track(reorder_depth: Option<u8>) -> Track {
        let params = Params::Video(VideoParams { width: 640, height: 360, reorder_depth });
        Track { id: TrackId(0), group: 0, rank: 0, codec: Codec::H264, config: Bytes::new(), params }
    }

    fn frame(dts: i64, pts: i64) -> Frame {
        let [dts, pts] = [dts, pts].map(MediaTime::from_millis);
        Frame {
            track: TrackId(0),
            pts,
            dts,
            keyframe: dts == MediaTime::ZERO,
            disposable: false,
            payload: Bytes::new(),
        }
    }

    fn depth(track: &Track) -> Option<u8> {
        track.video().and_then(|video| video.reorder_depth)
    }

    #[test]
    fn the_first_picture_that_goes_back_in_time_tells() {
        let mut reordering = Reordering::default();
        assert_eq!(depth(&reordering.describe(track(None))), None);
        // An I, a P, and the B between them.
        let told = [(0, 40), (40, 160), (80, 80), (120, 120), (160, 280), (200, 200)]
            .map(|(dts, pts)| reordering.frame(&frame(dts, pts)));
        assert_eq!(told, [false, false, true, false, false, false]);
        assert_eq!(depth(&reordering.describe(track(None))), Some(1), "announced again, it is still known");
    }

    #[test]
    fn pictures_in_order_stay_unknown_though_they_are_shown_later_than_decoded() {
        let mut reordering = Reordering::default();
        reordering.describe(track(None));
        assert!((0..100).all(|n| !reordering.frame(&frame(n * 40, n * 40 + 80))));
        assert_eq!(depth(&reordering.describe(track(None))), None);
    }

    #[test]
    fn what_the_encoder_says_counts() {
        for said in [0, 2] {
            let mut reordering = Reordering::default();
            assert_eq!(depth(&reordering.describe(track(Some(said)))), Some(said));
            assert!(
                [(0, 40), (40, 160), (80, 80)].iter().all(|(dts, pts)| !reordering.frame(&frame(*dts, *pts)))
            );
        }
    }
}
