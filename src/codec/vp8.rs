//! VP8 (RFC 6386): the frame tag. There is no configuration record.

use super::Malformed;
use super::bits::BitReader;

const START_CODE: u32 = 0x9d_01_2a;

/// Facts about one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Width and height in pixels, of a key frame; neither is zero.
    pub key_frame: Option<(u32, u32)>,
    /// The frame is shown; otherwise it is there for reference.
    pub shown: bool,
}

impl FrameHeader {
    /// Reads the uncompressed data chunk at the start of a frame (§9.1).
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let mut reader = BitReader::new(frame);
        let tag = reader.bits("frame_tag", 24)?.swap_bytes() >> 8;
        let version = tag >> 1 & 7;
        Malformed::check_max("version", version as usize, 3)?;
        let shown = tag >> 4 & 1 == 1;
        if tag & 1 == 1 {
            return Ok(Self { key_frame: None, shown });
        }
        let start_code = reader.bits("start_code", 24)?;
        if start_code != START_CODE {
            return Err(Malformed::Invalid { element: "start_code", value: start_code.into() });
        }
        // The upper two bits of each tell a player how to scale.
        let mut dimension = |element| Ok(u32::from((reader.bits(element, 16)? as u16).swap_bytes() & 0x3fff));
        let (width, height) = (dimension("width")?, dimension("height")?);
        if width == 0 || height == 0 {
            return Err(Malformed::Empty { element: "picture" });
        }
        Ok(Self { key_frame: Some((width, height)), shown })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::samples::hex;

    #[test]
    fn key_frames_tell_their_size() {
        // -i testsrc2=s=320x240:r=25 -vf scale=321:241 -c:v libvpx: the size; the rest from s=64x64 -g 8.
        let key = hex("f002009d012a4101f1404708");
        let header = FrameHeader::parse(&key).unwrap();
        assert_eq!(header, FrameHeader { key_frame: Some((321, 241)), shown: true });
        let inter = FrameHeader::parse(&hex("d101000510ac")).unwrap();
        assert_eq!(inter, FrameHeader { key_frame: None, shown: true });
    }

    #[test]
    fn broken_frames_are_refused() {
        for frame in
            ["", "f002", "f002009d01", "f002009d012b40004000", "f002009d012a00004000", "fe02009d012a40004000"]
        {
            assert!(FrameHeader::parse(&hex(frame)).is_err(), "{frame}");
        }
    }
}
