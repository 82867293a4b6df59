//! A worker without a codec: it does what the messages say, and takes its time.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::random::Random;
use super::source::VIDEO;
use crate::av::worker::ipc::{OverlayId, RETAINED_PICTURES};
use crate::codec::h264::AccessUnit;
use crate::codec::nal;
use crate::media::{Frame, MediaTime, Track};
use crate::overlay::splice::{Order, Report};

/// How a worker fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It dies after so many frames.
    Dies(u64),
    /// It says nothing any more after so many frames.
    Hangs(u64),
    /// It gives something else than was asked for after so many frames.
    Lies(u64),
}

#[derive(Debug)]
pub struct Model {
    inbox: VecDeque<Order>,
    /// When the next message of the inbox is worked off.
    pub busy_until: Option<Instant>,
    /// How long a frame takes.
    cost: Duration,
    decoder: Decoder,
    pencil: Pencil,
    failure: Option<Failure>,
    pub over: bool,
}

impl Model {
    pub fn new(
        track: &Track,
        depth: usize,
        failure: Option<Failure>,
        now: Instant,
        random: &mut Random,
    ) -> Self {
        let cost = Duration::from_micros(200 + random.below(2_800));
        Self {
            inbox: VecDeque::new(),
            // The way to the worker.
            busy_until: Some(now + Duration::from_millis(1)),
            cost,
            decoder: Decoder::new(depth),
            pencil: Pencil::new(track),
            failure,
            over: false,
        }
    }

    pub fn order(&mut self, order: Order, now: Instant) {
        self.inbox.push_back(order);
        if self.busy_until.is_none() {
            self.busy_until = Some(now + self.cost);
        }
    }

    /// Works off what comes next in the inbox.
    pub fn work(&mut self, now: Instant) -> Vec<Report> {
        let Some(order) = self.inbox.pop_front() else {
            self.busy_until = None;
            return Vec::new();
        };
        let takes = if matches!(order, Order::Frame(_)) { self.cost } else { Duration::ZERO };
        self.busy_until = Some(now + takes);
        if matches!(self.failure, Some(Failure::Hangs(after)) if self.decoder.frames >= after) {
            self.busy_until = None;
            return Vec::new();
        }
        let mut out = Vec::new();
        match order {
            Order::Frame(frame) => {
                if matches!(self.failure, Some(Failure::Dies(after)) if self.decoder.frames >= after) {
                    self.over = true;
                    return vec![Report::Lost];
                }
                let dts = frame.dts;
                for picture in self.decoder.decode(frame) {
                    self.pencil.take(picture, &mut out);
                }
                out.push(Report::Progress { dts });
            }
            Order::Overlay { id, start, end } => self.pencil.overlay(id, start, end),
            Order::Cancel { id, at } => self.pencil.cancel(id, at),
            Order::Cut { pts, .. } => self.pencil.cut(pts, &mut out),
            Order::Stop { before } => {
                for picture in self.decoder.drain().into_iter().filter(|picture| picture.pts < before) {
                    self.pencil.take(picture, &mut out);
                }
                self.over = true;
                out.push(Report::Ended);
            }
            Order::Start(_) | Order::Drop | Order::Abandon => unreachable!("the stage sees to that"),
        }
        if matches!(self.failure, Some(Failure::Lies(after)) if self.decoder.frames > after) {
            lie(&mut out);
        }
        out
    }
}

/// Makes frames of these something else than was asked for.
pub fn lie(reports: &mut [Report]) {
    for report in reports {
        if let Report::Frame(frame) = report {
            frame.pts += MediaTime::from_nanos(7);
        }
    }
}

/// Gives pictures in the order of display.
#[derive(Debug)]
pub struct Decoder {
    /// How many pictures it holds back.
    depth: usize,
    /// Pictures that may not be given yet: an earlier one may come.
    reordering: BTreeMap<MediaTime, Frame>,
    /// How many it was given.
    pub frames: u64,
}

impl Decoder {
    pub const fn new(depth: usize) -> Self {
        Self { depth, reordering: BTreeMap::new(), frames: 0 }
    }

    pub fn decode(&mut self, frame: Frame) -> Vec<Frame> {
        self.frames += 1;
        let unit = AccessUnit::inspect(&frame.payload).unwrap();
        if self.frames == 1 {
            assert!(frame.keyframe, "a decoder begins with a keyframe");
        }
        let mut pictures = if unit.is_idr { self.drain() } else { Vec::new() };
        self.reordering.insert(frame.pts, frame);
        while self.reordering.len() > self.depth {
            pictures.extend(self.reordering.pop_first().map(|(_, picture)| picture));
        }
        pictures
    }

    /// What it holds: nothing follows.
    pub fn drain(&mut self) -> Vec<Frame> {
        std::mem::take(&mut self.reordering).into_values().collect()
    }
}

/// Makes frames of decoded pictures, from the cut on.
#[derive(Debug)]
pub struct Pencil {
    track: Track,
    /// Decoded pictures before the cut.
    retained: VecDeque<Frame>,
    overlays: BTreeMap<OverlayId, (MediaTime, MediaTime)>,
    pub cut: Option<MediaTime>,
    began: bool,
    last: Option<MediaTime>,
}

impl Pencil {
    pub fn new(track: &Track) -> Self {
        Self {
            track: track.clone(),
            retained: VecDeque::new(),
            overlays: BTreeMap::new(),
            cut: None,
            began: false,
            last: None,
        }
    }

    pub fn overlay(&mut self, id: OverlayId, start: MediaTime, end: MediaTime) {
        assert!(start < end);
        self.overlays.insert(id, (start, end));
        assert!(self.overlays.len() <= 8);
    }

    pub fn cancel(&mut self, id: OverlayId, at: MediaTime) {
        if let Some((_, end)) = self.overlays.get_mut(&id) {
            *end = (*end).min(at);
        }
    }

    pub fn cut(&mut self, pts: MediaTime, out: &mut Vec<Report>) {
        assert_eq!(self.cut, None, "said once");
        self.cut = Some(pts);
        for picture in std::mem::take(&mut self.retained) {
            self.give(picture, out);
        }
    }

    /// Takes the next picture in display order. Gives the time of one that it lets go.
    pub fn take(&mut self, picture: Frame, out: &mut Vec<Report>) -> Option<MediaTime> {
        if self.cut.is_some() {
            self.give(picture, out);
            return None;
        }
        self.retained.push_back(picture);
        if self.retained.len() > RETAINED_PICTURES {
            return self.retained.pop_front().map(|picture| picture.pts);
        }
        None
    }

    fn give(&mut self, picture: Frame, out: &mut Vec<Report>) {
        let Some(cut) = self.cut.filter(|cut| picture.pts >= *cut) else { return };
        assert!(self.last < Some(picture.pts), "a decoder's pictures are in order");
        self.last = Some(picture.pts);
        let keyframe = !self.began;
        if keyframe {
            self.began = true;
            let config = Bytes::from_static(b"worker");
            out.push(Report::Track(Track { config, ..self.track.clone() }));
        }
        let drawn: Vec<String> = self
            .overlays
            .iter()
            .filter(|(_, (start, end))| (*start..*end).contains(&picture.pts))
            .map(|(id, _)| id.0.to_string())
            .collect();
        let header: &[u8] = if keyframe { &[0x65, 0x88, b'W'] } else { &[0x41, 0x98, b'W'] };
        let text = format!("{}/{}", number_of(&picture.payload), drawn.join(","));
        let payload = nal::join([&[header, text.as_bytes()].concat()[..]]);
        let dts = cut - MediaTime::from_nanos(1_000_000_000);
        out.push(Report::Frame(Frame {
            track: VIDEO,
            pts: picture.pts,
            dts,
            keyframe,
            disposable: false,
            payload,
        }));
    }
}

/// What a picture of the programme is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub number: usize,
    pub by_worker: bool,
    pub is_idr: bool,
    pub drawn: Vec<u64>,
}

/// Reads a payload of the source or of the model.
pub fn read(payload: &Bytes) -> Picture {
    let text = String::from_utf8(payload[7..].to_vec()).unwrap();
    let (number, drawn) = text.split_once('/').unwrap_or((&text, ""));
    Picture {
        number: number.parse().unwrap(),
        by_worker: payload[6] == b'W',
        is_idr: payload[4] == 0x65,
        drawn: drawn.split(',').filter(|id| !id.is_empty()).map(|id| id.parse().unwrap()).collect(),
    }
}

fn number_of(payload: &Bytes) -> usize {
    read(payload).number
}
