//! From tracks and frames to tags: what HTTP-FLV and RTMP play send alike, whatever frames it in.

use std::sync::Arc;

use super::file::TagKind;
use super::mux;
use crate::format::cue_message::on_ad_cue;
use crate::media::{Cue, CueState, Frame, Kind, MediaTime, Track, TrackId};

/// Cues that stand at a time; the oldest are forgotten beyond it.
const MOST_CUES: usize = 64;

/// Chooses the one picture and the one sound that FLV has room for, and gives their tags.
///
/// Of several tracks of a kind the most preferred is taken.
#[derive(Debug, Default)]
pub struct Muxer {
    video: Option<Arc<Track>>,
    audio: Option<Arc<Track>>,
    /// Those that stand, which whoever begins is told of.
    cues: Vec<Cue>,
}

/// A tag, its body in two parts.
#[derive(Clone, Copy, Debug)]
pub struct TagParts<'a> {
    /// What it holds.
    pub kind: TagKind,
    /// When it is decoded, in milliseconds; wraps at 2³².
    pub timestamp_ms: u32,
    /// The parts of its body.
    pub body: [&'a [u8]; 2],
}

impl Muxer {
    /// Gives what a viewer must have before the frames from `time` on: the description, the configurations, and the cues that
    /// stand.
    pub fn header(&mut self, tracks: &[Arc<Track>], time: MediaTime, mut give: impl FnMut(TagParts<'_>)) {
        let best = |kind: Kind| {
            let candidates = tracks.iter().filter(|track| track.kind() == kind);
            candidates.min_by_key(|track| (track.group, track.rank, track.id)).cloned()
        };
        self.video = best(Kind::Video);
        self.audio = best(Kind::Audio);
        let timestamp_ms = timestamp_ms(time);
        let chosen = || self.video.iter().chain(&self.audio);
        let metadata = mux::on_metadata(chosen().map(|track| &**track), &[]);
        // At any other time FFmpeg takes it for the first of a subtitle track.
        give(TagParts { kind: TagKind::Script, timestamp_ms: 0, body: [&metadata, &[]] });
        chosen().for_each(|track| configuration(track, timestamp_ms, &mut give));
        let stands = |cue: &&Cue| cue.end().is_none_or(|end| end > time);
        self.cues.iter().filter(stands).for_each(|cue| cue_message(cue, time, &mut give));
    }

    /// Gives the message of a cue that is announced, updated or withdrawn when the newest frame is that of `time`, if it is news.
    pub fn cue(&mut self, cue: &Cue, time: MediaTime, mut give: impl FnMut(TagParts<'_>)) {
        let known = self.cues.iter().position(|known| known.id == cue.id);
        if known.is_some_and(|known| self.cues[known].revision >= cue.revision) {
            return;
        }
        known.map(|known| self.cues.remove(known));
        let is_over = cue.end().is_some_and(|end| end <= time);
        if cue.state == CueState::Announced && !is_over {
            if self.cues.len() >= MOST_CUES {
                self.cues.remove(0);
            }
            self.cues.push(cue.clone());
        }
        cue_message(cue, time, &mut give);
    }

    /// Gives the new configuration of a track that changes among the frames.
    pub fn track(&mut self, track: &Arc<Track>, time: MediaTime, mut give: impl FnMut(TagParts<'_>)) {
        let place = match track.kind() {
            Kind::Video => &mut self.video,
            Kind::Audio => &mut self.audio,
        };
        if place.as_ref().is_none_or(|known| known.id == track.id) {
            *place = Some(Arc::clone(track));
            configuration(track, timestamp_ms(time), &mut give);
        }
    }

    /// Gives the tag of a frame, if its track is chosen; before it, the messages of cues that are over by then.
    pub fn frame(&mut self, frame: &Frame, mut give: impl FnMut(TagParts<'_>)) {
        let is_over = |cue: &Cue| cue.end().is_some_and(|end| end <= frame.dts);
        while let Some(place) = self.cues.iter().position(is_over) {
            let cue = self.cues.remove(place);
            cue_message(&cue, frame.dts, &mut give);
        }
        let Some(track) = self.chosen(frame.track) else { return };
        let prefix = mux::frame_prefix(track, frame);
        let body = [prefix.as_ref(), &frame.payload];
        give(TagParts { kind: tag_kind(track.kind()), timestamp_ms: timestamp_ms(frame.dts), body });
    }

    fn chosen(&self, id: TrackId) -> Option<&Track> {
        self.video.iter().chain(&self.audio).map(|track| &**track).find(|track| track.id == id)
    }
}

fn configuration(track: &Track, timestamp_ms: u32, give: &mut impl FnMut(TagParts<'_>)) {
    if let Some(body) = mux::sequence_header(track) {
        give(TagParts { kind: tag_kind(track.kind()), timestamp_ms, body: [&body, &[]] });
    }
}

fn cue_message(cue: &Cue, time: MediaTime, give: &mut impl FnMut(TagParts<'_>)) {
    let message = on_ad_cue(cue, time);
    give(TagParts { kind: TagKind::Script, timestamp_ms: timestamp_ms(time), body: [&message, &[]] });
}

const fn tag_kind(kind: Kind) -> TagKind {
    match kind {
        Kind::Video => TagKind::Video,
        Kind::Audio => TagKind::Audio,
    }
}

/// Sound may begin a little before the first picture, which is media time zero; FLV has no time before zero.
fn timestamp_ms(time: MediaTime) -> u32 {
    time.as_millis().max(0) as u32
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{AudioParams, Codec, CueId, CueOrigin, Params, VideoParams};

    fn track(id: u8, codec: Codec, rank: u8) -> Arc<Track> {
        let params = match codec.kind() {
            Kind::Video => Params::Video(VideoParams { width: 640, height: 360, reorder_depth: None }),
            Kind::Audio => {
                Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: Some(1024) })
            }
        };
        Arc::new(Track {
            id: TrackId(id),
            group: 0,
            rank,
            codec,
            config: Bytes::from_static(b"config"),
            params,
        })
    }

    fn frame(track: u8, millis: i64) -> Frame {
        let time = MediaTime::from_millis(millis);
        let payload = Bytes::from_static(b"payload");
        Frame { track: TrackId(track), pts: time, dts: time, keyframe: true, disposable: false, payload }
    }

    #[test]
    fn the_most_preferred_track_of_each_kind_is_sent_and_no_other() {
        let mut muxer = Muxer::default();
        let tracks = [
            track(0, Codec::H264, 1),
            track(1, Codec::Aac, 0),
            track(2, Codec::Aac, 1),
            track(3, Codec::H264, 0),
        ];
        let mut kinds = Vec::new();
        muxer.header(&tracks, MediaTime::from_millis(70), |tag| kinds.push((tag.kind, tag.timestamp_ms)));
        assert_eq!(kinds, [(TagKind::Script, 0), (TagKind::Video, 70), (TagKind::Audio, 70)]);
        let mut sent = Vec::new();
        for id in 0..4 {
            muxer.frame(&frame(id, 80), |tag| sent.push((id, tag.kind, tag.body[1].to_vec())));
        }
        let payload = b"payload".to_vec();
        assert_eq!(sent, [(1, TagKind::Audio, payload.clone()), (3, TagKind::Video, payload)]);
    }

    #[test]
    fn a_cue_is_told_once_and_again_to_whoever_begins_while_it_stands() {
        let cue = |revision, state| Cue {
            id: CueId::new("7"),
            revision,
            state,
            start: MediaTime::from_millis(4_000),
            duration: Some(MediaTime::from_millis(1_000)),
            origin: CueOrigin::Api,
            scte35: None,
        };
        let scripts = |tag: TagParts<'_>, told: &mut Vec<(u32, Vec<u8>)>| {
            if tag.kind == TagKind::Script && tag.timestamp_ms > 0 {
                told.push((tag.timestamp_ms, tag.body.concat()));
            }
        };
        let time = MediaTime::from_millis;
        let mut muxer = Muxer::default();
        let mut told = Vec::new();
        for _ in 0..2 {
            muxer.cue(&cue(1, CueState::Announced), time(2_000), |tag| scripts(tag, &mut told));
        }
        let begin = |muxer: &mut Muxer, millis| {
            let mut told = Vec::new();
            muxer.header(&[], time(millis), |tag| scripts(tag, &mut told));
            told
        };
        let expected = |revision, state, millis: u32| {
            (millis, on_ad_cue(&cue(revision, state), time(millis.into())).to_vec())
        };
        assert_eq!(told, [expected(1, CueState::Announced, 2_000)]);
        assert_eq!(begin(&mut muxer, 4_500), [expected(1, CueState::Announced, 4_500)]);
        muxer.cue(&cue(2, CueState::Cancelled), time(4_600), |tag| scripts(tag, &mut told));
        assert_eq!(told[1], expected(2, CueState::Cancelled, 4_600));
        assert_eq!(begin(&mut muxer, 4_700), []);
        muxer.cue(&cue(3, CueState::Announced), time(4_800), |_| {});
        assert_eq!(begin(&mut muxer, 5_000), [], "it is over");
    }

    #[test]
    fn that_a_cue_is_over_is_told_once_before_the_first_frame_without_it() {
        let cue = |id: &str, state| Cue {
            id: CueId::new(id),
            revision: if state == CueState::Announced { 1 } else { 2 },
            state,
            start: MediaTime::from_millis(4_000),
            duration: Some(MediaTime::from_millis(1_000)),
            origin: CueOrigin::Api,
            scte35: None,
        };
        let time = MediaTime::from_millis;
        let mut muxer = Muxer::default();
        muxer.header(&[track(0, Codec::H264, 0), track(1, Codec::Aac, 0)], time(0), |_| {});
        for id in ["ends", "withdrawn"] {
            muxer.cue(&cue(id, CueState::Announced), time(2_000), |_| {});
        }
        muxer.cue(&cue("withdrawn", CueState::Cancelled), time(4_500), |_| {});
        let mut told = Vec::new();
        for (track, millis) in [(0, 4_980), (1, 4_990), (1, 5_010), (0, 5_020)] {
            // Whoever begins there does not take it from those who watch.
            muxer.header(
                &[self::track(0, Codec::H264, 0), self::track(1, Codec::Aac, 0)],
                time(millis),
                |_| {},
            );
            muxer.frame(&frame(track, millis), |tag| {
                let body = (tag.kind == TagKind::Script).then(|| tag.body.concat());
                told.push((tag.timestamp_ms, body));
            });
        }
        let end = on_ad_cue(&cue("ends", CueState::Announced), time(5_010)).to_vec();
        assert_eq!(told, [(4_980, None), (4_990, None), (5_010, Some(end)), (5_010, None), (5_020, None)]);
    }

    #[test]
    fn b38_a_storm_of_cues_is_bounded_for_whoever_begins() {
        let mut muxer = Muxer::default();
        for number in 0..1_000 {
            let cue = Cue {
                id: CueId::new(&number.to_string()),
                revision: 1,
                state: CueState::Announced,
                start: MediaTime::ZERO,
                duration: None,
                origin: CueOrigin::Publisher,
                scte35: None,
            };
            muxer.cue(&cue, MediaTime::ZERO, |_| {});
        }
        let mut count = 0;
        muxer.header(&[], MediaTime::ZERO, |_| count += 1);
        assert_eq!(count, 1 + MOST_CUES);
    }

    #[test]
    fn a_changed_track_sends_its_configuration_and_an_alternative_does_not() {
        let mut muxer = Muxer::default();
        muxer.header(&[track(0, Codec::H264, 0)], MediaTime::ZERO, |_| ());
        let mut sent = Vec::new();
        for changed in [track(0, Codec::H265, 0), track(5, Codec::H264, 1), track(1, Codec::Opus, 0)] {
            muxer.track(&changed, MediaTime::ZERO, |tag| sent.push((changed.id.0, tag.kind)));
        }
        assert_eq!(sent, [(0, TagKind::Video), (1, TagKind::Audio)]);
    }

    #[test]
    fn times_before_zero_become_zero_and_long_ones_wrap() {
        let mut muxer = Muxer::default();
        muxer.header(&[track(0, Codec::H264, 0)], MediaTime::ZERO, |_| ());
        for (millis, expected) in [(-5, 0), (16_777_216, 16_777_216), ((1 << 32) + 7, 7)] {
            muxer.frame(&frame(0, millis), |tag| assert_eq!(tag.timestamp_ms, expected));
        }
    }
}
