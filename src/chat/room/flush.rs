//! What all viewers get: events in the order of their numbers, and counts, together and not too often.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::{Batch, Room};
use crate::chat::event::{Event, Member, Reaction};
use crate::chat::message::Seq;
use crate::chat::now::Now;
use crate::chat::person::UserId;
use crate::chat::sampling::{Audience, Posted};
use crate::media::{MediaTime, Signal};

/// How often counts are told: four times a second.
const COUNTS: Duration = Duration::from_millis(250);
/// How often signals go out.
const SIGNALS: Duration = Duration::from_secs(1);
/// How often what is over is forgotten.
const CLEANING: Duration = Duration::from_secs(30);
/// Comings and goings that are told at once; of more, only the count.
const MAX_MOVES: usize = 100;
/// Hashtags that are counted in one interval.
const MAX_TAGS: usize = 1000;
/// A hashtag of fewer uses within the interval goes out only among so many.
const MAX_TAG_SIGNALS: usize = 50;

/// What waits to go out.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Events that wait for comments of lower numbers to be stored.
    staged: BTreeMap<Seq, Posted>,
    events: Vec<Arc<Posted>>,
    /// The last event that went out or stands in `events`.
    posted: Seq,
    flushed: Duration,
    /// How long events wait for others.
    interval: Duration,
    counted: Duration,
    told_count: usize,
    joined: BTreeMap<UserId, Member>,
    left: Vec<UserId>,
    /// By kind and colour.
    reactions: HashMap<(usize, u16), u32>,
    pub(super) total_reactions: u64,
    signalled: Duration,
    comments: u32,
    reacted: u32,
    hashtags: HashMap<Arc<str>, u32>,
    cleaned: Duration,
}

impl Outbox {
    pub(super) fn new(posted: Seq, interval: Duration) -> Self {
        Self { posted, interval, ..Self::default() }
    }

    /// The last event that went out, or will with the next batch.
    pub(super) const fn posted(&self) -> Seq {
        self.posted
    }

    pub(super) fn count_comment(&mut self, hashtags: &[Arc<str>]) {
        self.comments += 1;
        for tag in hashtags {
            if self.hashtags.len() < MAX_TAGS || self.hashtags.contains_key(tag) {
                *self.hashtags.entry(Arc::clone(tag)).or_default() += 1;
            }
        }
    }

    pub(super) fn count_reactions(&mut self, kind: usize, hue: u16, count: u32) {
        if count > 0 {
            *self.reactions.entry((kind, hue)).or_default() += count;
            self.total_reactions += u64::from(count);
            self.reacted += count;
        }
    }

    pub(super) fn came(&mut self, member: Member, is_small: bool) {
        self.left.retain(|user| *user != member.user);
        if is_small && self.joined.len() < MAX_MOVES {
            self.joined.insert(member.user, member);
        }
    }

    pub(super) fn left(&mut self, user: UserId, is_small: bool) {
        self.joined.remove(&user);
        if is_small && self.left.len() < MAX_MOVES {
            self.left.push(user);
        }
    }

    fn has_counts(&self, present: usize) -> bool {
        present != self.told_count
            || !self.joined.is_empty()
            || !self.left.is_empty()
            || !self.reactions.is_empty()
    }

    fn has_signals(&self) -> bool {
        self.comments > 0 || self.reacted > 0
    }
}

impl Room {
    /// What all viewers get now, if it is time; what was waited for runs its course.
    pub fn flush(&mut self, now: Now) -> Batch {
        let mut batch = Batch::default();
        self.decide_cases(now);
        if now.uptime >= self.outbox.cleaned + CLEANING {
            self.outbox.cleaned = now.uptime;
            self.forget(now);
        }
        // Both together: it is the number of writes that costs.
        if now.uptime >= self.outbox.flushed + self.outbox.interval {
            batch.events.append(&mut self.outbox.events);
            if now.uptime >= self.outbox.counted + COUNTS && self.outbox.has_counts(self.present) {
                self.outbox.counted = now.uptime;
                batch.events.extend(self.counts_events().into_iter().map(Arc::new));
            }
        }
        if !batch.events.is_empty() {
            self.outbox.flushed = now.uptime;
        }
        if now.uptime >= self.outbox.signalled + SIGNALS && self.outbox.has_signals() {
            self.outbox.signalled = now.uptime;
            let at = self.media_time(now).unwrap_or_default();
            batch.signals = self.signals(at);
        }
        batch
    }

    /// How long events wait for others from now on; `chat.batch_interval` in the beginning.
    pub const fn wait_for_others(&mut self, interval: Duration) {
        self.outbox.interval = interval;
    }

    /// The uptime at which [`flush`](Self::flush) has something to do, if nothing else happens.
    pub fn next_timeout(&self) -> Option<Duration> {
        let outbox = &self.outbox;
        let next_flush = outbox.flushed + outbox.interval;
        let due = |is_due: bool, at: Duration| is_due.then_some(at);
        [
            due(!outbox.events.is_empty(), next_flush),
            due(outbox.has_counts(self.present), next_flush.max(outbox.counted + COUNTS)),
            due(outbox.has_signals(), outbox.signalled + SIGNALS),
            due(!self.people.is_empty(), outbox.cleaned + CLEANING),
            self.juries.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sends an event to all, after those with lower numbers.
    pub(super) fn post(&mut self, posted: Posted) {
        self.outbox.staged.insert(posted.seq, posted);
        self.release();
    }

    /// Sends what no comment is waited for any more.
    pub(super) fn release(&mut self) {
        let first_awaited = self.awaited.first().copied().unwrap_or(Seq::MAX);
        while let Some(entry) = self.outbox.staged.first_entry()
            && *entry.key() < first_awaited
        {
            let posted = Arc::new(entry.remove());
            self.outbox.posted = posted.seq;
            self.history.event(Arc::clone(&posted));
            self.outbox.events.push(posted);
        }
    }

    /// Sends an event with the next number to all.
    pub(super) fn announce(&mut self, event: impl FnOnce(Seq) -> Event) {
        let seq = self.next_seq();
        let json = event(seq).json();
        self.post(Posted { seq, json, audience: Audience::Everyone });
    }

    /// Tells of a comment's deletion at once where the event has to wait for comments that are being stored. The comment itself is not
    /// behind this: it was found, so it went out, or will with the next batch. Who comes back gets the event that has its turn.
    pub(super) fn hurry_deletion(&mut self, comment: Seq) {
        if !self.outbox.staged.is_empty() {
            let json = Event::Deleted { seq: 0, comment }.json();
            self.outbox.events.push(Arc::new(Posted { seq: 0, json, audience: Audience::Everyone }));
        }
    }

    pub(super) fn post_rules(&mut self) {
        let rules = self.rules();
        self.announce(|seq| Event::Rules { seq, rules });
    }

    fn counts_events(&mut self) -> Vec<Posted> {
        let mut events = Vec::new();
        let outbox = &mut self.outbox;
        if self.present != outbox.told_count || !outbox.joined.is_empty() || !outbox.left.is_empty() {
            outbox.told_count = self.present;
            events.push(Event::Presence {
                count: self.present,
                joined: std::mem::take(&mut outbox.joined).into_values().collect(),
                left: std::mem::take(&mut outbox.left),
            });
        }
        if !outbox.reactions.is_empty() {
            let mut counted: Vec<((usize, u16), u32)> = outbox.reactions.drain().collect();
            counted.sort_unstable();
            let reaction = |((kind, hue), count): ((usize, u16), u32)| {
                let kind = self.config.reactions.get(kind)?.as_str().into();
                Some(Reaction { kind, hue, count })
            };
            let counts = counted.into_iter().filter_map(reaction).collect();
            events.push(Event::Reactions { counts, total: outbox.total_reactions });
        }
        let passing = |event: Event| Posted { seq: 0, json: event.json(), audience: Audience::Everyone };
        events.into_iter().map(passing).collect()
    }

    fn signals(&mut self, at: MediaTime) -> Vec<Signal> {
        let outbox = &mut self.outbox;
        let mut signals = Vec::new();
        let comments = std::mem::take(&mut outbox.comments);
        if comments > 0 {
            signals.push(Signal::Comments { at, count: comments });
        }
        let reactions = std::mem::take(&mut outbox.reacted);
        if reactions > 0 {
            signals.push(Signal::Reactions { at, count: reactions });
        }
        let mut tags: Vec<(Arc<str>, u32)> = outbox.hashtags.drain().collect();
        tags.sort_unstable_by(|(tag, count), (other, more)| (more, tag).cmp(&(count, other)));
        tags.truncate(MAX_TAG_SIGNALS);
        signals.extend(tags.into_iter().map(|(tag, count)| Signal::Hashtag { at, tag, count }));
        signals
    }
}
