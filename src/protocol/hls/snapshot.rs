//! Everything that can be served of a broadcast at a moment, each text written once.

use std::time::SystemTime;

use bytes::Bytes;

use super::media_playlist::{MediaPlaylist, Position, Segment};
use super::packager::Packager;
use super::playlist::{Form, Surroundings, media, multivariant};
use super::reload::{BadReload, Readiness, Reload};
use super::resource::Resource;

/// A moment of a broadcast; immutable, shared by all requests that are answered from it.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub multivariant: Bytes,
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

/// Which number of changes a packager is at; a snapshot is as old as its version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Version(u64, u64);

impl Version {
    pub fn of(packager: &Packager) -> Self {
        let playlists = packager.playlists().map(|playlist| playlist.revision() + 1).sum();
        Self(playlists, packager.date_ranges().revision())
    }
}

impl Snapshot {
    /// The packager's broadcast at this moment; `None` until there is something to list.
    pub fn take(packager: &Packager, epoch: SystemTime, session: &str) -> Option<Self> {
        let multivariant = multivariant(packager, session)?.into();
        let newest: Vec<(&str, Option<Position>)> =
            packager.playlists().map(|playlist| (playlist.name(), playlist.newest())).collect();
        let around = Surroundings { epoch, date_ranges: packager.date_ranges(), renditions: &newest };
        let renditions = packager.playlists().map(|playlist| Rendition::new(playlist, &around)).collect();
        Some(Self { multivariant, renditions })
    }

    /// The playlist of a rendition, if there is one of this name.
    pub fn playlist(&self, rendition: &str) -> Option<&MediaPlaylist> {
        self.rendition(rendition).map(|rendition| &rendition.playlist)
    }

    /// The main rendition's playlist.
    pub fn main(&self) -> Option<&MediaPlaylist> {
        self.renditions.first().map(|rendition| &rendition.playlist)
    }

    /// The answer to a request for a file of a rendition; `reload` counts for playlists only.
    pub fn answer(&self, rendition: &str, resource: Resource, reload: &Reload) -> Answer {
        let Some(rendition) = self.rendition(rendition) else { return Answer::Missing };
        match resource {
            Resource::Playlist => match rendition.playlist.readiness(reload) {
                Ok(Readiness::Ready) => Answer::Playlist(rendition.text(reload.form)),
                Ok(Readiness::Wait) => Answer::Wait,
                Err(bad) => Answer::Bad(bad),
            },
            Resource::Init(number) => {
                rendition.playlist.init(number).map_or(Answer::Missing, |init| Answer::Media(init.clone()))
            }
            Resource::Segment(msn) => rendition.segment(msn),
            Resource::Part(position) => rendition.part(position),
        }
    }

    /// The playlist as it is, for a request that has waited long enough.
    pub fn text(&self, rendition: &str, reload: &Reload) -> Option<Bytes> {
        self.rendition(rendition).map(|rendition| rendition.text(reload.form))
    }

    fn rendition(&self, name: &str) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.playlist.name() == name)
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

    fn text(&self, form: Form) -> Bytes {
        match form {
            Form::Full => self.full.clone(),
            Form::Delta => self.delta.clone(),
            Form::DeltaWithDateRanges => self.delta_with_date_ranges.clone(),
        }
    }

    fn segment(&self, msn: u64) -> Answer {
        let complete = |segment: &&std::sync::Arc<Segment>| segment.duration.is_some();
        self.playlist.segment(msn).filter(complete).map_or(Answer::Missing, |segment| {
            Answer::Segment(segment.parts.iter().map(|part| part.bytes.clone()).collect())
        })
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
