//! Links from strangers: only `http` and `https`, and none that leads into the inside of a network.

use core::net::IpAddr;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The longest link, in bytes.
pub const MAX_LINK: usize = 4096;

/// A link up to its query: signatures and cache-busters are behind that, and differ each time for the same file.
pub fn without_query(link: &str) -> &str {
    link.split(['?', '#']).next().unwrap_or_default()
}

/// An absolute `http` or `https` link, as it was written: macros in it are still macros.
///
/// Its host is no address of a private, local or otherwise special network, however that address is written. A name may
/// still resolve to one: whoever fetches has to look again.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Link(Arc<str>);

/// Why a text is no link that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLink {
    /// More than [`MAX_LINK`] bytes, or none.
    #[error("a link has 1 to {MAX_LINK} bytes")]
    Length,
    /// Spaces, quotes, angle brackets or control characters.
    #[error("the link has characters that no link has")]
    Characters,
    /// No absolute link, or none with a host.
    #[error("the link is not absolute")]
    Relative,
    /// Another scheme, such as `javascript`.
    #[error("only http and https are followed")]
    Scheme,
    /// A name and a password before the host.
    #[error("the link has credentials in it")]
    Credentials,
    /// The host is an address in a network that is nobody's business.
    #[error("the link leads to a private or special address")]
    Private,
}

impl Link {
    /// Reads a link.
    ///
    /// # Errors
    /// When it is none that is followed.
    pub fn parse(text: &str) -> Result<Self, InvalidLink> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_LINK {
            return Err(InvalidLink::Length);
        }
        let is_foreign = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '\\');
        if text.contains(is_foreign) {
            return Err(InvalidLink::Characters);
        }
        let url = Url::parse(text).map_err(|_| InvalidLink::Relative)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidLink::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidLink::Credentials);
        }
        let is_private = match url.host().ok_or(InvalidLink::Relative)? {
            Host::Domain(name) => {
                // A macro in the place of a host could lead anywhere.
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                if !name.bytes().all(is_plain) {
                    return Err(InvalidLink::Characters);
                }
                is_local_name(name)
            }
            Host::Ipv4(address) => is_special_v4(address.octets()),
            Host::Ipv6(address) => is_special_v6(address.segments()),
        };
        if is_private { Err(InvalidLink::Private) } else { Ok(Self(text.into())) }
    }

    /// The link as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is fetched over TLS.
    pub fn is_secure(&self) -> bool {
        self.0.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"))
    }
}

/// Whether an address is in a private, local or otherwise special network: nobody's business.
pub const fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_special_v4(address.octets()),
        IpAddr::V6(address) => is_special_v6(address.segments()),
    }
}

/// Names that mean this machine or its own network.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let ends = |end: &str| name == end || name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    ["localhost", "local", "internal", "home.arpa"].into_iter().any(ends)
}

/// The IANA's special-purpose registry (RFC 6890), and multicast.
const fn is_special_v4([a, b, c, _]: [u8; 4]) -> bool {
    match (a, b, c) {
        (0 | 10 | 127 | 224..=255, ..)
        | (169, 254, _)
        | (192, 168, _)
        | (192, 0, 0 | 2)
        | (198, 18 | 19, _)
        | (198, 51, 100)
        | (203, 0, 113) => true,
        (100, b, _) => b >= 64 && b < 128,
        (172, b, _) => b >= 16 && b < 32,
        _ => false,
    }
}

/// Everything but global unicast (2000::/3), and what of that wraps an address of the other kind or documents.
const fn is_special_v6(segments: [u16; 8]) -> bool {
    let [first, second, ..] = segments;
    first & 0xe000 != 0x2000 || (first == 0x2001 && (second < 0x200 || second == 0xdb8)) || first == 0x2002
}

impl TryFrom<String> for Link {
    type Error = InvalidLink;

    fn try_from(text: String) -> Result<Self, InvalidLink> {
        Self::parse(&text)
    }
}

impl From<Link> for String {
    fn from(link: Link) -> Self {
        link.as_str().to_owned()
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_into_the_open_are_followed() {
        let cases = [
            ("https://cdn.example/a.png?cb=[CACHEBUSTING]&p=${AUCTION_PRICE}", Ok(())),
            (" http://cdn.example:8080/a ", Ok(())),
            ("https://[2606:4700::1111]/", Ok(())),
            ("", Err(InvalidLink::Length)),
            ("/a.png", Err(InvalidLink::Relative)),
            ("IMPRESSION_COUNT", Err(InvalidLink::Relative)),
            ("http: //adserver.example/", Err(InvalidLink::Characters)),
            ("https://a.example/\"onload=\"", Err(InvalidLink::Characters)),
            ("https://a.example/\r\nHost: b", Err(InvalidLink::Characters)),
            ("https://${AUCTION_SEAT_ID}.example/", Err(InvalidLink::Characters)),
            ("https://[ERRORCODE].example/", Err(InvalidLink::Relative)),
            ("javascript:alert(1)", Err(InvalidLink::Scheme)),
            ("data:text/html,x", Err(InvalidLink::Scheme)),
            ("file:///etc/passwd", Err(InvalidLink::Scheme)),
            ("https://user:secret@a.example/", Err(InvalidLink::Credentials)),
            ("https://a.example@169.254.169.254/", Err(InvalidLink::Credentials)),
            ("http://169.254.169.254/latest/meta-data", Err(InvalidLink::Private)),
            ("http://127.1/", Err(InvalidLink::Private)),
            ("http://0x7f000001/", Err(InvalidLink::Private)),
            ("http://2130706433/", Err(InvalidLink::Private)),
            ("http://172.31.255.255/", Err(InvalidLink::Private)),
            ("http://100.64.0.1/", Err(InvalidLink::Private)),
            ("http://localhost:1935/", Err(InvalidLink::Private)),
            ("http://db.internal./", Err(InvalidLink::Private)),
            ("http://[::1]/", Err(InvalidLink::Private)),
            ("http://[::ffff:10.0.0.1]/", Err(InvalidLink::Private)),
            ("http://[fd00::1]/", Err(InvalidLink::Private)),
            ("http://[2002:0a00:0001::]/", Err(InvalidLink::Private)),
        ];
        for (text, expected) in cases {
            assert_eq!(Link::parse(text).map(|_| ()), expected, "{text}");
        }
        assert_eq!(Link::parse(&format!("https://a.example/{}", "a".repeat(5000))), Err(InvalidLink::Length));
    }
}
