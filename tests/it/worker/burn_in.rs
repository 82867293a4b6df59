//! Burning in: pictures from the cut on, drawn on exactly where they shall be.

use std::collections::BTreeMap;
use std::time::Duration;

use onair::av::worker::Lost;
use onair::av::worker::ipc::{
    BurnIn, Encoding, FromWorker, Job, OutputId, Overlay, OverlayId, RETAINED_PICTURES, Rect, Size, Sprite,
    SpriteFrame, Squeeze, ToWorker,
};
use onair::media::{Frame, Kind, MediaTime};

use super::material::{Given, Material, Picture, begin, collect_outputs, decode, has_no_b_frames};
use crate::support::in_time;

/// The output where there is one.
pub const ONE: OutputId = OutputId(1);

const WIDTH: u32 = 320;
const HEIGHT: u32 = 180;
/// Below the number's blocks.
const LOWER_THIRD: Rect = Rect { x: 0, y: 126, width: WIDTH, height: 54 };

pub const JOB: Job = Job::BurnIn(BurnIn {
    encoding: Encoding { speed: onair::av::worker::ipc::Speed::Superfast, max_bitrate: 0 },
});

/// A sprite of one colour a frame.
fn sprite(colours: &[[u8; 4]]) -> Sprite {
    let size = Size { width: 4, height: 2 };
    let frame = |colour: &[u8; 4]| SpriteFrame {
        duration: Duration::from_millis(100),
        rgba: colour.repeat(8).into(),
    };
    Sprite { size, frames: colours.iter().map(frame).collect() }
}

/// White, in the lower third.
pub fn overlay(start: MediaTime, end: MediaTime) -> Overlay {
    Overlay {
        id: OverlayId(1),
        start,
        end,
        sprite: sprite(&[[255, 255, 255, 255]]),
        canvas: Size { width: WIDTH, height: HEIGHT },
        place: LOWER_THIRD,
        squeeze: None,
    }
}

pub fn is_drawn_on(picture: &Picture) -> bool {
    picture.mean(8, 134, 304, 38) > 250
}

fn draw(overlay: Overlay) -> ToWorker {
    ToWorker::Overlay { output: ONE, overlay }
}

/// The cut of an output at this place in decoding order: decoding time and first presentation time.
pub fn cut_of(output: OutputId, frames: &[Frame], at: usize) -> ToWorker {
    let before = frames[..at].iter().map(|frame| frame.pts).max();
    let pts = frames[at..].iter().map(|frame| frame.pts).min().expect("frames");
    assert!(before.is_none_or(|before| before < pts), "frame {at} is no cut");
    ToWorker::Cut { output, dts: frames[at].dts, pts }
}

fn cut(frames: &[Frame], at: usize) -> ToWorker {
    cut_of(ONE, frames, at)
}

/// Gives all frames, with what else is to be said before each; then that nothing follows.
pub async fn burn_all(
    material: &Material,
    orders: Vec<(usize, ToWorker)>,
    before: MediaTime,
) -> Result<BTreeMap<OutputId, Given>, Lost> {
    let session = begin(JOB);
    assert!(session.orders.send(ToWorker::Track(material.track.clone())));
    for (index, frame) in material.frames.iter().enumerate() {
        for (_, order) in orders.iter().filter(|(at, _)| *at == index) {
            session.orders.send(order.clone());
        }
        session.orders.send(ToWorker::Frame(frame.clone()));
    }
    session.orders.send(ToWorker::Stop { before });
    collect_outputs(session.reports).await
}

/// The same with one output, which is open from the beginning.
async fn burn(material: &Material, orders: Vec<(usize, ToWorker)>, before: MediaTime) -> Result<Given, Lost> {
    let orders = [vec![(0, ToWorker::Open { output: ONE })], orders].concat();
    let mut outputs = burn_all(material, orders, before).await?;
    Ok(outputs.remove(&ONE).expect("an output that stopped"))
}

#[tokio::test]
async fn exactly_the_frames_of_the_slot_are_drawn_on() {
    let material = Material::read("h264-aac", Kind::Video);
    let times = material.times();
    let orders = vec![(0, draw(overlay(times[50], times[110]))), (40, cut(&material.frames, 40))];
    let given = burn(&material, orders, times[120]).await.expect("a burn-in");
    let pts: Vec<MediaTime> = given.frames.iter().map(|frame| frame.pts).collect();
    assert_eq!(pts[..80], times[40..120]);
    assert!(given.frames[0].keyframe);
    let unit = onair::codec::h264::AccessUnit::inspect(&given.frames[0].payload).unwrap();
    assert!(unit.is_idr && unit.has_parameter_sets);
    assert!(given.frames.iter().all(|frame| frame.dts == frame.pts));
    for (index, picture) in decode(&given.frames, 320, 180).await.iter().enumerate() {
        assert_eq!(usize::from(picture.number()), 40 + index);
        assert_eq!(is_drawn_on(picture), (50..110).contains(&(40 + index)), "picture {}", 40 + index);
    }
}

#[tokio::test]
async fn with_b_frames_the_cut_is_where_the_order_allows_it_and_times_go_on() {
    let material = Material::read("h264-bframes-aac", Kind::Video);
    let times = material.times();
    let at = (70..90).find(|&at| {
        let before = material.frames[..at].iter().map(|frame| frame.pts).max();
        before < material.frames[at..].iter().map(|frame| frame.pts).min()
    });
    let at = at.expect("a cut");
    assert!(!material.frames[at].keyframe, "a cut is no keyframe's privilege");
    // Told when the frames behind it are on their way already, as who must see them first tells it.
    let ToWorker::Cut { dts, pts, .. } = cut(&material.frames, at) else { unreachable!() };
    let first = times.iter().position(|time| *time == pts).unwrap();
    let (start, end) = (times[first + 3], times[first + 33]);
    let orders = vec![(0, draw(overlay(start, end))), (at + 8, ToWorker::Cut { output: ONE, dts, pts })];
    let given = burn(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    let shown: Vec<MediaTime> = given.frames.iter().map(|frame| frame.pts).collect();
    assert_eq!(shown, times[first..]);
    assert_eq!(given.frames[0].dts, dts, "decoding times go on where the source's are left");
    assert!(material.frames[at - 1].dts < given.frames[0].dts);
    assert!(given.frames.iter().all(|frame| frame.pts - frame.dts == pts - dts));
    assert!(has_no_b_frames(&given.frames));
    for (index, picture) in decode(&given.frames, 320, 180).await.iter().enumerate() {
        assert_eq!(usize::from(picture.number()), first + index);
        assert_eq!(is_drawn_on(picture), (3..33).contains(&index), "picture {index}");
    }
}

#[tokio::test]
async fn a_cut_too_far_back_is_refused_and_nothing_is_given() {
    let material = Material::read("h264-aac", Kind::Video);
    let told = 10 + RETAINED_PICTURES + 1;
    let lost = burn(&material, vec![(told, cut(&material.frames, 10))], MediaTime::MAX).await;
    assert!(matches!(lost, Err(Lost::Failed(reason)) if reason.contains("too far back")));
    let given = burn(&material, vec![(told - 1, cut(&material.frames, 10))], MediaTime::MAX).await;
    assert_eq!(given.expect("just kept").frames.len(), material.frames.len() - 10);
}

#[tokio::test]
async fn a_cancelled_overlay_is_gone_from_the_frame_that_was_said() {
    let material = Material::read("h264-aac", Kind::Video);
    let times = material.times();
    let orders = vec![
        (0, cut(&material.frames, 0)),
        (0, draw(overlay(times[10], times[150]))),
        (60, ToWorker::Cancel { output: ONE, id: OverlayId(1), at: times[70] }),
        (90, draw(Overlay { id: OverlayId(2), ..overlay(times[100], times[150]) })),
        // Of the past: from the next picture on.
        (120, ToWorker::Cancel { output: ONE, id: OverlayId(2), at: times[100] }),
    ];
    let given = burn(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    for (index, picture) in decode(&given.frames, 320, 180).await.iter().enumerate() {
        let on = (10..70).contains(&index) || (100..120).contains(&index);
        assert_eq!(is_drawn_on(picture), on, "picture {index}");
    }
}

#[tokio::test]
async fn sprites_are_transparent_and_move() {
    let material = Material::read("h264-aac", Kind::Video);
    let times = material.times();
    // Half transparent white, then nothing: 100 ms each, three pictures.
    let moving =
        Overlay { sprite: sprite(&[[255, 255, 255, 128], [0, 0, 0, 0]]), ..overlay(times[0], times[60]) };
    let plain = burn(&material, vec![(0, cut(&material.frames, 0))], times[60]).await.expect("a burn-in");
    let orders = vec![(0, cut(&material.frames, 0)), (0, draw(moving))];
    let drawn = burn(&material, orders, times[60]).await.expect("a burn-in");
    let (plain, drawn) =
        (decode(&plain.frames[..60], 320, 180).await, decode(&drawn.frames[..60], 320, 180).await);
    for (index, (plain, drawn)) in plain.iter().zip(&drawn).enumerate() {
        let since = (times[index] - times[0]).as_millis();
        let (under, over) = (plain.mean(8, 134, 304, 38), drawn.mean(8, 134, 304, 38));
        let expected = if since % 200 < 100 { (u16::from(under) + 255) / 2 } else { u16::from(under) };
        assert!(u16::from(over).abs_diff(expected) <= 3, "picture {index}: {over}, not {expected}");
    }
}

#[tokio::test]
async fn a_picture_is_squeezed_and_comes_back() {
    let material = Material::read("h264-aac", Kind::Video);
    let times = material.times();
    let picture = Rect { x: 80, y: 0, width: 240, height: 136 };
    let squeeze = Squeeze { picture, background: [255, 255, 255], transition: Duration::from_millis(500) };
    let l_shape = Overlay {
        place: Rect { x: 0, y: 0, width: WIDTH, height: HEIGHT },
        sprite: sprite(&[[0, 0, 0, 255]]),
        squeeze: Some(squeeze),
        ..overlay(times[30], times[120])
    };
    let orders = vec![(0, cut(&material.frames, 0)), (0, draw(l_shape))];
    let given = burn(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    let pictures = decode(&given.frames, 320, 180).await;
    assert_eq!(pictures.len(), 180);
    let number_in = |shown: &Picture| {
        // The number's blocks in the squeezed picture.
        (0..16).fold(0_u16, |number, block| {
            let x = 80 + (2 * block + 1) * 240 / 32;
            number << 1 | u16::from(shown.mean(x - 1, 8, 3, 2) > 128)
        })
    };
    for (index, shown) in pictures.iter().enumerate() {
        match index {
            ..30 | 120.. => assert_eq!(usize::from(shown.number()), index),
            50..100 => {
                assert_eq!(usize::from(number_in(shown)), index, "picture {index} in its place");
                assert!(shown.mean(2, 20, 70, 150) < 20, "picture {index}: the sprite is beside it");
                assert!(shown.mean(90, 142, 220, 34) < 20, "picture {index}: and below it");
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn progress_tells_when_the_worker_has_caught_up() {
    let material = Material::read("gop-10s", Kind::Video);
    let session = begin(JOB);
    session.orders.send(ToWorker::Track(material.track.clone()));
    session.orders.send(ToWorker::Open { output: ONE });
    let mut reports = session.reports;
    for frame in &material.frames[..250] {
        session.orders.send(ToWorker::Frame(frame.clone()));
    }
    loop {
        let report = in_time("progress", reports.next()).await.expect("no fault");
        let FromWorker::Progress { dts } = report else { panic!("{report:?} before the cut") };
        if dts == material.frames[249].dts {
            break;
        }
    }
    let times = material.times();
    session.orders.send(ToWorker::Cut { output: ONE, dts: times[250], pts: times[250] });
    for frame in &material.frames[250..260] {
        session.orders.send(ToWorker::Frame(frame.clone()));
    }
    let mut given = Vec::new();
    while given.len() < 10 {
        let report = in_time("a frame", reports.next()).await.expect("no fault");
        if let FromWorker::OutputFrame { frame, .. } = report {
            given.push(frame);
        }
    }
    // Nothing is held back: each comes as soon as it was sent.
    assert!(given.iter().map(|frame| frame.pts).eq(times[250..260].iter().copied()));
    let numbers: Vec<u16> = decode(&given, 320, 180).await.iter().map(Picture::number).collect();
    assert_eq!(numbers, (250..260).collect::<Vec<u16>>());
}

#[tokio::test]
async fn other_resolutions_rates_and_shapes() {
    for (name, width, height) in [("4fps", 320, 180), ("60fps", 320, 180), ("portrait", 176, 320)] {
        let material = Material::read(name, Kind::Video);
        let times = material.times();
        let (start, end) = (times[10], times[30]);
        let shaped = Overlay {
            canvas: Size { width: 1280, height: 720 },
            place: Rect { x: 0, y: 504, width: 1280, height: 216 },
            ..overlay(start, end)
        };
        let orders = vec![(0, draw(shaped)), (5, cut(&material.frames, 5))];
        let given = burn(&material, orders, MediaTime::MAX).await.expect("a burn-in");
        let pictures = decode(&given.frames, width, height).await;
        assert_eq!(pictures.len(), material.frames.len() - 5, "{name}");
        for (index, picture) in pictures.iter().enumerate() {
            assert_eq!(usize::from(picture.number()), index + 5, "{name}");
            let drawn = picture.mean(8, height * 7 / 10 + 8, width - 16, height * 3 / 10 - 16) > 228;
            assert_eq!(drawn, (10..30).contains(&(index + 5)), "{name}: picture {}", index + 5);
        }
    }
}
