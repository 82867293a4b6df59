//! A worker that only pretends to look.

use crate::booking::creative::Look;
use crate::booking::intake::{Intake, Outcome};
use crate::media::OverlayFormat;
use crate::overlay::AskError;

/// Takes for an image what says so.
pub(super) struct Pretence;

impl Intake for Pretence {
    fn look(&self, _: OverlayFormat, file: bytes::Bytes) -> Outcome<'_> {
        Box::pin(async move {
            if file.starts_with(b"\x89PNG") || file.starts_with(b"<svg") {
                return Ok(Look { width: 640, height: 108, frames: 1, duration_ms: 0 });
            }
            Err(AskError::Image("there is no picture in it".to_owned()))
        })
    }
}
