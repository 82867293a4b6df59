//! What a worker can be asked to do, and with what.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::media::MediaTime;

/// What a worker can be asked to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Job {
    /// Make another codec of a stream.
    Convert(Convert),
    /// Draw into a stream.
    BurnIn(BurnIn),
    /// Decode an image.
    Image(ImageJob),
}

/// A conversion. What is `None` is none of the worker's business: its frames are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convert {
    /// The picture becomes H.264 without B-frames.
    pub video: Option<Encoding>,
    /// What the sound becomes.
    pub audio: Option<SoundTarget>,
    /// Only frames that are shown or heard later than this are given: another worker has given the rest.
    pub after: MediaTime,
}

impl Convert {
    /// Before all frames.
    pub const ALL: MediaTime = MediaTime::from_nanos(i64::MIN);
}

/// A burn-in: H.264 in, H.264 without B-frames out, once for each output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BurnIn {
    /// How the pictures of all outputs are encoded.
    pub encoding: Encoding,
}

/// How a picture is encoded. Quality and bitrate follow the source, which the worker measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// How much the encoder looks for savings.
    pub speed: Speed,
    /// The most bits a second, whatever the source has; 0 for no limit but the source's own rate.
    pub max_bitrate: u32,
}

impl Encoding {
    /// As fast as is still good, and as much as the source has.
    pub const DEFAULT: Self = Self { speed: Speed::Superfast, max_bitrate: 0 };
}

/// How much the encoder looks for savings: presets of x264.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speed {
    /// The default.
    #[default]
    Superfast,
    /// Under load: two thirds of the work, a fifth more bits.
    Ultrafast,
}

/// What sound becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundTarget {
    /// Opus in packets of 20 ms at 48 kHz, one or two channels.
    Opus,
    /// AAC-LC at 48 kHz, one or two channels.
    Aac,
}

/// An image file to be decoded: PNG, APNG, JPEG, WebP, GIF or SVG. Its kind is told from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageJob {
    /// The file, at most [`MAX_IMAGE`](super::MAX_IMAGE) bytes.
    pub file: Bytes,
    /// The sprite is made no larger than this, with its proportions kept. An SVG is drawn as large as it fits.
    pub fit: Size,
    /// The most pixels that a frame of the file may have.
    pub max_pixels: u32,
    /// The most frames.
    pub max_frames: u16,
    /// How long decoding may take, in the worker's processor time.
    pub max_time: Duration,
}

/// A width and a height, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// A rectangle in a picture, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// Names an output of a burn-in; never used twice in one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId(pub u32);

/// Names an overlay within its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OverlayId(pub u64);

/// An overlay: drawn on the pictures with `start <= pts < end`, and on no other.
///
/// Without [`squeeze`](Self::squeeze) the sprite lies over the picture. With it the picture lies over the sprite, both over the
/// background: an L-shape may be a sprite as large as the picture.
///
/// Overlays that are on at the same time are drawn one over the other in the order of their ids; of several that squeeze, the
/// first does.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlay {
    /// Its name.
    pub id: OverlayId,
    /// The first moment with it.
    pub start: MediaTime,
    /// The first moment without it.
    pub end: MediaTime,
    /// What is drawn; scaled to `place`.
    pub sprite: Sprite,
    /// The size of picture that the rectangles are measured in. They are scaled where the picture has another.
    pub canvas: Size,
    /// Where the sprite goes, within the canvas.
    pub place: Rect,
    /// What becomes of the picture, if it does not stay as it is.
    pub squeeze: Option<Squeeze>,
}

/// The picture makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Squeeze {
    /// Where the picture goes, within the canvas.
    pub picture: Rect,
    /// What is where neither picture nor sprite are: red, green, blue.
    pub background: [u8; 3],
    /// How long the picture takes to go there, and to come back before the end; zero for at once.
    pub transition: Duration,
}

/// An image, or an animation that goes round from the overlay's start on.
#[derive(Clone, PartialEq, Eq)]
pub struct Sprite {
    /// Width and height of all frames, 1 to [`MAX_SPRITE_SIDE`](super::MAX_SPRITE_SIDE).
    pub size: Size,
    /// The frames: at least one, at most [`MAX_SPRITE_FRAMES`](super::MAX_SPRITE_FRAMES).
    pub frames: Vec<SpriteFrame>,
}

/// One frame of a sprite.
#[derive(Clone, PartialEq, Eq)]
pub struct SpriteFrame {
    /// How long it is shown, in whole milliseconds; of no meaning where there is only one.
    pub duration: Duration,
    /// Rows from above, four bytes a pixel: red, green, blue (sRGB), and straight alpha.
    pub rgba: Bytes,
}

impl fmt::Debug for Sprite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Size { width, height } = self.size;
        write!(f, "Sprite({width}x{height}, {} frames)", self.frames.len())
    }
}

impl fmt::Debug for SpriteFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpriteFrame({:?})", self.duration)
    }
}
