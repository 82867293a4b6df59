//! The splice: from the source to a worker's frames and back, on any frame, in both directions.
//!
//! A [`Splicer`] is pure. It hears the items of the source and what becomes of a worker, and says which item comes next in the
//! programme and what the worker is to do:
//!
//! ```text
//! Pass   source frames go through.
//! Prime  a worker was given the frames since the last keyframe and catches up; source frames still go through.
//!        Then they are kept from a cut on: a frame such that all before it, in decoding order, are shown before all from
//!        it on. If the worker fails, or is late, those that were kept go through, and nothing has happened.
//! Draw   the worker's frames from the cut on, the first a keyframe, with dts = pts − D, D being the source's reorder delay.
//! Drain  the same, undrawn, until the source has a keyframe that closes what was before it (IDR): source frames are kept
//!        from there on until the worker has given what comes before them, then they go through.
//! ```
//!
//! Media time is never changed. The programme is late by the worker's delay while it is spliced: that is taken once, in front of
//! the first frame of the worker, and given back at the end. Sound is not touched and not held.
//!
//! An open GOP is no way back, though its first picture may be decoded alone: a decoder that has the worker's frames behind it
//! would take the source's numbering of pictures for a continuation of the worker's (ffmpeg loses up to two seconds of
//! pictures). A stream without another IDR picture stays with the worker. Only when the worker is lost, an open GOP is
//! better than nothing; its leading pictures, which nobody could decode, are left out.

mod cut;
mod memory;
mod message;
mod source;
mod window;
mod worker;

#[cfg(test)]
mod tests;

pub use message::{Order, Output, Report, Shown, SlotEvent, Why};
pub use window::Ask;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::av::worker::ipc::OverlayId;
use crate::hub::{Item, Tracks};
use crate::media::{Frame, MediaTime, Track};

use cut::DisplayOrder;
use memory::Memory;
use source::{Enter, Leave};
use window::Window;
use worker::{Splice, Worker};

/// A worker is started so long before a slot, and kept as long between two: time to start a process and to decode a GOP.
pub const LEAD: MediaTime = MediaTime::from_millis(3000);
/// The least that is later than a moment.
const NEXT: MediaTime = MediaTime::from_nanos(1);

/// What a splicer may use.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of source frames that are kept for a hand-over.
    pub held_bytes: usize,
    /// How many they may be. Also, how many frames a worker may be behind.
    pub held_frames: usize,
    /// How long a hand-over may take: so long, at most, viewers see nothing new.
    pub held_time: Duration,
    /// Bytes of a GOP that is remembered for workers.
    pub memory_bytes: usize,
    /// How many frames it may have.
    pub memory_frames: usize,
    /// A worker that has work is lost when it says nothing for so long.
    pub stall: Duration,
    /// The same for one that was just started.
    pub start: Duration,
    /// A slot that is to begin as soon as possible is given up after so long.
    pub patience: Duration,
    /// So many workers may be lost before one brings a slot to its end.
    pub losses: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            held_bytes: 32 << 20,
            held_frames: 600,
            held_time: Duration::from_secs(2),
            memory_bytes: 32 << 20,
            memory_frames: 20_000,
            stall: Duration::from_millis(700),
            start: Duration::from_secs(3),
            patience: Duration::from_secs(15),
            losses: 3,
        }
    }
}

/// Where a splicer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The programme is the source.
    Pass,
    /// The programme is the source, and a worker gets ready.
    Prime,
    /// The programme is the worker's, and a slot is on, or will be before it could be handed back.
    Draw,
    /// The programme is the worker's until it can be the source again.
    Drain,
}

/// Makes a programme of a source: see the [module](self).
#[derive(Debug)]
pub struct Splicer {
    limits: Limits,
    tracks: Tracks,
    /// The picture that is drawn on, if it can be: the leading one.
    video: Option<Arc<Track>>,
    /// What the programme's viewers were told last of its picture.
    shown_track: Option<Arc<Track>>,
    /// Decoding time of the programme's newest picture.
    decoded: Option<MediaTime>,
    /// The latest presentation time of the programme.
    shown: Option<MediaTime>,
    /// The order of the source's pictures.
    order: DisplayOrder,
    memory: Memory,
    windows: Vec<Window>,
    /// A slot that begins as soon as possible may be asked for until then.
    expected: Option<Instant>,
    worker: Option<Worker>,
    /// Workers lost since the programme was the source, or a slot came to its end.
    losses: u32,
    /// By how much the programme is late while it is spliced.
    delay: Duration,
    /// When a keyframe was asked for last, in media time.
    asked_keyframe: Option<MediaTime>,
    /// Pictures before this moment lead an open GOP that nobody can decode.
    skip_before: Option<MediaTime>,
    state: State,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    Pass,
    Prime,
    /// Source frames are kept from what may be a cut on.
    Enter(Enter),
    /// Draw and Drain: the worker's frames.
    Splice(Splice),
    /// Source items are kept until the worker has given its last frames.
    Leave(Leave),
    /// There is neither a worker nor a source frame that can be decoded.
    Await,
}

impl Splicer {
    /// A splicer that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            tracks: Tracks::default(),
            video: None,
            shown_track: None,
            decoded: None,
            shown: None,
            order: DisplayOrder::default(),
            memory: Memory::new(limits.memory_bytes, limits.memory_frames),
            windows: Vec::new(),
            expected: None,
            worker: None,
            losses: 0,
            delay: Duration::ZERO,
            asked_keyframe: None,
            skip_before: None,
            state: State::Pass,
            outputs: VecDeque::new(),
        }
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match &self.state {
            State::Pass => Phase::Pass,
            State::Prime | State::Enter(_) => Phase::Prime,
            State::Splice(splice) if self.is_wanted(splice.last) => Phase::Draw,
            State::Splice(_) | State::Leave(_) | State::Await => Phase::Drain,
        }
    }

    /// Whether nothing is to be done but to let the source through.
    pub fn is_idle(&self) -> bool {
        let wanted = !self.windows.is_empty() || self.expected.is_some();
        matches!(self.state, State::Pass) && !wanted && self.skip_before.is_none()
    }

    /// Somebody is about to ask for a slot that begins as soon as possible, until then: a worker gets ready for it.
    pub fn expect(&mut self, until: Instant, now: Instant) {
        self.expected = Some(until);
        self.begin(now);
    }

    /// Nobody is about to ask for anything.
    pub fn expect_nothing(&mut self) {
        self.expected = None;
        self.stand_down();
    }

    /// The latest presentation time of the source.
    pub const fn newest(&self) -> Option<MediaTime> {
        self.order.newest()
    }

    /// Takes a slot in hand. Slots must not overlap; those that begin as soon as possible follow one another.
    pub fn ask(&mut self, ask: Ask, now: Instant) {
        self.windows.push(Window::new(ask, now + self.limits.patience));
        match &self.state {
            State::Pass => self.begin(now),
            // The cut is made: it begins with the next frame that comes.
            State::Splice(_) => self.settle_starts(self.order.newest().unwrap_or_default() + NEXT),
            State::Enter(enter) if enter.is_cut() => {
                self.settle_starts(self.order.newest().unwrap_or_default() + NEXT);
            }
            State::Prime | State::Enter(_) | State::Leave(_) | State::Await => {}
        }
        self.tell_overlays();
    }

    /// Withdraws a slot. One that is on ends with the newest frame of the source.
    pub fn cancel(&mut self, id: OverlayId) {
        self.shorten(id, MediaTime::ZERO);
    }

    /// Ends a slot at `at` instead of later, or with the newest frame of the source where that is past `at`.
    pub fn shorten(&mut self, id: OverlayId, at: MediaTime) {
        let Some(index) = self.windows.iter().position(|window| window.id == id) else { return };
        let next = self.order.newest().unwrap_or_default() + NEXT;
        let at = at.max(next);
        let is_drawn = match &self.state {
            State::Splice(_) | State::Leave(_) => true,
            State::Enter(enter) => enter.is_cut(),
            State::Pass | State::Prime | State::Await => false,
        };
        let window = &mut self.windows[index];
        if window.is_past(at) {
            return;
        }
        let is_on = is_drawn && window.told;
        let goes_on = window.start.is_some_and(|start| start < at) && (is_on || at > next);
        if window.told && self.worker.is_some() {
            // Frames that are kept for a cut may yet be the worker's: what is over now is on none of them.
            let at = if goes_on { at } else { MediaTime::ZERO };
            self.outputs.push_back(Output::Worker(Order::Cancel { id, at }));
        }
        if goes_on {
            window.cut_short(at);
        } else {
            self.close(index, |window| window.closed(Why::Cancelled));
            self.stand_down();
        }
    }

    /// A slot that the worker was not told of, as it cannot be drawn on what the picture has become: it is over with
    /// what was shown before.
    pub fn refuse(&mut self, id: OverlayId) {
        if let Some(index) = self.windows.iter().position(|window| window.id == id) {
            self.close(index, |window| window.closed(Why::SourceChanged));
            self.stand_down();
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`timeout`](Self::timeout) is to be called, unless something happens before.
    pub fn next_timeout(&self) -> Option<Instant> {
        let hand_over = match &self.state {
            State::Enter(enter) => Some(enter.since + self.limits.held_time),
            _ => None,
        };
        let stall = self.stalls_at();
        let patience = self.windows.iter().filter(|window| window.start.is_none());
        patience.map(|window| window.deadline).chain(hand_over).chain(stall).chain(self.expected).min()
    }

    /// Gives up what has taken too long.
    pub fn timeout(&mut self, now: Instant) {
        if let State::Enter(enter) = &self.state
            && now >= enter.since + self.limits.held_time
        {
            self.give_up();
        }
        if self.stalls_at().is_some_and(|at| now >= at) {
            self.lost(now);
        }
        self.expected = self.expected.filter(|until| now < *until);
        let mut index = 0;
        while let Some(window) = self.windows.get(index) {
            if window.start.is_none() && now >= window.deadline {
                self.close(index, Window::missed);
            } else {
                index += 1;
            }
        }
        self.stand_down();
    }

    fn stalls_at(&self) -> Option<Instant> {
        let leave = match &self.state {
            State::Leave(leave) => Some(leave),
            _ => None,
        };
        self.worker.as_ref().and_then(|worker| worker.stalls_at(&self.limits, leave))
    }

    /// The next item of the programme.
    fn route(&mut self, item: Item) {
        self.outputs.push_back(Output::Route(item));
    }

    /// The next picture of the programme. Decoding times rise, also where a hand-over does not come out even.
    fn route_picture(&mut self, mut frame: Frame) {
        let least = self.decoded.map(|decoded| decoded + MediaTime::from_millis(1));
        if let Some(least) = least.filter(|_| self.decoded >= Some(frame.dts)) {
            frame.dts = least;
        }
        self.decoded = Some(frame.dts);
        self.shown = self.shown.max(Some(frame.pts));
        self.route(Item::Frame(frame));
    }

    /// Tells viewers how the next pictures are coded, if that changes.
    fn show_track(&mut self, track: &Arc<Track>) {
        if self.shown_track.as_ref() != Some(track) {
            self.shown_track = Some(Arc::clone(track));
            self.route(Item::Track(Arc::clone(track)));
        }
    }

    /// Asks the publisher for a keyframe, and again when none has come for a while.
    fn request_keyframe(&mut self) {
        /// A request may be lost, and an encoder takes its time.
        const AGAIN: MediaTime = MediaTime::from_millis(1000);
        let now = self.order.newest().unwrap_or_default();
        if self.asked_keyframe.is_none_or(|asked| now - asked >= AGAIN) {
            self.asked_keyframe = Some(now);
            self.outputs.push_back(Output::RequestKeyframe);
        }
    }

    /// Whether a slot is on at this moment, or soon will be.
    fn is_wanted(&self, pts: MediaTime) -> bool {
        let on = |window: &Window| window.is_due(pts + LEAD) && !window.is_past(pts);
        self.expected.is_some() || self.windows.iter().any(on)
    }

    /// Slots that begin as soon as possible begin at this moment, one after the other.
    fn settle_starts(&mut self, earliest: MediaTime) {
        let mut free = self.windows.iter().filter_map(Window::end).fold(earliest, MediaTime::max);
        for window in self.windows.iter_mut().filter(|window| window.start.is_none()) {
            window.start = Some(free);
            free += window.duration;
        }
    }

    /// Tells the worker of the slots that it does not know yet.
    fn tell_overlays(&mut self) {
        if self.worker.is_none() {
            return;
        }
        let by = self.order.newest().unwrap_or_default() + LEAD;
        for window in self.windows.iter_mut().filter(|window| !window.told && window.is_due(by)) {
            if let (Some(start), Some(end)) = (window.start, window.end()) {
                window.told = true;
                let order = Order::Overlay { id: window.id, start, end };
                self.outputs.push_back(Output::Worker(order));
            }
        }
    }

    fn obstruct(&mut self, why: Why) {
        self.windows.iter_mut().for_each(|window| window.obstruct(why));
    }

    fn close(&mut self, index: usize, event: impl FnOnce(&Window) -> SlotEvent) {
        let window = self.windows.remove(index);
        self.outputs.push_back(Output::Slot(window.id, event(&window)));
    }

    /// Closes the slots that lie before this moment.
    fn close_past(&mut self, pts: MediaTime, event: impl Fn(&Window) -> SlotEvent) {
        while let Some(index) = self.windows.iter().position(|window| window.is_past(pts)) {
            self.close(index, &event);
        }
    }
}
