//! Conversions by a worker, as renditions of the hub.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;

use super::ipc::{Convert, Encoding, FromWorker, Job, SoundTarget, ToWorker};
use super::workers::Room;
use super::{Session, StartError, Workers};
use crate::av::audio::AacToOpus;
use crate::hub::{Batch, Conversion, Converter, Item, Later, Refusal, Rendition};
use crate::media::{Codec, Frame, Kind, MediaTime, Track, TrackId};

/// What passes untouched waits for what is converted, so that the two come interleaved as they did, and so that viewers who
/// begin with the first keyframe know of all tracks: up to this much, which a long GOP brings at once when a conversion
/// begins. A worker that does not come or hangs is given up long before.
const LONGEST_WAIT: MediaTime = MediaTime::from_millis(30_000);
/// And so many items.
const MOST_WAITING: usize = 4096;

/// A track that is converted and had no frame for so long is not waited for: a microphone that is off.
const SILENCE: MediaTime = MediaTime::from_millis(500);

/// Makes renditions that need libav:
///
/// | of | becomes |
/// |---|---|
/// | H.264 with B-frames, H.265, AV1, VP8, VP9 | H.264 without B-frames |
/// | Opus | AAC |
/// | AAC that [`AacToOpus`] does not convert: HE-AAC, more than two channels | Opus |
///
/// What is so already passes untouched, and so does everything else.
#[derive(Debug)]
pub struct WorkerConverter {
    workers: Workers,
}

impl WorkerConverter {
    /// With these workers.
    pub const fn new(workers: Workers) -> Self {
        Self { workers }
    }
}

impl Converter for WorkerConverter {
    fn conversion(
        &self,
        rendition: &Rendition,
        tracks: &[Arc<Track>],
    ) -> Option<Result<Box<dyn Conversion>, Refusal>> {
        let Rendition::Converted { video, audio, .. } = rendition else { return None };
        let target = match (video, audio) {
            (Some(Codec::H264), None) => Target::Picture,
            (None, Some(Codec::Aac)) => Target::Sound(SoundTarget::Aac),
            (None, Some(Codec::Opus)) if self.workers.available().is_ok() => Target::Sound(SoundTarget::Opus),
            _ => return None,
        };
        let needing = tracks.iter().find(|track| target.needs(track));
        // The other converter of sound to Opus needs no process.
        if needing.is_none() && target == Target::Sound(SoundTarget::Opus) {
            return None;
        }
        let room = match needing.map(|track| (track, self.workers.reserve())) {
            None => None,
            Some((_, Ok(room))) => Some(room),
            Some((track, Err(error))) => return Some(Err(refusal(error, track))),
        };
        Some(Ok(Box::new(Remote::new(self.workers.clone(), target, room))))
    }
}

fn refusal(error: StartError, track: &Track) -> Refusal {
    match error {
        StartError::Busy { .. } => Refusal::Busy(error.to_string()),
        StartError::Absent(_) => {
            let what = match track.codec {
                Codec::H264 => "the encoder sends B-frames",
                _ => "it would have to be decoded",
            };
            Refusal::Unconvertible(format!("{what}, and {error}"))
        }
    }
}

/// What a conversion makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// H.264 without B-frames.
    Picture,
    /// Another codec of sound.
    Sound(SoundTarget),
}

impl Target {
    /// Whether the track is not so already.
    fn needs(self, track: &Track) -> bool {
        match self {
            Self::Picture if track.codec == Codec::H264 => {
                track.video().and_then(|video| video.reorder_depth).is_some_and(|depth| depth > 0)
            }
            Self::Picture => track.kind() == Kind::Video,
            Self::Sound(SoundTarget::Aac) => track.codec == Codec::Opus,
            Self::Sound(SoundTarget::Opus) => track.codec == Codec::Aac && AacToOpus::new(track).is_err(),
        }
    }

    const fn job(self, after: MediaTime) -> Job {
        let (video, audio) = match self {
            Self::Picture => (Some(Encoding::DEFAULT), None),
            Self::Sound(target) => (None, Some(target)),
        };
        Job::Convert(Convert { video, audio, after })
    }
}

/// A conversion by a worker.
struct Remote {
    workers: Workers,
    target: Target,
    /// Until the first track that needs it is there.
    room: Option<Room>,
    /// From then on.
    session: Option<Session>,
    /// Tracks that the worker converts, and those of them that it has announced.
    converted: Vec<TrackId>,
    announced: Vec<TrackId>,
    /// Decoding time of the newest frame that the worker was given, and of the newest that it gave.
    given: MediaTime,
    returned: MediaTime,
    /// What passes, and is not due yet.
    waiting: VecDeque<Item>,
    /// What was given before this one took another's place.
    resumed: Vec<(TrackId, MediaTime)>,
    /// Why it cannot go on; told when it is asked.
    broken: Option<String>,
}

impl Remote {
    const fn new(workers: Workers, target: Target, room: Option<Room>) -> Self {
        Self {
            workers,
            target,
            room,
            session: None,
            converted: Vec::new(),
            announced: Vec::new(),
            given: Convert::ALL,
            returned: Convert::ALL,
            waiting: VecDeque::new(),
            resumed: Vec::new(),
            broken: None,
        }
    }

    /// Gives the worker an order. One that takes nothing any more has said why, or is about to.
    fn order(&mut self, order: ToWorker) {
        if let Some(session) = &self.session {
            session.orders.send(order);
        }
    }

    fn track(&mut self, track: Arc<Track>, out: &mut Batch) {
        if !self.target.needs(&track) {
            self.converted.retain(|id| *id != track.id);
            return self.pass(Item::Track(track), out);
        }
        if self.session.is_none() {
            let room = match self.room.take() {
                Some(room) => Ok(room),
                None => self.workers.reserve(),
            };
            match room {
                Ok(room) => {
                    let after = self.resumed.iter().find(|(id, _)| *id == track.id).map(|(_, dts)| *dts);
                    self.session = Some(room.begin(self.target.job(after.unwrap_or(Convert::ALL))));
                }
                Err(error) => {
                    self.broken = Some(error.to_string());
                    return;
                }
            }
        }
        if !self.converted.contains(&track.id) {
            self.converted.push(track.id);
        }
        self.order(ToWorker::Track((*track).clone()));
    }

    fn frame(&mut self, frame: Frame, out: &mut Batch) {
        if self.converted.contains(&frame.track) {
            self.given = self.given.max(frame.dts);
            self.order(ToWorker::Frame(frame));
        } else {
            self.pass(Item::Frame(frame), out);
        }
    }

    /// Passes an item on when it is due.
    fn pass(&mut self, item: Item, out: &mut Batch) {
        self.waiting.push_back(item);
        self.release(out);
    }

    /// Gives what is due: what the worker's frames have come up to, and all where no frames of its are to be expected.
    fn release(&mut self, out: &mut Batch) {
        let newest = self.waiting.iter().rev().find_map(dts).unwrap_or(Convert::ALL);
        let is_announced = self.converted.iter().all(|id| self.announced.contains(id));
        while let Some(item) = self.waiting.front() {
            let is_due = match dts(item) {
                None => true,
                Some(dts) if self.converted.is_empty() || newest - dts > LONGEST_WAIT => true,
                Some(dts) => is_announced && (dts <= self.returned || dts - self.given > SILENCE),
            };
            if !is_due && self.waiting.len() <= MOST_WAITING {
                return;
            }
            out.extend(self.waiting.pop_front());
        }
    }

    /// Gives a report's worth; `false` when it was the last.
    fn report(&mut self, report: FromWorker, out: &mut Batch) -> bool {
        match report {
            FromWorker::Track(track) => {
                if !self.announced.contains(&track.id) {
                    self.announced.push(track.id);
                }
                out.push(Item::Track(Arc::new(track)));
            }
            FromWorker::Frame(frame) => {
                self.returned = self.returned.max(frame.dts);
                self.release(out);
                out.push(Item::Frame(frame));
            }
            FromWorker::Ended => return false,
            _ => {}
        }
        true
    }
}

/// When an item is due; `None` for what has no time.
const fn dts(item: &Item) -> Option<MediaTime> {
    match item {
        Item::Frame(frame) => Some(frame.dts),
        _ => None,
    }
}

impl Conversion for Remote {
    fn convert(&mut self, item: Item, out: &mut Batch) {
        match item {
            Item::Track(track) => self.track(track, out),
            Item::Frame(frame) => self.frame(frame, out),
            item => self.pass(item, out),
        }
    }

    fn later(&mut self) -> Later<'_> {
        Box::pin(async {
            if let Some(reason) = self.broken.take() {
                return Err(reason);
            }
            let mut out = Batch::new();
            while out.is_empty() {
                let report = match &mut self.session {
                    Some(session) => session.reports.next().await,
                    None => pending().await,
                };
                if !self.report(report.map_err(|lost| lost.to_string())?, &mut out) {
                    return Err("the media worker ended".to_owned());
                }
            }
            Ok(out)
        })
    }

    fn finish(&mut self) -> Later<'_> {
        Box::pin(async {
            let mut out = Batch::new();
            self.order(ToWorker::Stop { before: MediaTime::MAX });
            while let Some(session) = &mut self.session {
                let report = session.reports.next().await;
                // However it ends: all is given that there was.
                if !report.is_ok_and(|report| self.report(report, &mut out)) {
                    break;
                }
            }
            out.extend(self.waiting.drain(..));
            Ok(out)
        })
    }

    fn resume_after(&mut self, newest: &[(TrackId, MediaTime)]) {
        self.resumed = newest.to_vec();
    }
}
