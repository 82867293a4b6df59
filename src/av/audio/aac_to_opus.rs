//! One track of AAC to Opus.

use super::clock::{Place, SampleClock};
use super::decoder::{Decoder, FRAME};
use super::packets::{PACKET, Packet, Packets};
use super::resampler::Resampler;
use crate::codec::Malformed;
use crate::codec::aac::{self, AudioSpecificConfig, object_type};
use crate::codec::opus::{OpusHead, SAMPLE_RATE};
use crate::media::{AudioParams, Codec, Frame, MediaTime, Params, Track};

/// Frames over which sound that is left out goes over into the sound behind it: 5 ms.
const CROSS_FADE: usize = 256;

/// Why a track cannot be converted, in words for the viewer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsupported {
    /// Another codec than AAC.
    #[error("the sound is {0}, not AAC")]
    NotAac(Codec),
    /// The configuration record cannot be read.
    #[error("the configuration of the sound cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// SBR or parametric stereo.
    #[error("HE-AAC cannot be converted yet: choose AAC-LC in the encoder")]
    HighEfficiency,
    /// Another object type than LC.
    #[error("AAC of object type {0} cannot be converted yet: choose AAC-LC in the encoder")]
    ObjectType(u8),
    /// More than two channels.
    #[error("{0} channels of sound cannot be converted yet: choose stereo or mono in the encoder")]
    Channels(u8),
    /// A rate that AAC has no index for (ISO/IEC 14496-3 §1.6.3.4).
    #[error("{0} samples of sound a second cannot be converted: choose 48000 or 44100 in the encoder")]
    SampleRate(u32),
    /// Access units of 960 samples, which broadcast radio has.
    #[error("AAC frames of {0} samples cannot be converted: choose frames of 1024 in the encoder")]
    FrameLength(u32),
    /// A library refused what it should take.
    #[error("the sound cannot be converted: {0}")]
    Library(String),
}

/// Converts a track of AAC-LC, mono or stereo, to Opus in packets of 20 ms.
///
/// A packet's time is that of the first sample it decodes to: the delays of resampler and encoder are taken out. (That of
/// an AAC encoder is not in the timestamps in the first place: by the convention of all muxers, an access unit's time
/// is that of the first sample that a decoder gives for it.) So the first packet stands the encoder's look-ahead,
/// 6.5 ms, before the first access unit.
pub struct AacToOpus {
    source: Track,
    sample_rate: u32,
    channels: u8,
    decoder: Decoder,
    encoding: Encoding,
    /// `None` before the first frame, and after a flush.
    clock: Option<SampleClock>,
    /// The end of the last packet: none begins before it.
    end: MediaTime,
    packets: Vec<Packet>,
}

/// What becomes of decoded sound.
struct Encoding {
    channels: usize,
    resampler: Resampler,
    packets: Packets,
    /// The first of the access units that are being left out.
    left_out: Option<Vec<f32>>,
}

impl AacToOpus {
    /// For a track of AAC.
    ///
    /// # Errors
    /// When it is something else, or AAC of a kind that cannot be converted here.
    pub fn new(track: &Track) -> Result<Self, Unsupported> {
        if track.codec != Codec::Aac {
            return Err(Unsupported::NotAac(track.codec));
        }
        let config = AudioSpecificConfig::parse(&track.config)?;
        let (sample_rate, channels) = (config.core_sample_rate, config.core_channels);
        if config.sbr.is_some() {
            return Err(Unsupported::HighEfficiency);
        }
        if config.object_type != object_type::LC {
            return Err(Unsupported::ObjectType(config.object_type));
        }
        if !(1..=2).contains(&channels) {
            return Err(Unsupported::Channels(channels));
        }
        // Their ratios to Opus's rate are those of small numbers; others could cost any amount of memory.
        if !aac::SAMPLE_RATES.contains(&sample_rate) {
            return Err(Unsupported::SampleRate(sample_rate));
        }
        if let Some(samples) = config.core_frame_samples.filter(|&samples| samples as usize != FRAME) {
            return Err(Unsupported::FrameLength(samples));
        }
        Ok(Self {
            source: track.clone(),
            sample_rate,
            channels,
            decoder: Decoder::new(sample_rate, channels)?,
            encoding: Encoding {
                channels: channels.into(),
                resampler: Resampler::new(sample_rate, SAMPLE_RATE, channels.into())?,
                packets: Packets::new(channels)?,
                left_out: None,
            },
            clock: None,
            end: MediaTime::from_nanos(i64::MIN),
            packets: Vec::new(),
        })
    }

    /// The track that comes out: Opus, with the id of the source's.
    pub fn track(&self) -> Track {
        let head = OpusHead {
            channels: self.channels,
            pre_skip: self.encoding.packets.look_ahead(),
            input_sample_rate: self.sample_rate,
            output_gain: 0,
            mapping: None,
        };
        let params = AudioParams { sample_rate: SAMPLE_RATE, channels: self.channels, frame_samples: None };
        Track {
            codec: Codec::Opus,
            config: head.encode(),
            params: Params::Audio(params),
            ..self.source.clone()
        }
    }

    /// The end of the last packet so far.
    pub const fn end(&self) -> MediaTime {
        self.end
    }

    /// Lets no packet begin before this time.
    pub const fn not_before(&mut self, end: MediaTime) {
        self.end = end;
    }

    /// Access units so far that could not be decoded, and became short gaps.
    pub const fn concealed(&self) -> u64 {
        self.decoder.concealed()
    }

    /// Appends the packets that are complete with this frame.
    pub fn convert(&mut self, frame: &Frame, out: &mut Vec<Frame>) {
        if self.clock.is_none() {
            self.begin(frame.pts);
        }
        match self.clock.as_mut().map_or(Place::Next, |clock| clock.place(frame.pts)) {
            Place::Next => {}
            Place::AfterGap(frames) => {
                self.encoding.write(self.decoder.fade_out());
                (1..frames).for_each(|_| self.encoding.write_silence());
            }
            Place::Elsewhere => {
                self.flush(out);
                self.begin(frame.pts);
            }
            Place::Surplus => return self.encoding.leave_out(self.decoder.decode(&frame.payload)),
        }
        self.encoding.write(self.decoder.decode(&frame.payload));
        let Some(clock) = &mut self.clock else { return };
        clock.advance(FRAME as u32);
        while let Some(packet) = self.encoding.packets.next(clock) {
            self.packets.push(packet);
        }
        self.give(out);
    }

    /// Appends what is still inside, with a soft end. The next frame begins anew, wherever it stands.
    pub fn flush(&mut self, out: &mut Vec<Frame>) {
        let Some(mut clock) = self.clock.take() else { return };
        clock.advance(FRAME as u32);
        self.encoding.write(self.decoder.fade_out());
        // More than the resampler holds back.
        self.encoding.write_silence();
        self.encoding.packets.finish(clock.now(), &mut self.packets);
        self.give(out);
    }

    /// Sets the clock.
    fn begin(&mut self, pts: MediaTime) {
        let look_ahead = MediaTime::from_ticks(self.encoding.packets.look_ahead().into(), SAMPLE_RATE);
        let start = pts.max(self.end + look_ahead);
        self.encoding.begin(start);
        self.clock = Some(SampleClock::new(self.sample_rate, FRAME as u32, SAMPLE_RATE, start));
    }

    fn give(&mut self, out: &mut Vec<Frame>) {
        for Packet { pts, payload } in self.packets.drain(..) {
            self.end = pts + MediaTime::from_ticks(PACKET as i64, SAMPLE_RATE);
            let track = self.source.id;
            out.push(Frame { track, pts, dts: pts, keyframe: true, disposable: true, payload });
        }
    }
}

impl Encoding {
    fn begin(&mut self, start: MediaTime) {
        self.resampler.reset();
        self.packets.start(start);
        self.left_out = None;
    }

    /// Takes the next [`FRAME`] frames.
    fn write(&mut self, sound: &[f32]) {
        let joined = self.left_out.take().map(|mut joined| {
            // The sound that was left out goes on where the last that was not ended: it leads over.
            for (index, (old, new)) in joined.iter_mut().zip(sound).enumerate() {
                let share = ((index / self.channels) as f32 / CROSS_FADE as f32).min(1.0);
                *old += (new - *old) * share;
            }
            joined
        });
        let sound = joined.as_deref().unwrap_or(sound);
        self.packets.push(self.resampler.resample(sound));
    }

    fn write_silence(&mut self) {
        self.write(&vec![0.0; FRAME * self.channels]);
    }

    /// Takes [`FRAME`] frames that no time is left for.
    fn leave_out(&mut self, sound: &[f32]) {
        self.left_out.get_or_insert_with(|| sound.to_vec());
    }
}

impl From<symphonia_core::errors::Error> for Unsupported {
    fn from(error: symphonia_core::errors::Error) -> Self {
        Self::Library(error.to_string())
    }
}

impl From<rubato::ResamplerConstructionError> for Unsupported {
    fn from(error: rubato::ResamplerConstructionError) -> Self {
        Self::Library(error.to_string())
    }
}

impl From<opus::Error> for Unsupported {
    fn from(error: opus::Error) -> Self {
        Self::Library(error.to_string())
    }
}
