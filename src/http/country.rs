//! From which country a viewer comes: a trusted proxy says it, or a database of addresses. The address is looked at and forgotten.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use axum::extract::FromRequestParts;
use http::request::Parts;
use maxminddb::{MaxMindDbError, PathElement, Reader};

use super::{ApiError, ClientAddress, ClientCountry};
use crate::media::Code;

/// Where the databases of countries and cities have the code.
const CODE: [PathElement<'_>; 2] = [PathElement::Key("country"), PathElement::Key("iso_code")];

/// Knows the countries of addresses, or nothing.
#[derive(Default)]
pub struct Countries(Option<Reader<Vec<u8>>>);

/// Where a request comes from, as far as is known: taken out of the extensions that every request has.
#[derive(Clone, Copy, Debug)]
pub struct ClientPlace {
    address: ClientAddress,
    told: Option<ClientCountry>,
}

impl From<IpAddr> for ClientPlace {
    fn from(address: IpAddr) -> Self {
        Self { address: ClientAddress(address.to_canonical()), told: None }
    }
}

impl<S: Sync> FromRequestParts<S> for ClientPlace {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let address = *parts.extensions.get().ok_or_else(ApiError::internal)?;
        Ok(Self { address, told: parts.extensions.get().copied() })
    }
}

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("sale.countries: {}: {source}", .path.display())]
pub struct CountriesError {
    path: PathBuf,
    source: MaxMindDbError,
}

impl Countries {
    /// With a database, if there is one.
    ///
    /// # Errors
    /// When it is none.
    pub fn open(path: Option<&Path>) -> Result<Self, CountriesError> {
        let open = |path: &Path| {
            Reader::open_readfile(path).map_err(|source| CountriesError { path: path.to_owned(), source })
        };
        path.map(open).transpose().map(Self)
    }

    /// The country of who asks: what a proxy says is nearer to the truth than a database of last month.
    pub fn of(&self, place: ClientPlace) -> Option<Code> {
        let ClientPlace { address: ClientAddress(address), told } = place;
        match told {
            Some(told) => told.as_str().parse().ok(),
            None => {
                let found = self.0.as_ref()?.lookup(address).ok()?;
                found.decode_path::<&str>(&CODE).ok()??.parse().ok()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value of the data section: a map, a text or a number.
    enum Value {
        Map(Vec<(&'static str, Self)>),
        Text(&'static str),
        Texts(Vec<&'static str>),
        U16(u16),
        U32(u32),
        U64(u64),
    }

    impl Value {
        fn write(&self, out: &mut Vec<u8>) {
            // A type above 7 is written as 0 and its number less 7 behind that.
            let text = |text: &str, out: &mut Vec<u8>| {
                out.push(2 << 5 | text.len() as u8);
                out.extend_from_slice(text.as_bytes());
            };
            match self {
                Self::Map(entries) => {
                    out.push(7 << 5 | entries.len() as u8);
                    for (name, value) in entries {
                        text(name, out);
                        value.write(out);
                    }
                }
                Self::Text(value) => text(value, out),
                Self::Texts(values) => {
                    out.extend([values.len() as u8, 11 - 7]);
                    values.iter().for_each(|value| text(value, out));
                }
                Self::U16(value) => out.extend([&[5 << 5 | 2][..], &value.to_be_bytes()].concat()),
                Self::U32(value) => out.extend([&[6 << 5 | 4][..], &value.to_be_bytes()].concat()),
                Self::U64(value) => out.extend([&[8, 9 - 7][..], &value.to_be_bytes()].concat()),
            }
        }
    }

    /// A database of IPv4 addresses (MaxMind DB format 2.0): the upper half of all is German, of the lower half nothing is known.
    fn database() -> Vec<u8> {
        let nodes: u32 = 1;
        // The one node: left nothing, right the data behind the separator of 16 bytes.
        let records = [nodes, nodes + 16];
        let mut file: Vec<u8> =
            records.iter().flat_map(|record| record.to_be_bytes()[1..].to_vec()).collect();
        file.extend([0; 16]);
        let country = Value::Map(vec![("iso_code", Value::Text("DE"))]);
        Value::Map(vec![("country", country)]).write(&mut file);
        file.extend(b"\xab\xcd\xefMaxMind.com");
        Value::Map(vec![
            ("binary_format_major_version", Value::U16(2)),
            ("binary_format_minor_version", Value::U16(0)),
            ("build_epoch", Value::U64(1_767_225_600)),
            ("database_type", Value::Text("Test-Country")),
            ("description", Value::Map(vec![("en", Value::Text("for a test"))])),
            ("ip_version", Value::U16(4)),
            ("languages", Value::Texts(vec!["en"])),
            ("node_count", Value::U32(nodes)),
            ("record_size", Value::U16(24)),
        ])
        .write(&mut file);
        file
    }

    #[test]
    fn a_proxy_s_word_is_taken_before_a_database_s_and_neither_is_a_must() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("countries.mmdb");
        std::fs::write(&path, database()).unwrap();
        let countries = Countries::open(Some(&path)).unwrap();
        let at = |address: &str| ClientPlace::from(address.parse::<IpAddr>().unwrap());
        let of = |address: &str| countries.of(at(address)).map(String::from);
        assert_eq!(of("203.0.113.7").as_deref(), Some("de"));
        assert_eq!(of("10.0.0.1"), None);
        assert_eq!(of("2001:db8::1"), None, "it knows no such addresses");

        std::fs::write(&path, b"no database").unwrap();
        let refused = Countries::open(Some(&path)).err().unwrap().to_string();
        assert!(refused.starts_with("sale.countries: ") && refused.contains("countries.mmdb"), "{refused}");
        assert_eq!(Countries::open(None).unwrap().of(at("203.0.113.7")), None);
    }
}
