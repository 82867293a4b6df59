//! The stream that is published: pictures made by arithmetic, legal for a demuxer but not for a decoder, and real sound,
//! which servers may convert.
//!
//! 1280×720 at 30 frames a second, H.264 of 1.5 Mbit/s with a keyframe every 2 s and no B-frames, and AAC of
//! 100 kbit/s. Every picture carries a [`Mark`]: its number and the moment it was sent.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::aac::AdtsHeader;

/// Pictures a second.
pub const FRAME_RATE: u64 = 30;
/// Pictures from one keyframe to the next.
pub const GOP: u64 = 60;
/// Bits of video a second.
pub const VIDEO_BITRATE: u64 = 1_500_000;
/// Bytes of a keyframe, as an encoder with a small buffer makes them.
const KEYFRAME_BYTES: usize = 40_000;
/// Bytes of every other picture: what is left of the bit rate.
const FRAME_BYTES: usize =
    ((VIDEO_BITRATE / 8 * GOP / FRAME_RATE) as usize - KEYFRAME_BYTES) / (GOP as usize - 1);

/// Samples of sound a second.
const SAMPLE_RATE: u64 = 48_000;
/// Samples in an AAC frame.
const SAMPLES_PER_FRAME: u64 = 1024;
/// Two seconds of AAC of 100 kbit/s, in ADTS.
const SOUND: &[u8] = include_bytes!("../../media-fixtures/bench-sound.aac");

/// Main profile, level 3.1, 1280×720, picture order is decoding order.
const SPS: [u8; 9] = [0x67, 0x4d, 0x00, 0x1f, 0xda, 0x01, 0x40, 0x16, 0xe4];
/// CAVLC, one slice group, no weighted prediction.
const PPS: [u8; 4] = [0x68, 0xce, 0x38, 0x80];
/// AAC-LC, 48 kHz, stereo (ISO/IEC 14496-3 §1.6.2.1).
const AUDIO_SPECIFIC_CONFIG: [u8; 2] = [0x11, 0x90];

/// NAL unit header and the beginning of a slice header: first macroblock 0, all slices intra, parameter set 0.
const IDR_SLICE: [u8; 3] = [0x65, 0x88, 0x80];
/// The same of a predicted picture.
const PREDICTED_SLICE: [u8; 3] = [0x41, 0x9a, 0x80];

/// FLV `VIDEODATA` of AVC: frame type and codec, packet type, composition time 0 (FLV 10.1 §E.4.3).
const KEYFRAME_HEADER: [u8; 5] = [0x17, 1, 0, 0, 0];
const FRAME_HEADER: [u8; 5] = [0x27, 1, 0, 0, 0];
/// FLV `AUDIODATA` of AAC (FLV 10.1 §E.4.2).
const AUDIO_HEADER: [u8; 2] = [0xaf, 1];

/// What precedes a mark. The bytes around it all have their highest bit set, so it occurs nowhere else, and no start
/// code or emulation prevention byte can come about.
const MAGIC: [u8; 8] = *b"~onair~>";
/// Bytes of a 64-bit number in groups of seven bits.
const NUMBER_BYTES: usize = 10;

/// What a picture says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its number, from 0.
    pub number: u64,
    /// When the publisher sent it, on the publisher's clock.
    pub sent: Duration,
}

impl Mark {
    /// Bytes of a mark.
    pub const LENGTH: usize = MAGIC.len() + 2 * NUMBER_BYTES;

    /// Whether the picture is a keyframe.
    pub const fn is_keyframe(self) -> bool {
        self.number.is_multiple_of(GOP)
    }

    /// The marks of all pictures in these bytes, whatever is around them.
    pub fn find_all(bytes: &[u8]) -> impl Iterator<Item = Self> {
        let mut rest = bytes;
        std::iter::from_fn(move || {
            loop {
                let at = rest.iter().position(|byte| *byte == MAGIC[0])?;
                rest = &rest[at..];
                if let Some(mark) = Self::read(rest) {
                    rest = &rest[Self::LENGTH..];
                    return Some(mark);
                }
                rest = &rest[1..];
            }
        })
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let numbers = bytes.get(..Self::LENGTH)?.strip_prefix(&MAGIC)?;
        let (number, sent) = numbers.split_at(NUMBER_BYTES);
        let value =
            |groups: &[u8]| groups.iter().fold(0, |value, group| value << 7 | u64::from(group & 0x7f));
        Some(Self { number: value(number), sent: Duration::from_nanos(value(sent)) })
    }

    fn write(self, out: &mut BytesMut) {
        let nanos = u64::try_from(self.sent.as_nanos()).unwrap_or(u64::MAX);
        out.put_slice(&MAGIC);
        for value in [self.number, nanos] {
            let groups = (0..NUMBER_BYTES as u32).rev().map(|group| (value >> (7 * group)) as u8 | 0x80);
            out.extend(groups);
        }
    }
}

/// One message of the stream that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The picture with this number.
    Video(u64),
    /// The sound frame with this number.
    Audio(u64),
}

impl Due {
    /// When it is due, from the beginning of the stream.
    pub fn at(self) -> Duration {
        let nanos = match self {
            Self::Video(number) => number * 1_000_000_000 / FRAME_RATE,
            Self::Audio(number) => number * SAMPLES_PER_FRAME * 1_000_000_000 / SAMPLE_RATE,
        };
        Duration::from_nanos(nanos)
    }

    /// Its timestamp, in milliseconds; wraps at 2³².
    pub fn timestamp(self) -> u32 {
        self.at().as_millis() as u32
    }
}

/// The messages of the stream in the order of their times.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    video: u64,
    audio: u64,
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let (video, audio) = (Due::Video(self.video), Due::Audio(self.audio));
        if video.at() <= audio.at() {
            self.video += 1;
            return Some(video);
        }
        self.audio += 1;
        Some(audio)
    }
}

/// Makes the messages' bodies, in the legacy FLV form.
#[derive(Clone, Debug)]
pub struct Source {
    noise: Bytes,
    /// Access units of sound.
    sound: Vec<&'static [u8]>,
}

impl Default for Source {
    fn default() -> Self {
        // Xorshift: like coded video it does not compress, and it is the same in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8 | 0x80
        });
        Self { noise: noise.take(KEYFRAME_BYTES).collect(), sound: access_units(SOUND) }
    }
}

impl Source {
    /// The AVC sequence header.
    pub fn video_config(&self) -> Bytes {
        let mut body = BytesMut::new();
        body.put_slice(&[0x17, 0, 0, 0, 0]);
        // AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1), 4-byte lengths, one set of each.
        body.put_slice(&[1, SPS[1], SPS[2], SPS[3], 0xff, 0xe1]);
        put_short_set(&mut body, &SPS);
        body.put_u8(1);
        put_short_set(&mut body, &PPS);
        body.freeze()
    }

    /// The AAC sequence header.
    pub fn audio_config(&self) -> Bytes {
        let [codec, _] = AUDIO_HEADER;
        Bytes::from_iter([codec, 0].into_iter().chain(AUDIO_SPECIFIC_CONFIG))
    }

    /// A picture, sent now.
    pub fn video(&self, mark: Mark) -> Bytes {
        let (header, slice, length) = match mark.is_keyframe() {
            true => (KEYFRAME_HEADER, IDR_SLICE, KEYFRAME_BYTES),
            false => (FRAME_HEADER, PREDICTED_SLICE, FRAME_BYTES),
        };
        let unit = length - header.len() - size_of::<u32>();
        let mut body = BytesMut::with_capacity(length);
        body.put_slice(&header);
        body.put_u32(unit as u32);
        body.put_slice(&slice);
        mark.write(&mut body);
        body.put_slice(&self.noise[..length - body.len()]);
        body.freeze()
    }

    /// A sound frame.
    pub fn audio(&self, number: u64) -> Bytes {
        let unit = self.sound[number as usize % self.sound.len()];
        Bytes::from_iter(AUDIO_HEADER.iter().chain(unit).copied())
    }
}

/// The access units of a recording in ADTS.
fn access_units(mut recording: &[u8]) -> Vec<&[u8]> {
    let mut units = Vec::new();
    while let Ok(header) = AdtsHeader::parse(recording)
        && let Some((frame, rest)) = recording.split_at_checked(header.frame_len)
    {
        units.push(&frame[header.header_len..]);
        recording = rest;
    }
    units
}

fn put_short_set(body: &mut BytesMut, set: &[u8]) {
    body.put_u16(set.len() as u16);
    body.put_slice(set);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::h264;
    use crate::format::flv::{Demuxer, Event, Limits};
    use crate::media::{Frame, MediaTime, Params};

    fn mark(number: u64) -> Mark {
        Mark { number, sent: Duration::from_nanos(1_234_567_890_123_456_789 + number) }
    }

    fn frame(events: Vec<Event>) -> Frame {
        match events.as_slice() {
            [Event::Frame(frame)] => frame.clone(),
            other => panic!("expected a frame, got {other:?}"),
        }
    }

    #[test]
    fn the_demuxer_sees_720p_h264_and_stereo_aac() {
        let source = Source::default();
        let mut demuxer = Demuxer::new(Limits::default());
        let video = demuxer.video(MediaTime::ZERO, source.video_config()).unwrap();
        let audio = demuxer.audio(MediaTime::ZERO, source.audio_config()).unwrap();
        let ([Event::Track(video)], [Event::Track(audio)]) = (video.as_slice(), audio.as_slice()) else {
            panic!("expected two tracks, got {video:?} and {audio:?}");
        };
        let (Params::Video(video), Params::Audio(audio)) = (&video.params, &audio.params) else {
            panic!("expected a video and an audio track");
        };
        assert_eq!((video.width, video.height), (1280, 720));
        assert_eq!((audio.sample_rate, audio.channels), (48_000, 2));
        let first = frame(demuxer.video(MediaTime::ZERO, source.video(mark(0))).unwrap());
        assert!(first.keyframe);
        let second = frame(demuxer.video(MediaTime::from_millis(33), source.video(mark(1))).unwrap());
        assert!(!second.keyframe && !second.disposable);
        let sound = frame(demuxer.audio(MediaTime::ZERO, source.audio(7)).unwrap());
        assert_eq!(sound.payload, source.sound[7]);
        assert_eq!(source.sound.len(), 95, "all of the recording");
    }

    #[test]
    fn pictures_come_out_in_the_order_they_go_in() {
        let sps = h264::Sps::parse(&SPS).unwrap();
        assert_eq!((sps.profile, sps.level, sps.reorder_depth), (77, 31, Some(0)));
    }

    #[test]
    fn a_mark_is_found_wherever_it_lies_and_nowhere_else() {
        let source = Source::default();
        let mut bytes = source.noise.to_vec();
        bytes.extend_from_slice(b"~onair~> cut off, and ~~onair~");
        for number in [0, 1, 59, 60, u64::MAX] {
            bytes.extend_from_slice(&source.video(mark(number % (1 << 60))));
        }
        bytes.extend_from_slice(&MAGIC);
        let numbers: Vec<u64> = Mark::find_all(&bytes).map(|mark| mark.number).skip(1).collect();
        assert_eq!(numbers, [0, 1, 59, 60, u64::MAX % (1 << 60)]);
        assert_eq!(Mark::find_all(&source.video(mark(5))).collect::<Vec<_>>(), [mark(5)]);
        assert_eq!(Mark::find_all(&source.noise).count(), 0);
    }

    #[test]
    fn no_start_code_can_come_about_in_a_picture() {
        for number in [0, 1] {
            let body = Source::default().video(mark(number));
            assert!(!body[9..].windows(2).any(|pair| pair == [0, 0]));
        }
    }

    #[test]
    fn the_bit_rate_is_what_is_promised() {
        let source = Source::default();
        let mut video = 0;
        let mut audio = 0;
        let mut last = Duration::ZERO;
        for due in Schedule::default().take_while(|due| due.at() < Duration::from_secs(10)) {
            assert!(due.at() >= last);
            last = due.at();
            match due {
                Due::Video(number) => video += source.video(mark(number)).len() as u64,
                Due::Audio(number) => audio += source.audio(number).len() as u64,
            }
        }
        assert!((video * 8 / 10).abs_diff(VIDEO_BITRATE) < VIDEO_BITRATE / 100, "{video}");
        assert!((audio * 8 / 10).abs_diff(100_000) < 5_000, "{audio}");
    }
}
