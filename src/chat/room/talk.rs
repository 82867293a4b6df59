//! Comments and reactions.

use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use super::{Fate, Pending, Person, Record, Refused, Room, SessionId};
use crate::chat::event::{Comment, Event, Quote, Refusal};
use crate::chat::fold::fold;
use crate::chat::history::Visibility;
use crate::chat::message::Seq;
use crate::chat::moderation::{Kind, Until};
use crate::chat::now::Now;
use crate::chat::person::UserId;
use crate::chat::sampling::{Audience, Posted};
use crate::chat::{tags, text};
use crate::media::MediaTime;

/// How far ahead of the newest frame an author's clock may be.
const AHEAD: MediaTime = MediaTime::from_millis(2000);
/// Links in one comment, where links are allowed.
const MAX_LINKS: usize = 2;
/// Mentions that count, in one comment.
const MAX_MENTIONS: usize = 5;
/// Of a comment that is answered, in characters.
const QUOTE_CHARS: usize = 80;
/// Of one's own texts, this many are compared.
const MAX_SAID: usize = 4;
/// Texts of the room that are compared.
const MAX_CHORUS: usize = 400;
/// How often the same long text may be said by anybody within [`CHORUS_WINDOW`].
const CHORUS: usize = 5;
/// See [`CHORUS`].
const CHORUS_WINDOW: Duration = Duration::from_secs(30);
/// Texts shorter than this are said by many at once without being copied.
const CHORUS_CHARS: usize = 40;
/// The most reactions that one message counts.
const MAX_TAPS: u32 = 50;

/// A comment as its author sent it.
pub(super) struct Draft<'a> {
    pub text: &'a str,
    pub time_ns: Option<i64>,
    pub reply_to: Option<Seq>,
}

impl Room {
    pub(super) fn comment(
        &mut self,
        session: SessionId,
        user: UserId,
        id: &Arc<str>,
        draft: Draft<'_>,
        now: Now,
    ) -> Result<(), Refused> {
        let visibility = self.may_talk(user, now)?;
        let text = text::clean(draft.text, self.config.max_text).map_err(|error| match error {
            text::BadText::Empty => Refused::new(Refusal::Empty, error.to_string()),
            text::BadText::TooLong => Refused::new(
                Refusal::TooLong,
                format!("a comment has at most {} characters", self.config.max_text),
            ),
        })?;
        self.judge(user, &text)?;
        let reply_to = draft.reply_to.map(|seq| self.quote(seq)).transpose()?;
        let mentions = self.mentions(&text);
        // Last, so that a comment that is refused for another reason costs no token.
        let look = look(&text);
        self.pace(user, (look, text.chars().count()), now)?;

        let Some(person) = self.people.get(&user) else { return Err(gone()) };
        let (name, role) = (Arc::clone(&person.name), person.role);
        let newest = self.media_time(now);
        let time_ns = newest.map(|newest| {
            draft.time_ns.map_or(newest.as_nanos(), |said| said.clamp(0, (newest + AHEAD).as_nanos().max(0)))
        });
        let comment = Comment {
            seq: self.next_seq(),
            user,
            name,
            role,
            hue: user.hue(),
            hashtags: tags::hashtags(&text),
            mentions,
            text: text.into(),
            time_ns,
            at: now.unix_millis,
            reply_to,
            shadowed: false,
        };
        let share = self.speed.comment(self.config.readable_per_second, now.uptime);
        let broadcast = self.broadcast();
        let record = Record::Comment { comment: comment.clone(), id: Arc::clone(id), visibility, broadcast };
        let seq = comment.seq;
        let pending = Pending::Comment { comment, id: Arc::clone(id), session, visibility, share };
        if !self.store(record, pending) {
            return Err(
                Refused::new(Refusal::Unavailable, "the server is busy").after(Duration::from_secs(1))
            );
        }
        self.awaited.insert(seq);
        self.requests.set(user, id, Fate::Pending);
        Ok(())
    }

    pub(super) fn comment_stored(
        &mut self,
        comment: Comment,
        id: &Arc<str>,
        session: SessionId,
        (mut visibility, share): (Visibility, u32),
        kept: bool,
        now: Now,
    ) {
        let (seq, user) = (comment.seq, comment.user);
        self.awaited.remove(&seq);
        if !kept {
            self.release();
            self.requests.forget(user, id);
            let refusal = Refused::new(Refusal::Unavailable, "the comment could not be kept: send it again");
            return self.refuse(session, Some(Arc::clone(id)), refusal.after(Duration::from_secs(1)));
        }
        self.requests.set(user, id, Fate::Done(Some(seq)));
        // Who was banned or muted while the store wrote is not heard any more.
        let sanction = self.sanctions.upon(user, now.unix_millis, self.broadcast());
        if visibility == Visibility::Shown && sanction.is_some_and(|sanction| sanction.kind != Kind::Shadowed)
        {
            visibility = Visibility::Deleted;
            let record = Record::Order {
                visibility: Some((seq, visibility)),
                log: Vec::new(),
                standing: self.standing.clone(),
            };
            self.store(record, Pending::Silent);
        }
        self.history.comment(comment.clone(), visibility);
        match visibility {
            Visibility::Shown => self.publish(comment, share),
            Visibility::Shadowed => {
                let shadowed = Event::Comment(Comment { shadowed: true, ..comment.clone() });
                self.direct_to(user, &Event::Comment(comment));
                self.direct_where(&shadowed, |id, person| id != user && person.role.moderates());
            }
            Visibility::Deleted => {}
        }
        self.release();
        self.direct(session, &Event::Accepted { id: Arc::clone(id), comment: Some(seq) });
    }

    fn publish(&mut self, comment: Comment, share: u32) {
        self.counts.comments += 1;
        self.outbox.count_comment(&comment.hashtags);
        let answered = comment.reply_to.as_ref().map(|quote| quote.user);
        let addressed: Box<[UserId]> = comment.mentions.iter().copied().chain(answered).collect();
        // Who talks with whom is noted also while everybody reads everything.
        let audience = if comment.role.moderates() || (share == u32::MAX && addressed.is_empty()) {
            Audience::Everyone
        } else {
            Audience::Sample { author: comment.user, share, addressed }
        };
        let (seq, json) = (comment.seq, Event::Comment(comment).json());
        self.post(Posted { seq, json, audience });
    }

    pub(super) fn react(&mut self, user: UserId, kind: &str, count: u32, now: Now) -> Result<(), Refused> {
        if self.may_talk(user, now)? == Visibility::Shadowed {
            return Ok(());
        }
        let Some(kind) = self.config.reactions.iter().position(|known| known == kind) else {
            return Err(Refused::new(Refusal::NotFound, "this room has no such reaction"));
        };
        let pace = self.config.reactions();
        let Some(person) = self.people.get_mut(&user) else { return Err(gone()) };
        // Who taps faster is not told: the hearts that are too many do not count.
        let counted = person.hearts.take_up_to(count.min(MAX_TAPS), pace, now.uptime);
        self.counts.reactions += u64::from(counted);
        self.outbox.count_reactions(kind, user.hue(), counted);
        Ok(())
    }

    /// Whether somebody may say anything, and who would hear it.
    pub(super) fn may_talk(&self, user: UserId, now: Now) -> Result<Visibility, Refused> {
        let Some(person) = self.people.get(&user) else { return Err(gone()) };
        if person.expires.is_some_and(|end| now.unix_millis >= end) {
            return Err(Refused::new(
                Refusal::BadToken,
                "the site's voucher for you has run out: load the page again",
            ));
        }
        let visibility = match self.sanctions.upon(user, now.unix_millis, self.broadcast()) {
            None => Visibility::Shown,
            Some(sanction) => match sanction.kind {
                Kind::Shadowed => Visibility::Shadowed,
                Kind::Banned(_) => {
                    return Err(Refused::new(Refusal::Banned, "you are banned from this room"));
                }
                Kind::Muted => {
                    let refusal = Refused::new(Refusal::Muted, "you are muted");
                    return Err(match sanction.until {
                        Until::At(end) => {
                            refusal.after(Duration::from_millis((end - now.unix_millis).max(0) as u64))
                        }
                        Until::Broadcast(_) | Until::Forever => refusal,
                    });
                }
            },
        };
        if !self.is_open() && !person.role.moderates() {
            return Err(Refused::new(Refusal::Closed, "the room is open while the channel is on the air"));
        }
        Ok(visibility)
    }

    /// The rules about what is said.
    fn judge(&self, user: UserId, text: &str) -> Result<(), Refused> {
        let Some(person) = self.people.get(&user) else { return Err(gone()) };
        if person.role.moderates() {
            return Ok(());
        }
        let links = text::links(text);
        if links > 0 && self.standing.links_off {
            return Err(Refused::new(Refusal::Links, "links are off in this room"));
        }
        if links > MAX_LINKS {
            return Err(Refused::new(Refusal::Links, format!("a comment may have {MAX_LINKS} links")));
        }
        if self.words.are_in(text) {
            return Err(Refused::new(
                Refusal::BlockedWord,
                "this room does not want to read one of these words",
            ));
        }
        Ok(())
    }

    /// The rules about how often something is said.
    fn pace(&mut self, user: UserId, (look, chars): (u64, usize), now: Now) -> Result<(), Refused> {
        let (pace, window) = (self.config.comments(), self.config.duplicate_window);
        let slow = Duration::from_secs(self.standing.slow.into());
        let Some(person) = self.people.get_mut(&user) else { return Err(gone()) };
        if person.role.moderates() {
            return Ok(());
        }
        forget_before(&mut person.said, now.uptime.saturating_sub(window));
        if person.said.iter().any(|(said, _)| *said == look) {
            return Err(Refused::new(Refusal::Duplicate, "you have just said that"));
        }
        let next = person.last_comment.map_or(Duration::ZERO, |last| last + slow);
        if let Some(wait) = next.checked_sub(now.uptime).filter(|wait| !wait.is_zero()) {
            let message = format!("slow mode: one comment every {} s", slow.as_secs());
            return Err(Refused::new(Refusal::SlowMode, message).after(wait));
        }
        forget_before(&mut self.chorus, now.uptime.saturating_sub(CHORUS_WINDOW));
        let is_long = chars >= CHORUS_CHARS;
        if is_long && self.chorus.iter().filter(|(said, _)| *said == look).count() >= CHORUS {
            return Err(Refused::new(Refusal::Duplicate, "this has been said several times"));
        }
        person.talk.take(pace, now.uptime).map_err(|wait| {
            Refused::new(Refusal::RateLimited, "you are faster than people can read").after(wait)
        })?;
        remember(&mut person.said, look, now, MAX_SAID);
        person.last_comment = Some(now.uptime);
        if is_long {
            remember(&mut self.chorus, look, now, MAX_CHORUS);
        }
        Ok(())
    }

    fn quote(&mut self, seq: Seq) -> Result<Quote, Refused> {
        let kept = self.history.find(seq).filter(|kept| kept.visibility == Visibility::Shown);
        let comment =
            &kept.ok_or_else(|| Refused::new(Refusal::NotFound, "the comment you answer is gone"))?.comment;
        Ok(Quote {
            seq,
            user: comment.user,
            name: Arc::clone(&comment.name),
            text: comment.text.chars().take(QUOTE_CHARS).collect::<String>().into(),
        })
    }

    fn mentions(&self, text: &str) -> Vec<UserId> {
        let mut mentioned = Vec::new();
        for user in tags::mentions(text).filter_map(|rest| self.names.at_beginning_of(rest)) {
            if mentioned.len() < MAX_MENTIONS && !mentioned.contains(&user) {
                mentioned.push(user);
            }
        }
        mentioned
    }
}

impl Person {
    /// How long they have been here without a break.
    pub(super) fn here_for(&self, now: Now) -> Duration {
        if self.sessions == 0 { Duration::ZERO } else { now.uptime.saturating_sub(self.since) }
    }
}

fn gone() -> Refused {
    Refused::new(Refusal::NotFound, "you are not in this room")
}

fn look(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    fold(text).chars().filter(|c| c.is_alphanumeric() || !c.is_ascii()).for_each(|c| c.hash(&mut hasher));
    hasher.finish()
}

fn remember(said: &mut VecDeque<(u64, Duration)>, look: u64, now: Now, limit: usize) {
    while said.len() >= limit {
        said.pop_front();
    }
    said.push_back((look, now.uptime));
}

fn forget_before(said: &mut VecDeque<(u64, Duration)>, moment: Duration) {
    while said.front().is_some_and(|(_, at)| *at < moment) {
        said.pop_front();
    }
}
