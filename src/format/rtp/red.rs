//! Redundant sound (RFC 2198): each packet also has the frame of the one before it, so that a single loss is not heard.

/// The distance that the header can tell, in ticks of the RTP clock, is below this.
const MAX_OFFSET: i64 = 1 << 14;
/// The length that it can tell, in bytes, is below this.
const MAX_LENGTH: usize = 1 << 10;
/// Another block follows.
const FOLLOWED: u8 = 0x80;

/// What stands before the two blocks of a payload, or before the one where there is no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedHeader {
    bytes: [u8; 5],
    /// An earlier frame comes before the packet's own.
    pub has_earlier: bool,
}

impl RedHeader {
    /// For frames of this payload type. `earlier` is how many ticks before the packet's own the other frame is, and its
    /// length in bytes; one that is too far back or too long is left out.
    pub fn new(payload_type: u8, earlier: Option<(i64, usize)>) -> Self {
        let own = payload_type & !FOLLOWED;
        let fits = |(offset, length): &(i64, usize)| (1..MAX_OFFSET).contains(offset) && *length < MAX_LENGTH;
        match earlier.filter(fits) {
            Some((offset, length)) => {
                let word = (u32::from(FOLLOWED | own) << 24) | ((offset as u32) << 10) | length as u32;
                let [a, b, c, d] = word.to_be_bytes();
                Self { bytes: [a, b, c, d, own], has_earlier: true }
            }
            None => Self { bytes: [own, 0, 0, 0, 0], has_earlier: false },
        }
    }

    /// The header's bytes.
    pub fn as_slice(&self) -> &[u8] {
        if self.has_earlier { &self.bytes } else { &self.bytes[..1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_as_rfc_2198_has_them() {
        let header = RedHeader::new(111, Some((960, 160)));
        // 1 | 1101111 | 00001111000000 | 0010100000, then 0 | 1101111
        assert_eq!(header.as_slice(), [0xef, 0b0000_1111, 0b0000_0000, 0b1010_0000, 0x6f]);
    }

    #[test]
    fn what_the_header_cannot_tell_is_left_out() {
        for earlier in [None, Some((0, 10)), (Some((-960, 10))), Some((1 << 14, 10)), Some((960, 1024))] {
            let header = RedHeader::new(111, earlier);
            assert_eq!((header.as_slice(), header.has_earlier), (&[111][..], false), "{earlier:?}");
        }
        assert!(RedHeader::new(111, Some(((1 << 14) - 1, 1023))).has_earlier);
    }
}
