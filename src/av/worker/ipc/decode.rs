//! Messages from bytes that nobody vouches for.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::encode::{CODECS, kind};
use super::wire::{BodyReader, HEADER, check};
use super::{
    BurnIn, Confinement, Convert, Encoding, FromWorker, Hello, ImageJob, Job, MAX_CONFIG, MAX_FRAME,
    MAX_IMAGE, MAX_SPRITE_BYTES, MAX_SPRITE_FRAMES, MAX_SPRITE_SIDE, MAX_TEXT, Message, OutputId, Overlay,
    OverlayId, Rect, Size, SoundTarget, Speed, Sprite, SpriteFrame, Squeeze, ToWorker, TooLarge, Unreadable,
};
use crate::codec::{self, MAX_DIMENSION};
use crate::media::{Frame, MediaTime, Track, TrackId};

/// What a body may have beside its one long element: the largest is an overlay's, 600 durations and 100 bytes.
const AROUND: usize = 4 << 10;

/// Takes messages off a stream of bytes.
#[derive(Debug)]
pub struct Decoder<M>(PhantomData<M>);

impl<M> Default for Decoder<M> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<M: Message> Decoder<M> {
    /// Takes the next message off the front of `input`; `None` while it is not whole. The header is checked as soon as it is
    /// there, so that no more is gathered for a message than its kind may have.
    ///
    /// # Errors
    /// What is wrong with the message. The stream is of no use after that.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<M>, Unreadable> {
        let Some(&[kind, length @ ..]) = input.first_chunk::<HEADER>() else { return Ok(None) };
        let len = u32::from_be_bytes(length) as usize;
        let max = M::max_body(kind).ok_or(Unreadable::Kind { kind })?;
        check("message", len, max)?;
        if input.len() - HEADER < len {
            input.reserve(HEADER + len - input.len());
            return Ok(None);
        }
        input.advance(HEADER);
        M::decode(kind, input.split_to(len).freeze()).map(Some)
    }
}

impl Message for ToWorker {
    fn encode(&self, out: &mut BytesMut) -> Result<(), TooLarge> {
        self.put(out)
    }

    fn max_body(kind: u8) -> Option<usize> {
        Some(match kind {
            kind::START => MAX_IMAGE + AROUND,
            kind::TRACK => MAX_CONFIG + AROUND,
            kind::FRAME => MAX_FRAME + AROUND,
            kind::OVERLAY => MAX_SPRITE_BYTES + AROUND,
            kind::OPEN | kind::CLOSE_OUTPUT => 4,
            kind::CANCEL | kind::CUT => 20,
            kind::STOP_OUTPUT => 12,
            kind::KEYFRAME => 0,
            kind::STOP => 8,
            _ => return None,
        })
    }

    fn decode(kind: u8, body: Bytes) -> Result<Self, Unreadable> {
        let mut body = BodyReader::new(body);
        let message = match kind {
            kind::START => Self::Start(job(&mut body)?),
            kind::TRACK => Self::Track(track(&mut body)?),
            kind::FRAME => Self::Frame(frame(&mut body)?),
            kind::OPEN => Self::Open { output: output(&mut body)? },
            kind::OVERLAY => Self::Overlay { output: output(&mut body)?, overlay: overlay(&mut body)? },
            kind::CANCEL => Self::Cancel {
                output: output(&mut body)?,
                id: OverlayId(body.u64("overlay")?),
                at: time(&mut body, "at")?,
            },
            kind::CUT => Self::Cut {
                output: output(&mut body)?,
                dts: time(&mut body, "dts")?,
                pts: time(&mut body, "pts")?,
            },
            kind::STOP_OUTPUT => {
                Self::StopOutput { output: output(&mut body)?, before: time(&mut body, "before")? }
            }
            kind::CLOSE_OUTPUT => Self::CloseOutput { output: output(&mut body)? },
            kind::KEYFRAME => Self::Keyframe,
            kind::STOP => Self::Stop { before: time(&mut body, "before")? },
            _ => return Err(Unreadable::Kind { kind }),
        };
        all_read(kind, &body).map(|()| message)
    }
}

impl Message for FromWorker {
    fn encode(&self, out: &mut BytesMut) -> Result<(), TooLarge> {
        self.put(out)
    }

    fn max_body(kind: u8) -> Option<usize> {
        Some(match kind {
            kind::HELLO | kind::FAILED => MAX_TEXT + AROUND,
            kind::TRACK | kind::OUTPUT_TRACK => MAX_CONFIG + AROUND,
            kind::FRAME | kind::OUTPUT_FRAME => MAX_FRAME + AROUND,
            kind::STOPPED => 4,
            kind::PROGRESS => 8,
            kind::SPRITE => MAX_SPRITE_BYTES + AROUND,
            kind::ENDED => 0,
            _ => return None,
        })
    }

    fn decode(kind: u8, body: Bytes) -> Result<Self, Unreadable> {
        let mut body = BodyReader::new(body);
        let message = match kind {
            kind::HELLO => Self::Hello(hello(&mut body)?),
            kind::TRACK => Self::Track(track(&mut body)?),
            kind::FRAME => Self::Frame(frame(&mut body)?),
            kind::OUTPUT_TRACK => Self::OutputTrack { output: output(&mut body)?, track: track(&mut body)? },
            kind::OUTPUT_FRAME => Self::OutputFrame { output: output(&mut body)?, frame: frame(&mut body)? },
            kind::STOPPED => Self::Stopped { output: output(&mut body)? },
            kind::PROGRESS => Self::Progress { dts: time(&mut body, "dts")? },
            kind::SPRITE => Self::Sprite(sprite(&mut body)?),
            kind::ENDED => Self::Ended,
            kind::FAILED => Self::Failed(body.text("reason", MAX_TEXT)?),
            _ => return Err(Unreadable::Kind { kind }),
        };
        all_read(kind, &body).map(|()| message)
    }
}

const fn all_read(kind: u8, body: &BodyReader) -> Result<(), Unreadable> {
    match body.remaining() {
        0 => Ok(()),
        len => Err(Unreadable::Excess { kind, len }),
    }
}

fn time(body: &mut BodyReader, element: &'static str) -> Result<MediaTime, Unreadable> {
    body.i64(element).map(MediaTime::from_nanos)
}

fn output(body: &mut BodyReader) -> Result<OutputId, Unreadable> {
    body.u32("output").map(OutputId)
}

fn millis(body: &mut BodyReader, element: &'static str) -> Result<Duration, Unreadable> {
    body.u32(element).map(|millis| Duration::from_millis(millis.into()))
}

fn job(body: &mut BodyReader) -> Result<Job, Unreadable> {
    Ok(match body.u8("job")? {
        0 => {
            let video = body.flag("video")?.then(|| encoding(body)).transpose()?;
            let audio = match body.u8("audio")? {
                0 => None,
                1 => Some(SoundTarget::Opus),
                2 => Some(SoundTarget::Aac),
                value => return Err(Unreadable::Invalid { element: "audio", value: value.into() }),
            };
            Job::Convert(Convert { video, audio, after: time(body, "after")? })
        }
        1 => Job::BurnIn(BurnIn { encoding: encoding(body)? }),
        2 => Job::Image(ImageJob {
            fit: size(body, "fit", MAX_SPRITE_SIDE)?,
            max_pixels: body.u32("max_pixels")?,
            max_frames: body.u16("max_frames")?,
            max_time: millis(body, "max_time")?,
            file: body.bytes("image", MAX_IMAGE)?,
        }),
        value => return Err(Unreadable::Invalid { element: "job", value: value.into() }),
    })
}

fn encoding(body: &mut BodyReader) -> Result<Encoding, Unreadable> {
    let speed = match body.u8("speed")? {
        0 => Speed::Superfast,
        1 => Speed::Ultrafast,
        value => return Err(Unreadable::Invalid { element: "speed", value: value.into() }),
    };
    Ok(Encoding { speed, max_bitrate: body.u32("max_bitrate")? })
}

/// The parameters are what the record says, not what the other end might.
fn track(body: &mut BodyReader) -> Result<Track, Unreadable> {
    let (id, group, rank) = (TrackId(body.u8("track")?), body.u8("group")?, body.u8("rank")?);
    let codec = body.u8("codec")?;
    let codec = *CODECS
        .get(usize::from(codec))
        .ok_or(Unreadable::Invalid { element: "codec", value: codec.into() })?;
    let description = codec::describe(codec, &body.bytes("configuration record", MAX_CONFIG)?)?;
    Ok(Track { id, group, rank, codec, config: description.config, params: description.params })
}

fn frame(body: &mut BodyReader) -> Result<Frame, Unreadable> {
    let track = TrackId(body.u8("track")?);
    let (pts, dts) = (time(body, "pts")?, time(body, "dts")?);
    let flags = body.u8("flags")?;
    if flags > 3 {
        return Err(Unreadable::Invalid { element: "flags", value: flags.into() });
    }
    let payload = body.bytes("frame", MAX_FRAME)?;
    if payload.is_empty() {
        return Err(Unreadable::Invalid { element: "length of a frame", value: 0 });
    }
    Ok(Frame { track, pts, dts, keyframe: flags & 1 != 0, disposable: flags & 2 != 0, payload })
}

fn overlay(body: &mut BodyReader) -> Result<Overlay, Unreadable> {
    let id = OverlayId(body.u64("overlay")?);
    let (start, end) = (time(body, "start")?, time(body, "end")?);
    let canvas = size(body, "canvas", MAX_DIMENSION)?;
    let place = rect(body, "place", canvas)?;
    let squeeze = if body.flag("squeeze")? {
        let picture = rect(body, "picture", canvas)?;
        let background = [body.u8("background")?, body.u8("background")?, body.u8("background")?];
        Some(Squeeze { picture, background, transition: millis(body, "transition")? })
    } else {
        None
    };
    Ok(Overlay { id, start, end, canvas, place, squeeze, sprite: sprite(body)? })
}

/// Both sides 1 to `max`.
fn size(body: &mut BodyReader, element: &'static str, max: u32) -> Result<Size, Unreadable> {
    let mut side = || match body.u32(element)? {
        0 => Err(Unreadable::Invalid { element, value: 0 }),
        side => check(element, side as usize, max as usize).map(|()| side).map_err(Unreadable::from),
    };
    Ok(Size { width: side()?, height: side()? })
}

/// Not empty, and within the canvas.
fn rect(body: &mut BodyReader, element: &'static str, canvas: Size) -> Result<Rect, Unreadable> {
    let (x, y) = (body.u32(element)?, body.u32(element)?);
    let size = size(body, element, MAX_DIMENSION)?;
    for (at, side, whole) in [(x, size.width, canvas.width), (y, size.height, canvas.height)] {
        check(element, at.saturating_add(side) as usize, whole as usize)?;
    }
    Ok(Rect { x, y, width: size.width, height: size.height })
}

fn sprite(body: &mut BodyReader) -> Result<Sprite, Unreadable> {
    let size = size(body, "side of a sprite", MAX_SPRITE_SIDE)?;
    let count = usize::from(body.u16("number of a sprite's frames")?);
    if count == 0 {
        return Err(Unreadable::Invalid { element: "number of a sprite's frames", value: 0 });
    }
    check("number of a sprite's frames", count, MAX_SPRITE_FRAMES)?;
    // At most 4096 · 4096 · 4.
    let bytes = size.width as usize * size.height as usize * 4;
    check("sprite", bytes.saturating_mul(count), MAX_SPRITE_BYTES)?;
    let frames = (0..count)
        .map(|_| {
            let duration = millis(body, "duration")?;
            Ok(SpriteFrame { duration, rgba: body.take("pixels", bytes)? })
        })
        .collect::<Result<_, Unreadable>>()?;
    Ok(Sprite { size, frames })
}

fn hello(body: &mut BodyReader) -> Result<Hello, Unreadable> {
    Ok(Hello {
        version: body.u16("version")?,
        confinement: Confinement {
            landlock: body.u8("landlock")?,
            seccomp: body.flag("seccomp")?,
            no_new_privileges: body.flag("no_new_privileges")?,
            memory: body.u64("memory")?,
        },
        libraries: body.text("libraries", MAX_TEXT)?,
    })
}
