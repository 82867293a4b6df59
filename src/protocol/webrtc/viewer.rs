//! A session that watches: its packets' headers, seals and reports, and what it says it has lost.

use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::rand;

use super::history::Packet;
use super::outlet::{Outlet, Path};
use super::peer::Negotiated;
use super::relay::Lane;
use super::send::{Cursor, Outgoing};
use super::shard::RelayKey;
use super::srtp::{Opener, Sealer};
use crate::format::rtp::rtcp::{self, Packet as Rtcp, SenderInfo};
use crate::format::rtp::{Extension, Header, RedHeader, ntp};
use crate::hub::{self, Shown};
use crate::media::MediaTime;

/// Between two sender reports of a track.
const REPORT_INTERVAL: Duration = Duration::from_secs(2);
/// The first reports come sooner: players set sound and picture in step by them.
const FIRST_REPORTS: u32 = 4;
const FIRST_REPORT_INTERVAL: Duration = Duration::from_millis(400);
/// A viewer may be sent again at most what the stream itself amounts to, and so many packets at once.
const MOST_RETRANSMITS: u32 = 300;
/// A viewer is put on the newest keyframe at most so often because he asks for one.
const RESTART_INTERVAL: Duration = Duration::from_millis(500);
/// A viewer who is further behind than this does not keep up; he goes on from a newer keyframe.
const MOST_LAG: MediaTime = MediaTime::from_millis(1000);
/// How long after joining packets say how players are to delay pictures.
const PLAYOUT_HINT: Duration = Duration::from_secs(3);
/// Milliseconds ×10 are the unit; the largest value leaves the delay to the player.
const PLAYOUT_AT_ONCE: [u8; 3] = [0, 0, 0];
const PLAYOUT_AS_YOU_LIKE: [u8; 3] = [0, 0x0f, 0xff];

/// Bytes of two frames of sound that go into one packet; larger ones go without the other.
const MOST_REDUNDANT: usize = 1000;

/// One viewer.
pub(super) struct Viewer {
    pub destination: Option<Path>,
    /// He is among those who get more at the next pace.
    pub is_paced: bool,
    /// The stream that he goes over to as soon as he can.
    pub goal: Option<RelayKey>,
    sealer: Sealer,
    opener: Opener,
    video: Option<Track>,
    audio: Option<Track>,
    /// Retransmissions that are left until more of the stream has been sent.
    allowance: u32,
    joined_at: Instant,
    restarted_at: Option<Instant>,
    /// Room for an opened control packet.
    opened: Vec<u8>,
    counted: hub::Viewer,
}

/// A viewer's side of one track.
struct Track {
    cursor: Cursor,
    ssrc: u32,
    payload_type: u8,
    rtx: Option<Rtx>,
    playout_delay: Option<u8>,
    /// Payload type of redundant sound, where the viewer takes it.
    redundancy: Option<u8>,
    /// SRTP index of the first packet.
    first: u64,
    /// Added to media time to make RTP timestamps.
    offset: u32,
    packets: u32,
    octets: u32,
    reports: u32,
    reported_at: Option<Instant>,
}

/// The stream of packets that are sent again.
#[derive(Clone, Copy)]
struct Rtx {
    ssrc: u32,
    payload_type: u8,
    /// SRTP index of the next packet.
    next: u64,
}

/// What a viewer's control packets ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// A keyframe: he cannot decode any more.
    pub keyframe: bool,
    /// He has left.
    pub bye: bool,
    /// Packets that were sent again.
    pub retransmitted: u32,
}

/// How a viewer stands after he was sent what could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// He has everything.
    Even,
    /// There is more, for a little later.
    Behind,
    /// He waits for a keyframe.
    Waiting,
}

/// The tracks of a relay.
#[derive(Clone, Copy)]
pub(super) struct Lanes<'a> {
    pub video: Option<&'a Lane>,
    pub audio: Option<&'a Lane>,
    /// The variant of the programme that they are of.
    pub variant: u8,
    /// The wall clock at media time zero.
    pub epoch: SystemTime,
}

impl Viewer {
    /// A viewer whose keys and streams are agreed.
    pub fn new(
        sealer: Sealer,
        opener: Opener,
        video: Option<Negotiated>,
        audio: Option<Negotiated>,
        counted: hub::Viewer,
        now: Instant,
    ) -> Self {
        Self {
            destination: None,
            is_paced: false,
            goal: None,
            sealer,
            opener,
            video: video.map(Track::new),
            audio: audio.map(Track::new),
            allowance: MOST_RETRANSMITS,
            joined_at: now,
            restarted_at: None,
            opened: Vec::new(),
            counted,
        }
    }

    /// The variant of the programme that he is to get, if he gets another.
    pub fn goes_over(&self) -> Option<u8> {
        self.counted.goes_over()
    }

    /// Goes over to another variant, if it has the picture that he was sent last; `false` when it has not.
    pub fn go_over(&mut self, from: Lanes<'_>, to: Lanes<'_>) -> bool {
        let (Some(track), Some(here), Some(there)) = (&mut self.video, from.video, to.video) else {
            return false;
        };
        if !track.cursor.go_over(&here.history, &there.history) {
            return false;
        }
        if let (Some(track), Some(there)) = (&mut self.audio, to.audio) {
            track.cursor.go_over_live(&there.history);
        }
        true
    }

    /// Sends what the viewer lacks, at most `budget` packets of video.
    pub fn pump(&mut self, lanes: Lanes<'_>, outlet: &mut Outlet, budget: usize, now: Instant) -> Pumped {
        let pumped = self.send(lanes, outlet, budget, now);
        let (video, audio) = (self.video.as_ref().zip(lanes.video), self.audio.as_ref().zip(lanes.audio));
        if let Some((track, lane)) = video.or(audio)
            && let Some((first, newest)) = track.cursor.seen()
        {
            let [since, until] = [first, newest].map(|ticks| MediaTime::from_ticks(ticks, lane.clock_rate));
            self.counted.saw(Shown { since: Some(since), until, variant: lanes.variant });
        }
        pumped
    }

    fn send(&mut self, lanes: Lanes<'_>, outlet: &mut Outlet, budget: usize, now: Instant) -> Pumped {
        let Some(destination) = self.destination else { return Pumped::Even };
        let mut room = outlet.room(destination);
        if let (Some(track), Some(lane)) = (&mut self.audio, lanes.audio) {
            if !track.cursor.is_started() {
                track.cursor.begin_live(&lane.history);
            }
            if track.cursor.lag(&lane.history) > MOST_LAG.to_ticks(lane.clock_rate) {
                track.cursor.begin_live(&lane.history);
            }
            track.report(lane, lanes.epoch, &mut self.sealer, outlet, destination, now);
            while room > 0
                && let Some(outgoing) = track.cursor.next(&lane.history)
            {
                let earlier = outgoing.index.checked_sub(1).and_then(|index| lane.history.get(index));
                track.send_sound(outgoing, earlier, &self.sealer, outlet, destination);
                room -= 1;
            }
        }
        let (Some(track), Some(lane)) = (&mut self.video, lanes.video) else { return Pumped::Even };
        if track.cursor.lag(&lane.history) > MOST_LAG.to_ticks(lane.clock_rate) {
            track.cursor.skip(&lane.history, lane.interval);
        }
        if !track.cursor.is_started() && !track.cursor.begin(&lane.history, lane.interval) {
            return Pumped::Waiting;
        }
        track.report(lane, lanes.epoch, &mut self.sealer, outlet, destination, now);
        let hints =
            track.playout_delay.filter(|_| now.saturating_duration_since(self.joined_at) < PLAYOUT_HINT);
        for _ in 0..budget.min(room) {
            let Some(outgoing) = track.cursor.next(&lane.history) else { break };
            let hint =
                hints.map(|id| (id, if outgoing.late { PLAYOUT_AT_ONCE } else { PLAYOUT_AS_YOU_LIKE }));
            track.send(outgoing, hint, &self.sealer, outlet, destination);
            self.allowance = (self.allowance + 1).min(MOST_RETRANSMITS);
        }
        if track.cursor.behind(&lane.history) > 0 { Pumped::Behind } else { Pumped::Even }
    }

    /// Takes a control packet as it came; sends again what was lost.
    pub fn control(
        &mut self,
        packet: &[u8],
        lanes: Lanes<'_>,
        outlet: &mut Outlet,
    ) -> Result<Wishes, &'static str> {
        self.opened.clear();
        self.opener.open_rtcp(packet, &mut self.opened).map_err(|_| "srtcp")?;
        let mut wishes = Wishes::default();
        let opened = std::mem::take(&mut self.opened);
        for packet in rtcp::packets(&opened) {
            // What came before the malformed part was authentic too.
            let Ok(packet) = packet else { break };
            match packet {
                Rtcp::Nack { media_ssrc, lost, .. } => {
                    for sequence in lost.iter() {
                        match self.retransmit(media_ssrc, sequence, lanes, outlet) {
                            Some(true) => wishes.retransmitted += 1,
                            // What is gone for good is made up for by a keyframe.
                            Some(false) => wishes.keyframe = true,
                            None => {}
                        }
                    }
                }
                Rtcp::Pli { .. } | Rtcp::Fir { .. } => wishes.keyframe = true,
                Rtcp::Bye { .. } => wishes.bye = true,
                _ => {}
            }
        }
        self.opened = opened;
        Ok(wishes)
    }

    /// Sends a packet again: `Some(false)` when the viewer needs a keyframe instead, `None` when nothing is to be done.
    fn retransmit(
        &mut self,
        ssrc: u32,
        sequence: u16,
        lanes: Lanes<'_>,
        outlet: &mut Outlet,
    ) -> Option<bool> {
        let destination = self.destination?;
        let (video, audio) = (self.video.as_mut(), self.audio.as_mut());
        let (track, lane) = match (video.zip(lanes.video), audio.zip(lanes.audio)) {
            (Some((track, lane)), _) if track.ssrc == ssrc => (track, lane),
            (_, Some((track, lane))) if track.ssrc == ssrc => (track, lane),
            _ => return None,
        };
        let wire = track.cursor.unwrap(sequence.wrapping_sub(track.first as u16))?;
        if self.allowance == 0 {
            return None;
        }
        let Some(outgoing) = track.cursor.sent(wire, &lane.history) else { return Some(false) };
        let Some(rtx) = &mut track.rtx else { return Some(false) };
        self.allowance -= 1;
        let header = Header {
            payload_type: rtx.payload_type,
            marker: outgoing.packet.payload.marker,
            sequence_number: rtx.next as u16,
            timestamp: track.offset.wrapping_add(outgoing.ticks as u32),
            ssrc: rtx.ssrc,
        };
        let head = Head::new(&header, &[]);
        let original = (track.first.wrapping_add(wire) as u16).to_be_bytes();
        let payload = &outgoing.packet.payload.bytes;
        let (index, sealer) = (rtx.next, &self.sealer);
        rtx.next += 1;
        outlet.push(destination, |out| {
            sealer.seal_rtp(rtx.ssrc, index, head.as_slice(), &[&original, payload], out);
        });
        Some(true)
    }

    /// Puts the viewer on the newest keyframe because he cannot decode; `false` when that was done a moment ago.
    pub fn restart(&mut self, lanes: Lanes<'_>, now: Instant) -> bool {
        let due = self.restarted_at.is_none_or(|at| now.saturating_duration_since(at) >= RESTART_INTERVAL);
        let (Some(track), Some(lane), true) = (&mut self.video, lanes.video, due) else { return false };
        self.restarted_at = Some(now);
        track.cursor.begin(&lane.history, lane.interval)
    }

    /// Tells the peer that its streams are over.
    pub fn goodbye(&mut self, outlet: &mut Outlet) {
        let Some(destination) = self.destination else { return };
        for track in [&self.video, &self.audio].into_iter().flatten() {
            let mut compound = Vec::new();
            rtcp::write_receiver_report(track.ssrc, &[], "", &mut compound);
            rtcp::write_bye(&[track.ssrc], "the broadcast is over", &mut compound);
            seal_report(&mut self.sealer, &compound, destination, outlet);
        }
    }
}

impl Track {
    fn new(negotiated: Negotiated) -> Self {
        // Below 2^15, so that a loss at the start cannot be taken for a wrap (RFC 3711 §3.3.1).
        let first = |random: u32| u64::from(random & 0x7fff);
        let [media, resent] = random();
        let Negotiated { ssrc, payload_type, rtx, playout_delay, redundancy, clock_offset } = negotiated;
        Self {
            cursor: Cursor::default(),
            ssrc,
            payload_type,
            rtx: rtx.map(|(ssrc, payload_type)| Rtx { ssrc, payload_type, next: first(resent) }),
            playout_delay,
            redundancy,
            first: first(media),
            offset: clock_offset,
            packets: 0,
            octets: 0,
            reports: 0,
            reported_at: None,
        }
    }

    fn send(
        &mut self,
        outgoing: Outgoing<'_>,
        playout_delay: Option<(u8, [u8; 3])>,
        sealer: &Sealer,
        outlet: &mut Outlet,
        destination: Path,
    ) {
        let extension = playout_delay.as_ref().and_then(|(id, delay)| Extension::new(*id, delay));
        let head = self.head(outgoing, self.payload_type, extension.as_slice());
        self.push(outgoing, &head, &[&outgoing.packet.payload.bytes], sealer, outlet, destination);
    }

    /// A frame of sound, with the one before it where that is agreed on.
    fn send_sound(
        &mut self,
        outgoing: Outgoing<'_>,
        earlier: Option<&Packet>,
        sealer: &Sealer,
        outlet: &mut Outlet,
        destination: Path,
    ) {
        let Some(payload_type) = self.redundancy else {
            return self.send(outgoing, None, sealer, outlet, destination);
        };
        let own = &outgoing.packet.payload.bytes;
        let earlier = earlier
            .filter(|earlier| earlier.payload.bytes.len() + own.len() <= MOST_REDUNDANT)
            .map(|earlier| (outgoing.packet.ticks - earlier.ticks, &earlier.payload.bytes));
        let header = RedHeader::new(self.payload_type, earlier.map(|(ticks, bytes)| (ticks, bytes.len())));
        let other = earlier.filter(|_| header.has_earlier).map_or(&[][..], |(_, bytes)| bytes);
        let head = self.head(outgoing, payload_type, &[]);
        self.push(outgoing, &head, &[header.as_slice(), other, own], sealer, outlet, destination);
    }

    fn head(&self, outgoing: Outgoing<'_>, payload_type: u8, extensions: &[Extension<'_>]) -> Head {
        let header = Header {
            payload_type,
            marker: outgoing.packet.payload.marker,
            sequence_number: (self.first + outgoing.wire) as u16,
            timestamp: self.offset.wrapping_add(outgoing.ticks as u32),
            ssrc: self.ssrc,
        };
        Head::new(&header, extensions)
    }

    fn push(
        &mut self,
        outgoing: Outgoing<'_>,
        head: &Head,
        payload: &[&[u8]],
        sealer: &Sealer,
        outlet: &mut Outlet,
        destination: Path,
    ) {
        let (ssrc, index) = (self.ssrc, self.first + outgoing.wire);
        outlet.push(destination, |out| sealer.seal_rtp(ssrc, index, head.as_slice(), payload, out));
        let octets: usize = payload.iter().map(|part| part.len()).sum();
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(octets as u32);
    }

    /// A sender report, when it is time: which RTP timestamp is now, and what the wall clock says.
    fn report(
        &mut self,
        lane: &Lane,
        epoch: SystemTime,
        sealer: &mut Sealer,
        outlet: &mut Outlet,
        destination: Path,
        now: Instant,
    ) {
        let interval = if self.reports < FIRST_REPORTS { FIRST_REPORT_INTERVAL } else { REPORT_INTERVAL };
        let due = self.reported_at.is_none_or(|at| now.saturating_duration_since(at) >= interval);
        let (Some(media_now), true) = (lane.media_now(now), due) else { return };
        self.reported_at = Some(now);
        self.reports += 1;
        let timestamp = self.offset.wrapping_add(media_now.to_ticks(lane.clock_rate) as u32);
        let mut compound = Vec::new();
        let info = SenderInfo {
            ntp: ntp(wall_clock(epoch, media_now)),
            rtp_timestamp: timestamp,
            packets: self.packets,
            octets: self.octets,
        };
        rtcp::write_sender_report(self.ssrc, &info, &[], lane.cname(), &mut compound);
        seal_report(sealer, &compound, destination, outlet);
    }
}

/// The bytes of a header, without an allocation.
struct Head {
    bytes: [u8; Self::MAX],
    length: usize,
}

impl Head {
    /// The fixed part, and one extension of three bytes.
    const MAX: usize = 20;

    fn new(header: &Header, extensions: &[Extension<'_>]) -> Self {
        let mut bytes = [0; Self::MAX];
        let mut rest = &mut bytes[..];
        header.write(extensions, &mut rest);
        let length = Self::MAX - rest.len();
        Self { bytes, length }
    }

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn seal_report(sealer: &mut Sealer, compound: &[u8], destination: Path, outlet: &mut Outlet) {
    outlet.push(destination, |out| {
        // After 2^31 reports, decades from now, there are none any more.
        if let Err(error) = sealer.seal_rtcp(compound, out) {
            tracing::debug!(%error, "no report was sent");
        }
    });
}

/// Broadcast start plus media time: the same clock for sound and picture.
fn wall_clock(epoch: SystemTime, media: MediaTime) -> SystemTime {
    let zero = MediaTime::ZERO;
    if media >= zero { epoch + media.since(zero) } else { epoch - zero.since(media) }
}

/// Three random numbers; where the system gives none, numbers that are merely unremarkable: they hide nothing.
fn random() -> [u32; 2] {
    let mut bytes = [0; 8];
    if rand::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random numbers");
    }
    let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    [word(0), word(4)]
}
