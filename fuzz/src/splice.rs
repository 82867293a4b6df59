//! A splicer, and a worker that does what its input says: what holds of a programme holds whatever happens.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use onair::av::worker::ipc::OverlayId;
use onair::codec::nal;
use onair::hub::Item;
use onair::media::{AudioParams, Codec, Frame, Kind, MediaTime, Params, Track, TrackId, VideoParams};
use onair::overlay::splice::{Ask, Limits, Order, Output, Report, SlotEvent, Splicer};

const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);

/// Two bytes an operation: which, and how.
pub fn splice(data: &[u8]) {
    let mut stage = Stage::new();
    for &[operation, how] in data.as_chunks::<2>().0.iter().take(2_000) {
        stage.operate(operation % 16, how);
        stage.carry_out();
    }
    stage.source(Item::Ended);
    // A worker that says nothing is given up.
    for _ in 0..100 {
        let Some(timeout) = stage.splicer.next_timeout() else { break };
        stage.now = stage.now.max(timeout);
        stage.splicer.timeout(stage.now);
        stage.carry_out();
    }
    assert!(stage.open.is_empty(), "slots are closed when the broadcast is over");
    assert!(stage.ended && stage.worker.is_none(), "nothing is left behind");
}

struct Stage {
    splicer: Splicer,
    now: Instant,
    /// Decoding time of the source's newest frame.
    dts: MediaTime,
    number: u32,
    worker: Option<Worker>,
    asked: u64,
    /// Slots that are not closed.
    open: HashSet<u64>,
    sent_sound: Vec<Frame>,
    sound: Vec<Frame>,
    sent: HashSet<Bytes>,
    decoded: Option<MediaTime>,
    ended: bool,
}

/// Gives each frame back from the cut on, where they are in order.
#[derive(Default)]
struct Worker {
    inbox: VecDeque<Order>,
    retained: Vec<Frame>,
    cut: Option<MediaTime>,
    last: Option<MediaTime>,
}

fn track(codec: Codec, number: u8) -> Arc<Track> {
    let (id, params) = match codec.kind() {
        Kind::Video => {
            let video = VideoParams { width: 320 + u32::from(number), height: 180, reorder_depth: None };
            (VIDEO, Params::Video(video))
        }
        Kind::Audio => {
            let audio = AudioParams { sample_rate: 48_000, channels: 2, frame_samples: Some(1024) };
            (AUDIO, Params::Audio(audio))
        }
    };
    Arc::new(Track { id, group: 0, rank: 0, codec, config: Bytes::copy_from_slice(&[number]), params })
}

impl Stage {
    fn new() -> Self {
        let mut splicer = Splicer::new(Limits { held_frames: 40, ..Limits::default() });
        splicer.recall(&Item::Track(track(Codec::H264, 0)));
        splicer.recall(&Item::Track(track(Codec::Aac, 0)));
        Self {
            splicer,
            now: super::some_instant(),
            dts: MediaTime::ZERO,
            number: 0,
            worker: None,
            asked: 0,
            open: HashSet::new(),
            sent_sound: Vec::new(),
            sound: Vec::new(),
            sent: HashSet::new(),
            decoded: None,
            ended: false,
        }
    }

    fn operate(&mut self, operation: u8, how: u8) {
        match operation {
            0..=4 => self.picture([0x41, 0x98], how, false),
            5 => self.picture([0x65, 0x88], how, true),
            // The entry point of an open GOP, as far as the hub knows.
            6 => self.picture([0x41, 0x88], how, true),
            7 => self.hear(how),
            8 if self.open.is_empty() => self.ask(how),
            9 => self.splicer.cancel(OverlayId(self.asked.saturating_sub(u64::from(how % 3)))),
            8 | 10 | 11 => (0..=how % 8).for_each(|_| self.work()),
            12 => self.lie(how),
            13 => self.wait(how),
            14 => match how % 4 {
                0 => self.source(Item::Lagged(1)),
                1 => self.source(Item::Interrupted),
                2 => self.source(Item::Track(track(Codec::H264, how / 4))),
                _ => self.source(Item::Track(track(Codec::Aac, how / 4))),
            },
            _ if how.is_multiple_of(2) => self.splicer.expect_nothing(),
            _ => self.splicer.expect(self.now + Duration::from_millis(u64::from(how) * 10), self.now),
        }
    }

    fn source(&mut self, item: Item) {
        self.splicer.source(item, self.now);
        self.carry_out();
    }

    fn frame(&mut self, track: TrackId, how: u8, keyframe: bool, payload: Bytes) -> Frame {
        self.dts += MediaTime::from_millis(1 + i64::from(how % 50));
        let late =
            if track == VIDEO { MediaTime::from_millis(i64::from(how / 64) * 40) } else { MediaTime::ZERO };
        Frame { track, pts: self.dts + late, dts: self.dts, keyframe, disposable: false, payload }
    }

    fn picture(&mut self, slice: [u8; 2], how: u8, keyframe: bool) {
        self.number += 1;
        let payload = nal::join([&[&slice[..], &self.number.to_be_bytes(), &[0xff]].concat()[..]]);
        self.sent.insert(payload.clone());
        let frame = self.frame(VIDEO, how, keyframe, payload);
        self.source(Item::Frame(frame));
    }

    fn hear(&mut self, how: u8) {
        let frame = self.frame(AUDIO, how, true, Bytes::copy_from_slice(&[how]));
        self.sent_sound.push(frame.clone());
        self.source(Item::Frame(frame));
    }

    fn ask(&mut self, how: u8) {
        self.asked += 1;
        self.open.insert(self.asked);
        let later = MediaTime::from_millis(i64::from(how) * 40);
        let start = (!how.is_multiple_of(3)).then(|| self.splicer.newest().unwrap_or_default() + later);
        let duration = MediaTime::from_millis(1 + i64::from(how % 8) * 300);
        self.splicer.ask(Ask { id: OverlayId(self.asked), start, duration }, self.now);
    }

    fn wait(&mut self, how: u8) {
        self.now += Duration::from_millis(u64::from(how) * 8);
        if self.splicer.next_timeout().is_some_and(|timeout| timeout <= self.now) {
            self.splicer.timeout(self.now);
        }
    }

    /// The worker works off an order.
    fn work(&mut self) {
        for report in self.worker.as_mut().map(Worker::work).unwrap_or_default() {
            self.splicer.report(report, self.now);
            self.carry_out();
        }
    }

    /// It says what it must not.
    fn lie(&mut self, how: u8) {
        let report = match how % 5 {
            0 => Report::Lost,
            1 => Report::Ended,
            2 => Report::Progress { dts: self.dts + MediaTime::from_millis(1_000) },
            3 => Report::Track(Track::clone(&track(Codec::Aac, 9))),
            _ => Report::Frame(Worker::made(self.dts, how.is_multiple_of(2))),
        };
        self.splicer.report(report, self.now);
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.splicer.poll() {
            match output {
                Output::Route(item) => self.shown(item),
                Output::Worker(Order::Start(_)) => {
                    assert!(self.worker.replace(Worker::default()).is_none(), "one worker at a time");
                }
                Output::Worker(Order::Drop | Order::Abandon) => {
                    assert!(self.worker.take().is_some(), "one to drop")
                }
                Output::Worker(order) => {
                    self.worker.as_mut().expect("a worker to speak to").inbox.push_back(order);
                }
                Output::RequestKeyframe => {}
                Output::Slot(id, SlotEvent::Closed { shown, .. }) => {
                    assert!(self.open.remove(&id.0), "a slot is closed once");
                    assert_eq!(shown.frames > 0, shown.first_pts.is_some());
                }
                Output::Slot(id, _) => assert!(self.open.contains(&id.0), "nothing comes after the end"),
            }
        }
    }

    fn shown(&mut self, item: Item) {
        assert!(!self.ended, "nothing comes after the end");
        match item {
            Item::Frame(frame) if frame.track == VIDEO => {
                assert!(self.decoded < Some(frame.dts), "decoding times rise");
                self.decoded = Some(frame.dts);
                // Of the source, each access unit at most once, or the worker's.
                let is_sent = self.sent.remove(&frame.payload);
                assert!(is_sent || frame.payload.ends_with(b"W"), "an access unit that nobody sent");
            }
            Item::Frame(frame) => {
                self.sound.push(frame);
                assert!(self.sent_sound.starts_with(&self.sound), "sound is not touched");
            }
            Item::Ended => {
                self.ended = true;
                assert_eq!(self.sound, self.sent_sound, "no sound is lost");
            }
            _ => {}
        }
    }
}

impl Worker {
    fn work(&mut self) -> Vec<Report> {
        match self.inbox.pop_front() {
            Some(Order::Frame(frame)) => {
                let progress = Report::Progress { dts: frame.dts };
                let mut out = Vec::new();
                match self.cut {
                    Some(_) => self.give(&frame, &mut out),
                    None => self.retained.push(frame),
                }
                out.push(progress);
                out
            }
            Some(Order::Cut { pts, .. }) => {
                self.cut = Some(pts);
                let mut out = Vec::new();
                let mut retained = std::mem::take(&mut self.retained);
                retained.sort_by_key(|frame| frame.pts);
                retained.iter().for_each(|frame| self.give(frame, &mut out));
                out
            }
            Some(Order::Stop { .. }) => vec![Report::Ended],
            _ => Vec::new(),
        }
    }

    fn give(&mut self, frame: &Frame, out: &mut Vec<Report>) {
        if self.cut.is_none_or(|cut| frame.pts < cut) || self.last >= Some(frame.pts) {
            return;
        }
        let first = self.last.replace(frame.pts).is_none();
        if first {
            out.push(Report::Track(Track::clone(&track(Codec::H264, 200))));
        }
        out.push(Report::Frame(Self::made(frame.pts, first)));
    }

    fn made(pts: MediaTime, keyframe: bool) -> Frame {
        let slice: &[u8] = if keyframe { &[0x65, 0x88, b'W'] } else { &[0x41, 0x98, b'W'] };
        Frame { track: VIDEO, pts, dts: pts, keyframe, disposable: false, payload: nal::join([slice]) }
    }
}
