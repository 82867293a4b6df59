//! One rendition's segments and parts: what its playlist lists, and the bytes behind it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::media::MediaTime;

use super::pace::{Pace, PackagerConfig};
use super::sharing;

/// The shortest window, in target durations: players begin three from the end and need room behind them.
const LEAST_WINDOW: i64 = 4;
/// Init segments kept: a rendition that changes its codec more often than this within a window serves nobody.
const INITS: usize = 8;

/// A place in a rendition: a part of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Media sequence number of the segment.
    pub msn: u64,
    /// Index of the part within it.
    pub part: usize,
}

/// A partial segment: one fragment.
#[derive(Clone, Debug)]
pub struct Part {
    /// When its first frame is decoded.
    pub start: MediaTime,
    /// `moof` and `mdat`.
    pub bytes: Bytes,
    /// Media time it covers, never above the part target.
    pub duration: MediaTime,
    /// It begins with a keyframe.
    pub independent: bool,
    /// Where everybody's variant of the rendition has the same bytes.
    pub same_as: Option<Position>,
}

/// A segment: its parts, one after the other.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Media sequence number.
    pub msn: u64,
    /// When its first frame is shown.
    pub start: MediaTime,
    /// Media time it covers; `None` while it grows.
    pub duration: Option<MediaTime>,
    /// Its parts so far.
    pub parts: Vec<Part>,
    /// The init segment it needs.
    pub init: u32,
    /// Timestamps or the format do not continue those of the segment before.
    pub discontinuity: bool,
    /// The segment of everybody's variant of the rendition that has the same parts.
    pub same_as: Option<u64>,
}

impl Segment {
    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }

    /// Whether there is nothing in it yet.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

/// Bits a second that a rendition needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// Of its most demanding segment so far.
    pub peak: u64,
    /// Of all its segments together.
    pub average: u64,
}

/// One rendition: segments in a window, the last of which may still grow. A clone is a cheap snapshot.
#[derive(Clone, Debug)]
pub struct MediaPlaylist {
    name: Arc<str>,
    pace: Pace,
    window: MediaTime,
    budget: usize,
    inits: VecDeque<(u32, Bytes)>,
    listed: VecDeque<Arc<Segment>>,
    /// No longer listed, still served to players that hold an older playlist.
    departed: VecDeque<Arc<Segment>>,
    next_msn: u64,
    /// The first part that was not looked for in everybody's variant.
    unshared: Position,
    /// The part that comes after the newest in everybody's variant, if the newest is the same there.
    next_shared: Option<Position>,
    discontinuity_sequence: u64,
    /// The next frame begins a segment, if the source keeps its habits.
    boundary_expected: bool,
    ended: bool,
    revision: u64,
    peak: u64,
    total: (u128, MediaTime),
}

impl MediaPlaylist {
    /// An empty rendition called `name`.
    pub(super) fn new(name: &str, pace: Pace, config: &PackagerConfig) -> Self {
        let least = MediaTime::from_millis(LEAST_WINDOW * 1000 * i64::from(pace.target_duration));
        Self {
            name: name.into(),
            pace,
            window: MediaTime::from(config.window).max(least),
            budget: config.window_bytes,
            inits: VecDeque::new(),
            listed: VecDeque::new(),
            departed: VecDeque::new(),
            // hls.js takes 0 for "none".
            next_msn: 1,
            unshared: Position::default(),
            next_shared: None,
            discontinuity_sequence: 0,
            boundary_expected: false,
            ended: false,
            revision: 0,
            peak: 0,
            total: (0, MediaTime::ZERO),
        }
    }

    /// Its name, a path segment.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its playlist promises.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// How far back it reaches once the broadcast is old enough.
    pub const fn window(&self) -> MediaTime {
        self.window
    }

    /// The segments that are listed, oldest first; only the last may be growing.
    pub fn segments(&self) -> &VecDeque<Arc<Segment>> {
        &self.listed
    }

    /// `EXT-X-DISCONTINUITY-SEQUENCE`: discontinuities that left the window.
    pub const fn discontinuity_sequence(&self) -> u64 {
        self.discontinuity_sequence
    }

    /// Nothing will be added.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Rises with every change that shows in the playlist.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The media sequence number of the first segment listed, or of the first that will be.
    pub fn first_msn(&self) -> u64 {
        self.listed.front().map_or(self.next_msn, |segment| segment.msn)
    }

    /// The newest part.
    pub fn newest(&self) -> Option<Position> {
        let segment = self.listed.iter().rev().find(|segment| !segment.is_empty())?;
        Some(Position { msn: segment.msn, part: segment.parts.len() - 1 })
    }

    /// The part that will come next, as far as can be foreseen.
    pub fn next(&self) -> Position {
        match self.listed.back() {
            Some(open) if open.duration.is_none() && !self.boundary_expected => {
                Position { msn: open.msn, part: open.parts.len() }
            }
            _ => Position { msn: self.next_msn, part: 0 },
        }
    }

    /// The part of everybody's variant that will come next here too, as far as can be foreseen.
    pub const fn next_shared(&self) -> Option<Position> {
        self.next_shared
    }

    /// End of the newest part, as the playlist's durations count.
    pub fn end(&self) -> MediaTime {
        self.listed.back().map_or(MediaTime::ZERO, |segment| segment.start + segment.covered())
    }

    /// Bits a second so far; guessed from the parts there are before the first segment ends.
    pub fn bandwidth(&self) -> Bandwidth {
        let (bits, time) = self.total;
        if time > MediaTime::ZERO {
            return Bandwidth { peak: self.peak, average: bits_a_second(bits, time) };
        }
        let open = self.listed.back();
        let guess = open.map_or(0, |open| bits_a_second(open.len() as u128 * 8, open.covered()));
        Bandwidth { peak: guess, average: guess }
    }

    /// The init segment of this number.
    pub fn init(&self, number: u32) -> Option<&Bytes> {
        self.inits.iter().find(|(known, _)| *known == number).map(|(_, bytes)| bytes)
    }

    /// The segment of this number, listed or departed, complete or growing.
    pub fn segment(&self, msn: u64) -> Option<&Arc<Segment>> {
        let at = |segments: &VecDeque<Arc<Segment>>| {
            let first = segments.front()?.msn;
            usize::try_from(msn.checked_sub(first)?).ok()
        };
        at(&self.listed)
            .and_then(|index| self.listed.get(index))
            .or_else(|| at(&self.departed).and_then(|index| self.departed.get(index)))
    }

    /// Sets the init segment of the segments to come.
    pub(super) fn set_init(&mut self, bytes: Bytes) {
        let number = self.inits.back().map_or(0, |(last, _)| last + 1);
        self.inits.push_back((number, bytes));
        while self.inits.len() > INITS {
            self.inits.pop_front();
        }
    }

    /// Begins a segment.
    pub(super) fn open_segment(&mut self, start: MediaTime, discontinuity: bool) {
        let init = self.inits.back().map_or(0, |(number, _)| *number);
        let msn = self.next_msn;
        self.next_msn += 1;
        self.boundary_expected = false;
        let segment =
            Segment { msn, start, duration: None, parts: Vec::new(), init, discontinuity, same_as: None };
        self.listed.push_back(Arc::new(segment));
    }

    /// Adds a part to the segment that grows; without one, it is lost.
    pub(super) fn add_part(&mut self, part: Part) {
        if let Some(open) = self.listed.back_mut().filter(|segment| segment.duration.is_none()) {
            Arc::make_mut(open).parts.push(part);
            self.boundary_expected = false;
            self.revision += 1;
        }
        self.trim();
    }

    /// Has from `original`, everybody's variant of this rendition, what is the same there.
    pub(super) fn share(&mut self, original: &Self) {
        let skip = self.listed.iter().take_while(|segment| segment.msn < self.unshared.msn).count();
        for segment in self.listed.iter_mut().skip(skip) {
            let known = if segment.msn == self.unshared.msn { self.unshared.part } else { 0 };
            if segment.parts.len() > known || segment.duration.is_some() {
                sharing::share(Arc::make_mut(segment), known, original);
            }
        }
        let Some(newest) = self.listed.back() else { return };
        self.unshared = match newest.duration {
            Some(_) => Position { msn: newest.msn + 1, part: 0 },
            None => Position { msn: newest.msn, part: newest.parts.len() },
        };
        let newest = self.listed.iter().rev().find_map(|segment| segment.parts.last());
        self.next_shared = newest.and_then(|newest| newest.same_as).map(|same| original.after(same));
    }

    /// The part after this one.
    fn after(&self, Position { msn, part }: Position) -> Position {
        match self.segment(msn) {
            Some(segment) if segment.parts.len() > part + 1 => Position { msn, part: part + 1 },
            Some(segment) if segment.duration.is_some() => Position { msn: msn + 1, part: 0 },
            _ => self.next(),
        }
    }

    /// Says that the next frame probably begins a segment.
    pub(super) fn expect_boundary(&mut self) {
        self.boundary_expected = true;
    }

    /// Ends the segment that grows.
    pub(super) fn close_segment(&mut self, duration: MediaTime) {
        let Some(open) = self.listed.back_mut().filter(|segment| segment.duration.is_none()) else { return };
        if open.is_empty() {
            // Nobody has seen it: its number is free again.
            self.next_msn = open.msn;
            self.listed.pop_back();
            return;
        }
        Arc::make_mut(open).duration = Some(duration);
        let bits = open.len() as u128 * 8;
        self.peak = self.peak.max(bits_a_second(bits, duration));
        self.total = (self.total.0 + bits, self.total.1 + duration);
        self.revision += 1;
        self.trim();
    }

    /// Says that nothing will be added.
    pub(super) fn finish(&mut self) {
        self.ended = true;
        self.revision += 1;
    }

    /// Forgets what lies outside the window and the budget.
    fn trim(&mut self) {
        let duration = |segments: &VecDeque<Arc<Segment>>| {
            segments.iter().fold(MediaTime::ZERO, |sum, segment| sum + segment.duration.unwrap_or_default())
        };
        let mut listed = duration(&self.listed);
        while let Some(first) = self.listed.front().and_then(|segment| segment.duration)
            && listed - first >= self.window
        {
            listed -= first;
            self.depart();
        }
        let mut departed = duration(&self.departed);
        while let Some(first) = self.departed.front().and_then(|segment| segment.duration)
            && departed > self.window
        {
            departed -= first;
            self.departed.pop_front();
        }
        let mut bytes: usize = self.listed.iter().chain(&self.departed).map(|segment| segment.len()).sum();
        while bytes > self.budget {
            if let Some(segment) = self.departed.pop_front() {
                bytes -= segment.len();
            } else if self.listed.len() > 1 {
                self.depart();
            } else {
                break;
            }
        }
        let oldest = self.departed.front().or(self.listed.front()).map_or(0, |segment| segment.init);
        while self.inits.len() > 1 && self.inits.front().is_some_and(|(number, _)| *number < oldest) {
            self.inits.pop_front();
        }
    }

    fn depart(&mut self) {
        if let Some(segment) = self.listed.pop_front() {
            self.discontinuity_sequence += u64::from(segment.discontinuity);
            self.departed.push_back(segment);
        }
    }
}

impl Segment {
    /// Its duration, or that of its parts while it grows.
    pub fn covered(&self) -> MediaTime {
        let parts = || self.parts.iter().fold(MediaTime::ZERO, |sum, part| sum + part.duration);
        self.duration.unwrap_or_else(parts)
    }
}

fn bits_a_second(bits: u128, time: MediaTime) -> u64 {
    let nanos = u128::try_from(time.as_nanos()).unwrap_or(0).max(1);
    u64::try_from(bits * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}
