//! What the viewers of one programme got, and what must hold of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::{Picture, read};
use super::source::{AUDIO, VIDEO};
use crate::av::worker::ipc::OverlayId;
use crate::hub::Item;
use crate::media::{Frame, MediaTime, Track, TrackId};
use crate::overlay::splice::{Shown, SlotEvent, Why};

#[derive(Default)]
pub struct Programme {
    pub items: Vec<Item>,
    pub events: Vec<(OverlayId, SlotEvent)>,
    /// The longest time without a picture.
    pub longest_gap: Duration,
    shown_at: Option<Instant>,
}

impl Programme {
    /// Takes what comes out of the splicer next.
    pub fn route(&mut self, item: Item, now: Instant) {
        if matches!(&item, Item::Frame(frame) if frame.track == VIDEO) {
            let gap = self.shown_at.replace(now).map(|at| now - at);
            self.longest_gap = self.longest_gap.max(gap.unwrap_or_default());
        }
        self.items.push(item);
    }

    pub fn pictures(&self) -> Vec<(&Frame, Picture)> {
        self.frames(VIDEO).map(|frame| (frame, read(&frame.payload))).collect()
    }

    fn frames(&self, track: TrackId) -> impl Iterator<Item = &Frame> {
        self.items.iter().filter_map(move |item| match item {
            Item::Frame(frame) if frame.track == track => Some(frame),
            _ => None,
        })
    }

    /// What was told of the end of a slot.
    pub fn closed(&self, id: u64) -> Option<(Shown, Why)> {
        self.events.iter().find_map(|(of, event)| match event {
            SlotEvent::Closed { shown, why } if of.0 == id => Some((*shown, *why)),
            _ => None,
        })
    }

    pub fn delay(&self, id: u64) -> Option<Duration> {
        self.events.iter().find_map(|(of, event)| match event {
            SlotEvent::Began { delay, .. } if of.0 == id => Some(*delay),
            _ => None,
        })
    }

    /// Times of the pictures with an overlay, in order.
    pub fn drawn(&self, id: u64) -> Vec<MediaTime> {
        let pictures = self.pictures().into_iter();
        let mut times: Vec<_> =
            pictures.filter(|(_, picture)| picture.drawn.contains(&id)).map(|(frame, _)| frame.pts).collect();
        times.sort();
        times
    }

    /// What holds of every programme, whatever happens to workers.
    pub fn check(&self, source: &[(MediaTime, Item)]) {
        let sound = |items: &mut dyn Iterator<Item = &Item>| -> Vec<Frame> {
            items
                .filter_map(|item| match item {
                    Item::Frame(frame) if frame.track == AUDIO => Some(frame.clone()),
                    _ => None,
                })
                .collect()
        };
        let sent = sound(&mut source.iter().map(|(_, item)| item));
        assert_eq!(sound(&mut self.items.iter()), sent, "sound is not touched");

        let originals: Vec<&Frame> = pictures_of(source).collect();
        let places: HashMap<usize, usize> =
            originals.iter().enumerate().map(|(place, frame)| (read(&frame.payload).number, place)).collect();
        let pictures = self.pictures();
        for pair in pictures.windows(2) {
            assert!(pair[0].0.dts < pair[1].0.dts, "decoding times rise: {pair:?}");
        }
        let mut config: Option<&Arc<Track>> = None;
        let mut previous: Option<&Picture> = None;
        let mut at = pictures.iter();
        for item in &self.items {
            match item {
                Item::Track(track) if track.id == VIDEO => config = Some(track),
                Item::Frame(frame) if frame.track == VIDEO => {
                    let (_, picture) = at.next().unwrap();
                    let place = places[&picture.number];
                    let original = originals[place];
                    assert_eq!(frame.pts, original.pts, "media time is not changed");
                    let config = config.map_or(&b"source"[..], |track| &track.config[..]);
                    if picture.by_worker {
                        assert_eq!(config, b"worker");
                        let begins = previous.is_none_or(|previous| !previous.by_worker);
                        assert!(!begins || picture.is_idr, "a splice begins with a keyframe: {picture:?}");
                    } else {
                        assert!(config.starts_with(b"source"));
                        assert_eq!(frame.payload, original.payload, "access units outside are the source's");
                        // What it refers to was shown: all since the source's last entry point but leading pictures.
                        let key = originals[..=place].iter().rev().find(|frame| frame.keyframe).unwrap().pts;
                        let follows = previous.is_some_and(|previous| {
                            let after = places[&previous.number] + 1;
                            !previous.by_worker && originals[after..place].iter().all(|frame| frame.pts < key)
                        });
                        let decodable = follows || original.keyframe;
                        assert!(decodable, "{picture:?} cannot be decoded after {previous:?}");
                    }
                    previous = Some(picture);
                }
                _ => {}
            }
        }
        let mut shown: Vec<_> = pictures.iter().map(|(_, picture)| picture.number).collect();
        shown.sort_unstable();
        assert!(shown.windows(2).all(|pair| pair[0] < pair[1]), "no picture is shown twice");
        for (id, event) in &self.events {
            if let SlotEvent::Closed { shown, .. } = event {
                let drawn = self.drawn(id.0);
                let told = (shown.first_pts, shown.last_pts, shown.frames);
                let seen = (drawn.first().copied(), drawn.last().copied(), drawn.len() as u64);
                assert_eq!(told, seen, "slot {id:?} is closed with what was shown");
            }
        }
    }
}

/// The pictures among these items, in decoding order.
pub fn pictures_of(items: &[(MediaTime, Item)]) -> impl Iterator<Item = &Frame> {
    items.iter().filter_map(|(_, item)| match item {
        Item::Frame(frame) if frame.track == VIDEO => Some(frame),
        _ => None,
    })
}
