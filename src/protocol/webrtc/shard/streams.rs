//! What sessions send and get: streams to viewers, frames from publishers, keyframes on demand.

use std::time::{Instant, SystemTime};

use str0m::format::CodecSpec;
use str0m::media::MediaData;
use tokio::sync::watch;

use super::super::publisher::{Answer, Publisher};
use super::super::registry::SessionId;
use super::super::relay::{Agreed, Effect};
use super::super::srtp::{Opener, Sealer};
use super::super::viewer::{Pumped, Viewer};
use super::{BURST, PACE, RelayKey, Session, Shard, Side, Watcher};
use crate::codec::h264;
use crate::hub::{Dismissal, Item, Protocol, Subscriber};
use crate::media::{Codec, Kind, MediaTime};

/// A keyframe this new is near enough to begin with instead of asking the publisher for another.
const RECENT: MediaTime = MediaTime::from_millis(1000);

impl Shard {
    /// ICE and DTLS are done: a viewer joins his stream, a publisher goes on the air.
    pub(super) fn connected(&mut self, place: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        session.deadline = now + self.settings.config.idle_timeout;
        match &session.side {
            Side::Publishing => self.go_on_air(place, now),
            Side::Watching(key, watcher) => {
                let (key, watcher) = (key.clone(), watcher.clone());
                self.join(place, key, watcher, now);
            }
            // The library tells of a connection once.
            Side::Publisher(_) | Side::Viewer(..) => {}
        }
    }

    fn go_on_air(&mut self, place: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        match session.channel.publish(Protocol::WebRtc) {
            Ok(hub) => {
                let mut publisher = Publisher::new(hub, now);
                if session.peer.has(Kind::Audio) {
                    publisher.announce_sound();
                }
                session.side = Side::Publisher(Box::new(publisher));
                tracing::info!(channel = %session.channel.name(), peer = %session.asker, "publisher came in over WHIP");
                self.published.push((place, session.id.clone()));
            }
            Err(error) => {
                tracing::info!(channel = %session.channel.name(), peer = %session.asker, reason = %error, "publisher refused");
                self.settings.metrics.refused("takeover");
                self.close(place, "refused");
            }
        }
    }

    fn join(&mut self, place: usize, key: RelayKey, watcher: Watcher, now: Instant) {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        let Some(relay) = self.relays.get_mut(&key) else { return self.close(place, "ended") };
        let sealed = session
            .peer
            .take_keys()
            .and_then(|(local, remote)| Some((Sealer::new(&local).ok()?, Opener::new(&remote).ok()?)));
        let Some((sealer, opener)) = sealed else { return self.close(place, "keys") };
        let profile = relay.video.as_ref().map_or(0, |lane| h264_profile(&lane.track.config));
        let Agreed { video, audio } = key.2;
        let mut negotiated = |codec: Option<Codec>| {
            let codec = codec?;
            session.peer.negotiated(codec, |spec| preference(spec, codec, profile))
        };
        let (video, audio) = (negotiated(video), negotiated(audio));
        let counted = session.channel.viewer_of(&key.1, Protocol::WebRtc, watcher.cohort);
        if let Some(page) = watcher.page {
            counted.identify(page);
        }
        let mut viewer = Box::new(Viewer::new(sealer, opener, video, audio, counted, now));
        viewer.destination = session.paths.last().copied();
        session.side = Side::Viewer(key, viewer);
        relay.viewers.push(place);
        self.pump(place, now);
    }

    /// Takes what a stream brings; `false` when the relay is over.
    pub(super) fn relay(&mut self, key: &RelayKey, batch: Vec<Item>, epoch: SystemTime) -> bool {
        let now = crate::clock::monotonic();
        let Some(relay) = self.relays.get_mut(key) else { return false };
        relay.epoch = epoch;
        relay.catching_up = batch.len() >= Subscriber::BATCH;
        let viewers = std::mem::take(&mut relay.viewers);
        let mut effect = Effect::GoOn;
        for item in batch {
            effect = relay.item(item, now);
            // What follows is in a form that nobody here has agreed on.
            if effect != Effect::GoOn {
                break;
            }
        }
        if effect == Effect::GoOn {
            let mut is_keyframe_awaited = false;
            // Of two streams either may be a moment behind the other.
            let mut on_their_way = relay.awaited_by.clone();
            for &place in &viewers {
                is_keyframe_awaited |= self.pump(place, now) == Pumped::Waiting;
                if self.is_on_his_way(place) {
                    on_their_way.push(place);
                }
            }
            if let Some(relay) = self.relays.get_mut(key) {
                relay.viewers = viewers;
                // Where nobody can be asked, the next one comes by itself.
                if is_keyframe_awaited {
                    relay.channel.request_keyframe();
                }
            }
            on_their_way.into_iter().for_each(|place| self.go_over(place));
        } else {
            let reason = if effect == Effect::Ended { "ended" } else { "renegotiate" };
            self.give_up_goal(key);
            for place in self.users(key) {
                self.close(place, reason);
            }
        }
        self.flush();
        effect == Effect::GoOn
    }

    /// Everybody who watches a stream, or is about to.
    fn users(&self, key: &RelayKey) -> Vec<usize> {
        let uses = |session: &Session| match &session.side {
            Side::Watching(of, _) | Side::Viewer(of, _) => of == key,
            Side::Publishing | Side::Publisher(_) => false,
        };
        let sessions = self.sessions.iter().enumerate();
        sessions.filter(|(_, session)| session.as_ref().is_some_and(uses)).map(|(place, _)| place).collect()
    }

    /// Sends a viewer what he lacks, and tells how he stands then.
    fn pump(&mut self, place: usize, now: Instant) -> Pumped {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else {
            return Pumped::Even;
        };
        let Side::Viewer(key, viewer) = &mut session.side else { return Pumped::Even };
        let Some(relay) = self.relays.get(key).filter(|relay| !relay.catching_up) else {
            return Pumped::Even;
        };
        let pumped = viewer.pump(relay.lanes(), &mut self.outlet, BURST, now);
        if pumped == Pumped::Behind && !viewer.is_paced {
            viewer.is_paced = true;
            self.behind.push(place);
            if self.pace_at.is_none() {
                self.pace_at = Some(now + PACE);
                self.changed.notify_one();
            }
        }
        if self.outlet.is_full() {
            self.flush();
        }
        pumped
    }

    /// Sends more to those who are behind.
    pub(super) fn pace(&mut self, now: Instant) {
        if self.pace_at.is_none_or(|at| now < at) {
            return;
        }
        self.pace_at = None;
        for place in std::mem::take(&mut self.behind) {
            let session = self.sessions.get_mut(place).and_then(Option::as_mut);
            if let Some(Session { side: Side::Viewer(_, viewer), .. }) = session {
                viewer.is_paced = false;
            }
            self.pump(place, now);
        }
    }

    /// Takes a viewer's control packet.
    pub(super) fn control(&mut self, place: usize, datagram: &[u8], now: Instant) {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        let Side::Viewer(key, viewer) = &mut session.side else { return };
        let Some(relay) = self.relays.get(key) else { return };
        let wishes = match viewer.control(datagram, relay.lanes(), &mut self.outlet) {
            Ok(wishes) => wishes,
            Err(reason) => return self.settings.metrics.discarded(reason),
        };
        session.deadline = now + self.settings.config.idle_timeout;
        self.settings.metrics.retransmitted.inc_by(wishes.retransmitted.into());
        if wishes.bye {
            return self.close(place, "closed");
        }
        if !wishes.keyframe {
            return;
        }
        self.settings.metrics.keyframe_requests.inc();
        let recent =
            relay.video.as_ref().is_some_and(|lane| lane.keyframe_age().is_some_and(|age| age <= RECENT));
        // A publisher who can is asked for a new one; where none can come, or one is near, memory serves.
        if !recent && relay.channel.request_keyframe() {
            return;
        }
        if viewer.restart(relay.lanes(), now) {
            self.pump(place, now);
        }
    }

    /// Takes a frame of a publisher.
    pub(super) fn media(&mut self, place: usize, data: &MediaData, now: Instant) {
        let Some(session) = self.sessions.get_mut(place).and_then(Option::as_mut) else { return };
        let Side::Publisher(publisher) = &mut session.side else { return };
        session.deadline = now + self.settings.config.idle_timeout;
        match publisher.take(data) {
            Ok(Answer::Fine) => {}
            Ok(Answer::Keyframe(mid, rid)) => session.peer.request_keyframe(mid, rid),
            Err(error) => {
                self.settings.metrics.discarded("malformed frame");
                tracing::debug!(channel = %session.channel.name(), %error, "a publisher's frame was dropped");
                session.peer.request_keyframe(data.mid, data.rid);
            }
        }
    }

    /// What the channel wants of the publisher in this place.
    pub(super) fn channel_wishes(
        &self,
        place: usize,
        id: &SessionId,
    ) -> Option<(watch::Receiver<Option<Dismissal>>, watch::Receiver<u64>)> {
        let session = self.sessions.get(place)?.as_ref().filter(|session| session.id == *id)?;
        let Side::Publisher(publisher) = &session.side else { return None };
        Some((publisher.hub.dismissal(), publisher.hub.keyframe_requests()))
    }

    /// The channel has sent its publisher away.
    pub(super) fn dismissed(&mut self, place: usize, id: &SessionId, reason: Option<Dismissal>) {
        let session = self.sessions.get(place).and_then(Option::as_ref);
        let Some(session) = session.filter(|session| session.id == *id) else { return };
        let reason = reason.map(|reason| reason.to_string());
        tracing::info!(channel = %session.channel.name(), peer = %session.asker, reason, "publisher left");
        self.close(place, "dismissed");
        self.flush();
    }

    /// Asks the publisher in this place for a keyframe; `false` when he is gone.
    pub(super) fn ask_for_keyframe(&mut self, place: usize, id: &SessionId) -> bool {
        let session = self.sessions.get_mut(place).and_then(Option::as_mut);
        let Some(session) = session.filter(|session| session.id == *id) else { return false };
        let Side::Publisher(publisher) = &session.side else { return false };
        if let Some((mid, rid)) = publisher.picture_source() {
            session.peer.request_keyframe(mid, rid);
        }
        self.drive(place, crate::clock::monotonic());
        self.flush();
        true
    }
}

/// `profile_idc` of a stream's H.264, 0 for anything else.
fn h264_profile(config: &[u8]) -> u8 {
    h264::ConfigRecord::parse(config).map_or(0, |record| record.profile)
}

/// How well a payload type fits the stream: players decode by the stream, so the wrong profile is better than none.
fn preference(spec: &CodecSpec, codec: Codec, profile: u8) -> usize {
    if codec != Codec::H264 {
        return 0;
    }
    let offered = spec.format.profile_level_id.map_or(0x42, |id| (id >> 16) as u8);
    // Fragmentation units need packetization mode 1 (RFC 6184 §5.4).
    2 * usize::from(spec.format.packetization_mode == Some(1)) + usize::from(offered == profile)
}
