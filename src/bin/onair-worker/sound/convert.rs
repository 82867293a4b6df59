//! One track of sound to another codec, each sample heard when it was.

use onair::av::audio::{PACKET, Packet, Packets, Place, SampleClock};
use onair::av::worker::ipc::{FromWorker, SoundTarget};
use onair::codec::aac::AudioSpecificConfig;
use onair::codec::opus::{OpusHead, SAMPLE_RATE};
use onair::media::{AudioParams, Codec, Frame, MediaTime, Params, Track};

use super::aac::{UNIT, Units};
use super::decoder::{Decoded, Decoder};
use crate::error::JobError;

/// Converts a track. A packet's time is that of the first sample that it decodes to: the delays of resampler and encoder are
/// taken out.
pub struct Sound {
    source: Track,
    channels: u8,
    decoder: Decoder,
    encoder: Encoder,
    /// Of the frames since the clock was set.
    clock: Option<Clock>,
    /// The end of the last packet: none begins before it.
    end: MediaTime,
    samples: Vec<f32>,
    packets: Vec<Packet>,
}

/// A clock for frames of one size.
struct Clock {
    clock: SampleClock,
    frame: u32,
    rate: u32,
}

enum Encoder {
    Opus(Box<Packets>),
    Aac(Units),
}

impl Encoder {
    fn start(&mut self, time: MediaTime) {
        match self {
            Self::Opus(packets) => packets.start(time),
            Self::Aac(units) => units.start(time),
        }
    }

    fn push(&mut self, sound: &[f32]) {
        match self {
            Self::Opus(packets) => packets.push(sound),
            Self::Aac(units) => units.push(sound),
        }
    }

    fn encode(&mut self, clock: &mut SampleClock, out: &mut Vec<Packet>) -> Result<(), JobError> {
        match self {
            Self::Opus(packets) => {
                out.extend(std::iter::from_fn(|| packets.next(clock)));
                Ok(())
            }
            Self::Aac(units) => units.encode(clock, out),
        }
    }

    fn finish(&mut self, time: MediaTime, out: &mut Vec<Packet>) -> Result<(), JobError> {
        match self {
            Self::Opus(packets) => {
                packets.finish(time, out);
                Ok(())
            }
            Self::Aac(units) => units.finish(time, out),
        }
    }

    /// How far before its first sample the first packet begins.
    fn look_ahead(&self) -> MediaTime {
        match self {
            Self::Opus(packets) => MediaTime::from_ticks(packets.look_ahead().into(), SAMPLE_RATE),
            Self::Aac(_) => MediaTime::ZERO,
        }
    }

    const fn packet_samples(&self) -> usize {
        match self {
            Self::Opus(_) => PACKET,
            Self::Aac(_) => UNIT,
        }
    }
}

impl Sound {
    /// From a track of sound.
    ///
    /// # Errors
    /// When it cannot be converted.
    pub fn new(source: Track, target: SoundTarget) -> Result<Self, JobError> {
        let channels = source.audio().map_or(2, |audio| audio.channels).clamp(1, 2);
        let decoder = Decoder::open(&source, channels)?;
        let encoder = match target {
            SoundTarget::Opus => {
                let packets = Packets::new(channels);
                Encoder::Opus(Box::new(packets.map_err(|error| JobError::Refused(error.to_string()))?))
            }
            SoundTarget::Aac => Encoder::Aac(Units::new(channels)),
        };
        let end = MediaTime::from_nanos(i64::MIN);
        Ok(Self {
            source,
            channels,
            decoder,
            encoder,
            clock: None,
            end,
            samples: Vec::new(),
            packets: Vec::new(),
        })
    }

    /// The track that comes out, with the id of the source's.
    ///
    /// # Errors
    /// Never: rate and channels are of those that a record can name.
    pub fn track(&self) -> Result<Track, JobError> {
        let Self { channels, .. } = *self;
        let (codec, config, frame_samples) = match &self.encoder {
            Encoder::Opus(packets) => {
                let head = OpusHead {
                    channels,
                    pre_skip: packets.look_ahead(),
                    input_sample_rate: SAMPLE_RATE,
                    output_gain: 0,
                    mapping: None,
                };
                (Codec::Opus, head.encode(), None)
            }
            Encoder::Aac(_) => {
                let record = AudioSpecificConfig::encode_lc(SAMPLE_RATE, channels)?;
                (Codec::Aac, record, Some(UNIT as u32))
            }
        };
        let params = Params::Audio(AudioParams { sample_rate: SAMPLE_RATE, channels, frame_samples });
        Ok(Track { codec, config, params, ..self.source.clone() })
    }

    /// Appends the packets that are complete with this frame. What cannot be decoded is left out, and its time is filled as
    /// that of a frame that did not come.
    ///
    /// # Errors
    /// When a library fails.
    pub fn convert(&mut self, frame: &Frame, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        let Some(decoded) = self.decoder.decode(frame)? else { return Ok(()) };
        let Decoded { pts, source_samples, source_rate, .. } = decoded;
        let fits = |clock: &Clock| (clock.frame, clock.rate) == (source_samples, source_rate);
        if !self.clock.as_ref().is_some_and(fits) {
            self.flush(out)?;
            self.begin(pts, source_samples, source_rate);
        }
        match self.clock.as_mut().map_or(Place::Next, |clock| clock.clock.place(pts)) {
            Place::Next => {}
            Place::AfterGap(frames) => {
                let samples = u64::from(frames) * u64::from(source_samples) * u64::from(SAMPLE_RATE);
                let samples = samples / u64::from(source_rate) * u64::from(self.channels);
                // A gap that is filled is shorter than a second.
                self.encoder.push(&vec![0.0; samples as usize]);
            }
            Place::Elsewhere => {
                self.flush(out)?;
                self.begin(pts, source_samples, source_rate);
            }
            Place::Surplus => return Ok(()),
        }
        self.samples.clear();
        self.decoder.resample(decoded, &mut self.samples)?;
        self.encoder.push(&self.samples);
        if let Some(Clock { clock, .. }) = &mut self.clock {
            clock.advance(source_samples);
            self.encoder.encode(clock, &mut self.packets)?;
        }
        self.give(out);
        Ok(())
    }

    /// Appends what is still inside. The next frame begins anew, wherever it stands.
    ///
    /// # Errors
    /// When a library fails.
    pub fn flush(&mut self, out: &mut Vec<FromWorker>) -> Result<(), JobError> {
        let Some(Clock { clock, .. }) = self.clock.take() else { return Ok(()) };
        self.samples.clear();
        self.decoder.drain(&mut self.samples)?;
        self.encoder.push(&self.samples);
        self.encoder.finish(clock.now(), &mut self.packets)?;
        self.give(out);
        Ok(())
    }

    fn begin(&mut self, pts: MediaTime, frame: u32, rate: u32) {
        let start = pts.max(self.end + self.encoder.look_ahead());
        self.encoder.start(start);
        self.clock = Some(Clock { clock: SampleClock::new(rate, frame, SAMPLE_RATE, start), frame, rate });
    }

    fn give(&mut self, out: &mut Vec<FromWorker>) {
        let samples = self.encoder.packet_samples() as i64;
        for Packet { pts, payload } in self.packets.drain(..) {
            self.end = pts + MediaTime::from_ticks(samples, SAMPLE_RATE);
            let track = self.source.id;
            let frame = Frame { track, pts, dts: pts, keyframe: true, disposable: true, payload };
            out.push(FromWorker::Frame(frame));
        }
    }
}
