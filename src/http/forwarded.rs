//! Who is really asking: the peer, or, where the peer is a proxy that is trusted, the one it asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, HeaderName};

/// The header that proxies append the address to that they were asked from.
const X_FORWARDED_FOR: &str = "x-forwarded-for";
/// What proxies say where they do not know.
const UNKNOWN: [&[u8; 2]; 2] = [b"XX", b"ZZ"];
/// Addresses in it that are looked at, from the end: as many proxies as there may be one behind the other.
const MAX_HOPS: usize = 8;

/// The address that a request comes from. An extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The country that a trusted proxy says a request comes from: two letters. An extension of requests of which one says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientCountry([u8; 2]);

impl ClientCountry {
    /// The code in capitals, as in ISO 3166-1.
    pub fn as_str(&self) -> &str {
        // Only letters get in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Networks of proxies whose word is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    prefix: u32,
}

impl TrustedProxies {
    /// From addresses and networks as `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32`.
    ///
    /// # Errors
    /// The text that is none of these.
    pub fn parse(texts: &[String]) -> Result<Self, String> {
        let network = |text: &String| Network::parse(text).ok_or_else(|| text.clone());
        Ok(Self(texts.iter().map(network).collect::<Result<_, _>>()?))
    }

    /// The address a request comes from: the last in `X-Forwarded-For` that no trusted proxy has, as long as each that
    /// wrote there is trusted.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        if !self.trusts(peer) {
            return ClientAddress(peer.to_canonical());
        }
        let values = headers.get_all(X_FORWARDED_FOR).iter();
        let hops: Vec<&str> =
            values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).collect();
        let mut client = peer;
        for hop in hops.iter().rev().take(MAX_HOPS) {
            // What cannot be read was written by nobody who is trusted.
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        ClientAddress(client.to_canonical())
    }

    /// The country that the proxy says a request comes from in the header of this name. What is said more than once is the word of
    /// nobody who is trusted.
    pub fn country(&self, peer: IpAddr, headers: &HeaderMap, name: &HeaderName) -> Option<ClientCountry> {
        let mut said = headers.get_all(name).iter().filter(|_| self.trusts(peer));
        let (Some(said), None) = (said.next(), said.next()) else { return None };
        match said.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                let code = [a.to_ascii_uppercase(), b.to_ascii_uppercase()];
                (!UNKNOWN.contains(&&code)).then_some(ClientCountry(code))
            }
            _ => None,
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = bits(address);
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(width), |prefix| prefix.parse().ok())?;
        (prefix <= width).then(|| Self { address: bits(address), prefix: prefix + 128 - width })
    }

    fn contains(&self, address: u128) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
        (self.address ^ address) & mask == 0
    }
}

/// IPv4 addresses are compared as the IPv6 addresses that stand for them.
fn bits(address: IpAddr) -> u128 {
    let mapped = |address: Ipv4Addr| address.to_ipv6_mapped();
    let address: Ipv6Addr = match address {
        IpAddr::V4(address) => mapped(address),
        IpAddr::V6(address) => address,
    };
    address.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<String> = trusted.iter().map(|text| (*text).to_owned()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, value.parse().unwrap());
        }
        TrustedProxies::parse(&trusted).unwrap().client(peer.parse().unwrap(), &headers).0.to_string()
    }

    #[test]
    fn b32_only_a_trusted_proxy_is_believed() {
        assert_eq!(client(&[], "192.0.2.1", &["10.9.9.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["10.9.9.9"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.7"]), "203.0.113.7");
        assert_eq!(client(&["10.0.0.0/8"], "::ffff:10.1.2.3", &["203.0.113.7"]), "203.0.113.7");
        // What the client itself wrote stands before what the proxies appended.
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1, 203.0.113.7, 10.4.4.4"]), "203.0.113.7");
        assert_eq!(
            client(&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1", "203.0.113.7", "10.4.4.4"]),
            "203.0.113.7"
        );
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.7, nonsense"]), "10.1.2.3");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client(&["2001:db8::/32"], "2001:db8:1::1", &["2a00::5"]), "2a00::5");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.2", &["203.0.113.7"]), "127.0.0.2");
        let chain = vec!["10.0.0.1"; 100].join(",");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &[&format!("203.0.113.7,{chain}")]), "10.0.0.1");
    }

    #[test]
    fn b32_only_a_trusted_proxy_knows_countries() {
        let trusted = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).unwrap();
        let name = HeaderName::from_static("cf-ipcountry");
        let country = |peer: &str, said: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(&name, value.parse().unwrap());
            }
            let country = trusted.country(peer.parse().unwrap(), &headers, &name);
            country.map(|country| country.as_str().to_owned())
        };
        assert_eq!(country("10.1.2.3", &["DE"]).as_deref(), Some("DE"));
        assert_eq!(country("10.1.2.3", &["fr"]).as_deref(), Some("FR"));
        assert_eq!(country("192.0.2.1", &["DE"]), None);
        for said in [&["DE", "FR"][..], &[], &["XX"], &["T1"], &["DEU"], &[""]] {
            assert_eq!(country("10.1.2.3", said), None, "{said:?}");
        }
    }

    #[test]
    fn networks_are_read_or_refused() {
        for bad in ["", "10.0.0.0/33", "2001:db8::/129", "localhost", "10.0.0.0/", "10.0.0/8", "10.0.0.0/8/8"]
        {
            assert_eq!(TrustedProxies::parse(&[bad.to_owned()]), Err(bad.to_owned()));
        }
        assert!(TrustedProxies::parse(&["0.0.0.0/0".to_owned(), "::/0".to_owned()]).is_ok());
    }
}
