//! Several outputs of one burn-in: other overlays on the same pictures, and each with its own beginning and end.

use std::collections::BTreeSet;
use std::ops::Range;

use onair::av::worker::Lost;
use onair::av::worker::ipc::{FromWorker, MAX_OUTPUTS, MAX_OVERLAYS, OutputId, Overlay, OverlayId, ToWorker};
use onair::media::{Frame, Kind, MediaTime};

use super::burn_in::{JOB, ONE, burn_all, cut_of, is_drawn_on, overlay};
use super::material::{Given, Material, begin, decode, has_no_b_frames};
use crate::support::in_time;

const OTHER: OutputId = OutputId(2);

const fn open(output: OutputId) -> ToWorker {
    ToWorker::Open { output }
}

/// An overlay on these pictures, counted in the order of display.
fn draw(output: OutputId, times: &[MediaTime], on: Range<usize>) -> ToWorker {
    ToWorker::Overlay { output, overlay: overlay(times[on.start], times[on.end]) }
}

/// The first place from here on, in decoding order, where the source may be cut, and the first picture after it.
fn place_to_cut(material: &Material, from: usize) -> (usize, usize) {
    let (frames, times) = (&material.frames, material.times());
    let first = |at: usize| frames[at..].iter().map(|frame| frame.pts).min().expect("frames");
    let is_cut = |at: &usize| frames[..*at].iter().all(|frame| frame.pts < first(*at));
    let at = (from..).find(is_cut).expect("a place");
    (at, times.iter().position(|time| *time == first(at)).expect("a picture"))
}

/// These pictures and no other, once each, in order, and with an overlay where there is one.
async fn assert_shows(what: &str, given: &Given, times: &[MediaTime], shown: Range<usize>, on: Range<usize>) {
    let pts: Vec<MediaTime> = given.frames.iter().map(|frame| frame.pts).collect();
    assert_eq!(pts, times[shown.clone()], "{what}");
    assert!(given.frames[0].keyframe, "{what}");
    assert_eq!(given.tracks.len(), 1, "{what}");
    assert!(has_no_b_frames(&given.frames), "{what}");
    let pictures = decode(&given.frames, 320, 180).await;
    assert_eq!(pictures.len(), shown.len(), "{what}");
    for (index, picture) in shown.zip(&pictures) {
        assert_eq!(usize::from(picture.number()), index, "{what}");
        assert_eq!(is_drawn_on(picture), on.contains(&index), "{what}: picture {index}");
    }
}

/// The times of keyframes after the first.
fn later_keyframes(given: &Given) -> BTreeSet<MediaTime> {
    given.frames.iter().skip(1).filter(|frame| frame.keyframe).map(|frame| frame.pts).collect()
}

#[tokio::test]
async fn two_outputs_have_their_own_overlays_beginning_and_end() {
    for name in ["h264-aac", "h264-bframes-aac", "h264-open-gop-aac"] {
        let material = Material::read(name, Kind::Video);
        let times = material.times();
        let (cut_one, first_one) = place_to_cut(&material, 12);
        let (cut_other, first_other) = place_to_cut(&material, 40);
        // One ends at the second keyframe, the other goes on.
        let keyframe = material.frames.iter().rposition(|frame| frame.keyframe).expect("keyframes");
        let before = material.frames[keyframe].pts;
        let end = times.iter().position(|time| *time == before).expect("a picture");
        let (on_one, on_other) = (30..90, 60..end + 20);
        let orders = vec![
            (0, open(ONE)),
            (3, draw(ONE, &times, on_one.clone())),
            (cut_one + 4, cut_of(ONE, &material.frames, cut_one)),
            (25, open(OTHER)),
            (26, draw(OTHER, &times, on_other.clone())),
            (cut_other + 6, cut_of(OTHER, &material.frames, cut_other)),
            (keyframe, ToWorker::StopOutput { output: ONE, before }),
        ];
        let outputs = burn_all(&material, orders, MediaTime::MAX).await.expect("a burn-in");
        let (one, other) = (&outputs[&ONE], &outputs[&OTHER]);
        assert_shows(&format!("{name}, one"), one, &times, first_one..end, on_one).await;
        assert_shows(&format!("{name}, other"), other, &times, first_other..times.len(), on_other).await;
        let mut common = later_keyframes(other);
        common.retain(|pts| *pts < before);
        let mut of_one = later_keyframes(one);
        of_one.retain(|pts| *pts > times[first_other]);
        assert_eq!(of_one, common, "{name}: keyframes are on the same pictures");
        assert!(!common.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn an_output_that_stops_is_done_with_the_first_picture_that_is_not_wanted() {
    let material = Material::read("h264-open-gop-aac", Kind::Video);
    let keyframe = material.frames.iter().rposition(|frame| frame.keyframe).expect("keyframes");
    let before = material.frames[keyframe].pts;
    let session = begin(JOB);
    let mut reports = session.reports;
    for order in [ToWorker::Track(material.track.clone()), open(ONE), open(OTHER)] {
        session.orders.send(order);
    }
    for output in [ONE, OTHER] {
        session.orders.send(cut_of(output, &material.frames, 0));
    }
    for frame in &material.frames[..keyframe] {
        session.orders.send(ToWorker::Frame(frame.clone()));
    }
    session.orders.send(ToWorker::StopOutput { output: ONE, before });
    // It is open until it has stopped, so that what is said to it does no harm, nor does it after that.
    let late = || ToWorker::Cancel { output: ONE, id: OverlayId(1), at: MediaTime::ZERO };
    session.orders.send(late());
    let mut shown = [Vec::new(), Vec::new()];
    let mut next = keyframe;
    // Frame after frame, until it says that it has stopped.
    'feeding: loop {
        session.orders.send(ToWorker::Frame(material.frames[next].clone()));
        loop {
            match in_time("a report", reports.next()).await.expect("no fault") {
                FromWorker::OutputFrame { output, frame } => {
                    shown[usize::from(output == OTHER)].push(frame.pts);
                }
                FromWorker::Stopped { output: ONE } => break 'feeding,
                FromWorker::Progress { dts } if dts == material.frames[next].dts => break,
                _ => {}
            }
        }
        next += 1;
    }
    let times = material.times();
    let wanted: Vec<MediaTime> = times.iter().copied().filter(|pts| *pts < before).collect();
    assert_eq!(shown[0], wanted);
    assert!(wanted.len() > keyframe, "leading pictures are among them");
    assert!(next < keyframe + 8, "nobody had to send {} frames more", next - keyframe);
    session.orders.send(late());
    for frame in &material.frames[next + 1..] {
        session.orders.send(ToWorker::Frame(frame.clone()));
    }
    session.orders.send(ToWorker::Stop { before: MediaTime::MAX });
    loop {
        match in_time("a report", reports.next()).await.expect("no fault") {
            FromWorker::OutputFrame { output: OTHER, frame } => shown[1].push(frame.pts),
            FromWorker::Stopped { output: OTHER } | FromWorker::Progress { .. } => {}
            FromWorker::Ended => break,
            report => panic!("{report:?} after the end of the first"),
        }
    }
    assert_eq!(shown[1], times, "the other goes on to the end");
}

#[tokio::test]
async fn an_output_may_be_opened_while_another_is_drawn_on() {
    let material = Material::read("h264-aac", Kind::Video);
    let times = material.times();
    let orders = vec![
        (0, open(ONE)),
        (0, cut_of(ONE, &material.frames, 0)),
        (0, draw(ONE, &times, 20..120)),
        (50, open(OTHER)),
        (51, draw(OTHER, &times, 70..90)),
        (64, cut_of(OTHER, &material.frames, 60)),
    ];
    let outputs = burn_all(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    assert_shows("one", &outputs[&ONE], &times, 0..180, 20..120).await;
    assert_shows("other", &outputs[&OTHER], &times, 60..180, 70..90).await;
}

#[tokio::test]
async fn company_changes_nothing_in_an_output() {
    let material = Material::read("short-bframes", Kind::Video);
    let times = material.times();
    let of_one =
        || vec![(0, open(ONE)), (0, draw(ONE, &times, 20..40)), (0, cut_of(ONE, &material.frames, 0))];
    let alone = burn_all(&material, of_one(), MediaTime::MAX).await.expect("a burn-in");
    let mut orders = of_one();
    orders.extend((10..10 + MAX_OUTPUTS as u32 - 1).flat_map(|output| {
        let output = OutputId(output);
        [(0, open(output)), (1, draw(output, &times, 10..30)), (2, cut_of(output, &material.frames, 0))]
    }));
    let together = burn_all(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    assert_eq!(together.len(), MAX_OUTPUTS);
    assert!(together[&ONE].frames == alone[&ONE].frames, "not a byte");
    assert_shows("another", &together[&OutputId(16)], &times, 0..60, 10..30).await;
}

#[tokio::test]
async fn outputs_of_a_source_without_keyframes_have_theirs_on_the_same_pictures() {
    let material = Material::read("gop-endless", Kind::Video);
    let orders = vec![
        (0, open(ONE)),
        (0, cut_of(ONE, &material.frames, 0)),
        (90, open(OTHER)),
        (100, cut_of(OTHER, &material.frames, 100)),
    ];
    let outputs = burn_all(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    let times = material.times();
    let ten_seconds = times[0] + MediaTime::from_millis(10_000);
    let wanted = BTreeSet::from([*times.iter().find(|time| **time >= ten_seconds).expect("twenty seconds")]);
    assert_eq!(later_keyframes(&outputs[&ONE]), wanted);
    assert_eq!(later_keyframes(&outputs[&OTHER]), wanted);
}

#[tokio::test]
async fn nothing_is_given_of_an_output_after_it_was_closed() {
    let material = Material::read("h264-aac", Kind::Video);
    let times = material.times();
    let session = begin(JOB);
    let mut orders = vec![ToWorker::Track(material.track.clone())];
    for output in [ONE, OTHER] {
        orders.extend([open(output), cut_of(output, &material.frames, 0), draw(output, &times, 10..80)]);
    }
    orders.extend(material.frames[..50].iter().cloned().map(ToWorker::Frame));
    orders.push(ToWorker::CloseOutput { output: ONE });
    // It is gone: all the same to it.
    orders.push(draw(ONE, &times, 60..70));
    orders.push(ToWorker::StopOutput { output: ONE, before: times[70] });
    orders.push(ToWorker::CloseOutput { output: ONE });
    orders.extend(material.frames[50..100].iter().cloned().map(ToWorker::Frame));
    orders.push(ToWorker::Stop { before: MediaTime::MAX });
    orders.into_iter().for_each(|order| assert!(session.orders.send(order)));
    let (mut reports, mut frames, mut stopped) = (session.reports, [Vec::new(), Vec::new()], Vec::new());
    loop {
        match in_time("a report", reports.next()).await.expect("no fault") {
            FromWorker::OutputFrame { output, frame } => frames[usize::from(output == OTHER)].push(frame),
            FromWorker::Stopped { output } => stopped.push(output),
            FromWorker::Ended => break,
            _ => {}
        }
    }
    let pts = |frames: &[Frame]| frames.iter().map(|frame| frame.pts).collect::<Vec<_>>();
    assert_eq!(pts(&frames[0]), times[..50], "what was decoded before");
    assert_eq!(pts(&frames[1]), times[..100]);
    assert_eq!(stopped, [OTHER], "who was closed has nothing to say");
}

#[tokio::test]
async fn an_output_without_a_cut_owes_nothing_when_it_stops() {
    let material = Material::read("short", Kind::Video);
    let orders = vec![
        (0, open(ONE)),
        (0, open(OTHER)),
        (20, cut_of(OTHER, &material.frames, 20)),
        (30, ToWorker::StopOutput { output: ONE, before: MediaTime::MAX }),
        // Crossed its end.
        (31, cut_of(ONE, &material.frames, 31)),
    ];
    let outputs = burn_all(&material, orders, MediaTime::MAX).await.expect("a burn-in");
    assert!(!outputs.contains_key(&ONE));
    assert_eq!(outputs[&OTHER].frames.len(), 40);
}

/// Why it does not do what it is told before the twentieth frame.
async fn refusal(orders: Vec<ToWorker>) -> String {
    let material = Material::read("short", Kind::Video);
    let orders = orders.into_iter().map(|order| (20, order)).collect();
    match burn_all(&material, orders, MediaTime::MAX).await {
        Err(Lost::Failed(why)) => why,
        other => panic!("{:?}", other.map(|outputs| outputs.len())),
    }
}

#[tokio::test]
async fn orders_for_an_output_that_was_never_opened_are_refused() {
    let (output, dts, pts) = (OTHER, MediaTime::ZERO, MediaTime::ZERO);
    let overlay = overlay(MediaTime::ZERO, MediaTime::MAX);
    let orders = [
        ToWorker::Overlay { output, overlay },
        ToWorker::Cancel { output, id: OverlayId(1), at: pts },
        ToWorker::Cut { output, dts, pts },
        ToWorker::StopOutput { output, before: pts },
        ToWorker::CloseOutput { output },
    ];
    for order in orders {
        let why = refusal(vec![open(ONE), order.clone()]).await;
        assert!(why.contains("never opened"), "{order:?}: {why}");
    }
}

#[tokio::test]
async fn an_output_has_its_name_alone_and_is_cut_once() {
    let again = vec![open(ONE), ToWorker::CloseOutput { output: ONE }, open(ONE)];
    assert!(refusal(again).await.contains("there was before"));
    let material = Material::read("short", Kind::Video);
    let cut = || cut_of(ONE, &material.frames, 20);
    assert!(refusal(vec![open(ONE), cut(), cut()]).await.contains("a second cut"));
    // What was decoded before is not there for it.
    let early = vec![open(ONE), cut_of(ONE, &material.frames, 19)];
    assert!(refusal(early).await.contains("too far back"));
    let of_before = vec![(0, open(ONE)), (20, cut_of(ONE, &material.frames, 19))];
    let outputs = burn_all(&material, of_before, MediaTime::MAX).await.expect("it was open");
    assert_eq!(outputs[&ONE].frames.len(), 41);
}

#[tokio::test]
async fn there_are_so_many_outputs_and_overlays_and_no_more() {
    let outputs = |count: usize| (0..count as u32).map(|output| open(OutputId(output)));
    let one_more = outputs(MAX_OUTPUTS + 1).collect();
    assert!(refusal(one_more).await.contains("more than 8 outputs"));
    let mut orders: Vec<ToWorker> = outputs(MAX_OUTPUTS).collect();
    let overlays = |output: OutputId, count: usize| {
        (0..count as u64).map(move |id| {
            let overlay = Overlay { id: OverlayId(id), ..overlay(MediaTime::ZERO, MediaTime::MAX) };
            ToWorker::Overlay { output, overlay }
        })
    };
    // Full ones beside each other, and room where one was closed.
    orders.extend((0..2).flat_map(|output| overlays(OutputId(output), MAX_OVERLAYS)));
    orders.extend([ToWorker::CloseOutput { output: OutputId(7) }, open(OutputId(8))]);
    let material = Material::read("short", Kind::Video);
    let told = orders.iter().cloned().map(|order| (20, order)).collect();
    assert!(burn_all(&material, told, MediaTime::MAX).await.expect("just as many").is_empty());
    orders.extend(overlays(OutputId(8), MAX_OVERLAYS + 1));
    assert!(refusal(orders).await.contains("more than 8 overlays"));
}
