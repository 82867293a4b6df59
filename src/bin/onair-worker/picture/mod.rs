//! Pictures: decoding, bringing into the one form that is worked on, encoding.

mod decoder;
mod encoder;
mod measure;
mod planar;

pub use decoder::{Decoder, context};
pub use encoder::{Encoded, Encoder, Profile, Settings, track};
pub use measure::Measure;
pub use planar::Planar;

use onair::media::MediaTime;

use crate::libav::frame;

/// A decoded picture: planes of 8 bits, 4:2:0, in video or full range.
pub struct Picture {
    /// The samples. They may be shared with the decoder, and are not to be written into.
    pub frame: frame::Video,
    /// When it is shown, on the source's clock.
    pub pts: MediaTime,
    /// The source has a keyframe here.
    pub keyframe: bool,
}
