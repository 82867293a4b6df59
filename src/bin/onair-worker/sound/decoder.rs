//! Access units and packets to interleaved samples at 48 kHz, in one or two channels.

use onair::codec::opus::{OpusHead, SAMPLE_RATE};
use onair::media::{Codec, Frame, MediaTime, Track};

use crate::error::{Doing, JobError};
use crate::libav::codec::{Id, decoder};
use crate::libav::format::{Sample, sample};
use crate::libav::software::resampling::Context;
use crate::libav::{ChannelLayout, Error, Packet, frame, media};
use crate::picture::context;

/// What the samples are given as.
const INTERLEAVED: Sample = Sample::F32(sample::Type::Packed);

/// Decodes one track.
pub struct Decoder {
    opened: decoder::Opened,
    channels: u8,
    resampler: Option<Resampler>,
}

/// From what the decoder gives.
struct Resampler {
    context: Context,
    form: (Sample, u32, u32),
}

/// A decoded frame, resampled.
pub struct Decoded {
    /// When it is heard, on the source's clock.
    pub pts: MediaTime,
    /// Samples a channel, at the source's rate.
    pub source_samples: u32,
    /// Samples a second of the source.
    pub source_rate: u32,
    /// The library's frame, to be resampled by [`Decoder::resample`] once its place in time is known.
    frame: frame::Audio,
}

impl Decoder {
    /// For a track of sound, to be given in so many channels.
    ///
    /// # Errors
    /// When the library cannot decode it.
    pub fn open(track: &Track, channels: u8) -> Result<Self, JobError> {
        let id = match track.codec {
            Codec::Aac => Id::AAC,
            Codec::Opus => Id::OPUS,
            other => return Err(JobError::Refused(format!("{other} is no sound"))),
        };
        let config = match track.codec {
            // In the middle of a stream nothing is to be skipped.
            Codec::Opus => OpusHead { pre_skip: 0, ..OpusHead::parse(&track.config)? }.encode(),
            _ => track.config.clone(),
        };
        let codec = decoder::find(id).ok_or_else(|| {
            JobError::Refused(format!("the media library of this machine has no decoder for {}", track.codec))
        })?;
        let context = context(id, media::Type::Audio, &config).doing("opening the decoder")?;
        let opened = context.decoder().open_as(codec).doing("opening the decoder")?;
        Ok(Self { opened, channels, resampler: None })
    }

    /// What the frame decodes to. `None` when it cannot be decoded.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn decode(&mut self, frame: &Frame) -> Result<Option<Decoded>, JobError> {
        let mut packet = Packet::copy(&frame.payload);
        packet.set_pts(Some(frame.pts.as_nanos()));
        let mut decoded = frame::Audio::empty();
        match self.opened.send_packet(&packet).and_then(|()| self.opened.receive_frame(&mut decoded)) {
            Ok(()) => {}
            Err(error @ Error::Other { errno: libc::ENOMEM }) => return Err(error).doing("decoding"),
            Err(_) => return Ok(None),
        }
        let (Ok(source_samples), source_rate @ 1..) = (u32::try_from(decoded.samples()), decoded.rate())
        else {
            return Ok(None);
        };
        let pts = decoded.pts().map_or(frame.pts, MediaTime::from_nanos);
        Ok(Some(Decoded { pts, source_samples, source_rate, frame: decoded }))
    }

    /// Appends a decoded frame's samples, as far as the resampler does not hold them back.
    ///
    /// # Errors
    /// When the library cannot, as for channels that have no known places.
    pub fn resample(&mut self, decoded: Decoded, out: &mut Vec<f32>) -> Result<(), JobError> {
        let mut frame = decoded.frame;
        let count = frame.ch_layout().channels();
        let form = (frame.format(), frame.rate(), count);
        // What the stream says of its channels may be nonsense; their number is what counts.
        let layout = ChannelLayout::default_for_channels(count);
        if layout.mask().is_none() {
            return Err(JobError::Refused(format!("{count} channels of sound have no known order")));
        }
        frame.set_ch_layout(layout.clone());
        let resampler = match &mut self.resampler {
            Some(resampler) if resampler.form == form => resampler,
            resampler => {
                let to = ChannelLayout::default_for_channels(self.channels.into());
                let context = Context::get2(form.0, layout, form.1, INTERLEAVED, to, SAMPLE_RATE)
                    .doing("opening the resampler")?;
                resampler.insert(Resampler { context, form })
            }
        };
        // Some more than there can be: what is held back is less than a thousand.
        let most = u64::from(decoded.source_samples) * u64::from(SAMPLE_RATE) / u64::from(form.1) + 1_024;
        let mut resampled = room(most as usize, self.channels);
        resampler.context.run(&frame, &mut resampled).doing("resampling")?;
        append(&resampled, self.channels, out);
        Ok(())
    }

    /// Appends what the resampler holds back; it begins anew after that.
    ///
    /// # Errors
    /// When the library cannot.
    pub fn drain(&mut self, out: &mut Vec<f32>) -> Result<(), JobError> {
        if let Some(mut resampler) = self.resampler.take() {
            let mut resampled = room(4_096, self.channels);
            resampler.context.flush(&mut resampled).doing("resampling")?;
            append(&resampled, self.channels, out);
        }
        Ok(())
    }
}

fn room(samples: usize, channels: u8) -> frame::Audio {
    let layout = ChannelLayout::default_for_channels(channels.into());
    // One and two channels have names.
    let mask = layout.mask().unwrap_or(crate::libav::ChannelLayoutMask::STEREO);
    frame::Audio::new(INTERLEAVED, samples, mask)
}

fn append(frame: &frame::Audio, channels: u8, out: &mut Vec<f32>) {
    if frame.samples() == 0 {
        return;
    }
    let bytes = frame.samples() * usize::from(channels) * size_of::<f32>();
    let samples = frame.data(0).get(..bytes).unwrap_or_default().as_chunks().0;
    out.extend(samples.iter().map(|sample| f32::from_ne_bytes(*sample)));
}
