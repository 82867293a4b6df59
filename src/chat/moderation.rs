//! What lies upon people, what holds in a room, and the log of who did what and why.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::AuditEntry;
use super::message::{Scope, Seq};
use super::person::{Prefix, UserId};

/// Sanctions that a room keeps. A ban is never forgotten for a newer one: the newer is refused.
pub const MAX_SANCTIONS: usize = 2000;
/// Entries of the log in memory; the store has all.
pub const MAX_LOG: usize = 200;
/// The longest reason, in characters.
pub const MAX_REASON_CHARS: usize = 200;
/// Invitations whose use is remembered: far more than are open at one time.
const MAX_USED_INVITES: usize = 500;

/// What lies upon somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Cannot talk.
    Muted,
    /// Is heard by nobody else.
    Shadowed,
    /// Cannot come in; nor can the network, with [`Scope::Network`].
    Banned(Scope),
}

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Until this Unix time in milliseconds.
    At(i64),
    /// Until this broadcast ends.
    Broadcast(u64),
    /// For good.
    Forever,
}

/// A sanction in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sanction {
    /// What.
    pub kind: Kind,
    /// How long.
    pub until: Until,
    /// Where the person came from, if that was known.
    pub prefix: Option<Prefix>,
}

impl Sanction {
    fn holds(&self, unix_millis: i64, broadcast: Option<u64>) -> bool {
        match self.until {
            Until::At(end) => unix_millis < end,
            Until::Broadcast(of) => broadcast == Some(of),
            Until::Forever => true,
        }
    }
}

/// The sanctions of a room: one a person at most.
#[derive(Clone, Debug, Default)]
pub struct Sanctions(HashMap<UserId, Sanction>);

impl Sanctions {
    /// What lies upon somebody.
    pub fn upon(&self, user: UserId, unix_millis: i64, broadcast: Option<u64>) -> Option<Sanction> {
        self.0.get(&user).copied().filter(|sanction| sanction.holds(unix_millis, broadcast))
    }

    /// Whether nobody from there may come in.
    pub fn bars(&self, prefix: Prefix, unix_millis: i64, broadcast: Option<u64>) -> bool {
        self.from(prefix, Scope::Network, unix_millis, broadcast).is_some()
    }

    /// Until when newcomers from there are suspects: somebody from there is kept out.
    pub fn suspects(&self, prefix: Prefix, unix_millis: i64, broadcast: Option<u64>) -> Option<Until> {
        self.from(prefix, Scope::User, unix_millis, broadcast)
    }

    fn from(&self, prefix: Prefix, scope: Scope, unix_millis: i64, broadcast: Option<u64>) -> Option<Until> {
        self.0
            .values()
            .find(|sanction| {
                sanction.kind == Kind::Banned(scope)
                    && sanction.prefix == Some(prefix)
                    && sanction.holds(unix_millis, broadcast)
            })
            .map(|sanction| sanction.until)
    }

    /// Puts one upon somebody, in place of what lay there. `None` lifts it. Returns whether there was room.
    pub fn set(&mut self, user: UserId, sanction: Option<Sanction>) -> bool {
        match sanction {
            None => {
                self.0.remove(&user);
                true
            }
            Some(sanction) if self.0.len() < MAX_SANCTIONS || self.0.contains_key(&user) => {
                self.0.insert(user, sanction);
                true
            }
            Some(_) => false,
        }
    }

    /// Forgets those that are over.
    pub fn expire(&mut self, unix_millis: i64, broadcast: Option<u64>) {
        self.0.retain(|_, sanction| sanction.holds(unix_millis, broadcast));
    }

    /// All, for the store.
    pub fn all(&self) -> Vec<(UserId, Sanction)> {
        let mut all: Vec<(UserId, Sanction)> =
            self.0.iter().map(|(user, sanction)| (*user, *sanction)).collect();
        all.sort_unstable_by_key(|(user, _)| *user);
        all
    }
}

/// What of a room's order outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The least time between two comments of one person, in seconds.
    pub slow: u32,
    /// Links are off.
    pub links_off: bool,
    /// Blocked words.
    pub words: Vec<String>,
    /// The pinned comment.
    pub pinned: Option<Seq>,
    /// Sanctions.
    pub sanctions: Vec<(UserId, Sanction)>,
    /// Who keeps order beside the broadcaster.
    pub moderators: Vec<UserId>,
    /// Invitations that were used.
    pub used_invites: VecDeque<u64>,
}

impl Standing {
    /// Marks an invitation as used; `false` when it was already.
    pub fn use_invite(&mut self, invite: u64) -> bool {
        if self.used_invites.contains(&invite) {
            return false;
        }
        if self.used_invites.len() == MAX_USED_INVITES {
            self.used_invites.pop_front();
        }
        self.used_invites.push_back(invite);
        true
    }
}

/// What taking an act back comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversal {
    /// A deleted comment comes back.
    Restore(Seq),
    /// Somebody has what lay upon them before.
    Sanction(UserId, Option<Sanction>),
    /// The former interval.
    Slow(u32),
    /// The former rule.
    Links(bool),
    /// The former list.
    Words(Vec<String>),
    /// The former pin.
    Pin(Option<Seq>),
    /// Somebody is a moderator again.
    Promote(UserId),
}

/// An entry of the log with the way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Logged {
    /// What is shown.
    pub entry: AuditEntry,
    /// How to take it back; absent for what took something back.
    pub reversal: Option<Reversal>,
}

/// The newest entries of the log.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: VecDeque<Logged>,
    last: u64,
}

impl Log {
    /// With entries from the store, the newest last.
    pub fn restored(entries: Vec<Logged>) -> Self {
        let last = entries.last().map_or(0, |logged| logged.entry.entry);
        let mut log = Self { entries: entries.into(), last };
        log.trim();
        log
    }

    /// The number of the next entry.
    pub const fn next(&self) -> u64 {
        self.last + 1
    }

    /// Adds an entry with that number.
    pub fn push(&mut self, logged: Logged) {
        self.last = logged.entry.entry;
        self.entries.push_back(logged);
        self.trim();
    }

    /// An entry that is still in memory.
    pub fn find(&self, entry: u64) -> Option<&Logged> {
        self.entries.iter().find(|logged| logged.entry.entry == entry)
    }

    /// Marks an entry as taken back; gives it for the store.
    pub fn undone(&mut self, entry: u64, by: &Arc<str>) -> Option<Logged> {
        let logged = self.entries.iter_mut().find(|logged| logged.entry.entry == entry)?;
        logged.entry.undone_by = Some(Arc::clone(by));
        Some(logged.clone())
    }

    /// All that is in memory, the newest last.
    pub fn entries(&self) -> Vec<AuditEntry> {
        self.entries.iter().map(|logged| logged.entry.clone()).collect()
    }

    fn trim(&mut self) {
        while self.entries.len() > MAX_LOG {
            self.entries.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TROLL: UserId = UserId(9);

    fn ban(scope: Scope, until: Until) -> Sanction {
        Sanction { kind: Kind::Banned(scope), until, prefix: Some(Prefix::v4([10, 0, 0, 1])) }
    }

    #[test]
    fn sanctions_end_in_time_or_with_the_broadcast() {
        let mut sanctions = Sanctions::default();
        sanctions.set(TROLL, Some(ban(Scope::User, Until::At(1000))));
        assert!(sanctions.upon(TROLL, 999, None).is_some() && sanctions.upon(TROLL, 1000, None).is_none());
        sanctions.set(TROLL, Some(ban(Scope::User, Until::Broadcast(5))));
        assert!(sanctions.upon(TROLL, 0, Some(5)).is_some() && sanctions.upon(TROLL, 0, Some(6)).is_none());
        sanctions.expire(0, Some(6));
        assert!(sanctions.all().is_empty());
    }

    #[test]
    fn a_network_is_barred_or_under_suspicion() {
        let mut sanctions = Sanctions::default();
        let (there, elsewhere) = (Prefix::v4([10, 0, 0, 77]), Prefix::v4([10, 0, 1, 1]));
        sanctions.set(TROLL, Some(ban(Scope::User, Until::Forever)));
        assert_eq!(sanctions.suspects(there, 0, None), Some(Until::Forever));
        assert!(!sanctions.bars(there, 0, None) && sanctions.suspects(elsewhere, 0, None).is_none());
        sanctions.set(TROLL, Some(ban(Scope::Network, Until::Forever)));
        assert!(sanctions.bars(there, 0, None) && !sanctions.bars(elsewhere, 0, None));
    }

    #[test]
    fn what_is_kept_has_a_bound_and_no_ban_is_forgotten_for_another() {
        let mut sanctions = Sanctions::default();
        for user in 0..MAX_SANCTIONS as u64 {
            assert!(sanctions.set(UserId(user), Some(ban(Scope::User, Until::Forever))));
        }
        assert!(!sanctions.set(UserId(u64::MAX), Some(ban(Scope::User, Until::Forever))));
        assert!(sanctions.upon(UserId(0), 0, None).is_some());
        let mut standing = Standing::default();
        assert!(standing.use_invite(1) && !standing.use_invite(1));
        for invite in 0..10_000 {
            standing.use_invite(invite);
        }
        assert_eq!(standing.used_invites.len(), MAX_USED_INVITES);
    }
}
