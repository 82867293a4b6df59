//! The `splice_info_section` itself (SCTE 35 2022b §9.6): its header, its checks, its two loops.

use bytes::Bytes;

use super::bits::{BitReader, BitWriter, ReservedBits};
use super::command::Command;
use super::crc::crc32;
use super::descriptor::Descriptor;

const TABLE_ID: u64 = 0xFC;
/// `splice_command_length` of encoders from before that field had a meaning.
const LEGACY_COMMAND_LENGTH: usize = 0xFFF;
/// Bytes up to and including `section_length`.
const PREFIX: usize = 3;
/// Bytes of the CRC at the end.
const CRC: usize = 4;

/// A decoded `splice_info_section`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpliceInfoSection {
    /// Kind of stream access point, 0..=3; 3 is "not specified".
    pub sap_type: u8,
    /// The encryption algorithm named in the header, 0..=63: without meaning, as the packet is not encrypted.
    pub encryption_algorithm: u8,
    /// To be added to every `pts_time`, in 90 kHz ticks modulo 2^33.
    pub pts_adjustment: u64,
    /// Which control word an encrypted section would use.
    pub cw_index: u8,
    /// Authorisation tier, 12 bits; 0xFFF is all of them.
    pub tier: u16,
    /// The command's length is given as 0xFFF, as encoders did before the field had a meaning.
    pub legacy_command_length: bool,
    /// What is to happen.
    pub command: Command,
    /// More about it, in order.
    pub descriptors: Vec<Descriptor>,
    /// `alignment_stuffing`: bytes between the descriptors and the CRC.
    pub stuffing: Bytes,
    reserved: ReservedBits,
}

/// Why bytes are not a section that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The structure ends before its last field.
    #[error("{0} ends before its last field")]
    Truncated(&'static str),
    /// The structure is shorter than its length field says.
    #[error("bytes are left over after the last field of {0}")]
    TrailingBytes(&'static str),
    /// `section_length` disagrees with the number of bytes at hand.
    #[error("section_length calls for {expected} bytes in all, there are {actual}")]
    SectionLength {
        /// Bytes by the header.
        expected: usize,
        /// Bytes at hand.
        actual: usize,
    },
    /// The table is another one.
    #[error("table_id is {0:#04x}, not 0xfc")]
    TableId(u8),
    /// `section_syntax_indicator` or `private_indicator` is set.
    #[error("the section is marked as one of the long or private syntax, which SCTE 35 does not use")]
    Syntax,
    /// The checksum is wrong: the bytes were damaged.
    #[error("CRC_32 does not match")]
    Crc,
    /// A protocol version of the future.
    #[error("protocol_version is {0}, only 0 is known")]
    ProtocolVersion(u8),
    /// The section is encrypted.
    #[error(
        "the section is encrypted (algorithm {algorithm}, control word {cw_index}); send it in the clear"
    )]
    Encrypted {
        /// `encryption_algorithm`.
        algorithm: u8,
        /// `cw_index`.
        cw_index: u8,
    },
    /// A reserved command.
    #[error("splice_command_type {0:#04x} is reserved")]
    ReservedCommand(u8),
    /// A private command whose length is not told.
    #[error("a private command of unknown length (0xfff) cannot be delimited")]
    UnboundedPrivateCommand,
    /// A field holds a value that the standard does not allow.
    #[error("{0} holds a value that is not allowed")]
    Field(&'static str),
}

/// Why a section cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A value needs more bits than its field has.
    #[error("{0} does not fit its field")]
    OutOfRange(&'static str),
    /// A private command cannot be written without its length.
    #[error("a private command of unknown length (0xfff) cannot be delimited")]
    UnboundedPrivateCommand,
}

impl SpliceInfoSection {
    /// A section in the clear for everyone, as most encoders write it.
    pub fn new(command: Command, descriptors: Vec<Descriptor>) -> Self {
        Self {
            sap_type: 3,
            encryption_algorithm: 0,
            pts_adjustment: 0,
            cw_index: 0,
            tier: 0xFFF,
            legacy_command_length: false,
            command,
            descriptors,
            stuffing: Bytes::new(),
            reserved: ReservedBits::new(),
        }
    }

    /// Decodes exactly one section, from `table_id` to `CRC_32`.
    pub fn decode(section: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = BitReader::new(Bytes::copy_from_slice(section), "splice_info_section");
        let table_id = reader.bits(8)?;
        if table_id != TABLE_ID {
            return Err(DecodeError::TableId(table_id as u8));
        }
        let long_or_private = reader.bits(2)? != 0;
        let sap_type = reader.bits(2)? as u8;
        let expected = PREFIX + reader.bits(12)? as usize;
        if expected != section.len() {
            return Err(DecodeError::SectionLength { expected, actual: section.len() });
        }
        if long_or_private {
            return Err(DecodeError::Syntax);
        }
        if crc32(section) != 0 {
            return Err(DecodeError::Crc);
        }
        let body =
            reader.remaining().checked_sub(CRC).ok_or(DecodeError::Truncated("splice_info_section"))?;
        Self::decode_body(reader.take(body)?, sap_type)
    }

    fn decode_body(body: Bytes, sap_type: u8) -> Result<Self, DecodeError> {
        let mut reader = BitReader::new(body, "splice_info_section");
        let version = reader.byte()?;
        if version != 0 {
            return Err(DecodeError::ProtocolVersion(version));
        }
        let encrypted = reader.flag()?;
        let encryption_algorithm = reader.bits(6)? as u8;
        let pts_adjustment = reader.bits(33)?;
        let cw_index = reader.byte()?;
        if encrypted {
            return Err(DecodeError::Encrypted { algorithm: encryption_algorithm, cw_index });
        }
        let tier = reader.bits(12)? as u16;
        let command_length = reader.bits(12)? as usize;
        let command_type = reader.byte()?;
        let legacy_command_length = command_length == LEGACY_COMMAND_LENGTH;
        let command = if legacy_command_length {
            Command::decode_undelimited(command_type, &mut reader)?
        } else {
            reader.nested(command_length, "the splice command", |command| {
                Command::decode(command_type, command)
            })?
        };
        let loop_length = reader.short()?;
        let descriptors =
            reader.nested(loop_length.into(), "the descriptor loop", Descriptor::decode_loop)?;
        Ok(Self {
            sap_type,
            encryption_algorithm,
            pts_adjustment,
            cw_index,
            tier,
            legacy_command_length,
            command,
            descriptors,
            stuffing: reader.rest(),
            reserved: reader.into_reserved(),
        })
    }

    /// The section's bytes, from `table_id` to `CRC_32`.
    pub fn encode(&self) -> Result<Bytes, EncodeError> {
        if self.legacy_command_length && matches!(self.command, Command::Private { .. }) {
            return Err(EncodeError::UnboundedPrivateCommand);
        }
        let mut body = BitWriter::new(&self.reserved);
        let command = body.nested(|writer| self.command.encode(writer))?;
        let command_length = if self.legacy_command_length { LEGACY_COMMAND_LENGTH } else { command.len() };
        let descriptors = body.nested(|writer| Descriptor::encode_loop(&self.descriptors, writer))?;
        body.byte(0)?;
        body.flag(false)?;
        body.bits(self.encryption_algorithm.into(), 6, "encryption_algorithm")?;
        body.bits(self.pts_adjustment, 33, "pts_adjustment")?;
        body.byte(self.cw_index)?;
        body.bits(self.tier.into(), 12, "tier")?;
        body.length(command_length, 12, "splice_command_length")?;
        body.byte(self.command.type_id())?;
        body.put(&command);
        body.length(descriptors.len(), 16, "descriptor_loop_length")?;
        body.put(&descriptors);
        body.put(&self.stuffing);
        let body = body.finish();

        let mut section = BitWriter::new(&[]);
        section.bits(TABLE_ID, 8, "table_id")?;
        section.bits(0, 2, "section_syntax_indicator")?;
        section.bits(self.sap_type.into(), 2, "sap_type")?;
        section.length(body.len() + CRC, 12, "section_length")?;
        section.put(&body);
        let mut section = section.finish();
        section.extend_from_slice(&crc32(&section).to_be_bytes());
        Ok(section.into())
    }

    /// A `pts_time` of this section on the clock of the stream that carries it: `pts_adjustment` added, modulo 2^33.
    pub fn adjusted(&self, pts_time: u64) -> u64 {
        (pts_time.wrapping_add(self.pts_adjustment)) & ((1 << 33) - 1)
    }

    /// The segmentation descriptors, in order.
    pub fn segmentations(&self) -> impl Iterator<Item = &super::SegmentationDescriptor> {
        self.descriptors.iter().filter_map(|descriptor| match descriptor {
            Descriptor::Segmentation(segmentation) => Some(segmentation),
            _ => None,
        })
    }
}
