//! The crate `rml_rtmp`: state machines without sockets, driven here.

use std::net::SocketAddr;

use onair::format::flv::file::{Tag, TagKind};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent, ClientSessionResult, PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{APP, Incoming, Outgoing};

/// A connection and the session on it.
struct Client {
    stream: TcpStream,
    session: ClientSession,
    /// What the session made of the handshake's last bytes.
    first: Vec<ClientSessionResult>,
}

impl Client {
    async fn connect(server: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(server).await.expect("RTMP is served");
        let mut handshake = Handshake::new(PeerType::Client);
        let hello = handshake.generate_outbound_p0_and_p1().expect("C0 and C1");
        stream.write_all(&hello).await.expect("the server reads");
        let mut buffer = [0; 4096];
        let remaining = loop {
            let length = stream.read(&mut buffer).await.expect("the server answers");
            assert!(length > 0, "the server shakes hands");
            match handshake.process_bytes(&buffer[..length]).expect("a handshake") {
                HandshakeProcessResult::InProgress { response_bytes } => {
                    stream.write_all(&response_bytes).await.expect("the server reads");
                }
                HandshakeProcessResult::Completed { response_bytes, remaining_bytes } => {
                    stream.write_all(&response_bytes).await.expect("the server reads");
                    break remaining_bytes;
                }
            }
        };
        let mut config = ClientSessionConfig::new();
        config.tc_url = Some(format!("rtmp://{server}/{APP}"));
        let (mut session, mut first) = ClientSession::new(config).expect("a session");
        first.extend(session.handle_input(&remaining).expect("RTMP"));
        let mut client = Self { stream, session, first };
        let request = client.session.request_connection(APP.to_owned()).expect("a request");
        client.act(vec![request]).await;
        client.until(&ClientSessionEvent::ConnectionRequestAccepted).await;
        client
    }

    /// Sends what is to be sent; gives what happened.
    async fn act(&mut self, results: Vec<ClientSessionResult>) -> Vec<ClientSessionEvent> {
        let mut events = Vec::new();
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.stream.write_all(&packet.bytes).await.expect("the server reads");
                }
                ClientSessionResult::RaisedEvent(event) => events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        events
    }

    /// What happens next; `None` at the end of the connection.
    async fn events(&mut self) -> Option<Vec<ClientSessionEvent>> {
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            return Some(self.act(first).await);
        }
        let mut buffer = vec![0; 64 << 10];
        let length = self.stream.read(&mut buffer).await.unwrap_or(0);
        if length == 0 {
            return None;
        }
        let results = self.session.handle_input(&buffer[..length]).expect("RTMP");
        Some(self.act(results).await)
    }

    async fn until(&mut self, wanted: &ClientSessionEvent) {
        while !self.events().await.expect("the server goes on").contains(wanted) {}
    }
}

/// Publishes under this key.
pub async fn publisher(server: SocketAddr, key: &str) -> Outgoing {
    let mut client = Client::connect(server).await;
    let request =
        client.session.request_publishing(key.to_owned(), PublishRequestType::Live).expect("a request");
    client.act(vec![request]).await;
    client.until(&ClientSessionEvent::PublishRequestAccepted).await;
    let (tags, mut outgoing): (_, UnboundedReceiver<Tag>) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(tag) = outgoing.recv().await {
            let timestamp = RtmpTimestamp::new(tag.timestamp_ms);
            let result = match tag.kind {
                TagKind::Audio => client.session.publish_audio_data(tag.body, timestamp, false),
                TagKind::Video => client.session.publish_video_data(tag.body, timestamp, false),
                TagKind::Script => continue,
            };
            client.act(vec![result.expect("publishing")]).await;
        }
        let results = client.session.stop_publishing().expect("publishing");
        client.act(results).await;
    });
    tags
}

/// Plays a channel.
pub async fn player(server: SocketAddr, channel: &str) -> Incoming {
    let mut client = Client::connect(server).await;
    let request = client.session.request_playback(channel.to_owned()).expect("a request");
    client.act(vec![request]).await;
    client.until(&ClientSessionEvent::PlaybackRequestAccepted).await;
    let (tags, incoming) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(events) = client.events().await {
            for event in events {
                let (kind, timestamp, body) = match event {
                    ClientSessionEvent::AudioDataReceived { timestamp, data } => {
                        (TagKind::Audio, timestamp, data)
                    }
                    ClientSessionEvent::VideoDataReceived { timestamp, data } => {
                        (TagKind::Video, timestamp, data)
                    }
                    _ => continue,
                };
                if tags.send(Tag { kind, timestamp_ms: timestamp.value, body }).is_err() {
                    return;
                }
            }
        }
    });
    incoming
}
