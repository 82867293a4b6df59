//! AAC-LC access units to samples.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia_codec_aac::AacDecoder as Symphonia;
use symphonia_core::codecs::audio::well_known::CODEC_ID_AAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::errors::Error;
use symphonia_core::packet::Packet;
use symphonia_core::units::{Duration, Timestamp};

use crate::codec::Malformed;
use crate::codec::aac::AudioSpecificConfig;
use crate::codec::bits::{BitReader, BitWriter};

/// Samples that an access unit decodes to.
pub const FRAME: usize = 1024;

/// Sound has its full scale at 1, and encoders overshoot it by a little. What is louder than this is no sound but a
/// broken access unit.
const LOUDEST: f32 = 8.0;

/// Syntactic elements of an access unit (ISO/IEC 14496-3 §4.5.2.1, table 4.85).
mod element {
    pub const SINGLE_CHANNEL: u8 = 0;
    pub const CHANNEL_PAIR: u8 = 1;
    pub const DATA_STREAM: u8 = 4;
    pub const FILL: u8 = 6;
    pub const END: u8 = 7;
}

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
        // Without it, the library gives what was there before.
        if first_element(unit).ok()? != element_of(*channels) {
            return None;
        }
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

/// The element that one or two channels are in.
const fn element_of(channels: usize) -> u8 {
    if channels == 1 { element::SINGLE_CHANNEL } else { element::CHANNEL_PAIR }
}

/// The first element of an access unit that is neither filling nor data (ISO/IEC 14496-3 §4.4.2.7).
fn first_element(unit: &[u8]) -> Result<u8, Malformed> {
    let reader = &mut BitReader::new(unit);
    loop {
        match reader.byte("id_syn_ele", 3)? {
            element::FILL => {
                let mut count = reader.bits("count", 4)?;
                if count == 15 {
                    count += reader.bits("esc_count", 8)?.saturating_sub(1);
                }
                reader.skip("extension_payload", 8 * count as usize)?;
            }
            element::DATA_STREAM => {
                reader.skip("element_instance_tag", 4)?;
                let aligned = reader.flag("data_byte_align_flag")?;
                let mut count = reader.bits("count", 8)?;
                if count == 255 {
                    count += reader.bits("esc_count", 8)?;
                }
                if aligned {
                    reader.align();
                }
                reader.skip("data_stream_byte", 8 * count as usize)?;
            }
            other => return Ok(other),
        }
    }
}

/// An access unit of silence (§4.4.2): one element without spectral bands.
pub(super) fn silence(channels: usize) -> Vec<u8> {
    /// `element_instance_tag`
    const TAG: u32 = 4;
    /// `global_gain`
    const GAIN: u32 = 8;
    /// `ics_info`: `ics_reserved_bit`, `window_sequence`, `window_shape`, `max_sfb`, `predictor_data_present`
    const INFO: u32 = 11;
    /// `pulse_data_present`, `tns_data_present`, `gain_control_data_present`
    const FLAGS: u32 = 3;
    let mut writer = BitWriter::default();
    writer.bits(element_of(channels).into(), 3);
    if channels == 1 {
        writer.bits(0, TAG + GAIN + INFO + FLAGS);
    } else {
        writer.bits(0, TAG);
        // common_window
        writer.bits(1, 1);
        // ms_mask_present has two bits.
        writer.bits(0, INFO + 2);
        writer.bits(0, 2 * (GAIN + FLAGS));
    }
    writer.bits(element::END.into(), 3);
    writer.finish()
}
