//! Cuts the lanes of one rendition into parts and segments.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::format::fmp4;
use crate::media::{Frame, Kind, MediaTime, Track, TrackId};

use super::lane::{AHEAD, Lane};
use super::media_playlist::{MediaPlaylist, Part};
use super::pace::{Pace, PackagerConfig};
use super::rhythm::Rhythm;

/// A part ends at this size whatever its duration: the bound for a source that sends everything at one moment.
const PART_BYTES: usize = 8 << 20;
/// Event messages in a part; more are left out.
const MESSAGE_BYTES: usize = 64 << 10;
/// A part ends at so many frames whatever its duration.
const PART_FRAMES: usize = 1024;
/// A picture that pauses longer than this (or three frames) does not continue: what follows is a discontinuity.
const PAUSE: MediaTime = MediaTime::from_millis(2000);
/// Sound goes on alone when the picture is behind by this, or by a target duration.
const PICTURE_LATE: MediaTime = MediaTime::from_millis(2000);

/// Who ends a rendition's segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundaries {
    /// Itself: at keyframes.
    Own,
    /// Another rendition, whose segments it mirrors.
    Followed,
}

/// Counts of what a rendition did, to be mirrored by those that follow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cuts {
    pub segments: u64,
    pub discontinuities: u64,
}

/// Cuts frames into one rendition.
///
/// The first lane leads: parts end by its frames, and take of the others what has arrived and belongs before that
/// end. A part is complete as soon as its expected last frame is there; the duration of that frame is what frames
/// usually last. The next part begins at its own first frame's time, so an estimate that is off by the jitter of one
/// frame is corrected at once and never adds up.
#[derive(Debug)]
pub(super) struct Writer {
    playlist: MediaPlaylist,
    boundaries: Boundaries,
    segment_duration: MediaTime,
    lanes: Vec<Lane>,
    part_start: Option<MediaTime>,
    /// End of the newest part.
    part_end: MediaTime,
    segment_start: Option<MediaTime>,
    /// The habits of the leading track.
    rhythm: Rhythm,
    /// From decoding to display of the newest keyframe.
    shown_after: MediaTime,
    discontinuity: bool,
    /// Event messages that go before the next part's fragment.
    messages: BytesMut,
    /// Number of the newest fragment.
    sequence: Option<u32>,
    cuts: Cuts,
    /// How it stood before the newest segment that a keyframe began, until somebody asks.
    begun: Option<Stance>,
}

/// How a writer stands before a segment begins: all that the next parts depend on besides their frames.
#[derive(Clone, Debug)]
pub(super) struct Stance {
    lanes: Vec<Lane>,
    rhythm: Rhythm,
    part_end: MediaTime,
}

impl Writer {
    pub fn new(name: &str, pace: Pace, boundaries: Boundaries, config: &PackagerConfig) -> Self {
        Self {
            playlist: MediaPlaylist::new(name, pace, config),
            boundaries,
            segment_duration: config.segment_duration.into(),
            lanes: Vec::new(),
            part_start: None,
            part_end: MediaTime::ZERO,
            segment_start: None,
            rhythm: Rhythm::new(pace.frame),
            shown_after: MediaTime::ZERO,
            discontinuity: false,
            messages: BytesMut::new(),
            sequence: None,
            cuts: Cuts::default(),
            begun: None,
        }
    }

    pub const fn playlist(&self) -> &MediaPlaylist {
        &self.playlist
    }

    pub const fn playlist_mut(&mut self) -> &mut MediaPlaylist {
        &mut self.playlist
    }

    pub const fn cuts(&self) -> Cuts {
        self.cuts
    }

    /// The tracks of this rendition, the leading one first.
    pub fn tracks(&self) -> impl Iterator<Item = &Arc<Track>> {
        self.lanes.iter().map(Lane::track)
    }

    /// Begins anew with these tracks and this init segment.
    pub fn set_tracks(&mut self, tracks: Vec<Arc<Track>>, init: Bytes) {
        self.interrupt();
        self.lanes = tracks.into_iter().map(Lane::new).collect();
        self.playlist.set_init(init);
    }

    /// Takes over a changed description of a track that needs no new init segment.
    pub fn update_track(&mut self, track: &Arc<Track>) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.track().id == track.id) {
            lane.update(Arc::clone(track));
        }
    }

    pub fn carries(&self, track: TrackId) -> bool {
        self.lanes.iter().any(|lane| lane.track().id == track)
    }

    /// Adds event messages to the part that is being made.
    pub fn announce(&mut self, messages: impl Iterator<Item = Bytes>) {
        for message in messages {
            if self.messages.len() + message.len() <= MESSAGE_BYTES {
                self.messages.extend_from_slice(&message);
            }
        }
    }

    /// Adds a frame of one of the tracks. `like` is how another writer stood that began a segment with it: so does this one.
    pub fn push(&mut self, frame: Frame, like: Option<&Stance>) {
        let Some(index) = self.lanes.iter().position(|lane| lane.track().id == frame.track) else { return };
        if index == 0 {
            return self.lead(frame, like);
        }
        self.lanes[index].push(frame, MediaTime::ZERO);
        self.go_on_without_picture(index);
    }

    /// Ends a part by the sound of lane `index` where the picture is too late.
    fn go_on_without_picture(&mut self, index: usize) {
        let Some((sound, picture)) = self.lanes[index].end().zip(self.lanes[0].end()) else { return };
        let alone = self.part_end > picture;
        let since = self.part_end.max(picture);
        let patience = if alone { self.pace().part_target } else { PICTURE_LATE.min(self.pace().target()) };
        let waiting = sound - since;
        if waiting > AHEAD && self.lanes[index].len() >= PART_FRAMES {
            self.interrupt();
        } else if waiting > patience && waiting <= AHEAD {
            if self.segment_start.is_some_and(|start| sound - start > self.pace().longest_segment()) {
                self.close_part(since, false);
                self.close_segment(since);
            }
            self.part_start.get_or_insert(since);
            self.open(since);
            self.close_part(sound, false);
        }
    }

    /// How it stands.
    pub fn stance(&self) -> Stance {
        Stance { lanes: self.lanes.clone(), rhythm: self.rhythm.clone(), part_end: self.part_end }
    }

    /// How it stood before the segment that the newest frame began with, if it did; once.
    pub fn take_begun(&mut self) -> Option<Stance> {
        self.begun.take()
    }

    /// Goes on from here as another writer of the same tracks did: given the same frames, it makes the same parts.
    pub fn stand_like(&mut self, other: &Stance) {
        let pairs = || self.lanes.iter().zip(&other.lanes);
        if self.lanes.len() != other.lanes.len() || !pairs().all(|(lane, other)| lane.is_of_same_track(other))
        {
            return;
        }
        self.lanes.iter_mut().zip(&other.lanes).for_each(|(lane, other)| lane.stand_like(other));
        self.rhythm = other.rhythm.clone();
        self.part_end = other.part_end;
    }

    /// Ends the segment now, where the followed rendition ended its own.
    pub fn cut(&mut self) {
        if let Some(end) = self.lanes.first().and_then(Lane::end) {
            self.close_part(end, false);
            self.close_segment(end);
        }
    }

    /// Ends part and segment; what comes next does not continue them.
    pub fn interrupt(&mut self) {
        self.flush();
        self.lanes.iter_mut().for_each(Lane::discontinue);
        self.rhythm.interrupt();
        self.part_end = MediaTime::ZERO;
        if self.playlist.newest().is_some() && !self.discontinuity {
            self.discontinuity = true;
            self.cuts.discontinuities += 1;
        }
    }

    /// Ends the rendition.
    pub fn finish(&mut self) {
        self.flush();
        self.playlist.finish();
    }

    /// Ends part and segment with everything that is there.
    fn flush(&mut self) {
        let Some(end) = self.lanes.first().and_then(Lane::end) else { return };
        if self.segment_start.is_some() && self.lanes.iter().any(|lane| !lane.is_empty()) {
            self.part_start.get_or_insert(end);
        }
        self.close_part(end, true);
        self.close_segment(end);
    }

    fn lead(&mut self, frame: Frame, like: Option<&Stance>) {
        let picture = self.lanes[0].track().kind() == Kind::Video;
        let (dts, keyframe) = (frame.dts.max(MediaTime::ZERO), frame.keyframe);
        if let Some(end) = self.lanes[0].end() {
            if dts - end > PAUSE.min(self.pace().target()).max(times(self.rhythm.frame(), 3)) {
                self.interrupt();
            } else {
                self.close_before(dts, end, picture && keyframe);
            }
        }
        if let Some(like) = like {
            self.close_part(dts, false);
            self.close_segment(dts);
            self.stand_like(like);
        }
        if keyframe && self.segment_start.is_none() && self.boundaries == Boundaries::Own {
            self.begun = Some(self.stance());
        }
        self.rhythm.count(dts, picture && keyframe);
        if picture && keyframe {
            self.shown_after = (frame.pts - frame.dts).max(MediaTime::ZERO);
        }
        self.lanes[0].push(frame, self.rhythm.frame());
        if let Some(first) = self.lanes[0].first_decoded() {
            self.part_start.get_or_insert(first);
            self.open(first);
            self.close_if_complete(picture);
        }
    }

    /// Ends what must not contain a frame at `dts`; what is there lasts until `end` as far as was known.
    fn close_before(&mut self, dts: MediaTime, end: MediaTime, keyframe: bool) {
        let next = dts + self.rhythm.frame();
        let ends = |start| {
            keyframe && (self.is_segment_due(start, dts) || self.cannot_wait_for_keyframe(start, dts))
        };
        if self.segment_start.is_some_and(ends) {
            self.close_part(dts, false);
            self.close_segment(dts);
        } else if self.segment_start.is_some_and(|start| next - start > self.pace().longest_segment()) {
            // The pause before this frame does not fit into the segment any more: it goes to the next.
            self.close_part(end, false);
            self.close_segment(end);
        } else if let Some(start) = self.part_start
            && next - start > self.pace().part_target + fraction(self.rhythm.frame(), 3)
        {
            self.close_part(dts, false);
        }
    }

    /// Ends the part once another frame would not fit.
    fn close_if_complete(&mut self, picture: bool) {
        let (Some(start), Some(end)) = (self.part_start, self.lanes[0].end()) else { return };
        let boundary = picture
            && self.rhythm.gop_ends()
            && self.segment_start.is_some_and(|segment| self.is_segment_due(segment, end));
        let target = self.pace().part_target;
        let full = self.lanes[0].len() >= self.frames_per_part()
            || end - start > target - fraction(self.rhythm.frame(), 7)
            || self.lanes[0].len() >= PART_FRAMES
            || self.lanes.iter().map(Lane::bytes).sum::<usize>() >= PART_BYTES;
        if full || boundary {
            self.close_part(end, false);
        }
        if boundary && self.part_start.is_none() {
            self.playlist.expect_boundary();
        }
    }

    /// How many usual frames fit into the part target.
    fn frames_per_part(&self) -> usize {
        let (target, frame) = (self.pace().part_target.as_nanos(), self.rhythm.frame().as_nanos().max(1));
        usize::try_from((target + frame / 20) / frame).unwrap_or(1).max(1)
    }

    fn is_segment_due(&self, start: MediaTime, end: MediaTime) -> bool {
        self.boundaries == Boundaries::Own
            && end - start + fraction(self.rhythm.frame(), 5) >= self.segment_duration
    }

    /// A segment that does not end with this keyframe would have to end without one: the next comes too late, by habit.
    fn cannot_wait_for_keyframe(&self, start: MediaTime, keyframe: MediaTime) -> bool {
        let so_far = keyframe - start;
        self.boundaries == Boundaries::Own
            && so_far >= self.pace().part_target
            && so_far + self.rhythm.longest_gop() > self.pace().longest_segment()
    }

    /// Sees to it that there is a segment, which begins at `first` if it is new.
    fn open(&mut self, first: MediaTime) {
        if self.segment_start.is_none() {
            self.segment_start = Some(first);
            self.playlist.open_segment(first + self.shown_after, self.discontinuity);
            self.discontinuity = false;
        }
    }

    /// Ends the part at `end`, or with everything there is.
    fn close_part(&mut self, end: MediaTime, all: bool) {
        let Some(start) = self.part_start.take() else { return };
        let independent = self.lanes[0].starts_with_sync();
        let runs: Vec<_> = (1..).zip(&mut self.lanes).map(|(id, lane)| lane.take(id, end, all)).collect();
        if runs.iter().all(|run| run.samples.is_empty()) {
            return;
        }
        self.part_end = end;
        let mut bytes = fmp4::fragment(self.number(start), &runs);
        if !self.messages.is_empty() {
            // Offsets in the fragment count from its own beginning.
            self.messages.extend_from_slice(&bytes);
            bytes = self.messages.split().freeze();
        }
        // A frame that lasts longer than a part is told in full by its sample; the playlist may not say so.
        let duration = (end - start).min(self.pace().part_target).max(MediaTime::from_millis(1));
        self.playlist.add_part(Part { start, bytes, duration, independent, same_as: None });

        let Some(segment) = self.segment_start else { return };
        let leads_sound = self.lanes[0].track().kind() == Kind::Audio;
        let due = leads_sound && self.is_segment_due(segment, end);
        let overdue = end - segment + self.pace().part_target > self.pace().longest_segment();
        if due || overdue {
            self.close_segment(end);
        }
    }

    fn close_segment(&mut self, end: MediaTime) {
        if let Some(start) = self.segment_start.take() {
            self.playlist.close_segment((end - start).max(MediaTime::from_millis(1)));
            self.cuts.segments += 1;
        }
    }

    const fn pace(&self) -> &Pace {
        self.playlist.pace()
    }

    /// The number of the fragment that begins at `start`: milliseconds of media time, so that fragments of the same frames
    /// are the same bytes whoever made them. It rises, also where several begin in the same one.
    fn number(&mut self, start: MediaTime) -> u32 {
        // Only the distance counts: it starts over after 49 days.
        let time = (start.as_millis() + 1) as u32;
        let number = match self.sequence {
            Some(last) if time.wrapping_sub(last).cast_signed() <= 0 => last.wrapping_add(1),
            _ => time,
        };
        *self.sequence.insert(number)
    }
}

/// So many tenths of `time`.
fn fraction(time: MediaTime, tenths: i64) -> MediaTime {
    MediaTime::from_nanos(time.as_nanos() / 10 * tenths)
}

fn times(time: MediaTime, factor: i64) -> MediaTime {
    MediaTime::from_nanos(time.as_nanos().saturating_mul(factor))
}
