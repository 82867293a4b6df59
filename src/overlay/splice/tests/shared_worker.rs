//! A worker of several outputs without a codec, and the session that the server has with it.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use super::model::{Decoder, Failure, Pencil, lie};
use crate::av::worker::ipc::{FromWorker, MAX_OUTPUTS, OutputId, ToWorker};
use crate::media::{Frame, MediaTime, Track};
use crate::overlay::splice::Report;

/// How a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// How long it takes to start.
    pub start: Duration,
    /// How long a frame takes.
    pub cost: Duration,
    pub failure: Option<Failure>,
}

#[derive(Debug)]
pub struct SharedWorker {
    track: Track,
    health: Health,
    inbox: VecDeque<ToWorker>,
    /// When the next message of the inbox is worked off.
    pub busy_until: Option<Instant>,
    decoder: Decoder,
    outputs: Vec<Output>,
    /// All that ever were.
    opened: BTreeSet<OutputId>,
    /// The newest picture that has come out of the decoder.
    newest: Option<MediaTime>,
    /// Decoding time of the newest frame that it was told of.
    given: Option<MediaTime>,
    /// It was told that no frame follows.
    pub is_stopped: bool,
    is_over: bool,
}

#[derive(Debug)]
struct Output {
    id: OutputId,
    pencil: Pencil,
    /// The newest picture that cannot be given any more.
    let_go: Option<MediaTime>,
    /// The first moment that is not owed.
    before: Option<MediaTime>,
}

impl Output {
    fn is_done(&self, newest: Option<MediaTime>) -> bool {
        self.before.is_some_and(|before| self.pencil.cut.is_none() || newest >= Some(before))
    }
}

impl SharedWorker {
    pub fn new(track: &Track, depth: usize, health: Health, now: Instant) -> Self {
        Self {
            track: track.clone(),
            health,
            inbox: VecDeque::new(),
            busy_until: Some(now + health.start),
            decoder: Decoder::new(depth),
            outputs: Vec::new(),
            opened: BTreeSet::new(),
            newest: None,
            given: None,
            is_stopped: false,
            is_over: false,
        }
    }

    pub fn burns_into(&self, track: &Track) -> bool {
        self.track == *track
    }

    /// What is said to a session that is over gets nowhere, though its last reports may not have been read.
    pub fn tell(&mut self, message: ToWorker, now: Instant) -> bool {
        assert!(!self.is_stopped, "nothing is said after the end: {message:?}");
        match &message {
            ToWorker::Frame(frame) => {
                assert!(self.given < Some(frame.dts), "every frame is given once, in order");
                self.given = Some(frame.dts);
            }
            ToWorker::Stop { .. } => self.is_stopped = true,
            _ => {}
        }
        if self.is_over {
            return false;
        }
        self.inbox.push_back(message);
        self.busy_until.get_or_insert(now + self.health.cost);
        true
    }

    /// It does nothing for a while.
    pub fn hold_up(&mut self, time: Duration, now: Instant) {
        self.busy_until = Some(self.busy_until.map_or(now, |until| until.max(now)) + time);
    }

    /// It dies, which is noticed when it would have worked on.
    pub fn kill(&mut self, notice: Instant) {
        self.health.failure = Some(Failure::Dies(0));
        self.inbox.clear();
        self.inbox.push_back(ToWorker::Keyframe);
        self.busy_until = Some(notice);
    }

    /// Works off what comes next in the inbox: what it says, or that it is lost.
    pub fn work(&mut self, now: Instant) -> Vec<Option<FromWorker>> {
        let Some(message) = self.inbox.pop_front() else {
            self.busy_until = None;
            return Vec::new();
        };
        let is_work = matches!(message, ToWorker::Frame(_) | ToWorker::Keyframe);
        self.busy_until = Some(if is_work { now + self.health.cost } else { now });
        match self.health.failure {
            Some(Failure::Hangs(after)) if self.decoder.frames >= after => {
                self.busy_until = None;
                return Vec::new();
            }
            Some(Failure::Dies(after)) if is_work && self.decoder.frames >= after => {
                self.is_over = true;
                self.busy_until = None;
                return vec![None];
            }
            _ => {}
        }
        let mut out = Vec::new();
        match message {
            ToWorker::Track(track) => assert_eq!(track, self.track),
            ToWorker::Open { output } => self.open(output),
            ToWorker::Cancel { output, id, at } => {
                self.with(output, |output| output.pencil.cancel(id, at));
            }
            ToWorker::Overlay { output, overlay } => {
                self.with(output, |output| output.pencil.overlay(overlay.id, overlay.start, overlay.end));
            }
            ToWorker::Cut { output, pts, .. } => {
                let mut made = Vec::new();
                self.with(output, |output| {
                    assert!(output.let_go < Some(pts), "a cut is not before what is kept for the output");
                    output.pencil.cut(pts, &mut made);
                });
                self.say(output, made, &mut out);
            }
            ToWorker::StopOutput { output, before } => {
                self.with(output, |output| {
                    output.before = Some(output.before.map_or(before, |earlier| earlier.min(before)));
                });
                self.finish(&mut out);
            }
            ToWorker::CloseOutput { output } => {
                self.with(output, |_| ());
                self.outputs.retain(|open| open.id != output);
            }
            ToWorker::Frame(frame) => {
                let dts = frame.dts;
                for picture in self.decoder.decode(frame) {
                    self.take(picture, &mut out);
                }
                out.push(FromWorker::Progress { dts });
            }
            ToWorker::Stop { before } => {
                self.outputs.iter_mut().for_each(|output| output.before = output.before.or(Some(before)));
                for picture in self.decoder.drain() {
                    self.take(picture, &mut out);
                }
                let stopped = self.outputs.drain(..).map(|output| FromWorker::Stopped { output: output.id });
                out.extend(stopped);
                out.push(FromWorker::Ended);
                self.is_over = true;
            }
            other => panic!("no place in a burn-in: {other:?}"),
        }
        out.into_iter().map(Some).collect()
    }

    fn open(&mut self, id: OutputId) {
        assert!(self.outputs.len() < MAX_OUTPUTS);
        assert!(self.opened.insert(id), "an output is opened once");
        let pencil = Pencil::new(&self.track);
        self.outputs.push(Output { id, pencil, let_go: self.newest, before: None });
    }

    /// Does something with an output, if that is still open.
    fn with(&mut self, id: OutputId, act: impl FnOnce(&mut Output)) {
        assert!(self.opened.contains(&id), "an order for an output that was never opened");
        self.outputs.iter_mut().find(|output| output.id == id).map(act);
    }

    /// Every output gets every picture.
    fn take(&mut self, picture: Frame, out: &mut Vec<FromWorker>) {
        self.newest = self.newest.max(Some(picture.pts));
        let mut made = Vec::new();
        for output in &mut self.outputs {
            let mut reports = Vec::new();
            if output.before.is_none_or(|before| picture.pts < before) {
                let let_go = output.pencil.take(picture.clone(), &mut reports);
                output.let_go = output.let_go.max(let_go);
            }
            made.push((output.id, reports));
        }
        for (output, reports) in made {
            self.say(output, reports, out);
        }
        self.finish(out);
    }

    fn say(&self, output: OutputId, mut reports: Vec<Report>, out: &mut Vec<FromWorker>) {
        // It goes wrong in every other output.
        if matches!(self.health.failure, Some(Failure::Lies(after)) if self.decoder.frames > after)
            && output.0.is_multiple_of(2)
        {
            lie(&mut reports);
        }
        out.extend(reports.into_iter().filter_map(|report| match report {
            Report::Track(track) => Some(FromWorker::OutputTrack { output, track }),
            Report::Frame(frame) => Some(FromWorker::OutputFrame { output, frame }),
            _ => None,
        }));
    }

    /// Lets those outputs end that have come to their end.
    fn finish(&mut self, out: &mut Vec<FromWorker>) {
        let newest = self.newest;
        let done = self.outputs.extract_if(.., |output| output.is_done(newest));
        out.extend(done.map(|output| FromWorker::Stopped { output: output.id }));
    }
}
