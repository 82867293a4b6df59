//! Both ends of a session against each other, against recordings of real encoders, and against hostile peers.

mod hostile;
mod pair;
mod recorded;

use std::time::Instant;

use bytes::{Bytes, BytesMut};

use super::capabilities::{CAPS_MOD_EX, CAPS_RECONNECT};
use super::handshake::RANDOM_LENGTH;
use super::*;
use crate::format::amf::Value;

/// A small generator of reproducible numbers (xorshift64*).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
    }
}

fn server(now: Instant) -> ServerSession {
    let capabilities = Capabilities::forwarding(&["avc1", "hvc1", "av01"], &["mp4a", "Opus"], CAPS_RECONNECT);
    ServerSession::new(Limits::default(), capabilities, [7; RANDOM_LENGTH], now)
}

fn client(purpose: Purpose, now: Instant) -> ClientSession {
    let capabilities = Capabilities::forwarding(&["*"], &["*"], CAPS_RECONNECT | CAPS_MOD_EX);
    let mut settings = ClientSettings::new("host", "live", purpose);
    settings.capabilities = Some(capabilities);
    ClientSession::new(settings, &[9; RANDOM_LENGTH], now)
}

/// How many of the waiting bytes are delivered next.
type Split<'a> = &'a mut dyn FnMut(usize) -> usize;

/// A client and a server, the bytes on their way, and what they told.
struct Pair {
    now: Instant,
    server: ServerSession,
    client: ClientSession,
    to_server: BytesMut,
    to_client: BytesMut,
    server_input: BytesMut,
    client_input: BytesMut,
    server_events: Vec<Event>,
    client_events: Vec<ClientEvent>,
}

impl Pair {
    fn new(purpose: Purpose) -> Self {
        let now = crate::clock::monotonic();
        Self {
            now,
            server: server(now),
            client: client(purpose, now),
            to_server: BytesMut::new(),
            to_client: BytesMut::new(),
            server_input: BytesMut::new(),
            client_input: BytesMut::new(),
            server_events: Vec::new(),
            client_events: Vec::new(),
        }
    }

    /// A pair whose server has accepted what the client asked for.
    fn accepted(purpose: Purpose) -> Self {
        let mut pair = Self::new(purpose.clone());
        pair.run(&mut |waiting| waiting).unwrap();
        let accepted = match purpose {
            Purpose::Publish(_) => pair.server.accept_publish(),
            Purpose::Play(_) => pair.server.accept_play(),
        };
        assert!(accepted);
        pair.run(&mut |waiting| waiting).unwrap();
        pair
    }

    fn poll(&mut self) {
        while let Some(output) = self.server.poll() {
            match output {
                Output::Send(bytes) => self.to_client.extend_from_slice(&bytes),
                Output::Event(event) => self.server_events.push(event),
            }
        }
        while let Some(output) = self.client.poll() {
            match output {
                Output::Send(bytes) => self.to_server.extend_from_slice(&bytes),
                Output::Event(event) => self.client_events.push(event),
            }
        }
    }

    /// Delivers bytes in both directions, as `split` says, until none are on their way.
    fn run(&mut self, split: Split<'_>) -> Result<(), SessionError> {
        self.poll();
        while !self.to_server.is_empty() || !self.to_client.is_empty() {
            let count = split(self.to_server.len()).min(self.to_server.len());
            self.server_input.extend_from_slice(&self.to_server.split_to(count));
            while self.server.receive(&mut self.server_input, self.now)? == Intake::Backlogged {
                self.poll();
            }
            let count = split(self.to_client.len()).min(self.to_client.len());
            self.client_input.extend_from_slice(&self.to_client.split_to(count));
            while self.client.receive(&mut self.client_input, self.now)? == Intake::Backlogged {
                self.poll();
            }
            self.poll();
        }
        Ok(())
    }

    /// The last status the client was told: level, code, description.
    fn last_status(&self) -> Option<(&str, &str, &str)> {
        self.client_events.iter().rev().find_map(|event| match event {
            ClientEvent::Status { level, code, description } => {
                Some((level.as_str(), code.as_str(), description.as_str()))
            }
            _ => None,
        })
    }
}

fn publish() -> Purpose {
    Purpose::Publish("KEY?a=b".to_owned())
}

fn play() -> Purpose {
    Purpose::Play("show".to_owned())
}

fn media(timestamp: u32, body: &[u8]) -> MediaMessage {
    MediaMessage { timestamp, body: Bytes::copy_from_slice(body) }
}

fn metadata() -> Vec<Value> {
    vec!["onMetaData".into(), Value::ecma_array([("width", 1280.0.into()), ("height", 720.0.into())])]
}
