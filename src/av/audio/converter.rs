//! Sound that every browser takes, as a converted rendition of the hub.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use super::aac_to_opus::{AacToOpus, Unsupported};
use crate::hub::{Batch, Conversion, Converter, Item, Refusal, Rendition};
use crate::media::{Codec, Frame, Kind, MediaTime, Track};
use crate::metrics::Metrics;

/// Makes renditions whose sound is Opus and whose picture is as it was.
///
/// Sound that is Opus already passes untouched, and so does all that is no sound. Sound that cannot be converted refuses
/// the rendition when it is there from the start; when it comes later, the rendition goes on without sound.
#[derive(Debug)]
pub struct AudioConverter {
    /// Access units that could not be decoded.
    concealed: Counter,
}

impl AudioConverter {
    /// Counts in these metrics.
    pub fn new(metrics: &Metrics) -> Self {
        let concealed = Counter::default();
        metrics.register(
            "aac_units_concealed",
            "AAC access units that could not be decoded and were replaced by a short fade",
            concealed.clone(),
        );
        Self { concealed }
    }
}

impl Converter for AudioConverter {
    fn conversion(
        &self,
        rendition: &Rendition,
        tracks: &[Arc<Track>],
    ) -> Option<Result<Box<dyn Conversion>, Refusal>> {
        let Rendition::Converted { video: None, audio: Some(Codec::Opus), .. } = rendition else {
            return None;
        };
        let mut refused = None;
        for track in tracks.iter().filter(|track| track.kind() == Kind::Audio) {
            match Sound::new(track) {
                Ok(_) => {
                    // One that can be converted is enough.
                    refused = None;
                    break;
                }
                Err(reason) => refused = refused.or(Some(reason)),
            }
        }
        Some(match refused {
            Some(reason) => Err(Refusal::Unconvertible(reason.to_string())),
            None => Ok(Box::new(ToOpus::new(self.concealed.clone()))),
        })
    }
}

/// A conversion of all tracks of sound.
struct ToOpus {
    lanes: Vec<Lane>,
    frames: Vec<Frame>,
    concealed: Counter,
}

impl ToOpus {
    const fn new(concealed: Counter) -> Self {
        Self { lanes: Vec::new(), frames: Vec::new(), concealed }
    }

    fn track(&mut self, track: Arc<Track>, out: &mut Batch) {
        let mut end = NEVER;
        if let Some(index) = self.lanes.iter().position(|lane| lane.source.id == track.id) {
            if self.lanes[index].source == track {
                return out.extend(self.lanes[index].track().map(Item::Track));
            }
            let mut old = self.lanes.swap_remove(index);
            old.flush(&mut self.frames);
            end = old.end;
            self.give(out);
        }
        if track.kind() == Kind::Video {
            return out.push(Item::Track(track));
        }
        let lane = Lane::new(track, end);
        out.extend(lane.track().map(Item::Track));
        self.lanes.push(lane);
    }

    fn frame(&mut self, frame: Frame, out: &mut Batch) {
        match self.lanes.iter_mut().find(|lane| lane.source.id == frame.track) {
            None => return out.push(Item::Frame(frame)),
            Some(lane) => lane.frame(frame, &mut self.frames, &self.concealed),
        }
        self.give(out);
    }

    fn give(&mut self, out: &mut Batch) {
        out.extend(self.frames.drain(..).map(Item::Frame));
    }
}

impl Conversion for ToOpus {
    fn convert(&mut self, item: Item, out: &mut Batch) {
        match item {
            Item::Track(track) => self.track(track, out),
            Item::Frame(frame) => self.frame(frame, out),
            Item::Lagged(_) | Item::Interrupted | Item::Ended => {
                self.lanes.iter_mut().for_each(|lane| lane.flush(&mut self.frames));
                self.give(out);
                out.push(item);
            }
            item => out.push(item),
        }
    }
}

/// Before all frames.
const NEVER: MediaTime = MediaTime::from_nanos(i64::MIN);

/// One track of sound.
struct Lane {
    source: Arc<Track>,
    sound: Sound,
    /// The end of what was given of this track so far, by whichever way.
    end: MediaTime,
}

/// What is done with it.
enum Sound {
    AsItIs,
    Converted(Box<AacToOpus>),
    LeftOut,
}

impl Sound {
    fn new(track: &Track) -> Result<Self, Unsupported> {
        match track.codec {
            Codec::Opus => Ok(Self::AsItIs),
            _ => Ok(Self::Converted(Box::new(AacToOpus::new(track)?))),
        }
    }
}

impl Lane {
    fn new(source: Arc<Track>, end: MediaTime) -> Self {
        let mut sound = Sound::new(&source).unwrap_or_else(|reason| {
            tracing::warn!(%reason, "the converted rendition has no sound");
            Sound::LeftOut
        });
        if let Sound::Converted(conversion) = &mut sound {
            conversion.not_before(end);
        }
        Self { source, sound, end }
    }

    /// The track that comes out, if one does.
    fn track(&self) -> Option<Arc<Track>> {
        match &self.sound {
            Sound::AsItIs => Some(Arc::clone(&self.source)),
            Sound::Converted(conversion) => Some(Arc::new(conversion.track())),
            Sound::LeftOut => None,
        }
    }

    fn frame(&mut self, frame: Frame, out: &mut Vec<Frame>, concealed: &Counter) {
        match &mut self.sound {
            // What was converted before lasts a few milliseconds longer than its source.
            Sound::AsItIs if frame.dts < self.end => {}
            Sound::AsItIs => out.push(frame),
            Sound::Converted(conversion) => {
                let before = conversion.concealed();
                conversion.convert(&frame, out);
                concealed.inc_by(conversion.concealed() - before);
                self.end = conversion.end();
            }
            Sound::LeftOut => {}
        }
    }

    fn flush(&mut self, out: &mut Vec<Frame>) {
        if let Sound::Converted(conversion) = &mut self.sound {
            conversion.flush(out);
            self.end = conversion.end();
        }
    }
}
