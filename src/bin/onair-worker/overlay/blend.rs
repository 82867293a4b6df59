//! Samples onto planes.

use super::layer::Patch;

/// A plane that is drawn on.
pub struct Plane<'a> {
    /// Rows from above, `stride` bytes apart.
    pub samples: &'a mut [u8],
    /// From one row to the next.
    pub stride: usize,
}

impl Plane<'_> {
    /// Lays a patch over what is there. What would be outside is left out.
    pub fn blend(&mut self, patch: &Patch) {
        if patch.width == 0 {
            return;
        }
        let rows = patch.samples.chunks_exact(patch.width).zip(patch.alpha.chunks_exact(patch.width));
        for (row, (samples, alphas)) in rows.enumerate() {
            let Some(under) = self.row(patch.x, patch.y + row, patch.width) else { return };
            for ((under, &sample), &alpha) in under.iter_mut().zip(samples).zip(alphas) {
                *under = over(*under, sample, alpha);
            }
        }
    }

    /// One value everywhere.
    pub fn fill(&mut self, value: u8) {
        self.samples.fill(value);
    }

    /// Puts a picture's plane, of rows `stride` bytes apart and `width` wide, at a place.
    pub fn put(&mut self, samples: &[u8], stride: usize, width: usize, (x, y): (usize, usize)) {
        for (row, samples) in samples.chunks(stride).enumerate() {
            let (Some(under), Some(samples)) = (self.row(x, y + row, width), samples.get(..width)) else {
                return;
            };
            under.copy_from_slice(samples);
        }
    }

    fn row(&mut self, x: usize, y: usize, width: usize) -> Option<&mut [u8]> {
        let start = y.checked_mul(self.stride)?.checked_add(x)?;
        self.samples.get_mut(start..start.checked_add(width)?)
    }
}

/// A premultiplied sample over another.
const fn over(under: u8, sample: u8, alpha: u8) -> u8 {
    let left = under as u32 * (255 - alpha as u32);
    // Division by 255, rounded, without a division: exact for all products of two bytes.
    let left = (left + 128 + ((left + 128) >> 8)) >> 8;
    sample.saturating_add(left as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blending_is_exact() {
        for under in 0..=255_u8 {
            for alpha in 0..=255_u8 {
                let exact = (f64::from(under) * (255.0 - f64::from(alpha)) / 255.0).round() as u8;
                assert_eq!(over(under, 0, alpha), exact, "{under} under opacity {alpha}");
            }
        }
        assert_eq!(over(200, 16, 255), 16, "what covers, covers");
        assert_eq!(over(200, 0, 0), 200, "what is transparent changes nothing");
        assert_eq!(over(255, 255, 0), 255, "it does not wrap");
    }

    #[test]
    fn patches_touch_only_their_place() {
        let mut samples = [9_u8; 5 * 4];
        let mut plane = Plane { samples: &mut samples, stride: 5 };
        let patch = Patch { x: 1, y: 1, width: 2, samples: vec![1, 2, 3, 4], alpha: vec![255, 255, 255, 0] };
        plane.blend(&patch);
        assert_eq!(samples, [9, 9, 9, 9, 9, 9, 1, 2, 9, 9, 9, 3, 13, 9, 9, 9, 9, 9, 9, 9]);
    }

    #[test]
    fn what_is_outside_is_left_out() {
        let mut samples = [0_u8; 6];
        let mut plane = Plane { samples: &mut samples, stride: 3 };
        let patch = Patch { x: 0, y: 1, width: 3, samples: vec![7; 9], alpha: vec![255; 9] };
        plane.blend(&patch);
        plane.blend(&Patch { x: usize::MAX, y: usize::MAX, ..patch });
        plane.blend(&Patch::default());
        assert_eq!(samples, [0, 0, 0, 7, 7, 7]);
    }

    #[test]
    fn a_picture_is_put_at_its_place() {
        let mut samples = [0_u8; 12];
        let mut plane = Plane { samples: &mut samples, stride: 4 };
        plane.fill(5);
        // Rows of two, and one byte between them that is none of the picture's.
        plane.put(&[1, 2, 99, 3, 4, 99], 3, 2, (2, 1));
        assert_eq!(samples, [5, 5, 5, 5, 5, 5, 1, 2, 5, 5, 3, 4]);
    }
}
