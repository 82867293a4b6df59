//! Where an overlay and the picture go: the formats of the IAB's guidance for live overlays, at any resolution.
//!
//! Rectangles have even coordinates and sides, because the colour of 4:2:0 video has half the resolution. The creative
//! and the picture keep their proportions.

use std::time::Duration;

use crate::av::worker::ipc::{Rect, Size};
use crate::media::MediaTime;
pub use crate::media::OverlayFormat as Format;

/// Parts in a thousand, for what is measured against the picture.
type Permille = u64;

/// A lower third takes 30 % of the height: 324 of 1080 rows.
const LOWER_THIRD: Permille = 300;
/// A corner and either half of a double box take 25 % of the area: half of each edge.
const QUARTER: Permille = 500;
/// A corner keeps this distance from the edges, in parts of the shorter one.
const MARGIN: Permille = 25;
/// The picture beside an L keeps 60 % of the area: √0.6 of each edge.
const BESIDE_L: Permille = 775;
/// Proportions so near to each other count as the same: a few rows of background show nothing.
const SAME_SHAPE: Permille = 30;
/// How long the picture takes to make room, and to come back: the guidance says one to two seconds.
const TRANSITION: Duration = Duration::from_secs(1);
/// The transition takes no more than this part of a slot, at either end.
const TRANSITION_SHARE: u32 = 4;

/// Rectangles on a picture of a certain size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Where the creative goes.
    pub place: Rect,
    /// Where the picture goes, if it does not stay as it is.
    pub picture: Option<Rect>,
}

impl Format {
    /// The smallest side of a picture that anything is placed on, in pixels.
    pub const MIN_SIDE: u32 = 32;

    /// Places a creative on a picture of size `canvas`; `None` when the picture is too small for that, or the creative has no
    /// size.
    pub fn place(self, canvas: Size, creative: Size) -> Option<Placement> {
        let too_small = canvas.width.min(canvas.height) < Self::MIN_SIDE;
        if too_small || creative.width == 0 || creative.height == 0 {
            return None;
        }
        let canvas = Size { width: canvas.width & !1, height: canvas.height & !1 };
        Some(match self {
            Self::LowerThird => {
                let height = share(canvas.height, LOWER_THIRD);
                let area = Rect { x: 0, y: canvas.height - height, width: canvas.width, height };
                Placement { place: within(area, creative, Align::Low), picture: None }
            }
            Self::Corner => {
                let margin = share(canvas.width.min(canvas.height), MARGIN);
                let (width, height) = (share(canvas.width, QUARTER), share(canvas.height, QUARTER));
                let area = Rect {
                    x: canvas.width - width,
                    y: margin,
                    width: width - margin,
                    height: height - margin,
                };
                Placement { place: within(area, creative, Align::UpperRight), picture: None }
            }
            Self::LShape => l_shape(canvas, creative),
            Self::DoubleBox => double_box(canvas, creative),
        })
    }

    /// The size that a creative is drawn at, at most, on a picture of size `canvas`: what it should be decoded to.
    pub fn fit(self, canvas: Size) -> Size {
        match self {
            Self::LowerThird => {
                Size { width: canvas.width, height: share(canvas.height, LOWER_THIRD).max(2) }
            }
            Self::Corner | Self::DoubleBox => Size {
                width: share(canvas.width, QUARTER).max(2),
                height: share(canvas.height, QUARTER).max(2),
            },
            Self::LShape => canvas,
        }
    }

    /// How long the picture takes to make room at the beginning of a slot, and to come back before its end.
    pub fn transition(self, slot: MediaTime) -> Duration {
        match self {
            Self::LowerThird | Self::Corner => Duration::ZERO,
            Self::LShape | Self::DoubleBox => TRANSITION.min(slot.since(MediaTime::ZERO) / TRANSITION_SHARE),
        }
    }
}

/// Where in a larger area something goes.
#[derive(Clone, Copy)]
enum Align {
    Centre,
    Low,
    UpperRight,
}

/// The picture in the upper right corner. A creative of the picture's shape is an L already, and lies under all of it;
/// another goes into the arm of the L that shows it larger.
fn l_shape(canvas: Size, creative: Size) -> Placement {
    let (width, height) = (share(canvas.width, BESIDE_L), share(canvas.height, BESIDE_L));
    let picture = Rect { x: canvas.width - width, y: 0, width, height };
    let whole = Rect { x: 0, y: 0, width: canvas.width, height: canvas.height };
    let place = if same_shape(canvas, creative) {
        whole
    } else {
        let foot = Rect { y: height, height: canvas.height - height, ..whole };
        let side = Rect { width: canvas.width - width, ..whole };
        let candidates = [within(foot, creative, Align::Centre), within(side, creative, Align::Centre)];
        if area(candidates[1]) > area(candidates[0]) { candidates[1] } else { candidates[0] }
    };
    Placement { place, picture: Some(picture) }
}

fn double_box(canvas: Size, creative: Size) -> Placement {
    let (first, second) = if canvas.width >= canvas.height {
        let width = share(canvas.width, QUARTER);
        let first = Rect { x: 0, y: 0, width, height: canvas.height };
        (first, Rect { x: width, width: canvas.width - width, ..first })
    } else {
        let height = share(canvas.height, QUARTER);
        let first = Rect { x: 0, y: 0, width: canvas.width, height };
        (first, Rect { y: height, height: canvas.height - height, ..first })
    };
    // A quarter of the area is half of either edge: what is narrower than its half is not stretched to fill it.
    let quarter = |half: Rect| Rect {
        x: half.x + half.width.saturating_sub(share(canvas.width, QUARTER)) / 4 * 2,
        y: half.y + half.height.saturating_sub(share(canvas.height, QUARTER)) / 4 * 2,
        width: half.width.min(share(canvas.width, QUARTER)),
        height: half.height.min(share(canvas.height, QUARTER)),
    };
    let picture = within(quarter(first), canvas, Align::Centre);
    Placement { place: within(quarter(second), creative, Align::Centre), picture: Some(picture) }
}

/// The largest even rectangle of the creative's shape within an area.
fn within(area: Rect, creative: Size, align: Align) -> Rect {
    let (wide, high) = (u64::from(creative.width), u64::from(creative.height));
    let full_width = u64::from(area.width) * high <= u64::from(area.height) * wide;
    let (width, height) = if full_width {
        (area.width, even_near(u64::from(area.width) * high, wide).min(area.height))
    } else {
        (even_near(u64::from(area.height) * wide, high).min(area.width), area.height)
    };
    let (spare_x, spare_y) = (area.width - width, area.height - height);
    let (dx, dy) = match align {
        Align::Centre => (spare_x / 4 * 2, spare_y / 4 * 2),
        Align::Low => (spare_x / 4 * 2, spare_y),
        Align::UpperRight => (spare_x, 0),
    };
    Rect { x: area.x + dx, y: area.y + dy, width, height }
}

fn same_shape(canvas: Size, creative: Size) -> bool {
    let one = u64::from(canvas.width) * u64::from(creative.height);
    let other = u64::from(canvas.height) * u64::from(creative.width);
    one.abs_diff(other) * 1000 <= one.max(other) * SAME_SHAPE
}

fn area(rect: Rect) -> u64 {
    u64::from(rect.width) * u64::from(rect.height)
}

/// An even part of an even length.
fn share(length: u32, permille: Permille) -> u32 {
    // Not more than the length, which is 32 bits wide.
    (u64::from(length) * permille / 1000) as u32 & !1
}

/// The even number nearest to a quotient, at least 2.
fn even_near(dividend: u64, divisor: u64) -> u32 {
    let even = (dividend + divisor) / (2 * divisor) * 2;
    u32::try_from(even).unwrap_or(!1).max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    const fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn the_formats_have_the_sizes_of_the_guidance_at_1080_rows() {
        let canvas = size(1920, 1080);
        let place = |format: Format, creative| format.place(canvas, creative).unwrap();
        let third = place(Format::LowerThird, size(1920, 324));
        assert_eq!(third, Placement { place: rect(0, 756, 1920, 324), picture: None });
        let corner = place(Format::Corner, size(300, 250));
        assert_eq!(corner, Placement { place: rect(1278, 26, 616, 514), picture: None }, "25 % of the area");
        let l = place(Format::LShape, size(1280, 720));
        assert_eq!(l.place, rect(0, 0, 1920, 1080), "an L lies under all of the picture");
        assert_eq!(l.picture, Some(rect(432, 0, 1488, 836)), "60 % of the area");
        let boxes = place(Format::DoubleBox, size(1920, 1080));
        assert_eq!(boxes.picture, Some(rect(0, 270, 960, 540)));
        assert_eq!(boxes.place, rect(960, 270, 960, 540));
    }

    #[test]
    fn an_upright_picture_has_its_boxes_one_over_the_other_and_a_banner_its_proportions() {
        let canvas = size(1080, 1920);
        let boxes = Format::DoubleBox.place(canvas, canvas).unwrap();
        assert_eq!(boxes.picture, Some(rect(270, 0, 540, 960)));
        assert_eq!(boxes.place, rect(270, 960, 540, 960));
        let third = Format::LowerThird.place(canvas, size(1920, 324)).unwrap();
        assert_eq!(third.place, rect(0, 1738, 1080, 182), "at the lower edge, as wide as the picture");
    }

    #[test]
    fn a_creative_of_another_shape_goes_into_the_longer_arm_of_the_l() {
        let canvas = size(1280, 720);
        let banner = Format::LShape.place(canvas, size(970, 90)).unwrap();
        assert!(banner.place.y >= 556 && banner.place.width == 1280, "{banner:?}");
        let skyscraper = Format::LShape.place(canvas, size(160, 600)).unwrap();
        assert!(skyscraper.place.x + skyscraper.place.width <= 288, "{skyscraper:?}");
        assert_eq!(skyscraper.place.height, 720);
    }

    #[test]
    fn everything_is_even_within_the_picture_and_of_the_creatives_shape() {
        let sides = [32, 33, 90, 144, 175, 180, 320, 360, 480, 719, 720, 1080, 1366, 1920, 3840, 16_384];
        let creatives = [(1, 1), (300, 250), (1920, 324), (3, 4096), (4096, 3), (160, 600), (1920, 1080)];
        for (width, height) in sides.iter().flat_map(|w| sides.iter().map(move |h| (*w, *h))) {
            for (format, creative) in
                Format::ALL.iter().flat_map(|f| creatives.iter().map(move |c| (*f, size(c.0, c.1))))
            {
                let what = format!("{format:?} of {creative:?} on {width}x{height}");
                let placement = format.place(size(width, height), creative).unwrap();
                for rect in [Some(placement.place), placement.picture].into_iter().flatten() {
                    let Rect { x, y, width: w, height: h } = rect;
                    assert!([x, y, w, h].iter().all(|number| number % 2 == 0), "{what}: {rect:?} is odd");
                    assert!(w >= 2 && h >= 2 && x + w <= width && y + h <= height, "{what}: {rect:?}");
                }
                let Rect { width: w, height: h, .. } = placement.place;
                let exact = f64::from(creative.width) / f64::from(creative.height);
                // Within the rounding of the shorter side, unless that is as short as it may be.
                let loose = w <= 2
                    || h <= 2
                    || (f64::from(h) - f64::from(w) / exact).abs() <= 1.5
                    || (f64::from(w) - f64::from(h) * exact).abs() <= 1.5
                    || same_shape(size(width, height), creative);
                assert!(loose, "{what}: {w}x{h}");
            }
        }
    }

    #[test]
    fn a_picture_that_makes_room_keeps_its_shape() {
        for canvas in [size(1920, 1080), size(720, 1280), size(640, 480), size(854, 480)] {
            for format in [Format::LShape, Format::DoubleBox] {
                let picture = format.place(canvas, size(1920, 1080)).unwrap().picture.unwrap();
                let [one, other] = [
                    picture.width * canvas.height / canvas.width,
                    picture.height * canvas.width / canvas.height,
                ];
                assert!(
                    one.abs_diff(picture.height) <= 2 && other.abs_diff(picture.width) <= 3,
                    "{picture:?}"
                );
            }
        }
    }

    #[test]
    fn b38_pictures_too_small_and_creatives_without_a_size_have_no_place() {
        for (canvas, creative) in
            [(size(31, 400), size(10, 10)), (size(0, 0), size(10, 10)), (size(640, 360), size(0, 10))]
        {
            assert!(Format::ALL.iter().all(|format| format.place(canvas, creative).is_none()));
        }
    }

    #[test]
    fn a_transition_leaves_at_least_half_of_the_slot() {
        assert_eq!(Format::LShape.transition(MediaTime::from_millis(10_000)), Duration::from_secs(1));
        assert_eq!(Format::DoubleBox.transition(MediaTime::from_millis(2_000)), Duration::from_millis(500));
        assert_eq!(Format::Corner.transition(MediaTime::from_millis(10_000)), Duration::ZERO);
    }
}
