//! A viewer of either byte-stream protocol, and what it has got so far.

use std::net::SocketAddr;

use bytes::BytesMut;
use onair::format::flv::file::{self, MAX_BODY, Reader, Tag, TagKind};

use super::http::{Body, request};
use super::packet::{Content, Packet};
use super::rtmp::Player;
use super::server::Server;

/// A viewer who keeps all he gets.
pub struct Viewer {
    /// For messages.
    pub protocol: &'static str,
    /// All tags so far, script data left out.
    pub tags: Vec<Tag>,
    source: Source,
}

enum Source {
    Rtmp(Box<Player>),
    Flv { body: Box<Body>, reader: Reader },
}

impl Viewer {
    /// Watches a channel over RTMP.
    pub async fn rtmp(server: &Server, channel: &str) -> Self {
        Self::rtmp_at(server.rtmp, channel).await
    }

    /// Watches a channel over HTTP-FLV.
    pub async fn flv(server: &Server, channel: &str) -> Self {
        Self::flv_at(server.http, channel).await
    }

    /// Watches a channel over RTMP on a server at this address.
    pub async fn rtmp_at(server: SocketAddr, channel: &str) -> Self {
        let player = Player::join(server, channel).await;
        Self { protocol: "RTMP", tags: Vec::new(), source: Source::Rtmp(Box::new(player)) }
    }

    /// Watches a channel over HTTP-FLV on a server at this address.
    pub async fn flv_at(server: SocketAddr, channel: &str) -> Self {
        Self::flv_of(server, channel, "").await
    }

    /// Watches a channel over HTTP-FLV, with a query that says something of the viewer.
    pub async fn flv_of(server: SocketAddr, channel: &str, query: &str) -> Self {
        let response = request(server, "GET", &format!("/live/{channel}.flv{query}"), &[], b"").await;
        assert_eq!(response.status, 200, "the channel is live");
        assert_eq!(response.header("content-type"), Some("video/x-flv"));
        let source = Source::Flv { body: Box::new(response.into_body()), reader: Reader::new(MAX_BODY) };
        Self { protocol: "HTTP-FLV", tags: Vec::new(), source }
    }

    /// One of each.
    pub async fn of_each(server: &Server, channel: &str) -> [Self; 2] {
        [Self::rtmp(server, channel).await, Self::flv(server, channel).await]
    }

    /// The next tag; `None` when the broadcast is over.
    pub async fn next(&mut self) -> Option<Tag> {
        let tag = match &mut self.source {
            Source::Rtmp(player) => player.next().await,
            Source::Flv { body, reader } => loop {
                match reader.next_tag().expect("FLV") {
                    Some(tag) if tag.kind == TagKind::Script => {}
                    Some(tag) => break Some(tag),
                    None => match body.next().await {
                        Some(bytes) => reader.push(&bytes),
                        None => break None,
                    },
                }
            },
        };
        self.tags.extend(tag.clone());
        tag
    }

    /// The next frame; configurations before it are kept and passed over.
    pub async fn frame(&mut self) -> Packet {
        loop {
            let tag = self.next().await;
            let tag = tag.unwrap_or_else(|| {
                panic!("{}: the broadcast ended after {} tags", self.protocol, self.tags.len())
            });
            if let Content::Frame(packet) = Packet::parse(&tag) {
                return packet;
            }
        }
    }

    /// So many frames.
    pub async fn frames(&mut self, count: usize) -> Vec<Packet> {
        let mut frames = Vec::with_capacity(count);
        for _ in 0..count {
            frames.push(self.frame().await);
        }
        frames
    }

    /// Reads until the broadcast is over.
    pub async fn until_end(&mut self) {
        while self.next().await.is_some() {}
    }

    /// All frames so far.
    pub fn packets(&self) -> Vec<Packet> {
        super::fixture::packets(&self.tags)
    }

    /// All configurations so far, with the number of frames that came before each.
    pub fn configs(&self) -> Vec<(usize, [u8; 4], bytes::Bytes)> {
        let mut frames = 0;
        let mut configs = Vec::new();
        for tag in &self.tags {
            match Packet::parse(tag) {
                Content::Frame(_) => frames += 1,
                Content::Config { codec, record } => configs.push((frames, codec, record)),
                Content::Other => {}
            }
        }
        configs
    }

    /// All of it as an FLV file.
    pub fn recording(&self) -> Vec<u8> {
        let has = |kind| self.tags.iter().any(|tag| tag.kind == kind);
        let mut out = BytesMut::from(&file::header(has(TagKind::Video), has(TagKind::Audio))[..]);
        for tag in &self.tags {
            file::write_tag(&mut out, tag.kind, tag.timestamp_ms, &[&tag.body]);
        }
        out.to_vec()
    }
}
