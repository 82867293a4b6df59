//! The number that VP8 and VP9 pictures bear in every packet.

/// A PictureID of 15 bits (RFC 7741 §4.2, RFC 9628 §4.2): rises by one with each picture, and wraps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PictureId(u16);

impl PictureId {
    /// The one for the next picture.
    pub(super) fn next(self) -> Self {
        Self((self.0 + 1) & 0x7fff)
    }

    /// How many pictures ago `earlier` was.
    pub(super) fn since(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0) & 0x7fff
    }

    /// The two bytes of the long form, which begins with a set bit.
    pub(super) fn bytes(self) -> [u8; 2] {
        (0x8000 | self.0).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_wrap_at_15_bits() {
        let last = PictureId(0x7fff);
        assert_eq!(last.bytes(), [0xff, 0xff]);
        assert_eq!(last.next().bytes(), [0x80, 0]);
        assert_eq!(last.next().next().since(last), 2);
    }
}
