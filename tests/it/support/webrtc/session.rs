//! A peer as a test holds it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use onair::clock;
use onair::media::Codec;
use onair::protocol::webrtc::srtp::Sealer;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::media::{Direction, MediaKind};
use str0m::{Candidate, IceCreds, RtcConfig};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use super::driver::{Command, Driver, Happening};
use super::keys::Keys;
use super::signalling::{self, Resource};
use crate::support::http::Response;
use crate::support::{Server, in_time};

/// How a peer differs from a plain one.
#[derive(Clone)]
pub struct Options {
    /// Sends to here instead of the address that the server tells: a relay.
    pub via: Option<SocketAddr>,
    /// The codecs in its offer; for each kind that has one there is a section.
    pub codecs: Vec<Codec>,
    /// What happens to its offer before it is sent.
    pub edit: fn(String) -> String,
    /// What happens to its configuration.
    pub configure: fn(RtcConfig) -> RtcConfig,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            via: None,
            codecs: vec![Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::Opus],
            edit: |offer| offer,
            // A publisher who sends faster than real time has no wall clock to report.
            configure: |config| config,
        }
    }
}

/// A peer whose offer was answered.
pub struct Session {
    /// The session as HTTP knows it.
    pub resource: Resource,
    /// The keys of the session, once it is connected.
    pub keys: Keys,
    answer: String,
    server_udp: SocketAddr,
    via: Option<SocketAddr>,
    commands: mpsc::UnboundedSender<Command>,
    happenings: mpsc::UnboundedReceiver<Happening>,
}

/// A peer with an offer that nobody has seen yet.
pub struct Offering {
    /// The offer, edited.
    pub offer: String,
    driver: Driver,
    pending: SdpPendingOffer,
    keys: Keys,
    via: Option<SocketAddr>,
    happenings: mpsc::UnboundedReceiver<Happening>,
}

impl Offering {
    /// Makes an offer in this direction.
    pub async fn make(server: &Server, direction: Direction, options: &Options) -> Self {
        let keys = Keys::default();
        let has = |codec| options.codecs.contains(&codec);
        let config = RtcConfig::new()
            .set_crypto_provider(keys.tap())
            .enable_raw_packets(true)
            .clear_codecs()
            .enable_opus(has(Codec::Opus), false)
            .enable_h264(has(Codec::H264))
            .enable_vp8(has(Codec::Vp8))
            .enable_vp9(has(Codec::Vp9))
            .enable_av1(has(Codec::Av1));
        let mut rtc = (options.configure)(config).build(clock::monotonic());
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        // A burst of a whole group of pictures must fit.
        socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20).expect("a buffer");
        let local = socket.local_addr().expect("an address");
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a candidate"));
        let mut changes = rtc.sdp_api();
        let mut sections = Vec::new();
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let of_kind = |codec: &Codec| (*codec == Codec::Opus) == kind.is_audio();
            if options.codecs.iter().any(of_kind) {
                sections.push((kind, changes.add_media(kind, direction, None, None, None)));
            }
        }
        let (offer, pending) = changes.apply().expect("an offer");
        let (teller, happenings) = mpsc::unbounded_channel();
        let mut driver = Driver::new(rtc, socket, options.via.unwrap_or(server.udp), teller);
        driver.sections = sections;
        let offer = (options.edit)(offer.to_sdp_string());
        Self { offer, driver, pending, keys, via: options.via, happenings }
    }

    /// POSTs the offer.
    pub async fn post(&self, server: &Server, path: &str, key: Option<&str>) -> Response {
        signalling::post(server.http, path, key, &self.offer).await
    }

    /// Takes the answer, and begins.
    pub async fn begin(mut self, server: &Server, key: Option<&str>, response: Response) -> Session {
        assert_eq!(response.header("content-type").unwrap_or("application/json").split(';').next(), {
            Some(if response.status == 201 { signalling::SDP } else { "application/json" })
        });
        let resource = (response.status == 201).then(|| Resource::of(server.http, key, &response));
        let answer = signalling::text_of(response, 201).await;
        let resource = resource.expect("201");
        let told = redirected(&answer, server.udp, self.via);
        let answer_of = SdpAnswer::from_sdp_string(&told).expect("an answer");
        self.driver.rtc.sdp_api().accept_answer(self.pending, answer_of).expect("an answer to this offer");
        let (commands, inlet) = mpsc::unbounded_channel();
        tokio::spawn(self.driver.live(inlet));
        Session {
            resource,
            keys: self.keys,
            answer: told,
            server_udp: server.udp,
            via: self.via,
            commands,
            happenings: self.happenings,
        }
    }
}

impl Session {
    /// Does something in the peer's task.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut Driver) -> T + Send + 'static) -> T {
        let (reply, result) = oneshot::channel();
        let command: Command = Box::new(move |driver| drop(reply.send(work(driver))));
        assert!(self.commands.send(command).is_ok(), "the peer is gone");
        in_time("the peer's turn", result).await.expect("the peer is gone")
    }

    /// What happens next; `None` when the peer is gone for good.
    pub async fn next(&mut self) -> Option<Happening> {
        in_time("something at a WebRTC peer", self.happenings.recv()).await
    }

    /// What has happened already.
    pub fn try_next(&mut self) -> Option<Happening> {
        self.happenings.try_recv().ok()
    }

    /// Waits until it is connected.
    pub async fn connected(&mut self) {
        assert!(self.connects().await, "the session ended before it was connected");
    }

    /// Waits until the server has answered a check.
    pub async fn checked(&mut self) {
        while !matches!(self.next().await.expect("the session lives"), Happening::Checked) {}
    }

    /// Waits until it is connected; `false` when it ends instead.
    pub async fn connects(&mut self) -> bool {
        loop {
            match self.next().await {
                Some(Happening::Connected) => return true,
                Some(Happening::Gone) | None => return false,
                _ => {}
            }
        }
    }

    /// Waits until it is over.
    pub async fn until_gone(&mut self) {
        while !matches!(self.next().await, Some(Happening::Gone) | None) {}
    }

    /// Sends datagrams as they are.
    pub async fn send_raw(&self, datagrams: Vec<Vec<u8>>) {
        self.run(move |driver| driver.raw.extend(datagrams)).await;
    }

    /// Which of the library's datagrams are not sent any more.
    pub async fn mute(&self, mute: fn(&[u8]) -> bool) {
        self.run(move |driver| driver.mute = mute).await;
    }

    /// Seals as this peer, with numbers of control packets that the library has not come to.
    pub fn sealer(&self) -> Sealer {
        let mut sealer = self.keys.sealer(self.answer.contains("a=setup:passive"));
        for _ in 0..1_000 {
            sealer.seal_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 1], &mut Vec::new()).expect("a packet");
        }
        sealer
    }

    /// The server's ICE credentials.
    pub fn server_credentials(&self) -> IceCreds {
        let value = |name: &str| {
            let line = self.answer.lines().find_map(|line| line.strip_prefix(name)).expect("credentials");
            line.to_owned()
        };
        IceCreds { ufrag: value("a=ice-ufrag:"), pass: value("a=ice-pwd:") }
    }

    /// Its own ICE credentials.
    pub async fn credentials(&self) -> IceCreds {
        self.run(|driver| driver.rtc.direct_api().local_ice_credentials()).await
    }

    /// Prepares an ICE restart with the server: a PATCH with new credentials. Gives the server's answer.
    pub async fn prepare_restart(&mut self, if_match: &str) -> (IceCreds, Restart) {
        let creds = IceCreds::new();
        let response = self.resource.patch(if_match, &fragment(&creds)).await;
        let etag = response.header("etag").map(str::to_owned);
        let text = signalling::text_of(response, 200).await;
        self.resource.etag = etag.expect("a new entity tag");
        (creds, Restart { fragment: text })
    }

    /// Restarts ICE: a PATCH, and then checks with the new credentials.
    pub async fn restart_ice(&mut self) {
        let etag = self.resource.etag.clone();
        let (offer, pending, creds) = self
            .run(|driver| {
                let mut changes = driver.rtc.sdp_api();
                let creds = changes.ice_restart(true);
                let (offer, pending): (SdpOffer, SdpPendingOffer) = changes.apply().expect("a restart");
                (offer, Arc::new(std::sync::Mutex::new(Some(pending))), creds)
            })
            .await;
        assert!(offer.to_sdp_string().contains(&creds.ufrag));
        let response = self.resource.patch(&etag, &fragment(&creds)).await;
        self.resource.etag = response.header("etag").expect("a new entity tag").to_owned();
        let told = signalling::text_of(response, 200).await;
        let told = redirected(&told, self.server_udp, self.via);
        self.answer = with_credentials(&self.answer, &told);
        let answer = SdpAnswer::from_sdp_string(&self.answer).expect("an answer");
        self.run(move |driver| {
            let pending = pending.lock().unwrap().take().expect("the restart");
            driver.rtc.sdp_api().accept_answer(pending, answer).expect("the library takes the restart");
        })
        .await;
    }
}

/// What the server answered to a restart.
pub struct Restart {
    /// The fragment.
    pub fragment: String,
}

/// A fragment for a PATCH.
pub fn fragment(creds: &IceCreds) -> String {
    format!(
        "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\na=end-of-candidates\r\n",
        creds.ufrag, creds.pass
    )
}

/// The text with the server's candidates replaced by a relay's.
fn redirected(text: &str, server: SocketAddr, via: Option<SocketAddr>) -> String {
    let Some(via) = via else { return text.to_owned() };
    let told = format!(" {} {} ", server.ip(), server.port());
    assert!(text.contains(&told), "no candidate of {server}: {text}");
    text.replace(&told, &format!(" {} {} ", via.ip(), via.port()))
}

/// The answer with the credentials of a fragment. Candidates carry the name, too.
fn with_credentials(answer: &str, fragment: &str) -> String {
    let value = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).expect("credentials").to_owned()
    };
    ["a=ice-ufrag:", "a=ice-pwd:"].into_iter().fold(answer.to_owned(), |answer, name| {
        let (old, new) = (value(&answer, name), value(fragment, name));
        answer.replace(&old, &new)
    })
}
