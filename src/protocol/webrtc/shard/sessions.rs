//! Who is there: sessions begin, prove their address, change it, and end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::super::demux::{self, Check, Kind as Datagram};
use super::super::fragment::{self, Credentials};
use super::super::media_clock;
use super::super::offer::{Offer, Role};
use super::super::outlet::Path;
use super::super::peer::{News, OpenError, Peer};
use super::super::registry::{Entry, SessionId};
use super::super::relay::Relay;
use super::super::setup::{Codecs, shard_of};
use super::{Foreign, Open, Purpose, RelayKey, Session, Shard, Side};
use crate::hub::{Channel, SubscribeError};

/// The most paths that a session may have proved at one time: some for each of a phone's networks, and to spare.
const MAX_PATHS: usize = 8;

impl Shard {
    pub(super) fn open(&mut self, open: Open, now: Instant) -> Result<String, OpenError> {
        let Open { id, offer, purpose, addresses, channel, asker } = open;
        let (role, codecs) = match &purpose {
            Purpose::Publish => (Role::Publisher, Codecs::All),
            Purpose::Watch(agreed, ..) => (Role::Viewer, Codecs::Only(*agreed)),
        };
        let settings = &self.settings;
        let (identity, index) = (&settings.identity, settings.index);
        let (mut peer, mut description) = match (&offer, codecs) {
            (Some(offer), _) => Peer::answer(identity, index, role, offer, codecs, &addresses, now)?,
            (None, Codecs::Only(agreed)) => Peer::offer(identity, index, agreed, &addresses, now)?,
            (None, Codecs::All) => return Err(OpenError::Offer("there is none".to_owned())),
        };
        if let (Some(offer), Role::Viewer, true) = (&offer, role, settings.config.redundant_sound) {
            description = peer.with_redundancy(offer, description);
        }
        if role == Role::Viewer {
            let [of_picture, of_sound] = peer.clock_offsets;
            description = media_clock::tell(&description, of_picture, of_sound);
        }
        let entry = Entry {
            shard: settings.index,
            role,
            channel: channel.name().clone(),
            ufrag: Arc::clone(peer.ufrag()),
            remote_ufrag: offer.as_ref().map(|offer| offer.ufrag.as_str().into()),
        };
        if !settings.registry.insert(id.clone(), entry, settings.config.max_sessions) {
            return Err(OpenError::Full);
        }
        let side = match purpose {
            Purpose::Publish => Side::Publishing,
            Purpose::Watch(agreed, rendition, watcher) => {
                let key = (channel.name().clone(), rendition, agreed);
                if let Err(error) = self.use_relay(&key, &channel) {
                    self.settings.registry.remove(&id);
                    return Err(OpenError::Stream(error));
                }
                Side::Watching(key, watcher)
            }
        };
        let place = self.vacant.pop().unwrap_or(self.sessions.len());
        self.by_id.insert(id.clone(), place);
        self.by_ufrag.insert(Arc::clone(peer.ufrag()), place);
        let session = Session {
            id,
            peer,
            channel,
            asker,
            deadline: now + self.settings.config.setup_timeout,
            paths: Vec::new(),
            timer: None,
            side,
        };
        match self.sessions.get_mut(place) {
            Some(vacancy) => *vacancy = Some(session),
            None => self.sessions.push(Some(session)),
        }
        self.settings.metrics.sessions.inc();
        self.drive(place, now);
        Ok(description)
    }

    pub(super) fn take_answer(
        &mut self,
        id: &SessionId,
        answer: &Offer,
        now: Instant,
    ) -> Result<(), OpenError> {
        let place = *self.by_id.get(id).ok_or(OpenError::Gone)?;
        let session = self.sessions.get_mut(place).and_then(Option::as_mut).ok_or(OpenError::Gone)?;
        session.peer.take_answer(answer)?;
        let ufrag = Arc::clone(session.peer.ufrag());
        self.settings.registry.restarted(id, ufrag, answer.ufrag.as_str().into());
        self.drive(place, now);
        Ok(())
    }

    /// Makes sure that the stream is being read.
    pub(super) fn use_relay(&mut self, key: &RelayKey, channel: &Arc<Channel>) -> Result<(), SubscribeError> {
        if let Some(relay) = self.relays.get_mut(key) {
            relay.users += 1;
            return Ok(());
        }
        let subscriber = channel.subscribe(&key.1)?;
        let (variant, history) = (key.1.variant(), self.settings.config.history_bytes);
        let mut relay = Relay::new(Arc::clone(channel), variant, key.2, subscriber.epoch(), history);
        relay.users = 1;
        self.relays.insert(key.clone(), relay);
        self.started.push((key.clone(), subscriber));
        Ok(())
    }

    pub(super) fn restart(&mut self, id: &SessionId, credentials: Credentials) -> Option<(String, Arc<str>)> {
        let place = *self.by_id.get(id)?;
        let index = self.settings.index;
        let session = self.sessions.get_mut(place)?.as_mut()?;
        if let Some(unused) = session.peer.next_ufrag() {
            self.by_ufrag.remove(unused);
        }
        let remote_ufrag: Arc<str> = credentials.ufrag.as_str().into();
        let told = session.peer.restart(index, credentials)?;
        let ufrag: Arc<str> = told.ufrag.as_str().into();
        self.by_ufrag.insert(Arc::clone(&ufrag), place);
        let text = fragment::write(session.peer.mid(), &told, &session.peer.candidates());
        self.settings.registry.restarted(id, Arc::clone(&ufrag), remote_ufrag);
        Some((text, ufrag))
    }

    /// Takes a datagram from the socket: it may be another shard's.
    pub(super) fn datagram(&mut self, source: SocketAddr, datagram: &[u8], now: Instant) {
        let path = Path::Udp(source);
        if self.by_path.contains_key(&path) {
            return self.own_datagram(path, datagram, now);
        }
        let home = match Check::parse(datagram) {
            Some(check) => shard_of(check.ufrag),
            None => self.settings.registry.shard_of(source),
        };
        match home {
            Some(shard) if shard == self.settings.index => self.own_datagram(path, datagram, now),
            Some(shard) => {
                let Some(handle) = self.settings.shards.get(shard) else {
                    return self.settings.metrics.discarded("unknown");
                };
                let foreign = Foreign { source, datagram: Bytes::copy_from_slice(datagram) };
                if handle.foreign.try_send(foreign).is_err() {
                    self.settings.metrics.foreign_dropped.inc();
                }
            }
            // Nothing is answered to an address that has proved nothing.
            None => self.settings.metrics.discarded("unknown"),
        }
    }

    /// Takes a datagram for one of this shard's sessions.
    pub(super) fn own_datagram(&mut self, path: Path, datagram: &[u8], now: Instant) {
        let kind = demux::kind(datagram);
        let known = self.by_path.get(&path).copied();
        match (kind, Check::parse(datagram), known) {
            (Some(Datagram::Stun), Some(check), _) => match self.by_ufrag.get(check.ufrag) {
                Some(&place) => self.check(place, check.nominates, path, datagram, now),
                None => self.settings.metrics.discarded("unknown"),
            },
            (Some(Datagram::Rtcp), _, Some(place)) if self.is_viewer(place) => {
                self.control(place, datagram, now);
            }
            // Viewers send no media.
            (Some(Datagram::Rtp), _, Some(place)) if self.is_viewer(place) => {
                self.settings.metrics.discarded("media of a viewer");
            }
            (Some(Datagram::Dtls | Datagram::Rtp | Datagram::Rtcp), _, Some(place)) => {
                let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
                session.peer.receive(path, datagram, now);
                self.drive(place, now);
            }
            (None, ..) => self.settings.metrics.discarded("nonsense"),
            _ => self.settings.metrics.discarded("unknown"),
        }
    }

    /// Takes a connectivity check that names a session.
    fn check(&mut self, place: usize, nominates: bool, path: Path, datagram: &[u8], now: Instant) {
        let idle_timeout = self.settings.config.idle_timeout;
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        let before = Arc::clone(session.peer.ufrag());
        if !session.peer.check(path, datagram, now) {
            return self.settings.metrics.discarded("forged check");
        }
        if *session.peer.ufrag() != before {
            self.by_ufrag.remove(&before);
        }
        match &mut session.side {
            // A peer who checks for ever but never finishes DTLS is not kept.
            Side::Publishing | Side::Watching(..) => {}
            // A publisher lives as long as his media.
            Side::Publisher(_) => {}
            Side::Viewer(_, viewer) => {
                session.deadline = now + idle_timeout;
                if nominates {
                    viewer.destination = Some(path);
                }
            }
        }
        if self.by_path.get(&path) != Some(&place) {
            session.paths.retain(|known| *known != path);
            let oldest = (session.paths.len() == MAX_PATHS).then(|| session.paths.remove(0));
            session.paths.push(path);
            self.by_path.insert(path, place);
            if let Path::Udp(address) = path {
                self.settings.registry.insert_address(address, self.settings.index);
            }
            if let Some(oldest) = oldest {
                self.forget_path(oldest, place);
            }
        }
        self.drive(place, now);
    }

    /// Sends what a session's library wants to send, and deals with its news.
    pub(super) fn drive(&mut self, place: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        let mut news = std::mem::take(&mut self.news);
        let outlet = &mut self.outlet;
        session.peer.poll(&mut news, |path, contents| {
            outlet.push(path, |out| out.extend_from_slice(contents));
        });
        let wake_at = session.peer.wake_at.min(session.deadline);
        if session.timer.is_none_or(|timer| wake_at < timer) {
            session.timer = Some(wake_at);
            self.timers.push(std::cmp::Reverse((wake_at, place)));
            self.changed.notify_one();
        }
        for news in news.drain(..) {
            match news {
                News::Connected => self.connected(place, now),
                News::Media(data) => self.media(place, &data, now),
                News::Gone(reason) => self.close(place, reason),
            }
        }
        self.news = news;
    }

    /// The next moment at which something is to be done.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        let timer = self.timers.peek().map(|std::cmp::Reverse((at, _))| *at);
        timer.into_iter().chain(self.pace_at).min()
    }

    /// Wakes the sessions whose time has come, and ends those that have been silent for too long.
    pub(super) fn time(&mut self, now: Instant) {
        while let Some(std::cmp::Reverse((at, place))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { continue };
            // A later timer of the same session, or one of a session that was here before.
            if session.timer != Some(at) {
                continue;
            }
            session.timer = None;
            if session.deadline <= now {
                self.close(place, "silent");
                continue;
            }
            if session.peer.wake_at <= now {
                session.peer.time(now);
            }
            self.drive(place, now);
        }
    }

    /// Ends a session and everything that was its own.
    pub(super) fn close(&mut self, place: usize, reason: &'static str) {
        let Some(mut session) = self.sessions.get_mut(place).and_then(Option::take) else { return };
        let mut goal = None;
        if let Side::Viewer(_, viewer) = &mut session.side {
            viewer.goodbye(&mut self.outlet);
            goal = viewer.goal.take();
        }
        session.peer.close();
        let outlet = &mut self.outlet;
        session.peer.poll(&mut Vec::new(), |path, contents| {
            outlet.push(path, |out| out.extend_from_slice(contents));
        });
        if let Side::Watching(key, _) | Side::Viewer(key, _) = &session.side {
            self.leave_relay(key, place);
        }
        if let Some(goal) = goal {
            self.leave_relay(&goal, place);
        }
        self.behind.retain(|behind| *behind != place);
        for path in session.paths.drain(..) {
            self.forget_path(path, place);
        }
        self.by_ufrag.remove(session.peer.ufrag());
        if let Some(unused) = session.peer.next_ufrag() {
            self.by_ufrag.remove(unused);
        }
        self.by_id.remove(&session.id);
        self.settings.registry.remove(&session.id);
        self.settings.metrics.sessions.dec();
        self.settings.metrics.ended(reason);
        self.vacant.push(place);
        tracing::debug!(channel = %session.channel.name(), peer = %session.asker, reason, "WebRTC session ended");
    }

    /// Forgets that this session was verified on a path, unless another has been since: a NAT gives its ports anew.
    fn forget_path(&mut self, path: Path, place: usize) {
        if self.by_path.get(&path) != Some(&place) {
            return;
        }
        self.by_path.remove(&path);
        match path {
            Path::Udp(address) => self.settings.registry.remove_address(address, self.settings.index),
            Path::Tcp(address) => self.outlet.disconnect(address),
        }
    }

    /// A connection is over: its session goes on by another way, if it has one.
    pub(super) fn disconnected(&mut self, path: Path) {
        self.outlet.disconnect(path.address());
        let Some(place) = self.by_path.remove(&path) else { return };
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        session.paths.retain(|known| *known != path);
        if let Side::Viewer(_, viewer) = &mut session.side
            && viewer.destination == Some(path)
        {
            viewer.destination = session.paths.last().copied();
        }
    }

    pub(super) fn leave_relay(&mut self, key: &RelayKey, place: usize) {
        let Some(relay) = self.relays.get_mut(key) else { return };
        relay.viewers.retain(|viewer| *viewer != place);
        relay.awaited_by.retain(|viewer| *viewer != place);
        relay.users -= 1;
        if relay.users == 0 {
            relay.stop.cancel();
            self.relays.remove(key);
        }
    }

    pub(super) fn close_all(&mut self) {
        for place in 0..self.sessions.len() {
            self.close(place, "shutdown");
        }
        self.flush();
    }

    fn is_viewer(&self, place: usize) -> bool {
        let session = self.sessions.get(place).and_then(Option::as_ref);
        session.is_some_and(|session| matches!(session.side, Side::Watching(..) | Side::Viewer(..)))
    }
}
