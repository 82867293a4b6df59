//! Conversions: pictures to H.264 without B-frames, sound to another codec.

use onair::av::worker::ipc::{Convert, Encoding, FromWorker, ToWorker};
use onair::media::{Frame, Kind, MediaTime, Track, TrackId};

use crate::error::JobError;
use crate::link::Link;
use crate::picture::{Decoder, Encoded, Encoder, Measure, Picture, Profile, Settings, track};
use crate::sound::Sound;

/// Converts until the server says stop, or closes the pipe.
pub fn run(link: &mut Link, job: Convert) -> Result<(), JobError> {
    let mut lanes: Vec<(TrackId, Lane)> = Vec::new();
    let mut out = Vec::new();
    let has_video = job.video.is_some();
    while let Some(message) = link.next()? {
        match message {
            ToWorker::Track(track) => {
                let id = track.id;
                if let Some(index) = lanes.iter().position(|(lane, _)| *lane == id) {
                    lanes.swap_remove(index).1.finish(MediaTime::MAX, &mut out)?;
                }
                match (track.kind(), job.video, job.audio) {
                    (Kind::Video, Some(encoding), _) => {
                        lanes.push((
                            id,
                            Lane::Picture(Box::new(Pictures::new(Decoder::new(track), encoding, job.after))),
                        ));
                    }
                    (Kind::Audio, _, Some(target)) => {
                        let sound = Sound::new(track, target)?;
                        out.push(FromWorker::Track(sound.track()?));
                        lanes.push((id, Lane::Sound(Box::new(sound))));
                    }
                    _ => return Err(JobError::Unexpected("a track that is not to be converted")),
                }
            }
            ToWorker::Frame(frame) => {
                let lane = lanes.iter_mut().find(|(id, _)| *id == frame.track);
                let (_, lane) = lane.ok_or(JobError::Unexpected("a frame of no track"))?;
                lane.frame(&frame, &mut out)?;
                out.retain(|message| !matches!(message, FromWorker::Frame(frame) if frame.pts <= job.after));
                if matches!(lane, Lane::Picture(_)) || !has_video {
                    out.push(FromWorker::Progress { dts: frame.dts });
                }
            }
            ToWorker::Keyframe => lanes.iter_mut().for_each(|(_, lane)| lane.request_keyframe()),
            ToWorker::Stop { before } => {
                for (_, mut lane) in lanes {
                    lane.finish(before, &mut out)?;
                }
                return say_all(link, &mut out);
            }
            _ => return Err(JobError::Unexpected("a message that has no place in a conversion")),
        }
        say_all(link, &mut out)?;
    }
    Ok(())
}

fn say_all(link: &mut Link, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
    out.drain(..).try_for_each(|message| link.say(&message))
}

/// One track.
enum Lane {
    Picture(Box<Pictures>),
    Sound(Box<Sound>),
}

impl Lane {
    fn frame(&mut self, frame: &Frame, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        match self {
            Self::Picture(pictures) => pictures.frame(frame, out),
            Self::Sound(sound) => sound.convert(frame, out),
        }
    }

    /// Gives what is left before this time.
    fn finish(&mut self, before: MediaTime, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        let start = out.len();
        match self {
            Self::Picture(pictures) => pictures.finish(out)?,
            Self::Sound(sound) => sound.flush(out)?,
        }
        let mut index = 0;
        out.retain(|message| {
            index += 1;
            index <= start || !matches!(message, FromWorker::Frame(frame) if frame.pts >= before)
        });
        Ok(())
    }

    const fn request_keyframe(&mut self) {
        if let Self::Picture(pictures) = self {
            pictures.keyframe_wanted = true;
        }
    }
}

/// A track of pictures on its way through decoder and encoder.
struct Pictures {
    decoder: Decoder,
    encoding: Encoding,
    /// Pictures up to this one are decoded and no more.
    after: MediaTime,
    measure: Measure,
    encoder: Option<Encoder>,
    decoded: Vec<Picture>,
    encoded: Vec<Encoded>,
    /// What the keyframes so far announced.
    announced: Option<Track>,
    keyframe_wanted: bool,
}

impl Pictures {
    fn new(decoder: Decoder, encoding: Encoding, after: MediaTime) -> Self {
        Self {
            decoder,
            encoding,
            after,
            measure: Measure::default(),
            encoder: None,
            decoded: Vec::new(),
            encoded: Vec::new(),
            announced: None,
            keyframe_wanted: false,
        }
    }

    fn frame(&mut self, frame: &Frame, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        self.measure.add(frame);
        self.decoder.decode(frame, &mut self.decoded)?;
        // The encoder is told the frame rate when it is made: the first picture waits for the second frame.
        if self.measure.frames() > 1 {
            self.encode(out)?;
        }
        if let Some(encoder) = self.encoder.as_mut().filter(|_| frame.keyframe) {
            encoder.follow(&self.measure);
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        self.decoder.drain(&mut self.decoded)?;
        self.encode(out)?;
        if let Some(mut encoder) = self.encoder.take() {
            encoder.drain(&mut self.encoded)?;
        }
        self.give(out)
    }

    fn encode(&mut self, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        let after = self.after;
        for picture in self.decoded.drain(..).filter(|picture| picture.pts > after) {
            let settings = Settings::of(&picture);
            let fresh = match &mut self.encoder {
                Some(encoder) if encoder.settings() == settings => false,
                encoder => {
                    if let Some(mut old) = encoder.take() {
                        old.drain(&mut self.encoded)?;
                    }
                    *encoder =
                        Some(Encoder::open(settings, self.encoding, Profile::Baseline, &self.measure, 0)?);
                    true
                }
            };
            let keyframe = fresh || picture.keyframe || std::mem::take(&mut self.keyframe_wanted);
            if let Some(encoder) = &mut self.encoder {
                encoder.encode(picture, keyframe, &mut self.encoded)?;
            }
        }
        self.give(out)
    }

    fn give(&mut self, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        let source = self.decoder.track();
        for Encoded { pts, keyframe, payload } in self.encoded.drain(..) {
            if keyframe {
                let track = track(&payload, source)?;
                if self.announced.as_ref() != Some(&track) {
                    out.push(FromWorker::Track(track.clone()));
                    self.announced = Some(track);
                }
            }
            let track = source.id;
            out.push(FromWorker::Frame(Frame { track, pts, dts: pts, keyframe, disposable: false, payload }));
        }
        Ok(())
    }
}
