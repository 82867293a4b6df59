//! A room with its viewers and a slow store, on a virtual clock.

mod comments;
mod court;
mod hostile;
mod order;
mod resume;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::chat::message::Join;
use crate::chat::person::Visitor;
use crate::chat::sampling::Reader;
use crate::media::Signal;

/// A viewer: what the page does, in short.
#[derive(Debug)]
pub(super) struct Client {
    user: UserId,
    session: Option<SessionId>,
    reader: Reader,
    epoch: Option<u64>,
    seq: Option<Seq>,
    /// Everything that came.
    inbox: Vec<Value>,
    /// Comments on the screen, in the order in which they came.
    comments: Vec<Seq>,
    closed: bool,
}

/// A room and everybody around it.
pub(super) struct World {
    pub room: Room,
    pub now: Now,
    pub clients: BTreeMap<u64, Client>,
    /// What the store was given and has not kept yet.
    store: VecDeque<(u64, Record)>,
    /// What it has kept.
    pub kept: Vec<Record>,
    pub signals: Vec<Signal>,
    ids: u64,
}

pub(super) fn config() -> Config {
    Config { readable_per_second: 0, jury_presence: Duration::from_secs(60), ..Config::default() }
}

impl World {
    pub fn new(config: Config) -> Self {
        Self::restored(config, Restored::default(), 1)
    }

    pub fn restored(config: Config, restored: Restored, epoch: u64) -> Self {
        let now = Now { uptime: Duration::from_secs(1000), unix_millis: 1_700_000_000_000 };
        let mut room = Room::new(Arc::new(config), restored, epoch, 42);
        room.set_air(
            Some(Air { broadcast: 7, time: MediaTime::from_millis(60_000), began_at: 1_699_999_940_000 }),
            now,
        );
        Self {
            room,
            now,
            clients: BTreeMap::new(),
            store: VecDeque::new(),
            kept: Vec::new(),
            signals: Vec::new(),
            ids: 0,
        }
    }

    /// A visitor of a network of their own.
    pub fn visitor(user: u64, role: Role) -> Visitor {
        let octets = [10, (user >> 8) as u8, user as u8, 1];
        Visitor { user: UserId(user), role, name: None, prefix: Prefix::v4(octets), expires: None }
    }

    pub fn enter(&mut self, user: u64) -> Result<(), Refused> {
        self.enter_as(Self::visitor(user, Role::Guest))
    }

    pub fn enter_as(&mut self, visitor: Visitor) -> Result<(), Refused> {
        let user = visitor.user;
        let fresh = Client {
            user,
            session: None,
            reader: Reader::new(user, 0, false),
            epoch: None,
            seq: None,
            inbox: Vec::new(),
            comments: Vec::new(),
            closed: false,
        };
        let client = self.clients.entry(user.0).or_insert(fresh);
        let join = Join { v: 1, last: Some(1000), after: client.seq, epoch: client.epoch, ..Join::default() };
        let arrival = Arrival { visitor, invitation: None };
        let Entered { session, role, seen, .. } = self.room.enter(arrival, &join, self.now)?;
        client.session = Some(session);
        client.closed = false;
        client.reader = Reader::new(user, seen, role.moderates());
        self.work();
        Ok(())
    }

    pub fn leave(&mut self, user: u64) {
        if let Some(session) = self.clients.get_mut(&user).and_then(|client| client.session.take()) {
            self.room.leave(session, self.now);
        }
    }

    pub fn send(&mut self, user: u64, message: &Value) {
        self.send_text(user, &message.to_string());
    }

    pub fn send_text(&mut self, user: u64, text: &str) {
        if let Some(session) = self.clients[&user].session {
            self.room.receive(session, text, self.now);
            self.work();
        }
    }

    /// Sends a request with a fresh id, lets the store keep it, and returns the answer.
    pub fn ask(&mut self, user: u64, mut message: Value) -> Value {
        self.ids += 1;
        let id = format!("r{}", self.ids);
        message["id"] = json!(id);
        self.send(user, &message);
        self.keep_all();
        self.answer(user, &id)
    }

    pub fn answer(&self, user: u64, id: &str) -> Value {
        let answers = |event: &&Value| event["id"] == id && event["type"] != "comment";
        self.clients[&user].inbox.iter().rev().find(answers).cloned().unwrap_or(Value::Null)
    }

    pub fn say(&mut self, user: u64, text: &str) -> Value {
        self.ask(user, json!({"type": "comment", "text": text}))
    }

    pub fn moderate(&mut self, user: u64, act: Value) -> Value {
        self.ask(user, json!({"type": "moderate", "act": act, "reason": "because"}))
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.flush();
    }

    pub fn flush(&mut self) {
        let batch = self.room.flush(self.now);
        self.signals.extend(batch.signals);
        for client in self.clients.values_mut().filter(|client| client.session.is_some()) {
            for event in &batch.events {
                if client.reader.wants(event) {
                    client.receive(&event.json);
                }
            }
        }
        self.work();
    }

    /// The store keeps one record, or fails to.
    pub fn keep(&mut self, kept: bool) {
        if let Some((ticket, record)) = self.store.pop_front() {
            if kept {
                self.kept.push(record);
            }
            self.room.stored(ticket, kept, self.now);
            self.work();
        }
    }

    pub fn keep_all(&mut self) {
        while !self.store.is_empty() {
            self.keep(true);
        }
    }

    /// The types of what came to somebody and was not looked at before.
    pub fn news(&mut self, user: u64) -> Vec<Value> {
        std::mem::take(&mut self.clients.get_mut(&user).unwrap().inbox)
    }

    fn work(&mut self) {
        while let Some(output) = self.room.poll() {
            match output {
                Output::Direct { session, json } => {
                    if let Some(client) =
                        self.clients.values_mut().find(|client| client.session == Some(session))
                    {
                        client.receive(&json);
                    }
                }
                Output::Close { session } => {
                    if let Some(client) =
                        self.clients.values_mut().find(|client| client.session == Some(session))
                    {
                        client.session = None;
                        client.closed = true;
                    }
                    self.room.leave(session, self.now);
                }
                Output::Role { session, role } => {
                    if let Some(client) =
                        self.clients.values_mut().find(|client| client.session == Some(session))
                    {
                        client.reader.reads_everything(role.moderates());
                    }
                }
                Output::Store { ticket, record } => self.store.push_back((ticket, record)),
                Output::Invite { .. } => {}
            }
        }
    }
}

impl Client {
    fn receive(&mut self, json: &[u8]) {
        let event: Value = serde_json::from_slice(json).unwrap();
        match event["type"].as_str().unwrap() {
            "welcome" => {
                self.epoch = event["epoch"].as_u64();
                self.seq = event["seq"].as_u64();
                if event["reset"] == true {
                    let comments = event["comments"].as_array().unwrap();
                    self.comments = comments.iter().map(|comment| comment["seq"].as_u64().unwrap()).collect();
                }
            }
            "comment" => {
                let seq = event["seq"].as_u64().unwrap();
                assert!(!self.comments.contains(&seq), "{:?} got comment {seq} twice", self.user);
                self.comments.push(seq);
                self.seq = self.seq.max(Some(seq));
            }
            "deleted" => {
                let gone = event["comment"].as_u64().unwrap();
                self.comments.retain(|seq| *seq != gone);
                self.seq = self.seq.max(event["seq"].as_u64());
            }
            _ => self.seq = self.seq.max(event["seq"].as_u64()),
        }
        self.inbox.push(event);
    }
}
