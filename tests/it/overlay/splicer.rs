//! The pure splicer with the real worker, faster than real time: random slots on all kinds of recordings.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use onair::av::worker::ipc::{
    BurnIn, Encoding, FromWorker, Job, OutputId, Overlay, OverlayId, Rect, Size, Sprite, SpriteFrame,
    ToWorker,
};
use onair::av::worker::{Session, Workers};
use onair::format::flv::{Muxer, TagParts, file};
use onair::hub::Item;
use onair::media::{Frame, Kind, MediaTime, Track};
use onair::metrics::Metrics;
use onair::overlay::splice::{Ask, Limits, Order, Output, Phase, Report, Shown, SlotEvent, Splicer, Why};

use super::{decode, number_and_overlay};
use crate::support::{Fixture, in_time, tools};
use crate::worker::material::{Material, config};

/// Slots in an ordinary run. `ONAIR_WORKER_SLOTS=1000` is the whole proof.
const SLOTS: u64 = 12;
/// The worker has one.
const OUTPUT: OutputId = OutputId(0);

/// SplitMix64: the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % bound
    }
}

/// A splicer and its worker, which is always given the time that it needs.
struct Rig {
    splicer: Splicer,
    workers: Workers,
    session: Option<Session>,
    canvas: Size,
    /// Frames given, and worked off.
    given: u64,
    done: u64,
    stopping: bool,
    now: Instant,
    programme: Vec<Item>,
    closed: Vec<(OverlayId, Shown, Why)>,
    phases: Vec<Phase>,
}

impl Rig {
    fn new(workers: Workers, track: &Track) -> Self {
        let mut splicer = Splicer::new(Limits::default());
        splicer.recall(&Item::Track(track.clone().into()));
        let video = track.video().expect("a picture");
        Self {
            splicer,
            workers,
            session: None,
            canvas: Size { width: video.width, height: video.height },
            given: 0,
            done: 0,
            stopping: false,
            now: onair::clock::monotonic(),
            programme: Vec::new(),
            closed: Vec::new(),
            phases: Vec::new(),
        }
    }

    async fn source(&mut self, item: Item) {
        self.splicer.source(item, self.now);
        self.settle().await;
    }

    async fn ask(&mut self, id: u64, start: MediaTime, duration: MediaTime) {
        self.splicer.ask(Ask { id: OverlayId(id), start: Some(start), duration }, self.now);
        self.settle().await;
    }

    /// Until the worker has done all that it was told.
    async fn settle(&mut self) {
        self.carry_out();
        while let Some(session) = self.session.as_mut().filter(|_| self.stopping || self.done < self.given) {
            let report = match in_time("a report", session.reports.next()).await.expect("a worker that works")
            {
                FromWorker::OutputTrack { track, .. } => Report::Track(track),
                FromWorker::OutputFrame { frame, .. } => Report::Frame(frame),
                FromWorker::Progress { dts } => {
                    self.done += 1;
                    Report::Progress { dts }
                }
                FromWorker::Stopped { output: OUTPUT } => continue,
                FromWorker::Ended => Report::Ended,
                other => panic!("{other:?} is no part of a burn-in"),
            };
            self.splicer.report(report, self.now);
            self.carry_out();
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.splicer.poll() {
            match output {
                Output::Route(item) => self.programme.push(item),
                Output::Worker(Order::Drop) => self.session = None,
                Output::Worker(Order::Start(track)) => {
                    let job = Job::BurnIn(BurnIn { encoding: Encoding::default() });
                    let session = self.workers.give(job).expect("room");
                    assert!(session.orders.send(ToWorker::Track((*track).clone())));
                    assert!(session.orders.send(ToWorker::Open { output: OUTPUT }));
                    (self.given, self.done, self.stopping) = (0, 0, false);
                    self.session = Some(session);
                }
                Output::Worker(order) => {
                    let message = self.message(order);
                    let session = self.session.as_ref().expect("a worker to speak to");
                    assert!(session.orders.send(message));
                }
                Output::RequestKeyframe => {}
                Output::Slot(id, SlotEvent::Closed { shown, why }) => self.closed.push((id, shown, why)),
                Output::Slot(..) => {}
            }
        }
        if self.phases.last() != Some(&self.splicer.phase()) {
            self.phases.push(self.splicer.phase());
        }
    }

    fn message(&mut self, order: Order) -> ToWorker {
        match order {
            Order::Frame(frame) => {
                self.given += 1;
                ToWorker::Frame(frame)
            }
            Order::Overlay { id, start, end } => {
                ToWorker::Overlay { output: OUTPUT, overlay: overlay(id, start, end, self.canvas) }
            }
            Order::Cancel { id, at } => ToWorker::Cancel { output: OUTPUT, id, at },
            Order::Cut { dts, pts } => ToWorker::Cut { output: OUTPUT, dts, pts },
            Order::Stop { before } => {
                self.stopping = true;
                ToWorker::Stop { before }
            }
            Order::Start(_) | Order::Drop => unreachable!("handled"),
        }
    }
}

/// White, in the lower third.
fn overlay(id: OverlayId, start: MediaTime, end: MediaTime, canvas: Size) -> Overlay {
    let white = SpriteFrame { duration: Duration::ZERO, rgba: vec![255; 4].into() };
    let sprite = Sprite { size: Size { width: 1, height: 1 }, frames: vec![white] };
    let height = canvas.height / 8 * 2;
    let place = Rect { x: 0, y: canvas.height - height, width: canvas.width, height };
    Overlay { id, start, end, sprite, canvas, place, squeeze: None }
}

/// A recording so many times in a row, with the number that each picture has.
fn looped(material: &Material, times: usize) -> Vec<Frame> {
    let shown = material.times();
    let step = (*shown.last().expect("pictures") - shown[0]).as_nanos() / (shown.len() as i64 - 1);
    let length = step * shown.len() as i64;
    (0..times as i64)
        .flat_map(|round| {
            let later = MediaTime::from_millis(MediaTime::from_nanos(round * length).as_millis());
            material.frames.iter().cloned().map(move |mut frame| {
                frame.pts += later;
                frame.dts += later;
                frame
            })
        })
        .collect()
}

struct Plan {
    id: u64,
    asked: MediaTime,
    start: MediaTime,
    duration: MediaTime,
}

fn plans(first_id: u64, length: i64, random: &mut Random) -> Vec<Plan> {
    let millis = |random: &mut Random, from: i64, to: i64| from + random.below((to - from) as u64) as i64;
    let mut free = millis(random, 500, 3_000);
    let mut plans = Vec::new();
    loop {
        let duration = millis(random, 100, 3_000);
        if free + duration > length - 500 {
            return plans;
        }
        let asked = (free - millis(random, 300, 5_000)).max(0);
        let [asked, start, duration_time] = [asked, free, duration].map(MediaTime::from_millis);
        plans.push(Plan { id: first_id + plans.len() as u64, asked, start, duration: duration_time });
        free += duration + if random.below(3) == 0 { 0 } else { millis(random, 0, 6_000) };
    }
}

/// The programme as an FLV file.
pub fn recording(programme: &[Item], source: &Track) -> Vec<u8> {
    let mut out = BytesMut::from(&file::header(false, true)[..]);
    let mut muxer = Muxer::default();
    let mut write = |tag: TagParts<'_>| file::write_tag(&mut out, tag.kind, tag.timestamp_ms, &tag.body);
    muxer.header(&[source.clone().into()], MediaTime::ZERO, &mut write);
    let mut time = MediaTime::ZERO;
    for item in programme {
        match item {
            Item::Track(track) => muxer.track(track, time, &mut write),
            Item::Frame(frame) => {
                time = frame.dts;
                muxer.frame(frame, &mut write);
            }
            _ => {}
        }
    }
    out.to_vec()
}

/// Random slots on a recording are drawn exactly; gives how many they were.
async fn prove(name: &str, material: &Material, seed: u64, first_id: u64) -> u64 {
    let mut random = Random(seed);
    let source = looped(material, if material.frames.len() > 300 { 2 } else { 3 });
    let length = source.iter().map(|frame| frame.pts).max().expect("pictures").as_millis();
    let plans = plans(first_id, length, &mut random);
    let mut rig = Rig::new(Workers::start(&config(), &Metrics::new()), &material.track);
    let mut waiting = plans.iter().peekable();
    for frame in &source {
        while let Some(plan) = waiting.next_if(|plan| plan.asked <= frame.dts) {
            rig.ask(plan.id, plan.start, plan.duration).await;
        }
        rig.source(Item::Frame(frame.clone())).await;
    }
    rig.source(Item::Ended).await;

    let what = format!("{name}, seed {seed}");
    let programme: Vec<&Frame> = rig
        .programme
        .iter()
        .filter_map(|item| match item {
            Item::Frame(frame) => Some(frame),
            _ => None,
        })
        .collect();
    assert!(programme.windows(2).all(|pair| pair[0].dts < pair[1].dts), "{what}: decoding times rise");
    assert!(programme.iter().all(|frame| frame.dts <= frame.pts), "{what}");
    assert_eq!(programme.len(), source.len(), "{what}: every picture once");
    let mut expected: Vec<(MediaTime, usize)> = source.iter().map(|frame| (frame.pts, 0)).collect();
    expected.sort();
    for (place, (_, number)) in expected.iter_mut().enumerate() {
        *number = place % material.frames.len();
    }
    let untouched =
        programme.iter().filter(|frame| source.iter().any(|original| original == **frame)).count();
    let Size { width, height } = rig.canvas;
    let file = recording(&rig.programme, &material.track);
    let pictures = decode(&file, ".flv", (width as usize, height as usize), number_and_overlay).await;
    assert_eq!(pictures.len(), source.len(), "{what}: every picture is decoded");
    for ((seen, overlaid), (pts, number)) in pictures.iter().zip(&expected) {
        assert_eq!(usize::from(*seen), *number, "{what}: in order, at {pts:?}");
        let wanted = plans.iter().any(|plan| (plan.start..plan.start + plan.duration).contains(pts));
        assert_eq!(*overlaid, wanted, "{what}: at {pts:?}");
    }
    for plan in &plans {
        let closed = rig.closed.iter().find(|(id, ..)| id.0 == plan.id);
        let (_, shown, why) = closed.unwrap_or_else(|| panic!("{what}: slot {} is closed", plan.id));
        let span = plan.start..plan.start + plan.duration;
        let drawn = || expected.iter().map(|(pts, _)| *pts).filter(|pts| span.contains(pts));
        let told = (shown.first_pts, shown.last_pts, shown.frames);
        assert_eq!(told, (drawn().next(), drawn().next_back(), drawn().count() as u64), "{what}");
        // At 4 frames a second, a short one may lie between two pictures.
        assert!(*why == Why::Completed || shown.frames == 0, "{what}: {why:?}");
    }
    let by_worker = source.len() - untouched;
    println!("{what}: {} slots, {by_worker} of {} pictures by the worker", plans.len(), source.len());
    plans.len() as u64
}

#[tokio::test]
async fn random_slots_are_drawn_exactly_by_the_real_worker() {
    const RECORDINGS: [&str; 9] = [
        "h264-aac",
        "h264-bframes-aac",
        "60fps",
        "4fps",
        "portrait",
        "gop-10s",
        "short-bframes",
        "gop-endless",
        "h264-open-gop-aac",
    ];
    let wanted =
        std::env::var("ONAIR_WORKER_SLOTS").ok().and_then(|slots| slots.parse().ok()).unwrap_or(SLOTS);
    let began = onair::clock::monotonic();
    let (mut slots, mut seed) = (0, 0);
    while slots < wanted || (seed as usize) < RECORDINGS.len() {
        let name = RECORDINGS[seed as usize % RECORDINGS.len()];
        slots += prove(name, &Material::read(name, Kind::Video), seed, slots + 1).await;
        seed += 1;
    }
    let took = onair::clock::monotonic().duration_since(began);
    println!("{slots} slots in {took:?}");
}

/// The numbered pictures, encoded like this.
async fn encoded(filter: &str, parameters: &str) -> Material {
    let folder = tempfile::tempdir().expect("a directory");
    let (source, path) = (Fixture::path("h264-aac"), folder.path().join("encoded.flv"));
    let arguments = ["-nostdin", "-v", "error", "-i", source.to_str().expect("a path"), "-an", "-vf", filter];
    let encoding = ["-c:v", "libx264", "-preset", "veryfast", "-g", "60", "-x264-params", parameters];
    let all = arguments.iter().chain(&encoding).copied().chain([path.to_str().expect("a path")]);
    tools::run(tools::FFMPEG, all).await;
    Material::of(Fixture::of(&std::fs::read(path).expect("a recording")).tags, Kind::Video)
}

#[tokio::test]
async fn b22_slots_are_exact_on_every_kind_of_h264() {
    let mut large = Material::read("h264-aac", Kind::Video);
    for frame in large.frames.iter_mut().skip(10).step_by(60) {
        // An SEI message of 1 MB: user data, of a length of its own (ITU-T H.264 §7.3.2.3.1).
        let message = [&[6, 5][..], &[255; 4112], &[16], &[0x55; 1_048_576], &[0x80]].concat();
        let length = u32::try_from(message.len()).expect("a length").to_be_bytes();
        frame.payload = [&length, &message[..], &frame.payload].concat().into();
    }
    let kinds = [
        ("a pyramid of B-frames", encoded("null", "bframes=7:b-pyramid=normal:scenecut=0").await),
        ("interlaced pictures", encoded("null", "interlaced=1:bframes=2:scenecut=0").await),
        ("colours at full height", encoded("format=yuv422p", "bframes=0:scenecut=0").await),
        ("access unit delimiters", encoded("null", "aud=1:scenecut=0").await),
        ("many slices and references", encoded("null", "slices=4:ref=8:bframes=3:scenecut=0").await),
        ("large SEI messages", large),
    ];
    for (seed, (kind, material)) in kinds.iter().enumerate() {
        prove(kind, material, 100 + seed as u64, 1).await;
    }
}
