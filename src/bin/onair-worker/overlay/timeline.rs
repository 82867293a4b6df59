//! What is on when.

use std::time::Duration;

use onair::av::worker::ipc::{Overlay, Rect, Size, Sprite, Squeeze};
use onair::media::MediaTime;

/// A sprite frame without a duration is shown as long as browsers show it: 100 ms.
const USUAL_DURATION: Duration = Duration::from_millis(100);
/// Browsers show no frame shorter than this as it says.
const SHORTEST_DURATION: Duration = Duration::from_millis(20);

/// Whether the overlay is drawn on the picture of this time.
pub fn is_on(overlay: &Overlay, pts: MediaTime) -> bool {
    overlay.start <= pts && pts < overlay.end
}

/// Which of the sprite's frames is shown so long after its start. An animation goes round.
pub fn frame_at(sprite: &Sprite, since_start: Duration) -> usize {
    let duration = |index: usize| match sprite.frames.get(index).map(|frame| frame.duration) {
        Some(duration) if duration >= SHORTEST_DURATION => duration,
        _ => USUAL_DURATION,
    };
    let round: Duration = (0..sprite.frames.len()).map(duration).sum();
    // A round of nothing has no frame but the first.
    let in_round = since_start.as_millis().checked_rem(round.as_millis()).unwrap_or(0);
    let mut ends = Duration::ZERO;
    (0..sprite.frames.len())
        .find(|&index| {
            ends += duration(index);
            in_round < ends.as_millis()
        })
        .unwrap_or(0)
}

/// A rectangle of the canvas in a picture of this size.
pub fn scaled(rect: Rect, canvas: Size, picture: Size) -> Rect {
    let scale = |at: u32, from: u32, to: u32| {
        // Both sides are 16,384 at most.
        ((u64::from(at) * u64::from(to) + u64::from(from) / 2) / u64::from(from.max(1))) as u32
    };
    let x = scale(rect.x, canvas.width, picture.width).min(picture.width.saturating_sub(1));
    let y = scale(rect.y, canvas.height, picture.height).min(picture.height.saturating_sub(1));
    let right = scale(rect.x.saturating_add(rect.width), canvas.width, picture.width);
    let bottom = scale(rect.y.saturating_add(rect.height), canvas.height, picture.height);
    let width = right.min(picture.width).saturating_sub(x).max(1);
    let height = bottom.min(picture.height).saturating_sub(y).max(1);
    Rect { x, y, width, height }
}

/// Where the picture is at this time, on its way to its place or back, in a picture of this size. The rectangle's sides and
/// edges are even, as chroma wants it, and at least two.
pub fn picture_at(overlay: &Overlay, squeeze: &Squeeze, pts: MediaTime, picture: Size) -> Rect {
    let transition = squeeze.transition.as_secs_f64();
    let (since, left) = (pts.since(overlay.start).as_secs_f64(), overlay.end.since(pts).as_secs_f64());
    let share = if transition > 0.0 { (since.min(left) / transition).min(1.0) } else { 1.0 };
    // Slow at both ends.
    let share = share * share * (3.0 - 2.0 * share);
    let to = scaled(squeeze.picture, overlay.canvas, picture);
    let between =
        |from: u32, to: u32| (f64::from(from) + (f64::from(to) - f64::from(from)) * share).round() as u32;
    even(
        Rect {
            x: between(0, to.x),
            y: between(0, to.y),
            width: between(picture.width, to.width),
            height: between(picture.height, to.height),
        },
        picture,
    )
}

fn even(rect: Rect, picture: Size) -> Rect {
    let side = |at: u32, side: u32, whole: u32| {
        // A picture of odd width may be covered to its last column.
        if at == 0 && side >= whole {
            return (0, whole);
        }
        let at = at.min(whole.saturating_sub(2)) & !1;
        (at, (side & !1).max(2).min(whole - at))
    };
    let (x, width) = side(rect.x, rect.width, picture.width);
    let (y, height) = side(rect.y, rect.height, picture.height);
    Rect { x, y, width, height }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onair::av::worker::ipc::{OverlayId, SpriteFrame};

    use super::*;

    const HD: Size = Size { width: 1280, height: 720 };

    fn overlay(durations: &[u64]) -> Overlay {
        let frame = |&millis: &u64| SpriteFrame {
            duration: Duration::from_millis(millis),
            rgba: Bytes::from_static(&[0; 4]),
        };
        let frames = durations.iter().map(frame).collect();
        Overlay {
            id: OverlayId(1),
            start: MediaTime::from_millis(1_000),
            end: MediaTime::from_millis(11_000),
            sprite: Sprite { size: Size { width: 1, height: 1 }, frames },
            canvas: HD,
            place: Rect { x: 0, y: 504, width: 1280, height: 216 },
            squeeze: None,
        }
    }

    #[test]
    fn an_overlay_is_on_from_its_start_to_before_its_end() {
        let overlay = overlay(&[0]);
        let nano = MediaTime::from_nanos(1);
        for (pts, on) in [
            (overlay.start - nano, false),
            (overlay.start, true),
            (overlay.end - nano, true),
            (overlay.end, false),
        ] {
            assert_eq!(is_on(&overlay, pts), on, "{pts:?}");
        }
    }

    #[test]
    fn an_animation_goes_round() {
        let sprite = overlay(&[50, 100, 0]).sprite;
        // The last has no duration of its own: 100 ms.
        for (millis, frame) in [(0, 0), (49, 0), (50, 1), (149, 1), (150, 2), (249, 2), (250, 0), (25_050, 1)]
        {
            assert_eq!(frame_at(&sprite, Duration::from_millis(millis)), frame, "after {millis} ms");
        }
        assert_eq!(frame_at(&overlay(&[7]).sprite, Duration::from_secs(9)), 0);
    }

    #[test]
    fn rectangles_follow_the_size_of_the_picture() {
        let place = Rect { x: 960, y: 504, width: 320, height: 216 };
        assert_eq!(scaled(place, HD, HD), place);
        let half = Size { width: 640, height: 360 };
        assert_eq!(scaled(place, HD, half), Rect { x: 480, y: 252, width: 160, height: 108 });
        let tiny = scaled(place, HD, Size { width: 1, height: 1 });
        assert_eq!(tiny, Rect { x: 0, y: 0, width: 1, height: 1 });
    }

    #[test]
    fn a_picture_goes_to_its_place_and_back() {
        let overlay = overlay(&[0]);
        let place = Rect { x: 288, y: 0, width: 992, height: 558 };
        let squeeze =
            Squeeze { picture: place, background: [0; 3], transition: Duration::from_millis(1_000) };
        let whole = Rect { x: 0, y: 0, width: 1280, height: 720 };
        let at = |millis| picture_at(&overlay, &squeeze, MediaTime::from_millis(millis), HD);
        assert_eq!(at(1_000), whole);
        assert_eq!((at(2_000), at(6_000), at(10_000)), (place, place, place));
        let half = at(1_500);
        assert_eq!(half, Rect { x: 144, y: 0, width: 1136, height: 638 });
        assert_eq!(at(10_500), half, "the way back is the same");
        let at_once = Squeeze { transition: Duration::ZERO, ..squeeze };
        assert_eq!(picture_at(&overlay, &at_once, overlay.start, HD), place);
    }

    #[test]
    fn rectangles_are_even_and_within_the_picture() {
        for (rect, size) in [
            (Rect { x: 3, y: 5, width: 7, height: 9 }, HD),
            (Rect { x: 1279, y: 719, width: 1, height: 1 }, HD),
            (Rect { x: 1, y: 1, width: 8, height: 8 }, Size { width: 9, height: 9 }),
        ] {
            let Rect { x, y, width, height } = even(rect, size);
            assert!(x % 2 == 0 && y % 2 == 0 && width >= 2 && height >= 2);
            assert!(x + width <= size.width && y + height <= size.height);
        }
        let odd = Size { width: 641, height: 361 };
        let whole = Rect { x: 0, y: 0, width: 641, height: 361 };
        assert_eq!(even(whole, odd), whole);
    }
}
