//! The client's commands.

use super::super::address::{StreamAddress, app_of_url};
use super::super::command::{Command, status};
use super::super::message::Control;
use super::super::{Capabilities, SessionError};
use super::{Connection, Event, PlayRefusal, PublishRefusal, Role, ServerSession, StreamRequest};
use crate::format::amf::Value;

/// Most message streams on one connection. One is used.
const MAX_STREAMS: usize = 8;

impl ServerSession {
    pub(super) fn command(&mut self, stream_id: u32, command: Command) -> Result<(), SessionError> {
        match command.name.as_str() {
            "connect" => self.connect(&command),
            "createStream" => self.create_stream(&command),
            "publish" => self.publish(stream_id, &command),
            "play" => self.play(stream_id, &command),
            "deleteStream" => {
                self.delete_stream(command.stream_id(0));
                Ok(())
            }
            "closeStream" => {
                self.end_role(|role_stream| role_stream == stream_id);
                Ok(())
            }
            _ => {
                self.courtesy(stream_id, &command);
                Ok(())
            }
        }
    }

    fn connect(&mut self, command: &Command) -> Result<(), SessionError> {
        if self.connection.is_some() {
            self.refuse_call(command, "NetConnection.Call.Failed", "already connected");
            return Err(SessionError::AlreadyConnected);
        }
        let text = |name| command.object.property(name).and_then(Value::as_str);
        let tc_url = text("tcUrl");
        let app = text("app").unwrap_or_else(|| app_of_url(tc_url.unwrap_or_default()));
        if let Err(error) = StreamAddress::read(app, tc_url, "") {
            self.refuse_call(command, "NetConnection.Connect.Rejected", &error.to_string());
            return Err(error.into());
        }
        let connection = Connection {
            transaction: command.transaction,
            app: app.to_owned(),
            tc_url: tc_url.map(str::to_owned),
            flash_ver: text("flashVer").map(str::to_owned),
            capabilities: Capabilities::read(&command.object),
        };
        self.answer_connect(command, &connection.capabilities);
        self.connection = Some(connection);
        Ok(())
    }

    fn answer_connect(&mut self, command: &Command, capabilities: &Capabilities) {
        self.link.send_control(Control::WindowAcknowledgementSize(self.limits.window));
        self.link.send_control(Control::SetPeerBandwidth(self.limits.window));
        self.link.send_chunk_size(self.limits.out_chunk_size);

        let amf3 = command.object.property("objectEncoding").and_then(Value::as_f64) == Some(3.0);
        let mut properties = vec![
            ("fmsVer".to_owned(), "FMS/3,5,7,7009".into()),
            ("capabilities".to_owned(), 31.0.into()),
            ("mode".to_owned(), 1.0.into()),
        ];
        let mut information = vec![
            ("level".to_owned(), "status".into()),
            ("code".to_owned(), "NetConnection.Connect.Success".into()),
            ("description".to_owned(), "Connection succeeded.".into()),
            ("objectEncoding".to_owned(), Value::from(if amf3 { 3.0 } else { 0.0 })),
        ];
        if !capabilities.is_empty() {
            // Implementations differ in which of the two objects they read.
            properties.extend(self.capabilities.properties());
            information.extend(self.capabilities.properties());
        }
        let (properties, information) = (Value::Object(properties), Value::Object(information));
        self.link.send_command(0, "_result", command.transaction, properties, vec![information]);
    }

    fn create_stream(&mut self, command: &Command) -> Result<(), SessionError> {
        if self.connection.is_none() {
            self.refuse_call(command, "NetConnection.Call.Failed", "connect first");
            return Err(SessionError::NotConnected("createStream"));
        }
        if self.streams.len() >= MAX_STREAMS {
            self.refuse_call(command, "NetConnection.Call.Failed", "too many streams");
            return Err(SessionError::TooManyStreams(MAX_STREAMS));
        }
        let stream_id = (1..).find(|id| !self.streams.contains(id)).unwrap_or(1);
        self.streams.push(stream_id);
        self.link.send_command(0, "_result", command.transaction, Value::Null, vec![stream_id.into()]);
        Ok(())
    }

    fn publish(&mut self, stream_id: u32, command: &Command) -> Result<(), SessionError> {
        if command.arguments.first() == Some(&Value::Boolean(false)) {
            self.end_role(|role_stream| role_stream == stream_id);
            return Ok(());
        }
        let stream_id = self.requested_stream(stream_id, "publish", PublishRefusal::BadName.code())?;
        if self.role != Role::Idle {
            self.send_status(
                stream_id,
                "error",
                PublishRefusal::BadName.code(),
                "This connection is in use.",
            );
            return Ok(());
        }
        let request = self.request(stream_id, command, PublishRefusal::BadName.code())?;
        self.role = Role::PublishRequested(stream_id);
        self.ask(Event::Publish(request));
        Ok(())
    }

    fn play(&mut self, stream_id: u32, command: &Command) -> Result<(), SessionError> {
        if command.arguments.first() == Some(&Value::Boolean(false)) {
            self.end_role(|role_stream| role_stream == stream_id);
            return Ok(());
        }
        let stream_id = self.requested_stream(stream_id, "play", PlayRefusal::Failed.code())?;
        if self.role != Role::Idle {
            self.send_status(stream_id, "error", PlayRefusal::Failed.code(), "This connection is in use.");
            return Ok(());
        }
        let request = self.request(stream_id, command, PlayRefusal::Failed.code())?;
        self.role = Role::PlayRequested(stream_id);
        self.ask(Event::Play(request));
        Ok(())
    }

    fn ask(&mut self, request: Event) {
        self.deadline = None;
        self.asked = true;
        self.link.push(request);
    }

    /// The stream a request is for. Some encoders send it on stream 0; the last one created is meant.
    fn requested_stream(
        &mut self,
        stream_id: u32,
        command: &'static str,
        code: &str,
    ) -> Result<u32, SessionError> {
        if self.connection.is_none() {
            self.send_status(stream_id, "error", code, "Connect first.");
            return Err(SessionError::NotConnected(command));
        }
        let Some(last) = self.streams.last() else {
            self.send_status(stream_id, "error", code, "Create a stream first.");
            return Err(SessionError::NoStream(command));
        };
        Ok(if self.streams.contains(&stream_id) { stream_id } else { *last })
    }

    fn request(
        &mut self,
        stream_id: u32,
        command: &Command,
        code: &str,
    ) -> Result<StreamRequest, SessionError> {
        let Some(connection) = &self.connection else { return Err(SessionError::NotConnected("connect")) };
        let stream = command.text(0).unwrap_or_default();
        match StreamAddress::read(&connection.app, connection.tc_url.as_deref(), stream) {
            Ok(address) => Ok(StreamRequest {
                address,
                tc_url: connection.tc_url.clone(),
                flash_ver: connection.flash_ver.clone(),
                capabilities: connection.capabilities.clone(),
            }),
            Err(error) => {
                self.send_status(stream_id, "error", code, &error.to_string());
                Err(error.into())
            }
        }
    }

    fn delete_stream(&mut self, stream_id: Option<u32>) {
        let Some(stream_id) = stream_id else { return };
        self.streams.retain(|id| *id != stream_id);
        self.end_role(|role_stream| role_stream == stream_id);
    }

    /// Ends what the connection is used for, if that is on a stream of which `matches` says so.
    fn end_role(&mut self, matches: impl Fn(u32) -> bool) {
        match self.role {
            Role::Publishing(stream_id) if matches(stream_id) => {
                let code = "NetStream.Unpublish.Success";
                self.send_status(stream_id, "status", code, "The stream is unpublished.");
                self.link.push(Event::Unpublish);
                self.become_idle();
            }
            Role::Playing(stream_id) if matches(stream_id) => {
                self.link.push(Event::StopPlay);
                self.become_idle();
            }
            Role::PublishRequested(stream_id) | Role::PlayRequested(stream_id) if matches(stream_id) => {
                self.become_idle();
                self.role = Role::Withdrawn;
            }
            _ => {}
        }
    }

    /// Nothing is asked for any more; the client has as long for its next request as it had for the first.
    pub(super) fn become_idle(&mut self) {
        self.role = Role::Idle;
        self.deadline = Some(self.now + self.limits.setup_timeout);
    }

    /// The commands that change nothing here. Encoders of the Flash era send them and wait for the answer.
    fn courtesy(&mut self, stream_id: u32, command: &Command) {
        let announced = match command.name.as_str() {
            "FCPublish" => Some(("onFCPublish", "NetStream.Publish.Start")),
            "FCUnpublish" => Some(("onFCUnpublish", "NetStream.Unpublish.Success")),
            "FCSubscribe" => Some(("onFCSubscribe", "NetStream.Play.Start")),
            _ => None,
        };
        if let Some((name, code)) = announced {
            let information = status("status", code, command.text(0).unwrap_or_default());
            self.link.send_command(0, name, 0.0, Value::Null, vec![information]);
        }
        match command.name.as_str() {
            "FCUnpublish" => {
                self.answer(command, Value::Null);
                if matches!(self.role, Role::Publishing(_) | Role::PublishRequested(_)) {
                    self.end_role(|_| true);
                }
            }
            "releaseStream" | "FCPublish" | "FCSubscribe" | "FCUnsubscribe" | "_checkbw"
            | "checkBandwidth" => {
                self.answer(command, Value::Null);
            }
            "getStreamLength" => self.answer(command, 0.0.into()),
            "pause" | "pauseRaw" => self.pause(command),
            "seek" => {
                self.send_status(
                    stream_id,
                    "error",
                    "NetStream.Seek.Failed",
                    "Live streams have no other place.",
                );
            }
            "receiveAudio" | "receiveVideo" | "_result" | "_error" | "onStatus" => {}
            _ => {
                self.ignored += 1;
                self.refuse_call(command, "NetConnection.Call.Failed", "Unknown command.");
            }
        }
    }

    fn pause(&mut self, command: &Command) {
        let Role::Playing(stream_id) = self.role else { return };
        let Some(paused) = command.arguments.first().and_then(Value::as_bool) else { return };
        let (code, description) = match paused {
            true => ("NetStream.Pause.Notify", "Paused."),
            false => ("NetStream.Unpause.Notify", "Playing."),
        };
        self.send_status(stream_id, "status", code, description);
        self.link.push(Event::Pause(paused));
    }

    /// `_result` for a command that expects one. One that comes with the transaction of `connect` gets none: its sender
    /// would take the answer for that to `connect`, and begin again (xiu's does).
    fn answer(&mut self, command: &Command, value: Value) {
        let of_connect = self.connection.as_ref().map_or(0.0, |connection| connection.transaction);
        if command.transaction != 0.0 && command.transaction != of_connect {
            self.link.send_command(0, "_result", command.transaction, Value::Null, vec![value]);
        }
    }

    /// `_error` for a command that expects an answer.
    fn refuse_call(&mut self, command: &Command, code: &str, description: &str) {
        if command.transaction != 0.0 {
            let information = status("error", code, description);
            self.link.send_command(0, "_error", command.transaction, Value::Null, vec![information]);
        }
    }
}
