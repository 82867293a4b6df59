//! Burning in: decodes from the newest keyframe, and from the cut on gives every picture, with what is to be drawn on it.

use std::collections::VecDeque;

use onair::av::worker::ipc::{BurnIn, FromWorker, Overlay, RETAINED_PICTURES, ToWorker};
use onair::codec::h264::ConfigRecord;
use onair::media::{Frame, Kind, MediaTime, Track};

use crate::error::JobError;
use crate::link::Link;
use crate::overlay::Compositor;
use crate::picture::{Decoder, Encoded, Encoder, Measure, Picture, Profile, Settings, track};

/// An encoder is opened ahead of the cut, once the source's frame rate is known from so many frames.
const MEASURED: usize = 8;

/// Draws until the server says stop, or closes the pipe.
pub fn run(link: &mut Link, job: BurnIn) -> Result<(), JobError> {
    let mut work = Work::new(job);
    while let Some(message) = link.next()? {
        match message {
            ToWorker::Track(track) => work.track(track)?,
            ToWorker::Frame(frame) => work.frame(&frame)?,
            ToWorker::Overlay(overlay) => work.overlay(overlay)?,
            ToWorker::Cancel { id, at } => work.compositor.cancel(id, at),
            ToWorker::Cut { dts, pts } => work.cut(dts, pts)?,
            ToWorker::Keyframe => work.keyframe_wanted = true,
            ToWorker::Stop { before } => {
                work.stop(before)?;
                return work.say(link);
            }
            _ => return Err(JobError::Unexpected("a message that has no place in a burn-in")),
        }
        work.say(link)?;
    }
    Ok(())
}

struct Work {
    job: BurnIn,
    decoder: Option<Decoder>,
    measure: Measure,
    compositor: Compositor,
    decoded: Vec<Picture>,
    /// Pictures that may yet be asked for.
    retained: VecDeque<Picture>,
    /// The newest picture that cannot be given any more.
    let_go: Option<MediaTime>,
    cut: Option<Cut>,
    encoder: Option<Encoder>,
    encoded: Vec<Encoded>,
    announced: Option<Track>,
    keyframe_wanted: bool,
    out: Vec<FromWorker>,
}

/// From where on pictures are given.
#[derive(Clone, Copy)]
struct Cut {
    pts: MediaTime,
    /// How much later the source shows than decodes: decoding times go on as they were.
    delay: MediaTime,
}

impl Work {
    fn new(job: BurnIn) -> Self {
        Self {
            job,
            decoder: None,
            measure: Measure::default(),
            compositor: Compositor::default(),
            decoded: Vec::new(),
            retained: VecDeque::new(),
            let_go: None,
            cut: None,
            encoder: None,
            encoded: Vec::new(),
            announced: None,
            keyframe_wanted: false,
            out: Vec::new(),
        }
    }

    fn say(&mut self, link: &mut Link) -> Result<(), JobError> {
        self.out.drain(..).try_for_each(|message| link.say(&message))
    }

    /// The source's track begins, or changes: what was before it is finished first.
    fn track(&mut self, track: Track) -> Result<(), JobError> {
        if track.kind() != Kind::Video {
            return Err(JobError::Unexpected("sound in a burn-in"));
        }
        if self.decoder.as_ref().is_some_and(|decoder| *decoder.track() == track) {
            return Ok(());
        }
        if let Some(mut old) = self.decoder.replace(Decoder::new(track)) {
            old.drain(&mut self.decoded)?;
            self.take_decoded()?;
        }
        Ok(())
    }

    /// What it is drawn with is made at once: nobody waits for it yet.
    fn overlay(&mut self, overlay: Overlay) -> Result<(), JobError> {
        self.compositor.add(overlay)?;
        if let Some(picture) = self.retained.back() {
            self.compositor.prepare(picture);
        }
        Ok(())
    }

    fn frame(&mut self, frame: &Frame) -> Result<(), JobError> {
        self.measure.add(frame);
        let decoder = self.decoder.as_mut().ok_or(JobError::Unexpected("a frame before its track"))?;
        decoder.decode(frame, &mut self.decoded)?;
        self.take_decoded()?;
        if let Some(encoder) = self.encoder.as_mut().filter(|_| frame.keyframe) {
            encoder.follow(&self.measure);
        }
        self.out.push(FromWorker::Progress { dts: frame.dts });
        Ok(())
    }

    /// What is before the cut is kept for a while; what is from it on is given.
    fn take_decoded(&mut self) -> Result<(), JobError> {
        for picture in std::mem::take(&mut self.decoded) {
            match self.cut {
                Some(cut) => self.give(picture, cut)?,
                None => {
                    self.compositor.prepare(&picture);
                    if self.encoder.is_none() && self.measure.frames() >= MEASURED {
                        let mut encoder = self.open(Settings::of(&picture))?;
                        encoder.warm_up(&picture)?;
                        self.encoder = Some(encoder);
                    }
                    self.retained.push_back(picture);
                    if self.retained.len() > RETAINED_PICTURES {
                        self.let_go = self.retained.pop_front().map(|picture| picture.pts).max(self.let_go);
                    }
                }
            }
        }
        Ok(())
    }

    fn cut(&mut self, dts: MediaTime, pts: MediaTime) -> Result<(), JobError> {
        if self.cut.is_some() {
            return Err(JobError::Unexpected("a second cut"));
        }
        if self.let_go.is_some_and(|newest| newest >= pts) {
            return Err(JobError::Refused(
                "the cut is too far back: its pictures are not kept any more".to_owned(),
            ));
        }
        let cut = Cut { pts, delay: pts - dts };
        self.cut = Some(cut);
        if let Some(encoder) = &mut self.encoder {
            encoder.follow(&self.measure);
        }
        std::mem::take(&mut self.retained).into_iter().try_for_each(|picture| self.give(picture, cut))
    }

    /// Draws, encodes and gives a picture, if it is not before the cut.
    fn give(&mut self, picture: Picture, cut: Cut) -> Result<(), JobError> {
        if picture.pts < cut.pts {
            return Ok(());
        }
        let settings = Settings::of(&picture);
        if self.encoder.as_ref().is_none_or(|encoder| encoder.settings() != settings) {
            if let Some(mut old) = self.encoder.take() {
                old.drain(&mut self.encoded)?;
            }
            self.encoder = Some(self.open(settings)?);
        }
        let fresh = self.encoder.as_ref().is_some_and(Encoder::is_fresh);
        let keyframe = fresh || picture.keyframe || std::mem::take(&mut self.keyframe_wanted);
        let picture = self.compositor.draw(picture)?;
        if let Some(encoder) = &mut self.encoder {
            encoder.encode(picture, keyframe, &mut self.encoded)?;
        }
        self.give_encoded(cut)
    }

    fn open(&self, settings: Settings) -> Result<Encoder, JobError> {
        // The source's parameter sets go on to hold in decoders that keep them from before.
        let record =
            self.decoder.as_ref().and_then(|decoder| ConfigRecord::parse(&decoder.track().config).ok());
        let set_id = record.map_or(0, |record| record.free_set_id());
        Encoder::open(settings, self.job.encoding, Profile::High, &self.measure, set_id)
    }

    fn give_encoded(&mut self, cut: Cut) -> Result<(), JobError> {
        let Some(source) = self.decoder.as_ref().map(Decoder::track) else { return Ok(()) };
        for Encoded { pts, keyframe, payload } in self.encoded.drain(..) {
            if keyframe {
                let track = track(&payload, source)?;
                if self.announced.as_ref() != Some(&track) {
                    self.out.push(FromWorker::Track(track.clone()));
                    self.announced = Some(track);
                }
            }
            let (track, dts) = (source.id, pts - cut.delay);
            self.out.push(FromWorker::Frame(Frame { track, pts, dts, keyframe, disposable: false, payload }));
        }
        Ok(())
    }

    fn stop(&mut self, before: MediaTime) -> Result<(), JobError> {
        if let Some(decoder) = &mut self.decoder {
            decoder.drain(&mut self.decoded)?;
        }
        self.decoded.retain(|picture| picture.pts < before);
        self.take_decoded()?;
        if let (Some(encoder), Some(cut)) = (&mut self.encoder, self.cut) {
            encoder.drain(&mut self.encoded)?;
            self.give_encoded(cut)?;
        }
        Ok(())
    }
}
