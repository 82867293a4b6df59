//! A peer on the RTMP port that may send anything, and sees the bytes that come back.

use std::net::SocketAddr;

use bytes::BytesMut;
use onair::format::amf::Value;
use onair::protocol::rtmp::wire::chunk::{DEFAULT_CHUNK_SIZE, write_message};
use onair::protocol::rtmp::wire::command::Command;
use onair::protocol::rtmp::wire::handshake::PACKET_LENGTH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::in_time;

/// The peer.
pub struct Peer {
    stream: TcpStream,
    /// What the server said and nobody asked for yet.
    received: BytesMut,
}

impl Peer {
    /// A TCP connection on which nothing was said.
    pub async fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).await.expect("RTMP is served");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, received: BytesMut::new() }
    }

    /// After the handshake.
    pub async fn shaken(server: SocketAddr) -> Self {
        let mut peer = Self::open(server).await;
        let mut hello = vec![0x11; 1 + PACKET_LENGTH];
        hello[..9].copy_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0]);
        peer.send(&hello).await;
        let mut answer = vec![0; 1 + 2 * PACKET_LENGTH];
        in_time("S0, S1 and S2", peer.stream.read_exact(&mut answer)).await.expect("the server shakes hands");
        peer.send(&answer[1..=PACKET_LENGTH]).await;
        peer
    }

    /// After `connect`.
    pub async fn connected(server: SocketAddr) -> Self {
        let mut peer = Self::shaken(server).await;
        let object = Value::object([("app", "live".into()), ("tcUrl", "rtmp://host/live".into())]);
        peer.command(0, "connect", 1.0, object, vec![]).await;
        peer.hears("NetConnection.Connect.Success").await;
        peer
    }

    /// Publishing on message stream 1.
    pub async fn publishing(server: SocketAddr, key: &str) -> Self {
        let mut peer = Self::connected(server).await;
        peer.call(0, "createStream", vec![]).await;
        peer.hears("_result").await;
        peer.call(1, "publish", vec![key.into(), "live".into()]).await;
        peer.hears("NetStream.Publish.Start").await;
        peer
    }

    /// Sends bytes. A server that has closed already does not take them, which is no failure of the peer.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.try_send(bytes).await;
    }

    /// Sends bytes; whether the server took them.
    pub async fn try_send(&mut self, bytes: &[u8]) -> bool {
        in_time("the server reads", self.stream.write_all(bytes)).await.is_ok()
    }

    /// Sends a message on chunk stream 3, in chunks of the size that holds at the beginning.
    pub async fn message(&mut self, type_id: u8, stream_id: u32, body: &[u8]) {
        self.message_at(0, type_id, stream_id, body).await;
    }

    /// The same at a time.
    pub async fn message_at(&mut self, timestamp: u32, type_id: u8, stream_id: u32, body: &[u8]) {
        let mut out = BytesMut::new();
        write_message(&mut out, 3, timestamp, type_id, stream_id, DEFAULT_CHUNK_SIZE, &[body])
            .expect("a message");
        self.send(&out).await;
    }

    /// Sends a command.
    pub async fn command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: Vec<Value>,
    ) {
        let mut out = BytesMut::new();
        let command = Command { name: name.to_owned(), transaction, object, arguments };
        command.write(stream_id, DEFAULT_CHUNK_SIZE, &mut out).expect("a command");
        self.send(&out).await;
    }

    /// Sends a command that expects an answer.
    pub async fn call(&mut self, stream_id: u32, name: &str, arguments: Vec<Value>) {
        self.command(stream_id, name, 9.0, Value::Null, arguments).await;
    }

    /// Waits until the server says this; what came before it is forgotten.
    pub async fn hears(&mut self, text: &str) {
        let text = text.as_bytes();
        loop {
            if let Some(at) = self.received.windows(text.len()).position(|window| window == text) {
                let _ = self.received.split_to(at + text.len());
                return;
            }
            let read =
                in_time(&text.escape_ascii().to_string(), self.stream.read_buf(&mut self.received)).await;
            let open = matches!(read, Ok(1..));
            assert!(open, "closed before {}: {}", text.escape_ascii(), self.received.escape_ascii());
        }
    }

    /// Waits until the server closes the connection; gives what it still said.
    pub async fn closed(mut self) -> String {
        let rest = async { while let Ok(1..) = self.stream.read_buf(&mut self.received).await {} };
        in_time("the server closes", rest).await;
        self.received.escape_ascii().to_string()
    }

    /// Sends this byte again and again, so far apart, until the server closes the connection.
    pub async fn drips(mut self, byte: u8, apart: std::time::Duration) {
        let mut ticks = tokio::time::interval(apart);
        let dripping = async {
            loop {
                tokio::select! {
                    read = self.stream.read_buf(&mut self.received) => if !matches!(read, Ok(1..)) { return },
                    _ = ticks.tick() => if self.stream.write_all(&[byte]).await.is_err() { return },
                }
            }
        };
        in_time("the server closes", dripping).await;
    }
}
