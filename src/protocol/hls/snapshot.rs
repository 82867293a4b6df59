//! Everything that can be served of a broadcast at a moment, each text written once.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::media_playlist::{MediaPlaylist, Part, Position, Segment};
use super::packager::Packager;
use super::playlist::{Form, Surroundings, media, multivariant};
use super::reload::{BadReload, Readiness, Reload};
use super::resource::{MAIN, Resource, rendition_of};

/// A moment of a broadcast; immutable, shared by all requests that are answered from it.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    /// The variants of the programme that there is something of, everybody's first.
    variants: Vec<Arc<Variant>>,
}

/// A variant of the programme at a moment.
#[derive(Debug)]
pub(super) struct Variant {
    number: u8,
    version: Version,
    multivariant: Bytes,
    renditions: Vec<Rendition>,
}

#[derive(Debug)]
struct Rendition {
    playlist: MediaPlaylist,
    full: Bytes,
    delta: Bytes,
    delta_with_date_ranges: Bytes,
}

/// What a snapshot has to say to a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// A media playlist.
    Playlist(Bytes),
    /// An init segment, or a part.
    Media(Bytes),
    /// A complete segment, in its parts.
    Segment(Vec<Bytes>),
    /// It will be there soon: ask the next snapshot.
    Wait,
    /// The request makes no sense.
    Bad(BadReload),
    /// There is no such file, or not any more.
    Missing,
}

/// Which number of changes a packager is at; what is served of it is as old as its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version(u64, u64);

impl Version {
    fn of(packager: &Packager) -> Self {
        let playlists = packager.playlists().map(|playlist| playlist.revision() + 1).sum();
        Self(playlists, packager.date_ranges().revision())
    }
}

impl Snapshot {
    /// Takes in what has changed in a packager since; `false` when that is nothing, or there is nothing to list yet.
    pub fn update(&mut self, packager: &Packager, epoch: SystemTime, session: &str) -> bool {
        let place = self.variants.iter().position(|variant| variant.number >= packager.variant());
        let known = place.filter(|&place| self.variants[place].number == packager.variant());
        if known.is_some_and(|known| self.variants[known].version == Version::of(packager)) {
            return false;
        }
        let Some(variant) = Variant::take(packager, epoch, session).map(Arc::new) else { return false };
        match known {
            Some(known) => self.variants[known] = variant,
            None => self.variants.insert(place.unwrap_or(self.variants.len()), variant),
        }
        true
    }

    /// The multivariant playlist of a variant of the programme, once there is one.
    pub fn multivariant(&self, variant: u8) -> Option<Bytes> {
        self.variants.iter().find(|known| known.number == variant).map(|known| known.multivariant.clone())
    }

    /// The playlist of a rendition, if there is one in this folder.
    pub fn playlist(&self, folder: &str) -> Option<&MediaPlaylist> {
        self.rendition(folder).map(|rendition| &rendition.playlist)
    }

    /// The playlist of the main rendition that everybody gets.
    pub fn main(&self) -> Option<&MediaPlaylist> {
        self.playlist(MAIN)
    }

    /// The answer to a request for a file of a rendition's folder; `reload` counts for playlists only.
    pub fn answer(&self, folder: &str, resource: Resource, reload: &Reload) -> Answer {
        let Some(rendition) = self.rendition(folder) else { return Answer::Missing };
        match (rendition.answer(resource, reload), resource) {
            // A variant whose window is longer still lists what everybody's has forgotten.
            (Answer::Missing, Resource::Segment(msn)) => self.shared(folder, |playlist| {
                let same = |segment: &&Arc<Segment>| segment.same_as == Some(msn);
                playlist.segments().iter().find(same).map(|segment| segment_answer(segment))
            }),
            (Answer::Missing, Resource::Part(position)) => self.shared(folder, |playlist| {
                let same = |part: &&Part| part.same_as == Some(position);
                let mut parts = playlist.segments().iter().flat_map(|segment| &segment.parts);
                parts.find(same).map(|part| Answer::Media(part.bytes.clone()))
            }),
            (answer, _) => answer,
        }
    }

    /// The playlist as it is, for a request that has waited long enough.
    pub fn text(&self, folder: &str, reload: &Reload) -> Option<Bytes> {
        self.rendition(folder).map(|rendition| rendition.text(reload.form))
    }

    fn rendition(&self, folder: &str) -> Option<&Rendition> {
        self.renditions().find(|rendition| rendition.playlist.name() == folder)
    }

    fn renditions(&self) -> impl Iterator<Item = &Rendition> {
        self.variants.iter().flat_map(|variant| &variant.renditions)
    }

    /// What another variant of a rendition has of it.
    fn shared(&self, folder: &str, find: impl Fn(&MediaPlaylist) -> Option<Answer>) -> Answer {
        let others = self.renditions().map(|rendition| &rendition.playlist);
        let mut others =
            others.filter(|other| other.name() != folder && rendition_of(other.name()) == folder);
        others.find_map(find).unwrap_or(Answer::Missing)
    }
}

impl Variant {
    /// The packager's broadcast at this moment; `None` until there is something to list.
    fn take(packager: &Packager, epoch: SystemTime, session: &str) -> Option<Self> {
        let multivariant = multivariant(packager, session)?.into();
        let newest: Vec<(&str, Option<Position>)> =
            packager.playlists().map(|playlist| (playlist.name(), playlist.newest())).collect();
        let around = Surroundings { epoch, date_ranges: packager.date_ranges(), renditions: &newest };
        let renditions = packager.playlists().map(|playlist| Rendition::new(playlist, &around)).collect();
        Some(Self { number: packager.variant(), version: Version::of(packager), multivariant, renditions })
    }
}

impl Rendition {
    fn new(playlist: &MediaPlaylist, around: &Surroundings<'_>) -> Self {
        let text = |form| Bytes::from(media(playlist, around, form));
        let delta = text(Form::Delta);
        // Without cues the two differ by an empty attribute only.
        let delta_with_date_ranges =
            if around.date_ranges.is_empty() { delta.clone() } else { text(Form::DeltaWithDateRanges) };
        Self { playlist: playlist.clone(), full: text(Form::Full), delta, delta_with_date_ranges }
    }

    fn answer(&self, resource: Resource, reload: &Reload) -> Answer {
        match resource {
            Resource::Playlist => match self.playlist.readiness(reload) {
                Ok(Readiness::Ready) => Answer::Playlist(self.text(reload.form)),
                Ok(Readiness::Wait) => Answer::Wait,
                Err(bad) => Answer::Bad(bad),
            },
            Resource::Init(number) => {
                self.playlist.init(number).map_or(Answer::Missing, |init| Answer::Media(init.clone()))
            }
            Resource::Segment(msn) => self.segment(msn),
            Resource::Part(position) => self.part(position),
        }
    }

    fn text(&self, form: Form) -> Bytes {
        match form {
            Form::Full => self.full.clone(),
            Form::Delta => self.delta.clone(),
            Form::DeltaWithDateRanges => self.delta_with_date_ranges.clone(),
        }
    }

    fn segment(&self, msn: u64) -> Answer {
        let complete = |segment: &&Arc<Segment>| segment.duration.is_some();
        let segment = self.playlist.segment(msn).filter(complete);
        segment.map_or(Answer::Missing, |segment| segment_answer(segment))
    }

    /// A part; one that is hinted at, or would be the next if the segment goes on, is waited for.
    fn part(&self, position: Position) -> Answer {
        let segment = self.playlist.segment(position.msn);
        if let Some(part) = segment.and_then(|segment| segment.parts.get(position.part)) {
            return Answer::Media(part.bytes.clone());
        }
        let goes_on =
            segment.is_some_and(|open| open.duration.is_none() && open.parts.len() == position.part);
        if !self.playlist.has_ended() && (goes_on || self.playlist.next() == position) {
            return Answer::Wait;
        }
        Answer::Missing
    }
}

fn segment_answer(segment: &Segment) -> Answer {
    Answer::Segment(segment.parts.iter().map(|part| part.bytes.clone()).collect())
}
