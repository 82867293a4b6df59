//! The room of a channel: a state machine without sockets, clocks and store.
//!
//! [`enter`](Room::enter), [`receive`](Room::receive), [`leave`](Room::leave) and [`stored`](Room::stored) take what
//! happens; [`poll`](Room::poll) gives what is to be done for single connections and for the store, and
//! [`flush`](Room::flush) what all viewers get, once every few dozen milliseconds.
//!
//! A comment is read by others, and acknowledged to its author, once it is stored, in the order of its number: what
//! anybody has seen is there after a crash.

mod court;
mod crowd;
mod exchange;
mod flush;
mod order;
mod requests;
mod talk;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::config::Config;
use super::event::{Comment, Event, Farewell, Refusal, Rules};
use super::history::{History, Visibility};
use super::jury::Juries;
use super::message::{Request, Seq};
use super::moderation::{Log, Sanctions, Standing};
use super::names::Names;
use super::now::Now;
use super::pace::Bucket;
use super::person::{Prefix, Role, UserId};
use super::sampling::Speed;
use super::words::BlockedWords;
use crate::media::MediaTime;
use crate::random::Random;

pub use crowd::{Arrival, Entered};
pub use exchange::{Air, Batch, Counts, Output, Record, Refused, Restored};
pub use requests::MAX_REQUESTS;
use requests::{Fate, Requests};

/// A connection to a room.
pub type SessionId = u64;

/// Records that wait for the store at one time.
const MAX_PENDING: usize = 1024;
/// Messages beyond the pace of a connection before it is closed.
const MAX_EXCESS: u32 = 100;

/// A channel's room.
#[derive(Debug)]
pub struct Room {
    config: Arc<Config>,
    epoch: u64,
    random: Random,
    air: Option<Air>,
    air_since: Duration,
    last_seq: Seq,
    history: History,
    names: Names,
    people: HashMap<UserId, Person>,
    /// People who have a connection.
    present: usize,
    sessions: HashMap<SessionId, Session>,
    last_session: SessionId,
    standing: Standing,
    words: BlockedWords,
    sanctions: Sanctions,
    log: Log,
    juries: Juries,
    speed: Speed,
    /// Texts that several said lately, by what they look like.
    chorus: VecDeque<(u64, Duration)>,
    requests: Requests,
    pending: BTreeMap<u64, Pending>,
    /// Comments that have a number and are not stored yet: later events wait for them.
    awaited: BTreeSet<Seq>,
    last_ticket: u64,
    outputs: VecDeque<Output>,
    outbox: flush::Outbox,
    counts: Counts,
}

/// Somebody who is here, or was a while ago.
#[derive(Debug)]
struct Person {
    name: Arc<str>,
    role: Role,
    prefix: Prefix,
    /// When the voucher runs out, Unix milliseconds.
    expires: Option<i64>,
    sessions: u32,
    /// When they came, or left if nobody is connected.
    since: Duration,
    talk: Bucket,
    hearts: Bucket,
    reports: Bucket,
    renames: Bucket,
    last_comment: Option<Duration>,
    /// What they said lately, by what it looks like.
    said: VecDeque<(u64, Duration)>,
    /// Verdicts of juries in this broadcast.
    convictions: u32,
}

#[derive(Debug)]
struct Session {
    user: UserId,
    input: Bucket,
    excess: u32,
}

/// What waits for the store.
#[derive(Debug)]
enum Pending {
    Comment {
        comment: Comment,
        id: Arc<str>,
        session: SessionId,
        visibility: Visibility,
        share: u32,
    },
    /// A request that is done and is acknowledged when it is kept.
    Request {
        session: SessionId,
        id: Arc<str>,
    },
    /// Nobody waits for it.
    Silent,
}

impl Room {
    /// A room as the store has it. `epoch` is one that this channel's room never had before.
    pub fn new(config: Arc<Config>, restored: Restored, epoch: u64, seed: u64) -> Self {
        let Restored { last_seq, comments, requests: known, names: chosen, standing, log } = restored;
        let mut history = History::new(config.history, last_seq);
        let mut requests = Requests::default();
        for (user, id, seq) in known {
            requests.set(user, &id, Fate::Done(Some(seq)));
        }
        for (comment, visibility) in comments {
            history.comment(comment, visibility);
        }
        let mut names = Names::default();
        for (user, name) in chosen.into_iter().take(config.max_remembered) {
            // One that the rules of today do not allow is forgotten. Who it belonged to may have been a moderator.
            let _ = names.take(user, Role::Moderator, &name);
        }
        let mut sanctions = Sanctions::default();
        for (user, sanction) in &standing.sanctions {
            sanctions.set(*user, Some(*sanction));
        }
        let batch_interval = config.batch_interval;
        let mut room = Self {
            config,
            epoch,
            random: Random::new(seed),
            air: None,
            air_since: Duration::ZERO,
            last_seq,
            history,
            names,
            people: HashMap::new(),
            present: 0,
            sessions: HashMap::new(),
            last_session: 0,
            standing,
            words: BlockedWords::default(),
            sanctions,
            log: Log::restored(log),
            juries: Juries::default(),
            speed: Speed::default(),
            chorus: VecDeque::new(),
            requests,
            pending: BTreeMap::new(),
            awaited: BTreeSet::new(),
            last_ticket: 0,
            outputs: VecDeque::new(),
            outbox: flush::Outbox::new(last_seq, batch_interval),
            counts: Counts::default(),
        };
        room.set_words();
        room
    }

    /// Tells what is on the air, at each change and now and then.
    pub fn set_air(&mut self, air: Option<Air>, now: Now) {
        let (was_open, before) = (self.is_open(), self.air.map(|air| air.broadcast));
        self.air = air;
        self.air_since = now.uptime;
        let broadcast = air.map(|air| air.broadcast);
        if broadcast.is_some() && broadcast != before {
            self.people.values_mut().for_each(|person| person.convictions = 0);
            self.outbox.total_reactions = 0;
        }
        // Whoever comes in is told by the welcome.
        if was_open != self.is_open() && !self.sessions.is_empty() {
            self.post_rules();
        }
    }

    /// A message of a connection, whatever it holds.
    pub fn receive(&mut self, session: SessionId, text: &str, now: Now) {
        let pace = self.config.messages();
        let Some(Session { user, input, excess }) = self.sessions.get_mut(&session) else { return };
        let user = *user;
        if let Err(wait) = input.take(pace, now.uptime) {
            *excess += 1;
            if *excess == 1 {
                let refusal = Refused::new(Refusal::RateLimited, "too many messages").after(wait);
                self.refuse(session, None, refusal);
            } else if *excess > MAX_EXCESS {
                self.dismiss(session, Farewell::Flood, false);
            }
            return;
        }
        *excess = excess.saturating_sub(1);
        if text.len() > self.config.max_message_size {
            return self.refuse(session, None, Refused::new(Refusal::TooLong, "the message is too long"));
        }
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err(error) => {
                return self.refuse(session, None, Refused::new(Refusal::Malformed, error.to_string()));
            }
        };
        let id: Option<Arc<str>> = request.id().map(Arc::from);
        if let Some(id) = &id {
            match self.requests.fate(user, id) {
                Some(Fate::Pending) => return,
                Some(Fate::Done(comment)) => {
                    return self.direct(session, &Event::Accepted { id: Arc::clone(id), comment });
                }
                None => {}
            }
        }
        let done = match (request, &id) {
            (Request::Join(_), _) => Err(Refused::new(Refusal::Malformed, "you are in already")),
            (Request::Comment { text, time_ns, reply_to, .. }, Some(id)) => {
                let draft = talk::Draft { text: &text, time_ns, reply_to };
                self.comment(session, user, id, draft, now)
            }
            (Request::React { kind, count }, _) => self.react(user, &kind, count, now),
            (Request::Name { name, .. }, Some(id)) => self.rename(session, user, id, &name, now),
            (Request::Report { comment, .. }, Some(id)) => self.report(session, user, id, comment, now),
            (Request::Vote { case, guilty }, _) => self.vote(user, case, guilty, now),
            (Request::Moderate { act, reason, .. }, Some(id)) => {
                self.moderate(session, user, id, act, &reason, now)
            }
            (Request::Invite { .. }, Some(id)) => self.invite(session, user, id),
            (Request::Audit { .. }, Some(id)) => self.audit(session, user, id),
            (_, None) => Err(Refused::new(Refusal::Malformed, "this request needs an id")),
        };
        if let Err(refusal) = done {
            self.refuse(session, id, refusal);
        }
    }

    /// A record is kept, or cannot be. To be told in the order of the tickets.
    pub fn stored(&mut self, ticket: u64, kept: bool, now: Now) {
        match self.pending.remove(&ticket) {
            Some(Pending::Comment { comment, id, session, visibility, share }) => {
                self.comment_stored(comment, &id, session, (visibility, share), kept, now);
            }
            Some(Pending::Request { session, id }) => {
                let user = self.sessions.get(&session).map(|session| session.user);
                if kept {
                    if let Some(user) = user {
                        self.requests.set(user, &id, Fate::Done(None));
                    }
                    self.direct(session, &Event::Accepted { id, comment: None });
                } else {
                    let message = "it holds, but could not be kept: a restart would undo it";
                    self.refuse(session, Some(id), Refused::new(Refusal::Unavailable, message));
                }
            }
            Some(Pending::Silent) | None => {}
        }
    }

    /// The next thing to do for a connection or the store.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Somebody's public number of the room's present life.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What was counted so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many people are connected.
    pub const fn present(&self) -> usize {
        self.present
    }

    /// Whether nothing is going on here that memory must be spent on.
    pub fn is_idle(&self) -> bool {
        self.sessions.is_empty() && self.pending.is_empty() && self.outputs.is_empty()
    }

    fn is_open(&self) -> bool {
        self.air.is_some() || self.config.open_when_offline
    }

    fn broadcast(&self) -> Option<u64> {
        self.air.map(|air| air.broadcast)
    }

    /// Media time of a moment, while something is on the air.
    fn media_time(&self, now: Now) -> Option<MediaTime> {
        self.air.map(|air| air.time + now.uptime.saturating_sub(self.air_since).into())
    }

    fn rules(&self) -> Rules {
        Rules { slow: self.standing.slow, links: !self.standing.links_off, open: self.is_open() }
    }

    fn set_words(&mut self) {
        let all = [&self.config.blocked_words[..], &self.standing.words[..]].concat();
        self.words = BlockedWords::new(&all);
    }

    /// Hands a record to the store; `false` when too many wait for it.
    fn store(&mut self, record: Record, pending: Pending) -> bool {
        if self.pending.len() >= MAX_PENDING {
            return false;
        }
        self.last_ticket += 1;
        self.pending.insert(self.last_ticket, pending);
        self.outputs.push_back(Output::Store { ticket: self.last_ticket, record });
        true
    }

    fn direct(&mut self, session: SessionId, event: &Event) {
        self.outputs.push_back(Output::Direct { session, json: event.json() });
    }

    /// To all connections of a person.
    fn direct_to(&mut self, user: UserId, event: &Event) {
        self.direct_where(event, |id, _| id == user);
    }

    /// To everybody who keeps order.
    fn direct_to_moderators(&mut self, event: &Event) {
        self.direct_where(event, |_, person| person.role.moderates());
    }

    fn direct_where(&mut self, event: &Event, wanted: impl Fn(UserId, &Person) -> bool) {
        let json = event.json();
        for (session, Session { user, .. }) in &self.sessions {
            if self.people.get(user).is_some_and(|person| wanted(*user, person)) {
                self.outputs.push_back(Output::Direct { session: *session, json: json.clone() });
            }
        }
    }

    fn refuse(&mut self, session: SessionId, id: Option<Arc<str>>, refusal: Refused) {
        self.counts.refused += 1;
        let Refused { code, message, retry } = refusal;
        let retry_ms = retry.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        self.direct(session, &Event::Refused { id, code, message, retry_ms });
    }

    /// Ends a connection.
    fn dismiss(&mut self, session: SessionId, code: Farewell, reconnect: bool) {
        self.direct(session, &Event::Bye { code, reconnect });
        self.outputs.push_back(Output::Close { session });
    }

    fn next_seq(&mut self) -> Seq {
        self.last_seq += 1;
        self.last_seq
    }
}
