//! One track of a publisher: its configuration as it stands, and what becomes of its payloads.

use bytes::Bytes;

use super::FlvError;
use super::contents::Contents;
use super::demux::{Event, Events};
use super::parameter_sets::changed_config;
use crate::codec::{self, Framing, Malformed, h265};
use crate::media::{Codec, Frame, Kind, MediaTime, Params, Track, TrackId};

/// What the tag says of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameFlags {
    pub(super) keyframe: bool,
    pub(super) disposable: bool,
}

/// A track of the publisher.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    kind: Kind,
    /// The publisher's number of it.
    number: u8,
    id: TrackId,
    rank: u8,
    configured: Option<Configured>,
}

/// A track whose sequence header has come.
#[derive(Clone, Debug)]
struct Configured {
    codec: Codec,
    /// The sequence header as it was sent, to know its repetition.
    header: Bytes,
    /// How the publisher frames its payloads.
    framing: Framing,
    /// What the sequence header makes of the track. The picture size is zero where only key frames tell it.
    described: Track,
    /// What was told last; `None` until a key frame tells the picture size.
    told: Option<Track>,
    /// Temporal sub-layers, of H.265.
    sub_layers: u8,
    /// The sequence header came again after in-band parameter sets had replaced it.
    header_again: bool,
}

impl Stream {
    pub(super) fn new(kind: Kind, number: u8, id: TrackId, rank: u8) -> Self {
        Self { kind, number, id, rank, configured: None }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Video is group 0, audio group 1: tracks of a kind are alternatives.
    fn group(&self) -> u8 {
        match self.kind {
            Kind::Video => 0,
            Kind::Audio => 1,
        }
    }

    pub(super) fn rank(&self) -> u8 {
        self.rank
    }

    pub(super) fn is(&self, kind: Kind, number: u8) -> bool {
        self.kind == kind && self.number == number
    }

    /// Takes a sequence header; the track comes back if that changes it.
    pub(super) fn configure(&mut self, codec: Codec, header: Bytes) -> Result<Option<Track>, FlvError> {
        if let Some(configured) = &mut self.configured
            && configured.codec == codec
            && configured.header == header
        {
            // Encoders that repeat an outdated header before every keyframe must not make the track flap: whether it
            // counts again shows at the next keyframe.
            configured.header_again = configured.told.as_ref() != Some(&configured.described);
            return Ok(None);
        }
        let configured =
            Configured::new(self, codec, &header).map_err(|error| FlvError::Payload { codec, error })?;
        let before = self.configured.as_ref().and_then(|configured| configured.told.as_ref());
        let news = configured.told.clone().filter(|track| before != Some(track));
        self.configured = Some(configured);
        Ok(news)
    }

    /// Takes a frame, and adds what comes of it to `events`.
    pub(super) fn frame(
        &mut self,
        codec: Codec,
        dts: MediaTime,
        pts: MediaTime,
        flags: FrameFlags,
        payload: Bytes,
        events: &mut Events,
    ) -> Result<(), FlvError> {
        let wrong = |error| FlvError::Payload { codec, error };
        let configured = match &mut self.configured {
            Some(configured) if configured.codec == codec => configured,
            _ => return Err(FlvError::FrameBeforeConfig(codec)),
        };
        let payload = configured.framing.canonical(payload).map_err(wrong)?;
        if payload.is_empty() {
            return Err(wrong(Malformed::Empty { element: "frame" }));
        }
        let Contents { facts, has_frame } =
            Contents::inspect(codec, &payload, configured.sub_layers).map_err(wrong)?;
        if self.kind == Kind::Video && (facts.keyframe || !has_frame) {
            events.extend(configured.update(&payload, facts.size).map_err(wrong)?.map(Event::Track));
        }
        if !has_frame {
            return Ok(());
        }
        if configured.told.is_none() {
            return Err(FlvError::FrameBeforeConfig(codec));
        }
        let keyframe = facts.keyframe && (flags.keyframe || self.kind == Kind::Audio);
        let disposable = facts.disposable || (flags.disposable && codec != Codec::H264);
        events.push(Event::Frame(Frame { track: self.id, pts, dts, keyframe, disposable, payload }));
        Ok(())
    }
}

impl Configured {
    fn new(stream: &Stream, codec: Codec, header: &[u8]) -> Result<Self, Malformed> {
        let description = codec::describe(codec, header)?;
        let sub_layers = sub_layers(codec, &description.config)?;
        let described = Track {
            id: stream.id,
            group: stream.group(),
            rank: stream.rank,
            codec,
            config: description.config,
            params: description.params,
        };
        let is_complete = described.video().is_none_or(|video| video.width > 0);
        Ok(Self {
            codec,
            // A copy, so that it does not hold on to the whole message.
            header: Bytes::copy_from_slice(header),
            framing: Framing::announced(codec, header)?,
            told: is_complete.then(|| described.clone()),
            described,
            sub_layers,
            header_again: false,
        })
    }

    /// Takes what a key frame, or a payload of parameter sets alone, says of the track; the track comes back if that
    /// changes it.
    fn update(&mut self, payload: &[u8], size: Option<(u32, u32)>) -> Result<Option<Track>, Malformed> {
        let base = if self.header_again { None } else { self.told.as_ref() };
        let mut track = base.unwrap_or(&self.described).clone();
        if let (Some((width, height)), Params::Video(video)) = (size, &mut track.params) {
            (video.width, video.height) = (width, height);
        }
        if let Some(config) = changed_config(self.codec, &track.config, payload)? {
            let description = codec::describe(self.codec, &config)?;
            track.config = description.config;
            track.params = description.params;
        }
        let is_complete = track.video().is_none_or(|video| video.width > 0);
        if !is_complete || self.told.as_ref() == Some(&track) {
            self.header_again = false;
            return Ok(None);
        }
        self.sub_layers = sub_layers(self.codec, &track.config)?;
        self.header_again = false;
        self.told = Some(track.clone());
        Ok(Some(track))
    }
}

fn sub_layers(codec: Codec, config: &[u8]) -> Result<u8, Malformed> {
    match codec {
        Codec::H265 => Ok(h265::ConfigRecord::parse(config)?.active_sps()?.max_sub_layers),
        _ => Ok(1),
    }
}
