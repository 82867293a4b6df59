//! What overlays look like, live and with the real worker: the four formats, opacity, animations.

use std::io::Cursor;

use image::{ImageFormat, Rgba, RgbaImage};
use onair::av::worker::ipc::{Rect, Size};
use onair::overlay::placement::Format;

use super::decode;
use super::stage::{TURN, Told, Wish, publish, server, shown, until_end};
use crate::support::{Fixture, Packet, Viewer, tools};
use crate::worker::material::Picture;

const RECORDING: &str = "h264-aac";
const CANVAS: Size = Size { width: 320, height: 180 };
/// Differences of brightness that come of encoding anew.
const NEAR: u8 = 12;

fn copy(picture: &Picture) -> Picture {
    Picture { width: picture.width, height: picture.height, luma: picture.luma.clone() }
}

/// Mean difference of two pictures within a rectangle.
fn difference(one: &Picture, other: &Picture, Rect { x, y, width, height }: Rect) -> u8 {
    let rows = (y..y + height)
        .map(|row| (row * CANVAS.width + x) as usize..(row * CANVAS.width + x + width) as usize);
    let sum: usize = rows
        .flat_map(|row| one.luma[row.clone()].iter().zip(&other.luma[row]))
        .map(|(one, other)| usize::from(one.abs_diff(*other)))
        .sum();
    (sum / (width * height) as usize) as u8
}

fn mean(picture: &Picture, Rect { x, y, width, height }: Rect) -> u8 {
    picture.mean(x as usize, y as usize, width as usize, height as usize)
}

/// Without the pixels at its edges, which resampling blurs.
const fn inner(Rect { x, y, width, height }: Rect) -> Rect {
    Rect { x: x + 4, y: y + 4, width: width - 8, height: height - 8 }
}

/// Shows these overlays one after the other; gives for each the pictures with it, with their times in milliseconds, and the
/// source's pictures in their place.
async fn show(wishes: &[Wish<'_>]) -> Vec<(Told, Vec<(i64, Picture, Picture)>)> {
    let server = server(|_| {}).await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, RECORDING);
    server.until_live("kitchen", true).await;
    let mut viewer = Viewer::rtmp(&server, "kitchen").await;
    viewer.frames(200).await;
    let mut told = Vec::new();
    for wish in wishes {
        told.push(shown(&server, &channel, &mut viewer, wish).await);
    }
    viewer.frames(200).await;
    publisher.kill().await.expect("ffmpeg ends");
    until_end(&mut viewer).await;

    let size = (CANVAS.width as usize, CANVAS.height as usize);
    let source = std::fs::read(Fixture::path(RECORDING)).expect("a recording");
    let originals = decode(&source, ".flv", size, copy).await;
    let seen = decode(&viewer.recording(), ".flv", size, copy).await;
    let times: Vec<i64> = viewer
        .packets()
        .iter()
        .filter(|packet| packet.is_video())
        .map(|packet: &Packet| packet.dts)
        .collect();
    assert_eq!(seen.len(), times.len(), "every picture is decoded");
    let begins = usize::from(seen[0].number());
    let of = |told: Told| {
        let on = |place: &usize| told.is_on(times[*place]);
        let pictures = (0..times.len()).filter(on).map(|place| {
            let original = &originals[(begins + place) % originals.len()];
            (times[place], copy(&seen[place]), copy(original))
        });
        let pictures = pictures.collect();
        (told, pictures)
    };
    told.into_iter().map(of).collect()
}

fn white(width: u32, height: u32) -> Vec<u8> {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\"><rect width=\"{width}\" \
         height=\"{height}\" fill=\"#fff\"/></svg>"
    )
    .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_format_has_its_place_and_the_picture_its_own() {
    let _turn = TURN.lock().await;
    let formats: [(&str, Format, (u32, u32)); 4] = [
        ("lower_third", Format::LowerThird, (1920, 324)),
        ("corner", Format::Corner, (300, 250)),
        ("l_shape", Format::LShape, (1280, 720)),
        ("double_box", Format::DoubleBox, (640, 360)),
    ];
    let images = formats.map(|(_, _, (width, height))| white(width, height));
    let wishes: Vec<Wish<'_>> = formats
        .iter()
        .zip(&images)
        .map(|((format, ..), image)| Wish { format, image, ..Wish::white(2_000) })
        .collect();
    let slots = show(&wishes).await;
    for ((name, format, (width, height)), (_, pictures)) in formats.into_iter().zip(&slots) {
        assert!((59..=61).contains(&pictures.len()), "{name}: {} pictures in two seconds", pictures.len());
        let placement = format.place(CANVAS, Size { width, height }).expect("room");
        // In the middle of the slot the picture has made room.
        let (_, seen, original) = &pictures[30];
        let number = original.number();
        match placement.picture {
            None => {
                assert!(mean(seen, inner(placement.place)) > 250, "{name}");
                let left = Rect { x: 0, y: 0, width: placement.place.x, height: CANVAS.height };
                let above = Rect { x: 0, y: 0, width: CANVAS.width, height: placement.place.y };
                for beside in [left, above].into_iter().filter(|beside| beside.width * beside.height > 0) {
                    let difference = difference(seen, original, beside);
                    assert!(difference <= NEAR, "{name}: {beside:?} is {difference} off");
                }
            }
            Some(Rect { x, y, width, height }) => {
                let [x, y, width, height] = [x, y, width, height].map(|side| side as usize);
                assert_eq!(seen.number_within(x, y, width, height), number, "{name}: the picture made small");
                for (_, seen, original) in [&pictures[0], &pictures[pictures.len() - 1]] {
                    let moving = difference(seen, original, Rect { x: 0, y: 0, ..whole() });
                    assert!(moving <= 2 * NEAR, "{name}: it begins and ends at its full size: {moving} off");
                }
            }
        }
        match format {
            Format::LShape => {
                let picture = placement.picture.expect("a picture");
                let side = Rect { x: 0, y: 0, width: picture.x, height: CANVAS.height };
                let foot = Rect {
                    x: 0,
                    y: picture.height,
                    width: CANVAS.width,
                    height: CANVAS.height - picture.height,
                };
                assert!(mean(seen, inner(side)) > 250 && mean(seen, inner(foot)) > 250, "{name}");
            }
            Format::DoubleBox => {
                assert!(mean(seen, inner(placement.place)) > 250, "{name}");
                let below = Rect { x: 0, y: 136, width: CANVAS.width, height: 44 };
                assert!(mean(seen, inner(below)) < 5, "{name}: nothing around");
            }
            _ => {}
        }
    }
}

const fn whole() -> Rect {
    Rect { x: 0, y: 0, width: CANVAS.width, height: CANVAS.height }
}

/// Black and white by turns, a fifth of a second each.
async fn blinking(encoding: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("blinking");
    let picture = "color=black:s=192x32:r=5:d=0.4,drawbox=c=white:t=fill:enable='eq(n,1)'";
    let arguments = ["-nostdin", "-v", "error", "-f", "lavfi", "-i", picture];
    let path_text = path.to_str().expect("a path");
    tools::run(tools::FFMPEG, arguments.iter().chain(encoding).chain(&[path_text])).await;
    std::fs::read(path).expect("an animation")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_half_transparent_shows_half_of_the_picture_and_animations_keep_time() {
    let _turn = TURN.lock().await;
    let mut half = Cursor::new(Vec::new());
    let pixels = RgbaImage::from_pixel(192, 32, Rgba([255, 255, 255, 128]));
    pixels.write_to(&mut half, ImageFormat::Png).expect("a PNG");
    let animations = [
        ("GIF", blinking(&["-f", "gif"]).await),
        ("APNG", blinking(&["-pix_fmt", "rgb24", "-plays", "0", "-f", "apng"]).await),
        ("WebP", blinking(&["-c:v", "libwebp_anim", "-lossless", "1", "-loop", "0", "-f", "webp"]).await),
    ];
    let images: Vec<&[u8]> = [half.get_ref()]
        .into_iter()
        .chain(animations.iter().map(|(_, file)| file))
        .map(Vec::as_slice)
        .collect();
    let wishes: Vec<Wish<'_>> = images.iter().map(|image| Wish { image, ..Wish::white(1_500) }).collect();
    let slots = show(&wishes).await;

    let place = Format::LowerThird.place(CANVAS, Size { width: 192, height: 32 }).expect("room").place;
    let (_, pictures) = &slots[0];
    assert!((44..=46).contains(&pictures.len()), "{} pictures in a second and a half", pictures.len());
    for (pts, seen, original) in pictures {
        let mut expected = copy(original);
        expected.luma.iter_mut().for_each(|luma| *luma = (f32::from(*luma) * 127.0 / 255.0 + 128.0) as u8);
        let difference = difference(seen, &expected, inner(place));
        assert!(difference <= NEAR, "at {pts} ms half of either is {difference} off");
    }
    for ((kind, _), (told, pictures)) in animations.iter().zip(&slots[1..]) {
        assert!((44..=46).contains(&pictures.len()), "{} pictures in a second and a half", pictures.len());
        for (pts, seen, _) in pictures {
            let passed = pts - told.first / 1_000_000;
            let luma = mean(seen, inner(place));
            // The overlay begins up to a frame before the first picture with it.
            let [sure, at_least] = [passed / 200 % 2, (passed + 34) / 200 % 2];
            let as_wanted = if luma < 20 { sure * at_least == 0 } else { luma > 235 && sure + at_least > 0 };
            assert!(as_wanted, "{kind}: {luma} after {passed} ms");
        }
    }
}
