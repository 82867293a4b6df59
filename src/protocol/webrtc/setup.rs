//! How the WebRTC library is set up for a session: codecs, extensions, certificate, ICE credentials.

use aws_lc_rs::rand;
use str0m::config::DtlsCert;
use str0m::format::{Codec as RtpCodec, CodecConfig, PayloadParams};
use str0m::rtp::Extension;
use str0m::{IceCreds, RtcConfig};

use super::dtls_keys::KeyTap;
use super::offer::Role;
use super::relay::Agreed;
use crate::media::Codec;

/// Characters of names and passwords: `ice-char`s that need no escaping anywhere.
const ICE_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const UFRAG_LENGTH: usize = 12;
const PASSWORD_LENGTH: usize = 32;
/// A keyframe of a high bitrate is split over many packets, all of which must be held until it is whole.
const REORDERING: usize = 600;

/// What all peers of a server share.
pub(super) struct Identity {
    /// The certificate whose fingerprint is in every answer.
    pub certificate: DtlsCert,
}

/// The codecs that a viewer is offered, or that a publisher may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codecs {
    /// Everything that is relayed.
    All,
    /// Those of a stream.
    Only(Agreed),
}

impl Codecs {
    fn includes(self, codec: Codec) -> bool {
        match self {
            Self::All => true,
            Self::Only(agreed) => agreed.video == Some(codec) || agreed.audio == Some(codec),
        }
    }
}

/// The library's configuration for a session.
pub(super) fn config(identity: &Identity, role: Role, codecs: Codecs, credentials: IceCreds) -> RtcConfig {
    let includes = |codec| codecs.includes(codec);
    let mut config = RtcConfig::new()
        .set_crypto_provider(KeyTap::crypto())
        .set_dtls_cert(identity.certificate.clone())
        .set_ice_lite(true)
        .set_local_ice_credentials(credentials)
        .set_reordering_size_video(REORDERING)
        .set_stats_interval(None)
        .clear_codecs()
        .enable_opus(includes(Codec::Opus), role == Role::Publisher)
        .enable_h264(includes(Codec::H264))
        .enable_vp8(includes(Codec::Vp8))
        .enable_vp9(includes(Codec::Vp9))
        .enable_av1(includes(Codec::Av1));
    if role == Role::Viewer {
        // Nothing here estimates a viewer's bandwidth yet, and a number in each packet would make each different.
        let params: Vec<_> = config.codec_config().params().to_vec();
        let without = |mut params: PayloadParams| {
            params.set_fb_transport_cc(false);
            params.set_fb_remb(false);
            params
        };
        *config.codec_config() =
            CodecConfig::new_from_payload_params(params.into_iter().map(without).collect());
        config = config
            .clear_extension_map()
            .set_extension(4, Extension::RtpMid)
            .set_extension(5, Extension::PlayoutDelay);
    }
    config
}

/// Credentials whose name fragment begins with the shard, in two hexadecimal digits.
pub(super) fn credentials(shard: usize) -> Option<IceCreds> {
    let mut random = [0; UFRAG_LENGTH + PASSWORD_LENGTH];
    rand::fill(&mut random).ok()?;
    let text = |bytes: &[u8]| {
        bytes.iter().map(|byte| char::from(ICE_ALPHABET[usize::from(byte % 32)])).collect::<String>()
    };
    let (ufrag, password) = random.split_at(UFRAG_LENGTH);
    Some(IceCreds { ufrag: format!("{shard:02x}{}", text(ufrag)), pass: text(password) })
}

/// The shard that a name fragment names.
pub(super) fn shard_of(ufrag: &str) -> Option<usize> {
    usize::from_str_radix(ufrag.get(..2)?, 16).ok()
}

/// The codec that the WebRTC library means.
pub(super) fn of_rtp(codec: RtpCodec) -> Option<Codec> {
    match codec {
        RtpCodec::H264 => Some(Codec::H264),
        RtpCodec::Vp8 => Some(Codec::Vp8),
        RtpCodec::Vp9 => Some(Codec::Vp9),
        RtpCodec::Av1 => Some(Codec::Av1),
        RtpCodec::Opus => Some(Codec::Opus),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fragment_tells_its_shard() {
        for shard in [0, 1, 16, 255] {
            let credentials = credentials(shard).unwrap();
            assert_eq!(shard_of(&credentials.ufrag), Some(shard));
            assert!(credentials.pass.len() >= 22, "RFC 8839 §5.4");
        }
        assert!(shard_of("").is_none() && shard_of("zz1").is_none() && shard_of("\u{e4}1").is_none());
    }
}
