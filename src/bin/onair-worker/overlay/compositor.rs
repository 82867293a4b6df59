//! Overlays onto the library's pictures.

use std::collections::BTreeMap;

use onair::av::worker::ipc::{MAX_OVERLAYS, Overlay, OverlayId, Rect, Size};
use onair::media::MediaTime;

use super::blend::Plane;
use super::layer::{Colours, Layer};
use super::timeline::{frame_at, is_on, picture_at, scaled};
use crate::error::{Doing, JobError};
use crate::libav::software::scaling::{Context, Flags};
use crate::libav::{color, frame};
use crate::picture::Picture;

/// Pictures of at least so many rows have the colours of high definition where they do not tell.
const HIGH_DEFINITION: u32 = 720;

/// Draws overlays.
#[derive(Default)]
pub struct Compositor {
    overlays: BTreeMap<OverlayId, Drawable>,
    squeezer: Option<Context>,
}

/// An overlay, and the layer that was made of it last.
struct Drawable {
    overlay: Overlay,
    layer: Option<(Form, Layer)>,
}

/// What a layer is made for.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    /// Which of the sprite's frames.
    frame: usize,
    picture: Size,
    colours: Colours,
}

impl Drawable {
    fn layer(&mut self, form: Form) -> Option<&Layer> {
        if self.layer.as_ref().is_none_or(|(made_for, _)| *made_for != form) {
            let Overlay { sprite, place, canvas, .. } = &self.overlay;
            let place = scaled(*place, *canvas, form.picture);
            let frame = sprite.frames.get(form.frame)?;
            self.layer = Some((form, Layer::new(frame, sprite.size, place, form.picture, form.colours)));
        }
        self.layer.as_ref().map(|(_, layer)| layer)
    }
}

impl Compositor {
    /// Adds an overlay, or puts it in the place of the one with its id.
    ///
    /// # Errors
    /// When there are too many.
    pub fn add(&mut self, overlay: Overlay) -> Result<(), JobError> {
        if self.overlays.len() >= MAX_OVERLAYS && !self.overlays.contains_key(&overlay.id) {
            return Err(JobError::Refused(format!("more than {MAX_OVERLAYS} overlays at a time")));
        }
        self.overlays.insert(overlay.id, Drawable { overlay, layer: None });
        Ok(())
    }

    /// Ends an overlay at a time, if it would not end before.
    pub fn cancel(&mut self, id: OverlayId, at: MediaTime) {
        if let Some(drawable) = self.overlays.get_mut(&id) {
            drawable.overlay.end = drawable.overlay.end.min(at);
        }
    }

    /// Makes what pictures like this one will need, so that the first that is drawn on does not wait for it.
    pub fn prepare(&mut self, picture: &Picture) {
        let (size, colours) = (size(&picture.frame), colours(&picture.frame));
        for drawable in self.overlays.values_mut().filter(|drawable| drawable.layer.is_none()) {
            drawable.layer(Form { frame: 0, picture: size, colours });
        }
    }

    /// The picture with what is on at its time; the same one when nothing is. Overlays that are over are forgotten: pictures
    /// come in the order of display.
    ///
    /// # Errors
    /// When the library cannot scale.
    pub fn draw(&mut self, picture: Picture) -> Result<Picture, JobError> {
        let pts = picture.pts;
        self.overlays.retain(|_, drawable| drawable.overlay.end > pts);
        if !self.overlays.values().any(|drawable| is_on(&drawable.overlay, pts)) {
            return Ok(picture);
        }
        let (size, colours) = (size(&picture.frame), colours(&picture.frame));
        let mut canvas = frame::Video::new(picture.frame.format(), size.width, size.height);
        let squeezing = self
            .overlays
            .values()
            .find(|drawable| is_on(&drawable.overlay, pts) && drawable.overlay.squeeze.is_some());
        let squeezing = squeezing.and_then(|drawable| Some((drawable.overlay.id, drawable.overlay.squeeze?)));
        let mut squeezed = None;
        match squeezing {
            Some((id, squeeze)) => {
                let background = colours.samples(squeeze.background.map(f32::from));
                for (plane, sample) in background.into_iter().enumerate() {
                    plane_of(&mut canvas, plane).fill(sample.round() as u8);
                }
                self.draw_sprite(id, pts, size, colours, &mut canvas);
                if let Some(drawable) = self.overlays.get(&id) {
                    squeezed = Some((id, picture_at(&drawable.overlay, &squeeze, pts, size)));
                }
            }
            None => put(&picture.frame, &mut canvas, 0, 0),
        }
        if let Some((_, Rect { x, y, width, height })) = squeezed {
            if (width, height) == (size.width, size.height) {
                put(&picture.frame, &mut canvas, x, y);
            } else {
                put(&self.squeeze(&picture.frame, width, height)?, &mut canvas, x, y);
            }
        }
        let on_top: Vec<OverlayId> = self
            .overlays
            .values()
            .filter(|drawable| is_on(&drawable.overlay, pts))
            .map(|drawable| drawable.overlay.id)
            .filter(|id| squeezed.is_none_or(|(squeezing, _)| squeezing != *id))
            .collect();
        for id in on_top {
            self.draw_sprite(id, pts, size, colours, &mut canvas);
        }
        Ok(Picture { frame: canvas, ..picture })
    }

    fn draw_sprite(
        &mut self,
        id: OverlayId,
        pts: MediaTime,
        picture: Size,
        colours: Colours,
        canvas: &mut frame::Video,
    ) {
        let Some(drawable) = self.overlays.get_mut(&id) else { return };
        let frame = frame_at(&drawable.overlay.sprite, pts.since(drawable.overlay.start));
        let Some(layer) = drawable.layer(Form { frame, picture, colours }) else { return };
        for (plane, patch) in layer.patches.iter().enumerate() {
            plane_of(canvas, plane).blend(patch);
        }
    }

    fn squeeze(&mut self, picture: &frame::Video, width: u32, height: u32) -> Result<frame::Video, JobError> {
        let (format, size) = (picture.format(), size(picture));
        let fits = |context: &Context| {
            let (input, output) = (context.input(), context.output());
            (input.format, input.width, input.height) == (format, size.width, size.height)
                && (output.width, output.height) == (width, height)
        };
        let context = match &mut self.squeezer {
            Some(context) if fits(context) => context,
            context => {
                let flags = Flags::BILINEAR;
                let new = Context::get(format, size.width, size.height, format, width, height, flags)
                    .doing("squeezing a picture")?;
                context.insert(new)
            }
        };
        let mut squeezed = frame::Video::empty();
        context.run(picture, &mut squeezed).doing("squeezing a picture")?;
        Ok(squeezed)
    }
}

fn size(frame: &frame::Video) -> Size {
    Size { width: frame.width(), height: frame.height() }
}

fn colours(frame: &frame::Video) -> Colours {
    let bt601 = match frame.color_space() {
        color::Space::BT709 => false,
        color::Space::BT470BG | color::Space::SMPTE170M => true,
        _ => frame.height() < HIGH_DEFINITION,
    };
    let full_range =
        frame.color_range() == color::Range::JPEG || frame.format() == crate::libav::format::Pixel::YUVJ420P;
    Colours { bt601, full_range }
}

fn plane_of(frame: &mut frame::Video, plane: usize) -> Plane<'_> {
    let stride = frame.stride(plane);
    Plane { samples: frame.data_mut(plane), stride }
}

/// Copies a picture to a place, both even.
fn put(picture: &frame::Video, canvas: &mut frame::Video, x: u32, y: u32) {
    for plane in 0..3 {
        let (stride, width) = (picture.stride(plane), picture.plane_width(plane) as usize);
        let halves = u32::from(plane > 0);
        let place = ((x >> halves) as usize, (y >> halves) as usize);
        plane_of(canvas, plane).put(picture.data(plane), stride, width, place);
    }
}
