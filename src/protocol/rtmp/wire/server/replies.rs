//! What the application answers and tells the client.

use super::super::capabilities::CAPS_RECONNECT;
use super::super::command::status;
use super::super::message::{Control, UserControl};
use super::{PlayEnd, PlayRefusal, PublishRefusal, Role, ServerSession};
use crate::format::amf::Value;

impl ServerSession {
    /// Accepts the publisher: media comes from now on. False if it has taken its request back.
    pub fn accept_publish(&mut self) -> bool {
        let Role::PublishRequested(stream_id) = self.role else { return self.settle_withdrawn() };
        self.role = Role::Publishing(stream_id);
        self.link.trust(&self.limits);
        self.link.send_control(Control::User(UserControl::StreamBegin(stream_id)));
        self.send_status(stream_id, "status", "NetStream.Publish.Start", "Publishing.");
        true
    }

    /// Refuses the publisher, with a description for the person in front of the encoder. Close the connection
    /// once this is sent, or let the client try another name.
    pub fn reject_publish(&mut self, refusal: PublishRefusal, description: &str) {
        let Role::PublishRequested(stream_id) = self.role else {
            self.settle_withdrawn();
            return;
        };
        self.become_idle();
        self.send_status(stream_id, "error", refusal.code(), description);
    }

    /// Accepts the player: media on [`play_stream`](Self::play_stream) may follow what [`poll`](Self::poll) gives.
    /// False if it has taken its request back.
    pub fn accept_play(&mut self) -> bool {
        let Role::PlayRequested(stream_id) = self.role else { return self.settle_withdrawn() };
        self.role = Role::Playing(stream_id);
        self.link.send_control(Control::User(UserControl::StreamBegin(stream_id)));
        self.send_status(stream_id, "status", "NetStream.Play.Reset", "Playing and resetting.");
        self.send_status(stream_id, "status", "NetStream.Play.Start", "Started playing.");
        // No |RtmpSampleAccess and no NetStream.Data.Start: only Flash asked for them, and FFmpeg takes them for a
        // track of their own.
        true
    }

    /// Refuses the player. Close the connection once this is sent, or let the client try another name.
    pub fn reject_play(&mut self, refusal: PlayRefusal, description: &str) {
        let Role::PlayRequested(stream_id) = self.role else {
            self.settle_withdrawn();
            return;
        };
        self.become_idle();
        self.send_status(stream_id, "error", refusal.code(), description);
    }

    /// Takes the stream from a publisher, for example because it is replaced by another with the same key: the
    /// same status as for a name that is taken, which encoders show as an error. Close the connection once this
    /// is sent.
    pub fn end_publish(&mut self, description: &str) {
        let Role::Publishing(stream_id) = self.role else { return };
        self.become_idle();
        self.send_status(stream_id, "error", PublishRefusal::BadName.code(), description);
    }

    /// Tells a player that nothing more comes: for now, or at all.
    pub fn end_play(&mut self, end: PlayEnd, description: &str) {
        let Role::Playing(stream_id) = self.role else { return };
        self.link.send_control(Control::User(UserControl::StreamEof(stream_id)));
        match end {
            PlayEnd::Unpublished => {
                self.send_status(stream_id, "status", "NetStream.Play.UnpublishNotify", description);
            }
            PlayEnd::Stopped => {
                self.become_idle();
                self.send_status(stream_id, "status", "NetStream.Play.Stop", description);
            }
        }
    }

    /// Tells a waiting player that the publisher has returned.
    pub fn resume_play(&mut self, description: &str) {
        let Role::Playing(stream_id) = self.role else { return };
        self.link.send_control(Control::User(UserControl::StreamBegin(stream_id)));
        self.send_status(stream_id, "status", "NetStream.Play.PublishNotify", description);
    }

    /// Tells the client that the server closes the connection, for example because it shuts down.
    pub fn close(&mut self, description: &str) {
        if self.connection.is_some() {
            self.send_status(0, "status", "NetConnection.Connect.Closed", description);
        }
    }

    /// Asks the client to connect again, to `tc_url` or where it is, and goes on meanwhile (E-RTMP v2, "Reconnect
    /// Request"). False, and nothing is sent, if the client has not told that it can.
    pub fn request_reconnect(&mut self, tc_url: Option<&str>, description: &str) -> bool {
        let caps = self.connection.as_ref().map_or(0, |connection| connection.capabilities.caps_ex);
        if caps & CAPS_RECONNECT == 0 {
            return false;
        }
        let mut information = status("status", "NetConnection.Connect.ReconnectRequest", description);
        if let (Value::Object(entries), Some(tc_url)) = (&mut information, tc_url) {
            entries.push(("tcUrl".to_owned(), tc_url.into()));
        }
        self.link.send_command(0, "onStatus", 0.0, Value::Null, vec![information]);
        true
    }

    /// Asks for an [`Event::Pong`](super::Event::Pong) with the same number.
    pub fn ping(&mut self, number: u32) {
        self.link.send_control(Control::User(UserControl::PingRequest(number)));
    }

    /// The answer to a request that was taken back: now the client may ask again.
    fn settle_withdrawn(&mut self) -> bool {
        if self.role == Role::Withdrawn {
            self.role = Role::Idle;
        }
        false
    }

    pub(super) fn send_status(&mut self, stream_id: u32, level: &str, code: &str, description: &str) {
        let information = status(level, code, description);
        self.link.send_command(stream_id, "onStatus", 0.0, Value::Null, vec![information]);
    }
}
