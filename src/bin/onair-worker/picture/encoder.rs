//! Pictures to H.264 without B-frames, each as soon as it is there.

use std::collections::VecDeque;

use bytes::Bytes;
use onair::av::worker::ipc::{Encoding, Speed};
use onair::codec::h264::{ConfigRecord, nal_type, unit_type};
use onair::codec::{self, nal};
use onair::media::{Codec, MediaTime, Params, Track, VideoParams};

use super::{Measure, Picture};
use crate::error::{Doing, JobError};
use crate::libav::codec::{Context, encoder, packet};
use crate::libav::format::Pixel;
use crate::libav::{Dictionary, Error, Packet, Rational, color, ffi, picture};

/// Ticks a second of the encoder's clock. Its rate control goes by the frame rate; exact times go around it.
const CLOCK: i32 = 90_000;

/// Quality, in the measure of x264's constant rate factor, where the source's bitrate allows it: differences from the source
/// are hard to see.
const QUALITY: &str = "21";

/// The most bits a second, as a share of the source's: a fast preset needs more for the same picture.
const ABOVE_SOURCE: f64 = 1.5;

/// Bits a pixel where the source's bitrate is not known yet: 4 Mbit/s for 720p at 30 frames a second.
const USUAL_BITS_PER_PIXEL: f64 = 0.15;

/// Below this a picture is not worth sending, whatever the source has: bits a second.
const LOWEST_BITRATE: f64 = 200_000.0;

/// Frames between keyframes: x264's word for as many as there are. Pictures tell where keyframes are.
const NO_LIMIT: u32 = 1 << 30;

/// What an encoder is made for. Another one is needed when it changes.
#[derive(Clone, Copy, PartialEq)]
pub struct Settings {
    width: u32,
    height: u32,
    format: Pixel,
    /// Numerator and denominator of the pixels' shape.
    aspect: (i32, i32),
    space: color::Space,
    primaries: color::Primaries,
    transfer: color::TransferCharacteristic,
}

impl Settings {
    /// For pictures like this one.
    pub fn of(picture: &Picture) -> Self {
        let frame = &picture.frame;
        let Rational(numerator, denominator) = frame.aspect_ratio();
        Self {
            width: frame.width(),
            height: frame.height(),
            format: if frame.color_range() == color::Range::JPEG { Pixel::YUVJ420P } else { frame.format() },
            aspect: (numerator, denominator),
            space: frame.color_space(),
            primaries: frame.color_primaries(),
            transfer: frame.color_transfer_characteristic(),
        }
    }
}

/// What every WebRTC peer takes, or what the picture needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Constrained Baseline.
    Baseline,
    /// High.
    High,
}

/// An access unit.
pub struct Encoded {
    pub pts: MediaTime,
    pub keyframe: bool,
    /// NAL units behind 4-byte lengths; a keyframe's parameter sets are among them.
    pub payload: Bytes,
}

/// Encodes pictures of one size.
pub struct Encoder {
    settings: Settings,
    encoding: Encoding,
    opened: encoder::video::Encoder,
    /// Times of the pictures that are inside.
    inside: VecDeque<MediaTime>,
    /// Of the last picture that went in, on the encoder's clock.
    last_tick: i64,
    /// No picture has come that was wanted.
    fresh: bool,
    limit: u32,
}

impl Encoder {
    /// For such pictures of a source like that. `set_id` is the id of the parameter sets.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn open(
        settings: Settings,
        encoding: Encoding,
        profile: Profile,
        measure: &Measure,
        set_id: u8,
    ) -> Result<Self, JobError> {
        let codec = encoder::find_by_name("libx264")
            .ok_or_else(|| JobError::Refused("the media library of this machine has no x264".to_owned()))?;
        let frame_rate = measure.frame_rate();
        let mut video = Context::new_with_codec(codec).encoder().video().doing("opening the encoder")?;
        video.set_width(settings.width);
        video.set_height(settings.height);
        video.set_format(settings.format);
        video.set_aspect_ratio(Rational(settings.aspect.0, settings.aspect.1));
        video.set_time_base(Rational(1, CLOCK));
        video.set_frame_rate(Some(Rational((frame_rate * 1000.0).round() as i32, 1000)));
        video.set_max_b_frames(0);
        video.set_gop(NO_LIMIT);
        video.set_colorspace(settings.space);
        let usual =
            f64::from(settings.width) * f64::from(settings.height) * frame_rate * USUAL_BITS_PER_PIXEL;
        let limit =
            limit(measure.bitrate().map_or(usual, |source| f64::from(source) * ABOVE_SOURCE), encoding);
        let options: Dictionary = [
            ("preset", preset(encoding.speed)),
            ("tune", "zerolatency"),
            (
                "profile",
                match profile {
                    Profile::Baseline => "baseline",
                    Profile::High => "high",
                },
            ),
            ("crf", QUALITY),
            ("maxrate", &limit.to_string()),
            // One second: a keyframe takes several frames' share.
            ("bufsize", &limit.to_string()),
            ("forced-idr", "1"),
            ("threads", threads(settings)),
            ("color_primaries", &ffi::AVColorPrimaries::from(settings.primaries).0.to_string()),
            ("color_trc", &ffi::AVColorTransferCharacteristic::from(settings.transfer).0.to_string()),
            // Lengths instead of start codes; every keyframe with its parameter sets; no keyframe but where we want one.
            ("x264-params", &format!("annexb=0:repeat-headers=1:scenecut=0:open-gop=0:sps-id={set_id}")),
        ]
        .into_iter()
        .collect();
        let opened = video.open_as_with(codec, options).doing("opening the encoder")?;
        Ok(Self { settings, encoding, opened, inside: VecDeque::new(), last_tick: -1, fresh: true, limit })
    }

    /// What it is made for.
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether no picture has come yet: the first is a keyframe.
    pub const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Encodes a picture for nobody: the first takes several times as long as any other, as memory is touched for the first time.
    ///
    /// # Errors
    /// When the library fails.
    pub fn warm_up(&mut self, picture: &Picture) -> Result<(), JobError> {
        self.encode(picture.share(), true, &mut Vec::new())?;
        self.fresh = true;
        Ok(())
    }

    /// Follows the source's bitrate.
    pub fn follow(&mut self, measure: &Measure) {
        let Some(source) = measure.bitrate() else { return };
        let wanted = limit(f64::from(source) * ABOVE_SOURCE, self.encoding);
        // Not for every few bits: the encoder sets itself up anew.
        if wanted.abs_diff(self.limit) > self.limit / 4 {
            self.limit = wanted;
            self.opened.set_max_bit_rate(wanted as usize);
            // SAFETY: the context is open and ours; the encoder looks at both before each picture.
            unsafe { (*self.opened.as_mut_ptr()).rc_buffer_size = wanted.try_into().unwrap_or(i32::MAX) };
        }
    }

    /// Appends what comes out with this picture, which is the picture itself: nothing is held back.
    ///
    /// # Errors
    /// When the library fails.
    pub fn encode(
        &mut self,
        mut picture: Picture,
        keyframe: bool,
        out: &mut Vec<Encoded>,
    ) -> Result<(), JobError> {
        let tick = picture.pts.to_ticks(CLOCK as u32).max(self.last_tick.saturating_add(1));
        self.last_tick = tick;
        self.fresh = false;
        self.inside.push_back(picture.pts);
        picture.frame.set_pts(Some(tick));
        // The decoder's own would force the same type on the encoder.
        picture.frame.set_kind(if keyframe { picture::Type::I } else { picture::Type::None });
        self.opened.send_frame(&picture.frame).doing("encoding")?;
        self.receive(out)
    }

    /// Appends what is still inside.
    ///
    /// # Errors
    /// When the library fails.
    pub fn drain(&mut self, out: &mut Vec<Encoded>) -> Result<(), JobError> {
        self.opened.send_eof().doing("encoding")?;
        self.receive(out)
    }

    fn receive(&mut self, out: &mut Vec<Encoded>) -> Result<(), JobError> {
        loop {
            let mut packet = Packet::empty();
            match self.opened.receive_packet(&mut packet) {
                Ok(()) => {}
                Err(Error::Eof | Error::Other { errno: libc::EAGAIN }) => return Ok(()),
                Err(error) => return Err(error).doing("encoding"),
            }
            let (Some(pts), Some(data)) = (self.inside.pop_front(), packet.data()) else { continue };
            let keyframe = packet.flags().contains(packet::Flags::KEY);
            out.push(Encoded { pts, keyframe, payload: Bytes::copy_from_slice(data) });
        }
    }
}

/// The track that begins with this keyframe, in the place of `source`.
///
/// # Errors
/// When its parameter sets are missing or cannot be read.
pub fn track(keyframe: &[u8], source: &Track) -> Result<Track, JobError> {
    let sets = |kind| {
        let units = nal::units(keyframe).filter_map(Result::ok);
        units.filter(|unit| unit_type(unit) == kind).map(Bytes::copy_from_slice).collect()
    };
    let record = ConfigRecord::from_parameter_sets(sets(nal_type::SPS), sets(nal_type::PPS))?;
    let description = codec::describe(Codec::H264, &record.encode())?;
    let params = match description.params {
        Params::Video(video) => Params::Video(VideoParams { reorder_depth: Some(0), ..video }),
        audio @ Params::Audio(_) => audio,
    };
    Ok(Track { codec: Codec::H264, config: description.config, params, ..source.clone() })
}

fn limit(wanted: f64, encoding: Encoding) -> u32 {
    let most = match encoding.max_bitrate {
        0 => f64::from(u32::MAX),
        most => f64::from(most),
    };
    // A conversion from a float saturates.
    wanted.max(LOWEST_BITRATE).min(most) as u32
}

const fn preset(speed: Speed) -> &'static str {
    match speed {
        Speed::Superfast => "superfast",
        Speed::Ultrafast => "ultrafast",
    }
}

/// A thread encodes 720p at 30 frames a second in a fifth of the time there is; slices cost bits.
const fn threads(settings: Settings) -> &'static str {
    match settings.width as u64 * settings.height as u64 {
        ..1_000_000 => "1",
        1_000_000..2_100_000 => "2",
        2_100_000.. => "4",
    }
}
