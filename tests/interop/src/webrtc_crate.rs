//! The `webrtc` crate as a WHIP publisher and a WHEP player of VP8.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rtc::interceptor::Registry;
use rtc::media::Sample;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::RTCConfigurationBuilder;
use rtc::peer_connection::configuration::interceptor_registry::register_default_interceptors;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_VP8, MediaEngine};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::rtp_transceiver::{PayloadType, RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_sample::TrackLocalStaticSample;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCIceGatheringState,
    RTCPeerConnectionState,
};
use webrtc::runtime::default_runtime;

/// The source of what is published.
const SSRC: u32 = 0x5eed_0001;
/// How long a picture is shown.
const DURATION: Duration = Duration::from_millis(33);

/// A packet of VP8 as it came: RTP payload, marker, sequence number, timestamp.
pub type Packet = (Bytes, bool, u16, u32);

/// A publisher who is connected.
pub struct Publisher {
    track: Arc<TrackLocalStaticSample>,
    payload_type: PayloadType,
    _connection: Box<dyn PeerConnection>,
}

/// A player who is connected.
pub struct Player {
    /// What he gets.
    pub packets: UnboundedReceiver<Packet>,
    _connection: Box<dyn PeerConnection>,
}

/// What a connection tells.
enum Told {
    Gathered,
    Connected,
}

struct Handler {
    told: UnboundedSender<Told>,
    packets: UnboundedSender<Packet>,
}

#[async_trait::async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_gathering_state_change(&self, state: RTCIceGatheringState) {
        if state == RTCIceGatheringState::Complete {
            // Whoever waited may be gone.
            let _ = self.told.send(Told::Gathered);
        }
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        if state == RTCPeerConnectionState::Connected {
            let _ = self.told.send(Told::Connected);
        }
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        let packets = self.packets.clone();
        tokio::spawn(async move {
            while let Some(event) = track.poll().await {
                if let TrackRemoteEvent::OnRtpPacket(packet) = event {
                    let header = packet.header;
                    let _ = packets.send((
                        packet.payload,
                        header.marker,
                        header.sequence_number,
                        header.timestamp,
                    ));
                }
            }
        });
    }
}

fn vp8() -> RTCRtpCodecParameters {
    RTCRtpCodecParameters {
        rtp_codec: RTCRtpCodec {
            mime_type: MIME_TYPE_VP8.to_owned(),
            clock_rate: 90_000,
            channels: 0,
            sdp_fmtp_line: String::new(),
            rtcp_feedback: vec![],
        },
        payload_type: 96,
    }
}

async fn connection(
    told: UnboundedSender<Told>,
    packets: UnboundedSender<Packet>,
) -> impl PeerConnection + use<> {
    let mut media_engine = MediaEngine::default();
    media_engine.register_codec(vp8(), RtpCodecKind::Video).expect("a codec");
    let registry = register_default_interceptors(Registry::new(), &mut media_engine).expect("interceptors");
    PeerConnectionBuilder::new()
        .with_configuration(RTCConfigurationBuilder::new().build())
        .with_media_engine(media_engine)
        .with_interceptor_registry(registry)
        .with_handler(Arc::new(Handler { told, packets }))
        .with_runtime(default_runtime().expect("tokio"))
        .with_udp_addrs(vec!["127.0.0.1:0".to_owned()])
        .build()
        .await
        .expect("a connection")
}

/// Offers, gathers, posts, and waits until the connection is there.
async fn connect(
    connection: &impl PeerConnection,
    told: &mut UnboundedReceiver<Told>,
    server: SocketAddr,
    path: &str,
    key: Option<&str>,
) {
    let offer = connection.create_offer(None).await.expect("an offer");
    connection.set_local_description(offer).await.expect("an offer of its own");
    while !matches!(told.recv().await.expect("the connection lives"), Told::Gathered) {}
    let offer = connection.local_description().await.expect("an offer").sdp;
    let answer = RTCSessionDescription::answer(post(server, path, key, &offer).await).expect("an answer");
    connection.set_remote_description(answer).await.expect("an answer to this offer");
    while !matches!(told.recv().await.expect("the connection lives"), Told::Connected) {}
}

/// POSTs an offer until it is answered; gives the answer. As long as there is nothing to watch yet, the server says 409.
async fn post(server: SocketAddr, path: &str, key: Option<&str>, offer: &str) -> String {
    let mut patience = tokio::time::interval(Duration::from_millis(50));
    loop {
        patience.tick().await;
        let response = post_once(server, path, key, offer).await;
        let (head, body) = response.split_once("\r\n\r\n").expect("an answer");
        match head.split(' ').nth(1) {
            Some("201") => return body.to_owned(),
            Some("409") => {}
            _ => panic!("{response}"),
        }
    }
}

async fn post_once(server: SocketAddr, path: &str, key: Option<&str>, offer: &str) -> String {
    let mut stream = TcpStream::connect(server).await.expect("HTTP is served");
    let key = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\ncontent-type: application/sdp\r\n{key}content-length: {}\r\n\r\n{offer}",
        offer.len()
    );
    stream.write_all(request.as_bytes()).await.expect("the request is taken");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("an answer");
    response
}

/// Publishes to the channel.
pub async fn publisher(server: SocketAddr, key: &str) -> Publisher {
    let (teller, mut told) = unbounded_channel();
    let connection = connection(teller, unbounded_channel().0).await;
    let track = MediaStreamTrack::new(
        "stream".to_owned(),
        "track".to_owned(),
        "label".to_owned(),
        RtpCodecKind::Video,
        vec![RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters { ssrc: Some(SSRC), ..Default::default() },
            codec: vp8().rtp_codec,
            ..Default::default()
        }],
    );
    let now = onair::clock::monotonic();
    let track = Arc::new(TrackLocalStaticSample::new(now, track).expect("a track"));
    let sender = connection.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await.expect("a sender");
    connect(&connection, &mut told, server, "/whip/kitchen", Some(key)).await;
    let parameters = sender.get_parameters().await.expect("parameters");
    let payload_type = parameters.rtp_parameters.codecs.first().expect("a codec").payload_type;
    Publisher { track, payload_type, _connection: Box::new(connection) }
}

impl Publisher {
    /// Sends a picture.
    pub async fn send(&self, picture: Bytes) {
        let now: Instant = onair::clock::monotonic();
        let sample = Sample { data: picture, duration: DURATION, ..Sample::new(now) };
        self.track.sample_writer(SSRC, self.payload_type).write_sample(&sample).await.expect("it is sent");
    }
}

/// Watches the channel, as soon as it is on the air.
pub async fn player(server: SocketAddr) -> Player {
    let (teller, mut told) = unbounded_channel();
    let (sender, packets) = unbounded_channel();
    let connection = connection(teller, sender).await;
    let init =
        RTCRtpTransceiverInit { direction: RTCRtpTransceiverDirection::Recvonly, ..Default::default() };
    connection.add_transceiver_from_kind(RtpCodecKind::Video, Some(init)).await.expect("a transceiver");
    connect(&connection, &mut told, server, "/whep/kitchen", None).await;
    Player { packets, _connection: Box::new(connection) }
}
