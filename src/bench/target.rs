//! Where a stream is published or played: the parts of a URL.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

use thiserror::Error;

/// Why a text is no URL that can be measured.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The form.
    #[error("{0:?} is no URL: expected rtmp://HOST[:PORT]/APP/STREAM or http://HOST[:PORT]/PATH")]
    Form(String),
    /// The name.
    #[error("{0} has no IPv4 address")]
    Address(String),
}

/// A URL taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    scheme: Scheme,
    /// Host, and port where it was written, as it is told to the server.
    pub host: String,
    /// Everything from the first slash on.
    pub path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Rtmp,
    Http,
}

impl Target {
    /// The address to connect to.
    ///
    /// # Errors
    /// [`TargetError::Address`].
    pub fn resolve(&self) -> Result<SocketAddr, TargetError> {
        let port = match self.scheme {
            Scheme::Rtmp => 1935,
            Scheme::Http => 80,
        };
        let has_port = self.host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port { self.host.clone() } else { format!("{}:{port}", self.host) };
        let no_address = || TargetError::Address(self.host.clone());
        host.to_socket_addrs().map_err(|_| no_address())?.find(SocketAddr::is_ipv4).ok_or_else(no_address)
    }

    /// The application and the stream of an RTMP URL: what is before and behind the last slash.
    pub fn app_and_stream(&self) -> (&str, &str) {
        self.path.trim_start_matches('/').rsplit_once('/').unwrap_or_default()
    }

    /// The path that a reference in the resource at `base` means (RFC 3986 §5, for paths).
    pub fn resolve_path(base: &str, reference: &str) -> String {
        if reference.starts_with('/') {
            return reference.to_owned();
        }
        let folder =
            base.split('?').next().unwrap_or_default().rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut parts: Vec<&str> = folder.split('/').collect();
        for part in reference.split('/') {
            match part {
                "." => {}
                ".." if parts.len() > 1 => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        parts.join("/")
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(url: &str) -> Result<Self, TargetError> {
        let form = || TargetError::Form(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
        let scheme = match scheme {
            "rtmp" => Scheme::Rtmp,
            "http" => Scheme::Http,
            _ => return Err(form()),
        };
        let (host, path) = rest.split_once('/').ok_or_else(form)?;
        let target = Self { scheme, host: host.to_owned(), path: format!("/{path}") };
        if host.is_empty() || (scheme == Scheme::Rtmp && target.app_and_stream().1.is_empty()) {
            return Err(form());
        }
        Ok(target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Rtmp => "rtmp",
            Scheme::Http => "http",
        };
        write!(formatter, "{scheme}://{}{}", self.host, self.path)
    }
}

/// Connections from one address, so that neither its ports nor a server's limit for an address end the measurement.
const PER_ADDRESS: usize = 100;

/// The address that the viewer with this number comes from: 127.0.0.2 and following, all of them this machine.
pub fn source_address(server: SocketAddr, number: usize) -> Ipv4Addr {
    if !server.ip().is_loopback() {
        return Ipv4Addr::UNSPECIFIED;
    }
    let offset = u32::try_from(number / PER_ADDRESS).unwrap_or(0) % 0xff_0000;
    Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_come_back() {
        let target: Target = "rtmp://127.0.0.1:1936/live/kitchen".parse().unwrap();
        assert_eq!(target.app_and_stream(), ("live", "kitchen"));
        assert_eq!(target.resolve().unwrap(), "127.0.0.1:1936".parse().unwrap());
        let target: Target = "http://127.0.0.1/live/kitchen.flv".parse().unwrap();
        assert_eq!((target.host.as_str(), target.path.as_str()), ("127.0.0.1", "/live/kitchen.flv"));
        assert_eq!(target.resolve().unwrap().port(), 80);
        assert_eq!(target.to_string(), "http://127.0.0.1/live/kitchen.flv");
        for bad in ["kitchen", "https://h/x", "rtmp://h", "rtmp://h/live", "rtmp://h/live/", "http:///x"] {
            assert_eq!(bad.parse::<Target>(), Err(TargetError::Form(bad.to_owned())), "{bad}");
        }
    }

    #[test]
    fn references_in_playlists_are_resolved() {
        for (base, reference, path) in [
            ("/hls/a/index.m3u8", "main/index.m3u8", "/hls/a/main/index.m3u8"),
            ("/hls/a/main/index.m3u8?x=/y", "7.m4s", "/hls/a/main/7.m4s"),
            ("/hls/a/main/index.m3u8", "../b/./i.m3u8", "/hls/a/b/i.m3u8"),
            ("/hls/a/index.m3u8", "/other", "/other"),
            ("/a", "../../b", "/b"),
        ] {
            assert_eq!(Target::resolve_path(base, reference), path);
        }
    }

    #[test]
    fn viewers_on_this_machine_come_from_many_addresses() {
        let server: SocketAddr = "127.0.0.1:1935".parse().unwrap();
        assert_eq!(source_address(server, 0), Ipv4Addr::new(127, 0, 0, 2));
        assert_eq!(source_address(server, 9_999), Ipv4Addr::new(127, 0, 0, 101));
        assert_eq!(source_address("192.0.2.1:1935".parse().unwrap(), 5), Ipv4Addr::UNSPECIFIED);
    }
}
