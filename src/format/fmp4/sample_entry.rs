//! Sample entries: how an init segment tells a decoder what a track is.

use bytes::BufMut;

use crate::media::{AudioParams, Codec, Params, Track, VideoParams};

use super::boxes::{boxed, full_boxed};
use super::{InitError, ParameterSets};

/// The fixed part of an OpusHead packet (RFC 7845 §5.1), up to and with the mapping family.
const OPUS_HEAD_LEN: usize = 19;

/// `VPCodecConfigurationRecord` of a VP8 stream: profile 0, level unknown, 8 bits 4:2:0, colours unspecified.
const VP8_RECORD: [u8; 8] = [0, 0, 8 << 4, 2, 2, 2, 0, 0];

/// Writes the sample entry of `track` with its codec's configuration box.
pub(super) fn sample_entry(out: &mut Vec<u8>, track: &Track, sets: ParameterSets) -> Result<(), InitError> {
    match &track.params {
        Params::Video(video) => video_entry(out, track, video, sets),
        Params::Audio(audio) => audio_entry(out, track, audio),
    }
}

fn video_entry(
    out: &mut Vec<u8>,
    track: &Track,
    video: &VideoParams,
    sets: ParameterSets,
) -> Result<(), InitError> {
    let in_band = sets == ParameterSets::InBand;
    let config = &track.config;
    let (entry, record): (&[u8; 4], &[u8; 4]) = match track.codec {
        Codec::H264 if in_band => (b"avc3", b"avcC"),
        Codec::H264 => (b"avc1", b"avcC"),
        Codec::H265 if in_band => (b"hev1", b"hvcC"),
        Codec::H265 => (b"hvc1", b"hvcC"),
        Codec::Av1 => (b"av01", b"av1C"),
        Codec::Vp8 => (b"vp08", b"vpcC"),
        Codec::Vp9 => (b"vp09", b"vpcC"),
        codec => return Err(InitError::Mismatch { codec }),
    };
    if config.is_empty() && track.codec != Codec::Vp8 {
        return Err(InitError::NoConfig { codec: track.codec });
    }
    boxed(out, entry, |out| {
        out.put_bytes(0, 6);
        out.put_u16(1); // data reference
        out.put_bytes(0, 16);
        out.put_u16(u16::try_from(video.width).unwrap_or(u16::MAX));
        out.put_u16(u16::try_from(video.height).unwrap_or(u16::MAX));
        out.put_u32(72 << 16); // dots per inch, by convention
        out.put_u32(72 << 16);
        out.put_u32(0);
        out.put_u16(1); // frames per sample
        out.put_bytes(0, 32); // compressor name
        out.put_u16(24); // depth
        out.put_i16(-1);
        match track.codec {
            Codec::Vp8 => full_boxed(out, record, 1, 0, |out| out.put_slice(&VP8_RECORD)),
            Codec::Vp9 => full_boxed(out, record, 1, 0, |out| out.put_slice(config)),
            _ => boxed(out, record, |out| out.put_slice(config)),
        }
    });
    Ok(())
}

fn audio_entry(out: &mut Vec<u8>, track: &Track, audio: &AudioParams) -> Result<(), InitError> {
    let config = track.config.as_ref();
    match track.codec {
        Codec::Aac if config.is_empty() => Err(InitError::NoConfig { codec: track.codec }),
        Codec::Aac => {
            boxed(out, b"mp4a", |out| {
                audio_fields(out, audio);
                full_boxed(out, b"esds", 0, 0, |out| elementary_stream(out, config));
            });
            Ok(())
        }
        Codec::Opus => {
            let head = config.strip_prefix(b"OpusHead").filter(|_| config.len() >= OPUS_HEAD_LEN);
            let head = head.ok_or(InitError::NoConfig { codec: track.codec })?;
            boxed(out, b"Opus", |out| {
                audio_fields(out, audio);
                boxed(out, b"dOps", |out| opus_specific(out, head));
            });
            Ok(())
        }
        codec => Err(InitError::Mismatch { codec }),
    }
}

fn audio_fields(out: &mut Vec<u8>, audio: &AudioParams) {
    out.put_bytes(0, 6);
    out.put_u16(1); // data reference
    out.put_bytes(0, 8);
    out.put_u16(u16::from(audio.channels));
    out.put_u16(16); // bits a sample, by convention
    out.put_u32(0);
    // 16.16 fixed point: rates that do not fit are told by the codec's record alone.
    out.put_u32(u16::try_from(audio.sample_rate).map_or(0, |rate| u32::from(rate) << 16));
}

/// The descriptors of ISO/IEC 14496-1 §7.2.6 around an `AudioSpecificConfig`.
fn elementary_stream(out: &mut Vec<u8>, config: &[u8]) {
    descriptor(out, 0x03, |out| {
        out.put_u16(0); // ES_ID: the track id stands for it
        out.put_u8(0);
        descriptor(out, 0x04, |out| {
            out.put_u8(0x40); // ISO/IEC 14496-3
            out.put_u8(0x15); // audio stream
            out.put_bytes(0, 11); // buffer size and bit rates: unknown
            descriptor(out, 0x05, |out| out.put_slice(config));
        });
        descriptor(out, 0x06, |out| out.put_u8(2)); // synchronisation: as in MP4 files
    });
}

/// A descriptor with its length in the four-byte form.
fn descriptor(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.put_u8(tag);
    let start = out.len();
    out.put_u32(0);
    body(out);
    let len = out.len() - start - 4;
    let septet = |shift: usize| (len >> shift & 0x7f) as u8;
    out[start..start + 4].copy_from_slice(&[
        septet(21) | 0x80,
        septet(14) | 0x80,
        septet(7) | 0x80,
        septet(0),
    ]);
}

/// `OpusSpecificBox` from what follows the magic of an OpusHead: same fields, other byte order, version 0.
fn opus_specific(out: &mut Vec<u8>, head: &[u8]) {
    out.put_u8(0);
    out.put_u8(head[1]);
    out.put_slice(&[head[3], head[2]]); // pre-skip
    out.put_slice(&[head[7], head[6], head[5], head[4]]); // input sample rate
    out.put_slice(&[head[9], head[8]]); // output gain
    out.put_slice(&head[10..]); // mapping family and table
}
