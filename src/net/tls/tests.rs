//! Certificates from files, exchanged while running.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// A directory of its own for each test, gone afterwards.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("onair-tls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&path).unwrap().write_all(text.as_bytes()).unwrap();
        path
    }

    fn pair(&self) -> Config {
        let made = rcgen::generate_simple_self_signed(vec!["example.test".to_owned()]).unwrap();
        let cert = self.write("cert.pem", &made.cert.pem());
        let key = self.write("key.pem", &made.signing_key.serialize_pem());
        Config { cert: Some(cert), key: Some(key), self_signed: false }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn shown(certificates: &Certificates) -> Vec<u8> {
    certificates.0.0.read().unwrap().cert[0].to_vec()
}

#[test]
fn a_renewed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let directory = Directory::new();
    let config = directory.pair();
    let certificates = Certificates::load(&config).unwrap();
    let first = shown(&certificates);

    directory.pair();
    certificates.reload(&config).unwrap();
    let second = shown(&certificates);
    assert_ne!(first, second);

    directory.write("key.pem", "no key");
    assert!(matches!(certificates.reload(&config), Err(CertificateError::Empty { what: "private key", .. })));
    let foreign = rcgen::generate_simple_self_signed(vec!["other.test".to_owned()]).unwrap();
    directory.write("key.pem", &foreign.signing_key.serialize_pem());
    assert!(matches!(certificates.reload(&config), Err(CertificateError::Pair(_))));
    assert_eq!(shown(&certificates), second);
}

#[test]
fn what_is_missing_is_named() {
    assert!(matches!(Certificates::load(&Config::default()), Err(CertificateError::None)));
    let config =
        Config { cert: Some("/nonexistent/cert.pem".into()), key: Some("/x".into()), self_signed: false };
    let message = Certificates::load(&config).unwrap_err().to_string();
    assert!(message.contains("/nonexistent/cert.pem"), "{message}");
    let half = Config { key: None, ..config };
    assert_eq!(half.problems()[0].0, "key");
}

#[test]
fn a_trial_needs_no_files_and_keeps_its_certificate() {
    let config = Config { self_signed: true, ..Config::default() };
    let certificates = Certificates::load(&config).unwrap();
    let first = shown(&certificates);
    certificates.reload(&config).unwrap();
    assert_eq!(shown(&certificates), first);
}
