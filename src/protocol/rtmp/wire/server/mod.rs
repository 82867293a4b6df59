//! The server's end of a session: from the first byte to accepted media.

mod commands;
mod event;
mod replies;

use std::time::Instant;

use bytes::BytesMut;

pub use event::{Event, PlayEnd, PlayRefusal, PublishRefusal, StreamRequest};

use super::command::{self, Command};
use super::handshake::{RANDOM_LENGTH, ServerHandshake};
use super::link::Link;
use super::message::{
    AUDIO, COMMAND_AMF0, COMMAND_AMF3, Control, DATA_AMF0, DATA_AMF3, Message, UserControl, VIDEO,
};
use super::{Capabilities, Intake, Limits, MediaMessage, Output, SessionError};
use crate::format::amf::Value;

/// What the client told with `connect`.
struct Connection {
    transaction: f64,
    app: String,
    tc_url: Option<String>,
    flash_ver: Option<String>,
    capabilities: Capabilities,
}

/// What the connection is used for; the number is the message stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Idle,
    PublishRequested(u32),
    Publishing(u32),
    PlayRequested(u32),
    Playing(u32),
    /// The client took its request back before it was answered. The answer is still to come, and must not be taken
    /// for the answer to a second request.
    Withdrawn,
}

/// The server's end of a session.
///
/// The driver hands over what it reads with [`receive`](Self::receive), then takes bytes to send and events from
/// [`poll`](Self::poll) until there are none, and calls [`timeout`](Self::timeout) when
/// [`next_timeout`](Self::next_timeout) comes. It answers every [`Event::Publish`] and [`Event::Play`] once.
/// A connection has one use at a time: it publishes or it plays one stream.
///
/// There is no `Debug`: the names a session holds may be stream keys, and keys do not belong into logs.
pub struct ServerSession {
    link: Link<Event>,
    limits: Limits,
    capabilities: Capabilities,
    connection: Option<Connection>,
    /// Message streams that exist.
    streams: Vec<u32>,
    role: Role,
    /// The client must have asked for something until then.
    deadline: Option<Instant>,
    now: Instant,
    /// A request has been read since `receive` was called.
    asked: bool,
    ignored: u64,
}

impl ServerSession {
    /// A session that waits for a handshake. `capabilities` are told to clients that tell theirs.
    pub fn new(
        limits: Limits,
        capabilities: Capabilities,
        random: [u8; RANDOM_LENGTH],
        now: Instant,
    ) -> Self {
        Self {
            link: Link::server(ServerHandshake::new(random), &limits),
            limits,
            capabilities,
            connection: None,
            streams: Vec::new(),
            role: Role::Idle,
            deadline: Some(now + limits.setup_timeout),
            now,
            asked: false,
            ignored: 0,
        }
    }

    /// Works through `input` and consumes what it can; what is left must stay in front of what is read next.
    ///
    /// # Errors
    /// See [`SessionError`]: send what [`poll`](Self::poll) still gives, and close the connection.
    pub fn receive(&mut self, input: &mut BytesMut, now: Instant) -> Result<Intake, SessionError> {
        self.timeout(now)?;
        if !self.link.shake(input)? {
            return Ok(Intake::Drained);
        }
        // A request is the last event of its turn: a driver that answers at once loses nothing of an encoder that
        // sends its media without waiting.
        self.asked = false;
        while !self.link.is_backlogged() && !self.asked {
            match self.link.message(input)? {
                Some(message) => self.message(message)?,
                None if self.link.is_backlogged() => break,
                None => return Ok(Intake::Drained),
            }
        }
        Ok(Intake::Backlogged)
    }

    /// The next bytes to send, or the next event.
    pub fn poll(&mut self) -> Option<Output<Event>> {
        self.link.poll()
    }

    /// When [`timeout`](Self::timeout) has to be called; `None` while the client publishes, plays, or waits for an
    /// answer. Silence after that is the driver's to judge.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells the time.
    ///
    /// # Errors
    /// [`SessionError::SetupTimeout`] if the client has not asked to publish or play in time.
    pub fn timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        self.now = now;
        match self.deadline {
            Some(deadline) if now >= deadline => Err(SessionError::SetupTimeout),
            _ => Ok(()),
        }
    }

    /// Messages that were dropped so far: of unknown type, unreadable data, empty, or media that nobody accepted.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// Memory taken by messages that are not complete yet, in bytes.
    pub fn buffered(&self) -> usize {
        self.link.buffered()
    }

    /// The chunk size of what is sent; media for players must be written with it.
    pub fn out_chunk_size(&self) -> u32 {
        self.limits.out_chunk_size
    }

    /// The message stream the client plays, once accepted: media goes there. It is 1 unless the client created
    /// several.
    pub fn play_stream(&self) -> Option<u32> {
        match self.role {
            Role::Playing(stream_id) => Some(stream_id),
            _ => None,
        }
    }

    fn message(&mut self, message: Message) -> Result<(), SessionError> {
        let publishing = matches!(self.role, Role::Publishing(_));
        match message.type_id {
            AUDIO if publishing && !message.body.is_empty() => {
                self.link.push(Event::Audio(media(message)));
            }
            VIDEO if publishing && !message.body.is_empty() => {
                self.link.push(Event::Video(media(message)));
            }
            DATA_AMF0 | DATA_AMF3 if publishing => self.data(&message),
            COMMAND_AMF0 | COMMAND_AMF3 => {
                let command = Command::read(&message)?;
                self.command(message.stream_id, command)?;
            }
            _ => match Control::read(&message)? {
                Some(Control::User(UserControl::PingResponse(number))) => self.link.push(Event::Pong(number)),
                _ => self.ignored += 1,
            },
        }
        Ok(())
    }

    /// Data that cannot be read is dropped alone: the stream is watchable without it.
    fn data(&mut self, message: &Message) {
        let mut values = command::values(message).unwrap_or_default();
        if values.first().and_then(Value::as_str) == Some("@setDataFrame") {
            values.remove(0);
        }
        if values.is_empty() {
            self.ignored += 1;
            return;
        }
        self.link.push(Event::Data { timestamp: message.timestamp, values });
    }
}

fn media(message: Message) -> MediaMessage {
    MediaMessage { timestamp: message.timestamp, body: message.body }
}
