//! The tag bodies that viewers get, made once for all of them.
//!
//! H.264 and AAC are written as every player since Flash reads them; H.265, AV1, VP8, VP9 and Opus as Enhanced RTMP
//! has them. A body is [`frame_prefix`] followed by the frame's payload, so that payloads are never copied. FLV has
//! one track of each kind: callers take rank 0.

use bytes::{Bytes, BytesMut};

use super::codec_id::{self, LEGACY_H264};
use crate::format::amf::{Value, amf0};
use crate::media::{Codec, Frame, Params, Track};

/// `VideoTagHeader` of a keyframe and of another frame, without the codec.
const KEY: u8 = 1 << 4;
const INTER: u8 = 2 << 4;
/// Marks an enhanced video tag.
const ENHANCED: u8 = 0x80;
/// Marks an enhanced audio tag.
const ENHANCED_AUDIO: u8 = codec_id::ENHANCED_AUDIO << 4;
/// AAC with the rate, size and channels that the format demands for it, whatever they really are.
const AAC: u8 = 0xAF;

const SEQUENCE_START: u8 = 0;
const CODED_FRAMES: u8 = 1;
const CODED_FRAMES_X: u8 = 3;

/// Players look for the header of the full box before the record, as ffmpeg writes it.
const VP9_FULL_BOX: [u8; 4] = [1, 0, 0, 0];

/// The body of the tag that must come before the first frame of a track; `None` for VP8, which has no configuration.
pub fn sequence_header(track: &Track) -> Option<Bytes> {
    let mut prefix = Prefix::default();
    match track.codec {
        Codec::H264 => prefix.put(&[KEY | LEGACY_H264, SEQUENCE_START, 0, 0, 0]),
        Codec::Aac => prefix.put(&[AAC, SEQUENCE_START]),
        Codec::H265 | Codec::Av1 => prefix.put_enhanced(ENHANCED | KEY | SEQUENCE_START, track.codec),
        Codec::Vp9 => {
            prefix.put_enhanced(ENHANCED | KEY | SEQUENCE_START, track.codec);
            prefix.put(&VP9_FULL_BOX);
        }
        Codec::Opus => prefix.put_enhanced(ENHANCED_AUDIO | SEQUENCE_START, track.codec),
        Codec::Vp8 => return None,
    }
    Some([prefix.as_ref(), &track.config].concat().into())
}

/// What stands before `frame.payload` in the body of its tag.
///
/// The composition time is the difference of the two times in whole milliseconds, so that it gives the right `pts` to
/// readers of a tag whose timestamp is `frame.dts.as_millis()`; it is bounded to its 24 bits.
pub fn frame_prefix(track: &Track, frame: &Frame) -> Prefix {
    let frame_type = if frame.keyframe { KEY } else { INTER };
    let mut prefix = Prefix::default();
    match track.codec {
        Codec::H264 => {
            prefix.put(&[frame_type | LEGACY_H264, CODED_FRAMES]);
            prefix.put(&composition_time(frame));
        }
        Codec::H265 => match composition_time(frame) {
            [0, 0, 0] => prefix.put_enhanced(ENHANCED | frame_type | CODED_FRAMES_X, track.codec),
            composition => {
                prefix.put_enhanced(ENHANCED | frame_type | CODED_FRAMES, track.codec);
                prefix.put(&composition);
            }
        },
        Codec::Av1 | Codec::Vp8 | Codec::Vp9 => {
            prefix.put_enhanced(ENHANCED | frame_type | CODED_FRAMES, track.codec);
        }
        Codec::Aac => prefix.put(&[AAC, CODED_FRAMES]),
        Codec::Opus => prefix.put_enhanced(ENHANCED_AUDIO | CODED_FRAMES, track.codec),
    }
    prefix
}

/// The first bytes of a tag body, at most 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefix {
    bytes: [u8; 16],
    /// At most 16.
    length: usize,
}

impl Prefix {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.length..self.length + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn put_enhanced(&mut self, first: u8, codec: Codec) {
        self.put(&[first]);
        self.put(codec_id::fourcc(codec));
    }
}

impl AsRef<[u8]> for Prefix {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn composition_time(frame: &Frame) -> [u8; 3] {
    const MAX: i64 = (1 << 23) - 1;
    let millis = (frame.pts.as_millis().saturating_sub(frame.dts.as_millis())).clamp(-MAX - 1, MAX);
    let [.., a, b, c] = millis.to_be_bytes();
    [a, b, c]
}

/// The data message that describes the stream, `onMetaData` and an associative array in AMF0: the body of a script tag,
/// and of an RTMP data message. Of each kind the first track of rank 0 counts; `extra` comes last.
pub fn on_metadata<'a>(tracks: impl IntoIterator<Item = &'a Track>, extra: &[(&str, Value)]) -> Bytes {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut put = |key: &str, value: Value| entries.push((key.to_owned(), value));
    for track in tracks.into_iter().filter(|track| track.rank == 0) {
        match track.params {
            Params::Video(video) => {
                put("width", video.width.into());
                put("height", video.height.into());
                put("videocodecid", codec_number(track.codec));
            }
            Params::Audio(audio) => {
                put("audiocodecid", codec_number(track.codec));
                put("audiosamplerate", audio.sample_rate.into());
                put("audiosamplesize", 16_u32.into());
                put("stereo", (audio.channels > 1).into());
                put("audiochannels", u32::from(audio.channels).into());
            }
        }
    }
    put("encoder", "onair".into());
    for (key, value) in extra {
        put(key, value.clone());
    }
    let mut message = BytesMut::new();
    amf0::encode(&"onMetaData".into(), &mut message);
    amf0::encode(&Value::EcmaArray(entries), &mut message);
    message.freeze()
}

/// The codec as `onMetaData` has it: its legacy number, or its FourCC as a number.
fn codec_number(codec: Codec) -> Value {
    match codec {
        Codec::H264 => u32::from(LEGACY_H264).into(),
        Codec::Aac => u32::from(codec_id::LEGACY_AAC).into(),
        _ => u32::from_be_bytes(*codec_id::fourcc(codec)).into(),
    }
}
