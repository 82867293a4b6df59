//! Images that strangers hand in, to sprites.

mod raster;
mod refused;
mod svg;

use std::time::Instant;

use onair::av::worker::ipc::{
    ImageJob, MAX_SPRITE_BYTES, MAX_SPRITE_FRAMES, MAX_SPRITE_SIDE, Size, Sprite, SpriteFrame,
};
use onair::clock;

pub use refused::Refused;
use refused::refused;

/// Decodes an image file of any of the kinds that are taken.
///
/// # Errors
/// Why it is refused, in words for the one who handed it in.
pub fn decode(job: &ImageJob) -> Result<Sprite, Refused> {
    let budget = Budget { job, started: clock::monotonic() };
    let sprite = if svg::looks_like(&job.file) { svg::draw(job)? } else { raster::decode(&budget)? };
    if sprite.frames.is_empty() {
        return Err(refused("the image has no frame"));
    }
    Ok(sprite)
}

/// What an image may cost.
struct Budget<'a> {
    job: &'a ImageJob,
    started: Instant,
}

impl Budget<'_> {
    /// Whether an image of this size is let in.
    fn check_size(&self, width: u32, height: u32) -> Result<(), Refused> {
        let most = self.job.max_pixels;
        match width.checked_mul(height) {
            Some(pixels @ 1..) if pixels <= most => Ok(()),
            _ => Err(refused(format!(
                "the image has {width} times {height} pixels; {most} in all are allowed"
            ))),
        }
    }

    /// Whether there is room for one more frame of this size, and time.
    fn check_frame(&self, frames: &[SpriteFrame], size: Size) -> Result<(), Refused> {
        let most = usize::from(self.job.max_frames).min(MAX_SPRITE_FRAMES);
        if frames.len() >= most {
            return Err(refused(format!("the animation has more than {most} frames")));
        }
        let bytes = size.width as usize * size.height as usize * 4;
        if bytes.saturating_mul(frames.len() + 1) > MAX_SPRITE_BYTES {
            return Err(refused(format!(
                "the animation is too large: {} frames of {} times {} pixels and more",
                frames.len(),
                size.width,
                size.height
            )));
        }
        if clock::monotonic().saturating_duration_since(self.started) > self.job.max_time {
            return Err(refused(format!("decoding takes longer than {:?}", self.job.max_time)));
        }
        Ok(())
    }
}

/// The size of an image in a frame: no larger than it is unless `grow`, with its proportions, at least a pixel.
fn fitted(size: Size, fit: Size, grow: bool) -> Size {
    let fit = Size { width: fit.width.min(MAX_SPRITE_SIDE), height: fit.height.min(MAX_SPRITE_SIDE) };
    let (width, height) = (f64::from(size.width.max(1)), f64::from(size.height.max(1)));
    let scale = (f64::from(fit.width) / width).min(f64::from(fit.height) / height);
    let scale = if grow { scale } else { scale.min(1.0) };
    // Conversions from floats saturate.
    let side = |side: f64, most: u32| ((side * scale).round() as u32).clamp(1, most.max(1));
    Size { width: side(width, fit.width), height: side(height, fit.height) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_keep_their_proportions() {
        let fit = Size { width: 640, height: 360 };
        let of = |width, height, grow| {
            let Size { width, height } = fitted(Size { width, height }, fit, grow);
            (width, height)
        };
        assert_eq!(of(1280, 720, false), (640, 360));
        assert_eq!(of(1280, 360, false), (640, 180));
        assert_eq!(of(100, 50, false), (100, 50), "nothing is made larger");
        assert_eq!(of(100, 50, true), (640, 320), "unless it has no size of its own");
        assert_eq!(of(100_000, 1, false), (640, 1));
    }
}
