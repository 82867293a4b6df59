//! What a burn-in decodes, and what is known of it.

use onair::av::worker::ipc::Encoding;
use onair::codec::h264::ConfigRecord;
use onair::media::{Frame, Track};

use crate::error::JobError;
use crate::picture::{Decoder, Encoder, Measure, Picture, Profile, Settings};

/// An encoder is opened ahead of its output's cut, once the frame rate is known from so many frames.
const MEASURED: usize = 8;

/// The source.
pub struct Source {
    encoding: Encoding,
    decoder: Option<Decoder>,
    measure: Measure,
}

impl Source {
    /// What will be encoded like this. There is no track yet.
    pub fn new(encoding: Encoding) -> Self {
        Self { encoding, decoder: None, measure: Measure::default() }
    }

    /// The track that is decoded.
    pub fn track(&self) -> Option<&Track> {
        self.decoder.as_ref().map(Decoder::track)
    }

    /// How its frames come.
    pub const fn measure(&self) -> &Measure {
        &self.measure
    }

    /// Whether enough frames have come to open an encoder ahead.
    pub fn is_measured(&self) -> bool {
        self.measure.frames() >= MEASURED
    }

    /// Goes on with this track. Appends the pictures that are left of the one before.
    ///
    /// # Errors
    /// As for decoding.
    pub fn change(&mut self, track: Track, out: &mut Vec<Picture>) -> Result<(), JobError> {
        if self.track() == Some(&track) {
            return Ok(());
        }
        match self.decoder.replace(Decoder::new(track)) {
            Some(mut old) => old.drain(out),
            None => Ok(()),
        }
    }

    /// Appends the pictures that come out with this frame.
    ///
    /// # Errors
    /// When there is no track yet, or it cannot be decoded.
    pub fn decode(&mut self, frame: &Frame, out: &mut Vec<Picture>) -> Result<(), JobError> {
        self.measure.add(frame);
        let decoder = self.decoder.as_mut().ok_or(JobError::Unexpected("a frame before its track"))?;
        decoder.decode(frame, out)
    }

    /// Appends the pictures that are still inside.
    ///
    /// # Errors
    /// As for decoding.
    pub fn drain(&mut self, out: &mut Vec<Picture>) -> Result<(), JobError> {
        self.decoder.as_mut().map_or(Ok(()), |decoder| decoder.drain(out))
    }

    /// An encoder for pictures of it.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn encoder(&self, settings: Settings) -> Result<Encoder, JobError> {
        // The source's parameter sets go on to hold in decoders that keep them from before.
        let record = self.track().and_then(|track| ConfigRecord::parse(&track.config).ok());
        let set_id = record.map_or(0, |record| record.free_set_id());
        Encoder::open(settings, self.encoding, Profile::High, &self.measure, set_id)
    }
}
