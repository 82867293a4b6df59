//! A stream on its way to the viewers of one shard: its payloads, made once for all of them.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::history::{History, Limits};
use super::viewer::Lanes;
use crate::format::rtp::{Packetizer, Payload, Unsupported};
use crate::hub::{Channel, Item};
use crate::media::{Codec, Frame, Kind, MediaTime, Track, TrackId};

/// The largest datagram that is sent: what passes through every path (RFC 8835 recommends no more than 1200 bytes).
pub(super) const MTU: usize = 1200;
/// What surrounds a payload at most: header, playout delay, original sequence number of a retransmission, seal.
const AROUND: usize = 12 + 8 + 2 + 16;
/// Packets kept for retransmission though a newer keyframe is there: several seconds of sound, a good second of picture.
const RETRANSMIT: usize = 512;
/// Between two frames, until it is known: 30 frames a second.
const USUAL_INTERVAL: MediaTime = MediaTime::from_nanos(33_333_333);

/// One track.
pub(super) struct Lane {
    pub track: Arc<Track>,
    pub history: History,
    pub clock_rate: u32,
    /// Between two frames, in ticks.
    pub interval: i64,
    packetizer: Packetizer,
    /// The newest frame, and when it came.
    newest: Option<(MediaTime, Instant)>,
    cname: Arc<str>,
}

/// A rendition of a channel.
pub(super) struct Relay {
    pub channel: Arc<Channel>,
    /// The variant of the programme that it is.
    variant: u8,
    pub video: Option<Lane>,
    pub audio: Option<Lane>,
    /// Sessions that watch, by their place among the shard's.
    pub viewers: Vec<usize>,
    /// Sessions that go over to it as soon as they can.
    pub awaited_by: Vec<usize>,
    /// Sessions that hold on to the relay, connected or not.
    pub users: usize,
    /// What is in memory has not been read to its end: whoever joined now would take its middle for the present.
    pub catching_up: bool,
    /// Ends the task that reads the stream.
    pub stop: CancellationToken,
    /// The wall clock at media time zero.
    pub epoch: SystemTime,
    history_bytes: usize,
    /// The codecs that viewers have agreed on.
    agreed: Agreed,
    payloads: Vec<Payload>,
}

/// The codecs that the viewers of a relay have agreed on; `None` for a kind that they were not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Agreed {
    pub video: Option<Codec>,
    pub audio: Option<Codec>,
}

/// What an item means for the viewers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing, or something more to send.
    GoOn,
    /// The stream has changed so that they must negotiate again.
    Renegotiate,
    /// The broadcast is over.
    Ended,
}

/// Whether browsers can show what is on the track over WebRTC as it is.
pub(super) fn is_carried(track: &Track) -> bool {
    let reordered = track.video().and_then(|video| video.reorder_depth).is_some_and(|depth| depth > 0);
    match track.codec {
        Codec::H264 => !reordered,
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::Opus => true,
        _ => false,
    }
}

impl Relay {
    pub fn new(
        channel: Arc<Channel>,
        variant: u8,
        agreed: Agreed,
        epoch: SystemTime,
        history_bytes: usize,
    ) -> Self {
        Self {
            channel,
            variant,
            video: None,
            audio: None,
            viewers: Vec::new(),
            awaited_by: Vec::new(),
            users: 0,
            catching_up: true,
            stop: CancellationToken::new(),
            epoch,
            history_bytes,
            agreed,
            payloads: Vec::new(),
        }
    }

    pub fn lanes(&self) -> Lanes<'_> {
        Lanes {
            video: self.video.as_ref(),
            audio: self.audio.as_ref(),
            variant: self.variant,
            epoch: self.epoch,
        }
    }

    /// Takes an item of the stream.
    pub fn item(&mut self, item: Item, now: Instant) -> Effect {
        match item {
            Item::Track(track) => return self.configure(track),
            Item::Frame(frame) => self.frame(&frame, now),
            Item::Lagged(_) => {
                [&mut self.video, &mut self.audio].into_iter().flatten().for_each(|lane| lane.history.gap());
            }
            Item::Ended => return Effect::Ended,
            _ => {}
        }
        Effect::GoOn
    }

    fn configure(&mut self, track: Arc<Track>) -> Effect {
        let cname: Arc<str> = self.channel.name().as_str().into();
        let place = match track.kind() {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        };
        // Of several alternatives viewers get the one that comes first.
        if place.as_ref().is_some_and(|lane| lane.track.id != track.id && lane.track.rank <= track.rank) {
            return Effect::GoOn;
        }
        let agreed = match track.kind() {
            Kind::Video => self.agreed.video,
            Kind::Audio => self.agreed.audio,
        };
        if agreed != Some(track.codec) || !is_carried(&track) {
            return Effect::Renegotiate;
        }
        let configured = match place {
            Some(lane) => lane.configure(track),
            None => Lane::new(track, self.history_bytes, cname).map(|lane| *place = Some(lane)),
        };
        if configured.is_err() { Effect::Renegotiate } else { Effect::GoOn }
    }

    fn frame(&mut self, frame: &Frame, now: Instant) {
        let lane = [&mut self.video, &mut self.audio].into_iter().flatten().find(|lane| lane.is(frame.track));
        if let Some(lane) = lane {
            lane.push(frame, &mut self.payloads, now);
        }
    }
}

impl Lane {
    fn new(track: Arc<Track>, history_bytes: usize, cname: Arc<str>) -> Result<Self, Unsupported> {
        let packetizer = Packetizer::new(&track, MTU - AROUND)?;
        let clock_rate = packetizer.clock_rate();
        Ok(Self {
            track,
            history: History::new(Limits { retransmit: RETRANSMIT, bytes: history_bytes }),
            clock_rate,
            interval: USUAL_INTERVAL.to_ticks(clock_rate),
            packetizer,
            newest: None,
            cname,
        })
    }

    fn configure(&mut self, track: Arc<Track>) -> Result<(), Unsupported> {
        self.packetizer.configure(&track)?;
        self.track = track;
        Ok(())
    }

    /// Media time at this moment, as far as the newest frame tells.
    pub fn media_now(&self, now: Instant) -> Option<MediaTime> {
        let (time, at) = self.newest?;
        Some(time + now.saturating_duration_since(at).into())
    }

    /// How far back in media time the newest keyframe lies, if one is kept.
    pub fn keyframe_age(&self) -> Option<MediaTime> {
        let keyframe = self.history.get(self.history.keyframe()?)?;
        let newest = self.history.newest()?;
        Some(MediaTime::from_ticks(newest.ticks - keyframe.ticks, self.clock_rate))
    }

    /// The canonical name of the source: the same for sound and picture, so that players keep them in step.
    pub fn cname(&self) -> &str {
        &self.cname
    }

    fn is(&self, track: TrackId) -> bool {
        self.track.id == track
    }

    fn push(&mut self, frame: &Frame, payloads: &mut Vec<Payload>, now: Instant) {
        payloads.clear();
        if let Err(error) = self.packetizer.packetize(frame, payloads) {
            tracing::debug!(%error, codec = %self.track.codec, "a frame that cannot be sent over RTP was left out");
            return self.history.gap();
        }
        if let Some((before, _)) = self.newest {
            let interval = (frame.pts - before).to_ticks(self.clock_rate);
            // A pause is no frame rate.
            if (1..=i64::from(self.clock_rate)).contains(&interval) {
                self.interval = interval;
            }
        }
        self.newest = Some((frame.pts, now));
        self.history.push(payloads.drain(..), frame.pts.to_ticks(self.clock_rate), frame.keyframe);
    }
}
