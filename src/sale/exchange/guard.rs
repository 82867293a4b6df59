//! Where links of bidders may lead: into the open and nowhere else.
//!
//! A link is looked at before its name is resolved, and each address that the name resolves to before it is connected to;
//! the connection goes to the address that was looked at. So a name that changes its mind gains nothing, and neither does a
//! redirect, which is a link like any other.

use core::net::IpAddr;
use std::collections::BTreeMap;

use url::{Host, Url};

use crate::format::link::{InvalidLink, Link, is_special};

/// Redirects that are followed, one after the other.
pub const MAX_REDIRECTS: usize = 3;
/// Ports that links of bidders may name.
const PORTS: [u16; 2] = [80, 443];

/// Names whose addresses are configured, whatever network those are in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    hosts: BTreeMap<String, IpAddr>,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host, as a certificate has it.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Its address, where the link or the configuration says it.
    pub address: Option<IpAddr>,
    /// Whether it is spoken to over TLS.
    pub is_secure: bool,
}

/// Why a link is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Forbidden {
    /// It is none that anybody follows.
    #[error(transparent)]
    Link(#[from] InvalidLink),
    /// Another port than those of the web.
    #[error("port {0} is none of the web's")]
    Port(u16),
    /// Without TLS, where that is required.
    #[error("only https is followed here")]
    NotSecure,
    /// Its name resolves to addresses of private or special networks only.
    #[error("{0} is in a private or special network")]
    Private(String),
    /// One redirect too many.
    #[error("more than {MAX_REDIRECTS} redirects")]
    Redirects,
}

impl Guard {
    /// With names whose addresses are known.
    pub fn new(hosts: BTreeMap<String, IpAddr>) -> Self {
        Self { hosts }
    }

    /// Looks at a link of a stranger's.
    ///
    /// # Errors
    /// When it is not to be followed.
    pub fn stranger(&self, link: &Link, must_be_secure: bool) -> Result<Target, Forbidden> {
        let target = self.target(link)?;
        if must_be_secure && !target.is_secure {
            return Err(Forbidden::NotSecure);
        }
        // What the operator has given an address may have a port of its own as well.
        if !PORTS.contains(&target.port) && !self.hosts.contains_key(&target.host) {
            return Err(Forbidden::Port(target.port));
        }
        Ok(target)
    }

    /// Looks at a link that the operator has configured.
    ///
    /// # Errors
    /// When it is no link.
    pub fn target(&self, link: &Link) -> Result<Target, Forbidden> {
        let url = Url::parse(link.as_str()).map_err(|_| InvalidLink::Relative)?;
        let (host, literal) = match url.host().ok_or(InvalidLink::Relative)? {
            Host::Domain(name) => (name.trim_end_matches('.').to_ascii_lowercase(), None),
            Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
            Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        };
        let port = url.port_or_known_default().ok_or(InvalidLink::Scheme)?;
        let address = literal.or_else(|| self.hosts.get(&host).copied());
        Ok(Target { host, port, address, is_secure: url.scheme() == "https" })
    }

    /// Of the addresses of a name, those that may be connected to.
    ///
    /// # Errors
    /// When there are none.
    pub fn public(host: &str, addresses: impl IntoIterator<Item = IpAddr>) -> Result<Vec<IpAddr>, Forbidden> {
        let public: Vec<IpAddr> =
            addresses.into_iter().filter(|address| !is_special(address.to_canonical())).collect();
        if public.is_empty() { Err(Forbidden::Private(host.to_owned())) } else { Ok(public) }
    }
}

/// Where a redirect leads, from a link that was followed.
///
/// # Errors
/// When that is no link.
pub fn redirect(from: &Link, location: &str) -> Result<Link, Forbidden> {
    let from = Url::parse(from.as_str()).map_err(|_| InvalidLink::Relative)?;
    let to = from.join(location.trim()).map_err(|_| InvalidLink::Relative)?;
    Ok(Link::parse(to.as_str())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(text: &str) -> Link {
        Link::parse(text).unwrap()
    }

    fn guard() -> Guard {
        Guard::new([("cdn.lab".to_owned(), "127.0.0.1".parse().unwrap())].into())
    }

    #[test]
    fn addresses_inside_of_networks_are_never_connected_to() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "100::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            let resolved = Guard::public("cdn.example", [address.parse().unwrap()]);
            assert_eq!(resolved, Err(Forbidden::Private("cdn.example".to_owned())), "{address}");
        }
        for address in
            ["1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111"]
        {
            let address = address.parse().unwrap();
            assert_eq!(Guard::public("cdn.example", [address]), Ok(vec![address]), "{address}");
        }
        let mixed = ["10.0.0.1", "1.1.1.1", "::1"].map(|address| address.parse().unwrap());
        assert_eq!(Guard::public("cdn.example", mixed), Ok(vec![mixed[1]]), "only the public one is left");
        assert!(Guard::public("cdn.example", []).is_err());
    }

    #[test]
    fn links_lead_to_ports_of_the_web_unless_the_operator_knows_the_host() {
        let guard = guard();
        let port = |text: &str| guard.stranger(&link(text), false).map(|target| target.port);
        assert_eq!(port("https://cdn.example/a.png"), Ok(443));
        assert_eq!(port("http://cdn.example/a.png"), Ok(80));
        assert_eq!(port("https://cdn.example:80/a.png"), Ok(80));
        for number in [22, 25, 1935, 6379, 8080, 8443] {
            let text = format!("https://cdn.example:{number}/");
            assert_eq!(port(&text), Err(Forbidden::Port(number)), "{text}");
        }
        let known = guard.stranger(&link("https://CDN.lab.:4433/"), true).unwrap();
        assert_eq!((known.port, known.address), (4433, Some("127.0.0.1".parse().unwrap())));
        assert_eq!(guard.stranger(&link("https://sub.cdn.lab:4433/"), true), Err(Forbidden::Port(4433)));
        let refused = guard.stranger(&link("http://cdn.example/"), true);
        assert_eq!(refused, Err(Forbidden::NotSecure), "what is shown comes over TLS");
    }

    #[test]
    fn redirects_are_links_like_any_other() {
        let from = link("https://cdn.example/a/b.png");
        let to = |location: &str| redirect(&from, location).map(|link| link.as_str().to_owned());
        assert_eq!(to("c.png").unwrap(), "https://cdn.example/a/c.png");
        assert_eq!(to("//other.example/").unwrap(), "https://other.example/");
        for location in [
            "http://127.0.0.1/",
            "//169.254.169.254/latest",
            "https://[::1]/",
            "http://2130706433/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://a:b@cdn.example/",
            "http://localhost:9/",
            "http://[::ffff:192.168.0.1]/",
        ] {
            assert!(matches!(to(location), Err(Forbidden::Link(_))), "{location}");
        }
    }
}
