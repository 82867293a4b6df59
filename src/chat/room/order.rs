//! Keeping order: acts, their log, and taking them back.

use std::sync::Arc;
use std::time::Duration;

use super::{Fate, Output, Pending, Record, Refused, Room, SessionId};
use crate::chat::event::{AuditEntry, Comment, Event, Farewell, Refusal};
use crate::chat::history::Visibility;
use crate::chat::message::{Act, Scope, Seq};
use crate::chat::moderation::{Kind, Logged, MAX_REASON_CHARS, Reversal, Sanction, Until};
use crate::chat::now::{Now, millis};
use crate::chat::person::{Role, UserId};

/// The slowest a room can be.
const MAX_SLOW: u32 = 3600;
/// The longest that a mute or a ban can last which is not for good: a year.
const MAX_SECONDS: u32 = 366 * 24 * 60 * 60;
/// Of a comment, in the log.
const TARGET_CHARS: usize = 80;

/// What an act came to.
struct Done {
    target: String,
    reversal: Option<Reversal>,
    visibility: Option<(Seq, Visibility)>,
    /// Older entries of the log that changed.
    changed: Vec<Logged>,
}

impl Done {
    fn new(target: impl Into<String>, reversal: Reversal) -> Self {
        Self { target: target.into(), reversal: Some(reversal), visibility: None, changed: Vec::new() }
    }
}

impl Room {
    pub(super) fn moderate(
        &mut self,
        session: SessionId,
        user: UserId,
        id: &Arc<str>,
        act: Act,
        reason: &str,
        now: Now,
    ) -> Result<(), Refused> {
        let (name, role) = self.moderator(user)?;
        let Done { target, reversal, visibility, changed } = self.act(&act, role, &name, now)?;
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON_CHARS).collect();
        let logged = self.log_act((&name, Some(user)), act, &target, &reason, reversal, now);
        let log = changed.into_iter().chain([logged]).collect();
        self.requests.set(user, id, Fate::Pending);
        self.keep_order(log, visibility, Pending::Request { session, id: Arc::clone(id) });
        Ok(())
    }

    pub(super) fn invite(&mut self, session: SessionId, user: UserId, id: &Arc<str>) -> Result<(), Refused> {
        let (_, role) = self.moderator(user)?;
        if role != Role::Broadcaster {
            return Err(Refused::new(Refusal::Forbidden, "only the broadcaster invites moderators"));
        }
        self.outputs.push_back(Output::Invite { session, id: Arc::clone(id) });
        Ok(())
    }

    pub(super) fn audit(&mut self, session: SessionId, user: UserId, id: &Arc<str>) -> Result<(), Refused> {
        self.moderator(user)?;
        let entries = self.log.entries();
        self.direct(session, &Event::Audit { id: Arc::clone(id), entries });
        Ok(())
    }

    /// Writes an act into the log in memory.
    pub(super) fn log_act(
        &mut self,
        (by, user): (&str, Option<UserId>),
        act: Act,
        target: &str,
        reason: &str,
        reversal: Option<Reversal>,
        now: Now,
    ) -> Logged {
        let entry = AuditEntry {
            entry: self.log.next(),
            at: now.unix_millis,
            by: by.into(),
            user,
            act,
            target: target.chars().take(TARGET_CHARS).collect::<String>().into(),
            reason: reason.into(),
            undone_by: None,
        };
        let logged = Logged { entry, reversal };
        self.log.push(logged.clone());
        logged
    }

    /// Has the store keep what holds now.
    pub(super) fn keep_order(
        &mut self,
        log: Vec<Logged>,
        visibility: Option<(Seq, Visibility)>,
        pending: Pending,
    ) {
        self.standing.sanctions = self.sanctions.all();
        let record = Record::Order { visibility, log, standing: self.standing.clone() };
        let waits = match &pending {
            Pending::Request { session, id } => Some((*session, Arc::clone(id))),
            Pending::Comment { .. } | Pending::Silent => None,
        };
        if !self.store(record, pending)
            && let Some((session, id)) = waits
        {
            let message = "it holds, but could not be kept: a restart would undo it";
            self.refuse(session, Some(id), Refused::new(Refusal::Unavailable, message));
        }
    }

    pub(super) fn pinned(&mut self) -> Option<Comment> {
        let kept = self.history.find(self.standing.pinned?)?;
        (kept.visibility == Visibility::Shown).then(|| kept.comment.clone())
    }

    /// Silences or frees somebody and tells them, unless it is a secret.
    pub(super) fn sanction(
        &mut self,
        user: UserId,
        sanction: Option<Sanction>,
        by: &'static str,
        now: Now,
    ) -> bool {
        let before = self.sanctions.upon(user, now.unix_millis, self.broadcast());
        if !self.sanctions.set(user, sanction) {
            return false;
        }
        let is_secret =
            |sanction: Option<Sanction>| sanction.is_none_or(|sanction| sanction.kind == Kind::Shadowed);
        if let Some(Sanction { kind, until, .. }) = sanction
            && kind != Kind::Shadowed
        {
            let seconds = match until {
                Until::At(end) => u32::try_from((end - now.unix_millis).max(0) / 1000).unwrap_or(u32::MAX),
                Until::Broadcast(_) | Until::Forever => u32::MAX,
            };
            self.direct_to(user, &Event::Silence { seconds, by });
        } else if !is_secret(before) {
            self.direct_to(user, &Event::Silence { seconds: 0, by });
        }
        if let Some(Sanction { kind: Kind::Banned(scope), prefix, .. }) = sanction {
            self.expel(user, |other| scope == Scope::Network && Some(other) == prefix);
        }
        true
    }

    fn moderator(&self, user: UserId) -> Result<(Arc<str>, Role), Refused> {
        match self.people.get(&user) {
            Some(person) if person.role.moderates() => Ok((Arc::clone(&person.name), person.role)),
            _ => Err(Refused::new(Refusal::Forbidden, "only for the broadcaster and moderators")),
        }
    }

    fn act(&mut self, act: &Act, role: Role, name: &Arc<str>, now: Now) -> Result<Done, Refused> {
        let until = |seconds: Option<u32>, otherwise: Until| {
            seconds.map_or(otherwise, |seconds| {
                let span = Duration::from_secs(seconds.clamp(1, MAX_SECONDS).into());
                Until::At(now.unix_millis.saturating_add(millis(span)))
            })
        };
        match act {
            Act::Delete { comment } => self.delete(*comment),
            Act::Mute { user, seconds } => {
                let end_of_broadcast = self.broadcast().map_or(Until::Forever, Until::Broadcast);
                self.lay_upon(*user, Kind::Muted, until(*seconds, end_of_broadcast), role, now)
            }
            Act::Ban { user, scope, seconds } => {
                self.lay_upon(*user, Kind::Banned(*scope), until(*seconds, Until::Forever), role, now)
            }
            Act::Shadow { user } => self.lay_upon(*user, Kind::Shadowed, Until::Forever, role, now),
            Act::Pardon { user } => {
                let before = self.sanctions.upon(*user, now.unix_millis, self.broadcast());
                if before.is_none() {
                    return Err(Refused::new(Refusal::NotFound, "nothing lies upon them"));
                }
                self.sanction(*user, None, "moderator", now);
                Ok(Done::new(self.called(*user), Reversal::Sanction(*user, before)))
            }
            Act::Slow { seconds } => {
                let before = std::mem::replace(&mut self.standing.slow, (*seconds).min(MAX_SLOW));
                self.post_rules();
                Ok(Done::new(format!("{} s", self.standing.slow), Reversal::Slow(before)))
            }
            Act::Links { allowed } => {
                let before = !std::mem::replace(&mut self.standing.links_off, !allowed);
                self.post_rules();
                Ok(Done::new(if *allowed { "on" } else { "off" }, Reversal::Links(before)))
            }
            Act::Words { blocked } => {
                let words = crate::chat::words::BlockedWords::new(blocked).written().to_vec();
                let count = words.len();
                let before = std::mem::replace(&mut self.standing.words, words);
                self.set_words();
                Ok(Done::new(format!("{count} words"), Reversal::Words(before)))
            }
            Act::Pin { comment } => self.pin(*comment),
            Act::Demote { user } => {
                if role != Role::Broadcaster {
                    return Err(Refused::new(Refusal::Forbidden, "only the broadcaster does that"));
                }
                let Some(place) = self.standing.moderators.iter().position(|known| known == user) else {
                    return Err(Refused::new(Refusal::NotFound, "they are no moderator"));
                };
                self.standing.moderators.remove(place);
                self.set_role(*user, Role::Guest);
                Ok(Done::new(self.called(*user), Reversal::Promote(*user)))
            }
            Act::Undo { entry } => self.undo(*entry, role, name, now),
        }
    }

    fn delete(&mut self, seq: Seq) -> Result<Done, Refused> {
        let Some(kept) = self.history.find(seq).filter(|kept| kept.visibility != Visibility::Deleted) else {
            return Err(Refused::new(Refusal::NotFound, "there is no such comment any more"));
        };
        kept.visibility = Visibility::Deleted;
        let target = format!("{}: {}", kept.comment.name, kept.comment.text);
        self.announce(|number| Event::Deleted { seq: number, comment: seq });
        self.hurry_deletion(seq);
        if self.standing.pinned == Some(seq) {
            self.standing.pinned = None;
            self.announce(|seq| Event::Pinned { seq, comment: None });
        }
        let done = Done::new(target, Reversal::Restore(seq));
        Ok(Done { visibility: Some((seq, Visibility::Deleted)), ..done })
    }

    fn restore(&mut self, seq: Seq) -> Result<Done, Refused> {
        let Some(kept) = self.history.find(seq) else {
            return Err(Refused::new(Refusal::NotFound, "the comment is too old to come back"));
        };
        kept.visibility = Visibility::Shown;
        let comment = kept.comment.clone();
        let target = comment.name.to_string();
        self.announce(|seq| Event::Restored { seq, comment });
        Ok(Done { target, reversal: None, visibility: Some((seq, Visibility::Shown)), changed: Vec::new() })
    }

    fn lay_upon(
        &mut self,
        user: UserId,
        kind: Kind,
        until: Until,
        role: Role,
        now: Now,
    ) -> Result<Done, Refused> {
        let theirs = self.people.get(&user).map_or_else(
            || if self.standing.moderators.contains(&user) { Role::Moderator } else { Role::Guest },
            |person| person.role,
        );
        if theirs.moderates() && theirs >= role {
            return Err(Refused::new(Refusal::Forbidden, "they keep order here"));
        }
        if theirs == Role::Moderator {
            return Err(Refused::new(Refusal::Forbidden, "they are a moderator: demote them first"));
        }
        let before = self.sanctions.upon(user, now.unix_millis, self.broadcast());
        let known = before.and_then(|sanction| sanction.prefix);
        let prefix = self.people.get(&user).map(|person| person.prefix).or(known);
        if !self.sanction(user, Some(Sanction { kind, until, prefix }), "moderator", now) {
            return Err(Refused::new(Refusal::Unavailable, "too many sanctions: lift some first"));
        }
        Ok(Done::new(self.called(user), Reversal::Sanction(user, before)))
    }

    fn pin(&mut self, comment: Option<Seq>) -> Result<Done, Refused> {
        let pinned =
            match comment {
                None => None,
                Some(seq) => {
                    let kept = self.history.find(seq).filter(|kept| kept.visibility == Visibility::Shown);
                    Some(kept.map(|kept| kept.comment.clone()).ok_or_else(|| {
                        Refused::new(Refusal::NotFound, "there is no such comment any more")
                    })?)
                }
            };
        let target = pinned.as_ref().map_or_else(|| "none".to_owned(), |comment| comment.text.to_string());
        let before = std::mem::replace(&mut self.standing.pinned, comment);
        self.announce(|seq| Event::Pinned { seq, comment: pinned });
        Ok(Done::new(target, Reversal::Pin(before)))
    }

    fn undo(&mut self, entry: u64, role: Role, by: &Arc<str>, now: Now) -> Result<Done, Refused> {
        let gone = || Refused::new(Refusal::NotFound, "there is nothing to take back");
        let logged =
            self.log.find(entry).filter(|logged| logged.entry.undone_by.is_none()).ok_or_else(gone)?;
        let reversal = logged.reversal.clone().ok_or_else(gone)?;
        let target = format!("{}: {}", logged.entry.by, logged.entry.target);
        let mut done = Done { target, reversal: None, visibility: None, changed: Vec::new() };
        match reversal {
            Reversal::Restore(seq) => done.visibility = self.restore(seq)?.visibility,
            Reversal::Sanction(user, before) => {
                let before = before.filter(|sanction| match sanction.until {
                    Until::At(end) => now.unix_millis < end,
                    Until::Broadcast(of) => self.broadcast() == Some(of),
                    Until::Forever => true,
                });
                self.sanction(user, before, "moderator", now);
            }
            Reversal::Slow(seconds) => {
                self.standing.slow = seconds;
                self.post_rules();
            }
            Reversal::Links(allowed) => {
                self.standing.links_off = !allowed;
                self.post_rules();
            }
            Reversal::Words(words) => {
                self.standing.words = words;
                self.set_words();
            }
            Reversal::Pin(comment) => drop(self.pin(comment)?),
            Reversal::Promote(user) => {
                if role != Role::Broadcaster {
                    return Err(Refused::new(Refusal::Forbidden, "only the broadcaster does that"));
                }
                if !self.standing.moderators.contains(&user) {
                    self.standing.moderators.push(user);
                }
                self.set_role(user, Role::Moderator);
            }
        }
        done.changed.extend(self.log.undone(entry, by));
        Ok(done)
    }

    /// Sends somebody away, and with them those whose network is meant too.
    fn expel(&mut self, user: UserId, is_meant: impl Fn(crate::chat::person::Prefix) -> bool) {
        let leaving = |(_, session): &(&SessionId, &super::Session)| {
            session.user == user
                || self
                    .people
                    .get(&session.user)
                    .is_some_and(|person| is_meant(person.prefix) && !person.role.moderates())
        };
        let sessions: Vec<SessionId> = self.sessions.iter().filter(leaving).map(|(id, _)| *id).collect();
        for session in sessions {
            self.dismiss(session, Farewell::Banned, false);
        }
    }

    fn called(&self, user: UserId) -> String {
        let name = self.people.get(&user).map(|person| &*person.name).or_else(|| self.names.of(user));
        name.map_or_else(|| user.to_string(), str::to_owned)
    }
}
