//! The RTP header (RFC 3550 §5.1) and its one-byte extensions (RFC 8285 §4.2), written and read.

use bytes::BufMut;

use super::ParseError;

const VERSION: u8 = 2;
/// Bytes of a header without contributing sources and extension.
const FIXED_LEN: usize = 12;
/// Bytes of profile and length before the extension's data.
const EXTENSION_HEADER_LEN: usize = 4;
/// The profile that says: one-byte extensions follow.
const ONE_BYTE_PROFILE: u16 = 0xbede;
/// An id that ends the extensions.
const LAST_ID: u8 = 15;

/// What every RTP packet begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The last packet of a video frame.
    pub marker: bool,
    /// What the payload is, as agreed in the session description; 7 bits.
    pub payload_type: u8,
    /// Rises by one with each packet, and wraps.
    pub sequence_number: u16,
    /// When the payload is to be shown or heard, in units of its clock rate; wraps.
    pub timestamp: u32,
    /// The stream.
    pub ssrc: u32,
}

impl Header {
    /// How many bytes [`write`](Self::write) appends.
    pub fn len(extensions: &[Extension<'_>]) -> usize {
        if extensions.is_empty() {
            return FIXED_LEN;
        }
        FIXED_LEN + EXTENSION_HEADER_LEN + extensions_len(extensions).next_multiple_of(4)
    }

    /// Appends the header, without contributing sources and with these extensions.
    pub fn write(&self, extensions: &[Extension<'_>], to: &mut impl BufMut) {
        to.put_u8(VERSION << 6 | u8::from(!extensions.is_empty()) << 4);
        to.put_u8(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        to.put_u16(self.sequence_number);
        to.put_u32(self.timestamp);
        to.put_u32(self.ssrc);
        if extensions.is_empty() {
            return;
        }
        let len = extensions_len(extensions);
        to.put_u16(ONE_BYTE_PROFILE);
        // At most 17 bytes an extension: the words of 3,855 of them fit.
        to.put_u16(len.div_ceil(4) as u16);
        for extension in extensions {
            // The length is from 1 to 16, as `Extension::new` has seen to, and written less one.
            to.put_u8(extension.id << 4 | (extension.data.len() as u8).wrapping_sub(1) & 0xf);
            to.put_slice(extension.data);
        }
        to.put_bytes(0, len.next_multiple_of(4) - len);
    }
}

fn extensions_len(extensions: &[Extension<'_>]) -> usize {
    extensions.iter().map(|extension| 1 + extension.data.len()).sum()
}

/// One header extension in the one-byte form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    id: u8,
    data: &'a [u8],
}

impl<'a> Extension<'a> {
    /// An extension with an id from 1 to 14 and 1 to 16 bytes; `None` if it is not that.
    pub fn new(id: u8, data: &'a [u8]) -> Option<Self> {
        let fits = (1..LAST_ID).contains(&id) && (1..=16).contains(&data.len());
        fits.then_some(Self { id, data })
    }

    /// What it is, as agreed in the session description: 1 to 14.
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// Its value, 1 to 16 bytes.
    pub const fn data(&self) -> &'a [u8] {
        self.data
    }
}

/// The header extension as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderExtension<'a> {
    /// What the data is: 0xBEDE for one-byte extensions.
    pub profile: u16,
    /// The data, a multiple of four bytes.
    pub data: &'a [u8],
}

/// A packet taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The fixed part.
    pub header: Header,
    csrcs: &'a [[u8; 4]],
    /// The header extension. One-byte extensions in it are well-formed.
    pub extension: Option<HeaderExtension<'a>>,
    /// The payload, without padding.
    pub payload: &'a [u8],
    /// Bytes of padding behind the payload, the one that counts them included.
    pub padding: u8,
}

impl<'a> Packet<'a> {
    /// Reads a packet that has been decrypted.
    pub fn parse(packet: &'a [u8]) -> Result<Self, ParseError> {
        let Some((fixed, rest)) = packet.split_first_chunk::<FIXED_LEN>() else {
            return Err(overrun("RTP header", 0, FIXED_LEN, packet.len()));
        };
        let [flags, marker_and_type, s0, s1, t0, t1, t2, t3, ssrc @ ..] = *fixed;
        if flags >> 6 != VERSION {
            return Err(ParseError::Invalid { element: "version", at: 0, value: u32::from(flags >> 6) });
        }
        let header = Header {
            marker: marker_and_type & 0x80 != 0,
            payload_type: marker_and_type & 0x7f,
            sequence_number: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes(ssrc),
        };
        let csrcs_len = usize::from(flags & 0xf) * 4;
        let Some((csrcs, mut rest)) = rest.split_at_checked(csrcs_len) else {
            return Err(overrun("CSRC list", FIXED_LEN, csrcs_len, rest.len()));
        };
        let mut extension = None;
        if flags & 0x10 != 0 {
            let (read, after) = HeaderExtension::parse(rest, FIXED_LEN + csrcs_len)?;
            (extension, rest) = (Some(read), after);
        }
        let mut padding = 0;
        if flags & 0x20 != 0 {
            padding = rest.last().copied().unwrap_or(0);
            if padding == 0 || usize::from(padding) > rest.len() {
                let (at, value) = (packet.len() - 1, u32::from(padding));
                return Err(ParseError::Invalid { element: "padding", at, value });
            }
        }
        let payload = rest.get(..rest.len() - usize::from(padding)).unwrap_or_default();
        Ok(Self { header, csrcs: csrcs.as_chunks().0, extension, payload, padding })
    }

    /// Who contributed to the payload, at most 15.
    pub fn csrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.csrcs.iter().map(|csrc| u32::from_be_bytes(*csrc))
    }

    /// The one-byte extensions.
    pub fn extensions(&self) -> impl Iterator<Item = Extension<'a>> + use<'a> {
        let data = self.extension.filter(|extension| extension.profile == ONE_BYTE_PROFILE);
        let elements = OneByteElements { rest: data.map_or(&[][..], |extension| extension.data), at: 0 };
        elements.map_while(Result::ok)
    }
}

impl<'a> HeaderExtension<'a> {
    /// Reads what stands at the start of `bytes`, which is byte `at` of the packet, and what follows it.
    fn parse(bytes: &'a [u8], at: usize) -> Result<(Self, &'a [u8]), ParseError> {
        let Some((&[p0, p1, l0, l1], rest)) = bytes.split_first_chunk::<EXTENSION_HEADER_LEN>() else {
            return Err(overrun("header extension", at, EXTENSION_HEADER_LEN, bytes.len()));
        };
        let profile = u16::from_be_bytes([p0, p1]);
        let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let at = at + EXTENSION_HEADER_LEN;
        let Some((data, rest)) = rest.split_at_checked(len) else {
            return Err(overrun("header extension", at, len, rest.len()));
        };
        if profile == ONE_BYTE_PROFILE {
            for element in (OneByteElements { rest: data, at }) {
                element?;
            }
        }
        Ok((Self { profile, data }, rest))
    }
}

/// The elements of a one-byte header extension. After an error there is nothing more.
struct OneByteElements<'a> {
    rest: &'a [u8],
    /// Where the rest stands in the packet.
    at: usize,
}

impl<'a> Iterator for OneByteElements<'a> {
    type Item = Result<Extension<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (&head, rest) = self.rest.split_first()?;
            let at = self.at;
            self.rest = rest;
            self.at += 1;
            // Padding is a byte of zero, here and between elements; a length with the id 0 has no meaning.
            let id = head >> 4;
            if id == 0 {
                continue;
            }
            if id == LAST_ID {
                return None;
            }
            let len = usize::from(head & 0xf) + 1;
            let Some((data, rest)) = rest.split_at_checked(len) else {
                let remaining = self.rest.len();
                self.rest = &[];
                return Some(Err(overrun("extension element", at, len, remaining)));
            };
            self.rest = rest;
            self.at += len;
            return Some(Ok(Extension { id, data }));
        }
    }
}

fn overrun(element: &'static str, at: usize, needed: usize, remaining: usize) -> ParseError {
    ParseError::Overrun { element, at, needed, remaining }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        marker: true,
        payload_type: 102,
        sequence_number: 65_535,
        timestamp: 0x0102_0304,
        ssrc: 0xa1b2_c3d4,
    };

    fn written(extensions: &[Extension<'_>], payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        HEADER.write(extensions, &mut packet);
        assert_eq!(packet.len(), Header::len(extensions));
        packet.extend_from_slice(payload);
        packet
    }

    #[test]
    fn a_header_is_written_as_the_rfc_has_it() {
        let plain = [0x80, 0xe6, 0xff, 0xff, 1, 2, 3, 4, 0xa1, 0xb2, 0xc3, 0xd4];
        assert_eq!(written(&[], &[]), plain);
        let extensions = [Extension::new(3, &[9, 8]).unwrap(), Extension::new(14, b"0").unwrap()];
        let packet = written(&extensions, &[]);
        assert_eq!((packet[0], &packet[1..12]), (0x90, &plain[1..]));
        assert_eq!(packet[12..], [0xbe, 0xde, 0, 2, 0x31, 9, 8, 0xe0, b'0', 0, 0, 0]);
    }

    #[test]
    fn what_is_written_is_read() {
        let value = [7; 16];
        for len in 1..=16 {
            let extensions = [Extension::new(1, &value[..len]).unwrap(), Extension::new(5, &[1]).unwrap()];
            let bytes = written(&extensions, b"payload");
            let packet = Packet::parse(&bytes).unwrap();
            assert_eq!((packet.header, packet.payload, packet.padding), (HEADER, &b"payload"[..], 0));
            assert_eq!(packet.extensions().collect::<Vec<_>>(), extensions);
        }
        let bytes = written(&[], &[]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!((packet.header, packet.payload, packet.extension), (HEADER, &[][..], None));
        assert_eq!(packet.extensions().count() + packet.csrcs().count(), 0);
    }

    #[test]
    fn extensions_that_have_no_one_byte_form_are_not_made() {
        for (id, len) in [(0, 1), (15, 1), (16, 1), (1, 0), (1, 17)] {
            assert_eq!(Extension::new(id, &[0; 17][..len]), None, "id {id}, {len} bytes");
        }
    }

    #[test]
    fn contributing_sources_padding_and_other_extensions_are_passed_over() {
        let mut bytes = written(&[], &[]);
        bytes[0] = 0xb2;
        bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
        bytes.extend_from_slice(&[0x10, 0, 0, 1, 0x91, 1, 2, 3]);
        bytes.extend_from_slice(&[b'a', b'b', 0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.csrcs().collect::<Vec<_>>(), [1, 2]);
        assert_eq!(packet.extension, Some(HeaderExtension { profile: 0x1000, data: &[0x91, 1, 2, 3] }));
        assert_eq!(packet.extensions().count(), 0, "the two-byte form");
        assert_eq!((packet.payload, packet.padding), (&b"ab"[..], 3));
    }

    #[test]
    fn the_id_15_ends_the_extensions_and_padding_may_stand_between_them() {
        let mut bytes = written(&[], &[]);
        bytes[0] |= 0x10;
        bytes.extend_from_slice(&[0xbe, 0xde, 0, 2, 0, 0x10, 5, 0, 0x20, 6, 0xf3, 7]);
        let packet = Packet::parse(&bytes).unwrap();
        let extensions: Vec<_> = packet.extensions().collect();
        assert_eq!(extensions, [Extension { id: 1, data: &[5] }, Extension { id: 2, data: &[6] }]);
    }

    #[test]
    fn b29_an_extension_length_that_lies_is_refused_by_its_place() {
        let extensions = [Extension::new(1, &[1, 2, 3]).unwrap()];
        let good = written(&extensions, &[5]);
        for (words, needed) in [(2, 8), (0xffff, 262_140)] {
            let mut bytes = good.clone();
            bytes[14..16].copy_from_slice(&u16::to_be_bytes(words));
            let error = overrun("header extension", 16, needed, 5);
            assert_eq!(Packet::parse(&bytes), Err(error));
            let wanted = format!("header extension at byte 16 needs {needed} bytes where 5 remain");
            assert_eq!(error.to_string(), wanted);
        }
        let mut element = good.clone();
        element[16] = 0x13;
        assert_eq!(Packet::parse(&element), Err(overrun("extension element", 16, 4, 3)));
    }

    #[test]
    fn b29_padding_beyond_the_payload_is_refused() {
        let mut bytes = written(&[], &[1, 2, 3]);
        bytes[0] |= 0x20;
        for padding in [0, 4, 255] {
            bytes[14] = padding;
            let error = ParseError::Invalid { element: "padding", at: 14, value: padding.into() };
            assert_eq!(Packet::parse(&bytes), Err(error));
        }
        bytes[14] = 3;
        assert!(Packet::parse(&bytes).unwrap().payload.is_empty());
        // Padding announced where nothing follows the header.
        assert!(Packet::parse(&bytes[..12]).is_err());
    }

    #[test]
    fn b29_headers_cut_off_or_of_another_version_are_refused() {
        let extensions = [Extension::new(1, &[1, 2, 3]).unwrap()];
        let mut bytes = written(&extensions, &[]);
        bytes[0] |= 1;
        bytes.splice(12..12, [0, 0, 0, 9]);
        assert!(Packet::parse(&bytes).is_ok());
        for len in 0..bytes.len() {
            assert!(Packet::parse(&bytes[..len]).is_err(), "cut to {len} bytes");
        }
        for version in [0, 1, 3] {
            bytes[0] = bytes[0] & 0x3f | version << 6;
            let error = ParseError::Invalid { element: "version", at: 0, value: version.into() };
            assert_eq!(Packet::parse(&bytes), Err(error));
        }
    }
}
