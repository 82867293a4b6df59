//! Images that strangers hand in.

use std::io::Cursor;
use std::time::Duration;

use image::codecs::gif::GifEncoder;
use image::{Delay, Frame, ImageFormat, Rgba, RgbaImage};
use onair::av::worker::Lost;
use onair::av::worker::ipc::{FromWorker, ImageJob, Job, Size, Sprite};

use super::material::begin;
use crate::support::in_time;

fn job(file: Vec<u8>) -> ImageJob {
    ImageJob {
        file: file.into(),
        fit: Size { width: 64, height: 32 },
        max_pixels: 1 << 20,
        max_frames: 10,
        max_time: Duration::from_secs(20),
    }
}

async fn decode(job: ImageJob) -> Result<Sprite, Lost> {
    let mut session = begin(Job::Image(job));
    match in_time("an image", session.reports.next()).await? {
        FromWorker::Sprite(sprite) => {
            assert_eq!(in_time("the end", session.reports.next()).await, Ok(FromWorker::Ended));
            Ok(sprite)
        }
        other => panic!("{other:?} is no image"),
    }
}

/// Red on the left, half transparent green on the right.
fn picture(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, _| {
        if x < width / 2 { Rgba([255, 0, 0, 255]) } else { Rgba([0, 255, 0, 128]) }
    })
}

fn file(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let picture = picture(width, height);
    match format {
        ImageFormat::Jpeg => image::DynamicImage::from(picture).into_rgb8().write_to(&mut file, format),
        _ => picture.write_to(&mut file, format),
    }
    .unwrap();
    file.into_inner()
}

fn gif(frames: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = GifEncoder::new(&mut file);
    for index in 0..frames {
        let colour = Rgba([255, (index * 20) as u8, 0, 255]);
        let delay = Delay::from_numer_denom_ms(40 + index as u32 * 10, 1);
        encoder.encode_frame(Frame::from_parts(RgbaImage::from_pixel(8, 8, colour), 0, 0, delay)).unwrap();
    }
    drop(encoder);
    file
}

fn pixel(sprite: &Sprite, x: u32, y: u32) -> [u8; 4] {
    sprite.frames[0].rgba.as_chunks::<4>().0[(y * sprite.size.width + x) as usize]
}

#[tokio::test]
async fn stills_become_sprites_of_one_frame() {
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Jpeg] {
        let sprite = decode(job(file(format, 32, 16))).await.expect("an image");
        assert_eq!((sprite.size.width, sprite.size.height, sprite.frames.len()), (32, 16, 1), "{format:?}");
        let [red, green, blue, alpha] = pixel(&sprite, 4, 8);
        assert!(red > 250 && green < 5 && blue < 5 && alpha == 255, "{format:?}");
        if format != ImageFormat::Jpeg {
            assert_eq!(pixel(&sprite, 28, 8), [0, 255, 0, 128], "{format:?}");
        }
    }
}

#[tokio::test]
async fn large_ones_are_scaled_into_their_frame() {
    let sprite = decode(job(file(ImageFormat::Png, 640, 160))).await.expect("an image");
    assert_eq!((sprite.size.width, sprite.size.height), (64, 16));
    assert_eq!((pixel(&sprite, 2, 8), pixel(&sprite, 61, 8)), ([255, 0, 0, 255], [0, 255, 0, 128]));
}

#[tokio::test]
async fn animations_keep_their_frames_and_durations() {
    let sprite = decode(job(gif(5))).await.expect("an animation");
    assert_eq!(sprite.frames.len(), 5);
    let durations: Vec<u128> = sprite.frames.iter().map(|frame| frame.duration.as_millis()).collect();
    assert_eq!(durations, [40, 50, 60, 70, 80]);
    assert!(sprite.frames[0].rgba != sprite.frames[4].rgba);
}

#[tokio::test]
async fn a_drawing_is_drawn_as_large_as_it_fits() {
    let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 2 1\"><rect width=\"1\" height=\"1\" \
               fill=\"blue\"/></svg>";
    let sprite = decode(job(svg.as_bytes().to_vec())).await.expect("a drawing");
    assert_eq!((sprite.size.width, sprite.size.height), (64, 32));
    assert_eq!((pixel(&sprite, 10, 10), pixel(&sprite, 50, 10)), ([0, 0, 255, 255], [0; 4]));
}

#[tokio::test]
async fn b38_what_is_too_much_is_refused_with_the_reason() {
    let pixels = ImageJob { max_pixels: 511, ..job(file(ImageFormat::Png, 32, 16)) };
    let frames = ImageJob { max_frames: 4, ..job(gif(5)) };
    let script = b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".to_vec();
    let mut cut = file(ImageFormat::Png, 32, 16);
    cut.truncate(cut.len() / 2);
    for (job, reason) in [
        (pixels, "511 in all are allowed"),
        (frames, "more than 4 frames"),
        (job(script), "scripts are not run"),
        (job(cut), "cannot be read"),
        (job(b"<html></html>".to_vec()), "none of PNG"),
        (job(Vec::new()), "none of PNG"),
    ] {
        match decode(job).await {
            Err(Lost::Failed(said)) => assert!(said.contains(reason), "{said}"),
            other => panic!("{reason}: {other:?}"),
        }
    }
}

/// A PNG that claims to be 60,000 pixels wide and high, of which there are none.
#[tokio::test]
async fn b38_a_decompression_bomb_is_refused_before_it_is_unpacked() {
    let mut bomb = file(ImageFormat::Png, 32, 16);
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    // The header's check sum is wrong now, which must not be the reason.
    let crc = crc(&bomb[12..29]).to_be_bytes();
    bomb[29..33].copy_from_slice(&crc);
    match decode(job(bomb)).await {
        Err(Lost::Failed(said)) => assert!(said.contains("60000 times 60000"), "{said}"),
        other => panic!("{other:?}"),
    }
}

/// CRC-32 as PNG has it.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}
