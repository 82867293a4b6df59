//! A viewer over WebRTC: another library's than the server's own way of sending.

use std::net::SocketAddr;

use onair::clock;
use str0m::change::SdpAnswer;
use str0m::media::{Direction, MediaData, MediaKind};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::http::{Response, request};
use super::in_time;

/// The viewer.
pub struct Viewer {
    /// Frames of pictures, in Annex B.
    pictures: mpsc::UnboundedReceiver<Vec<u8>>,
}

/// The session, which must be attended to all the time, whatever its viewer looks at.
struct Session {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
}

impl Viewer {
    /// Watches a channel, or gives the refusal.
    pub async fn join(server: SocketAddr, channel: &str) -> Result<Self, Response> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let local = socket.local_addr().expect("a port");
        let config = RtcConfig::new().clear_codecs().enable_h264(true).enable_opus(true, false);
        let mut rtc = config.build(clock::monotonic());
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("an address"));
        let mut api = rtc.sdp_api();
        api.add_media(MediaKind::Video, Direction::RecvOnly, None, None, None);
        api.add_media(MediaKind::Audio, Direction::RecvOnly, None, None, None);
        let (offer, pending) = api.apply().expect("an offer");
        let headers = [("content-type", "application/sdp")];
        let body = offer.to_sdp_string();
        let response = request(server, "POST", &format!("/whep/{channel}"), &headers, body.as_bytes()).await;
        if response.status != 201 {
            return Err(response);
        }
        let answer = String::from_utf8(response.bytes().await).expect("text");
        let answer = SdpAnswer::from_sdp_string(&answer).expect("an answer");
        rtc.sdp_api().accept_answer(pending, answer).expect("an answer to the offer");
        let (seen, pictures) = mpsc::unbounded_channel();
        let mut session = Session { rtc, socket, local };
        tokio::spawn(async move {
            while !seen.is_closed() {
                let data = session.next().await;
                let is_picture =
                    session.rtc.media(data.mid).is_some_and(|media| media.kind() == MediaKind::Video);
                if is_picture {
                    // Whoever looks no more ends the session.
                    let _ = seen.send(data.data.to_vec());
                }
            }
        });
        Ok(Self { pictures })
    }

    /// The next frame of a picture, in Annex B.
    pub async fn picture(&mut self) -> Vec<u8> {
        in_time("a picture", self.pictures.recv()).await.expect("a session")
    }
}

impl Session {
    async fn next(&mut self) -> MediaData {
        let mut buffer = vec![0; 2_000];
        loop {
            let wake_at = loop {
                match self.rtc.poll_output().expect("a session") {
                    Output::Timeout(at) => break at,
                    Output::Transmit(transmit) => {
                        let sent = self.socket.send_to(&transmit.contents, transmit.destination);
                        sent.await.expect("a socket");
                    }
                    Output::Event(Event::MediaData(data)) => return data,
                    Output::Event(_) => {}
                }
            };
            let input = match timeout_at(Instant::from_std(wake_at), self.socket.recv_from(&mut buffer)).await
            {
                Err(_) => Input::Timeout(clock::monotonic()),
                Ok(received) => {
                    let (length, source) = received.expect("a socket");
                    let contents = buffer[..length].try_into().expect("a datagram");
                    let receive = Receive { proto: Protocol::Udp, source, destination: self.local, contents };
                    Input::Receive(clock::monotonic(), receive)
                }
            };
            self.rtc.handle_input(input).expect("a session");
        }
    }
}
