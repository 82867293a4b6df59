//! One track on its way into parts: from media time to ticks, from frames to samples.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::codec::{h264, h265, opus};
use crate::format::fmp4::{self, Run, Sample, SampleKind};
use crate::media::{Codec, Frame, Kind, MediaTime, Track};

/// Sound whose timestamps stay this near to the count of its samples follows the count.
const SNAP: MediaTime = MediaTime::from_millis(20);
/// What a frame of AAC decodes to when its configuration does not say.
const AAC_SAMPLES: u32 = 1024;
/// What nearly all Opus packets decode to: 20 ms.
const OPUS_SAMPLES: u32 = 960;
/// Sound that is farther ahead of the picture than this is not held back for it: its timestamps are wrong.
pub(super) const AHEAD: MediaTime = MediaTime::from_millis(3000);

/// The samples of one track that are not in a part yet.
///
/// Times are ticks of the track's timescale, never before the broadcast's start: a picture from before is moved
/// there, sound from before is left out. Decoding times rise strictly and continue where the last part ended, so
/// that a decoder never sees a hole: after frames were lost, the first frame of a part is *decoded* early and
/// *shown* when it should be. (Media Source Extensions drop everything up to the next keyframe where decoding times
/// are more than two frames apart.)
#[derive(Clone, Debug)]
pub(super) struct Lane {
    track: Arc<Track>,
    sets: ParameterSets,
    timescale: u32,
    queue: VecDeque<Queued>,
    /// Decoding time of the newest sample ever queued.
    newest: Option<i64>,
    /// Where the samples in parts end.
    published: Option<i64>,
    /// Sound: where the next frame belongs by the count of samples.
    grid: Option<i64>,
}

#[derive(Clone, Debug)]
struct Queued {
    dts: i64,
    /// The next sample's time where nothing else tells: what the codec or the measured frame rate says.
    until: i64,
    pts: i64,
    kind: SampleKind,
    payload: Bytes,
}

impl Lane {
    pub fn new(track: Arc<Track>) -> Self {
        let timescale = fmp4::timescale(&track);
        let sets = ParameterSets::of(&track);
        Self { track, sets, timescale, queue: VecDeque::new(), newest: None, published: None, grid: None }
    }

    pub const fn track(&self) -> &Arc<Track> {
        &self.track
    }

    /// Takes over a changed description of the same codec: new parameter sets, carried in-band.
    pub fn update(&mut self, track: Arc<Track>) {
        self.sets = ParameterSets::of(&track);
        self.track = track;
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Bytes waiting.
    pub fn bytes(&self) -> usize {
        self.queue.iter().map(|queued| queued.payload.len()).sum()
    }

    /// The oldest sample waiting is a place to start decoding.
    pub fn starts_with_sync(&self) -> bool {
        self.queue.front().is_some_and(|queued| queued.kind == SampleKind::Sync)
    }

    /// Where the newest sample ends, as far as is known; `None` before the first.
    pub fn end(&self) -> Option<MediaTime> {
        let ticks = self.queue.back().map(|queued| queued.until).or(self.published)?;
        Some(self.time(ticks))
    }

    /// Decoding time of the oldest sample waiting.
    pub fn first_decoded(&self) -> Option<MediaTime> {
        self.queue.front().map(|queued| self.time(queued.dts))
    }

    /// Forgets where the last part ended: what follows stands by itself.
    pub fn discontinue(&mut self) {
        self.published = None;
        self.grid = None;
    }

    /// Whether the other one carries the same track, in the same codec.
    pub fn is_of_same_track(&self, other: &Self) -> bool {
        let ([here, there], timescales) = ([&self.track, &other.track], [self.timescale, other.timescale]);
        here.id == there.id && here.codec == there.codec && timescales[0] == timescales[1]
    }

    /// Goes on as another lane of the same track did before the same frame, unless that does not continue what is here. One
    /// that is new takes over what waits there as well.
    pub fn stand_like(&mut self, other: &Self) {
        let is_new = self.newest.is_none() && self.published.is_none();
        let same = |(here, there): (&Queued, &Queued)| here.payload == there.payload;
        let same_waiting =
            self.queue.len() == other.queue.len() && self.queue.iter().zip(&other.queue).all(same);
        let near = SNAP.to_ticks(self.timescale).unsigned_abs();
        let continues =
            self.published.zip(other.published).is_none_or(|(here, there)| here.abs_diff(there) <= near);
        if is_new || (same_waiting && continues) {
            self.queue.clone_from(&other.queue);
            (self.newest, self.published, self.grid) = (other.newest, other.published, other.grid);
        }
    }

    /// Queues a frame; `usual` is how long a frame of the track lasts as far as was measured.
    pub fn push(&mut self, frame: Frame, usual: MediaTime) {
        match self.track.kind() {
            Kind::Video => self.push_video(frame, usual),
            Kind::Audio => self.push_audio(frame),
        }
    }

    fn push_video(&mut self, frame: Frame, usual: MediaTime) {
        let usual = usual.to_ticks(self.timescale).max(1);
        let mut dts = frame.dts.to_ticks(self.timescale).max(0);
        let pts = frame.pts.to_ticks(self.timescale).max(0);
        if let Some(published) = self.published.filter(|_| self.queue.is_empty())
            && dts > published.saturating_add(usual / 2)
        {
            dts = published;
        }
        let dts = self.rising(dts);
        let payload = if frame.keyframe { self.sets.within(frame.payload) } else { frame.payload };
        let kind = match (frame.keyframe, frame.disposable) {
            (true, _) => SampleKind::Sync,
            (false, true) => SampleKind::Disposable,
            (false, false) => SampleKind::Dependent,
        };
        let until = frame.dts.to_ticks(self.timescale).max(dts).saturating_add(usual);
        self.queue(Queued { dts, until, pts, kind, payload });
    }

    fn push_audio(&mut self, frame: Frame) {
        if frame.pts < MediaTime::ZERO && self.grid.is_none() {
            return;
        }
        let samples = audio_samples(&self.track, &frame.payload);
        let told = frame.pts.to_ticks(self.timescale).max(0);
        let counted =
            self.grid.filter(|&grid| told.abs_diff(grid) <= SNAP.to_ticks(self.timescale).unsigned_abs());
        let place = counted.unwrap_or(told);
        let until = place.saturating_add(samples);
        self.grid = Some(until);
        // The first frame after a hole bridges it.
        let after_hole = self.published.filter(|&published| self.queue.is_empty() && place > published);
        let dts = self.rising(after_hole.unwrap_or(place));
        self.queue(Queued {
            dts,
            until: until.max(dts + 1),
            pts: dts,
            kind: SampleKind::Sync,
            payload: frame.payload,
        });
    }

    /// `dts`, or the tick after the newest sample's if that is later.
    fn rising(&self, dts: i64) -> i64 {
        self.newest.map_or(dts, |newest| dts.max(newest.saturating_add(1)))
    }

    fn queue(&mut self, queued: Queued) {
        self.newest = Some(queued.dts);
        if let Some(last) = self.queue.back_mut() {
            last.until = queued.dts;
        }
        self.queue.push_back(queued);
    }

    /// Takes the samples that belong before `end`, or all of them, as a run of a fragment; the last one of a picture
    /// lasts until `end`.
    pub fn take(&mut self, track_id: u32, end: MediaTime, all: bool) -> Run {
        let end_ticks = end.to_ticks(self.timescale);
        let far = end_ticks.saturating_add(AHEAD.to_ticks(self.timescale));
        let picture = self.track.kind() == Kind::Video;
        let count =
            self.queue.iter().take_while(|queued| all || queued.dts < end_ticks || queued.dts > far).count();
        let next = self.queue.get(count).map(|queued| queued.dts);
        let mut taken: Vec<Queued> = self.queue.drain(..count).collect();
        if let Some(last) = taken.last_mut() {
            let until = if picture { end_ticks } else { last.until };
            last.until = next.map_or(until, |next| until.min(next)).max(last.dts + 1);
            self.published = Some(last.until);
        }
        let decode_time = taken.first().map_or(0, |first| u64::try_from(first.dts).unwrap_or(0));
        Run { track_id, decode_time, samples: taken.into_iter().map(Sample::from).collect() }
    }

    fn time(&self, ticks: i64) -> MediaTime {
        MediaTime::from_ticks(ticks, self.timescale)
    }
}

/// How long a frame of this sound track lasts.
pub(super) fn audio_duration(track: &Track, payload: &[u8]) -> MediaTime {
    MediaTime::from_ticks(audio_samples(track, payload), fmp4::timescale(track))
}

/// Samples that a frame of this sound track decodes to.
fn audio_samples(track: &Track, payload: &[u8]) -> i64 {
    let told = track.audio().and_then(|audio| audio.frame_samples);
    let samples = match (track.codec, told) {
        (Codec::Opus, _) => opus::packet_samples(payload).unwrap_or(OPUS_SAMPLES),
        (_, Some(samples)) if samples > 0 => samples,
        _ => AAC_SAMPLES,
    };
    i64::from(samples)
}

impl From<Queued> for Sample {
    fn from(queued: Queued) -> Self {
        let offset = queued.pts.saturating_sub(queued.dts).clamp(i32::MIN.into(), i32::MAX.into());
        Self {
            duration: u32::try_from(queued.until - queued.dts).unwrap_or(u32::MAX),
            composition_offset: offset as i32,
            kind: queued.kind,
            payload: queued.payload,
        }
    }
}

/// The parameter sets that every keyframe is to carry, for the codecs that have them.
#[derive(Clone, Debug)]
enum ParameterSets {
    H264(h264::ConfigRecord),
    H265(h265::ConfigRecord),
    /// The codec has none, or its record cannot be read: keyframes stay as they are.
    None,
}

impl ParameterSets {
    fn of(track: &Track) -> Self {
        match track.codec {
            Codec::H264 => h264::ConfigRecord::parse(&track.config).map_or(Self::None, Self::H264),
            Codec::H265 => h265::ConfigRecord::parse(&track.config).map_or(Self::None, Self::H265),
            _ => Self::None,
        }
    }

    /// A keyframe that a decoder can start with, whatever init segment it was given.
    fn within(&self, payload: Bytes) -> Bytes {
        match self {
            Self::H264(record) => h264::with_parameter_sets(payload, record),
            Self::H265(record) => h265::with_parameter_sets(payload, record),
            Self::None => payload,
        }
    }
}
