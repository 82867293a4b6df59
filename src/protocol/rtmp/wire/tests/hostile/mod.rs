//! What peers do that they should not: each connection is ended or the item dropped, and nothing else happens.

mod commands;
mod transport;

use super::*;
use crate::protocol::rtmp::wire::chunk::write_message;
use crate::protocol::rtmp::wire::command::Command;
use crate::protocol::rtmp::wire::handshake::PACKET_LENGTH;

/// A server behind a complete handshake, and a peer that may send anything.
struct Peer {
    server: ServerSession,
    now: Instant,
    events: Vec<Event>,
    sent: BytesMut,
}

impl Peer {
    fn new() -> Self {
        let now = crate::clock::monotonic();
        let mut peer = Self { server: server(now), now, events: Vec::new(), sent: BytesMut::new() };
        let mut handshake = vec![0; 1 + 2 * PACKET_LENGTH];
        handshake[0] = 3;
        peer.bytes(&handshake).unwrap();
        peer.sent.clear();
        peer
    }

    fn connected() -> Self {
        let mut peer = Self::new();
        let object = Value::object([("app", "live".into()), ("tcUrl", "rtmp://host/live".into())]);
        peer.command(0, "connect", 1.0, object, vec![]).unwrap();
        peer
    }

    fn publishing() -> Self {
        let mut peer = Self::connected();
        peer.command(0, "createStream", 2.0, Value::Null, vec![]).unwrap();
        peer.command(1, "publish", 3.0, Value::Null, vec!["KEY".into()]).unwrap();
        assert!(peer.server.accept_publish());
        peer.poll();
        peer.events.clear();
        peer.sent.clear();
        peer
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        let mut input = BytesMut::from(bytes);
        loop {
            let intake = self.server.receive(&mut input, self.now);
            self.poll();
            if intake? == Intake::Drained {
                return Ok(());
            }
        }
    }

    fn poll(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send(bytes) => self.sent.extend_from_slice(&bytes),
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    fn message(&mut self, type_id: u8, stream_id: u32, body: &[u8]) -> Result<(), SessionError> {
        let mut out = BytesMut::new();
        write_message(&mut out, 3, 0, type_id, stream_id, 128, &[body]).unwrap();
        self.bytes(&out)
    }

    fn command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: Vec<Value>,
    ) -> Result<(), SessionError> {
        let mut out = BytesMut::new();
        let command = Command { name: name.to_owned(), transaction, object, arguments };
        command.write(stream_id, 128, &mut out).unwrap();
        self.bytes(&out)
    }

    fn call(&mut self, stream_id: u32, name: &str, arguments: Vec<Value>) -> Result<(), SessionError> {
        self.command(stream_id, name, 9.0, Value::Null, arguments)
    }

    /// Whether the server has said this since the last question.
    fn was_told(&mut self, text: &str) -> bool {
        self.sent.split().windows(text.len()).any(|window| window == text.as_bytes())
    }
}
