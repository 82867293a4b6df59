//! Vouchers: an embedding site tells us in a JSON Web Token who its user is (RFC 7519).
//!
//! The keys are a JSON Web Key Set; a key's type decides the one algorithm that holds with it: `oct` HS256, `OKP`
//! (Ed25519) EdDSA, `RSA` RS256. Whatever else a token's header asks for is refused.

use std::fs;
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;

use crate::media::ChannelName;

/// The longest token that is looked at.
const MAX_TOKEN_LEN: usize = 3000;
/// Keys that are read of a set.
const MAX_KEYS: usize = 32;
/// A shared secret that is shorter can be found by trying (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;
/// Clocks of two sites may differ by so many seconds.
const LEEWAY_SECONDS: u64 = 10;

/// The keys of the sites that may vouch.
pub struct Vouchers {
    keys: Vec<Key>,
    issuer: String,
    audience: String,
}

struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
}

/// Whom a site vouches for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// Which site, as it calls itself.
    pub issuer: String,
    /// The user, as the site calls them.
    pub subject: String,
    /// What others read.
    pub name: Option<String>,
    /// Until when, Unix milliseconds.
    pub expires: i64,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    iss: String,
    sub: String,
    exp: i64,
    name: Option<String>,
    channel: Option<String>,
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The file cannot be read.
    #[error("chat.jwks: {}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: std::io::Error,
    },
    /// It holds no set of usable keys.
    #[error("chat.jwks: {}: {reason}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        reason: String,
    },
}

/// Why a token does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VoucherError {
    /// Longer than any token of ours.
    #[error("the token is too long")]
    TooLong,
    /// No key of ours made it.
    #[error("the token was made with no key that is known here")]
    UnknownKey,
    /// It is for another channel.
    #[error("the token is for another channel")]
    Channel,
    /// It does not hold; the text says why.
    #[error("the token does not hold: {0}")]
    Invalid(#[from] jsonwebtoken::errors::Error),
}

impl Vouchers {
    /// With the keys of a file, or none.
    ///
    /// # Errors
    /// When the file cannot be read or has keys that cannot be used.
    pub fn load(file: Option<&Path>, issuer: &str, audience: &str) -> Result<Self, KeysError> {
        let keys = match file {
            None => Vec::new(),
            Some(path) => {
                let text = fs::read_to_string(path)
                    .map_err(|source| KeysError::File { path: path.to_owned(), source })?;
                keys(&text).map_err(|reason| KeysError::Content { path: path.to_owned(), reason })?
            }
        };
        Ok(Self { keys, issuer: issuer.to_owned(), audience: audience.to_owned() })
    }

    /// With the keys that a site publishes. Those that cannot be used are left out, and so are secrets: what is published is none.
    ///
    /// # Errors
    /// What is wrong, when there is no key that can be used.
    pub fn published(text: &[u8], issuer: &str, audience: &str) -> Result<Self, String> {
        let keys: Vec<Key> = set(text)?
            .iter()
            .filter_map(|jwk| key(jwk).ok())
            .filter(|key| key.algorithm != Algorithm::HS256)
            .collect();
        if keys.is_empty() {
            return Err("there is no Ed25519 or RSA key in it".to_owned());
        }
        Ok(Self { keys, issuer: issuer.to_owned(), audience: audience.to_owned() })
    }

    /// Whether there is no key, so that nothing holds.
    pub const fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whom a token vouches for, in a channel.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn check(&self, token: &str, channel: &ChannelName) -> Result<Voucher, VoucherError> {
        if token.len() > MAX_TOKEN_LEN {
            return Err(VoucherError::TooLong);
        }
        let header = decode_header(token)?;
        // With an id, the key of this id; without, any of this algorithm.
        let fits = |key: &&Key| {
            key.algorithm == header.alg && header.kid.as_ref().is_none_or(|id| key.id.as_ref() == Some(id))
        };
        let mut last = VoucherError::UnknownKey;
        for key in self.keys.iter().filter(fits) {
            let mut validation = Validation::new(key.algorithm);
            validation.leeway = LEEWAY_SECONDS;
            validation.validate_nbf = true;
            validation.set_audience(&[&self.audience]);
            let mut required = vec!["exp", "sub", "aud"];
            if !self.issuer.is_empty() {
                validation.set_issuer(&[&self.issuer]);
                required.push("iss");
            }
            validation.set_required_spec_claims(&required);
            match decode::<Claims>(token, &key.key, &validation) {
                Ok(data) => return of(data.claims, channel),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

fn of(claims: Claims, channel: &ChannelName) -> Result<Voucher, VoucherError> {
    if claims.channel.is_some_and(|only| only != channel.as_str()) {
        return Err(VoucherError::Channel);
    }
    let expires = claims.exp.saturating_mul(1000);
    Ok(Voucher { issuer: claims.iss, subject: claims.sub, name: claims.name, expires })
}

/// The keys of a file: each has to be good.
fn keys(text: &str) -> Result<Vec<Key>, String> {
    set(text.as_bytes())?.iter().map(key).collect()
}

/// A set may have keys of kinds that nobody here knows (RFC 7517 §5): those are left out by whoever reads it.
fn set(text: &[u8]) -> Result<Vec<serde_json::Value>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(text).map_err(|error| format!("no JSON Web Key Set: {error}"))?;
    if set.keys.is_empty() || set.keys.len() > MAX_KEYS {
        return Err(format!("expected 1 to {MAX_KEYS} keys"));
    }
    Ok(set.keys)
}

fn key(value: &serde_json::Value) -> Result<Key, String> {
    let jwk = Jwk::deserialize(value).map_err(|error| format!("no JSON Web Key: {error}"))?;
    let id = jwk.common.key_id.clone();
    let named = id.as_deref().unwrap_or("without kid");
    let key = DecodingKey::from_jwk(&jwk).map_err(|error| format!("key {named}: {error}"))?;
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::OctetKey(_) => {
            if key.try_get_as_bytes().map_or(0, <[u8]>::len) < MIN_SECRET {
                return Err(format!("key {named}: a shared secret has at least {MIN_SECRET} bytes"));
            }
            Algorithm::HS256
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
        AlgorithmParameters::RSA(_) => Algorithm::RS256,
        _ => return Err(format!("key {named}: expected oct, Ed25519 or RSA")),
    };
    Ok(Key { id, algorithm, key })
}

#[cfg(test)]
mod tests;
