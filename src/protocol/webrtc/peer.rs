//! One session's ICE, DTLS and SDP, which are the WebRTC library's; datagrams and time go in, datagrams and news come out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::rand;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::error::IceError;
use str0m::format::CodecSpec;
use str0m::media::{Direction, KeyframeRequestKind, MediaData, MediaKind, Mid, Pt, Rid};
use str0m::net::{DatagramRecv, Protocol, Receive, TcpType};
use str0m::rtp::Extension;
use str0m::{Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc};

use super::demux::{self, Check, Kind as Datagram};
use super::dtls_keys::{KeyHandle, KeyTap};
use super::fragment::Credentials;
use super::offer::{Offer, Role};
use super::outlet::Path;
use super::redundancy;
use super::relay::Agreed;
use super::setup::{Codecs, Identity, config, credentials, of_rtp};
use super::srtp::MasterKey;
use crate::hub::SubscribeError;
use crate::media::{Codec, Kind};

/// Nobody's address.
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

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
    /// The payload type of redundant sound that was agreed on.
    redundancy: Option<u8>,
    /// The RTP timestamps of media time zero, of picture and sound, for a viewer.
    pub clock_offsets: [u32; 2],
    /// Our own offer, until it is answered.
    offered: Option<SdpPendingOffer>,
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
    /// Payload type of redundant sound.
    pub redundancy: Option<u8>,
    /// The RTP timestamp of media time zero.
    pub clock_offset: u32,
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
    /// The session has ended.
    #[error("the session has ended")]
    Gone,
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
        let mut peer = Self::new(identity, shard, role, codecs, addresses, now)?;
        let rtc = &mut peer.rtc;
        let accept = || {
            let sdp = SdpOffer::from_sdp_string(&offer.text).map_err(unusable)?;
            rtc.sdp_api().accept_offer(sdp).map_err(unusable)
        };
        let answer = guarded(accept)?.to_sdp_string();
        peer.dtls_client = answer.contains("a=setup:active");
        peer.sections =
            offer.sections.iter().map(|section| (section.kind, section.mid.as_str().into())).collect();
        Ok((peer, answer))
    }

    /// Agrees on redundant sound, if the viewer offers to take it; gives the answer that says so.
    pub fn with_redundancy(&mut self, offer: &Offer, answer: String) -> String {
        let offered = offer.section(Kind::Audio).and_then(|section| section.redundancy);
        match offered.and_then(|number| Some((number, redundancy::agree(&answer, number)?))) {
            Some((number, agreed)) => {
                self.redundancy = Some(number);
                agreed
            }
            None => answer,
        }
    }

    /// Makes an offer to a viewer whose own has not what the stream is in.
    pub fn offer(
        identity: &Identity,
        shard: usize,
        agreed: Agreed,
        addresses: &Addresses,
        now: Instant,
    ) -> Result<(Self, String), OpenError> {
        let mut peer = Self::new(identity, shard, Role::Viewer, Codecs::Only(agreed), addresses, now)?;
        let mut changes = peer.rtc.sdp_api();
        for (kind, codec) in [(Kind::Audio, agreed.audio), (Kind::Video, agreed.video)] {
            let of_kind = match kind {
                Kind::Audio => MediaKind::Audio,
                Kind::Video => MediaKind::Video,
            };
            if codec.is_some() {
                let mid = changes.add_media(of_kind, Direction::SendOnly, None, None, None);
                peer.sections.push((kind, mid));
            }
        }
        let (offer, pending) = changes.apply().ok_or_else(|| unusable("there is nothing to offer"))?;
        peer.offered = Some(pending);
        Ok((peer, offer.to_sdp_string()))
    }

    /// Takes the answer to our own offer, once.
    ///
    /// # Errors
    /// When it is none to this offer; the session is of no use then.
    pub fn take_answer(&mut self, answer: &Offer) -> Result<(), OpenError> {
        let pending = self.offered.take().ok_or_else(|| unusable("the session has its answer already"))?;
        let rtc = &mut self.rtc;
        guarded(|| {
            let sdp = SdpAnswer::from_sdp_string(&answer.text).map_err(unusable)?;
            rtc.sdp_api().accept_answer(pending, sdp).map_err(unusable)
        })?;
        self.dtls_client = answer.text.contains("a=setup:passive");
        Ok(())
    }

    fn new(
        identity: &Identity,
        shard: usize,
        role: Role,
        codecs: Codecs,
        addresses: &Addresses,
        now: Instant,
    ) -> Result<Self, OpenError> {
        let (mut of_picture, mut of_sound) = ([0; 4], [0; 4]);
        for offset in [&mut of_picture, &mut of_sound] {
            rand::fill(offset).map_err(|_| OpenError::Random)?;
        }
        let credentials = credentials(shard).ok_or(OpenError::Random)?;
        let ufrag: Arc<str> = credentials.ufrag.as_str().into();
        let keys = KeyTap::arm();
        let mut rtc = Box::new(config(identity, role, codecs, credentials).build(now));
        for candidate in addresses.candidates() {
            rtc.add_local_candidate(candidate.map_err(unusable)?);
        }
        Ok(Self {
            rtc,
            keys,
            role,
            dtls_client: false,
            sections: Vec::new(),
            local: addresses.clone(),
            ufrag,
            redundancy: None,
            clock_offsets: [u32::from_be_bytes(of_picture), u32::from_be_bytes(of_sound)],
            offered: None,
            restart: None,
            broken: false,
            wake_at: now,
        })
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
        let redundancy = self.redundancy.filter(|_| codec == Codec::Opus);
        let [of_picture, of_sound] = self.clock_offsets;
        let clock_offset = if codec.kind() == Kind::Video { of_picture } else { of_sound };
        Some(Negotiated { ssrc: *stream.ssrc(), payload_type, rtx, playout_delay, redundancy, clock_offset })
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

fn unusable(error: impl std::fmt::Display) -> OpenError {
    OpenError::Offer(error.to_string())
}

/// Has the library read what a peer sent, which it may panic at.
fn guarded<T>(read: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(unusable("the library cannot read it")))
}
