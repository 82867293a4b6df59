//! Pictures of any form into planes of 8 bits, 4:2:0.

use crate::error::{Doing, JobError};
use crate::libav::format::Pixel;
use crate::libav::frame;
use crate::libav::software::scaling::{Context, Flags};

/// Converts what is not planar 4:2:0 of 8 bits: more bits, more chroma, other orders.
pub struct Planar {
    context: Option<Context>,
}

impl Planar {
    /// Nothing to convert yet.
    pub const fn new() -> Self {
        Self { context: None }
    }

    /// The picture as planes of 8 bits, 4:2:0; the same one where it is so already.
    ///
    /// # Errors
    /// When the library does not know the form.
    pub fn convert(&mut self, frame: frame::Video) -> Result<frame::Video, JobError> {
        if matches!(frame.format(), Pixel::YUV420P | Pixel::YUVJ420P) {
            return Ok(frame);
        }
        let (format, width, height) = (frame.format(), frame.width(), frame.height());
        let fits = |context: &Context| {
            let input = context.input();
            (input.format, input.width, input.height) == (format, width, height)
        };
        let context = match &mut self.context {
            Some(context) if fits(context) => context,
            context => {
                let flags = Flags::BILINEAR;
                let new = Context::get(format, width, height, Pixel::YUV420P, width, height, flags)
                    .doing("converting pixels")?;
                context.insert(new)
            }
        };
        let mut planar = frame::Video::new(Pixel::YUV420P, width, height);
        context.run(&frame, &mut planar).doing("converting pixels")?;
        planar.set_pts(frame.pts());
        planar.set_color_space(frame.color_space());
        planar.set_color_primaries(frame.color_primaries());
        planar.set_color_transfer_characteristic(frame.color_transfer_characteristic());
        Ok(planar)
    }
}
