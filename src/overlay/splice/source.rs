//! The source's side of a splice: what becomes of its items.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use super::cut::{first_candidate, first_shown};
use super::message::{Order, Why};
use super::window::Window;
use super::worker::Splice;
use super::{LEAD, Output, Splicer, State};
use crate::codec::h264::AccessUnit;
use crate::hub::{Item, Tracks};
use crate::media::{Codec, Frame, Kind, MediaTime, Track, TrackId};

/// Where a frame that is later than all before it may turn out to be no cut, the hand-over begins so long before the slot.
const UNEVEN_LEAD: MediaTime = MediaTime::from_millis(500);

/// A hand-over to the worker that is not sure yet.
#[derive(Debug)]
pub(super) struct Enter {
    /// Source frames from the cut on, as far as is known; never empty.
    held: Vec<Frame>,
    /// All before the cut are shown up to here.
    bound: MediaTime,
    /// The presentation time that the worker was told, once no frame can come before it.
    pub cut: Option<MediaTime>,
    pub since: Instant,
}

impl Enter {
    /// Whether the worker was told.
    pub const fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// The source frames in place of which the worker's are shown.
    pub fn held(&self) -> &[Frame] {
        &self.held
    }

    /// Frames and bytes that are kept.
    fn size(&self) -> (usize, usize) {
        (self.held.len(), self.held.iter().map(|frame| frame.payload.len()).sum())
    }
}

/// A hand-over to the source.
#[derive(Debug)]
pub(super) struct Leave {
    pub splice: Splice,
    /// Source items that wait for the worker's last frames.
    pub held: VecDeque<Item>,
    bytes: usize,
    /// All items are kept, as one of them is more than a picture.
    sealed: bool,
    /// What is shown before this moment is the worker's, as far as it is known where the source goes on.
    before: Option<MediaTime>,
    pub since: Instant,
}

impl Leave {
    fn keeps(&self, item: &Item, video: Option<TrackId>) -> bool {
        match item {
            Item::Frame(frame) => self.sealed || Some(frame.track) == video,
            Item::Track(track) => self.sealed || track.kind() == Kind::Video,
            Item::Lagged(_) | Item::Interrupted | Item::Ended => true,
            Item::Cue(_) => self.sealed,
        }
    }

    fn keep(&mut self, item: Item) {
        match &item {
            Item::Frame(frame) => self.bytes += frame.payload.len(),
            _ => self.sealed = true,
        }
        self.held.push_back(item);
    }
}

impl Splicer {
    /// Takes an item of the source that is in the programme already: those since the newest keyframe.
    pub fn recall(&mut self, item: &Item) {
        match item {
            Item::Track(track) => {
                self.tracks.set(Arc::clone(track));
                let video = picture_of(&self.tracks);
                if video != self.video {
                    self.memory.clear();
                }
                self.video = video;
                self.shown_track.clone_from(&self.video);
            }
            Item::Frame(frame) if self.is_picture(frame) => {
                self.remember(frame);
                self.decoded = Some(frame.dts);
                self.shown = self.shown.max(Some(frame.pts));
            }
            _ => {}
        }
    }

    /// Takes the next item of the source.
    pub fn source(&mut self, item: Item, now: Instant) {
        if let State::Leave(leave) = &mut self.state
            && leave.keeps(&item, self.video.as_ref().map(|track| track.id))
        {
            leave.keep(item);
            if leave.held.len() > self.limits.held_frames || leave.bytes > self.limits.held_bytes {
                self.hand_back(now);
            }
            return;
        }
        match item {
            Item::Frame(frame) if self.is_picture(&frame) => self.picture(frame, now),
            Item::Track(track) => self.track(track, now),
            Item::Lagged(_) | Item::Interrupted => self.interruption(item, now),
            Item::Ended => self.end(now),
            Item::Frame(_) | Item::Cue(_) => self.route(item),
        }
    }

    fn is_picture(&self, frame: &Frame) -> bool {
        self.video.as_ref().is_some_and(|track| track.id == frame.track)
    }

    /// Keeps what workers may need of a picture.
    fn remember(&mut self, frame: &Frame) {
        self.order.add(frame.dts, frame.pts);
        self.memory.push(frame.clone());
        match &self.state {
            State::Splice(splice) => self.memory.forget_until(splice.last),
            _ => self.memory.forget_shown(),
        }
    }

    fn picture(&mut self, frame: Frame, now: Instant) {
        let (before, advances) = (self.order.newest(), self.order.advances(frame.pts));
        if let State::Splice(splice) = &self.state
            && advances
            && is_closed(&frame)
        {
            if splice.is_fresh() {
                // Whoever takes over the splice has not begun: the source is faster.
                self.state = State::Await;
                self.drop_worker();
            } else if !self.is_wanted(frame.pts) {
                return self.leave(Some(frame.pts), Item::Frame(frame), now);
            }
        }
        self.remember(&frame);
        if !matches!(self.state, State::Splice(_) | State::Enter(_)) {
            self.close_past(frame.dts, Window::missed);
            self.stand_down();
        }
        if self.worker.is_some() {
            self.feed(frame.clone(), now);
        }
        match &mut self.state {
            State::Pass => {
                self.pass(frame);
                self.begin(now);
            }
            State::Prime => match before.filter(|_| advances && self.may_enter(&frame)) {
                Some(bound) => {
                    self.state = State::Enter(Enter { held: vec![frame], bound, cut: None, since: now });
                    self.find_cut();
                }
                None => self.pass(frame),
            },
            State::Enter(enter) => {
                let disproved = enter.cut.is_none() && frame.pts <= enter.bound;
                enter.held.push(frame);
                let (frames, bytes) = enter.size();
                if frames > self.limits.held_frames || bytes > self.limits.held_bytes {
                    return self.give_up();
                }
                if disproved {
                    self.move_cut();
                }
                self.find_cut();
            }
            State::Splice(splice) => {
                splice.owed.add(frame.pts);
                if splice.owed.len() > self.limits.held_frames {
                    return self.lost(now);
                }
                if !self.is_wanted(frame.pts) {
                    self.request_keyframe();
                }
                self.tell_overlays();
            }
            // Without a splice, keyframes do not go back in time.
            State::Await if frame.keyframe && (is_closed(&frame) || Some(frame.pts) > self.shown) => {
                self.skip_before = (!is_closed(&frame)).then_some(frame.pts);
                self.state = State::Pass;
                self.pass(frame);
                self.begin(now);
            }
            State::Await => self.request_keyframe(),
            State::Leave(_) => {}
        }
    }

    /// Lets a picture of the source through.
    fn pass(&mut self, frame: Frame) {
        if let Some(skip) = self.skip_before {
            if frame.pts < skip {
                return;
            }
            if frame.keyframe && frame.pts > skip {
                self.skip_before = None;
            }
        }
        if let Some(track) = self.video.clone() {
            self.show_track(&track);
        }
        self.route_picture(frame);
    }

    /// Whether source frames may be kept from this one on, which is later than all before it.
    fn may_enter(&self, frame: &Frame) -> bool {
        let Some(worker) = &self.worker else { return false };
        let lead = if self.order.is_uneven() { UNEVEN_LEAD } else { MediaTime::ZERO };
        let mut due = self.windows.iter().filter(|window| window.is_due(frame.pts + lead));
        match worker.has_caught_up() {
            true => due.next().is_some(),
            // One that begins as soon as it can, can wait.
            false => worker.is_near(frame.dts) && due.any(|window| window.start.is_some()),
        }
    }

    /// Another frame than the first that is kept may be the cut: those before it go through.
    fn move_cut(&mut self) {
        let State::Enter(enter) = &mut self.state else { return };
        let released = match first_candidate(&enter.held, enter.bound) {
            Some((index, bound)) => {
                enter.bound = bound;
                enter.held.drain(..index).collect()
            }
            None => {
                let all = mem::take(&mut enter.held);
                self.state = State::Prime;
                all
            }
        };
        released.into_iter().for_each(|frame| self.pass(frame));
    }

    /// Tells the worker the cut, once it is sure.
    fn find_cut(&mut self) {
        let promised = self.video.as_ref().and_then(|track| track.video()?.reorder_depth);
        let depth = promised.filter(|depth| *depth > 0 || !self.order.is_reordered());
        let State::Enter(enter) = &mut self.state else { return };
        if enter.cut.is_some() {
            return;
        }
        let (Some(first), Some(pts)) = (enter.held.first(), first_shown(enter.held.iter(), depth)) else {
            return;
        };
        let dts = first.dts;
        enter.cut = Some(pts);
        self.settle_starts(pts);
        self.tell_overlays();
        self.outputs.push_back(Output::Worker(Order::Cut { dts, pts }));
    }

    /// The source frames that were kept go through: nothing has happened.
    pub(super) fn release(&mut self) {
        if !matches!(self.state, State::Enter(_)) {
            return;
        }
        let State::Enter(enter) = mem::replace(&mut self.state, State::Prime) else { return };
        self.windows.iter_mut().for_each(Window::unsettle);
        enter.held.into_iter().for_each(|frame| self.pass(frame));
    }

    /// The worker is too late: the slots that waited for it are given up.
    pub(super) fn give_up(&mut self) {
        self.release();
        self.drop_worker();
        self.state = State::Pass;
        let now = self.order.newest().unwrap_or_default();
        while let Some(index) = self.windows.iter().position(|window| window.is_due(now + LEAD)) {
            self.close(index, |window| window.closed(Why::Late));
        }
    }

    /// Lets the worker go that gets ready for a slot that is no more.
    pub(super) fn stand_down(&mut self) {
        let shown = match &self.state {
            State::Prime => self.order.reached(),
            State::Enter(enter) => enter.bound,
            _ => return,
        };
        if !self.is_wanted(shown) {
            self.release();
            self.drop_worker();
            self.state = State::Pass;
            self.losses = 0;
        }
    }

    /// From here on source items are kept; only what is shown before `before` is still wanted of the worker.
    fn leave(&mut self, before: Option<MediaTime>, first: Item, now: Instant) {
        let State::Splice(splice) = mem::replace(&mut self.state, State::Await) else { return };
        let mut leave = Leave { splice, held: VecDeque::new(), bytes: 0, sealed: false, before, since: now };
        leave.keep(first);
        let done = leave.splice.owed.is_empty();
        let before = before.unwrap_or(MediaTime::MAX);
        self.outputs.push_back(Output::Worker(Order::Stop { before }));
        self.state = State::Leave(leave);
        if done {
            self.hand_back(now);
        }
    }

    /// The worker has given its last frame, or is not waited for any more: the source items that were kept follow.
    pub(super) fn hand_back(&mut self, now: Instant) {
        let State::Leave(leave) = mem::replace(&mut self.state, State::Await) else { return };
        self.drop_worker();
        self.losses = 0;
        if let Some(before) = leave.before.filter(|_| leave.splice.owed.is_empty()) {
            self.close_past(before, Window::completed);
        }
        for item in leave.held {
            self.source(item, now);
        }
    }

    fn track(&mut self, track: Arc<Track>, now: Instant) {
        let mut tracks = self.tracks.clone();
        tracks.set(Arc::clone(&track));
        let video = picture_of(&tracks);
        if video == self.video {
            self.tracks = tracks;
            if self.video.as_ref() == Some(&track) {
                self.shown_track = None;
                return self.show_track(&track);
            }
            return self.route(Item::Track(track));
        }
        self.obstruct(Why::SourceChanged);
        if matches!(self.state, State::Splice(_)) {
            return self.leave(None, Item::Track(track), now);
        }
        self.start_over();
        self.tracks = tracks;
        self.video = video;
        if matches!(self.state, State::Pass)
            && let Some(video) = self.video.clone().filter(|video| *video == track)
        {
            return self.show_track(&video);
        }
        if self.video.as_ref() != Some(&track) {
            self.route(Item::Track(track));
        }
    }

    /// The publisher went away, or something was missed.
    fn interruption(&mut self, item: Item, now: Instant) {
        self.obstruct(Why::Interrupted);
        if matches!(self.state, State::Splice(_)) {
            return self.leave(None, item, now);
        }
        self.start_over();
        self.route(item);
    }

    fn end(&mut self, now: Instant) {
        if matches!(self.state, State::Splice(_)) {
            return self.leave(None, Item::Ended, now);
        }
        self.start_over();
        while !self.windows.is_empty() {
            self.close(0, |window| window.closed(Why::BroadcastEnded));
        }
        self.route(Item::Ended);
    }

    /// What was before is of no use to a worker.
    fn start_over(&mut self) {
        self.release();
        self.drop_worker();
        self.memory.clear();
        if matches!(self.state, State::Prime) {
            self.state = State::Pass;
        }
    }
}

/// The picture that viewers get, if there is one that can be drawn on.
fn picture_of(tracks: &Tracks) -> Option<Arc<Track>> {
    let lead = tracks.lead()?;
    tracks.as_slice().iter().find(|track| track.id == lead && track.kind() == Kind::Video).cloned()
}

/// Nothing from this frame on refers to anything before it.
fn is_closed(frame: &Frame) -> bool {
    frame.keyframe && AccessUnit::inspect(&frame.payload).is_ok_and(|unit| unit.is_idr)
}

/// Whether a track can be drawn on.
pub(super) fn is_drawable(track: &Track) -> bool {
    track.codec == Codec::H264
}
