//! Messages as bytes.

use bytes::{BufMut, BytesMut};

use super::wire::{check, message, put_bytes};
use super::{
    Convert, Encoding, FromWorker, Hello, ImageJob, Job, MAX_CONFIG, MAX_FRAME, MAX_IMAGE, MAX_SPRITE_BYTES,
    MAX_SPRITE_FRAMES, MAX_SPRITE_SIDE, MAX_TEXT, OutputId, Overlay, Rect, Size, SoundTarget, Speed, Sprite,
    ToWorker, TooLarge,
};
use crate::media::{Codec, Frame, MediaTime, Track};

/// Kinds of messages, by the byte on the wire.
pub(super) mod kind {
    pub const START: u8 = 1;
    pub const TRACK: u8 = 2;
    pub const FRAME: u8 = 3;
    pub const OPEN: u8 = 4;
    pub const OVERLAY: u8 = 5;
    pub const CANCEL: u8 = 6;
    pub const CUT: u8 = 7;
    pub const STOP_OUTPUT: u8 = 8;
    pub const CLOSE_OUTPUT: u8 = 9;
    pub const KEYFRAME: u8 = 10;
    pub const STOP: u8 = 11;
    pub const HELLO: u8 = 12;
    pub const OUTPUT_TRACK: u8 = 13;
    pub const OUTPUT_FRAME: u8 = 14;
    pub const STOPPED: u8 = 15;
    pub const PROGRESS: u8 = 16;
    pub const SPRITE: u8 = 17;
    pub const ENDED: u8 = 18;
    pub const FAILED: u8 = 19;
}

/// Codecs, by the byte on the wire.
pub(super) const CODECS: [Codec; 7] =
    [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp8, Codec::Vp9, Codec::Aac, Codec::Opus];

impl ToWorker {
    pub(super) fn put(&self, out: &mut BytesMut) -> Result<(), TooLarge> {
        match self {
            Self::Start(job) => message(out, kind::START, |out| put_job(out, job)),
            Self::Track(track) => message(out, kind::TRACK, |out| put_track(out, track)),
            Self::Frame(frame) => message(out, kind::FRAME, |out| put_frame(out, frame)),
            Self::Open { output } => message(out, kind::OPEN, |out| {
                put_output(out, *output);
                Ok(())
            }),
            Self::Overlay { output, overlay } => message(out, kind::OVERLAY, |out| {
                put_output(out, *output);
                put_overlay(out, overlay)
            }),
            Self::Cancel { output, id, at } => message(out, kind::CANCEL, |out| {
                put_output(out, *output);
                out.put_u64(id.0);
                put_time(out, *at);
                Ok(())
            }),
            Self::Cut { output, dts, pts } => message(out, kind::CUT, |out| {
                put_output(out, *output);
                put_time(out, *dts);
                put_time(out, *pts);
                Ok(())
            }),
            Self::StopOutput { output, before } => message(out, kind::STOP_OUTPUT, |out| {
                put_output(out, *output);
                put_time(out, *before);
                Ok(())
            }),
            Self::CloseOutput { output } => message(out, kind::CLOSE_OUTPUT, |out| {
                put_output(out, *output);
                Ok(())
            }),
            Self::Keyframe => message(out, kind::KEYFRAME, |_| Ok(())),
            Self::Stop { before } => message(out, kind::STOP, |out| {
                put_time(out, *before);
                Ok(())
            }),
        }
    }
}

impl FromWorker {
    pub(super) fn put(&self, out: &mut BytesMut) -> Result<(), TooLarge> {
        match self {
            Self::Hello(hello) => message(out, kind::HELLO, |out| put_hello(out, hello)),
            Self::Track(track) => message(out, kind::TRACK, |out| put_track(out, track)),
            Self::Frame(frame) => message(out, kind::FRAME, |out| put_frame(out, frame)),
            Self::OutputTrack { output, track } => message(out, kind::OUTPUT_TRACK, |out| {
                put_output(out, *output);
                put_track(out, track)
            }),
            Self::OutputFrame { output, frame } => message(out, kind::OUTPUT_FRAME, |out| {
                put_output(out, *output);
                put_frame(out, frame)
            }),
            Self::Stopped { output } => message(out, kind::STOPPED, |out| {
                put_output(out, *output);
                Ok(())
            }),
            Self::Progress { dts } => message(out, kind::PROGRESS, |out| {
                put_time(out, *dts);
                Ok(())
            }),
            Self::Sprite(sprite) => message(out, kind::SPRITE, |out| put_sprite(out, sprite)),
            Self::Ended => message(out, kind::ENDED, |_| Ok(())),
            Self::Failed(reason) => message(out, kind::FAILED, |out| {
                let reason = &reason[..reason.floor_char_boundary(MAX_TEXT)];
                put_bytes(out, "reason", reason.as_bytes(), MAX_TEXT)
            }),
        }
    }
}

fn put_time(out: &mut BytesMut, time: MediaTime) {
    out.put_i64(time.as_nanos());
}

fn put_output(out: &mut BytesMut, output: OutputId) {
    out.put_u32(output.0);
}

fn put_job(out: &mut BytesMut, job: &Job) -> Result<(), TooLarge> {
    match job {
        Job::Convert(Convert { video, audio, after }) => {
            out.put_u8(0);
            out.put_u8(video.is_some().into());
            if let Some(encoding) = video {
                put_encoding(out, *encoding);
            }
            out.put_u8(match audio {
                None => 0,
                Some(SoundTarget::Opus) => 1,
                Some(SoundTarget::Aac) => 2,
            });
            put_time(out, *after);
            Ok(())
        }
        Job::BurnIn(burn_in) => {
            out.put_u8(1);
            put_encoding(out, burn_in.encoding);
            Ok(())
        }
        Job::Image(ImageJob { file, fit, max_pixels, max_frames, max_time }) => {
            out.put_u8(2);
            put_size(out, *fit);
            out.put_u32(*max_pixels);
            out.put_u16(*max_frames);
            out.put_u32(millis(*max_time));
            put_bytes(out, "image", file, MAX_IMAGE)
        }
    }
}

fn put_encoding(out: &mut BytesMut, encoding: Encoding) {
    out.put_u8(match encoding.speed {
        Speed::Superfast => 0,
        Speed::Ultrafast => 1,
    });
    out.put_u32(encoding.max_bitrate);
}

fn put_track(out: &mut BytesMut, track: &Track) -> Result<(), TooLarge> {
    out.put_slice(&[track.id.0, track.group, track.rank]);
    let codec = CODECS.iter().position(|codec| *codec == track.codec).unwrap_or(CODECS.len());
    // There are seven.
    out.put_u8(codec as u8);
    put_bytes(out, "configuration record", &track.config, MAX_CONFIG)
}

fn put_frame(out: &mut BytesMut, frame: &Frame) -> Result<(), TooLarge> {
    out.put_u8(frame.track.0);
    put_time(out, frame.pts);
    put_time(out, frame.dts);
    out.put_u8(u8::from(frame.keyframe) | u8::from(frame.disposable) << 1);
    put_bytes(out, "frame", &frame.payload, MAX_FRAME)
}

fn put_overlay(out: &mut BytesMut, overlay: &Overlay) -> Result<(), TooLarge> {
    out.put_u64(overlay.id.0);
    put_time(out, overlay.start);
    put_time(out, overlay.end);
    put_size(out, overlay.canvas);
    put_rect(out, overlay.place);
    out.put_u8(overlay.squeeze.is_some().into());
    if let Some(squeeze) = overlay.squeeze {
        put_rect(out, squeeze.picture);
        out.put_slice(&squeeze.background);
        out.put_u32(millis(squeeze.transition));
    }
    put_sprite(out, &overlay.sprite)
}

fn put_size(out: &mut BytesMut, size: Size) {
    out.put_u32(size.width);
    out.put_u32(size.height);
}

fn put_rect(out: &mut BytesMut, rect: Rect) {
    for number in [rect.x, rect.y, rect.width, rect.height] {
        out.put_u32(number);
    }
}

fn put_sprite(out: &mut BytesMut, sprite: &Sprite) -> Result<(), TooLarge> {
    for side in [sprite.size.width, sprite.size.height] {
        check("side of a sprite", side as usize, MAX_SPRITE_SIDE as usize)?;
    }
    check("number of a sprite's frames", sprite.frames.len(), MAX_SPRITE_FRAMES)?;
    let all = sprite.frames.iter().map(|frame| frame.rgba.len()).sum();
    check("sprite", all, MAX_SPRITE_BYTES)?;
    put_size(out, sprite.size);
    // At most 600.
    out.put_u16(sprite.frames.len() as u16);
    for frame in &sprite.frames {
        out.put_u32(millis(frame.duration));
        out.put_slice(&frame.rgba);
    }
    Ok(())
}

fn put_hello(out: &mut BytesMut, hello: &Hello) -> Result<(), TooLarge> {
    out.put_u16(hello.version);
    out.put_u8(hello.confinement.landlock);
    out.put_u8(hello.confinement.seccomp.into());
    out.put_u8(hello.confinement.no_new_privileges.into());
    out.put_u64(hello.confinement.memory);
    put_bytes(out, "libraries", hello.libraries.as_bytes(), MAX_TEXT)
}

/// Whole milliseconds, as many as 32 bits hold: 49 days.
fn millis(duration: std::time::Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
