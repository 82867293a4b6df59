//! The addresses that a peer is told to send to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

/// The most addresses that are told: each is one more check for the peer to make.
const MOST: usize = 8;

/// An `IP` or `IP:PORT`; without a port, `port`.
pub(super) fn parse(text: &str, port: u16) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)))
}

/// Where peers can reach a socket bound to `bound`: what the operator says, the bound address itself, or for a wildcard
/// the addresses of the machine. Loopback is told only to peers who came over loopback.
pub(super) fn candidates(public: &[String], bound: SocketAddr, over_loopback: bool) -> Vec<SocketAddr> {
    if !public.is_empty() {
        return public.iter().filter_map(|text| parse(text, bound.port())).take(MOST).collect();
    }
    if !bound.ip().is_unspecified() {
        return vec![bound];
    }
    let of_family = |ip: &IpAddr| bound.is_ipv6() || ip.is_ipv4();
    let mut found: Vec<IpAddr> = interfaces().unwrap_or_default().into_iter().filter(of_family).collect();
    found.retain(|ip| is_told(*ip));
    if over_loopback || found.is_empty() {
        // First, because that is the way the peer has come.
        found.insert(0, Ipv4Addr::LOCALHOST.into());
    }
    found.truncate(MOST);
    found.into_iter().map(|ip| SocketAddr::new(ip, bound.port())).collect()
}

/// Not loopback, and not an address that needs to be told with its interface.
fn is_told(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    }
}

/// The addresses of all interfaces that are up.
fn interfaces() -> io::Result<Vec<IpAddr>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `list` is a valid place for the result, which is freed below.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut entry = list;
    // SAFETY: the list and the addresses in it are valid until they are freed, and only read.
    while let Some(interface) = unsafe { entry.as_ref() } {
        entry = interface.ifa_next;
        if interface.ifa_flags & libc::IFF_UP as u32 == 0 || interface.ifa_addr.is_null() {
            continue;
        }
        // SAFETY: not null; the family says which structure it is.
        let ip = unsafe {
            match i32::from((*interface.ifa_addr).sa_family) {
                libc::AF_INET => {
                    let address = &*interface.ifa_addr.cast::<libc::sockaddr_in>();
                    Some(IpAddr::from(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr))))
                }
                libc::AF_INET6 => {
                    let address = &*interface.ifa_addr.cast::<libc::sockaddr_in6>();
                    Some(IpAddr::from(Ipv6Addr::from(address.sin6_addr.s6_addr)))
                }
                _ => None,
            }
        };
        found.extend(ip);
    }
    // SAFETY: made by getifaddrs, freed once, and not used afterwards.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_word_comes_first_then_what_is_bound() {
        let bound: SocketAddr = "127.0.0.1:8189".parse().unwrap();
        let public = ["203.0.113.7".to_owned(), "[2001:db8::1]:9000".to_owned()];
        let told = candidates(&public, bound, true);
        assert_eq!(told, ["203.0.113.7:8189".parse().unwrap(), "[2001:db8::1]:9000".parse().unwrap()]);
        assert_eq!(candidates(&[], bound, false), [bound]);
        assert!(parse("localhost", 1).is_none() && parse("1.2.3.4:x", 1).is_none());
    }

    #[test]
    fn a_wildcard_tells_loopback_to_those_who_came_over_it() {
        let bound: SocketAddr = "0.0.0.0:8189".parse().unwrap();
        let told = candidates(&[], bound, true);
        assert_eq!(told[0], "127.0.0.1:8189".parse().unwrap());
        assert!(told.len() <= MOST && told.iter().all(SocketAddr::is_ipv4));
    }
}
