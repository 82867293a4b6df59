//! One session's ICE, DTLS and SDP, which are the WebRTC library's; datagrams and time go in, datagrams and news come out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::rand;
use str0m::change::SdpOffer;
use str0m::config::DtlsCert;
use str0m::error::IceError;
use str0m::format::{Codec as RtpCodec, CodecConfig, CodecSpec, PayloadParams};
use str0m::media::{KeyframeRequestKind, MediaData, Mid, Pt, Rid};
use str0m::net::{DatagramRecv, Protocol, Receive, TcpType};
use str0m::rtp::Extension;
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig};

use super::demux::{self, Check, Kind as Datagram};
use super::dtls_keys::{KeyHandle, KeyTap};
use super::fragment::Credentials;
use super::offer::{Offer, Role};
use super::outlet::Path;
use super::relay::Agreed;
use super::srtp::MasterKey;
use crate::hub::SubscribeError;
use crate::media::{Codec, Kind};

/// Characters of names and passwords: `ice-char`s that need no escaping anywhere.
const ICE_ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const UFRAG_LENGTH: usize = 12;
const PASSWORD_LENGTH: usize = 32;
/// A keyframe of a high bitrate is split over many packets, all of which must be held until it is whole.
const REORDERING: usize = 600;
/// Nobody's address.
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What all peers of a server share.
pub(super) struct Identity {
    /// The certificate whose fingerprint is in every answer.
    pub certificate: DtlsCert,
}

/// One session towards one peer.
pub(super) struct Peer {
    rtc: Box<Rtc>,
    keys: KeyHandle,
    role: Role,
    /// Whether we are DTLS's client: it decides whose half of the keys is ours.
    dtls_client: bool,
    /// The sections by kind.
    sections: Vec<(Kind, Mid)>,
    /// The addresses that the peer was told. A datagram is taken for one sent to the first of its family.
    local: Addresses,
    ufrag: Arc<str>,
    /// New credentials, in force as soon as the peer uses them: a restart that comes to nothing changes nothing.
    restart: Option<Restart>,
    /// The library has panicked.
    broken: bool,
    /// When the library wants to be asked again.
    pub wake_at: Instant,
}

struct Restart {
    local: IceCreds,
    remote: IceCreds,
}

/// Where a peer can reach the server.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Those of the UDP port.
    pub all: Vec<SocketAddr>,
    /// The TCP port of the same number is open too.
    pub tcp: bool,
}

impl Addresses {
    fn candidates(&self) -> impl Iterator<Item = Result<Candidate, IceError>> {
        let udp = self.all.iter().map(|address| Candidate::host(*address, Protocol::Udp));
        let over_tcp = |address: &SocketAddr| {
            Candidate::builder().tcp().host(*address).tcptype(TcpType::Passive).build()
        };
        udp.chain(self.all.iter().filter(|_| self.tcp).map(over_tcp))
    }
}

/// What a peer wants to be known.
pub(super) enum News {
    /// ICE and DTLS are done.
    Connected,
    /// A frame of a publisher.
    Media(Box<MediaData>),
    /// The peer has closed the session, or cannot be reached any more.
    Gone(&'static str),
}

/// How a kind of media was negotiated towards a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negotiated {
    pub ssrc: u32,
    pub payload_type: u8,
    /// SSRC and payload type for retransmission.
    pub rtx: Option<(u32, u8)>,
    /// Identifier of the playout-delay header extension.
    pub playout_delay: Option<u8>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum OpenError {
    /// The offer cannot be answered.
    #[error("the offer cannot be answered: {0}")]
    Offer(String),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// There are as many sessions as there may be.
    #[error("the server has as many WebRTC sessions as it may")]
    Full,
    /// There is nothing to watch.
    #[error(transparent)]
    Stream(SubscribeError),
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

impl Peer {
    /// Answers an offer. `shard` is written into the name fragment; `addresses` are what the peer is told.
    pub fn answer(
        identity: &Identity,
        shard: usize,
        role: Role,
        offer: &Offer,
        codecs: Codecs,
        addresses: &Addresses,
        now: Instant,
    ) -> Result<(Self, String), OpenError> {
        let refused = |error: &dyn std::fmt::Display| OpenError::Offer(error.to_string());
        let credentials = credentials(shard).ok_or(OpenError::Random)?;
        let ufrag: Arc<str> = credentials.ufrag.as_str().into();
        let keys = KeyTap::arm();
        let mut rtc = Box::new(config(identity, role, codecs, credentials).build(now));
        for candidate in addresses.candidates() {
            rtc.add_local_candidate(candidate.map_err(|error| refused(&error))?);
        }
        let accept = || {
            let sdp = SdpOffer::from_sdp_string(&offer.text).map_err(|error| refused(&error))?;
            rtc.sdp_api().accept_offer(sdp).map_err(|error| refused(&error))
        };
        let answer = catch_unwind(AssertUnwindSafe(accept))
            .unwrap_or_else(|_| Err(OpenError::Offer("the library cannot read it".to_owned())))?
            .to_sdp_string();
        let peer = Self {
            rtc,
            keys,
            role,
            dtls_client: answer.contains("a=setup:active"),
            sections: offer
                .sections
                .iter()
                .map(|section| (section.kind, section.mid.as_str().into()))
                .collect(),
            local: addresses.clone(),
            ufrag,
            restart: None,
            broken: false,
            wake_at: now,
        };
        Ok((peer, answer))
    }

    /// The name fragment by which checks find this session.
    pub fn ufrag(&self) -> &Arc<str> {
        &self.ufrag
    }

    /// Whether the offer has a section of this kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.sections.iter().any(|(of, _)| *of == kind)
    }

    /// The name of the section that carries the transport: the first.
    pub fn mid(&self) -> &str {
        self.sections.first().map_or("0", |(_, mid)| mid)
    }

    /// The name fragment that a restart has promised.
    pub fn next_ufrag(&self) -> Option<&str> {
        self.restart.as_ref().map(|restart| restart.local.ufrag.as_str())
    }

    /// Prepares an ICE restart; the present credentials stay in force until the peer uses the new ones.
    pub fn restart(&mut self, shard: usize, remote: Credentials) -> Option<Credentials> {
        let local = credentials(shard)?;
        let told = Credentials { ufrag: local.ufrag.clone(), password: local.pass.clone() };
        let remote = IceCreds { ufrag: remote.ufrag, pass: remote.password };
        self.restart = Some(Restart { local, remote });
        Some(told)
    }

    /// The server's addresses as candidates in SDP's form, without `a=`.
    pub fn candidates(&self) -> Vec<String> {
        self.local.candidates().flatten().map(|candidate| candidate.to_sdp_string()).collect()
    }

    /// Takes a connectivity check; `false` when it is not this peer's, or forged.
    pub fn check(&mut self, path: Path, datagram: &[u8], now: Instant) -> bool {
        let named = Check::parse(datagram).map(|check| check.ufrag);
        let mut before = None;
        if let Some(restart) = self.restart.take_if(|restart| named == Some(restart.local.ufrag.as_str())) {
            let mut api = self.rtc.direct_api();
            before = Some((api.local_ice_credentials(), restart.local.ufrag.as_str().into()));
            api.set_local_ice_credentials(restart.local.clone());
            api.set_remote_ice_credentials(restart.remote.clone());
            self.restart = Some(restart);
        }
        let accepted = self.input(path, datagram, now, true);
        match before {
            Some((_, ufrag)) if accepted => {
                self.ufrag = ufrag;
                self.restart = None;
            }
            Some((old, _)) => self.rtc.direct_api().set_local_ice_credentials(old),
            None => {}
        }
        accepted
    }

    /// Takes a datagram from an address that a check has verified.
    pub fn receive(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.input(path, datagram, now, false);
    }

    fn input(&mut self, path: Path, datagram: &[u8], now: Instant, verify: bool) -> bool {
        let (source, proto) = (path.address(), path.protocol());
        let of_family = |local: &&SocketAddr| local.is_ipv4() == source.is_ipv4();
        let Some(&destination) = self.local.all.iter().find(of_family) else { return false };
        let from = |source| {
            let contents = DatagramRecv::try_from(datagram).ok()?;
            Some(Input::Receive(now, Receive { proto, source, destination, contents }))
        };
        // The library takes whatever comes from the address that it sends to: the check is shown to it as a stranger's.
        let accepts = |rtc: &mut Rtc| !verify || from(STRANGER).is_some_and(|input| rtc.accepts(&input));
        let take = |rtc: &mut Rtc| from(source).is_some_and(|input| rtc.handle_input(input).is_ok());
        self.library(|rtc| accepts(rtc) && take(rtc)).unwrap_or(false)
    }

    /// The time has come that was asked for.
    pub fn time(&mut self, now: Instant) {
        self.library(|rtc| {
            if rtc.handle_input(Input::Timeout(now)).is_err() {
                rtc.disconnect();
            }
        });
    }

    /// Sends what is to be sent through `send`, and tells what has happened.
    pub fn poll(&mut self, news: &mut Vec<News>, mut send: impl FnMut(Path, &[u8])) {
        loop {
            let Some(output) = self.library(Rtc::poll_output) else {
                news.push(News::Gone("panicked"));
                break;
            };
            match output {
                Ok(Output::Timeout(at)) => {
                    self.wake_at = at;
                    break;
                }
                Ok(Output::Transmit(transmit)) => {
                    // A viewer's SRTP and SRTCP are sealed by us alone: two senders under one key would use a nonce twice.
                    let kind = demux::kind(&transmit.contents);
                    if self.role == Role::Publisher || matches!(kind, Some(Datagram::Stun | Datagram::Dtls)) {
                        send(Path::of(transmit.proto, transmit.destination), &transmit.contents);
                    }
                }
                Ok(Output::Event(event)) => match event {
                    Event::Connected => news.push(News::Connected),
                    Event::MediaData(data) => news.push(News::Media(Box::new(data))),
                    Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                        news.push(News::Gone("unreachable"));
                    }
                    Event::Closed => news.push(News::Gone("closed")),
                    _ => {}
                },
                Err(error) => {
                    tracing::debug!(%error, "WebRTC session failed");
                    news.push(News::Gone("failed"));
                    break;
                }
            }
        }
    }

    /// The keys, once, after the session has connected: ours for sending, the peer's for receiving.
    pub fn take_keys(&mut self) -> Option<(MasterKey, MasterKey)> {
        self.keys.take().and_then(|material| material.split(self.dtls_client).ok())
    }

    /// How a codec was negotiated; `None` when the peer does not take it.
    pub fn negotiated(&mut self, codec: Codec, prefers: impl Fn(&CodecSpec) -> usize) -> Option<Negotiated> {
        let (mid, types, playout_delay) = self.media(codec.kind())?;
        let best = self
            .rtc
            .codec_config()
            .params()
            .iter()
            .filter(|params| types.contains(&params.pt()) && of_rtp(params.spec().codec) == Some(codec))
            .max_by_key(|params| prefers(&params.spec()))?;
        let (payload_type, resend) = (*best.pt(), best.resend().map(|pt| *pt));
        let mut api = self.rtc.direct_api();
        let stream = api.stream_tx_by_mid(mid, None)?;
        let rtx = stream.rtx().map(|ssrc| *ssrc).zip(resend);
        Some(Negotiated { ssrc: *stream.ssrc(), payload_type, rtx, playout_delay })
    }

    /// The section of this kind: its name, payload types and the identifier of the playout-delay extension.
    fn media(&self, kind: Kind) -> Option<(Mid, Vec<Pt>, Option<u8>)> {
        let (_, mid) = self.sections.iter().find(|(of, _)| *of == kind)?;
        let media = self.rtc.media(*mid)?;
        let playout_delay = media.remote_extmap().id_of(Extension::PlayoutDelay);
        Some((*mid, media.remote_pts().to_vec(), playout_delay))
    }

    /// Asks a publisher for a keyframe of a section.
    pub fn request_keyframe(&mut self, mid: Mid, rid: Option<Rid>) {
        self.library(|rtc| {
            let Some(mut writer) = rtc.writer(mid) else { return };
            if writer.is_request_keyframe_possible(KeyframeRequestKind::Pli)
                && let Err(error) = writer.request_keyframe(rid, KeyframeRequestKind::Pli)
            {
                tracing::debug!(%error, "the publisher was not asked for a keyframe");
            }
        });
    }

    /// Closes the session; what is still to be said comes by [`poll`](Self::poll).
    pub fn close(&mut self) {
        self.library(|rtc| {
            if let Err(error) = rtc.close() {
                tracing::debug!(%error, "a WebRTC session could not be closed in order");
            }
        });
    }

    /// Asks the library. It panics at some of what peers send, such as a certificate of more than two thousand bytes (seen
    /// with dimpl 0.9): that costs the session, which answers nothing from then on, and nobody else's.
    fn library<T>(&mut self, call: impl FnOnce(&mut Rtc) -> T) -> Option<T> {
        if self.broken {
            return None;
        }
        // Nobody looks at the library's state after a panic.
        let result = catch_unwind(AssertUnwindSafe(|| call(&mut self.rtc))).ok();
        self.broken = result.is_none();
        result
    }
}

fn config(identity: &Identity, role: Role, codecs: Codecs, credentials: IceCreds) -> RtcConfig {
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
fn credentials(shard: usize) -> Option<IceCreds> {
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
