//! Samples at 48 kHz to Opus packets with their times.

use bytes::Bytes;
use opus::{Application, Bitrate, Channels, Encoder, Error};

use super::clock::SampleClock;
use super::stretch::{REACH, stretch};
use crate::codec::opus::SAMPLE_RATE;
use crate::media::MediaTime;

/// Samples of a packet: 20 ms, which every WebRTC peer takes and sends.
pub const PACKET: usize = 960;

/// Bits a second, for one channel and for two: transparent for nearly everything.
const BITRATES: [i32; 2] = [64_000, 128_000];

/// Percent of packets that the encoder expects to be lost. At more than this libopus gives up its music mode for the
/// sake of redundancy that only its speech mode has; at this it does so for what sounds like speech.
const EXPECTED_LOSS: i32 = 5;

/// The longest packet of 20 ms (RFC 6716 §3.4), with its two bytes of table of contents.
const MAX_PACKET: usize = 1277;

/// What is encoded, in a queue: interleaved samples at 48 kHz in, Opus packets out.
pub struct Packets {
    encoder: Encoder,
    channels: usize,
    /// Samples by which the encoder's output is behind its input.
    look_ahead: u16,
    /// Interleaved: the last [`REACH`] frames that were encoded, then those that are to be.
    pending: Vec<f32>,
    stretched: Vec<f32>,
    buffer: Box<[u8; MAX_PACKET]>,
    /// Media time of the first sample since the start.
    start: MediaTime,
    /// Packets since the start.
    packets: i64,
}

/// A packet, and when it is heard.
#[derive(Debug)]
pub struct Packet {
    /// When its first sample is heard.
    pub pts: MediaTime,
    /// The packet.
    pub payload: Bytes,
}

impl Packets {
    /// For one or two channels.
    ///
    /// # Errors
    /// When the library cannot make an encoder.
    pub fn new(channels: u8) -> Result<Self, Error> {
        let stereo = channels > 1;
        let layout = if stereo { Channels::Stereo } else { Channels::Mono };
        let mut encoder = Encoder::new(SAMPLE_RATE, layout, Application::Audio)?;
        encoder.set_bitrate(Bitrate::Bits(BITRATES[usize::from(stereo)]))?;
        encoder.set_inband_fec(true)?;
        encoder.set_packet_loss_perc(EXPECTED_LOSS)?;
        let look_ahead = u16::try_from(encoder.get_lookahead()?).unwrap_or(0);
        Ok(Self {
            encoder,
            channels: 1 + usize::from(stereo),
            look_ahead,
            pending: Vec::new(),
            stretched: Vec::new(),
            buffer: Box::new([0; MAX_PACKET]),
            start: MediaTime::ZERO,
            packets: 0,
        })
    }

    /// Samples by which a packet's sound is behind the samples that made it; already taken out of its time.
    pub const fn look_ahead(&self) -> u16 {
        self.look_ahead
    }

    /// Forgets what is pending; the next sample is heard at `time`.
    pub fn start(&mut self, time: MediaTime) {
        self.pending.clear();
        self.pending.resize(REACH * self.channels, 0.0);
        self.start = time;
        self.packets = 0;
    }

    /// When the next packet is heard.
    pub fn next_pts(&self) -> MediaTime {
        let samples = self.packets * PACKET as i64 - i64::from(self.look_ahead);
        self.start + MediaTime::from_ticks(samples, SAMPLE_RATE)
    }

    /// Adds interleaved samples.
    pub fn push(&mut self, sound: &[f32]) {
        self.pending.extend_from_slice(sound);
    }

    /// The next packet, as soon as there are enough samples.
    pub fn next(&mut self, clock: &mut SampleClock) -> Option<Packet> {
        // One more for a correction, and those that its interpolation looks at.
        const ENOUGH: usize = REACH + PACKET + 1 + REACH;
        (self.pending.len() >= ENOUGH * self.channels).then(|| self.encode(clock.correction())).flatten()
    }

    /// The packets until `time`, with silence behind what is pending.
    pub fn finish(&mut self, time: MediaTime, out: &mut Vec<Packet>) {
        while self.next_pts() < time {
            let needed = (REACH + PACKET) * self.channels;
            self.pending.resize(self.pending.len().max(needed), 0.0);
            out.extend(self.encode(0));
        }
    }

    /// Makes a packet of `PACKET + more` frames.
    fn encode(&mut self, more: i64) -> Option<Packet> {
        let Self { channels, .. } = *self;
        let pts = self.next_pts();
        self.packets += 1;
        let sound = if more == 0 {
            &self.pending[REACH * channels..(REACH + PACKET) * channels]
        } else {
            self.stretched.clear();
            stretch(&self.pending, channels, PACKET, more, &mut self.stretched);
            &self.stretched
        };
        let encoded = self.encoder.encode_float(sound, &mut self.buffer[..]);
        let used = PACKET.saturating_add_signed(more as isize);
        self.pending.drain(..used * channels);
        match encoded {
            Ok(length) => Some(Packet { pts, payload: Bytes::copy_from_slice(&self.buffer[..length]) }),
            Err(error) => {
                tracing::error!(%error, "20 ms of sound are missing: libopus cannot encode them");
                None
            }
        }
    }
}
