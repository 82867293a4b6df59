//! From a broadcast's frames to the parts and segments of its HLS renditions.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::format::fmp4::{ParameterSets, init_segment};
use crate::media::{Cue, Frame, Kind, MediaTime, Track, TrackId};

use super::cue_event::cue_event;
use super::date_range::DateRanges;
use super::lead::Lead;
use super::media_playlist::MediaPlaylist;
use super::pace::{Pace, PackagerConfig};
use super::resource::{MAIN, folder, rendition_of};
use super::watch::{MEASURED, Watch};
use super::writer::{Boundaries, Writer};

/// Sound waits so long for a picture that was announced.
const PICTURE_WAIT: MediaTime = MediaTime::from_millis(3000);
/// Event messages that wait for a part at most; the oldest are left out, as they are in playlists.
const MESSAGES: usize = 64;

/// Makes a broadcast's renditions: the main one, with picture and preferred sound together, so that a player needs
/// one request a part; and one for each alternative sound.
///
/// For the first seconds it only watches, because a playlist's part target and target duration are promises for its
/// lifetime. It watches again after an interruption, to see which tracks came back.
///
/// An interruption, and timestamps that jump, end the segment; the next begins with `EXT-X-DISCONTINUITY` and true
/// media time. (Players do not jump over a hole of that size by themselves, and wait through `EXT-X-GAP`; over a
/// discontinuity they play on at once.) A new init segment comes with a new codec or another set of tracks, and
/// with changed sound; a picture that changes size with the same codec goes on in-band.
#[derive(Debug)]
pub struct Packager {
    config: PackagerConfig,
    /// The variant of the programme.
    variant: u8,
    /// What it leaves behind for those that follow it.
    lead: Arc<Lead>,
    /// What the one that it follows has left behind.
    followed: Option<Arc<Lead>>,
    tracks: Vec<Arc<Track>>,
    /// Frames held back while the packager watches.
    watching: Option<Watch>,
    writers: Vec<Writer>,
    /// Tracks that brought frames since the last interruption.
    active: Vec<TrackId>,
    /// The tracks changed in a way that needs a new init segment, at the next keyframe.
    changed: bool,
    date_ranges: DateRanges,
    /// Event messages for the next part of the main rendition.
    messages: VecDeque<Bytes>,
    ended: bool,
}

impl Packager {
    /// A packager that has seen nothing yet.
    pub fn new(config: PackagerConfig) -> Self {
        Self {
            config,
            variant: 0,
            lead: Arc::default(),
            followed: None,
            tracks: Vec::new(),
            watching: Some(Watch::default()),
            writers: Vec::new(),
            active: Vec::new(),
            changed: false,
            date_ranges: DateRanges::default(),
            messages: VecDeque::new(),
            ended: false,
        }
    }

    /// The same for a variant of the programme that follows another: where that began a segment, this one does too, and makes
    /// the same bytes of the same frames.
    pub(super) fn following(config: PackagerConfig, variant: u8) -> Self {
        Self { variant, followed: Some(Arc::default()), ..Self::new(config) }
    }

    /// Takes note of how far the leading packager has got.
    pub(super) fn follow(&mut self, leading: &Self) {
        self.followed = Some(Arc::clone(&leading.lead));
    }

    /// Has from `original` what is the same there.
    pub(super) fn share(&mut self, original: &Self) {
        for playlist in self.writers.iter_mut().map(Writer::playlist_mut) {
            let rendition = rendition_of(playlist.name());
            if let Some(original) = original.playlists().find(|other| other.name() == rendition) {
                playlist.share(original);
            }
        }
    }

    /// The main rendition; `None` until the pace is decided.
    pub fn main(&self) -> Option<&MediaPlaylist> {
        self.playlists().next()
    }

    /// The variant of the programme.
    pub const fn variant(&self) -> u8 {
        self.variant
    }

    /// The main rendition first, then the alternative sounds; none until the pace is decided.
    pub fn playlists(&self) -> impl Iterator<Item = &MediaPlaylist> {
        self.writers.iter().map(Writer::playlist)
    }

    /// The tracks in the main rendition, the leading one first.
    pub fn main_tracks(&self) -> impl Iterator<Item = &Arc<Track>> {
        self.writers.iter().take(1).flat_map(Writer::tracks)
    }

    /// The alternative sounds with their tracks.
    pub fn alternatives(&self) -> impl Iterator<Item = (&MediaPlaylist, &Track)> {
        self.writers.iter().skip(1).filter_map(|writer| Some((writer.playlist(), &**writer.tracks().next()?)))
    }

    /// The cues that playlists speak of.
    pub const fn date_ranges(&self) -> &DateRanges {
        &self.date_ranges
    }

    /// The broadcast is over and everything is in the playlists.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Announces a track or a change of it.
    pub fn track(&mut self, track: Arc<Track>) {
        let Some(known) = self.tracks.iter_mut().find(|known| known.id == track.id) else {
            self.tracks.push(track);
            return;
        };
        let in_band = known.codec == track.codec && track.kind() == Kind::Video;
        let same = **known == *track;
        *known = Arc::clone(&track);
        if in_band {
            self.writers.iter_mut().for_each(|writer| writer.update_track(&track));
        } else if !same && self.writers.iter().any(|writer| writer.carries(track.id)) {
            self.changed = true;
        }
    }

    /// Adds a frame; decoding times rise within a track, tracks are interleaved roughly.
    pub fn frame(&mut self, frame: Frame) {
        let Some(kind) = self.kind(frame.track).filter(|_| !self.ended) else { return };
        let first = !self.active.contains(&frame.track);
        if first {
            self.active.push(frame.track);
        }
        if let Some(watch) = &mut self.watching {
            // Nothing can be shown before the first keyframe.
            if kind == Kind::Video && !frame.keyframe && !watch.has_track(frame.track) {
                return;
            }
            watch.push(frame);
            self.decide(false);
            return;
        }
        if first && self.is_wanted(frame.track) {
            self.changed = true;
        }
        self.route(frame);
    }

    /// Announces, updates or withdraws a cue.
    pub fn cue(&mut self, cue: Cue) {
        let now = self.main().map_or(MediaTime::ZERO, MediaPlaylist::end);
        let event = cue_event(&cue, now);
        if self.date_ranges.announce(cue, now) {
            if self.messages.len() >= MESSAGES {
                self.messages.pop_front();
            }
            self.messages.push_back(event.to_bytes());
        }
    }

    /// The publisher went away, or frames were missed: what comes next does not continue what was.
    pub fn interrupted(&mut self) {
        self.decide(true);
        self.writers.iter_mut().for_each(Writer::interrupt);
        self.active.clear();
        self.watching = Some(Watch::default());
    }

    /// The broadcast is over.
    pub fn ended(&mut self) {
        self.decide(true);
        self.writers.iter_mut().for_each(Writer::finish);
        self.ended = true;
    }

    fn kind(&self, id: TrackId) -> Option<Kind> {
        self.tracks.iter().find(|track| track.id == id).map(|track| track.kind())
    }

    /// Goes to work with the frames held back, once they tell enough, or in any case where nothing more will come.
    fn decide(&mut self, in_any_case: bool) {
        let Some(watch) = &self.watching else { return };
        let enough = watch.is_full()
            || match &self.followed {
                _ if !self.writers.is_empty() => self.knows_tracks(watch),
                Some(lead) => watch.knows(lead.tracks()),
                None => self.knows_pace(watch),
            };
        if watch.frames.is_empty() || !(enough || in_any_case) {
            return;
        }
        let Some(watch) = self.watching.take() else { return };
        self.begin(watch);
    }

    fn knows_pace(&self, watch: &Watch) -> bool {
        let Some(picture) = self.preferred(Kind::Video) else {
            let announced = self.tracks.iter().any(|track| track.kind() == Kind::Video);
            return watch.span() >= if announced { PICTURE_WAIT } else { MEASURED };
        };
        watch.knows_pace_of(picture.id)
    }

    fn knows_tracks(&self, watch: &Watch) -> bool {
        let expected = self.writers.iter().flat_map(Writer::tracks).map(|track| track.id);
        watch.knows(&expected.collect::<Vec<_>>())
    }

    fn begin(&mut self, watch: Watch) {
        self.lay_out(&watch);
        // Sound from before the first picture has nothing to go with.
        let lead =
            self.main_tracks().next().filter(|track| track.kind() == Kind::Video).map(|track| track.id);
        let start = lead.and_then(|lead| watch.of(lead).first().map(|(dts, _)| *dts));
        let start = start.unwrap_or(MediaTime::from_nanos(i64::MIN));
        for frame in watch.frames {
            if Some(frame.track) == lead || frame.dts >= start {
                self.route(frame);
            }
        }
    }

    /// Gives a frame to its renditions.
    fn route(&mut self, frame: Frame) {
        if self.changed && self.may_change_at(&frame) {
            self.changed = false;
            self.lay_out(&Watch::default());
        }
        let stale = |writer: &Writer| {
            writer.tracks().any(|carried| carried.id == frame.track && !self.tracks.contains(carried))
        };
        // A track that waits for its new init segment would be garbage under the old one.
        if self.changed && self.writers.iter().any(stale) {
            return;
        }
        let Some((main, others)) = self.writers.split_first_mut() else { return };
        if !main.carries(frame.track) {
            let other = others.iter_mut().find(|other| other.carries(frame.track));
            return other.into_iter().for_each(|other| other.push(frame.clone(), None));
        }
        let before = main.cuts();
        let (track, dts) = (frame.track, frame.dts);
        let like = self.followed.as_ref().and_then(|lead| lead.beginning_with(&frame));
        main.announce(self.messages.drain(..));
        main.push(frame, like.as_ref().and_then(|like| like.stances.first()));
        self.date_ranges.reach(main.playlist().end());
        let after = main.cuts();
        if after.discontinuities > before.discontinuities {
            others.iter_mut().for_each(Writer::interrupt);
        } else if after.segments > before.segments {
            others.iter_mut().for_each(Writer::cut);
        }
        if let Some(like) = like {
            let stances = like.stances.iter().skip(1);
            others.iter_mut().zip(stances).for_each(|(other, stance)| other.stand_like(stance));
        }
        if let Some(main) = main.take_begun() {
            let stances = std::iter::once(main).chain(others.iter().map(Writer::stance));
            Arc::make_mut(&mut self.lead).begins(track, dts, stances.collect());
        }
        if after.segments > before.segments
            && let Some(main) = self.writers.first()
        {
            self.date_ranges.forget_before(main.playlist());
        }
    }

    /// A new init segment can take effect at a keyframe of the picture that will lead, or with any sound where there
    /// is no picture.
    fn may_change_at(&self, frame: &Frame) -> bool {
        let lead = self.preferred(Kind::Video).or_else(|| self.preferred(Kind::Audio));
        lead.is_some_and(|lead| lead.id == frame.track && frame.keyframe)
    }

    /// The track would be in a rendition if the layout was made now, and is not.
    fn is_wanted(&self, id: TrackId) -> bool {
        let layout = self.layout();
        layout.iter().flatten().any(|track| track.id == id)
            && !self.writers.iter().any(|writer| writer.carries(id))
    }

    /// The preferred one of the tracks of a kind that bring frames and can be described to a player.
    fn preferred(&self, kind: Kind) -> Option<&Arc<Track>> {
        self.usable(kind).min_by_key(|track| (track.group, track.rank, track.id))
    }

    fn usable(&self, kind: Kind) -> impl Iterator<Item = &Arc<Track>> {
        self.tracks.iter().filter(move |track| {
            track.kind() == kind
                && self.active.contains(&track.id)
                && init(std::slice::from_ref(track)).is_some()
        })
    }

    /// The tracks of each rendition: the main one first, led by the picture where there is one.
    fn layout(&self) -> Vec<Vec<Arc<Track>>> {
        let sound = self.preferred(Kind::Audio);
        let main: Vec<_> = self.preferred(Kind::Video).into_iter().chain(sound).cloned().collect();
        let mut renditions = vec![main];
        if let Some(sound) = sound {
            let other = |track: &&Arc<Track>| track.group == sound.group && track.id != sound.id;
            let mut others: Vec<_> = self.usable(Kind::Audio).filter(other).cloned().collect();
            others.sort_by_key(|track| (track.rank, track.id));
            renditions.extend(others.into_iter().map(|track| vec![track]));
        }
        renditions
    }

    /// Makes the renditions fit the tracks; `watch` holds the frames that tell a new broadcast's pace.
    fn lay_out(&mut self, watch: &Watch) {
        let layout = self.layout();
        let carried = layout.iter().flatten().map(|track| track.id).collect();
        let mut layout = layout.into_iter();
        let Some(main) = layout.next().filter(|main| !main.is_empty()) else { return };
        let followed = self.followed.clone().unwrap_or_default();
        let pace = match self.writers.first() {
            Some(writer) => *writer.playlist().pace(),
            None => followed.pace_of(MAIN).unwrap_or_else(|| self.measure(&main[0], watch)),
        };
        Arc::make_mut(&mut self.lead).carries(carried);
        self.set_tracks(MAIN, main, pace, Boundaries::Own);
        for tracks in layout {
            let name = format!("audio{}", tracks[0].id.0);
            let measured = || Pace::of_audio(self.audio_frame(&tracks[0], watch), &self.config);
            let mut pace = followed.pace_of(&name).unwrap_or_else(measured);
            // One playlist's segments mirror the other's, so that both have the same numbers.
            pace.target_duration = self
                .writers
                .first()
                .map_or(pace.target_duration, |main| main.playlist().pace().target_duration);
            self.set_tracks(&name, tracks, pace, Boundaries::Followed);
        }
    }

    fn set_tracks(&mut self, name: &str, tracks: Vec<Arc<Track>>, pace: Pace, boundaries: Boundaries) {
        let Some(init) = init(&tracks) else { return };
        Arc::make_mut(&mut self.lead).promises(name, pace);
        let name = &folder(name, self.variant);
        let known = self.writers.iter().position(|writer| writer.playlist().name() == name);
        let index = known.unwrap_or_else(|| {
            self.writers.push(Writer::new(name, pace, boundaries, &self.config));
            self.writers.len() - 1
        });
        let writer = &mut self.writers[index];
        let fits = |(old, new): (&Arc<Track>, &Arc<Track>)| {
            old.id == new.id && old.codec == new.codec && (old == new || new.kind() == Kind::Video)
        };
        if writer.tracks().count() != tracks.len() || !writer.tracks().zip(&tracks).all(fits) {
            writer.set_tracks(tracks, init);
        }
    }

    fn measure(&self, lead: &Arc<Track>, watch: &Watch) -> Pace {
        match lead.kind() {
            Kind::Video => Pace::of_video(&watch.of(lead.id), &self.config),
            Kind::Audio => Pace::of_audio(self.audio_frame(lead, watch), &self.config),
        }
    }

    /// How long a frame of this sound lasts.
    fn audio_frame(&self, track: &Arc<Track>, watch: &Watch) -> MediaTime {
        let first = watch.frames.iter().find(|frame| frame.track == track.id);
        first.map_or(MediaTime::from_millis(20), |frame| super::lane::audio_duration(track, &frame.payload))
    }
}

/// The init segment of these tracks, if they can be described.
fn init(tracks: &[Arc<Track>]) -> Option<Bytes> {
    let tracks: Vec<&Track> = tracks.iter().map(|track| &**track).collect();
    init_segment(&tracks, ParameterSets::InBand).ok()
}
