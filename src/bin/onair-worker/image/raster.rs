//! PNG and APNG, JPEG, WebP and GIF.

use std::io::Cursor;
use std::time::Duration;

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{
    AnimationDecoder, DynamicImage, Frame, ImageDecoder, ImageError, ImageFormat, Limits, RgbaImage,
};
use onair::av::worker::ipc::{Size, Sprite, SpriteFrame};

use super::refused::{Refused, refused};
use super::{Budget, fitted};

impl From<ImageError> for Refused {
    fn from(error: ImageError) -> Self {
        refused(format!("the image cannot be read: {error}"))
    }
}

/// Decodes all frames.
pub fn decode(budget: &Budget<'_>) -> Result<Sprite, Refused> {
    let file = &budget.job.file[..];
    let format =
        image::guess_format(file).map_err(|_| refused("the file is none of PNG, JPEG, WebP, GIF and SVG"))?;
    match format {
        ImageFormat::Png => {
            let decoder = PngDecoder::with_limits(Cursor::new(file), limits(budget))?;
            check(budget, &decoder)?;
            if decoder.is_apng()? {
                animation(budget, decoder.apng()?.into_frames())
            } else {
                still(budget, decoder)
            }
        }
        ImageFormat::Jpeg => still(budget, JpegDecoder::new(Cursor::new(file))?),
        ImageFormat::WebP => {
            let decoder = WebPDecoder::new(Cursor::new(file))?;
            check(budget, &decoder)?;
            if decoder.has_animation() {
                animation(budget, decoder.into_frames())
            } else {
                still(budget, decoder)
            }
        }
        ImageFormat::Gif => {
            let decoder = GifDecoder::new(Cursor::new(file))?;
            check(budget, &decoder)?;
            animation(budget, decoder.into_frames())
        }
        _ => Err(refused("the file is none of PNG, JPEG, WebP, GIF and SVG")),
    }
}

/// What the libraries are held to; the process's own limit on memory is behind them.
fn limits(budget: &Budget<'_>) -> Limits {
    let mut limits = Limits::default();
    // Eight bytes a pixel are the most, and some for what is decoded meanwhile.
    limits.max_alloc = Some(u64::from(budget.job.max_pixels) * 8 * 3);
    limits
}

fn check(budget: &Budget<'_>, decoder: &impl ImageDecoder) -> Result<(), Refused> {
    let (width, height) = decoder.dimensions();
    budget.check_size(width, height)
}

fn still(budget: &Budget<'_>, mut decoder: impl ImageDecoder) -> Result<Sprite, Refused> {
    check(budget, &decoder)?;
    decoder.set_limits(limits(budget))?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    let pixels = image.into_rgba8();
    let size = fitted(Size { width: pixels.width(), height: pixels.height() }, budget.job.fit, false);
    let frame = SpriteFrame { duration: Duration::ZERO, rgba: scaled(pixels, size)?.into() };
    Ok(Sprite { size, frames: vec![frame] })
}

fn animation(
    budget: &Budget<'_>,
    decoded: impl Iterator<Item = Result<Frame, ImageError>>,
) -> Result<Sprite, Refused> {
    let mut frames = Vec::new();
    let mut size = None;
    for frame in decoded {
        let frame = frame?;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let duration = Duration::from_millis(u64::from(numerator) / u64::from(denominator.max(1)));
        let pixels = frame.into_buffer();
        let own = Size { width: pixels.width(), height: pixels.height() };
        let size = *size.get_or_insert(fitted(own, budget.job.fit, false));
        budget.check_frame(&frames, size)?;
        frames.push(SpriteFrame { duration, rgba: scaled(pixels, size)?.into() });
    }
    let size = size.ok_or_else(|| refused("the animation has no frame"))?;
    Ok(Sprite { size, frames })
}

/// At this size. Opacity goes along with the colours, so that what is transparent does not bleed.
fn scaled(pixels: RgbaImage, size: Size) -> Result<Vec<u8>, Refused> {
    let (width, height) = pixels.dimensions();
    if (width, height) == (size.width, size.height) {
        return Ok(pixels.into_raw());
    }
    let unscalable = |error: &dyn std::error::Error| refused(format!("the image cannot be scaled: {error}"));
    let pixels = Image::from_vec_u8(width, height, pixels.into_raw(), PixelType::U8x4)
        .map_err(|error| unscalable(&error))?;
    let mut out = Image::new(size.width, size.height, PixelType::U8x4);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&pixels, &mut out, &options).map_err(|error| unscalable(&error))?;
    Ok(out.into_vec())
}
