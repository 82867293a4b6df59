//! TLS certificates: from files, reloaded while connections go on; or one of our own making for trials.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsAcceptor;

use crate::setting;

/// Where the certificate comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// PEM file with the certificate and its chain, the server's own first.
    #[serde(with = "setting::optional_path")]
    pub cert: Option<PathBuf>,
    /// PEM file with the private key.
    #[serde(with = "setting::optional_path")]
    pub key: Option<PathBuf>,
    /// Make a certificate at start when there is none; browsers warn about it.
    pub self_signed: bool,
}

impl Config {
    /// What is wrong with the settings: key and reason.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        match (&self.cert, &self.key) {
            (Some(_), None) => vec![("key", "missing: tls.cert is set, it needs its private key".to_owned())],
            (None, Some(_)) => vec![("cert", "missing: tls.key is set, it needs its certificate".to_owned())],
            _ => Vec::new(),
        }
    }
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Neither files nor leave to make one.
    #[error("no certificate: set tls.cert and tls.key, or tls.self_signed = true for a trial")]
    None,
    /// A file cannot be read as PEM.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What was wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// A file without what it is for.
    #[error("{}: no {what} in this file", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key are no pair, or of a kind that is not supported.
    #[error("tls.cert and tls.key do not go together: {0}")]
    Pair(#[from] rustls::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// The certificate that listeners show, exchangeable while they run. Clones are the same certificate.
#[derive(Clone, Debug)]
pub struct Certificates(Arc<Current>);

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads the files, or makes a certificate if the settings say so.
    ///
    /// # Errors
    /// When there is no usable pair.
    pub fn load(config: &Config) -> Result<Self, CertificateError> {
        Ok(Self(Arc::new(Current(RwLock::new(Arc::new(certified_key(config)?))))))
    }

    /// Makes a certificate for these names; gives its PEM too, for those who are to believe it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn made_for(names: Vec<String>) -> Result<(Self, String), CertificateError> {
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let certified =
            CertifiedKey::new(vec![made.cert.der().clone()], aws_lc_rs::sign::any_supported_type(&key)?);
        Ok((Self(Arc::new(Current(RwLock::new(Arc::new(certified))))), made.cert.pem()))
    }

    /// Reads the files again; new connections get the new certificate, open ones go on. A certificate of our own
    /// making stays as it is.
    ///
    /// # Errors
    /// When there is no usable pair; the old one stays.
    pub fn reload(&self, config: &Config) -> Result<(), CertificateError> {
        if config.cert.is_none() && config.self_signed {
            return Ok(());
        }
        let fresh = Arc::new(certified_key(config)?);
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// An acceptor that shows the certificate of the moment and offers these protocols, the preferred first.
    ///
    /// # Panics
    /// Never: the provider always has TLS 1.2 and 1.3.
    pub fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider's own suites cover the default versions")
            .with_no_client_auth()
            .with_cert_resolver(self.0.clone());
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn certified_key(config: &Config) -> Result<CertifiedKey, CertificateError> {
    let (chain, key) = match (&config.cert, &config.key) {
        (Some(cert), Some(key)) => (read_chain(cert)?, read_key(key)?),
        _ if config.self_signed => self_signed()?,
        _ => return Err(CertificateError::None),
    };
    let certified = CertifiedKey::new(chain, aws_lc_rs::sign::any_supported_type(&key)?);
    certified.keys_match()?;
    Ok(certified)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let read = |source| CertificateError::Read { path: path.to_owned(), source };
    let chain =
        CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if chain.is_empty() {
        return Err(CertificateError::Empty { path: path.to_owned(), what: "certificate" });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    use rustls::pki_types::pem::Error;
    PrivateKeyDer::from_pem_file(path).map_err(|source| match source {
        Error::NoItemsFound => CertificateError::Empty { path: path.to_owned(), what: "private key" },
        source => CertificateError::Read { path: path.to_owned(), source },
    })
}

fn self_signed() -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), CertificateError> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if let Ok(host) = fs::read_to_string("/proc/sys/kernel/hostname") {
        names.push(host.trim().to_owned());
    }
    let made = rcgen::generate_simple_self_signed(names)?;
    Ok((vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into())))
}

#[cfg(test)]
mod tests;
