//! Pages that draw overlays themselves: who they are, and what each is told.
//!
//! A page follows `/events/CHANNEL`, watches the source by the word that it gets there, and is told of each placement with a
//! token of its own. Who is told is decided when the slot is sold, and when a page comes while it stands: caps and
//! separation hold for each session, so a page may be told nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::metrics::counter::Counter;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::config::Config;
use super::notices::Notice;
use super::record::CueNumber;
use super::server::Sale;
use crate::auction::{Campaign, Cohorts, Subject};
use crate::av::worker::ipc::OverlayId;
use crate::clock;
use crate::http::ClientAddress;
use crate::impression::Impression;
use crate::ledger::{SessionId, SlotId, UnixMillis};
use crate::media::{ChannelName, Cohort, MediaTime, OverlayFormat};

/// Events that a page may be behind; one that is further behind has to come back.
pub(super) const BEHIND: usize = 64;
/// How long an overlay cannot be closed.
pub(super) const CLOSE_AFTER_MS: u32 = 5000;

/// All pages of all channels.
#[derive(Default)]
pub(super) struct Guided {
    rooms: Mutex<HashMap<ChannelName, Room>>,
    pages: Mutex<Count>,
    connections: AtomicU64,
}

/// How many pages there are, and how many of them from each address.
#[derive(Default)]
struct Count {
    all: usize,
    of: HashMap<IpAddr, usize>,
}

impl Count {
    /// One more; `false` when there are as many as there may be.
    fn add(&mut self, address: IpAddr, config: &Config) -> bool {
        let of_address = self.of.get(&address).copied().unwrap_or_default();
        if self.all >= config.max_pages || of_address >= config.max_pages_per_address {
            return false;
        }
        self.all += 1;
        self.of.insert(address, of_address + 1);
        true
    }

    fn remove(&mut self, address: IpAddr) {
        self.all -= 1;
        if let Some(count) = self.of.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.of.remove(&address);
            }
        }
    }
}

/// What is counted as one address: of IPv6 everybody has a network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & u128::MAX << 64).into(),
        address => address,
    }
}

#[derive(Default)]
pub(super) struct Room {
    pages: HashMap<SessionId, Page>,
    standing: BTreeMap<CueNumber, Standing>,
    /// Overlays that nobody pays for, by their names.
    pub notices: BTreeMap<OverlayId, Notice>,
}

struct Page {
    /// Which of the connections of its session this is.
    connection: u64,
    cohort: Cohort,
    events: mpsc::Sender<Told>,
    /// Counts it when it is let go.
    behind: Counter,
}

/// What a page is told.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// An overlay, new or changed.
    Placed(Box<Placement>),
    /// An overlay of this name that is no more.
    Withdrawn(String),
}

/// An overlay for one session.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Placement {
    /// Its name: a cue's number, or another that no cue has.
    pub id: String,
    pub revision: u32,
    /// The wall clock at media time zero.
    pub began_at: UnixMillis,
    pub start_ns: i64,
    pub end_ns: i64,
    pub format: OverlayFormat,
    /// Where the image is.
    pub image: String,
    pub media_type: &'static str,
    pub close_after_ms: u32,
    /// How it is paid for, if it is.
    #[serde(flatten)]
    pub paid: Option<Paid>,
}

/// How an overlay is paid for.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Paid {
    /// With which a page tells of it.
    pub token: String,
    /// Where a click leads, if it leads anywhere.
    pub click: Option<String>,
    /// On the screen for so long, it is displayed.
    pub display_after_ms: u32,
    pub advertiser: String,
}

/// A slot that pages draw.
#[derive(Clone)]
pub(super) struct Standing {
    pub cue: CueNumber,
    pub revision: u32,
    pub slot: SlotId,
    pub format: OverlayFormat,
    pub start: MediaTime,
    pub end: MediaTime,
    /// How long it was sold for.
    pub duration: MediaTime,
    /// The wall clock at media time zero.
    pub began_at: UnixMillis,
    /// When its first frame comes from the source, at the earliest.
    pub starts_at: UnixMillis,
    pub deadline: UnixMillis,
    pub cohorts: Cohorts,
    /// What each cohort is shown, by its place; `None` where nothing was sold.
    pub lots: Vec<Option<Shown>>,
    /// Sessions that it was granted to.
    pub granted: HashSet<SessionId>,
}

/// What a cohort is shown.
#[derive(Clone)]
pub(super) struct Shown {
    pub lot: u16,
    /// Whose caps and separation hold; none for bidders outside.
    pub campaign: Option<Arc<Campaign>>,
    pub creative: u64,
    /// Where the image is.
    pub image: String,
    pub media_type: &'static str,
    pub is_clickable: bool,
    pub advertiser: String,
}

/// A page's place, which is free again when this is dropped.
pub(super) struct Seat {
    sale: Sale,
    channel: ChannelName,
    session: SessionId,
    connection: u64,
    address: IpAddr,
}

impl Guided {
    /// The pages of a channel.
    pub fn audience(&self, channel: &ChannelName) -> Vec<(SessionId, Cohort)> {
        let rooms = self.rooms();
        let pages = rooms.get(channel).into_iter().flat_map(|room| &room.pages);
        pages.map(|(session, page)| (*session, page.cohort.clone())).collect()
    }

    /// The slot is over for everybody.
    pub fn forget(&self, channel: &ChannelName, cue: CueNumber) {
        if let Some(room) = self.rooms().get_mut(channel) {
            room.standing.remove(&cue);
        }
    }

    /// The slot is withdrawn.
    pub fn withdraw(&self, channel: &ChannelName, cue: CueNumber) {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(channel) else { return };
        if room.standing.remove(&cue).is_some() {
            room.tell_all(&Told::Withdrawn(cue.to_string()));
        }
    }

    fn pages(&self) -> MutexGuard<'_, Count> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn rooms(&self) -> MutexGuard<'_, HashMap<ChannelName, Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    pub fn tell_all(&mut self, what: &Told) {
        self.pages.retain(|_, page| page.is_told(what.clone()));
    }

    pub fn is_empty(&self) -> bool {
        self.pages.is_empty() && self.standing.is_empty() && self.notices.is_empty()
    }
}

impl Page {
    /// Tells a page; `false` when it does not listen any more, or is too far behind to be of any use.
    fn is_told(&self, what: Told) -> bool {
        match self.events.try_send(what) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.behind.inc();
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Sale {
    /// A page comes; it is told what stands. `None` when there are as many as there may be.
    pub(super) fn seat(
        &self,
        channel: &ChannelName,
        session: SessionId,
        cohort: Cohort,
        ClientAddress(address): ClientAddress,
        events: mpsc::Sender<Told>,
    ) -> Option<Seat> {
        let guided = &self.inner().guided;
        let address = network(address);
        if !guided.pages().add(address, &self.inner().config) {
            self.inner().metrics.page_refused();
            return None;
        }
        let connection = guided.connections.fetch_add(1, Ordering::Relaxed);
        let seat = Seat { sale: self.clone(), channel: channel.clone(), session, connection, address };
        let mut rooms = guided.rooms();
        let room = rooms.entry(channel.clone()).or_default();
        let behind = self.inner().metrics.pages_behind();
        let page = Page { connection, cohort, events, behind };
        let newest = self.inner().hub.channel(channel).and_then(|channel| channel.newest());
        let newest = newest.map_or(MediaTime::ZERO, |(_, newest)| newest);
        let required = MediaTime::from(self.inner().config.display_time);
        for standing in room.standing.values_mut() {
            // Who comes too late to be displayed anything is granted nothing: caps and separation are for what is seen.
            let is_in_time = newest + required <= standing.end || standing.granted.contains(&session);
            if is_in_time && let Some(event) = self.grant(channel, standing, session, &page.cohort) {
                page.is_told(event);
            }
        }
        for notice in room.notices.values() {
            page.is_told(notice.told());
        }
        room.pages.insert(session, page);
        Some(seat)
    }

    /// A slot was sold to pages: each is told, if it may see it.
    pub(super) fn guide(&self, channel: &ChannelName, mut standing: Standing) {
        let mut rooms = self.inner().guided.rooms();
        let room = rooms.entry(channel.clone()).or_default();
        room.pages.retain(|session, page| {
            let event = self.grant(channel, &mut standing, *session, &page.cohort);
            event.is_none_or(|event| page.is_told(event))
        });
        room.standing.insert(standing.cue, standing);
    }

    /// A slot that stands ends earlier.
    pub(super) fn guide_until(&self, channel: &ChannelName, cue: CueNumber, end: MediaTime) {
        let mut rooms = self.inner().guided.rooms();
        let Some(Room { pages, standing, .. }) = rooms.get_mut(channel) else { return };
        let Some(standing) = standing.get_mut(&cue).filter(|standing| end < standing.end) else { return };
        standing.end = end;
        standing.revision += 1;
        pages.retain(|session, page| {
            let granted = standing.granted.contains(session);
            let event = standing.shown(&page.cohort).filter(|_| granted);
            event.is_none_or(|shown| page.is_told(self.placement(standing, shown, *session)))
        });
    }

    /// What a page is told of a slot; nothing when its cohort was not sold, or it has seen enough of this.
    fn grant(
        &self,
        channel: &ChannelName,
        standing: &mut Standing,
        session: SessionId,
        cohort: &Cohort,
    ) -> Option<Told> {
        let shown = standing.shown(cohort)?.clone();
        let now = clock::unix_now();
        let viewer = Subject::Viewer(session);
        let slot = standing.slot;
        let may_see =
            |campaign: &Arc<Campaign>| self.inner().market().expose(campaign, channel, viewer, slot, now);
        // A page that comes back after its connection was lost has it already.
        let is_granted = standing.granted.contains(&session);
        if !is_granted && !shown.campaign.as_ref().is_none_or(may_see) {
            return None;
        }
        standing.granted.insert(session);
        Some(self.placement(standing, &shown, session))
    }

    fn placement(&self, standing: &Standing, shown: &Shown, session: SessionId) -> Told {
        let Shown { lot, creative, image, media_type, is_clickable, advertiser, .. } = shown;
        let token = self.inner().gate.tokens.sign(&Impression {
            slot: standing.slot,
            lot: *lot,
            session,
            creative: *creative,
            start: standing.starts_at,
            duration_ms: u32::try_from(standing.duration.as_millis()).unwrap_or(u32::MAX),
            deadline: standing.deadline,
        });
        let required = self.inner().config.display_time.as_millis();
        Told::Placed(Box::new(Placement {
            id: standing.cue.to_string(),
            revision: standing.revision,
            began_at: standing.began_at,
            start_ns: standing.start.as_nanos(),
            end_ns: standing.end.as_nanos(),
            format: standing.format,
            image: image.clone(),
            media_type,
            close_after_ms: CLOSE_AFTER_MS,
            paid: Some(Paid {
                click: is_clickable.then(|| format!("/c/{token}")),
                token,
                display_after_ms: u32::try_from(required).unwrap_or(u32::MAX),
                advertiser: advertiser.clone(),
            }),
        }))
    }
}

impl Standing {
    /// What a viewer is shown, if anything was sold to his cohort.
    fn shown(&self, cohort: &Cohort) -> Option<&Shown> {
        self.lots.get(self.cohorts.place(cohort)?)?.as_ref()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let guided = &self.sale.inner().guided;
        guided.pages().remove(self.address);
        let mut rooms = guided.rooms();
        if let Some(room) = rooms.get_mut(&self.channel) {
            // The page may have come back before its old connection was found dead.
            if room.pages.get(&self.session).is_some_and(|page| page.connection == self.connection) {
                room.pages.remove(&self.session);
            }
            if room.is_empty() {
                rooms.remove(&self.channel);
            }
        }
    }
}
