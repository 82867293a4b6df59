//! `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1), the body of an FLV AAC sequence header.

use bytes::Bytes;

use super::program;
use crate::codec::Malformed;
use crate::codec::bits::{BitReader, BitWriter};

/// Sampling frequencies by `samplingFrequencyIndex` (§1.6.3.4).
pub const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const EXPLICIT_RATE: u8 = 15;
/// Twice the highest rate of the table: nothing in use is higher.
const MAX_SAMPLE_RATE: u32 = 192_000;
/// A record has a few bytes; the longest has a program config element with a comment.
const MAX_CONFIG: usize = 1024;
const ESCAPE: u8 = 31;
const SYNC_SBR: u32 = 0x2b7;
const SYNC_PS: u32 = 0x548;

/// Audio object types (§1.5.1, table 1.17).
pub mod object_type {
    /// AAC Main.
    pub const MAIN: u8 = 1;
    /// AAC LC.
    pub const LC: u8 = 2;
    /// AAC SSR.
    pub const SSR: u8 = 3;
    /// AAC LTP.
    pub const LTP: u8 = 4;
    /// Spectral band replication (HE-AAC).
    pub const SBR: u8 = 5;
    /// AAC Scalable.
    pub const SCALABLE: u8 = 6;
    /// Error resilient AAC LC.
    pub const ER_LC: u8 = 17;
    /// Error resilient AAC LTP.
    pub const ER_LTP: u8 = 19;
    /// Error resilient AAC LD.
    pub const ER_LD: u8 = 23;
    /// Parametric stereo (HE-AAC v2).
    pub const PS: u8 = 29;
    /// Error resilient AAC ELD.
    pub const ER_ELD: u8 = 39;
    /// Unified speech and audio coding (xHE-AAC).
    pub const USAC: u8 = 42;
}

/// What an AAC decoder must know before the first access unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Audio object type of the core coder, beneath SBR and PS.
    pub object_type: u8,
    /// Samples a second of the core coder.
    pub core_sample_rate: u32,
    /// Channels of the core coder, 1 to 24.
    pub core_channels: u8,
    /// Samples (at the core's rate) of an access unit; `None` where this record does not tell (USAC).
    pub core_frame_samples: Option<u32>,
    /// SBR, if it is signalled explicitly, in either way.
    pub sbr: Option<SpectralBandReplication>,
}

/// Explicitly signalled SBR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpectralBandReplication {
    /// Samples a second at the decoder's output: the core's rate or twice that.
    pub sample_rate: u32,
    /// Parametric stereo: a mono core decodes to two channels.
    pub parametric_stereo: bool,
}

impl AudioSpecificConfig {
    /// Reads a record. What stands behind it is passed over: encoders pad.
    pub fn parse(record: &[u8]) -> Result<Self, Malformed> {
        Malformed::check_max("AudioSpecificConfig", record.len(), MAX_CONFIG)?;
        let reader = &mut BitReader::new(record);
        let mut object = parse_object_type(reader)?;
        let core_sample_rate = parse_sample_rate(reader)?;
        let channel_configuration = reader.byte("channelConfiguration", 4)?;
        let mut sbr = None;
        if matches!(object, object_type::SBR | object_type::PS) {
            let parametric_stereo = object == object_type::PS;
            let sample_rate = parse_sample_rate(reader)?;
            sbr = Some(SpectralBandReplication { sample_rate, parametric_stereo });
            object = parse_object_type(reader)?;
            if object == 22 {
                reader.skip("extensionChannelConfiguration", 4)?;
            }
        }
        let core = Core::parse(reader, object, channel_configuration)?;
        let core_channels = match channel_configuration {
            0 => core.program_channels.ok_or(Malformed::Missing { element: "program_config_element" })?,
            other => channels(other)?,
        };
        if core.doubles_rate {
            sbr =
                Some(SpectralBandReplication { sample_rate: 2 * core_sample_rate, parametric_stereo: false });
        }
        if sbr.is_none() {
            sbr = parse_sync_extension(reader)?;
        }
        if let Some(sbr) = sbr
            && sbr.sample_rate != core_sample_rate
            && sbr.sample_rate != 2 * core_sample_rate
        {
            let value = sbr.sample_rate.into();
            return Err(Malformed::Invalid { element: "extensionSamplingFrequency", value });
        }
        Ok(Self {
            object_type: object,
            core_sample_rate,
            core_channels,
            core_frame_samples: core.frame_samples,
            sbr,
        })
    }

    /// A record for AAC LC with frames of 1024 samples. Channels are 1 to 6 or 8; the rate is at most 192 kHz.
    pub fn encode_lc(sample_rate: u32, channels: u8) -> Result<Bytes, Malformed> {
        check_sample_rate(sample_rate)?;
        let configuration = match channels {
            1..=6 => u32::from(channels),
            8 => 7,
            other => return Err(Malformed::Invalid { element: "channels", value: other.into() }),
        };
        let mut writer = BitWriter::default();
        writer.bits(object_type::LC.into(), 5);
        match SAMPLE_RATES.iter().position(|&rate| rate == sample_rate) {
            Some(index) => writer.bits(index as u32, 4),
            None => {
                writer.bits(EXPLICIT_RATE.into(), 4);
                writer.bits(sample_rate, 24);
            }
        }
        writer.bits(configuration, 4);
        // frameLengthFlag, dependsOnCoreCoder, extensionFlag
        writer.bits(0, 3);
        Ok(writer.finish().into())
    }

    /// Samples a second at the decoder's output.
    pub fn sample_rate(&self) -> u32 {
        self.sbr.map_or(self.core_sample_rate, |sbr| sbr.sample_rate)
    }

    /// Channels at the decoder's output.
    pub fn channels(&self) -> u8 {
        let stereo = self.core_channels == 1 && self.sbr.is_some_and(|sbr| sbr.parametric_stereo);
        if stereo { 2 } else { self.core_channels }
    }

    /// Samples (at [`sample_rate`](Self::sample_rate)) that an access unit decodes to: 960 or 1024, twice that with
    /// SBR at the doubled rate, half of it for AAC LD and ELD. `None` where the record does not tell (USAC).
    pub fn frame_samples(&self) -> Option<u32> {
        self.core_frame_samples.map(|samples| samples * (self.sample_rate() / self.core_sample_rate.max(1)))
    }

    /// The object type that names the stream in a codec string: 29 with PS, 5 with SBR, else that of the core. ELD has
    /// an SBR of its own and keeps its name.
    pub fn signalled_object_type(&self) -> u8 {
        match self.sbr {
            _ if self.object_type == object_type::ER_ELD => self.object_type,
            Some(sbr) if sbr.parametric_stereo => object_type::PS,
            Some(_) => object_type::SBR,
            None => self.object_type,
        }
    }
}

/// The rate of a `samplingFrequencyIndex` that is not the escape.
pub(super) fn indexed_sample_rate(index: u8) -> Result<u32, Malformed> {
    let unknown = Malformed::Invalid { element: "samplingFrequencyIndex", value: index.into() };
    SAMPLE_RATES.get(usize::from(index)).copied().ok_or(unknown)
}

/// Output channels by `channelConfiguration` (§1.6.3.5); 0 is told by a program config element.
pub(super) fn channels(configuration: u8) -> Result<u8, Malformed> {
    match configuration {
        1..=6 => Ok(configuration),
        7 | 12 | 14 => Ok(8),
        11 => Ok(7),
        13 => Ok(24),
        _ => Err(Malformed::Invalid { element: "channelConfiguration", value: configuration.into() }),
    }
}

/// §1.6.2.1, `GetAudioObjectType()`
fn parse_object_type(reader: &mut BitReader<'_>) -> Result<u8, Malformed> {
    match reader.byte("audioObjectType", 5)? {
        ESCAPE => Ok(32 + reader.byte("audioObjectTypeExt", 6)?),
        object => Ok(object),
    }
}

fn parse_sample_rate(reader: &mut BitReader<'_>) -> Result<u32, Malformed> {
    let index = reader.byte("samplingFrequencyIndex", 4)?;
    if index != EXPLICIT_RATE {
        return indexed_sample_rate(index);
    }
    let rate = reader.bits("samplingFrequency", 24)?;
    check_sample_rate(rate)?;
    Ok(rate)
}

fn check_sample_rate(rate: u32) -> Result<(), Malformed> {
    if rate == 0 {
        return Err(Malformed::Invalid { element: "samplingFrequency", value: 0 });
    }
    Malformed::check_max("samplingFrequency", rate as usize, MAX_SAMPLE_RATE as usize)
}

/// What the part of the record that belongs to the core coder says.
#[derive(Default)]
struct Core {
    /// Samples of an access unit.
    frame_samples: Option<u32>,
    /// Channels, if a program config element counts them.
    program_channels: Option<u8>,
    /// ELD: its own SBR doubles the rate.
    doubles_rate: bool,
}

impl Core {
    fn parse(reader: &mut BitReader<'_>, object: u8, channel_configuration: u8) -> Result<Self, Malformed> {
        use object_type::{ER_ELD, ER_LC, ER_LD, ER_LTP, LTP, MAIN, SCALABLE, USAC};
        match object {
            MAIN..=LTP | SCALABLE | ER_LC | ER_LTP | ER_LD => {
                Self::parse_ga(reader, object, channel_configuration)
            }
            ER_ELD => Self::parse_eld(reader),
            USAC => {
                reader.skip("UsacConfig", reader.remaining())?;
                Ok(Self::default())
            }
            other => Err(Malformed::Invalid { element: "audioObjectType", value: other.into() }),
        }
    }

    /// `GASpecificConfig` (§4.4.1).
    fn parse_ga(
        reader: &mut BitReader<'_>,
        object: u8,
        channel_configuration: u8,
    ) -> Result<Self, Malformed> {
        use object_type::{ER_LC, ER_LD, ER_LTP, SCALABLE};
        let resilient = matches!(object, ER_LC | ER_LTP | ER_LD);
        let short = reader.flag("frameLengthFlag")?;
        if reader.flag("dependsOnCoreCoder")? {
            reader.skip("coreCoderDelay", 14)?;
        }
        let extension = reader.flag("extensionFlag")?;
        let program_channels = match channel_configuration {
            0 => Some(program::parse_channels(reader)?),
            _ => None,
        };
        if object == SCALABLE {
            reader.skip("layerNr", 3)?;
        }
        if extension {
            reader.skip("resilience flags", if resilient { 3 } else { 0 })?;
            reader.skip("extensionFlag3", 1)?;
        }
        if resilient {
            reader.skip("epConfig", 2)?;
        }
        let frame_samples = match (object == ER_LD, short) {
            (false, false) => 1024,
            (false, true) => 960,
            (true, false) => 512,
            (true, true) => 480,
        };
        Ok(Self { frame_samples: Some(frame_samples), program_channels, doubles_rate: false })
    }

    /// `ELDSpecificConfig` (§4.6.20). What follows its SBR flags tells nothing that is needed here, and ends the record.
    fn parse_eld(reader: &mut BitReader<'_>) -> Result<Self, Malformed> {
        let frame_samples = if reader.flag("frameLengthFlag")? { 480 } else { 512 };
        reader.skip("resilience flags", 3)?;
        let doubles_rate = reader.flag("ldSbrPresentFlag")? && reader.flag("ldSbrSamplingRate")?;
        reader.skip("ELDSpecificConfig", reader.remaining())?;
        Ok(Self { frame_samples: Some(frame_samples), program_channels: None, doubles_rate })
    }
}

/// SBR and PS signalled behind the record, where old decoders do not look (§1.6.5.2).
fn parse_sync_extension(reader: &mut BitReader<'_>) -> Result<Option<SpectralBandReplication>, Malformed> {
    if reader.remaining() < 16 || reader.bits("syncExtensionType", 11)? != SYNC_SBR {
        return Ok(None);
    }
    if parse_object_type(reader)? != object_type::SBR || !reader.flag("sbrPresentFlag")? {
        return Ok(None);
    }
    let sample_rate = parse_sample_rate(reader)?;
    let parametric_stereo = reader.remaining() >= 12
        && reader.bits("syncExtensionType", 11)? == SYNC_PS
        && reader.flag("psPresentFlag")?;
    Ok(Some(SpectralBandReplication { sample_rate, parametric_stereo }))
}
