//! A programme in two variants, as a player of the second has it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::super::media_playlist::{Part, Position};
use super::super::pace::PackagerConfig;
use super::super::packager::Packager;
use super::super::reload::Reload;
use super::super::resource::Resource;
use super::super::snapshot::{Answer, Snapshot};
use super::super::variants::Variants;
use super::support::*;
use crate::hub::Item;
use crate::media::{Cue, Frame, MediaTime, Track};

/// A programme in two variants, and what a player of variant 1 was told of its main rendition.
pub(super) struct Programme {
    pub(super) variants: Variants,
    served: Snapshot,
    /// By its place in the variant's own playlist: where it is, and what is there.
    parts: BTreeMap<Position, Listed>,
    pub(super) segments: BTreeMap<u64, String>,
}

#[derive(Clone, Debug)]
struct Listed {
    part: Part,
    uri: String,
}

impl Listed {
    fn is_shared(&self) -> bool {
        self.uri.starts_with("../main/")
    }

    fn covers(&self, from: MediaTime, until: MediaTime) -> bool {
        self.part.start < until && self.part.start + self.part.duration > from
    }
}

impl Programme {
    /// One in which both have these tracks.
    pub(super) fn of(config: PackagerConfig, tracks: &[Track]) -> Self {
        let mut programme = Self::of_everybody(config, tracks);
        programme.join(tracks, &[]);
        programme
    }

    /// One in which nobody has asked for variant 1 yet.
    pub(super) fn of_everybody(config: PackagerConfig, tracks: &[Track]) -> Self {
        let mut variants = Variants::new(config);
        tracks.iter().for_each(|track| variants.feed(0, Item::Track(track.clone().into())));
        Self { variants, served: Snapshot::default(), parts: BTreeMap::new(), segments: BTreeMap::new() }
    }

    /// The player of variant 1 comes, of which so much is in memory.
    pub(super) fn join(&mut self, tracks: &[Track], memory: &[Frame]) {
        self.variants.add(1);
        tracks.iter().for_each(|track| self.variants.feed(1, Item::Track(track.clone().into())));
        memory.iter().for_each(|frame| self.variants.feed(1, Item::Frame(frame.clone())));
        self.variants.advance();
        self.look();
    }

    pub(super) fn variant(&self, number: u8) -> &Packager {
        self.variants.packagers().find(|packager| packager.variant() == number).unwrap()
    }

    /// Feeds a variant, and lets its player look.
    pub(super) fn feed(&mut self, variant: u8, item: impl Into<Item>) {
        self.variants.feed(variant, item.into());
        self.variants.advance();
        self.look();
    }

    pub(super) fn both(&mut self, item: impl Into<Item>) {
        let item = item.into();
        self.feed(0, item.clone());
        self.feed(1, item);
    }

    /// Frames of everybody's variant and of variant 1, as a driver writes them: as they are decoded.
    pub(super) fn play(&mut self, everybody: &[Frame], other: &[Frame]) {
        let mut all: Vec<(u8, &Frame)> = everybody.iter().map(|frame| (0, frame)).collect();
        all.extend(other.iter().map(|frame| (1, frame)));
        all.sort_by_key(|(variant, frame)| (frame.dts, frame.track, *variant));
        all.into_iter().for_each(|(variant, frame)| self.feed(variant, frame.clone()));
    }

    /// What the player reads; a part that he was told of once is never told of in other words.
    pub(super) fn look(&mut self) {
        let mut changed = false;
        for packager in self.variants.packagers() {
            changed |= self.served.update(packager, epoch(), "s");
        }
        let few = self.variants.packagers().find(|packager| packager.variant() == 1);
        let Some(playlist) = few.and_then(Packager::main).filter(|_| changed) else { return };
        let mut told = Vec::new();
        let mut complete = Vec::new();
        for segment in playlist.segments() {
            for (index, part) in segment.parts.iter().enumerate() {
                let own = Position { msn: segment.msn, part: index };
                let uri = match part.same_as {
                    Some(position) => format!("../main/{}", Resource::Part(position)),
                    None => Resource::Part(own).to_string(),
                };
                told.push((own, Listed { part: part.clone(), uri }));
            }
            if segment.duration.is_some() {
                let uri = match segment.same_as {
                    Some(msn) => format!("../main/{}", Resource::Segment(msn)),
                    None => Resource::Segment(segment.msn).to_string(),
                };
                complete.push((segment.msn, uri));
            }
        }
        for (own, listed) in told {
            let known = self.parts.entry(own).or_insert_with(|| listed.clone());
            assert_eq!(known.uri, listed.uri, "{own:?}");
        }
        for (msn, uri) in complete {
            assert_eq!(self.segments.entry(msn).or_insert_with(|| uri.clone()), &uri);
        }
    }

    /// What is behind an address of the variant's playlist.
    pub(super) fn fetch(&self, uri: &str) -> Option<Bytes> {
        let path = uri.strip_prefix("../").map_or_else(|| format!("main.1/{uri}"), str::to_owned);
        let (folder, file) = path.split_once('/')?;
        match self.served.answer(folder, Resource::parse(file)?, &Reload::default()) {
            Answer::Media(bytes) => Some(bytes),
            Answer::Segment(parts) => Some(parts.concat().into()),
            _ => None,
        }
    }

    /// Asserts that the player who fetches what he is told of gets the frames of his variant, by part and by segment.
    pub(super) fn assert_plays(&self, frames: &[Frame]) {
        let mut fetched = Vec::new();
        for listed in self.parts.values() {
            let bytes = self.fetch(&listed.uri).unwrap_or_else(|| panic!("{}", listed.uri));
            fetched.extend(samples(&Part { bytes, ..listed.part.clone() }));
        }
        for (track_id, track, timescale) in [(1, PICTURE, 90_000), (2, SOUND, 48_000)] {
            let got: Vec<_> = fetched.iter().filter(|sample| sample.track_id == track_id).collect();
            let sent: Vec<_> = frames.iter().filter(|frame| frame.track == track).collect();
            assert_eq!(got.len(), sent.len(), "track {track_id}");
            for (sample, frame) in got.iter().zip(&sent) {
                assert_eq!(sample.payload, frame.payload);
                assert!(sample.pts.abs_diff(frame.pts.to_ticks(timescale)) <= 48, "{:?}", frame.payload);
            }
            assert!(got.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        }
        for (msn, uri) in &self.segments {
            let parts = self.parts.range(Position { msn: *msn, part: 0 }..Position { msn: msn + 1, part: 0 });
            let parts: Vec<Bytes> = parts.map(|(_, listed)| self.fetch(&listed.uri).unwrap()).collect();
            assert_eq!(self.fetch(uri).unwrap(), parts.concat(), "{uri}");
            let own = self.fetch(&Resource::Segment(*msn).to_string());
            assert_eq!(own.unwrap(), parts.concat(), "under its own name as well");
        }
    }

    /// Asserts that of what lies between the two times, all is shared, or nothing.
    pub(super) fn assert_shared(&self, shared: bool, from: MediaTime, until: MediaTime) {
        let there: Vec<_> = self.parts.values().filter(|listed| listed.covers(from, until)).collect();
        assert!(!there.is_empty() || until <= from);
        for listed in there {
            assert_eq!(listed.is_shared(), shared, "at {:?}: {}", listed.part.start, listed.uri);
        }
    }
}

impl From<Frame> for Item {
    fn from(frame: Frame) -> Self {
        Self::Frame(frame)
    }
}

impl From<Cue> for Item {
    fn from(cue: Cue) -> Self {
        Self::Cue(cue)
    }
}
