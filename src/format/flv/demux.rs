//! The demuxer: tag bodies in, tracks and frames out.

use bytes::Bytes;

use super::FlvError;
use super::body::{Body, Content, Packet};
use super::stream::{FrameFlags, Stream};
use crate::media::{Codec, Frame, Kind, MediaTime, Track, TrackId};

/// `VideoFrameType` of a keyframe, and of one that a server made.
const FRAME_TYPE_KEY: u8 = 1;
const FRAME_TYPE_GENERATED_KEY: u8 = 4;
/// `VideoFrameType` of a frame that no other refers to.
const FRAME_TYPE_DISPOSABLE: u8 = 3;

/// What a publisher may make the demuxer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tracks of both kinds together.
    pub max_tracks: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_tracks: 8 }
    }
}

/// What a tag body turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A track that is new, or whose configuration has changed: of the frames that follow.
    Track(Track),
    /// A frame of a track that has been told before.
    Frame(Frame),
}

/// The events of one body, in order; mostly one.
pub type Events = Vec<Event>;

/// Turns the audio and video bodies of one publisher into tracks and canonical frames.
///
/// - **Track ids**: the first video is 0, the first audio 1, what else Multitrack brings 2 and up, in order of appearance.
///   Video is group 0, audio group 1; the rank within the group is the order of appearance.
/// - **Times**: `dts` is the body's timestamp plus an enhanced nanosecond offset, `pts` adds the composition time, which
///   may be negative. Timestamps go through as they are: that `dts` rises is the caller's to see to.
/// - **Keyframes** are frames that both the tag and the payload call so: an IDR picture or open-GOP entry of H.264, an IRAP picture of
///   H.265, a key frame of AV1, VP8 or VP9. A tag alone lies where encoders mark every intra picture.
/// - **Disposable** frames are told by `nal_ref_idc` for H.264, by the tag for the others.
/// - Parameter sets that a keyframe carries in-band and that differ from the track's configuration replace it, told by a
///   track event before that frame. A payload of nothing but parameter sets makes no frame.
/// - Empty audio payloads, end-of-sequence marks, player commands and metadata make no events.
#[derive(Debug)]
pub struct Demuxer {
    limits: Limits,
    /// At most `limits.max_tracks`.
    streams: Vec<Stream>,
}

impl Demuxer {
    /// A demuxer that has seen nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, streams: Vec::new() }
    }

    /// Reads a video body; after an error nothing of it has been taken.
    pub fn video(&mut self, timestamp: MediaTime, body: Bytes) -> Result<Events, FlvError> {
        if body.is_empty() {
            return Ok(Events::new());
        }
        self.body(timestamp, Body::video(body)?)
    }

    /// Reads an audio body; after an error nothing of it has been taken.
    pub fn audio(&mut self, timestamp: MediaTime, body: Bytes) -> Result<Events, FlvError> {
        if body.is_empty() {
            return Ok(Events::new());
        }
        self.body(timestamp, Body::audio(body)?)
    }

    fn body(&mut self, timestamp: MediaTime, mut body: Body) -> Result<Events, FlvError> {
        if !body.is_multiple() {
            let mut events = Events::new();
            if let Some(packet) = body.next_packet()? {
                self.packet(timestamp, &body, packet, &mut events)?;
            }
            return Ok(events);
        }
        // A later packet may be wrong when earlier ones have left their mark already.
        let before = self.streams.clone();
        self.packets(timestamp, body).inspect_err(|_| self.streams = before)
    }

    fn packets(&mut self, timestamp: MediaTime, mut body: Body) -> Result<Events, FlvError> {
        let mut events = Events::new();
        let mut seen = Vec::new();
        while let Some(packet) = body.next_packet()? {
            if seen.contains(&packet.track) {
                return Err(FlvError::DuplicateTrack(packet.track));
            }
            seen.push(packet.track);
            self.packet(timestamp, &body, packet, &mut events)?;
        }
        Ok(events)
    }

    fn packet(
        &mut self,
        timestamp: MediaTime,
        body: &Body,
        packet: Packet,
        events: &mut Events,
    ) -> Result<(), FlvError> {
        let Packet { track, codec, content } = packet;
        let known = self.streams.iter_mut().find(|stream| stream.is(codec.kind(), track));
        match content {
            // ffmpeg opens AV1 so, and sends the real one when its encoder has made it.
            Content::Config(config) if config.is_empty() && codec != Codec::Vp8 => {}
            Content::Config(config) => match known {
                Some(stream) => events.extend(stream.configure(codec, config)?.map(Event::Track)),
                None => {
                    let mut stream = self.new_stream(codec.kind(), track)?;
                    events.extend(stream.configure(codec, config)?.map(Event::Track));
                    self.streams.push(stream);
                }
            },
            Content::Frame { payload, .. } if payload.is_empty() && codec.kind() == Kind::Audio => {}
            Content::Frame { composition, payload } => {
                let dts = timestamp + body.offset;
                let flags = FrameFlags {
                    keyframe: matches!(body.frame_type, FRAME_TYPE_KEY | FRAME_TYPE_GENERATED_KEY),
                    disposable: body.frame_type == FRAME_TYPE_DISPOSABLE,
                };
                match known {
                    Some(stream) => stream.frame(codec, dts, dts + composition, flags, payload, events)?,
                    // VP8 has no configuration to wait for.
                    None if codec == Codec::Vp8 => {
                        let mut stream = self.new_stream(codec.kind(), track)?;
                        stream.configure(codec, Bytes::new())?;
                        stream.frame(codec, dts, dts + composition, flags, payload, events)?;
                        self.streams.push(stream);
                    }
                    None => return Err(FlvError::FrameBeforeConfig(codec)),
                }
            }
        }
        Ok(())
    }

    fn new_stream(&self, kind: Kind, number: u8) -> Result<Stream, FlvError> {
        if self.streams.len() >= usize::from(self.limits.max_tracks) {
            return Err(FlvError::TooManyTracks(self.limits.max_tracks));
        }
        let rank = self.streams.iter().filter(|stream| stream.kind() == kind).count();
        let further = self.streams.iter().filter(|stream| stream.rank() > 0).count();
        let id = match (kind, rank) {
            (Kind::Video, 0) => 0,
            (Kind::Audio, 0) => 1,
            _ => 2 + further,
        };
        // With at most 255 tracks, the first of a kind among them, neither is above 255.
        Ok(Stream::new(kind, number, TrackId(id as u8), rank as u8))
    }
}
