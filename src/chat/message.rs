//! What a viewer may say to a room: one JSON object a message, `docs/comments.md`.

use serde::{Deserialize, Serialize};

use super::person::UserId;

/// The version of the messages, in both directions.
pub const VERSION: u32 = 1;

/// The longest id that a viewer gives to a request.
pub const MAX_ID_LEN: usize = 40;

/// The number of an event in its room: rises with each, and names a comment.
pub type Seq = u64;

/// A request. Fields that are not known are ignored, so that newer pages can talk to older servers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Request {
    /// The first message: come in, or come back.
    Join(Join),
    /// Say something.
    Comment {
        /// The same when it is sent again.
        id: String,
        /// What.
        text: String,
        /// The media time that the author was seeing, in nanoseconds.
        #[serde(default)]
        time_ns: Option<i64>,
        /// The comment that this answers.
        #[serde(default)]
        reply_to: Option<Seq>,
    },
    /// Hearts and the like.
    React {
        /// One of those that the room has.
        kind: String,
        /// How many; taps between two messages are counted together.
        #[serde(default = "one")]
        count: u32,
    },
    /// Take another name.
    Name {
        /// The same when it is sent again.
        id: String,
        /// Which.
        name: String,
    },
    /// Call a jury over a comment.
    Report {
        /// The same when it is sent again.
        id: String,
        /// Which comment.
        comment: Seq,
    },
    /// A juror's answer.
    Vote {
        /// The case of the summons.
        case: u64,
        /// Whether the author should be silent for a while.
        guilty: bool,
    },
    /// Keep order; for the broadcaster and moderators.
    Moderate {
        /// The same when it is sent again.
        id: String,
        /// How.
        act: Act,
        /// Why, for the log.
        #[serde(default)]
        reason: String,
    },
    /// Ask for a link that makes somebody a moderator; for the broadcaster.
    Invite {
        /// The same when it is sent again.
        id: String,
    },
    /// Ask for the newest entries of the log; for the broadcaster and moderators.
    Audit {
        /// The same when it is sent again.
        id: String,
    },
}

const fn one() -> u32 {
    1
}

/// How somebody comes into a room.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Join {
    /// The version that the viewer speaks.
    pub v: u32,
    /// How many of the last comments to begin with; the room has a limit.
    #[serde(default)]
    pub last: Option<usize>,
    /// Coming back: the number of the last event that was seen.
    #[serde(default)]
    pub after: Option<Seq>,
    /// Coming back: the room's `epoch` of then.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// A name that the viewer would like to have.
    #[serde(default)]
    pub name: Option<String>,
    /// An embedding site's voucher, a JWT.
    #[serde(default)]
    pub token: Option<String>,
    /// A moderator's invitation.
    #[serde(default)]
    pub invite: Option<String>,
}

/// Who a ban keeps out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// This person. Newcomers from the same part of the network are suspects: they are heard by nobody but themselves
    /// and the moderators.
    #[default]
    User,
    /// Everybody from the same part of the network, as well.
    Network,
}

/// Something that keeps order. Each can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Act {
    /// Takes a comment away.
    Delete {
        /// Which.
        comment: Seq,
    },
    /// Keeps somebody from talking.
    Mute {
        /// Whom.
        user: UserId,
        /// For how long; without it until the broadcast ends.
        #[serde(default)]
        seconds: Option<u32>,
    },
    /// Keeps somebody out.
    Ban {
        /// Whom.
        user: UserId,
        /// And who else.
        #[serde(default)]
        scope: Scope,
        /// For how long; without it for good.
        #[serde(default)]
        seconds: Option<u32>,
    },
    /// Lets somebody talk who is heard by nobody else, without being told.
    Shadow {
        /// Whom.
        user: UserId,
    },
    /// Lifts whatever lies upon somebody.
    Pardon {
        /// Whom.
        user: UserId,
    },
    /// The least time between two comments of one person; 0 for none.
    Slow {
        /// How long.
        seconds: u32,
    },
    /// Whether comments may have links.
    Links {
        /// They may.
        allowed: bool,
    },
    /// The words that the room does not want to read.
    Words {
        /// All of them; `word*` means all that begin so.
        blocked: Vec<String>,
    },
    /// Puts a comment where everybody sees it, or takes it from there.
    Pin {
        /// Which; `null` for none.
        comment: Option<Seq>,
    },
    /// Makes a moderator a viewer again; for the broadcaster.
    Demote {
        /// Whom.
        user: UserId,
    },
    /// Takes an act back.
    Undo {
        /// Its number in the log.
        entry: u64,
    },
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotUnderstood {
    /// No JSON, or not of the form above.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// An id is missing, too long, or has characters that it may not have.
    #[error("an id has 1 to {MAX_ID_LEN} visible ASCII characters")]
    Id,
}

impl Request {
    /// Reads one message. Depth is bounded by the JSON reader, length by whoever calls.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn parse(text: &str) -> Result<Self, NotUnderstood> {
        let request: Self = serde_json::from_str(text)?;
        let is_id =
            |id: &str| (1..=MAX_ID_LEN).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        match request.id() {
            Some(id) if !is_id(id) => Err(NotUnderstood::Id),
            _ => Ok(request),
        }
    }

    /// The viewer's own id of the request, if its kind has one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Comment { id, .. }
            | Self::Name { id, .. }
            | Self::Report { id, .. }
            | Self::Moderate { id, .. }
            | Self::Invite { id }
            | Self::Audit { id } => Some(id),
            Self::Join(_) | Self::React { .. } | Self::Vote { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let read = |text: &str| Request::parse(text).unwrap();
        assert_eq!(
            read(r#"{"type":"comment","id":"a1","text":"hi","later":[1]}"#),
            Request::Comment { id: "a1".to_owned(), text: "hi".to_owned(), time_ns: None, reply_to: None }
        );
        assert_eq!(read(r#"{"type":"react","kind":"❤"}"#), Request::React { kind: "❤".to_owned(), count: 1 });
        assert_eq!(
            read(
                r#"{"type":"moderate","id":"m","act":{"do":"ban","user":"00000000000000ff","scope":"network"}}"#
            ),
            Request::Moderate {
                id: "m".to_owned(),
                act: Act::Ban { user: UserId(255), scope: Scope::Network, seconds: None },
                reason: String::new()
            }
        );
        assert!(matches!(
            read(r#"{"type":"join","v":1,"last":20}"#),
            Request::Join(Join { v: 1, last: Some(20), .. })
        ));
    }

    #[test]
    fn b32_what_is_no_request_is_refused_with_a_reason() {
        let deep = format!(
            "{{\"type\":\"comment\",\"id\":\"a\",\"text\":{}1{}}}",
            "[".repeat(2000),
            "]".repeat(2000)
        );
        for bad in [
            "",
            "null",
            "[]",
            "{}",
            "{\"type\":\"shout\"}",
            "{\"type\":\"comment\",\"id\":\"a\"}",
            "{\"type\":\"comment\",\"id\":\"\",\"text\":\"x\"}",
            "{\"type\":\"comment\",\"id\":\"a b\",\"text\":\"x\"}",
            "{\"type\":\"comment\",\"id\":\"a\",\"text\":\"\\ud800\"}",
            "{\"type\":\"comment\",\"id\":\"a\",\"text\":\"x\",\"reply_to\":-1}",
            "{\"type\":\"react\",\"kind\":\"x\",\"count\":1e99}",
            "{\"type\":\"vote\",\"case\":1,\"guilty\":\"yes\"}",
            "{\"type\":\"vote\",\"case\":1,\"guilty\":true} x",
            &deep,
        ] {
            assert!(!Request::parse(bad).unwrap_err().to_string().is_empty(), "{bad}");
        }
        let long = format!("{{\"type\":\"audit\",\"id\":\"{}\"}}", "x".repeat(MAX_ID_LEN + 1));
        assert!(matches!(Request::parse(&long), Err(NotUnderstood::Id)));
    }
}
