//! What a room says: one JSON object an event, `docs/comments.md`.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::message::{Act, Seq};
use super::person::{Role, UserId};

/// A comment, as it is shown and kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Comment {
    /// Its number in the room.
    pub seq: Seq,
    /// Who wrote it.
    #[schema(value_type = String)]
    pub user: UserId,
    /// What the author was called.
    #[schema(value_type = String)]
    pub name: Arc<str>,
    /// The author's badge.
    pub role: Role,
    /// The author's colour, a step of 24 around the wheel.
    pub hue: u16,
    /// One line of text; never markup.
    #[schema(value_type = String)]
    pub text: Arc<str>,
    /// The media time that the author was seeing; absent while nothing was on the air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ns: Option<i64>,
    /// When the server took it, Unix milliseconds.
    pub at: i64,
    /// What it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quote>,
    /// Hashtags, normalised, without `#`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub hashtags: Vec<Arc<str>>,
    /// Who is named in it with `@`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub mentions: Vec<UserId>,
    /// Only moderators see it, and the author, who does not see this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadowed: bool,
}

/// The beginning of a comment that is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    /// Its number.
    pub seq: Seq,
    /// Who wrote it.
    #[schema(value_type = String)]
    pub user: UserId,
    /// What the author was called.
    #[schema(value_type = String)]
    pub name: Arc<str>,
    /// How it begins.
    #[schema(value_type = String)]
    pub text: Arc<str>,
}

/// A name in the list of a small room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Called what.
    pub name: Arc<str>,
    /// The badge.
    pub role: Role,
    /// The colour.
    pub hue: u16,
}

/// What holds in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// The least time between two comments of one person, in seconds.
    pub slow: u32,
    /// Whether comments may have links.
    pub links: bool,
    /// Whether comments are taken: the channel is on the air, or the room is open all the time.
    pub open: bool,
}

/// One kind of reaction in one colour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reaction {
    /// Which.
    pub kind: Arc<str>,
    /// The colour of those who sent it.
    pub hue: u16,
    /// How many.
    pub count: u32,
}

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number.
    pub entry: u64,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Who did it: a person's name, `jury` or `server`.
    pub by: Arc<str>,
    /// The same as a user, if it was a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What.
    pub act: Act,
    /// To whom, by name, or to which text.
    pub target: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// Who took it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<Arc<str>>,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// Not understood.
    Malformed,
    /// Longer than a message or a comment may be.
    TooLong,
    /// Nothing to read in it.
    Empty,
    /// Too much at once.
    RateLimited,
    /// The room is slow: one comment in so many seconds.
    SlowMode,
    /// Said a moment ago.
    Duplicate,
    /// Links are off, or there are too many.
    Links,
    /// A word that the room does not want to read.
    BlockedWord,
    /// Kept from talking.
    Muted,
    /// Kept out.
    Banned,
    /// The name is not to be had.
    BadName,
    /// Comments are taken while the channel is on the air.
    Closed,
    /// Only for the broadcaster or moderators.
    Forbidden,
    /// There is no such comment, user, case or entry, or not any more.
    NotFound,
    /// The voucher, invitation or cookie does not hold.
    BadToken,
    /// It could not be kept; try again.
    Unavailable,
    /// This version is not spoken here.
    Version,
}

/// An event.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The answer to `join`.
    Welcome(Box<Welcome>),
    /// A new comment.
    Comment(Comment),
    /// A comment is gone.
    Deleted {
        /// This event's number; 0, and not told, ahead of its turn.
        #[serde(skip_serializing_if = "is_zero")]
        seq: Seq,
        /// Which comment.
        comment: Seq,
    },
    /// A comment that was gone is back.
    Restored {
        /// This event's number.
        seq: Seq,
        /// It.
        comment: Comment,
    },
    /// Another comment is pinned, or none.
    Pinned {
        /// This event's number.
        seq: Seq,
        /// It.
        comment: Option<Comment>,
    },
    /// Other rules hold.
    Rules {
        /// This event's number.
        seq: Seq,
        /// They.
        #[serde(flatten)]
        rules: Rules,
    },
    /// How many are here; in a small room also who came and went.
    Presence {
        /// People, not connections.
        count: usize,
        /// Who came.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        joined: Vec<Member>,
        /// Who went.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        left: Vec<UserId>,
    },
    /// Reactions since the last such event.
    Reactions {
        /// By kind and colour.
        counts: Vec<Reaction>,
        /// All of this broadcast.
        total: u64,
    },
    /// The request was carried out, and outlives a crash of the server.
    Accepted {
        /// The request's id.
        id: Arc<str>,
        /// The number of the comment that it made. Not the number of an event: others may still come before it.
        #[serde(skip_serializing_if = "Option::is_none")]
        comment: Option<Seq>,
    },
    /// The request was refused.
    Refused {
        /// The request's id.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Arc<str>>,
        /// Why, for programs.
        code: Refusal,
        /// Why, for people.
        message: String,
        /// When to try again.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_ms: Option<u64>,
    },
    /// Who you are, after a change.
    You(You),
    /// You are kept from talking, or no longer.
    Silence {
        /// For so long; 0 when it is over.
        seconds: u32,
        /// By whom.
        by: &'static str,
    },
    /// You are asked for your judgement.
    Summons {
        /// The case.
        case: u64,
        /// What was reported; its author is not told.
        text: Arc<str>,
        /// How long you have.
        seconds: u32,
    },
    /// What the jury thought, to those who took part.
    Verdict {
        /// The case.
        case: u64,
        /// What was reported.
        comment: Seq,
        /// Whether the author is silent now.
        guilty: bool,
    },
    /// A report, to the broadcaster and moderators.
    Reported {
        /// The comment.
        comment: Seq,
        /// Whether a jury decides.
        jury: bool,
    },
    /// The newest entries of the log, the newest last.
    Audit {
        /// The request's id.
        id: Arc<str>,
        /// They.
        entries: Vec<AuditEntry>,
    },
    /// A link that makes somebody a moderator.
    Invite {
        /// The request's id.
        id: Arc<str>,
        /// To be put behind the channel's address as `#moderate=TOKEN`.
        token: String,
    },
    /// Events were left out because the connection is slow.
    Lagged {
        /// How many batches.
        missed: u64,
    },
    /// The connection ends.
    Bye {
        /// Why, for programs.
        code: Farewell,
        /// Whether to come back.
        reconnect: bool,
    },
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Farewell {
    /// Kept out.
    Banned,
    /// Said too much too fast.
    Flood,
    /// The channel is gone.
    Gone,
    /// The server goes down; another one is up in a moment.
    Restart,
    /// The first message was not `join`.
    NoJoin,
}

/// The viewer's own place in the room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct You {
    /// Your public id.
    pub user: UserId,
    /// What you are called.
    pub name: Arc<str>,
    /// What you may do.
    pub role: Role,
    /// Your colour.
    pub hue: u16,
}

/// What somebody needs who comes in.
#[derive(Clone, Debug, Serialize)]
pub struct Welcome {
    /// The version of the messages.
    pub v: u32,
    /// Changes when the room's memory does: resuming works within one.
    pub epoch: u64,
    /// The number of the last event before this.
    pub seq: Seq,
    /// The viewer.
    pub you: You,
    /// Whether `comments` stand in place of all that the viewer has; else they come after it.
    pub reset: bool,
    /// How many are here.
    pub count: usize,
    /// Who, in a small room.
    pub members: Vec<Member>,
    /// What holds.
    #[serde(flatten)]
    pub rules: Rules,
    /// The reactions that there are.
    pub reactions: Vec<Arc<str>>,
    /// All reactions of this broadcast.
    pub total_reactions: u64,
    /// The longest comment, in characters.
    pub max_text: usize,
    /// The pinned comment.
    pub pinned: Option<Comment>,
    /// The broadcast that media times belong to, while one is on the air.
    pub broadcast: Option<u64>,
    /// The wall clock at its media time zero, Unix milliseconds.
    pub began_at: Option<i64>,
    /// The last comments, the newest last.
    pub comments: Vec<Comment>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(seq: &Seq) -> bool {
    *seq == 0
}

impl Event {
    /// The event as it is sent.
    pub fn json(&self) -> Bytes {
        // Maps have text keys and nothing else can fail; if it ever did, the viewer would get an empty object.
        serde_json::to_vec(self).unwrap_or_else(|_| b"{}".to_vec()).into()
    }
}
