//! A session that publishes: its frames on their way into the hub.

use std::time::Instant;

use str0m::media::{MediaData, Mid, Rid};

use super::common_clock::CommonClock;
use super::received::Received;
use super::setup::of_rtp;
use crate::clock::unix_millis;
use crate::codec::Malformed;
use crate::hub;
use crate::media::{Codec, Kind, MediaTime, TrackId};

/// How long a simulcast layer may be silent before a lesser one takes its place.
const LAYER_TIMEOUT: MediaTime = MediaTime::from_millis(2000);

/// One publisher.
pub(super) struct Publisher {
    pub hub: hub::Publisher,
    began: Instant,
    clock: CommonClock,
    video: Option<Received>,
    audio: Option<Received>,
    layer: Option<Layer>,
    /// The section that the picture comes from.
    section: Option<Mid>,
    /// Frames of the picture may not be used until a keyframe has come.
    waits_for_keyframe: bool,
}

/// The simulcast layer that is relayed.
struct Layer {
    rid: Option<Rid>,
    pixels: u64,
    seen: MediaTime,
}

/// What to do about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It was taken, or is of no use.
    Fine,
    /// Ask for a keyframe of this section and layer.
    Keyframe(Mid, Option<Rid>),
}

impl Publisher {
    /// A publisher who has just connected.
    pub fn new(hub: hub::Publisher, now: Instant) -> Self {
        Self {
            hub,
            began: now,
            clock: CommonClock::default(),
            video: None,
            audio: None,
            layer: None,
            section: None,
            waits_for_keyframe: true,
        }
    }

    /// Announces the sound, which is known before its first packet.
    pub fn announce_sound(&mut self) {
        let audio = self.audio.insert(Received::new(TrackId(1), Codec::Opus));
        if let Ok(Some(track)) = audio.announce_opus() {
            self.hub.configure(track);
        }
    }

    /// Whom to ask for a keyframe: the section and the layer that are relayed.
    pub fn picture_source(&self) -> Option<(Mid, Option<Rid>)> {
        self.section.map(|mid| (mid, self.layer.as_ref().and_then(|layer| layer.rid)))
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// When it is malformed; it was dropped, and the caller counts it.
    pub fn take(&mut self, data: &MediaData) -> Result<Answer, Malformed> {
        let Some(codec) = of_rtp(data.params.spec().codec) else { return Ok(Answer::Fine) };
        let arrival = MediaTime::from(data.network_time.saturating_duration_since(self.began));
        match codec.kind() {
            Kind::Audio => self.sound(codec, data, arrival).map(|()| Answer::Fine),
            Kind::Video => self.picture(codec, data, arrival),
        }
    }

    fn sound(&mut self, codec: Codec, data: &MediaData, arrival: MediaTime) -> Result<(), Malformed> {
        let time = self.place(Kind::Audio, data, arrival);
        let audio = self.audio.get_or_insert_with(|| Received::new(TrackId(1), codec));
        let arrived = audio.take(&data.data, time)?;
        self.write(arrived);
        Ok(())
    }

    fn picture(&mut self, codec: Codec, data: &MediaData, arrival: MediaTime) -> Result<Answer, Malformed> {
        let ask = Answer::Keyframe(data.mid, data.rid);
        self.section = Some(data.mid);
        if !self.follows(data, codec, arrival) {
            return Ok(Answer::Fine);
        }
        if self.video.as_ref().is_none_or(|video| video.codec() != codec) {
            self.video = Some(Received::new(TrackId(0), codec));
            self.waits_for_keyframe = true;
        }
        let time = self.place(Kind::Video, data, arrival);
        let Some(video) = &mut self.video else { return Ok(Answer::Fine) };
        if !data.contiguous {
            // Something before it was lost: decoders would show rubbish until the next keyframe.
            self.waits_for_keyframe = true;
        }
        let arrived = video.take(&data.data, time).inspect_err(|_| self.waits_for_keyframe = true)?;
        let keyframe = arrived.frame.as_ref().is_some_and(|frame| frame.keyframe);
        if self.waits_for_keyframe && !keyframe {
            return Ok(ask);
        }
        self.waits_for_keyframe = arrived.frame.is_none() && self.waits_for_keyframe;
        self.write(arrived);
        Ok(Answer::Fine)
    }

    /// Whether a frame belongs to the layer that is relayed: the largest that is sent. Layers change at keyframes.
    fn follows(&mut self, data: &MediaData, codec: Codec, now: MediaTime) -> bool {
        let pixels = || {
            let mut probe = Received::new(TrackId(0), codec);
            let track = probe.take(&data.data, MediaTime::ZERO).ok().and_then(|arrived| arrived.track);
            track
                .and_then(|track| track.video().map(|video| u64::from(video.width) * u64::from(video.height)))
        };
        match &mut self.layer {
            Some(layer) if layer.rid == data.rid => layer.seen = now,
            Some(layer) if !data.is_keyframe() => return data.rid == layer.rid,
            Some(layer) => {
                let Some(pixels) = pixels() else { return false };
                if pixels <= layer.pixels && now - layer.seen < LAYER_TIMEOUT {
                    return false;
                }
                self.layer = Some(Layer { rid: data.rid, pixels, seen: now });
            }
            None => {
                let pixels = pixels().unwrap_or(0);
                self.layer = Some(Layer { rid: data.rid, pixels, seen: now });
            }
        }
        true
    }

    /// The frame's time on the publisher's one clock.
    fn place(&mut self, kind: Kind, data: &MediaData, arrival: MediaTime) -> MediaTime {
        let ticks = |time: str0m::media::MediaTime| {
            MediaTime::from_ticks(i64::try_from(time.numer()).unwrap_or(i64::MAX), time.denom().max(1))
        };
        let source = ticks(data.time);
        let placed = self.clock.place(kind, source, arrival);
        if let Some(report) = &data.last_sender_info {
            let wall = MediaTime::from_millis(unix_millis(report.ntp_time));
            self.clock.report(kind, ticks(report.rtp_time), wall);
        }
        placed
    }

    fn write(&mut self, arrived: super::received::Arrived) {
        if let Some(track) = arrived.track {
            self.hub.configure(track);
        }
        if let Some(frame) = arrived.frame {
            self.hub.write(frame);
        }
    }
}
