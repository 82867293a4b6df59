//! Reports, and the flash jury that decides them.

use std::sync::Arc;
use std::time::Duration;

use super::{Fate, Pending, Refused, Room, SessionId};
use crate::chat::event::{Event, Refusal};
use crate::chat::history::Visibility;
use crate::chat::jury::{Candidate, Case};
use crate::chat::message::{Act, Seq};
use crate::chat::moderation::{Kind, Reversal, Sanction, Until};
use crate::chat::now::{Now, millis};
use crate::chat::pace::Pace;
use crate::chat::person::UserId;

/// How often one person may report something.
const REPORTS: Pace = Pace { burst: 3, interval: Duration::from_secs(20) };

impl Room {
    pub(super) fn report(
        &mut self,
        session: SessionId,
        user: UserId,
        id: &Arc<str>,
        comment: Seq,
        now: Now,
    ) -> Result<(), Refused> {
        // Whoever is silenced, or heard by nobody, calls no jury; that they are not heard they are not told.
        let is_heard = self.may_talk(user, now)? == Visibility::Shown;
        let Some(reporter) = self.people.get_mut(&user) else { return Ok(()) };
        reporter.reports.take(REPORTS, now.uptime).map_err(|wait| {
            Refused::new(Refusal::RateLimited, "you have just reported something").after(wait)
        })?;
        let reporter = Candidate { user, prefix: reporter.prefix };
        let kept = self.history.find(comment).filter(|kept| kept.visibility == Visibility::Shown);
        let Some(kept) = kept else {
            return Err(Refused::new(Refusal::NotFound, "there is no such comment any more"));
        };
        let (author, text, acquitted) = (kept.comment.user, Arc::clone(&kept.comment.text), kept.acquitted);
        let moderates = kept.comment.role.moderates();
        if author == user {
            return Err(Refused::new(Refusal::Forbidden, "this is your own comment"));
        }
        if moderates {
            return Err(Refused::new(
                Refusal::Forbidden,
                "the broadcaster and moderators are not reported to viewers",
            ));
        }
        if is_heard && !acquitted {
            let jury = self.call_jury(comment, author, reporter, &text, now);
            self.direct_to_moderators(&Event::Reported { comment, jury });
        }
        self.requests.set(user, id, Fate::Done(None));
        self.direct(session, &Event::Accepted { id: Arc::clone(id), comment: None });
        Ok(())
    }

    pub(super) fn vote(&mut self, user: UserId, case: u64, guilty: bool, now: Now) -> Result<(), Refused> {
        if !self.juries.vote(case, user, guilty) {
            return Err(Refused::new(Refusal::NotFound, "this case is closed, or not yours"));
        }
        self.decide_cases(now);
        Ok(())
    }

    /// Ends the cases that are decided.
    pub(super) fn decide_cases(&mut self, now: Now) {
        while let Some((case, guilty)) = self.juries.decided(now.uptime) {
            self.decide(&case, guilty, now);
        }
    }

    fn call_jury(
        &mut self,
        comment: Seq,
        author: UserId,
        reporter: Candidate,
        text: &Arc<str>,
        now: Now,
    ) -> bool {
        let Some(accused) = self.people.get(&author) else { return false };
        let parties = (comment, Candidate { user: author, prefix: accused.prefix }, reporter);
        let (presence, broadcast) = (self.config.jury_presence, self.broadcast());
        let candidates = self.people.iter().filter_map(|(user, person)| {
            let is_fit = person.here_for(now) >= presence
                && person.sessions > 0
                && self.sanctions.upon(*user, now.unix_millis, broadcast).is_none();
            is_fit.then_some(Candidate { user: *user, prefix: person.prefix })
        });
        let deadline = now.uptime + self.config.jury_time;
        let one_per_network = self.config.jury_one_per_network;
        let called = self.juries.call(parties, candidates, one_per_network, deadline, &mut self.random);
        let Some(Case { id, votes, .. }) = called.cloned() else { return false };
        self.counts.juries += 1;
        let seconds = u32::try_from(self.config.jury_time.as_secs()).unwrap_or(u32::MAX).max(1);
        for (juror, _) in votes {
            self.direct_to(juror, &Event::Summons { case: id, text: Arc::clone(text), seconds });
        }
        true
    }

    fn decide(&mut self, case: &Case, guilty: bool, now: Now) {
        let verdict = Event::Verdict { case: case.id, comment: case.comment, guilty };
        let jurors = case.votes.iter().map(|(juror, _)| *juror);
        for user in jurors.chain([case.reporter]) {
            self.direct_to(user, &verdict);
        }
        let target = match self.history.find(case.comment) {
            Some(kept) => {
                kept.acquitted |= !guilty;
                format!("{}: {}", kept.comment.name, kept.comment.text)
            }
            None => case.author.to_string(),
        };
        if !guilty {
            return;
        }
        let Some(person) = self.people.get_mut(&case.author) else { return };
        person.convictions += 1;
        let (convictions, prefix) = (person.convictions, person.prefix);
        let first = self.config.jury_mute;
        // The first time for a minute, then until the broadcast ends.
        let (until, seconds) = match self.broadcast() {
            Some(broadcast) if convictions > 1 => (Until::Broadcast(broadcast), None),
            _ => {
                let end = now.unix_millis.saturating_add(millis(first));
                (Until::At(end), Some(u32::try_from(first.as_secs()).unwrap_or(u32::MAX)))
            }
        };
        let before = self.sanctions.upon(case.author, now.unix_millis, self.broadcast());
        if before.is_some_and(|sanction| {
            matches!(sanction.kind, Kind::Banned(_)) || sanction.until == Until::Forever
        }) {
            return;
        }
        let sanction = Sanction { kind: Kind::Muted, until, prefix: Some(prefix) };
        if self.sanction(case.author, Some(sanction), "jury", now) {
            let act = Act::Mute { user: case.author, seconds };
            let reversal = Reversal::Sanction(case.author, before);
            let votes = case.votes.iter().filter(|(_, vote)| *vote == Some(true)).count();
            let reason = format!("{votes} of {} jurors", case.votes.len());
            let logged = self.log_act(("jury", None), act, &target, &reason, Some(reversal), now);
            self.keep_order(vec![logged], None, Pending::Silent);
        }
    }
}
