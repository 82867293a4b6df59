//! The creative: an image file, decoded by a worker, as nobody knows whose file it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::{AskError, Config};
use crate::av::worker::ipc::{FromWorker, ImageJob, Job, Size, Sprite};
use crate::av::worker::{Lost, Workers};

/// Has an image decoded, no larger than `fit`.
pub(super) async fn decode(
    workers: &Workers,
    config: &Config,
    file: Bytes,
    fit: Size,
) -> Result<Sprite, AskError> {
    if file.is_empty() || file.len() > config.image_bytes {
        return Err(AskError::ImageSize { most: config.image_bytes });
    }
    let job = ImageJob {
        file,
        fit,
        max_pixels: config.image_pixels,
        max_frames: config.image_frames,
        max_time: config.image_time,
    };
    let mut session = workers.give(Job::Image(job))?;
    loop {
        match session.reports.next().await {
            Ok(FromWorker::Sprite(sprite)) => return Ok(sprite),
            Ok(FromWorker::Ended) => return Err(AskError::Image("there is no picture in it".to_owned())),
            Ok(_) => {}
            Err(Lost::NotStarted(reason)) => return Err(AskError::WorkerFailed(reason)),
            Err(lost) => return Err(AskError::Image(lost.to_string())),
        }
    }
}

/// Memory for decoded images. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    used: Arc<AtomicUsize>,
    most: usize,
}

impl Memory {
    pub fn new(most: usize) -> Self {
        Self { used: Arc::default(), most }
    }

    /// Keeps a sprite, if there is room for it.
    pub fn keep(&self, sprite: Sprite) -> Option<Image> {
        let bytes = sprite.frames.iter().map(|frame| frame.rgba.len()).sum();
        let kept = Kept { sprite, bytes, used: Arc::clone(&self.used) };
        // The guard takes it back when there was no room.
        (self.used.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.most).then(|| Image(Arc::new(kept)))
    }
}

/// A decoded image. It takes memory for as long as somebody has a clone.
#[derive(Clone, Debug)]
pub struct Image(Arc<Kept>);

impl Image {
    /// The memory that it takes.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// What is in it.
    pub fn sprite(&self) -> &Sprite {
        &self.0.sprite
    }
}

/// A sprite, and its share of the memory.
#[derive(Debug)]
struct Kept {
    sprite: Sprite,
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::av::worker::ipc::SpriteFrame;

    fn sprite(bytes: usize) -> Sprite {
        let frame = SpriteFrame { duration: Duration::ZERO, rgba: vec![0; bytes].into() };
        Sprite { size: Size { width: 1, height: 1 }, frames: vec![frame] }
    }

    #[test]
    fn there_is_room_for_so_many_images_and_it_is_given_back() {
        let memory = Memory::new(100);
        let first = memory.keep(sprite(60));
        assert!(first.is_some() && memory.keep(sprite(41)).is_none());
        assert!(memory.keep(sprite(40)).is_some(), "what did not fit takes no room");
        drop(first);
        assert!(memory.keep(sprite(100)).is_some());
    }
}
