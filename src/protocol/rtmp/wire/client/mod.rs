//! The client's end of a session: publishes or plays one stream of any RTMP server.

mod event;

use std::time::Instant;

use bytes::BytesMut;

pub use event::{ClientEvent, ClientSettings, Purpose};

use super::chunk::{CSID_AUDIO, CSID_VIDEO, write_message};
use super::command::{self, Command};
use super::handshake::RANDOM_LENGTH;
use super::link::Link;
use super::message::{
    AUDIO, COMMAND_AMF0, COMMAND_AMF3, Control, DATA_AMF0, DATA_AMF3, Message, UserControl, VIDEO,
};
use super::{Capabilities, Intake, MediaMessage, Output, SessionError};
use crate::format::amf::Value;

const CONNECT: f64 = 1.0;
const RELEASE_STREAM: f64 = 2.0;
const FC_PUBLISH: f64 = 3.0;
const CREATE_STREAM: f64 = 4.0;
const REQUEST: f64 = 5.0;

/// A player's buffer told to the server, in milliseconds; live servers do not use it.
const BUFFER_LENGTH: u32 = 3000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Handshaking,
    Connecting,
    Creating,
    Requested,
    Active,
    Closed,
}

/// The client's end of a session. It is driven like [`ServerSession`](super::ServerSession), and begins by itself:
/// the first [`poll`](Self::poll) gives the handshake.
#[derive(Debug)]
pub struct ClientSession {
    link: Link<ClientEvent>,
    settings: ClientSettings,
    state: State,
    stream_id: u32,
    deadline: Option<Instant>,
}

impl ClientSession {
    /// A session that wants what `settings` say.
    pub fn new(settings: ClientSettings, random: &[u8; RANDOM_LENGTH], now: Instant) -> Self {
        let link = Link::client(random, &settings.limits);
        let deadline = Some(now + settings.limits.setup_timeout);
        Self { link, settings, state: State::Handshaking, stream_id: 0, deadline }
    }

    /// Works through `input` and consumes what it can; what is left must stay in front of what is read next.
    ///
    /// # Errors
    /// See [`SessionError`]; [`SessionError::Refused`] if the server does not want this.
    pub fn receive(&mut self, input: &mut BytesMut, now: Instant) -> Result<Intake, SessionError> {
        self.timeout(now)?;
        if !self.link.shake(input)? {
            return Ok(Intake::Drained);
        }
        if self.state == State::Handshaking {
            self.connect();
        }
        while !self.link.is_backlogged() {
            match self.link.message(input)? {
                Some(message) => self.message(message)?,
                None if self.link.is_backlogged() => break,
                None => return Ok(Intake::Drained),
            }
        }
        Ok(Intake::Backlogged)
    }

    /// The next bytes to send, or the next event.
    pub fn poll(&mut self) -> Option<Output<ClientEvent>> {
        self.link.poll()
    }

    /// When [`timeout`](Self::timeout) has to be called; `None` once the stream is accepted.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Tells the time.
    ///
    /// # Errors
    /// [`SessionError::SetupTimeout`] if the server has not accepted the stream in time.
    pub fn timeout(&mut self, now: Instant) -> Result<(), SessionError> {
        match self.deadline {
            Some(deadline) if now >= deadline => Err(SessionError::SetupTimeout),
            _ => Ok(()),
        }
    }

    /// Sends one audio message: the body of an FLV tag. `timestamp` is in milliseconds.
    ///
    /// # Errors
    /// [`SessionError::NotPublishing`] before [`ClientEvent::Publishing`] or after the end,
    /// [`SessionError::TooLong`].
    pub fn send_audio(&mut self, timestamp: u32, body: &[u8]) -> Result<(), SessionError> {
        self.send_media(CSID_AUDIO, AUDIO, timestamp, body)
    }

    /// Sends one video message: the body of an FLV tag. `timestamp` is in milliseconds.
    ///
    /// # Errors
    /// As [`send_audio`](Self::send_audio).
    pub fn send_video(&mut self, timestamp: u32, body: &[u8]) -> Result<(), SessionError> {
        self.send_media(CSID_VIDEO, VIDEO, timestamp, body)
    }

    /// Sends one data message, for example `["@setDataFrame", "onMetaData", {…}]`. `timestamp` is in milliseconds.
    ///
    /// # Errors
    /// As [`send_audio`](Self::send_audio).
    pub fn send_data(&mut self, timestamp: u32, values: &[Value]) -> Result<(), SessionError> {
        self.check_publishing()?;
        let (stream_id, chunk_size) = (self.stream_id, self.link.out_chunk_size);
        command::write_data(values, timestamp, stream_id, chunk_size, &mut self.link.out)?;
        Ok(())
    }

    /// Tells the server that this is the end. Close the connection once it is sent.
    pub fn stop(&mut self) {
        if let (State::Requested | State::Active, Purpose::Publish(name)) =
            (self.state, &self.settings.purpose)
        {
            let name = Value::from(name.as_str());
            self.link.send_command(0, "FCUnpublish", 0.0, Value::Null, vec![name]);
        }
        if matches!(self.state, State::Requested | State::Active) {
            self.link.send_command(0, "deleteStream", 0.0, Value::Null, vec![self.stream_id.into()]);
        }
        self.close();
    }

    fn send_media(
        &mut self,
        csid: u32,
        type_id: u8,
        timestamp: u32,
        body: &[u8],
    ) -> Result<(), SessionError> {
        self.check_publishing()?;
        let (stream_id, chunk_size) = (self.stream_id, self.link.out_chunk_size);
        write_message(&mut self.link.out, csid, timestamp, type_id, stream_id, chunk_size, &[body])?;
        Ok(())
    }

    fn check_publishing(&self) -> Result<(), SessionError> {
        match (self.state, &self.settings.purpose) {
            (State::Active, Purpose::Publish(_)) => Ok(()),
            _ => Err(SessionError::NotPublishing),
        }
    }

    fn connect(&mut self) {
        let settings = &self.settings;
        let mut object = vec![
            ("app".to_owned(), settings.app.as_str().into()),
            ("type".to_owned(), "nonprivate".into()),
            ("flashVer".to_owned(), settings.flash_ver.as_str().into()),
            ("tcUrl".to_owned(), settings.tc_url.as_str().into()),
        ];
        if let Purpose::Play(_) = settings.purpose {
            object.push(("fpad".to_owned(), false.into()));
            object.push(("capabilities".to_owned(), 15.0.into()));
            object.push(("audioCodecs".to_owned(), 4071.0.into()));
            object.push(("videoCodecs".to_owned(), 252.0.into()));
            object.push(("videoFunction".to_owned(), 1.0.into()));
        }
        object.extend(settings.capabilities.iter().flat_map(Capabilities::properties));
        self.link.send_chunk_size(self.settings.chunk_size);
        self.link.send_command(0, "connect", CONNECT, Value::Object(object), Vec::new());
        self.state = State::Connecting;
    }

    fn message(&mut self, message: Message) -> Result<(), SessionError> {
        let has_media = matches!(self.state, State::Requested | State::Active) && !message.body.is_empty();
        match message.type_id {
            AUDIO if has_media => self.link.push(ClientEvent::Audio(media(message))),
            VIDEO if has_media => self.link.push(ClientEvent::Video(media(message))),
            DATA_AMF0 | DATA_AMF3 if has_media => self.data(&message),
            COMMAND_AMF0 | COMMAND_AMF3 => self.command(Command::read(&message)?)?,
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, message: &Message) {
        let values = command::values(message).unwrap_or_default();
        match values.first().and_then(Value::as_str) {
            // What servers say about the playback itself, not what was published.
            None | Some("|RtmpSampleAccess" | "onStatus") => {}
            Some(_) => self.link.push(ClientEvent::Data { timestamp: message.timestamp, values }),
        }
    }

    fn command(&mut self, command: Command) -> Result<(), SessionError> {
        match command.name.as_str() {
            "_result" => self.result(&command),
            // The other commands are courtesies that a server need not know.
            "_error" if [CONNECT, CREATE_STREAM, REQUEST].contains(&command.transaction) => {
                let (_, code, description) = status_of(&command);
                return Err(SessionError::Refused { code, description });
            }
            "onStatus" => return self.status(&command),
            _ => {}
        }
        Ok(())
    }

    fn result(&mut self, command: &Command) {
        match (self.state, command.transaction) {
            (State::Connecting, CONNECT) => {
                self.create_stream();
                let information = command.arguments.first().map(Capabilities::read);
                let capabilities = Some(Capabilities::read(&command.object)).filter(|caps| !caps.is_empty());
                let capabilities = capabilities.or(information).unwrap_or_default();
                self.link.push(ClientEvent::Connected { capabilities });
            }
            (State::Creating, CREATE_STREAM) => self.request(command.stream_id(0).unwrap_or(1)),
            _ => {}
        }
    }

    fn create_stream(&mut self) {
        if let Purpose::Publish(name) = &self.settings.purpose {
            let name = Value::from(name.as_str());
            self.link.send_command(0, "releaseStream", RELEASE_STREAM, Value::Null, vec![name.clone()]);
            self.link.send_command(0, "FCPublish", FC_PUBLISH, Value::Null, vec![name]);
        }
        self.link.send_command(0, "createStream", CREATE_STREAM, Value::Null, Vec::new());
        self.state = State::Creating;
    }

    fn request(&mut self, stream_id: u32) {
        self.stream_id = stream_id;
        self.state = State::Requested;
        match &self.settings.purpose {
            Purpose::Publish(name) => {
                let arguments = vec![name.as_str().into(), "live".into()];
                self.link.send_command(stream_id, "publish", REQUEST, Value::Null, arguments);
            }
            Purpose::Play(name) => {
                // −2000: the live stream, and nothing recorded (RTMP §7.2.2.1: −2 in seconds).
                let arguments = vec![name.as_str().into(), (-2000.0).into()];
                self.link.send_command(stream_id, "play", REQUEST, Value::Null, arguments);
                let length = BUFFER_LENGTH;
                self.link.send_control(Control::User(UserControl::SetBufferLength { stream_id, length }));
            }
        }
    }

    fn status(&mut self, command: &Command) -> Result<(), SessionError> {
        let (level, code, description) = status_of(command);
        if level == "error" && matches!(self.state, State::Connecting | State::Creating | State::Requested) {
            return Err(SessionError::Refused { code, description });
        }
        match (self.state, &self.settings.purpose, code.as_str()) {
            (State::Requested, Purpose::Publish(_), "NetStream.Publish.Start") => {
                self.activate(ClientEvent::Publishing);
            }
            (State::Requested, Purpose::Play(_), "NetStream.Play.Start") => {
                self.activate(ClientEvent::Playing)
            }
            (_, _, "NetConnection.Connect.ReconnectRequest") => {
                let information = command.arguments.first();
                let tc_url = information.and_then(|value| value.property("tcUrl")).and_then(Value::as_str);
                let tc_url = tc_url.map(str::to_owned);
                self.link.push(ClientEvent::ReconnectRequest { tc_url, description });
            }
            (_, _, "NetConnection.Connect.Closed") => {
                self.link.push(ClientEvent::Status { level, code, description });
                self.close();
            }
            _ => self.link.push(ClientEvent::Status { level, code, description }),
        }
        Ok(())
    }

    fn activate(&mut self, event: ClientEvent) {
        self.state = State::Active;
        self.deadline = None;
        self.link.trust(&self.settings.limits);
        self.link.push(event);
    }

    fn close(&mut self) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.deadline = None;
            self.link.push(ClientEvent::Closed);
        }
    }
}

/// Level, code and description of a status; servers put them into the first or, seldom, the second object.
fn status_of(command: &Command) -> (String, String, String) {
    let information = command.arguments.first().unwrap_or(&command.object);
    let text = |name| information.property(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    (text("level"), text("code"), text("description"))
}

fn media(message: Message) -> MediaMessage {
    MediaMessage { timestamp: message.timestamp, body: message.body }
}
