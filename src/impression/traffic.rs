//! Rules against traffic that no people make. All of them are configuration: an operator who bills by other people's
//! counts turns off what they do themselves.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::beacons::EventKind;
use crate::ledger::{AttentionKind, SessionId, UnixMillis};

const HOUR_MILLIS: i64 = 3_600_000;
/// Sessions and networks that are remembered; beyond that, the rules about them do not hold.
const MAX_REMEMBERED: usize = 500_000;

/// What makes an event invalid. A limit of 0 is none.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficRules {
    /// Whether any of them holds.
    pub enabled: bool,
    /// Words in a `User-Agent` that tell a program, in small letters.
    pub bots: Vec<String>,
    /// Displays of one session in any hour.
    pub displays_per_session: u32,
    /// Sessions of one network that have displays in any hour.
    pub sessions_per_network: u32,
    /// Clicks of one session in any hour.
    pub clicks_per_session: u32,
    /// A click sooner after the display than this is nobody's, in milliseconds.
    pub min_click_delay_ms: u32,
}

impl Default for TrafficRules {
    fn default() -> Self {
        Self {
            enabled: true,
            bots: ["bot", "crawler", "spider", "headless", "curl", "wget", "python"]
                .map(str::to_owned)
                .to_vec(),
            displays_per_session: 120,
            // A school, a village behind one address.
            sessions_per_network: 500,
            clicks_per_session: 20,
            min_click_delay_ms: 300,
        }
    }
}

/// What is known of who tells an event.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// What is told.
    pub kind: EventKind,
    /// By which session.
    pub session: SessionId,
    /// From which network: a number made of its prefix.
    pub network: u64,
    /// By which program, as it says itself.
    pub user_agent: &'a str,
    /// When.
    pub at: UnixMillis,
}

/// Why an event is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// A program.
    #[error("a program says so")]
    Bot,
    /// More displays than a session can have.
    #[error("too many displays of one session")]
    Displays,
    /// More sessions than a network can have.
    #[error("too many sessions of one network")]
    Sessions,
    /// More clicks than a person makes.
    #[error("too many clicks of one session")]
    Clicks,
    /// Faster than a person.
    #[error("clicked sooner than anybody can")]
    TooFast,
    /// Nothing was displayed that could be clicked.
    #[error("clicked without a display")]
    NoDisplay,
}

/// Judges events by the rules.
#[derive(Debug)]
pub struct Traffic {
    rules: TrafficRules,
    displays: HashMap<SessionId, VecDeque<UnixMillis>>,
    clicks: HashMap<SessionId, VecDeque<UnixMillis>>,
    networks: HashMap<u64, (UnixMillis, HashSet<SessionId>)>,
    swept: UnixMillis,
}

impl Traffic {
    /// With these rules.
    pub fn new(rules: TrafficRules) -> Self {
        Self {
            rules,
            displays: HashMap::new(),
            clicks: HashMap::new(),
            networks: HashMap::new(),
            swept: UnixMillis::MIN,
        }
    }

    /// Judges an event, in the order in which they come; what is not believed leaves no trace.
    ///
    /// # Errors
    /// When it is not believed.
    pub fn judge(&mut self, event: Observation<'_>) -> Result<(), Invalid> {
        if !self.rules.enabled {
            return Ok(());
        }
        self.sweep(event.at);
        let agent = event.user_agent.to_lowercase();
        if agent.is_empty() || self.rules.bots.iter().any(|bot| agent.contains(bot.as_str())) {
            return Err(Invalid::Bot);
        }
        match event.kind {
            EventKind::Display => self.display(event),
            EventKind::Attention(AttentionKind::Click) => self.click(event),
            _ => Ok(()),
        }
    }

    fn display(&mut self, event: Observation<'_>) -> Result<(), Invalid> {
        let limit = self.rules.sessions_per_network as usize;
        if let Some(network) = room(&mut self.networks, event.network, || (event.at, HashSet::new())) {
            if event.at - network.0 >= HOUR_MILLIS {
                *network = (event.at, HashSet::new());
            }
            let known = network.1.contains(&event.session);
            if limit > 0 && !known && network.1.len() >= limit {
                return Err(Invalid::Sessions);
            }
            network.1.insert(event.session);
        }
        count(&mut self.displays, event, self.rules.displays_per_session).ok_or(Invalid::Displays)
    }

    fn click(&mut self, event: Observation<'_>) -> Result<(), Invalid> {
        let last = self.displays.get(&event.session).and_then(VecDeque::back).ok_or(Invalid::NoDisplay)?;
        if event.at - last < self.rules.min_click_delay_ms.into() {
            return Err(Invalid::TooFast);
        }
        count(&mut self.clicks, event, self.rules.clicks_per_session).ok_or(Invalid::Clicks)
    }

    /// Forgets, a few times an hour, what is older than one.
    fn sweep(&mut self, now: UnixMillis) {
        if now.saturating_sub(self.swept) < HOUR_MILLIS / 4 {
            return;
        }
        self.swept = now;
        for times in [&mut self.displays, &mut self.clicks] {
            times.retain(|_, times| times.back().is_some_and(|last| now - last < HOUR_MILLIS));
        }
        self.networks.retain(|_, (since, _)| now - *since < HOUR_MILLIS);
    }
}

/// Counts an event of a session if the limit of an hour allows one more.
fn count(
    times: &mut HashMap<SessionId, VecDeque<UnixMillis>>,
    event: Observation<'_>,
    limit: u32,
) -> Option<()> {
    let Some(times) = room(times, event.session, VecDeque::new) else { return Some(()) };
    while times.front().is_some_and(|first| event.at - first >= HOUR_MILLIS) {
        times.pop_front();
    }
    if limit > 0 && times.len() >= limit as usize {
        return None;
    }
    // Without a limit only the last one is asked for.
    if limit == 0 {
        times.clear();
    }
    times.push_back(event.at);
    Some(())
}

/// The entry of a key, if there is one or room for it.
fn room<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: K, new: impl FnOnce() -> V) -> Option<&mut V> {
    if !map.contains_key(&key) && map.len() >= MAX_REMEMBERED {
        return None;
    }
    Some(map.entry(key).or_insert_with(new))
}
