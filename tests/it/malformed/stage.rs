//! A server with a healthy broadcast on it, and a second channel for the trouble.

use onair::config::Config;
use onair::format::flv::file::Tag;

use crate::support::{Bystander, Channel, Encoder, Fixture, Peer, Server, Viewer};

/// The counter of connections that were cut off because the peer broke the protocol.
pub const BROKEN: &str = "onair_rtmp_failed_total{reason=\"protocol\"}";
/// The counter of messages that could not be read and were dropped.
pub const MALFORMED: &str = "onair_rtmp_malformed_total";

/// Where the trouble happens.
pub struct Stage {
    /// The server.
    pub server: Server,
    /// The channel for the trouble.
    pub channel: Channel,
    bystander: Bystander,
}

impl Stage {
    /// With the default settings.
    pub async fn set() -> Self {
        Self::with(|_| {}).await
    }

    /// With changed settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = Server::with(change).await;
        let channel = server.channel("kitchen").await;
        let bystander = Bystander::enter(&server).await;
        Self { server, channel, bystander }
    }

    /// The healthy broadcast goes on, and nobody is left on the channel for the trouble unless the caller keeps him.
    pub async fn is_unharmed(&mut self) {
        self.bystander.is_not_affected().await;
    }

    /// Puts the channel for the trouble on the air over RTMP, with one picture.
    pub async fn on_air(&self) -> Encoder {
        let mut encoder = self.encoder().await;
        encoder.send(start_of(&short())).await;
        self.server.until_tracks(&self.channel.name, 1).await;
        encoder
    }

    /// A peer of whom the server thinks that it publishes.
    pub async fn publishing(&self) -> Peer {
        Peer::publishing(self.server.rtmp, &self.channel.key).await
    }

    /// A publisher who sends what it should not, but properly packed.
    pub async fn encoder(&self) -> Encoder {
        Encoder::publish(self.server.rtmp, &self.channel.key).await
    }

    /// Takes another channel for the trouble, on which nothing has happened yet.
    pub async fn change_channel(&mut self, name: &str) {
        self.channel = self.server.channel(name).await;
    }

    /// A viewer of the channel for the trouble.
    pub async fn viewer(&self) -> Viewer {
        Viewer::rtmp(&self.server, &self.channel.name).await
    }

    /// The counter stands exactly here, once it has come so far.
    pub async fn counted(&self, metric: &str, value: f64) {
        self.server.until_counted(metric, value).await;
        assert_eq!(self.server.metrics().await.value(metric), value, "{metric}");
    }
}

/// A short recording that is watched to its last picture.
pub fn short() -> Fixture {
    Fixture::read("short").until_last_picture()
}

/// The decoder configurations and the first keyframe of a recording.
pub fn start_of(fixture: &Fixture) -> &[Tag] {
    &fixture.tags[..fixture.until_joinable()]
}

/// Sends tags as the messages of a peer that publishes.
pub async fn send(peer: &mut Peer, tags: &[Tag]) {
    for tag in tags {
        peer.message_at(tag.timestamp_ms, tag.kind.id(), 1, &tag.body).await;
    }
}
