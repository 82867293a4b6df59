//! How the keys that DTLS agrees on get out of the WebRTC library, which would otherwise keep them to itself.
//!
//! The library makes its DTLS sessions through a provider that can be replaced. Ours hands on to the library's own, and
//! leaves a copy of the exported keying material in a place that was named before the session was made.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Instant;

use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile,
};
use str0m::crypto::{CryptoError, from_feature_flags};

use super::srtp::{KeyingMaterial, Profile};

thread_local! {
    /// Where the next session that this thread makes leaves its keys.
    static ARMED: RefCell<Option<KeyHandle>> = const { RefCell::new(None) };
}

static LIBRARY: LazyLock<CryptoProvider> = LazyLock::new(from_feature_flags);
static TAPPED: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    static TAP: KeyTap = KeyTap;
    Arc::new(CryptoProvider { dtls_provider: &TAP, ..LIBRARY.clone() })
});

/// Where a session leaves its keys. Clones are the same place.
#[derive(Clone, Default)]
pub(super) struct KeyHandle(Arc<Mutex<Option<KeyingMaterial>>>);

impl KeyHandle {
    /// The keys, once.
    pub fn take(&self) -> Option<KeyingMaterial> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, material: KeyingMaterial) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(material);
    }
}

impl fmt::Debug for KeyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHandle")
    }
}

/// The provider that listens in.
#[derive(Debug)]
pub(super) struct KeyTap;

impl KeyTap {
    /// What sessions are to be made with.
    pub fn crypto() -> Arc<CryptoProvider> {
        Arc::clone(&TAPPED)
    }

    /// A new certificate for DTLS.
    pub fn certificate() -> Option<DtlsCert> {
        LIBRARY.dtls_provider.generate_certificate()
    }

    /// Where the next session made by this thread leaves its keys. To be called right before that.
    pub fn arm() -> KeyHandle {
        let handle = KeyHandle::default();
        ARMED.with(|armed| armed.replace(Some(handle.clone())));
        handle
    }
}

impl DtlsProvider for KeyTap {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        Self::certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = LIBRARY.dtls_provider.new_dtls(certificate, now, version, mtu)?;
        let keys = ARMED.with(RefCell::take).unwrap_or_default();
        Ok(Box::new(Tapped { inner, keys }))
    }
}

#[derive(Debug)]
struct Tapped {
    inner: Box<dyn DtlsInstance>,
    keys: KeyHandle,
}

impl DtlsInstance for Tapped {
    fn set_active(&mut self, active: bool) {
        self.inner.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.inner.handle_packet(packet)
    }

    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.inner.poll_output(buffer);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output
            && let Some(profile) = known(*profile)
        {
            self.keys.put(KeyingMaterial::new(material.to_vec(), profile));
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.inner.handle_timeout(now)
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.inner.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.inner.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.inner.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.inner.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.inner.close()
    }
}

fn known(profile: SrtpProfile) -> Option<Profile> {
    match profile {
        SrtpProfile::AEAD_AES_128_GCM => Some(Profile::AeadAes128Gcm),
        SrtpProfile::AEAD_AES_256_GCM => Some(Profile::AeadAes256Gcm),
        SrtpProfile::AES128_CM_SHA1_80 => Some(Profile::Aes128CmHmacSha1_80),
        _ => None,
    }
}
