//! AAC-LC access units to samples.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia_codec_aac::AacDecoder as Symphonia;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::errors::Error;
use symphonia_core::packet::Packet;
use symphonia_core::units::{Duration, Timestamp};

use crate::codec::aac::AudioSpecificConfig;
use crate::codec::bits::BitWriter;

/// Samples that an access unit decodes to.
pub const FRAME: usize = 1024;

/// Sound has its full scale at 1, and encoders overshoot it by a little. What is louder than this is no sound but a
/// broken access unit.
const LOUDEST: f32 = 8.0;

/// A decoder that goes on whatever it is given.
pub struct Decoder {
    decoder: Symphonia,
    channels: usize,
    silence: Vec<u8>,
    /// Interleaved, [`FRAME`] frames.
    sound: Vec<f32>,
    concealed: u64,
}

impl Decoder {
    /// For access units of one or two channels at a rate that AAC has an index for.
    ///
    /// # Errors
    /// When the library refuses that.
    pub fn new(sample_rate: u32, channels: u8) -> Result<Self, Error> {
        let mut parameters = AudioCodecParameters::new();
        // A record of our own: the library need not understand the peer's.
        let record = AudioSpecificConfig::encode_lc(sample_rate, channels)
            .map_err(|_| Error::Unsupported("sample rate or channels"))?;
        parameters.for_codec(CODEC_ID_AAC).with_extra_data(record.as_ref().into());
        let decoder = Symphonia::try_new(&parameters, &AudioDecoderOptions::default())?;
        let channels = usize::from(channels);
        let sound = vec![0.0; FRAME * channels];
        let mut this = Self { decoder, channels, silence: silence(channels), sound, concealed: 0 };
        // The first access unit fixes the library's idea of the elements: it must not be a broken one.
        this.fade_out();
        Ok(this)
    }

    /// The interleaved samples of an access unit, [`FRAME`] frames. A broken one becomes a gap with soft edges.
    pub fn decode(&mut self, unit: &[u8]) -> &[f32] {
        if self.decoded(unit).is_none() {
            self.concealed += 1;
            self.fade_out();
        }
        &self.sound
    }

    /// The end of the sound that was decoded so far, where the next access unit is missing: [`FRAME`] frames that fade
    /// to silence.
    ///
    /// The halves of AAC's windows that nothing is added to are a fade by themselves.
    pub fn fade_out(&mut self) -> &[f32] {
        let silence = std::mem::take(&mut self.silence);
        if self.decoded(&silence).is_none() {
            self.decoder.reset();
            self.sound.fill(0.0);
        }
        self.silence = silence;
        &self.sound
    }

    /// Broken access units so far.
    pub const fn concealed(&self) -> u64 {
        self.concealed
    }

    /// Decodes into `sound`; `None` when that is no sound.
    fn decoded(&mut self, unit: &[u8]) -> Option<()> {
        let Self { decoder, sound, channels, .. } = self;
        let packet = Packet::new(0, Timestamp::ZERO, Duration::ZERO, unit);
        // The library has had panics on crafted input. Its state is plain numbers, which a reset makes whole again.
        let decoding = catch_unwind(AssertUnwindSafe(|| {
            let samples = decoder.decode(&packet).ok()?;
            (samples.frames() == FRAME && samples.spec().channels().count() == *channels)
                .then(|| samples.copy_to_slice_interleaved(&mut sound[..]))
        }));
        match decoding {
            Ok(Some(())) if sound.iter().all(|sample| sample.abs() < LOUDEST) => Some(()),
            Ok(_) => None,
            Err(_) => {
                self.decoder.reset();
                None
            }
        }
    }
}

/// An access unit of silence (ISO/IEC 14496-3 §4.4.2): one element without spectral bands.
pub(super) fn silence(channels: usize) -> Vec<u8> {
    const SINGLE_CHANNEL_ELEMENT: u32 = 0;
    const CHANNEL_PAIR_ELEMENT: u32 = 1;
    const END: u32 = 7;
    let mut writer = BitWriter::default();
    // ics_info: ics_reserved_bit, window_sequence, window_shape, max_sfb, predictor_data_present
    const ICS_INFO: u32 = 11;
    // pulse_data_present, tns_data_present, gain_control_data_present
    const FLAGS: u32 = 3;
    const TAG: u32 = 4;
    const GLOBAL_GAIN: u32 = 8;
    if channels == 1 {
        writer.bits(SINGLE_CHANNEL_ELEMENT, 3);
        writer.bits(0, TAG);
        writer.bits(0, GLOBAL_GAIN + ICS_INFO + FLAGS);
    } else {
        writer.bits(CHANNEL_PAIR_ELEMENT, 3);
        writer.bits(0, TAG);
        // common_window
        writer.bits(1, 1);
        // ms_mask_present
        writer.bits(0, ICS_INFO + 2);
        writer.bits(0, 2 * (GLOBAL_GAIN + FLAGS));
    }
    writer.bits(END, 3);
    writer.finish()
}
