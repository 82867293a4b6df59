//! Opus: the identification header (RFC 7845 §5.1), which is the sequence start of Enhanced RTMP, and the
//! duration of a packet (RFC 6716 §3.1).

use bytes::Bytes;

use super::Malformed;
use super::bits::BitReader;

/// Samples a second of every Opus decoder.
pub const SAMPLE_RATE: u32 = 48_000;
/// The longest packet, 120 ms, in samples at 48 kHz.
pub const MAX_PACKET_SAMPLES: u32 = 5_760;

const MAGIC: &[u8] = b"OpusHead";
/// Channel mapping family of mono and stereo, which has no table.
const FAMILY_RTP: u8 = 0;
/// Channel mapping family of Vorbis order, up to eight channels.
const FAMILY_VORBIS: u8 = 1;
/// Index of a channel that is silent.
const SILENT: u8 = 255;

/// The identification header. All numbers in it are little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Channels at the decoder's output, 1 to 255.
    pub channels: u8,
    /// Samples at 48 kHz to discard from the start of the decoder's output.
    pub pre_skip: u16,
    /// Samples a second of the encoder's input, for information; 0 when unknown.
    pub input_sample_rate: u32,
    /// Gain to apply, in 1/256 dB.
    pub output_gain: i16,
    /// `None` for mapping family 0: one stream, mono or stereo.
    pub mapping: Option<ChannelMapping>,
}

/// How the channels of several streams are put together (RFC 7845 §5.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelMapping {
    /// Mapping family: 1 Vorbis order, 2 ambisonics, 255 without meaning; 3 has no such table and is refused.
    pub family: u8,
    /// Streams in each packet, at least 1.
    pub streams: u8,
    /// How many of them are stereo.
    pub coupled: u8,
    /// For each output channel the decoded channel it takes, 255 for silence.
    pub table: Bytes,
}

impl OpusHead {
    /// Reads an identification header.
    pub fn parse(header: &[u8]) -> Result<Self, Malformed> {
        let Some(body) = header.strip_prefix(MAGIC) else {
            return Err(Malformed::Missing { element: "OpusHead signature" });
        };
        let mut reader = BitReader::new(body);
        let version = reader.byte("version", 8)?;
        // The upper half changes with what old readers cannot understand.
        Malformed::check_max("version", version.into(), 15)?;
        let channels = reader.byte("channel count", 8)?;
        if channels == 0 {
            return Err(Malformed::Invalid { element: "channel count", value: 0 });
        }
        let pre_skip = (reader.bits("pre-skip", 16)? as u16).swap_bytes();
        let input_sample_rate = reader.bits("input sample rate", 32)?.swap_bytes();
        let output_gain = (reader.bits("output gain", 16)? as u16).swap_bytes() as i16;
        let family = reader.byte("channel mapping family", 8)?;
        let mapping = match family {
            FAMILY_RTP => {
                Malformed::check_max("channel count", channels.into(), 2)?;
                None
            }
            _ => {
                if family == FAMILY_VORBIS {
                    Malformed::check_max("channel count", channels.into(), 8)?;
                }
                Some(ChannelMapping::parse(&mut reader, family, channels)?)
            }
        };
        Ok(Self { channels, pre_skip, input_sample_rate, output_gain, mapping })
    }

    /// The header as bytes.
    pub fn encode(&self) -> Bytes {
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&[1, self.channels]);
        header.extend_from_slice(&self.pre_skip.to_le_bytes());
        header.extend_from_slice(&self.input_sample_rate.to_le_bytes());
        header.extend_from_slice(&self.output_gain.to_le_bytes());
        match &self.mapping {
            None => header.push(FAMILY_RTP),
            Some(mapping) => {
                header.extend_from_slice(&[mapping.family, mapping.streams, mapping.coupled]);
                header.extend_from_slice(&mapping.table);
            }
        }
        header.into()
    }
}

impl ChannelMapping {
    fn parse(reader: &mut BitReader<'_>, family: u8, channels: u8) -> Result<Self, Malformed> {
        let streams = reader.byte("stream count", 8)?;
        if streams == 0 {
            return Err(Malformed::Invalid { element: "stream count", value: 0 });
        }
        let coupled = reader.byte("coupled stream count", 8)?;
        Malformed::check_max("coupled stream count", coupled.into(), streams.into())?;
        let decoded = usize::from(streams) + usize::from(coupled);
        Malformed::check_max("stream count and coupled stream count", decoded, SILENT.into())?;
        // Projection ambisonics (RFC 8486) has a demixing matrix in place of the table, which nobody here plays.
        if family == 3 {
            return Err(Malformed::Invalid { element: "channel mapping family", value: family.into() });
        }
        let mut table = Vec::new();
        for _ in 0..channels {
            let index = reader.byte("channel mapping", 8)?;
            if index != SILENT {
                Malformed::check_max("channel mapping", index.into(), decoded - 1)?;
            }
            table.push(index);
        }
        Ok(Self { family, streams, coupled, table: table.into() })
    }
}

/// How many samples at 48 kHz a packet decodes to, from its first byte and, if frames are counted, the second.
pub fn packet_samples(packet: &[u8]) -> Result<u32, Malformed> {
    let (&toc, rest) = packet.split_first().ok_or(Malformed::Empty { element: "Opus packet" })?;
    let frame = frame_samples(toc >> 3);
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => match rest.first() {
            Some(count) => u32::from(count & 0x3f),
            None => return Err(Malformed::Truncated { element: "frame count", bit: 8 }),
        },
    };
    if frames == 0 {
        return Err(Malformed::Invalid { element: "frame count", value: 0 });
    }
    Malformed::check_max("packet duration", (frame * frames) as usize, MAX_PACKET_SAMPLES as usize)?;
    Ok(frame * frames)
}

/// Samples at 48 kHz of one frame, by configuration number (RFC 6716 table 2).
const fn frame_samples(config: u8) -> u32 {
    const MILLISECOND: u32 = SAMPLE_RATE / 1000;
    match (config, config & 3) {
        // SILK
        (0..12, 0) => 10 * MILLISECOND,
        (0..12, 1) => 20 * MILLISECOND,
        (0..12, 2) => 40 * MILLISECOND,
        (0..12, _) => 60 * MILLISECOND,
        // Hybrid
        (12..16, 0 | 2) => 10 * MILLISECOND,
        (12..16, _) => 20 * MILLISECOND,
        // CELT
        (_, 0) => MILLISECOND * 5 / 2,
        (_, 1) => 5 * MILLISECOND,
        (_, 2) => 10 * MILLISECOND,
        (_, _) => 20 * MILLISECOND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::hex;

    #[test]
    fn headers_are_read_and_written_back() {
        // -i sine=r=48000 -ac 6 -c:a libopus
        let bytes = hex("4f707573486561640106380180bb00000000010402000401020305");
        let head = OpusHead::parse(&bytes).unwrap();
        assert_eq!(
            (head.channels, head.pre_skip, head.input_sample_rate, head.output_gain),
            (6, 312, 48_000, 0)
        );
        let mapping = head.mapping.as_ref().unwrap();
        assert_eq!((mapping.family, mapping.streams, mapping.coupled), (1, 4, 2));
        assert_eq!(head.encode(), bytes);
        let loud = OpusHead { channels: 1, output_gain: -256, mapping: None, ..head };
        assert_eq!(OpusHead::parse(&loud.encode()), Ok(loud));
    }

    #[test]
    fn broken_headers_are_refused_by_name() {
        let good = hex("4f707573486561640106380180bb00000000010402000401020305");
        let broken = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            OpusHead::parse(&bytes)
        };
        assert_eq!(broken(0, b'o'), Err(Malformed::Missing { element: "OpusHead signature" }));
        assert_eq!(broken(8, 16), Err(Malformed::TooLarge { element: "version", value: 16, max: 15 }));
        assert_eq!(broken(9, 0), Err(Malformed::Invalid { element: "channel count", value: 0 }));
        assert_eq!(broken(9, 9), Err(Malformed::TooLarge { element: "channel count", value: 9, max: 8 }));
        assert_eq!(broken(18, 0), Err(Malformed::TooLarge { element: "channel count", value: 6, max: 2 }));
        assert_eq!(broken(19, 0), Err(Malformed::Invalid { element: "stream count", value: 0 }));
        assert_eq!(
            broken(20, 5),
            Err(Malformed::TooLarge { element: "coupled stream count", value: 5, max: 4 })
        );
        assert_eq!(broken(22, 6), Err(Malformed::TooLarge { element: "channel mapping", value: 6, max: 5 }));
        assert_eq!(broken(22, 255).unwrap().mapping.unwrap().table[1], 255, "silence");
        for len in 0..good.len() {
            assert!(OpusHead::parse(&good[..len]).is_err(), "cut to {len} bytes");
        }
    }

    #[test]
    fn packets_tell_how_long_they_last() {
        // libopus: 20 ms stereo, 60 ms as three frames, 2.5 ms low delay; then SILK and hybrid by the table.
        let packets: [(&[u8], u32); 8] = [
            (&[0xfc, 0xb4], 960),
            (&[0xfb, 0x83], 2880),
            (&[0xe4, 0x70], 120),
            (&[0x00], 480),
            (&[0x18], 2880),
            (&[0x61], 960),
            (&[0x7a], 1920),
            (&[0x1b, 0x02], 5760),
        ];
        for (packet, samples) in packets {
            assert_eq!(packet_samples(packet), Ok(samples), "{packet:02x?}");
        }
        let long = Malformed::TooLarge { element: "packet duration", value: 8640, max: 5760 };
        assert_eq!(packet_samples(&[0x1b, 0x03]), Err(long));
        assert_eq!(packet_samples(&[]), Err(Malformed::Empty { element: "Opus packet" }));
        assert_eq!(packet_samples(&[3]), Err(Malformed::Truncated { element: "frame count", bit: 8 }));
        assert_eq!(packet_samples(&[3, 0xc0]), Err(Malformed::Invalid { element: "frame count", value: 0 }));
    }
}
