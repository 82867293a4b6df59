//! A sprite in a picture's colours, at its place: what is left to do for each picture is a multiplication a sample.

use image::RgbaImage;
use image::imageops::{FilterType, resize};
use onair::av::worker::ipc::{Rect, Size, SpriteFrame};

/// How a picture's samples mean colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colours {
    /// ITU-R BT.601, as of standard definition, instead of BT.709.
    pub bt601: bool,
    /// Samples from 0 to 255 instead of 16 to 235 (chroma 240).
    pub full_range: bool,
}

impl Colours {
    /// Luma and the two chroma samples of a colour.
    pub fn samples(self, [red, green, blue]: [f32; 3]) -> [f32; 3] {
        let (red_share, blue_share) = if self.bt601 { (0.299, 0.114) } else { (0.2126, 0.0722) };
        let luma = red_share * red + (1.0 - red_share - blue_share) * green + blue_share * blue;
        let cb = (blue - luma) / (2.0 * (1.0 - blue_share));
        let cr = (red - luma) / (2.0 * (1.0 - red_share));
        // All in 0 to 255, or around zero.
        match self.full_range {
            true => [luma, 128.0 + cb, 128.0 + cr],
            false => [16.0 + luma * 219.0 / 255.0, 128.0 + cb * 224.0 / 255.0, 128.0 + cr * 224.0 / 255.0],
        }
    }
}

/// A rectangle of samples of one plane, premultiplied with their opacity.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Where it begins in its plane.
    pub x: usize,
    /// Where it begins in its plane.
    pub y: usize,
    /// Samples in a row.
    pub width: usize,
    /// Samples, times opacity.
    pub samples: Vec<u8>,
    /// Opacities, 255 for covering.
    pub alpha: Vec<u8>,
}

/// A sprite's frame for the three planes of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Luma and the two chromas.
    pub patches: [Patch; 3],
}

impl Layer {
    /// A frame of a sprite of this size, scaled to `place`, which lies within the `picture`.
    pub fn new(frame: &SpriteFrame, size: Size, place: Rect, picture: Size, colours: Colours) -> Self {
        let pixels = premultiplied(frame, size, place);
        // To whole chroma samples; a picture of odd size has half a one at its end.
        let (left, top) = (place.x & !1, place.y & !1);
        let right = (place.x + place.width).next_multiple_of(2).min(picture.width);
        let bottom = (place.y + place.height).next_multiple_of(2).min(picture.height);
        let (width, height) = ((right - left) as usize, (bottom - top) as usize);
        let (inner_x, inner_y) = ((place.x - left) as usize, (place.y - top) as usize);

        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let patch = |x: u32, y: u32, width: usize, height: usize| Patch {
            x: x as usize,
            y: y as usize,
            width,
            samples: vec![0; width * height],
            alpha: vec![0; width * height],
        };
        let mut luma = patch(left, top, width, height);
        // Sums of cb, cr and opacity over the pixels of a chroma sample.
        let mut sums = vec![[0.0_f32; 3]; chroma_width * chroma_height];
        for (index, pixel) in pixels.pixels().enumerate() {
            let (column, row) =
                (index % place.width as usize + inner_x, index / place.width as usize + inner_y);
            let [red, green, blue, alpha] = pixel.0.map(f32::from);
            // The colours are linear but for their offsets, which take their share of opacity.
            let [black_luma, black_cb, black_cr] = colours.samples([0.0; 3]);
            let [y, cb, cr] = colours.samples([red, green, blue]);
            let share = alpha / 255.0;
            let at = row * width + column;
            luma.samples[at] = rounded(y - black_luma * (1.0 - share));
            luma.alpha[at] = pixel.0[3];
            let sum = &mut sums[row / 2 * chroma_width + column / 2];
            sum[0] += cb - black_cb * (1.0 - share);
            sum[1] += cr - black_cr * (1.0 - share);
            sum[2] += alpha;
        }
        let mut chroma = [(); 2].map(|()| patch(left / 2, top / 2, chroma_width, chroma_height));
        for (at, sum) in sums.into_iter().enumerate() {
            let (column, row) = (at % chroma_width, at / chroma_width);
            let pixels = ((width - 2 * column).min(2) * (height - 2 * row).min(2)) as f32;
            for (plane, patch) in chroma.iter_mut().enumerate() {
                patch.samples[at] = rounded(sum[plane] / pixels);
                patch.alpha[at] = rounded(sum[2] / pixels);
            }
        }
        let [cb, cr] = chroma;
        Self { patches: [luma, cb, cr] }
    }
}

/// The frame's pixels, multiplied with their opacity so that what is transparent has no colour to bleed, at the size of
/// their place.
fn premultiplied(frame: &SpriteFrame, size: Size, place: Rect) -> RgbaImage {
    let mut pixels = RgbaImage::new(size.width, size.height);
    for (to, from) in pixels.pixels_mut().zip(frame.rgba.as_chunks::<4>().0) {
        let [red, green, blue, alpha] = *from;
        let times_alpha = |value: u8| ((u32::from(value) * u32::from(alpha) + 127) / 255) as u8;
        to.0 = [times_alpha(red), times_alpha(green), times_alpha(blue), alpha];
    }
    if (size.width, size.height) == (place.width, place.height) {
        return pixels;
    }
    resize(&pixels, place.width, place.height, FilterType::Triangle)
}

/// Saturates, as conversions from floats do.
fn rounded(value: f32) -> u8 {
    value.round() as u8
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HD: Colours = Colours { bt601: false, full_range: false };
    const PICTURE: Size = Size { width: 64, height: 32 };

    fn frame(pixels: &[[u8; 4]]) -> SpriteFrame {
        SpriteFrame { duration: Duration::ZERO, rgba: pixels.concat().into() }
    }

    #[test]
    fn colours_are_those_of_the_standards() {
        // ITU-R BT.709 and BT.601: 75 % colour bars in video range.
        let red = [191.25, 0.0, 0.0];
        let rounded_samples = |colours: Colours| colours.samples(red).map(rounded);
        assert_eq!(rounded_samples(HD), [51, 109, 212]);
        assert_eq!(rounded_samples(Colours { bt601: true, ..HD }), [65, 100, 212]);
        assert_eq!(HD.samples([255.0; 3]).map(rounded), [235, 128, 128]);
        assert_eq!(Colours { full_range: true, ..HD }.samples([255.0; 3]).map(rounded), [255, 128, 128]);
    }

    #[test]
    fn what_is_transparent_has_no_samples() {
        let sprite = frame(&[[255, 255, 255, 0]; 4]);
        let size = Size { width: 2, height: 2 };
        let layer = Layer::new(&sprite, size, Rect { x: 2, y: 2, width: 2, height: 2 }, PICTURE, HD);
        for patch in &layer.patches {
            assert!(patch.samples.iter().chain(&patch.alpha).all(|&value| value == 0));
        }
    }

    #[test]
    fn odd_places_fill_up_to_whole_chroma_samples() {
        let sprite = frame(&[[255, 255, 255, 255]]);
        let size = Size { width: 1, height: 1 };
        let place = Rect { x: 5, y: 7, width: 3, height: 1 };
        let [luma, cb, cr] = Layer::new(&sprite, size, place, PICTURE, HD).patches;
        assert_eq!((luma.x, luma.y, luma.width), (4, 6, 4));
        assert_eq!(luma.alpha, [0, 0, 0, 0, 0, 255, 255, 255]);
        assert_eq!(luma.samples, [0, 0, 0, 0, 0, 235, 235, 235]);
        assert_eq!((cb.x, cb.y, cb.width), (2, 3, 2));
        // One of four pixels, then two of four.
        assert_eq!((&cb.alpha[..], &cb.samples[..]), (&[64, 128][..], &[32, 64][..]));
        assert_eq!(cr, cb);
    }

    #[test]
    fn the_last_column_of_an_odd_picture_has_half_a_chroma_sample() {
        let sprite = frame(&[[0, 0, 0, 255]]);
        let size = Size { width: 1, height: 1 };
        let odd = Size { width: 5, height: 5 };
        let place = Rect { x: 4, y: 4, width: 1, height: 1 };
        let [luma, cb, _] = Layer::new(&sprite, size, place, odd, HD).patches;
        assert_eq!((luma.width, &luma.samples[..]), (1, &[16][..]));
        assert_eq!((cb.x, &cb.alpha[..], &cb.samples[..]), (2, &[255][..], &[128][..]));
    }

    #[test]
    fn scaling_does_not_bleed_the_colour_of_transparent_pixels() {
        // Opaque black beside transparent white.
        let sprite = frame(&[[0, 0, 0, 255], [255, 255, 255, 0]]);
        let size = Size { width: 2, height: 1 };
        let place = Rect { x: 0, y: 0, width: 8, height: 2 };
        let [luma, _, _] = Layer::new(&sprite, size, place, PICTURE, HD).patches;
        for (sample, alpha) in luma.samples.iter().zip(&luma.alpha) {
            assert_eq!(*sample, rounded(16.0 * f32::from(*alpha) / 255.0), "black at opacity {alpha}");
        }
        assert_eq!((luma.alpha[0], luma.alpha[7]), (255, 0));
    }
}
