//! Samples at 48 kHz to AAC access units with their times.

use bytes::Bytes;
use onair::av::audio::{Packet, REACH, SampleClock, stretch};
use onair::codec::opus::SAMPLE_RATE;
use onair::media::MediaTime;

use crate::error::{Doing, JobError};
use crate::libav::codec::{Context, Id, encoder};
use crate::libav::format::{Sample, sample};
use crate::libav::{ChannelLayout, ChannelLayoutMask, Error, Packet as LibraryPacket, Rational, frame};

/// Samples of an access unit.
pub const UNIT: usize = 1024;

/// Bits a second of a channel: transparent for nearly everything.
const BITRATE: usize = 80_000;

/// What is encoded, in a queue.
///
/// The encoder's first access unit holds nothing but the 1,024 samples of its own start. It is left out, and the times of the
/// others are those of the samples that they decode to.
pub struct Units {
    channels: u8,
    /// Begins with the first sample after a start.
    encoder: Option<encoder::audio::Encoder>,
    /// Interleaved: the last [`REACH`] frames that were encoded, then those that are to be.
    pending: Vec<f32>,
    stretched: Vec<f32>,
    /// Media time of the first sample since the start.
    start: MediaTime,
    /// Frames that went into the encoder since the start.
    sent: i64,
}

impl Units {
    /// For one or two channels.
    pub const fn new(channels: u8) -> Self {
        Self {
            channels,
            encoder: None,
            pending: Vec::new(),
            stretched: Vec::new(),
            start: MediaTime::ZERO,
            sent: 0,
        }
    }

    /// Forgets what is pending; the next sample is heard at `time`.
    pub fn start(&mut self, time: MediaTime) {
        self.pending.clear();
        self.pending.resize(REACH * usize::from(self.channels), 0.0);
        self.encoder = None;
        self.start = time;
        self.sent = 0;
    }

    /// Adds interleaved samples.
    pub fn push(&mut self, sound: &[f32]) {
        self.pending.extend_from_slice(sound);
    }

    /// Appends the access units that there are samples enough for.
    ///
    /// # Errors
    /// When the library fails.
    pub fn encode(&mut self, clock: &mut SampleClock, out: &mut Vec<Packet>) -> Result<(), JobError> {
        // One more for a correction, and those that its interpolation looks at.
        let enough = (REACH + UNIT + 1 + REACH) * usize::from(self.channels);
        while self.pending.len() >= enough {
            self.encode_unit(clock.correction(), out)?;
        }
        Ok(())
    }

    /// Appends the access units until `time`, with silence behind what is pending.
    ///
    /// # Errors
    /// When the library fails.
    pub fn finish(&mut self, time: MediaTime, out: &mut Vec<Packet>) -> Result<(), JobError> {
        // The encoder holds back a unit, and its times are one before its samples'.
        let held = MediaTime::from_ticks(2 * UNIT as i64, SAMPLE_RATE);
        while self.start + MediaTime::from_ticks(self.sent, SAMPLE_RATE) < time + held {
            let needed = (REACH + UNIT) * usize::from(self.channels);
            self.pending.resize(self.pending.len().max(needed), 0.0);
            self.encode_unit(0, out)?;
        }
        self.encoder = None;
        out.retain(|unit| unit.pts < time);
        Ok(())
    }

    /// Makes a unit of `UNIT + more` frames.
    fn encode_unit(&mut self, more: i64, out: &mut Vec<Packet>) -> Result<(), JobError> {
        let channels = usize::from(self.channels);
        let sound = if more == 0 {
            &self.pending[REACH * channels..(REACH + UNIT) * channels]
        } else {
            self.stretched.clear();
            stretch(&self.pending, channels, UNIT, more, &mut self.stretched);
            &self.stretched
        };
        let mut frame = planar(sound, self.channels);
        frame.set_pts(Some(self.sent));
        self.sent += UNIT as i64;
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(open(self.channels)?),
        };
        encoder.send_frame(&frame).doing("encoding sound")?;
        loop {
            let mut packet = LibraryPacket::empty();
            match encoder.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => break,
                Err(error) => return Err(error).doing("encoding sound"),
            }
            // Before zero there is nothing but the encoder's start.
            let (Some(sample @ 0..), Some(data)) = (packet.pts(), packet.data()) else { continue };
            let pts = self.start + MediaTime::from_ticks(sample, SAMPLE_RATE);
            out.push(Packet { pts, payload: Bytes::copy_from_slice(data) });
        }
        let used = UNIT.saturating_add_signed(more as isize);
        self.pending.drain(..used * channels);
        Ok(())
    }
}

fn open(channels: u8) -> Result<encoder::audio::Encoder, JobError> {
    let codec = encoder::find(Id::AAC).ok_or_else(|| {
        JobError::Refused("the media library of this machine has no AAC encoder".to_owned())
    })?;
    let mut audio = Context::new_with_codec(codec).encoder().audio().doing("opening the encoder")?;
    audio.set_rate(SAMPLE_RATE as i32);
    audio.set_format(Sample::F32(sample::Type::Planar));
    audio.set_ch_layout(ChannelLayout::default_for_channels(channels.into()));
    audio.set_time_base(Rational(1, SAMPLE_RATE as i32));
    audio.set_bit_rate(BITRATE * usize::from(channels));
    audio.open_as(codec).doing("opening the encoder")
}

/// Interleaved samples as a frame of the library's.
fn planar(sound: &[f32], channels: u8) -> frame::Audio {
    let mask = if channels > 1 { ChannelLayoutMask::STEREO } else { ChannelLayoutMask::MONO };
    let channels = usize::from(channels);
    let mut frame = frame::Audio::new(Sample::F32(sample::Type::Planar), sound.len() / channels, mask);
    frame.set_rate(SAMPLE_RATE);
    for channel in 0..channels {
        let samples = sound.iter().skip(channel).step_by(channels);
        for (to, from) in frame.plane_mut::<f32>(channel).iter_mut().zip(samples) {
            *to = *from;
        }
    }
    frame
}
