//! One output of a burn-in: from its cut on, every picture with what is to be drawn on it, up to its end.

use std::collections::VecDeque;

use onair::av::worker::ipc::{FromWorker, OutputId, Overlay, OverlayId, RETAINED_PICTURES};
use onair::media::{Frame, MediaTime, Track};

use super::source::Source;
use crate::error::JobError;
use crate::overlay::Compositor;
use crate::picture::{Encoded, Encoder, Picture, Settings, track};

/// From where on pictures are given.
#[derive(Clone, Copy)]
pub struct Cut {
    pts: MediaTime,
    /// How much later the source shows than decodes: decoding times go on as they were.
    delay: MediaTime,
}

impl Cut {
    /// At the source frame with this decoding time, and from this picture on.
    pub fn new(dts: MediaTime, pts: MediaTime) -> Self {
        Self { pts, delay: pts - dts }
    }
}

/// An output that is open.
pub struct Output {
    id: OutputId,
    compositor: Compositor,
    /// Pictures that may yet be asked for, until the cut.
    retained: VecDeque<Picture>,
    /// The newest picture that cannot be given any more.
    let_go: Option<MediaTime>,
    cut: Option<Cut>,
    /// The first moment that is not owed, once it is to stop.
    before: Option<MediaTime>,
    encoder: Option<Encoder>,
    encoded: Vec<Encoded>,
    announced: Option<Track>,
}

impl Output {
    /// Opened when this was the newest picture: only later ones are kept for it.
    pub fn new(id: OutputId, newest: Option<MediaTime>) -> Self {
        Self {
            id,
            compositor: Compositor::default(),
            retained: VecDeque::new(),
            let_go: newest,
            cut: None,
            before: None,
            encoder: None,
            encoded: Vec::new(),
            announced: None,
        }
    }

    pub const fn id(&self) -> OutputId {
        self.id
    }

    /// What it is drawn with is made at once: nobody waits for it yet.
    pub fn overlay(&mut self, overlay: Overlay) -> Result<(), JobError> {
        self.compositor.add(overlay)?;
        if let Some(picture) = self.retained.back() {
            self.compositor.prepare(picture);
        }
        Ok(())
    }

    pub fn cancel(&mut self, id: OverlayId, at: MediaTime) {
        self.compositor.cancel(id, at);
    }

    /// Gives what is kept from the cut on, and will give what comes.
    pub fn cut(&mut self, cut: Cut, source: &Source, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        if self.cut.is_some() {
            return Err(JobError::Unexpected("a second cut of an output"));
        }
        if self.let_go.is_some_and(|newest| newest >= cut.pts) {
            return Err(JobError::Refused(
                "the cut is too far back: its pictures are not kept any more".to_owned(),
            ));
        }
        self.cut = Some(cut);
        self.follow(source);
        std::mem::take(&mut self.retained)
            .into_iter()
            .try_for_each(|picture| self.give(picture, cut, source, out))
    }

    /// Takes the next picture: one before the cut is kept for a while, one from it on is given.
    pub fn take(
        &mut self,
        picture: &Picture,
        source: &Source,
        out: &mut Vec<FromWorker>,
    ) -> Result<(), JobError> {
        match self.cut {
            Some(cut) => self.give(picture.share(), cut, source, out),
            None => self.keep(picture.share(), source),
        }
    }

    /// Goes by the source's bitrate.
    pub fn follow(&mut self, source: &Source) {
        if let Some(encoder) = &mut self.encoder {
            encoder.follow(source.measure());
        }
    }

    /// Pictures from this time on are not owed.
    pub fn stop(&mut self, before: MediaTime) {
        self.before = Some(self.before.map_or(before, |earlier| earlier.min(before)));
    }

    /// Whether nothing is owed any more when this was the newest picture: they come in the order of display.
    pub fn is_done(&self, newest: Option<MediaTime>) -> bool {
        self.before.is_some_and(|before| self.cut.is_none() || newest >= Some(before))
    }

    /// Gives what is left, and says that this was all.
    pub fn finish(mut self, source: &Source, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        if let (Some(encoder), Some(cut)) = (&mut self.encoder, self.cut) {
            encoder.drain(&mut self.encoded)?;
            self.give_encoded(cut, source, out)?;
        }
        out.push(FromWorker::Stopped { output: self.id });
        Ok(())
    }

    fn keep(&mut self, picture: Picture, source: &Source) -> Result<(), JobError> {
        self.compositor.prepare(&picture);
        if self.encoder.is_none() && source.is_measured() {
            let encoder = self.encoder.insert(source.encoder(Settings::of(&picture))?);
            encoder.warm_up(&picture)?;
        }
        self.retained.push_back(picture);
        if self.retained.len() > RETAINED_PICTURES {
            self.let_go = self.retained.pop_front().map(|picture| picture.pts).max(self.let_go);
        }
        Ok(())
    }

    /// Draws, encodes and gives a picture, if it is owed.
    fn give(
        &mut self,
        picture: Picture,
        cut: Cut,
        source: &Source,
        out: &mut Vec<FromWorker>,
    ) -> Result<(), JobError> {
        if picture.pts < cut.pts || self.before.is_some_and(|before| picture.pts >= before) {
            return Ok(());
        }
        let settings = Settings::of(&picture);
        if self.encoder.as_ref().is_none_or(|encoder| encoder.settings() != settings) {
            if let Some(mut old) = self.encoder.take() {
                old.drain(&mut self.encoded)?;
            }
            self.encoder = Some(source.encoder(settings)?);
        }
        if let Some(encoder) = &mut self.encoder {
            let keyframe = encoder.is_fresh() || picture.keyframe;
            let picture = self.compositor.draw(picture)?;
            encoder.encode(picture, keyframe, &mut self.encoded)?;
        }
        self.give_encoded(cut, source, out)
    }

    fn give_encoded(&mut self, cut: Cut, source: &Source, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        let Some(source) = source.track() else { return Ok(()) };
        let output = self.id;
        for Encoded { pts, keyframe, payload } in self.encoded.drain(..) {
            if keyframe {
                let track = track(&payload, source)?;
                if self.announced.as_ref() != Some(&track) {
                    out.push(FromWorker::OutputTrack { output, track: track.clone() });
                    self.announced = Some(track);
                }
            }
            let (track, dts) = (source.id, pts - cut.delay);
            let frame = Frame { track, pts, dts, keyframe, disposable: false, payload };
            out.push(FromWorker::OutputFrame { output, frame });
        }
        Ok(())
    }
}
