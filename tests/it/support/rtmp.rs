//! Clients that publish and play exact messages over RTMP.

use std::net::SocketAddr;
use std::time::Duration;

use onair::clock;
use onair::format::amf::Value;
use onair::format::flv::file::{Tag, TagKind};
use onair::protocol::rtmp::wire::handshake::RANDOM_LENGTH;
use onair::protocol::rtmp::wire::{
    ClientEvent, ClientSession, ClientSettings, MediaMessage, Purpose, SessionError,
};
use onair::protocol::rtmp::{Connection, Ended};
use tokio::net::TcpStream;

use super::{DEADLINE, in_time};

/// Either kind of client.
pub struct Client {
    connection: Connection<TcpStream, ClientSession>,
}

impl Client {
    async fn open(server: SocketAddr, purpose: Purpose, ready: ClientEvent) -> Result<Self, Ended> {
        Self::on(TcpStream::connect(server).await?, server, purpose, ready).await
    }

    async fn on(
        stream: TcpStream,
        server: SocketAddr,
        purpose: Purpose,
        ready: ClientEvent,
    ) -> Result<Self, Ended> {
        stream.set_nodelay(true)?;
        let settings = ClientSettings::new(&server.to_string(), "live", purpose);
        let session = ClientSession::new(settings, &[0x5a; RANDOM_LENGTH], clock::monotonic());
        let mut client = Self { connection: Connection::new(stream, session) };
        while client.event().await? != ready {}
        Ok(client)
    }

    /// What the server does or sends next.
    pub async fn event(&mut self) -> Result<ClientEvent, Ended> {
        in_time("an RTMP event", self.connection.next_event(DEADLINE + Duration::from_secs(1))).await
    }

    /// The code and description of the next status; media before it is passed over.
    pub async fn status(&mut self) -> Result<(String, String), Ended> {
        loop {
            if let ClientEvent::Status { code, description, .. } = self.event().await? {
                return Ok((code, description));
            }
        }
    }

    /// Reads until the server closes the connection.
    pub async fn until_closed(&mut self) {
        while self.event().await.is_ok() {}
    }
}

/// A publisher.
pub struct Encoder(pub Client);

impl Encoder {
    /// Publishes with this key, or tells why it may not.
    pub async fn try_publish(server: SocketAddr, key: &str) -> Result<Self, Ended> {
        Client::open(server, Purpose::Publish(key.to_owned()), ClientEvent::Publishing).await.map(Self)
    }

    /// Publishes with this key.
    pub async fn publish(server: SocketAddr, key: &str) -> Self {
        Self::try_publish(server, key).await.expect("the server takes the publisher")
    }

    /// The code and description with which the server refuses this key.
    pub async fn refusal(server: SocketAddr, key: &str) -> (String, String) {
        match Self::try_publish(server, key).await {
            Err(Ended::Session(SessionError::Refused { code, description })) => (code, description),
            Err(other) => panic!("the server does not say why: {other}"),
            Ok(_) => panic!("the server takes the publisher"),
        }
    }

    /// Sends tags as messages.
    pub async fn send(&mut self, tags: &[Tag]) {
        self.try_send(tags).await.expect("the server reads");
    }

    /// Sends tags as messages, as long as the server takes them.
    pub async fn try_send(&mut self, tags: &[Tag]) -> Result<(), Ended> {
        for tags in tags.chunks(64) {
            for tag in tags {
                match tag.kind {
                    TagKind::Audio => self.0.connection.session.send_audio(tag.timestamp_ms, &tag.body)?,
                    TagKind::Video => self.0.connection.session.send_video(tag.timestamp_ms, &tag.body)?,
                    TagKind::Script => {}
                }
            }
            in_time("the server reads", self.0.connection.send()).await?;
        }
        Ok(())
    }

    /// Sends a data message.
    pub async fn data(&mut self, timestamp: u32, values: &[Value]) {
        self.0.connection.session.send_data(timestamp, values).expect("publishing");
        in_time("the server reads", self.0.connection.send()).await.expect("the server reads");
    }

    /// Ends the stream and waits until the server has closed the connection.
    pub async fn stop(mut self) {
        self.0.connection.session.stop();
        in_time("the server reads", self.0.connection.send()).await.expect("the server reads");
        self.0.until_closed().await;
    }
}

/// A viewer over RTMP.
pub struct Player(pub Client);

impl Player {
    /// Plays a channel, or tells why it may not.
    pub async fn try_join(server: SocketAddr, channel: &str) -> Result<Self, Ended> {
        Client::open(server, Purpose::Play(channel.to_owned()), ClientEvent::Playing).await.map(Self)
    }

    /// Plays a channel.
    pub async fn join(server: SocketAddr, channel: &str) -> Self {
        Self::try_join(server, channel).await.expect("the server lets the viewer in")
    }

    /// Plays a channel over a connection that was opened by the caller.
    pub async fn join_on(stream: TcpStream, server: SocketAddr, channel: &str) -> Self {
        let purpose = Purpose::Play(channel.to_owned());
        Self(
            Client::on(stream, server, purpose, ClientEvent::Playing)
                .await
                .expect("the server lets the viewer in"),
        )
    }

    /// The next media message; `None` when the broadcast is over.
    pub async fn next(&mut self) -> Option<Tag> {
        loop {
            match self.0.event().await {
                Ok(ClientEvent::Audio(message)) => return Some(tag(TagKind::Audio, message)),
                Ok(ClientEvent::Video(message)) => return Some(tag(TagKind::Video, message)),
                Ok(ClientEvent::Status { code, .. }) if code == "NetStream.Play.Stop" => return None,
                Ok(_) => {}
                Err(ended) => panic!("the viewer was cut off: {ended}"),
            }
        }
    }
}

fn tag(kind: TagKind, message: MediaMessage) -> Tag {
    Tag { kind, timestamp_ms: message.timestamp, body: message.body }
}
