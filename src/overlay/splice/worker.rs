//! The worker's side of a splice: what it is told, and what becomes of what it gives.

use std::collections::{BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::message::{Order, Report, SlotEvent, Why};
use super::source::{Enter, Leave, is_drawable};
use super::window::Window;
use super::{LEAD, Limits, NEXT, Output, Splicer, State};
use crate::codec::h264::AccessUnit;
use crate::media::{Codec, Frame, MediaTime, Track};

/// Frames that are on their way to a worker and back at any time.
const CAUGHT_UP: usize = 4;
/// A worker that had caught up may be so far behind where a slot begins that has its time: viewers wait for so long, and the
/// overlay is on the frame that was asked for.
const NEARLY: MediaTime = MediaTime::from_millis(500);

/// A worker that was started.
#[derive(Debug)]
pub(super) struct Worker {
    /// Decoding times of the frames that it has not worked off, oldest first.
    before: VecDeque<MediaTime>,
    /// How its frames are coded.
    track: Option<Arc<Track>>,
    /// It has worked off a frame.
    works: bool,
    /// It had caught up.
    was_ready: bool,
    /// When it was heard of last, or got work after it had none.
    heard: Instant,
}

impl Worker {
    const fn new(now: Instant) -> Self {
        Self { before: VecDeque::new(), track: None, works: false, was_ready: false, heard: now }
    }

    /// Whether it has no more frames before it than are on their way at any time.
    pub fn has_caught_up(&self) -> bool {
        self.works && self.before.len() <= CAUGHT_UP
    }

    /// Whether it had caught up and is not far behind the frame of this decoding time.
    pub fn is_near(&self, dts: MediaTime) -> bool {
        self.was_ready && self.before.front().is_none_or(|before| dts - *before <= NEARLY)
    }

    /// When it is given up if nothing is heard of it: as long as it has work, and as long as its end is waited for.
    pub fn stalls_at(&self, limits: &Limits, leave: Option<&Leave>) -> Option<Instant> {
        if let Some(leave) = leave {
            return Some(self.heard.max(leave.since) + limits.stall);
        }
        let patience = if self.works { limits.stall } else { limits.start };
        (!self.before.is_empty()).then(|| self.heard + patience)
    }
}

/// The programme is the worker's.
#[derive(Debug)]
pub(super) struct Splice {
    /// From presentation to decoding time: the source's reorder delay.
    shift: MediaTime,
    /// Source pictures that were not shown yet.
    pub owed: Owed,
    /// The latest that was.
    pub last: MediaTime,
    /// The worker is a new one, and its first frame must be one to begin with.
    fresh: bool,
}

/// Presentation times of pictures that are still to be shown; broken sources have several of the same time.
#[derive(Debug, Default)]
pub(super) struct Owed {
    times: BTreeSet<(MediaTime, u64)>,
    added: u64,
}

impl Owed {
    pub fn add(&mut self, pts: MediaTime) {
        self.times.insert((pts, self.added));
        self.added += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    pub fn len(&self) -> usize {
        self.times.len()
    }

    fn contains(&self, pts: MediaTime) -> bool {
        self.first_at(pts).is_some()
    }

    /// A picture of this time was shown: it is not owed any more, nor are those before it.
    fn settle(&mut self, pts: MediaTime) {
        let after = self.first_at(pts).map_or((pts + NEXT, 0), |(pts, number)| (pts, number + 1));
        self.times = self.times.split_off(&after);
    }

    fn first_at(&self, pts: MediaTime) -> Option<(MediaTime, u64)> {
        self.times.range((pts, 0)..=(pts, u64::MAX)).next().copied()
    }
}

impl Splice {
    /// Whether a new worker is waited for, in place of one that was lost.
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }
}

impl Splicer {
    /// Takes what has become of the worker that was started last.
    pub fn report(&mut self, report: Report, now: Instant) {
        let Some(worker) = &mut self.worker else { return };
        worker.heard = now;
        match report {
            Report::Track(track) => match self.video.as_deref().filter(|_| track.codec == Codec::H264) {
                // Only the parameter sets are the worker's: what viewers have made up their minds by stays as it is.
                Some(video) => worker.track = Some(Arc::new(Track { config: track.config, ..video.clone() })),
                None => self.lost(now),
            },
            Report::Frame(frame) => self.made(frame, now),
            Report::Progress { dts } => {
                worker.works = true;
                while worker.before.front().is_some_and(|before| *before <= dts) {
                    worker.before.pop_front();
                }
                if worker.has_caught_up() {
                    worker.was_ready = true;
                    self.ready();
                }
            }
            Report::Ended if matches!(self.state, State::Leave(_)) => self.hand_back(now),
            Report::Ended | Report::Lost => self.lost(now),
        }
    }

    /// Starts a worker if a slot is due and there is something to begin with.
    pub(super) fn begin(&mut self, now: Instant) {
        if !matches!(self.state, State::Pass) || !self.is_wanted(self.order.reached()) {
            return;
        }
        if self.memory.is_empty() {
            return self.request_keyframe();
        }
        if self.start_worker(None, now) {
            self.state = State::Prime;
        }
    }

    /// Gives a new worker what it needs to take part; `false` when nobody can draw on this source.
    fn start_worker(&mut self, cut: Option<Order>, now: Instant) -> bool {
        let Some(track) = self.video.clone().filter(|track| is_drawable(track)) else { return false };
        self.worker = Some(Worker::new(now));
        self.windows.iter_mut().for_each(|window| window.told = false);
        self.outputs.push_back(Output::Worker(Order::Start(track)));
        self.tell_overlays();
        self.outputs.extend(cut.map(Output::Worker));
        let frames: Vec<Frame> = self.memory.frames().cloned().collect();
        frames.into_iter().for_each(|frame| self.feed(frame, now));
        true
    }

    pub(super) fn feed(&mut self, frame: Frame, now: Instant) {
        let Some(worker) = &mut self.worker else { return };
        if worker.before.is_empty() {
            worker.heard = now;
        }
        worker.before.push_back(frame.dts);
        self.outputs.push_back(Output::Worker(Order::Frame(frame)));
    }

    pub(super) fn drop_worker(&mut self) {
        if self.worker.take().is_some() {
            self.outputs.push_back(Output::Worker(Order::Drop));
        }
    }

    fn abandon_worker(&mut self) {
        if self.worker.take().is_some() {
            self.outputs.push_back(Output::Worker(Order::Abandon));
        }
    }

    /// The worker has caught up.
    fn ready(&mut self) {
        let by = self.order.newest().unwrap_or_default() + LEAD;
        for window in self.windows.iter_mut().filter(|window| window.is_due(by)) {
            if window.make_ready() {
                self.outputs.push_back(Output::Slot(window.id, SlotEvent::Ready));
            }
        }
    }

    /// The worker has made a frame.
    fn made(&mut self, frame: Frame, now: Instant) {
        let sound = AccessUnit::inspect(&frame.payload)
            .is_ok_and(|unit| unit.has_picture && unit.is_idr == frame.keyframe);
        let track = self.worker.as_ref().and_then(|worker| worker.track.clone());
        let Some(track) = track.filter(|_| sound) else { return self.lost(now) };
        let expected = match &self.state {
            State::Enter(Enter { cut: Some(cut), .. }) => frame.keyframe && frame.pts == *cut,
            State::Splice(splice) => splice.owed.contains(frame.pts) && (frame.keyframe || !splice.fresh),
            // What it gives beyond what it was told to stop at.
            State::Leave(leave) if !leave.splice.owed.contains(frame.pts) => return,
            State::Leave(leave) => frame.keyframe || !leave.splice.fresh,
            _ => false,
        };
        if !expected {
            return self.lost(now);
        }
        match mem::replace(&mut self.state, State::Await) {
            State::Enter(enter) => {
                self.delay = now.saturating_duration_since(enter.since);
                let mut splice = Splice::begin(enter.held(), frame.pts);
                let frame = splice.take(frame);
                self.memory.forget_until(splice.last);
                self.state = State::Splice(splice);
                self.show_made(&track, frame);
            }
            State::Splice(mut splice) => {
                let frame = splice.take(frame);
                self.memory.forget_until(splice.last);
                self.state = State::Splice(splice);
                self.show_made(&track, frame);
            }
            State::Leave(mut leave) => {
                let frame = leave.splice.take(frame);
                let done = leave.splice.owed.is_empty();
                self.state = State::Leave(leave);
                self.show_made(&track, frame);
                if done {
                    self.hand_back(now);
                }
            }
            other => self.state = other,
        }
    }

    /// Sends a picture of the worker.
    fn show_made(&mut self, track: &Arc<Track>, mut frame: Frame) {
        frame.track = track.id;
        let pts = frame.pts;
        self.show_track(track);
        self.route_picture(frame);
        for window in &mut self.windows {
            if window.show(pts) {
                let event = SlotEvent::Began { first_pts: pts, delay: self.delay };
                self.outputs.push_back(Output::Slot(window.id, event));
            }
        }
        if self.windows.iter().any(|window| window.is_past(pts)) {
            // Workers work, after all.
            self.losses = 0;
        }
        self.close_past(pts, Window::completed);
    }

    /// The worker is lost: another takes its place if it can.
    pub(super) fn lost(&mut self, now: Instant) {
        self.abandon_worker();
        self.losses += 1;
        self.obstruct(Why::WorkerLost);
        match mem::replace(&mut self.state, State::Pass) {
            State::Prime => {}
            State::Enter(enter) => {
                self.state = State::Enter(enter);
                self.release();
                self.state = State::Pass;
            }
            State::Splice(splice) => return self.take_over(splice, now),
            State::Leave(leave) => {
                self.state = State::Leave(leave);
                return self.hand_back(now);
            }
            other => self.state = other,
        }
        self.go_on(now);
    }

    /// Another worker goes on where the last one stopped.
    fn take_over(&mut self, mut splice: Splice, now: Instant) {
        self.request_keyframe();
        let pts = splice.last + NEXT;
        let cut = Order::Cut { dts: pts - splice.shift, pts };
        // A new one would be as far behind as the one that was lost, and lost with the next frame.
        let is_near = splice.owed.len() <= self.limits.held_frames;
        let can = is_near && self.losses <= self.limits.losses && !self.memory.is_empty();
        self.state = State::Await;
        if can && self.start_worker(Some(cut), now) {
            splice.fresh = true;
            self.state = State::Splice(splice);
        }
    }

    /// Tries again, while it makes sense.
    fn go_on(&mut self, now: Instant) {
        if self.losses <= self.limits.losses {
            return self.begin(now);
        }
        let newest = self.order.newest().unwrap_or_default();
        while let Some(index) = self.windows.iter().position(|window| window.is_due(newest + LEAD)) {
            self.close(index, |window| window.closed(Why::WorkerLost));
        }
        self.losses = 0;
    }
}

impl Splice {
    /// In place of these source frames, of which the one at `pts` is shown first. Its decoding time is that of the cut.
    fn begin(held: &[Frame], pts: MediaTime) -> Self {
        let dts = held.first().map_or(pts, |first| first.dts);
        let mut owed = Owed::default();
        held.iter().for_each(|held| owed.add(held.pts));
        Self { shift: (pts - dts).max(MediaTime::ZERO), owed, last: pts, fresh: false }
    }

    /// Takes a frame for the pictures up to it; those that the worker could not make are not waited for.
    fn take(&mut self, mut frame: Frame) -> Frame {
        self.owed.settle(frame.pts);
        self.last = frame.pts;
        self.fresh = false;
        frame.dts = frame.pts - self.shift;
        frame
    }
}
