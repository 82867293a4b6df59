//! Frames as RTP payloads: made once per stream, shared by all its viewers.
//!
//! Senders hand the kernel many packets at once, and it wants them of equal sizes (UDP GSO). So packets are filled to the
//! last byte, and only the last of a run is shorter: the last of a frame, or of a NAL unit of H.264.

mod av1;
mod h264;
mod opus;
mod picture_id;
mod vp8;
mod vp9;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};

use self::av1::Av1;
use self::h264::H264;
use self::picture_id::PictureId;
use self::vp8::Vp8;
use self::vp9::Vp9;
use crate::codec::Malformed;
use crate::media::{Codec, Frame, Kind, Track};

/// Payloads are never asked to be smaller than this, in bytes: room for every codec's payload header and some media.
pub const MIN_PAYLOAD: usize = 64;
/// Nor larger: what the lengths in an aggregation packet can say.
const MAX_PAYLOAD: usize = u16::MAX as usize;

/// What follows the header in one RTP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The bytes, with the codec's own payload header. Payloads of a frame share one allocation.
    pub bytes: Bytes,
    /// The marker bit of the header: the last packet of a video frame. Never set for sound.
    pub marker: bool,
}

/// The codec of a track is none that WebRTC viewers can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("WebRTC viewers cannot take this {codec}")]
pub struct Unsupported {
    /// The codec: AAC, H.265, or Opus of more than one stream (more than two channels).
    pub codec: Codec,
}

/// Makes RTP payloads of the frames of one track.
#[derive(Debug)]
pub struct Packetizer {
    form: Form,
    max_payload: usize,
}

/// What is particular to a codec.
#[derive(Debug)]
enum Form {
    H264(H264),
    Vp8(Vp8),
    Vp9(Vp9),
    Av1(Av1),
    Opus,
}

impl Packetizer {
    /// For the frames of `track`, with payloads of at most `max_payload` bytes, [`MIN_PAYLOAD`] at least.
    pub fn new(track: &Track, max_payload: usize) -> Result<Self, Unsupported> {
        let form = match track.codec {
            Codec::H264 => Form::H264(H264::new(&track.config)),
            Codec::Vp8 => Form::Vp8(Vp8::default()),
            Codec::Vp9 => Form::Vp9(Vp9::default()),
            Codec::Av1 => Form::Av1(Av1::new(&track.config)),
            Codec::Opus if opus::is_single_stream(&track.config) => Form::Opus,
            codec => return Err(Unsupported { codec }),
        };
        Ok(Self { form, max_payload: max_payload.clamp(MIN_PAYLOAD, MAX_PAYLOAD) })
    }

    /// Goes on with a new configuration of the track. Unlike a new packetizer's, the pictures' numbers go on too when the
    /// codec stays.
    pub fn configure(&mut self, track: &Track) -> Result<(), Unsupported> {
        match (&self.form, track.codec) {
            // These have all they need in-band.
            (Form::Vp8(_), Codec::Vp8) | (Form::Vp9(_), Codec::Vp9) => {}
            _ => *self = Self::new(track, self.max_payload)?,
        }
        Ok(())
    }

    /// Ticks a second of the RTP timestamps.
    pub fn clock_rate(&self) -> u32 {
        match self.kind() {
            Kind::Video => 90_000,
            Kind::Audio => crate::codec::opus::SAMPLE_RATE,
        }
    }

    /// Appends the payloads of a frame in its canonical form. A malformed frame appends nothing; so does one in which
    /// nothing is for viewers, like a lone access unit delimiter.
    pub fn packetize(&mut self, frame: &Frame, out: &mut Vec<Payload>) -> Result<(), Malformed> {
        let first = out.len();
        let kind = self.kind();
        let mut writer = Writer::new(out, self.max_payload, frame.payload.len());
        let written = match &mut self.form {
            Form::H264(h264) => h264.packetize(frame, &mut writer),
            Form::Vp8(vp8) => vp8.packetize(frame, &mut writer),
            Form::Vp9(vp9) => vp9.packetize(frame, &mut writer),
            Form::Av1(av1) => av1.packetize(frame, &mut writer),
            Form::Opus => opus::packetize(frame, &mut writer),
        };
        if written.is_err() {
            out.truncate(first);
        }
        if let Some(last) = out.get_mut(first..).and_then(<[Payload]>::last_mut) {
            last.marker = kind == Kind::Video;
        }
        written
    }

    fn kind(&self) -> Kind {
        match self.form {
            Form::H264(_) | Form::Vp8(_) | Form::Vp9(_) | Form::Av1(_) => Kind::Video,
            Form::Opus => Kind::Audio,
        }
    }
}

/// Writes the payloads of a frame one after the other into one buffer, of which each gets its part.
struct Writer<'a> {
    out: &'a mut Vec<Payload>,
    buffer: BytesMut,
    max_payload: usize,
}

impl<'a> Writer<'a> {
    fn new(out: &'a mut Vec<Payload>, max_payload: usize, frame_len: usize) -> Self {
        // The payload headers of packets as large as a datagram come to less than 1 % and those of a frame's small NAL
        // units to a few bytes. Where it is more, the buffer grows.
        let capacity = frame_len + frame_len / 64 + 64;
        Self { out, buffer: BytesMut::with_capacity(capacity), max_payload }
    }

    /// Appends to the payload being written.
    fn put(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// Ends the payload being written.
    fn end_payload(&mut self) {
        debug_assert!(self.buffer.len() <= self.max_payload, "{} bytes", self.buffer.len());
        let bytes = self.buffer.split().freeze();
        self.out.push(Payload { bytes, marker: false });
    }

    /// A payload that needs no header is shared as it is.
    fn push(&mut self, bytes: Bytes) {
        self.out.push(Payload { bytes, marker: false });
    }
}
