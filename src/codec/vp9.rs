//! VP9: configuration record, superframes, and the uncompressed header of a frame.

use bytes::Bytes;

use super::bits::BitReader;
use super::{MAX_DIMENSION, MAX_PARAMETER_SET, Malformed};

const FRAME_MARKER: u32 = 2;
const SYNC_CODE: u32 = 0x49_83_42;
const COLOUR_RGB: u32 = 7;
/// `frame_type` of a key frame.
const KEY_FRAME: u32 = 0;
/// Length of a record without initialisation data, and what follows in a full box.
const RECORD_LEN: usize = 8;
const FULL_BOX_HEADER: &[u8] = &[1, 0, 0, 0];

/// `VPCodecConfigurationRecord` (VP Codec ISO Media File Format Binding), without the header of its full box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// `profile`, 0 to 3.
    pub profile: u8,
    /// `level`, ten times the level; 0 when unknown.
    pub level: u8,
    /// Bits a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// `chromaSubsampling`: 0 4:2:0 vertical, 1 4:2:0 co-located, 2 4:2:2, 3 4:4:4, 4 4:4:0.
    pub chroma_subsampling: u8,
    /// `videoFullRangeFlag`.
    pub full_range: bool,
    /// `colourPrimaries` (ISO/IEC 23091-2).
    pub primaries: u8,
    /// `transferCharacteristics`.
    pub transfer: u8,
    /// `matrixCoefficients`.
    pub matrix: u8,
}

impl ConfigRecord {
    /// Reads a record, with the header of the full box before it or without. Its initialisation data, which VP9 does
    /// not have, must be there as far as its length says, and is dropped.
    pub fn parse(record: &[u8]) -> Result<Self, Malformed> {
        Malformed::check_max("VPCodecConfigurationRecord", record.len(), MAX_PARAMETER_SET)?;
        // Without a header, these bytes would say profile 1 with a bit depth of 0.
        let record = record.strip_prefix(FULL_BOX_HEADER).unwrap_or(record);
        let mut reader = BitReader::new(record);
        let profile = reader.byte("profile", 8)?;
        Malformed::check_max("profile", profile.into(), 3)?;
        let level = reader.byte("level", 8)?;
        let bit_depth = reader.byte("bitDepth", 4)?;
        if !matches!(bit_depth, 8 | 10 | 12) {
            return Err(Malformed::Invalid { element: "bitDepth", value: bit_depth.into() });
        }
        let chroma_subsampling = reader.byte("chromaSubsampling", 3)?;
        let full_range = reader.flag("videoFullRangeFlag")?;
        let primaries = reader.byte("colourPrimaries", 8)?;
        let transfer = reader.byte("transferCharacteristics", 8)?;
        let matrix = reader.byte("matrixCoefficients", 8)?;
        let len = reader.bits("codecInitializationDataSize", 16)? as usize;
        reader.skip("codecInitializationData", len * 8)?;
        Ok(Self { profile, level, bit_depth, chroma_subsampling, full_range, primaries, transfer, matrix })
    }

    /// A record for a stream that only its frames describe: level and colours are left open.
    pub const fn of_stream(profile: u8, bit_depth: u8) -> Self {
        /// ISO/IEC 23091-2: unspecified.
        const UNSPECIFIED: u8 = 2;
        Self {
            profile,
            level: 0,
            bit_depth,
            // Profiles 0 and 2 are 4:2:0; of the others the most common.
            chroma_subsampling: if profile & 1 == 0 { 1 } else { 3 },
            full_range: false,
            primaries: UNSPECIFIED,
            transfer: UNSPECIFIED,
            matrix: UNSPECIFIED,
        }
    }

    /// The record as bytes.
    pub fn encode(&self) -> Bytes {
        let mut record = Vec::with_capacity(RECORD_LEN);
        record.extend_from_slice(&[self.profile, self.level]);
        record.push(self.bit_depth << 4 | (self.chroma_subsampling & 7) << 1 | u8::from(self.full_range));
        record.extend_from_slice(&[self.primaries, self.transfer, self.matrix, 0, 0]);
        record.into()
    }
}

/// Facts about the frame that a payload begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Profile, 0 to 3.
    pub profile: u8,
    /// Bits a sample and size in pixels, of a key frame.
    pub key_frame: Option<KeyFrame>,
    /// The frame is shown.
    pub shown: bool,
    /// Later frames may depend on this one: they may refer to its picture, or begin with the probabilities it ends with.
    pub is_reference: bool,
}

/// What only a key frame tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFrame {
    /// Bits a sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Coded width in pixels.
    pub width: u32,
    /// Coded height in pixels.
    pub height: u32,
}

impl FrameHeader {
    /// Reads the start of an uncompressed header (VP9 §6.2). Frames are at most 16384 pixels wide and high.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let reader = &mut BitReader::new(frame);
        let marker = reader.bits("frame_marker", 2)?;
        if marker != FRAME_MARKER {
            return Err(Malformed::Invalid { element: "frame_marker", value: marker.into() });
        }
        let profile = reader.byte("profile_low_bit", 1)? | reader.byte("profile_high_bit", 1)? << 1;
        if profile == 3 && reader.flag("reserved_zero")? {
            return Err(Malformed::Invalid { element: "profile", value: 4 });
        }
        if reader.flag("show_existing_frame")? {
            return Ok(Self { profile, key_frame: None, shown: true, is_reference: false });
        }
        let frame_type = reader.bits("frame_type", 1)?;
        let shown = reader.flag("show_frame")?;
        let error_resilient = reader.flag("error_resilient_mode")?;
        if frame_type == KEY_FRAME {
            check_sync_code(reader)?;
            let bit_depth = parse_colour(reader, profile)?;
            let width = reader.bits("frame_width_minus_1", 16)? + 1;
            let height = reader.bits("frame_height_minus_1", 16)? + 1;
            Malformed::check_max("frame_width", width as usize, MAX_DIMENSION as usize)?;
            Malformed::check_max("frame_height", height as usize, MAX_DIMENSION as usize)?;
            let key_frame = Some(KeyFrame { bit_depth, width, height });
            return Ok(Self { profile, key_frame, shown, is_reference: true });
        }
        let intra_only = !shown && reader.flag("intra_only")?;
        if !error_resilient {
            reader.skip("reset_frame_context", 2)?;
        }
        if intra_only {
            check_sync_code(reader)?;
            if profile > 0 {
                parse_colour(reader, profile)?;
            }
        }
        let refreshed = reader.bits("refresh_frame_flags", 8)?;
        // Without error resilience a frame also hands on probabilities, filter levels and segments: Chromium decodes nothing
        // more of a stream from which such frames were taken.
        let is_reference = refreshed != 0 || !error_resilient;
        Ok(Self { profile, key_frame: None, shown, is_reference })
    }
}

/// The frames of a payload: of a superframe (VP9 Annex B) those that its index names, else the payload itself.
pub fn frames(payload: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let Some(index) = superframe_index(payload) else { return Ok(vec![payload]) };
    let mut frames = Vec::new();
    let mut rest = payload.get(..payload.len() - index.len).unwrap_or_default();
    for size in index.sizes {
        let at = payload.len() - index.len - rest.len();
        let Some((frame, after)) = rest.split_at_checked(size) else {
            return Err(Malformed::Overrun { element: "frame", at, len: size as u64, remaining: rest.len() });
        };
        // A size of 0 is no frame.
        if !frame.is_empty() {
            frames.push(frame);
        }
        rest = after;
    }
    Ok(frames)
}

struct SuperframeIndex {
    /// Bytes of the index.
    len: usize,
    /// Sizes of the frames, at most 8.
    sizes: Vec<usize>,
}

fn superframe_index(payload: &[u8]) -> Option<SuperframeIndex> {
    let marker = *payload.last()?;
    if marker & 0xe0 != 0xc0 {
        return None;
    }
    let count = usize::from(marker & 7) + 1;
    let size_len = usize::from(marker >> 3 & 3) + 1;
    let len = 2 + count * size_len;
    let index = payload.get(payload.len().checked_sub(len)?..)?;
    if *index.first()? != marker {
        return None;
    }
    let sizes = index.get(1..len - 1)?;
    let little_endian =
        |bytes: &[u8]| bytes.iter().rev().fold(0, |size, &byte| size << 8 | usize::from(byte));
    Some(SuperframeIndex { len, sizes: sizes.chunks_exact(size_len).map(little_endian).collect() })
}

fn check_sync_code(reader: &mut BitReader<'_>) -> Result<(), Malformed> {
    let sync_code = reader.bits("frame_sync_code", 24)?;
    if sync_code != SYNC_CODE {
        return Err(Malformed::Invalid { element: "frame_sync_code", value: sync_code.into() });
    }
    Ok(())
}

/// `color_config()`: the bit depth (§6.2.2).
fn parse_colour(reader: &mut BitReader<'_>, profile: u8) -> Result<u8, Malformed> {
    let bit_depth = match profile {
        0 | 1 => 8,
        _ if reader.flag("ten_or_twelve_bit")? => 12,
        _ => 10,
    };
    let has_subsampling = profile % 2 == 1;
    if reader.bits("color_space", 3)? != COLOUR_RGB {
        reader.skip("color_range", 1)?;
        if has_subsampling {
            reader.skip("subsampling_x, subsampling_y and reserved_zero", 3)?;
        }
    } else if has_subsampling {
        reader.skip("reserved_zero", 1)?;
    } else {
        // RGB is 4:4:4, which profiles 0 and 2 do not have.
        return Err(Malformed::Invalid { element: "color_space", value: COLOUR_RGB.into() });
    }
    Ok(bit_depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::hex;

    #[test]
    fn records_are_read_with_the_full_box_header_and_without() {
        // As ffmpeg 9 writes them into Enhanced RTMP, and as they are in Track::config.
        let (boxed, bare) = (hex("010000000014820202020000"), hex("0014820202020000"));
        let record = ConfigRecord::parse(&boxed).unwrap();
        assert_eq!(ConfigRecord::parse(&bare), Ok(record.clone()));
        assert_eq!((record.profile, record.level, record.bit_depth), (0, 20, 8));
        assert_eq!(record.encode(), bare);
        for len in 0..bare.len() {
            assert!(ConfigRecord::parse(&bare[..len]).is_err(), "cut to {len} bytes");
        }
        assert!(ConfigRecord::parse(&hex("0414820202020000")).is_err(), "profile 4");
        assert!(ConfigRecord::parse(&hex("0014920202020000")).is_err(), "9 bits");
        assert!(ConfigRecord::parse(&hex("001482020202ffff")).is_err(), "data that is not there");
    }

    #[test]
    fn headers_tell_size_and_profile_of_key_frames() {
        // -i color=c=gray:s=64x64:r=10 -c:v libvpx-vp9 -g 8
        let key = FrameHeader::parse(&hex("824983420003f003f60038241c184a00")).unwrap();
        assert_eq!(key.key_frame, Some(KeyFrame { bit_depth: 8, width: 64, height: 64 }));
        assert!(key.shown && key.is_reference && key.profile == 0);
        let inter = FrameHeader::parse(&hex("860040929c00500000032000005470")).unwrap();
        assert!(inter.key_frame.is_none() && inter.shown && inter.is_reference);
        // refresh_frame_flags 0, without error resilience and with it
        assert!(FrameHeader::parse(&hex("860000929c0050")).unwrap().is_reference);
        assert!(!FrameHeader::parse(&hex("8700929c0050")).unwrap().is_reference);
        let shown_again = FrameHeader::parse(&[0x88]).unwrap();
        assert!(shown_again.shown && !shown_again.is_reference);
    }

    #[test]
    fn broken_headers_are_refused() {
        for frame in ["", "02", "82498343", "824983420003f0", "8249834200fffffff0", "82498342e0", "b8"] {
            assert!(FrameHeader::parse(&hex(frame)).is_err(), "{frame}");
        }
    }

    #[test]
    fn superframes_are_taken_apart() {
        let superframe = hex("8601020304c902000300c9");
        assert_eq!(frames(&superframe).unwrap(), [&superframe[..2], &superframe[2..5]]);
        let alone = hex("860102");
        assert_eq!(frames(&alone).unwrap(), [&alone[..]]);
        // The index claims more than there is.
        assert!(frames(&hex("86c9ffff0300c9")).is_err());
        // The last byte alone makes no index.
        assert_eq!(frames(&hex("8600c9")).unwrap().len(), 1);
    }
}
