//! What looks at a file before it may be shown.

use std::pin::Pin;

use bytes::Bytes;

use super::creative::Look;
use crate::av::worker::ipc::Size;
use crate::media::OverlayFormat;
use crate::overlay::{AskError, Overlays};

/// The picture that creatives are looked at for.
const CANVAS: Size = Size { width: 1920, height: 1080 };

/// What comes of a look.
pub type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Look, AskError>> + Send + 'a>>;

/// Looks at files, as nobody knows whose they are.
pub trait Intake: Send + Sync {
    /// Decodes an image file as it would be for a slot; the error says in words what is wrong with it.
    fn look(&self, format: OverlayFormat, file: Bytes) -> Outcome<'_>;
}

impl Intake for Overlays {
    fn look(&self, format: OverlayFormat, file: Bytes) -> Outcome<'_> {
        Box::pin(async move {
            let image = self.decode(file, format.fit(CANVAS)).await?;
            let sprite = image.sprite();
            let duration: u128 = match &sprite.frames[..] {
                [_] => 0,
                frames => frames.iter().map(|frame| frame.duration.as_millis()).sum(),
            };
            Ok(Look {
                width: sprite.size.width,
                height: sprite.size.height,
                frames: sprite.frames.len(),
                duration_ms: u64::try_from(duration).unwrap_or(u64::MAX),
            })
        })
    }
}
