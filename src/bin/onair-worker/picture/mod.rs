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

use crate::error::out_of_memory;
use crate::libav::{ffi, frame};

/// A decoded picture: planes of 8 bits, 4:2:0, in video or full range.
pub struct Picture {
    /// The samples. They may be shared with the decoder, and are not to be written into.
    pub frame: frame::Video,
    /// When it is shown, on the source's clock.
    pub pts: MediaTime,
    /// A keyframe is to be made of it: the source has one here, or has had none for very long.
    pub keyframe: bool,
}

impl Picture {
    /// The same picture once more. The samples are shared, the rest is each one's own.
    pub fn share(&self) -> Self {
        // SAFETY: the frame is ours and there. What comes back is a frame of its own that nobody else frees, or nothing.
        let frame = unsafe {
            let shared = ffi::av_frame_clone(self.frame.as_ptr());
            if shared.is_null() {
                out_of_memory();
            }
            frame::Video::wrap(shared)
        };
        Self { frame, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libav::format::Pixel;

    #[test]
    fn a_picture_is_shared_without_a_copy_and_each_has_its_own_times() {
        let frame = frame::Video::new(Pixel::YUV420P, 64, 32);
        let picture = Picture { frame, pts: MediaTime::from_millis(40), keyframe: true };
        let mut shared = picture.share();
        for plane in 0..3 {
            assert_eq!(shared.frame.data(plane).as_ptr(), picture.frame.data(plane).as_ptr());
        }
        assert_eq!((shared.pts, shared.keyframe), (picture.pts, true));
        shared.frame.set_pts(Some(7));
        assert_eq!(picture.frame.pts(), None);
        drop(picture);
        shared.frame.data_mut(0).fill(9);
        assert_eq!(shared.frame.data(0)[0], 9, "the samples are there as long as anybody has them");
    }
}
