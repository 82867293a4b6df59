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
    track: Track,
    inbox: VecDeque<Order>,
    /// When the next message of the inbox is worked off.
    pub busy_until: Option<Instant>,
    /// How long a frame takes.
    cost: Duration,
    /// How many pictures its decoder holds back.
    depth: usize,
    /// Pictures that are decoded and may not be given yet: an earlier one may come.
    reordering: BTreeMap<MediaTime, Frame>,
    /// Decoded pictures before the cut.
    retained: VecDeque<Frame>,
    overlays: BTreeMap<OverlayId, (MediaTime, MediaTime)>,
    cut: Option<MediaTime>,
    began: bool,
    last: Option<MediaTime>,
    frames: u64,
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
            track: track.clone(),
            inbox: VecDeque::new(),
            // The way to the worker.
            busy_until: Some(now + Duration::from_millis(1)),
            cost,
            depth,
            reordering: BTreeMap::new(),
            retained: VecDeque::new(),
            overlays: BTreeMap::new(),
            cut: None,
            began: false,
            last: None,
            frames: 0,
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
        if matches!(self.failure, Some(Failure::Hangs(after)) if self.frames >= after) {
            self.busy_until = None;
            return Vec::new();
        }
        let mut out = Vec::new();
        match order {
            Order::Frame(frame) => {
                self.frames += 1;
                if matches!(self.failure, Some(Failure::Dies(after)) if self.frames > after) {
                    self.over = true;
                    return vec![Report::Lost];
                }
                self.decode(frame.clone(), &mut out);
                out.push(Report::Progress { dts: frame.dts });
            }
            Order::Overlay { id, start, end } => {
                assert!(start < end);
                self.overlays.insert(id, (start, end));
                assert!(self.overlays.len() <= 8);
            }
            Order::Cancel { id, at } => {
                if let Some((_, end)) = self.overlays.get_mut(&id) {
                    *end = (*end).min(at);
                }
            }
            Order::Cut { pts, .. } => {
                assert_eq!(self.cut, None, "said once");
                self.cut = Some(pts);
                for picture in std::mem::take(&mut self.retained) {
                    self.give(picture, &mut out);
                }
            }
            Order::Stop { before } => {
                for (pts, picture) in std::mem::take(&mut self.reordering) {
                    if pts < before {
                        self.decoded(picture, &mut out);
                    }
                }
                self.over = true;
                out.push(Report::Ended);
            }
            Order::Start(_) | Order::Drop | Order::Abandon => unreachable!("the stage sees to that"),
        }
        if matches!(self.failure, Some(Failure::Lies(after)) if self.frames > after) {
            for report in &mut out {
                if let Report::Frame(frame) = report {
                    frame.pts += MediaTime::from_nanos(7);
                }
            }
        }
        out
    }

    fn decode(&mut self, frame: Frame, out: &mut Vec<Report>) {
        let unit = AccessUnit::inspect(&frame.payload).unwrap();
        if self.frames == 1 {
            assert!(frame.keyframe, "a decoder begins with a keyframe");
        }
        if unit.is_idr {
            for (_, picture) in std::mem::take(&mut self.reordering) {
                self.decoded(picture, out);
            }
        }
        self.reordering.insert(frame.pts, frame);
        while self.reordering.len() > self.depth {
            let (_, picture) = self.reordering.pop_first().unwrap();
            self.decoded(picture, out);
        }
    }

    /// A picture in display order.
    fn decoded(&mut self, picture: Frame, out: &mut Vec<Report>) {
        if self.cut.is_some() {
            return self.give(picture, out);
        }
        self.retained.push_back(picture);
        if self.retained.len() > RETAINED_PICTURES {
            self.retained.pop_front();
        }
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
