//! HTTP: the listener for HTTP/1.1 and HTTP/2, what all routes share, and a small client.

mod connection;
mod cors;
mod country;
mod error;
pub mod fetch;
mod forwarded;
mod guard;
mod json;
mod metrics;
mod server;
mod streaming;
#[cfg(test)]
mod tests;
mod upgrade;
pub mod websocket;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::HeaderName;
use http::uri::Uri;
use serde::{Deserialize, Serialize};

use crate::setting;

pub use connection::Connection;
pub use cors::{for_everyone, for_media_clients};
pub use country::{ClientPlace, Countries, CountriesError};
pub use error::ApiError;
pub use forwarded::{ClientAddress, ClientCountry, TrustedProxies};
pub use guard::RequestHost;
pub use json::Json;
pub use server::{ALPN, Server};
pub use streaming::Streaming;
pub use upgrade::{Duplex, Upgrade};

/// hyper's own minimum.
const MIN_HEADER_SIZE: usize = 8192;

/// The listeners and their limits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where HTTP is served.
    #[serde(with = "setting::address")]
    pub listen: Option<SocketAddr>,
    /// Where HTTPS is served.
    #[serde(with = "setting::address")]
    pub tls_listen: Option<SocketAddr>,
    /// The address by which viewers reach the server, as in `https://live.example.org`; empty to take the one that
    /// a request was sent to.
    pub public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed: addresses and networks.
    pub trusted_proxies: Vec<String>,
    /// The header in which those proxies say from which country a request comes; empty where none does.
    pub country_header: String,
    /// Sites whose pages may have a watch page in a frame: origins as `https://news.example`; `*` for all.
    pub embed_from: Vec<String>,
    /// Connections at one time, in all.
    pub max_connections: usize,
    /// Connections at one time from one address; loopback is not counted.
    pub max_connections_per_address: usize,
    /// The largest request head.
    #[serde(with = "setting::byte_size")]
    pub max_header_size: usize,
    /// The largest request body.
    #[serde(with = "setting::byte_size")]
    pub max_body_size: usize,
    /// How long a connection may take to send a request's head, and may stay without a request.
    #[serde(with = "setting::duration")]
    pub idle_timeout: Duration,
    /// How long an answer may take to begin.
    #[serde(with = "setting::duration")]
    pub request_timeout: Duration,
    /// How long a reader may take nothing before it is dropped.
    #[serde(with = "setting::duration")]
    pub stall_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: Some((Ipv4Addr::UNSPECIFIED, 8080).into()),
            tls_listen: None,
            public_url: String::new(),
            trusted_proxies: Vec::new(),
            country_header: String::new(),
            embed_from: Vec::new(),
            max_connections: 15_000,
            max_connections_per_address: 1_000,
            max_header_size: 16 << 10,
            max_body_size: 64 << 10,
            idle_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if !self.public_url.is_empty() && base_url(&self.public_url).is_none() {
            let reason = format!(
                "{:?}: expected http:// or https:// with a host and nothing after it",
                self.public_url
            );
            problems.push(("public_url", reason));
        }
        if let Err(text) = TrustedProxies::parse(&self.trusted_proxies) {
            let reason = format!("{text:?}: expected an address or a network, like \"10.0.0.0/8\"");
            problems.push(("trusted_proxies", reason));
        }
        if !self.country_header.is_empty() && self.country().is_none() {
            let reason =
                format!("{:?}: expected a header's name, like \"CF-IPCountry\"", self.country_header);
            problems.push(("country_header", reason));
        }
        for site in self.embed_from.iter().filter(|site| *site != "*" && base_url(site) != Some(site)) {
            let reason = format!("{site:?}: expected an origin, like \"https://news.example\", or \"*\"");
            problems.push(("embed_from", reason));
        }
        if self.max_header_size < MIN_HEADER_SIZE {
            problems.push(("max_header_size", "expected at least 8KiB".to_owned()));
        }
        for (key, value) in [
            ("idle_timeout", self.idle_timeout),
            ("request_timeout", self.request_timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if value.is_zero() {
                problems.push((key, "expected more than 0s".to_owned()));
            }
        }
        problems
    }

    /// The header that has the country, if there is one.
    fn country(&self) -> Option<HeaderName> {
        self.country_header.parse().ok()
    }

    /// The configured public address without a slash at the end, `None` when there is none.
    pub fn public_base(&self) -> Option<&str> {
        base_url(&self.public_url)
    }
}

/// The URL without its last slash, if it is scheme and authority alone.
fn base_url(text: &str) -> Option<&str> {
    let base = text.strip_suffix('/').unwrap_or(text);
    let uri: Uri = base.parse().ok()?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority().filter(|authority| guard::is_host(authority.as_str()))?;
    (base.len() == scheme.len() + "://".len() + authority.as_str().len()).then_some(base)
}
