//! The crate `rtmp`, a part of the server xiu. Its sessions move frames from and to xiu's stream hub, which is played here.

use std::net::SocketAddr;

use bytes::BytesMut;
use onair::format::flv::file::{Tag, TagKind};
use rtmp::session::client_session::{ClientSession, ClientSessionType};
use streamhub::define::{DataReceiver, FrameData, StreamHubEvent, StreamHubEventReceiver};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{APP, Incoming, Outgoing};

/// Publishes under this key.
pub async fn publisher(server: SocketAddr, key: &str) -> Outgoing {
    let mut hub = start(server, ClientSessionType::Push, key).await;
    // It subscribes to the stream that it is to send once the server has accepted it.
    let Some(StreamHubEvent::Subscribe { result_sender, .. }) = hub.recv().await else {
        panic!("the server does not take the publisher");
    };
    let (frames, frame_receiver) = unbounded_channel();
    let receiver = DataReceiver { frame_receiver: Some(frame_receiver), packet_receiver: None };
    assert!(result_sender.send(Ok((receiver, None))).is_ok(), "the session waits");
    let (tags, mut outgoing): (_, UnboundedReceiver<Tag>) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(tag) = outgoing.recv().await {
            let (timestamp, data) = (tag.timestamp_ms, BytesMut::from(&tag.body[..]));
            let frame = match tag.kind {
                TagKind::Audio => FrameData::Audio { timestamp, data },
                TagKind::Video => FrameData::Video { timestamp, data },
                TagKind::Script => FrameData::MetaData { timestamp, data },
            };
            if frames.send(frame).is_err() {
                return;
            }
        }
    });
    tags
}

/// Plays a channel.
pub async fn player(server: SocketAddr, channel: &str) -> Incoming {
    let mut hub = start(server, ClientSessionType::Pull, channel).await;
    // It publishes to its hub what it plays, once it does.
    let Some(StreamHubEvent::Publish { result_sender, .. }) = hub.recv().await else {
        panic!("the server does not let the viewer in");
    };
    let (frame_sender, mut frames) = unbounded_channel();
    assert!(result_sender.send(Ok((Some(frame_sender), None, None))).is_ok(), "the session waits");
    let (tags, incoming) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            let (kind, timestamp_ms, data) = match frame {
                FrameData::Audio { timestamp, data } => (TagKind::Audio, timestamp, data),
                FrameData::Video { timestamp, data } => (TagKind::Video, timestamp, data),
                FrameData::MetaData { timestamp, data } => (TagKind::Script, timestamp, data),
                FrameData::MediaInfo { .. } => continue,
            };
            if tags.send(Tag { kind, timestamp_ms, body: data.freeze() }).is_err() {
                return;
            }
        }
    });
    incoming
}

/// Runs a session in a task; gives what it asks of its hub.
async fn start(server: SocketAddr, purpose: ClientSessionType, stream: &str) -> StreamHubEventReceiver {
    let connection = TcpStream::connect(server).await.expect("RTMP is served");
    let (events, hub) = unbounded_channel();
    let host = server.to_string();
    let mut session =
        ClientSession::new(connection, purpose, host, APP.to_owned(), stream.to_owned(), events, 0);
    tokio::spawn(async move {
        // It ends with an error in every case: the server's close, or no more frames.
        let _ended = session.run().await;
    });
    hub
}
