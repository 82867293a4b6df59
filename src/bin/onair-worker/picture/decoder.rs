//! Access units to pictures in the order of display.

use std::collections::BTreeSet;

use onair::codec::describe;
use onair::media::{Codec, Frame, MediaTime, Params, Track, VideoParams};

use super::{Picture, Planar};
use crate::error::{Doing, JobError};
use crate::libav::codec::{Context, Flags, Id, Parameters, decoder, packet};
use crate::libav::{Error, Packet, ffi, frame, media};

/// Access units in a row that cannot be decoded before the stream is given up: ten seconds at 30 a second.
const MOST_BROKEN: u32 = 300;

/// Keyframes that may be in the decoder at one time: it holds 16 pictures at most.
const MOST_KEYFRAMES: usize = 32;

/// Between keyframes where the source has none.
const LONGEST_GOP: MediaTime = MediaTime::from_millis(10_000);

/// One frame's duration at 60 a second, in nanoseconds: how a delay of the first picture becomes a number of pictures.
const SHORTEST_FRAME: i64 = 16_666_667;

/// Pictures that are held back for reordering where a stream does not tell and only seems to need it. The library holds more
/// as soon as it sees that it must.
const MOST_GUESSED_REORDER: i64 = 4;

/// Decodes one track.
pub struct Decoder {
    track: Track,
    /// Opened with the first frame, whose times say whether there is reordering.
    opened: Option<decoder::Opened>,
    planar: Planar,
    /// Presentation times of keyframes that are inside.
    keyframes: BTreeSet<MediaTime>,
    /// The newest picture that was told to be one.
    last_keyframe: Option<MediaTime>,
    broken: u32,
}

impl Decoder {
    /// For a track of pictures.
    pub const fn new(track: Track) -> Self {
        Self {
            track,
            opened: None,
            planar: Planar::new(),
            keyframes: BTreeSet::new(),
            last_keyframe: None,
            broken: 0,
        }
    }

    /// The track that is decoded.
    pub const fn track(&self) -> &Track {
        &self.track
    }

    /// Appends the pictures that come out with this frame. An access unit that cannot be decoded is passed over.
    ///
    /// # Errors
    /// When the library cannot decode this codec, or nothing was decodable for a long time.
    pub fn decode(&mut self, frame: &Frame, out: &mut Vec<Picture>) -> Result<(), JobError> {
        if self.opened.is_none() {
            self.opened = Some(open(&self.track, frame.pts - frame.dts)?);
        }
        if frame.keyframe && self.keyframes.len() < MOST_KEYFRAMES {
            self.keyframes.insert(frame.pts);
        }
        let mut packet = Packet::copy(&frame.payload);
        packet.set_pts(Some(frame.pts.as_nanos()));
        packet.set_dts(Some(frame.dts.as_nanos()));
        if frame.keyframe {
            packet.set_flags(packet::Flags::KEY);
        }
        let Some(opened) = &mut self.opened else { return Ok(()) };
        match opened.send_packet(&packet) {
            Ok(()) => self.broken = 0,
            Err(error @ Error::Other { errno: libc::ENOMEM }) => return Err(error).doing("decoding"),
            Err(error) => {
                self.broken += 1;
                if self.broken > MOST_BROKEN {
                    return Err(error).doing("decoding");
                }
            }
        }
        self.receive(out)
    }

    /// Appends the pictures that are still inside. The decoder begins anew after that.
    ///
    /// # Errors
    /// As for decoding.
    pub fn drain(&mut self, out: &mut Vec<Picture>) -> Result<(), JobError> {
        if let Some(opened) = &mut self.opened {
            opened.send_eof().doing("decoding")?;
            self.receive(out)?;
            self.opened = None;
            self.keyframes.clear();
        }
        Ok(())
    }

    fn receive(&mut self, out: &mut Vec<Picture>) -> Result<(), JobError> {
        let Some(opened) = &mut self.opened else { return Ok(()) };
        loop {
            let mut frame = frame::Video::empty();
            match opened.receive_frame(&mut frame) {
                Ok(()) => {}
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => return Ok(()),
                Err(error @ Error::Other { errno: libc::ENOMEM }) => return Err(error).doing("decoding"),
                // A broken picture; others may follow.
                Err(_) => {
                    self.broken += 1;
                    return Ok(());
                }
            }
            // All frames that went in had one.
            let Some(pts) = frame.pts().map(MediaTime::from_nanos) else { continue };
            let keyframe = self.keyframes.contains(&pts)
                || self.last_keyframe.is_some_and(|last| pts - last >= LONGEST_GOP);
            if keyframe {
                self.last_keyframe = Some(pts);
            }
            self.keyframes = self.keyframes.split_off(&pts);
            out.push(Picture { frame: self.planar.convert(frame)?, pts, keyframe });
        }
    }
}

/// Opens a decoder. `delay` is how much later the first picture is shown than decoded.
fn open(track: &Track, delay: MediaTime) -> Result<decoder::Opened, JobError> {
    let id = match track.codec {
        Codec::H264 => Id::H264,
        Codec::H265 => Id::HEVC,
        Codec::Av1 => Id::AV1,
        Codec::Vp8 => Id::VP8,
        Codec::Vp9 => Id::VP9,
        other => return Err(JobError::Refused(format!("{other} is no picture"))),
    };
    let codec = decoder::find(id).ok_or_else(|| {
        JobError::Refused(format!("the media library of this machine has no decoder for {}", track.codec))
    })?;
    let mut context = context(id, media::Type::Video, &track.config).doing("opening the decoder")?;
    if track.codec == Codec::Av1 {
        // dav1d otherwise gathers frames for its threads.
        context.set_flags(Flags::LOW_DELAY);
    }
    // Streams whose parameter sets say nothing about reordering: the times do. Too few make the first pictures come out
    // of order and be dropped; for those that say so, the library sets it itself.
    if track.codec == Codec::H264 && !promises_order(track) {
        let depth = (delay.as_nanos().max(0) + SHORTEST_FRAME / 2) / SHORTEST_FRAME;
        // SAFETY: the context is ours and not open yet.
        unsafe { (*context.as_mut_ptr()).has_b_frames = depth.min(MOST_GUESSED_REORDER) as i32 };
    }
    context.decoder().open_as(codec).doing("opening the decoder")
}

/// Whether the parameter sets say how many pictures are reordered.
fn promises_order(track: &Track) -> bool {
    let promised = describe(track.codec, &track.config).map(|description| description.params);
    matches!(promised, Ok(Params::Video(VideoParams { reorder_depth: Some(_), .. })))
}

/// A context for a codec with a configuration record. One thread: more would hold pictures back.
pub fn context(id: Id, kind: media::Type, config: &[u8]) -> Result<Context, Error> {
    let mut parameters = Parameters::new();
    // SAFETY: the parameters are ours; the record goes into memory of the library's own allocator, with the padding that its
    // bit readers want, and belongs to the parameters from then on.
    unsafe {
        let raw = &mut *parameters.as_mut_ptr();
        raw.codec_type = kind.into();
        raw.codec_id = id.into();
        if !config.is_empty() {
            let padded = config.len() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
            let record = ffi::av_mallocz(padded).cast::<u8>();
            if record.is_null() {
                return Err(Error::Other { errno: libc::ENOMEM });
            }
            record.copy_from_nonoverlapping(config.as_ptr(), config.len());
            raw.extradata = record;
            // At most a megabyte.
            raw.extradata_size = config.len() as i32;
        }
    }
    Context::from_parameters(parameters)
}
