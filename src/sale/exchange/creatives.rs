//! What is known of one bidder's creatives: on their way, at hand, or not to be shown. No bidder takes another's room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::auction::bidder::openrtb::{Found, Standing};
use crate::booking::creative::MediaType;
use crate::format::category::with_those_above;
use crate::format::link::Link;
use crate::format::vast::Overlay;

/// Creatives of a bidder that anything is known of.
pub const MAX_CREATIVES: usize = 1000;
/// Of them, those that are fetched or wait for it.
pub const MAX_FETCHING: usize = 64;
/// Files of a bidder's creatives, together, in bytes.
pub const MAX_BYTES: usize = 32 << 20;
/// How long one that must not be shown stays so: a bidder may have mended it.
const REFUSED: Duration = Duration::from_secs(600);
/// How long until one that did not come is tried again.
const AGAIN: Duration = Duration::from_secs(30);

/// A creative that is at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Creative {
    /// The image file, which a worker has decoded once.
    pub file: Bytes,
    /// Where it came from.
    pub link: Link,
    /// The advertisement around it, if it is VAST: of the bid that it was fetched for, and without what that bid's own wrapper says.
    pub overlay: Option<Overlay>,
}

impl Creative {
    /// Whose server it came from: what viewers are told when nothing else is known of the advertiser.
    pub fn host(&self) -> &str {
        let (_, rest) = self.link.as_str().split_once("://").unwrap_or_default();
        rest.split(['/', ':', '?']).next().unwrap_or_default()
    }

    /// What the auction has to know of it.
    fn standing(&self) -> Standing {
        let Some(overlay) = &self.overlay else { return Standing::Ready };
        let categories = overlay.categories.iter().flat_map(|category| with_those_above(category));
        let found = Found {
            categories: categories.map(Arc::from).collect(),
            shortest_ms: overlay.min_duration_ms.unwrap_or(0),
        };
        if found == Found::default() { Standing::Ready } else { Standing::ReadyAs(Arc::new(found)) }
    }

    /// What kind of image it is.
    pub fn media_type(&self) -> MediaType {
        MediaType::of(&self.file)
    }
}

/// Why a creative is not at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It must not be shown; the text says why.
    Refused(String),
    /// It did not come; the text says why.
    Absent(String),
}

/// All that is known of a bidder's creatives.
#[derive(Debug, Default)]
pub struct Creatives {
    known: HashMap<u64, Known>,
    standings: Arc<BTreeMap<u64, Standing>>,
    bytes: usize,
    fetching: usize,
    uses: u64,
}

#[derive(Debug)]
struct Known {
    state: State,
    used: u64,
}

#[derive(Debug)]
enum State {
    Fetching,
    Ready(Arc<Creative>),
    Refused { until: Instant },
    Absent { until: Instant },
}

impl Creatives {
    /// Somebody has bid with a creative that is not at hand. Whether it is to be fetched now: once, until that is done.
    pub fn want(&mut self, key: u64, now: Instant) -> bool {
        let is_due = match self.known.get(&key).map(|known| &known.state) {
            None => true,
            Some(State::Refused { until } | State::Absent { until }) => *until <= now,
            Some(State::Fetching | State::Ready(_)) => false,
        };
        let is_wanted = is_due && self.fetching < MAX_FETCHING;
        if is_wanted {
            self.put(key, State::Fetching);
        }
        is_wanted
    }

    /// What has become of a creative that was fetched.
    pub fn fetched(&mut self, key: u64, result: Result<Creative, Failure>, now: Instant) {
        let state = match result {
            Ok(creative) => State::Ready(Arc::new(creative)),
            Err(Failure::Refused(_)) => State::Refused { until: now + REFUSED },
            Err(Failure::Absent(_)) => State::Absent { until: now + AGAIN },
        };
        self.put(key, state);
    }

    /// A creative that is at hand.
    pub fn find(&mut self, key: u64) -> Option<Arc<Creative>> {
        self.uses += 1;
        let known = self.known.get_mut(&key)?;
        known.used = self.uses;
        match &known.state {
            State::Ready(creative) => Some(Arc::clone(creative)),
            _ => None,
        }
    }

    /// What a bidder is told by: those that are ready, and those that must not be shown.
    pub fn standings(&mut self, now: Instant) -> Arc<BTreeMap<u64, Standing>> {
        let is_over = |known: &Known| matches!(known.state, State::Refused { until } if until <= now);
        let over: Vec<u64> =
            self.known.iter().filter(|(_, known)| is_over(known)).map(|(key, _)| *key).collect();
        over.into_iter().for_each(|key| self.remove(key));
        Arc::clone(&self.standings)
    }

    /// Bytes of the files that are at hand.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    fn put(&mut self, key: u64, state: State) {
        self.remove(key);
        let standing = match &state {
            State::Ready(creative) => {
                self.bytes += creative.file.len();
                Some(creative.standing())
            }
            State::Refused { .. } => Some(Standing::Disapproved),
            State::Fetching => {
                self.fetching += 1;
                None
            }
            State::Absent { .. } => None,
        };
        if let Some(standing) = standing {
            Arc::make_mut(&mut self.standings).insert(key, standing);
        }
        self.uses += 1;
        self.known.insert(key, Known { state, used: self.uses });
        while self.known.len() > MAX_CREATIVES || self.bytes > MAX_BYTES {
            let idle = self.known.iter().filter(|(_, known)| !matches!(known.state, State::Fetching));
            let Some(oldest) = idle.min_by_key(|(_, known)| known.used).map(|(key, _)| *key) else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: u64) {
        let Some(known) = self.known.remove(&key) else { return };
        match known.state {
            State::Ready(creative) => self.bytes -= creative.file.len(),
            State::Fetching => self.fetching -= 1,
            State::Refused { .. } | State::Absent { .. } => {}
        }
        if self.standings.contains_key(&key) {
            Arc::make_mut(&mut self.standings).remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn creative(bytes: usize) -> Result<Creative, Failure> {
        let link = Link::parse("https://cdn.example/a.png").unwrap();
        Ok(Creative { file: vec![0; bytes].into(), link, overlay: None })
    }

    #[test]
    fn each_is_fetched_once_and_again_after_its_time() {
        let (mut creatives, now) = (Creatives::default(), clock::monotonic());
        assert!(creatives.want(1, now) && creatives.want(2, now) && creatives.want(3, now));
        assert!(!creatives.want(1, now), "it is on its way");
        creatives.fetched(1, creative(10), now);
        creatives.fetched(2, Err(Failure::Refused("no image".into())), now);
        creatives.fetched(3, Err(Failure::Absent("no answer".into())), now);
        assert!(!(1..=3).any(|key| creatives.want(key, now)));
        let expected = BTreeMap::from([(1, Standing::Ready), (2, Standing::Disapproved)]);
        assert_eq!(*creatives.standings(now), expected);
        assert_eq!(creatives.find(1).map(|creative| creative.file.len()), Some(10));
        assert!(creatives.find(2).is_none());
        assert!(creatives.want(3, now + AGAIN) && !creatives.want(2, now + AGAIN));
        let later = now + REFUSED;
        assert_eq!(*creatives.standings(later), BTreeMap::from([(1, Standing::Ready)]));
        assert!(creatives.want(2, later) && !creatives.want(1, later));
    }

    #[test]
    fn what_a_wrapper_has_led_to_says_what_it_is_about_and_how_long_it_takes() {
        let (mut creatives, now) = (Creatives::default(), clock::monotonic());
        let overlay = Overlay {
            categories: vec!["IAB7-39".into(), "IAB1".into()],
            min_duration_ms: Some(20_000),
            ..Overlay::default()
        };
        let wrapped = creative(10).map(|creative| Creative { overlay: Some(overlay), ..creative });
        creatives.fetched(1, wrapped, now);
        let found =
            Found { categories: ["IAB1", "IAB7", "IAB7-39"].map(Arc::from).into(), shortest_ms: 20_000 };
        let expected = BTreeMap::from([(1, Standing::ReadyAs(Arc::new(found)))]);
        assert_eq!(*creatives.standings(now), expected);
    }

    #[test]
    fn memory_is_bounded_and_what_is_shown_stays() {
        let (mut creatives, now) = (Creatives::default(), clock::monotonic());
        let size = MAX_BYTES / 8;
        for key in 0..100 {
            assert!(creatives.want(key, now));
            creatives.fetched(key, creative(size), now);
            assert!(creatives.bytes() <= MAX_BYTES);
            assert!(creatives.find(0).is_some(), "it is used all the time");
        }
        assert_eq!(creatives.standings(now).len(), 8);
        for key in 1000..10_000 {
            creatives.fetched(key, Err(Failure::Refused(String::new())), now);
        }
        assert_eq!(creatives.standings(now).len(), MAX_CREATIVES);
        assert_eq!(creatives.bytes(), 0);
        let taken = (20_000..30_000).filter(|key| creatives.want(*key, now)).count();
        assert_eq!(taken, MAX_FETCHING, "no more at one time");
        assert!(creatives.known.len() <= MAX_CREATIVES);
    }
}
