//! Images as strangers hand them in, with the worker's own code.

use std::time::Duration;

use onair::av::worker::ipc::{ImageJob, Size};

#[path = "../../src/bin/onair-worker/image/mod.rs"]
mod intake;

/// What is taken is no larger than was asked for, and whole.
pub fn image(data: &[u8]) {
    let fit = Size { width: 64, height: 36 };
    let job = ImageJob {
        file: data.to_vec().into(),
        fit,
        max_pixels: 1 << 14,
        max_frames: 8,
        max_time: Duration::from_secs(10),
    };
    match intake::decode(&job) {
        Ok(sprite) => {
            assert!((1..=8).contains(&sprite.frames.len()), "{} frames", sprite.frames.len());
            let Size { width, height } = sprite.size;
            assert!(
                (1..=fit.width).contains(&width) && (1..=fit.height).contains(&height),
                "{:?}",
                sprite.size
            );
            let bytes = (width * height * 4) as usize;
            assert!(sprite.frames.iter().all(|frame| frame.rgba.len() == bytes));
        }
        Err(refused) => assert!(!refused.to_string().is_empty()),
    }
}
