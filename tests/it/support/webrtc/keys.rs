//! The keys of a test's own session, so that it can seal packets that the library would never send.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use onair::protocol::webrtc::srtp::{KeyingMaterial, Profile, Sealer};
use str0m::config::{CryptoProvider, DtlsCert, DtlsVersion};
use str0m::crypto::dtls::{
    DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion, SrtpProfile,
};
use str0m::crypto::{CryptoError, from_feature_flags};

/// Where a session leaves its keys. Clones are the same place.
#[derive(Clone, Debug, Default)]
pub struct Keys(Arc<Mutex<Option<Material>>>);

/// What DTLS exports.
type Material = (Vec<u8>, SrtpProfile);

impl Keys {
    /// A provider whose sessions leave their keys here. It is never freed: the library wants it for ever.
    pub fn tap(&self) -> Arc<CryptoProvider> {
        let library: &'static CryptoProvider = Box::leak(Box::new(from_feature_flags()));
        let tap = Box::leak(Box::new(Tap { library, keys: self.clone() }));
        Arc::new(CryptoProvider { dtls_provider: tap, ..library.clone() })
    }

    /// Seals as this peer; `is_client` when it is the DTLS client.
    pub fn sealer(&self, is_client: bool) -> Sealer {
        let (material, profile) = self.0.lock().unwrap().clone().expect("DTLS is done");
        let profile = match profile {
            SrtpProfile::AEAD_AES_128_GCM => Profile::AeadAes128Gcm,
            SrtpProfile::AEAD_AES_256_GCM => Profile::AeadAes256Gcm,
            _ => Profile::Aes128CmHmacSha1_80,
        };
        let (ours, _) = KeyingMaterial::new(material, profile).split(is_client).expect("enough of it");
        Sealer::new(&ours).expect("keys")
    }
}

#[derive(Debug)]
struct Tap {
    library: &'static CryptoProvider,
    keys: Keys,
}

impl DtlsProvider for Tap {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        self.library.dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = self.library.dtls_provider.new_dtls(certificate, now, version, mtu)?;
        Ok(Box::new(Tapped { inner, keys: self.keys.clone() }))
    }
}

#[derive(Debug)]
struct Tapped {
    inner: Box<dyn DtlsInstance>,
    keys: Keys,
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
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            *self.keys.0.lock().unwrap() = Some((material.to_vec(), *profile));
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
