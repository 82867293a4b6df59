//! Any of AAC's sample rates to Opus's.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _, ResamplerConstructionError, WindowFunction};

use super::decoder::FRAME;

/// An access unit is transformed in so many pieces, as near as the ratio allows: fewer make a steeper filter and more
/// delay, here of 7 ms at 44.1 kHz.
const PIECES: usize = 2;

/// Takes decoded access units, gives their samples at another rate.
pub struct Resampler {
    /// `None` where the rates are the same.
    fft: Option<Fft<f32>>,
    channels: usize,
    out: Vec<f32>,
    /// Frames of the filter's delay that are still to be left out.
    delay: usize,
}

impl Resampler {
    /// From `from` to `to` samples a second.
    ///
    /// # Errors
    /// When the library refuses the rates.
    pub fn new(from: u32, to: u32, channels: usize) -> Result<Self, ResamplerConstructionError> {
        let fft = (from != to)
            .then(|| {
                let window = WindowFunction::BlackmanHarris2;
                Fft::new_custom(from as usize, to as usize, FRAME, PIECES, channels, window, FixedSync::Input)
            })
            .transpose()?;
        let frames = fft.as_ref().map_or(0, |fft| fft.output_frames_max());
        let mut this = Self { fft, channels, out: vec![0.0; frames * channels], delay: 0 };
        this.reset();
        Ok(this)
    }

    /// Forgets the sound so far: the next sample that goes in is the next that comes out.
    pub fn reset(&mut self) {
        if let Some(fft) = &mut self.fft {
            fft.reset();
            self.delay = fft.output_delay();
        }
    }

    /// The interleaved samples that `FRAME` interleaved frames become, with those that were held back before.
    pub fn resample<'a>(&'a mut self, sound: &'a [f32]) -> &'a [f32] {
        let Some(fft) = &mut self.fft else { return sound };
        let frames = self.out.len() / self.channels;
        let written = InterleavedSlice::new(sound, self.channels, FRAME).and_then(|input| {
            InterleavedSlice::new_mut(&mut self.out, self.channels, frames)
                .map(|mut output| fft.process_into_buffer(&input, &mut output, None))
        });
        // Neither fails: the buffers are as large as the library asks for.
        let frames = written.ok().and_then(Result::ok).map_or(0, |(_, written)| written);
        let skipped = self.delay.min(frames);
        self.delay -= skipped;
        self.out.get(skipped * self.channels..frames * self.channels).unwrap_or_default()
    }
}
