//! What a datagram is, told from its first bytes, and whose connectivity check it is (RFC 7983, RFC 8489).

/// What a datagram on a WebRTC port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A STUN message.
    Stun,
    /// A DTLS record.
    Dtls,
    /// An SRTP packet.
    Rtp,
    /// An SRTCP packet.
    Rtcp,
}

/// Length of a STUN header.
const STUN_HEADER: usize = 20;
/// Found at bytes 4 to 7 of every STUN message.
const MAGIC_COOKIE: [u8; 4] = 0x2112_A442_u32.to_be_bytes();
/// STUN message type: a Binding request, which is all that a connectivity check is.
const BINDING_REQUEST: u16 = 0x0001;
/// STUN attribute: whose check it is.
const USERNAME: u16 = 0x0006;
/// STUN attribute without a value: this path is chosen.
const USE_CANDIDATE: u16 = 0x0025;
/// Longest `USERNAME` (RFC 8489 §14.3).
const MAX_USERNAME: usize = 512;

/// What a datagram is; `None` for what WebRTC does not use.
pub fn kind(datagram: &[u8]) -> Option<Kind> {
    match datagram {
        [0..=3, _, _, _, rest @ ..] if rest.starts_with(&MAGIC_COOKIE) => Some(Kind::Stun),
        // RFC 9147 §4: a unified header of DTLS 1.3 begins with 001.
        [20..=63, ..] => Some(Kind::Dtls),
        // RFC 5761 §4: with the marker bit, RTCP's packet types are the payload types 64 to 95.
        [128..=191, second, ..] if (192..=223).contains(second) => Some(Kind::Rtcp),
        [128..=191, _, ..] => Some(Kind::Rtp),
        _ => None,
    }
}

/// What a connectivity check says before anything of it is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check<'a> {
    /// The receiver's name fragment: it finds the session that can verify the rest.
    pub ufrag: &'a str,
    /// The sender has chosen this path (RFC 8445 §7.1.2).
    pub nominates: bool,
}

impl<'a> Check<'a> {
    /// Reads a Binding request; `None` when it is none, or malformed.
    pub fn parse(stun: &'a [u8]) -> Option<Self> {
        let header = stun.get(..STUN_HEADER)?;
        let word = |bytes: &[u8]| u16::from_be_bytes([bytes[0], bytes[1]]);
        let length = usize::from(word(&header[2..4]));
        if word(&header[..2]) != BINDING_REQUEST || STUN_HEADER + length != stun.len() {
            return None;
        }
        let (mut ufrag, mut nominates) = (None, false);
        let mut attributes = &stun[STUN_HEADER..];
        while let Some((header, rest)) = attributes.split_at_checked(4) {
            let length = usize::from(word(&header[2..4]));
            let value = rest.get(..length)?;
            match word(&header[..2]) {
                USERNAME if ufrag.is_none() => {
                    let name = std::str::from_utf8(value).ok().filter(|name| name.len() <= MAX_USERNAME)?;
                    ufrag = Some(name.split_once(':')?.0);
                }
                USE_CANDIDATE => nominates = true,
                _ => {}
            }
            // Values are padded to a multiple of four bytes.
            attributes = rest.get(length.next_multiple_of(4)..)?;
        }
        Some(Self { ufrag: ufrag?, nominates })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend(kind.to_be_bytes());
            body.extend((value.len() as u16).to_be_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut stun = BINDING_REQUEST.to_be_bytes().to_vec();
        stun.extend((body.len() as u16).to_be_bytes());
        stun.extend(MAGIC_COOKIE);
        stun.extend([7; 12]);
        stun.extend(body);
        stun
    }

    #[test]
    fn datagrams_are_told_apart_by_their_first_bytes() {
        assert_eq!(kind(&check(&[])), Some(Kind::Stun));
        assert_eq!(kind(&[22, 254, 253]), Some(Kind::Dtls));
        assert_eq!(kind(&[0x2f, 0]), Some(Kind::Dtls), "the unified header of DTLS 1.3");
        assert_eq!(kind(&[0x80, 96, 0, 1]), Some(Kind::Rtp));
        assert_eq!(kind(&[0x80, 0x80 | 96, 0, 1]), Some(Kind::Rtp), "with the marker bit");
        assert_eq!(kind(&[0x81, 201, 0, 1]), Some(Kind::Rtcp));
        for nothing in [&[][..], &[0], &[0, 1, 0, 0, 1, 2, 3, 4], &[64, 0, 0], &[255]] {
            assert_eq!(kind(nothing), None, "{nothing:?}");
        }
    }

    #[test]
    fn the_session_is_the_one_whose_fragment_comes_first() {
        let stun = check(&[(0x0024, &[0, 0, 0, 1]), (USERNAME, b"server:browser"), (0x0008, &[0; 20])]);
        assert_eq!(Check::parse(&stun), Some(Check { ufrag: "server", nominates: false }));
        let stun = check(&[(USERNAME, b"server:browser"), (USE_CANDIDATE, &[])]);
        assert_eq!(Check::parse(&stun), Some(Check { ufrag: "server", nominates: true }));
    }

    #[test]
    fn b27_malformed_checks_name_nobody() {
        let good = check(&[(USERNAME, b"server:browser")]);
        for length in 0..good.len() {
            assert_eq!(Check::parse(&good[..length]), None, "cut after {length} bytes");
        }
        let mut response = good.clone();
        response[0] = 1;
        let mut endless = good.clone();
        endless[STUN_HEADER + 2..STUN_HEADER + 4].copy_from_slice(&u16::MAX.to_be_bytes());
        let long = check(&[(USERNAME, &[b'a'; 600])]);
        let nameless = check(&[(USERNAME, b"server")]);
        let binary = check(&[(USERNAME, &[0xff, b':', 0xfe])]);
        for bad in [response, endless, long, nameless, binary] {
            assert_eq!(Check::parse(&bad), None);
        }
    }
}
