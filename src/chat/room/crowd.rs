//! Coming and going, names, and who is here.

use std::sync::Arc;
use std::time::Duration;

use super::{Fate, Output, Pending, Person, Record, Refused, Room, Session, SessionId};
use crate::chat::event::{Event, Farewell, Member, Refusal, Welcome, You};
use crate::chat::history::{Kept, Visibility};
use crate::chat::message::{Act, Join, Seq, VERSION};
use crate::chat::moderation::{Kind, Sanction};
use crate::chat::now::Now;
use crate::chat::pace::{Bucket, Pace};
use crate::chat::person::{Role, UserId, Visitor};

/// How often somebody may take another name.
const RENAMES: Pace = Pace { burst: 3, interval: Duration::from_secs(20) };
/// How long somebody who left is remembered: coming back is no way around a limit of pace.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Somebody at the door.
#[derive(Debug)]
pub struct Arrival {
    /// Who, as the driver found out.
    pub visitor: Visitor,
    /// An invitation that the driver found valid: its number.
    pub invitation: Option<u64>,
}

/// Somebody who came in.
#[derive(Debug)]
pub struct Entered {
    /// The connection, from now on.
    pub session: SessionId,
    /// Who it is.
    pub user: UserId,
    /// As what.
    pub role: Role,
    /// All events up to this one were sent, or are part of the welcome.
    pub seen: Seq,
}

impl Room {
    /// Lets somebody in; what they need to know is the first that [`poll`](Self::poll) has for them.
    ///
    /// # Errors
    /// When they may not come in.
    pub fn enter(&mut self, arrival: Arrival, join: &Join, now: Now) -> Result<Entered, Refused> {
        let Arrival { visitor, invitation } = arrival;
        let Visitor { user, prefix, expires, .. } = visitor;
        if join.v != VERSION {
            return Err(Refused::new(Refusal::Version, format!("this server speaks version {VERSION}")));
        }
        if self.sessions.len() >= self.config.max_connections_per_room {
            let refusal = Refused::new(Refusal::Unavailable, "come back in a moment");
            return Err(refusal.after(Duration::from_secs(5)));
        }
        let broadcast = self.broadcast();
        let is_known = self.people.contains_key(&user);
        let role = self.role_of(&visitor);
        if !role.moderates() {
            self.admit(&visitor, now)?;
        }
        if let Some(until) = self.sanctions.suspects(prefix, now.unix_millis, broadcast)
            && !is_known
            && !role.moderates()
            && self.sanctions.upon(user, now.unix_millis, broadcast).is_none()
        {
            let sanction = Sanction { kind: Kind::Shadowed, until, prefix: Some(prefix) };
            if self.sanctions.set(user, Some(sanction)) {
                let act = Act::Shadow { user };
                self.log_act(
                    ("server", None),
                    act,
                    "a newcomer",
                    "from the network of somebody banned",
                    None,
                    now,
                );
            }
        }
        let name = self.name_for(&visitor, role, join, now);
        let arrived = self.people.entry(user).or_insert_with(|| Person {
            name: Arc::clone(&name),
            role,
            prefix,
            expires,
            sessions: 0,
            since: now.uptime,
            talk: Bucket::default(),
            hearts: Bucket::default(),
            reports: Bucket::default(),
            renames: Bucket::default(),
            last_comment: None,
            said: std::collections::VecDeque::new(),
            convictions: 0,
        });
        arrived.name = name;
        arrived.role = if arrived.sessions == 0 { role } else { arrived.role.max(role) };
        arrived.prefix = prefix;
        arrived.expires = expires;
        let came = arrived.sessions == 0;
        arrived.sessions += 1;
        if came {
            arrived.since = now.uptime;
            self.present += 1;
        }
        self.last_session += 1;
        let session = self.last_session;
        self.sessions.insert(session, Session { user, input: Bucket::default(), excess: 0 });
        let was_promoted = invitation.is_some_and(|invite| self.accept_invitation(user, invite));
        let role = self.people.get(&user).map_or(role, |person| person.role);
        self.welcome(session, user, join);
        if was_promoted {
            self.set_role(user, Role::Moderator);
        }
        if came {
            self.came(user);
        }
        Ok(Entered { session, user, role, seen: self.outbox.posted() })
    }

    /// A connection is over.
    pub fn leave(&mut self, session: SessionId, now: Now) {
        let Some(Session { user, .. }) = self.sessions.remove(&session) else { return };
        let Some(person) = self.people.get_mut(&user) else { return };
        person.sessions -= 1;
        if person.sessions == 0 {
            person.since = now.uptime;
            self.present -= 1;
            self.outbox.left(user, self.present < self.config.list_up_to);
        }
    }

    /// Everybody is sent away.
    pub fn close(&mut self, code: Farewell, reconnect: bool) {
        let sessions: Vec<SessionId> = self.sessions.keys().copied().collect();
        for session in sessions {
            self.dismiss(session, code, reconnect);
        }
    }

    pub(super) fn rename(
        &mut self,
        session: SessionId,
        user: UserId,
        id: &Arc<str>,
        name: &str,
        now: Now,
    ) -> Result<(), Refused> {
        self.may_be_called(name)?;
        let Some(person) = self.people.get_mut(&user) else { return Ok(()) };
        if person.role == Role::Member {
            return Err(Refused::new(Refusal::Forbidden, "your name is the one that your site gives you"));
        }
        person.renames.take(RENAMES, now.uptime).map_err(|wait| {
            Refused::new(Refusal::RateLimited, "you have just taken another name").after(wait)
        })?;
        if self.names.count() >= self.config.max_remembered && self.names.of(user).is_none() {
            return Err(Refused::new(Refusal::Unavailable, "no more names can be kept"));
        }
        let taken = self.names.take(user, person.role, name);
        let name: Arc<str> = taken.map_err(|error| Refused::new(Refusal::BadName, error.to_string()))?.into();
        person.name = Arc::clone(&name);
        let record = Record::Name { user, name, at: now.unix_millis };
        self.store(record, Pending::Request { session, id: Arc::clone(id) });
        self.requests.set(user, id, Fate::Pending);
        let you = Event::You(self.you(user));
        self.direct_to(user, &you);
        self.came(user);
        Ok(())
    }

    /// Forgets people who left long ago, and what lay upon people until now.
    pub(super) fn forget(&mut self, now: Now) {
        let before = now.uptime.saturating_sub(REMEMBERED);
        let too_many = self.people.len() > self.config.max_remembered + self.present;
        self.people.retain(|user, person| {
            let stays = person.sessions > 0 || (person.since >= before && !too_many);
            if !stays {
                self.names.release_invented(*user);
            }
            stays
        });
        self.sanctions.expire(now.unix_millis, self.broadcast());
    }

    pub(super) fn you(&self, user: UserId) -> You {
        let person = self.people.get(&user);
        You {
            user,
            name: person.map_or_else(|| "".into(), |person| Arc::clone(&person.name)),
            role: person.map_or(Role::Guest, |person| person.role),
            hue: user.hue(),
        }
    }

    pub(super) fn set_role(&mut self, user: UserId, role: Role) {
        let Some(person) = self.people.get_mut(&user) else { return };
        person.role = role;
        for (session, Session { user: of, .. }) in &self.sessions {
            if *of == user {
                self.outputs.push_back(Output::Role { session: *session, role });
            }
        }
        let you = Event::You(self.you(user));
        self.direct_to(user, &you);
        self.came(user);
    }

    fn role_of(&self, visitor: &Visitor) -> Role {
        let known =
            if self.standing.moderators.contains(&visitor.user) { Role::Moderator } else { Role::Guest };
        visitor.role.max(known)
    }

    fn admit(&self, visitor: &Visitor, now: Now) -> Result<(), Refused> {
        let broadcast = self.broadcast();
        let sanction = self.sanctions.upon(visitor.user, now.unix_millis, broadcast);
        let is_banned = sanction.is_some_and(|sanction| matches!(sanction.kind, Kind::Banned(_)));
        if is_banned || self.sanctions.bars(visitor.prefix, now.unix_millis, broadcast) {
            return Err(Refused::new(Refusal::Banned, "you are banned from this room"));
        }
        Ok(())
    }

    /// A voucher's name, else the one asked for, else the one had before, else an invented one.
    fn name_for(&mut self, visitor: &Visitor, role: Role, join: &Join, now: Now) -> Arc<str> {
        let user = visitor.user;
        let wanted = visitor.name.as_deref().or(join.name.as_deref().filter(|_| !self.names.is_chosen(user)));
        let has_room = self.names.count() < self.config.max_remembered;
        if let Some(name) = wanted.filter(|name| has_room && self.may_be_called(name).is_ok())
            && let Ok(name) = self.names.take(user, role, name)
        {
            let name: Arc<str> = name.into();
            let record = Record::Name { user, name: Arc::clone(&name), at: now.unix_millis };
            self.store(record, Pending::Silent);
            return name;
        }
        match self.names.of(user) {
            Some(name) => name.into(),
            None => self.names.invent(user).into(),
        }
    }

    fn may_be_called(&self, name: &str) -> Result<(), Refused> {
        if self.words.are_in(name) {
            return Err(Refused::new(Refusal::BadName, "this room does not want to read such a name"));
        }
        Ok(())
    }

    /// Whether the invitation made somebody a moderator.
    fn accept_invitation(&mut self, user: UserId, invite: u64) -> bool {
        let Some(person) = self.people.get_mut(&user) else { return false };
        if person.role.moderates() || !self.standing.use_invite(invite) {
            return false;
        }
        person.role = Role::Moderator;
        self.standing.moderators.push(user);
        self.keep_order(Vec::new(), None, Pending::Silent);
        true
    }

    fn welcome(&mut self, session: SessionId, user: UserId, join: &Join) {
        let moderates = self.people.get(&user).is_some_and(|person| person.role.moderates());
        let is_same_life = join.epoch == Some(self.epoch);
        let missed: Option<Vec<_>> =
            join.after.filter(|after| is_same_life && *after <= self.last_seq).and_then(|after| {
                self.history.since(after).map(|events| events.map(|event| event.json.clone()).collect())
            });
        let sees = |kept: &Kept| match kept.visibility {
            Visibility::Shown => true,
            Visibility::Shadowed => moderates || kept.comment.user == user,
            Visibility::Deleted => false,
        };
        let count = join.last.unwrap_or(self.config.join_history).min(self.config.join_history);
        let comments = if missed.is_some() { Vec::new() } else { self.history.last(count, sees) };
        let pinned = self.pinned();
        let is_small = self.present <= self.config.list_up_to;
        let welcome = Welcome {
            v: VERSION,
            epoch: self.epoch,
            seq: if missed.is_some() { join.after.unwrap_or(0) } else { self.outbox.posted() },
            you: self.you(user),
            reset: missed.is_none(),
            count: self.present,
            members: if is_small { self.members() } else { Vec::new() },
            rules: self.rules(),
            reactions: self.config.reactions.iter().map(|kind| kind.as_str().into()).collect(),
            total_reactions: self.outbox.total_reactions,
            max_text: self.config.max_text,
            pinned,
            broadcast: self.broadcast(),
            began_at: self.air.map(|air| air.began_at),
            comments,
        };
        self.direct(session, &Event::Welcome(Box::new(welcome)));
        for json in missed.into_iter().flatten() {
            self.outputs.push_back(Output::Direct { session, json });
        }
    }

    fn members(&self) -> Vec<Member> {
        let here = self.people.iter().filter(|(_, person)| person.sessions > 0);
        let mut members: Vec<Member> = here.map(|(user, person)| member(*user, person)).collect();
        members.sort_by(|one, other| (other.role, &one.name).cmp(&(one.role, &other.name)));
        members
    }

    /// Tells of somebody who came or is called differently.
    fn came(&mut self, user: UserId) {
        let is_small = self.present <= self.config.list_up_to;
        if let Some(person) = self.people.get(&user) {
            self.outbox.came(member(user, person), is_small);
        }
    }
}

fn member(user: UserId, person: &Person) -> Member {
    Member { user, name: Arc::clone(&person.name), role: person.role, hue: user.hue() }
}
