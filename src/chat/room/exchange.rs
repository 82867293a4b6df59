//! What goes into a room and comes out of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::SessionId;
use crate::chat::event::{Comment, Refusal};
use crate::chat::history::Visibility;
use crate::chat::message::Seq;
use crate::chat::moderation::{Logged, Standing};
use crate::chat::person::{Role, UserId};
use crate::chat::sampling::Posted;
use crate::media::{MediaTime, Signal};

/// Something for the driver to do.
#[derive(Debug)]
pub enum Output {
    /// Send this to one connection.
    Direct {
        /// Which.
        session: SessionId,
        /// What.
        json: Bytes,
    },
    /// Close a connection, after what was sent to it.
    Close {
        /// Which.
        session: SessionId,
    },
    /// Somebody's role changed: whether they read everything now.
    Role {
        /// Which connection.
        session: SessionId,
        /// The new role.
        role: Role,
    },
    /// Make an invitation for a moderator and send it.
    Invite {
        /// To whom.
        session: SessionId,
        /// The request.
        id: Arc<str>,
    },
    /// Keep this, and tell [`Room::stored`].
    Store {
        /// What to tell it by.
        ticket: u64,
        /// What.
        record: Record,
    },
}

/// Something to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A comment.
    Comment {
        /// It.
        comment: Comment,
        /// Its author's id of it.
        id: Arc<str>,
        /// Who sees it.
        visibility: Visibility,
        /// The broadcast that its media time belongs to.
        broadcast: Option<u64>,
    },
    /// Another visibility of a comment, with the act that changed it and what of the room's order changed.
    Order {
        /// The comment.
        visibility: Option<(Seq, Visibility)>,
        /// Entries of the log, new or changed.
        log: Vec<Logged>,
        /// All that holds now.
        standing: Standing,
    },
    /// A name that somebody chose.
    Name {
        /// Who.
        user: UserId,
        /// Which.
        name: Arc<str>,
        /// When, Unix milliseconds.
        at: i64,
    },
}

/// What a room was when the process ended.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The highest number of a comment.
    pub last_seq: Seq,
    /// The last comments and who sees them, the newest last.
    pub comments: Vec<(Comment, Visibility)>,
    /// Who sent what by which id and what number it got, the newest last; more of them than comments.
    pub requests: Vec<(UserId, Arc<str>, Seq)>,
    /// Chosen names, the newest last.
    pub names: Vec<(UserId, String)>,
    /// What holds.
    pub standing: Standing,
    /// The log's newest entries, the newest last.
    pub log: Vec<Logged>,
}

/// What is on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Air {
    /// The broadcast's number.
    pub broadcast: u64,
    /// Media time of this moment.
    pub time: MediaTime,
    /// The wall clock at media time zero, Unix milliseconds.
    pub began_at: i64,
}

/// What all viewers get together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Events in order.
    pub events: Vec<Arc<Posted>>,
    /// What the audience did, for whoever reads that.
    pub signals: Vec<Signal>,
}

/// What was counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Comments published.
    pub comments: u64,
    /// Reactions counted.
    pub reactions: u64,
    /// Requests refused.
    pub refused: u64,
    /// Juries called.
    pub juries: u64,
}

/// A refusal in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For programs.
    pub code: Refusal,
    /// For people.
    pub message: String,
    /// When to try again.
    pub retry: Option<Duration>,
}

impl Refused {
    /// One that may hold for ever.
    pub fn new(code: Refusal, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry: None }
    }

    /// The same, over after a while.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }
}
