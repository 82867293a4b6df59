//! A splicer between a source and model workers on a virtual clock, and what must hold of any programme.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::{Failure, Model, Picture, read};
use super::random::Random;
use super::source::{AUDIO, Shape, VIDEO, audio_track};
use crate::av::worker::ipc::OverlayId;
use crate::clock;
use crate::hub::Item;
use crate::media::{Frame, MediaTime, Track, TrackId};
use crate::overlay::splice::{Ask, Limits, Order, Output, Phase, Report, Shown, SlotEvent, Splicer, Why};

pub struct Stage {
    pub splicer: Splicer,
    pub random: Random,
    /// Media time zero.
    epoch: Instant,
    pub now: Instant,
    worker: Option<Model>,
    depth: usize,
    /// How the next workers fail.
    pub failures: Vec<Option<Failure>>,
    pub started: usize,
    pub programme: Vec<Item>,
    pub events: Vec<(OverlayId, SlotEvent)>,
    pub keyframe_requests: usize,
    /// The longest time without a picture.
    pub longest_gap: Duration,
    shown_at: Option<Instant>,
    phases: Vec<Phase>,
}

impl Stage {
    pub fn new(shape: &Shape, seed: u64) -> Self {
        Self::with(shape, seed, Limits::default())
    }

    pub fn with(shape: &Shape, seed: u64, limits: Limits) -> Self {
        let epoch = clock::monotonic() + Duration::from_secs(3600);
        let mut splicer = Splicer::new(limits);
        splicer.recall(&Item::Track(Arc::new(shape.track())));
        splicer.recall(&Item::Track(audio_track()));
        Self {
            splicer,
            random: Random::new(seed),
            epoch,
            now: epoch,
            worker: None,
            depth: shape.depth(),
            failures: Vec::new(),
            started: 0,
            programme: Vec::new(),
            events: Vec::new(),
            keyframe_requests: 0,
            longest_gap: Duration::ZERO,
            shown_at: None,
            phases: vec![Phase::Pass],
        }
    }

    /// The phases so far, each once where it followed another.
    pub fn phases(&self) -> &[Phase] {
        &self.phases
    }

    pub fn has_worker(&self) -> bool {
        self.worker.is_some()
    }

    /// Lets time go by up to this moment of media time.
    pub fn advance(&mut self, to: MediaTime) {
        let to = self.epoch + to.since(MediaTime::ZERO);
        loop {
            let work = self.worker.as_ref().and_then(|worker| worker.busy_until);
            let timeout = self.splicer.next_timeout();
            let Some(next) = work.into_iter().chain(timeout).min().filter(|next| *next <= to) else { break };
            self.now = self.now.max(next);
            if work == Some(next) {
                let reports = self.worker.as_mut().map(|worker| worker.work(self.now)).unwrap_or_default();
                for report in reports {
                    let lost = matches!(report, Report::Lost);
                    self.splicer.report(report, self.now);
                    self.carry_out();
                    if lost {
                        break;
                    }
                }
            } else {
                self.splicer.timeout(self.now);
                self.carry_out();
            }
        }
        self.now = self.now.max(to);
    }

    pub fn source(&mut self, at: MediaTime, item: Item) {
        self.advance(at);
        self.splicer.source(item, self.now);
        self.carry_out();
    }

    /// Plays items, each at its time.
    pub fn play(&mut self, items: &[(MediaTime, Item)]) {
        for (at, item) in items {
            self.source(*at, item.clone());
        }
    }

    pub fn ask(&mut self, id: u64, start: Option<MediaTime>, duration: MediaTime) {
        self.splicer.ask(Ask { id: OverlayId(id), start, duration }, self.now);
        self.carry_out();
    }

    /// The worker does nothing for a while.
    pub fn hold_up(&mut self, time: Duration) {
        let worker = self.worker.as_mut().expect("a worker to hold up");
        worker.busy_until = Some(worker.busy_until.map_or(self.now, |until| until.max(self.now)) + time);
    }

    pub fn expect(&mut self, until: MediaTime) {
        let until = self.epoch + until.since(MediaTime::ZERO);
        self.splicer.expect(until, self.now);
        self.carry_out();
    }

    pub fn cancel(&mut self, id: u64) {
        self.splicer.cancel(OverlayId(id));
        self.carry_out();
    }

    pub fn shorten(&mut self, id: u64, at: MediaTime) {
        self.splicer.shorten(OverlayId(id), at);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.splicer.poll() {
            match output {
                Output::Route(item) => {
                    if matches!(&item, Item::Frame(frame) if frame.track == VIDEO) {
                        let gap = self.shown_at.replace(self.now).map(|at| self.now - at);
                        self.longest_gap = self.longest_gap.max(gap.unwrap_or_default());
                    }
                    self.programme.push(item);
                }
                Output::Worker(Order::Start(track)) => {
                    assert!(self.worker.is_none(), "one worker at a time");
                    let failure = if self.failures.is_empty() { None } else { self.failures.remove(0) };
                    self.started += 1;
                    self.worker = Some(Model::new(&track, self.depth, failure, self.now, &mut self.random));
                }
                Output::Worker(Order::Drop | Order::Abandon) => {
                    assert!(self.worker.take().is_some(), "there is one to drop");
                }
                Output::Worker(order) => {
                    let worker = self.worker.as_mut().expect("a worker to speak to");
                    if !worker.over {
                        worker.order(order, self.now);
                    }
                }
                Output::RequestKeyframe => self.keyframe_requests += 1,
                Output::Slot(id, event) => self.events.push((id, event)),
            }
        }
        if self.phases.last() != Some(&self.splicer.phase()) {
            self.phases.push(self.splicer.phase());
        }
    }

    pub fn pictures(&self) -> Vec<(&Frame, Picture)> {
        self.frames(VIDEO).map(|frame| (frame, read(&frame.payload))).collect()
    }

    fn frames(&self, track: TrackId) -> impl Iterator<Item = &Frame> {
        self.programme.iter().filter_map(move |item| match item {
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
    pub fn check_programme(&self, source: &[(MediaTime, Item)]) {
        let sound = |items: &mut dyn Iterator<Item = &Item>| -> Vec<Frame> {
            items
                .filter_map(|item| match item {
                    Item::Frame(frame) if frame.track == AUDIO => Some(frame.clone()),
                    _ => None,
                })
                .collect()
        };
        let sent = sound(&mut source.iter().map(|(_, item)| item));
        assert_eq!(sound(&mut self.programme.iter()), sent, "sound is not touched");

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
        for item in &self.programme {
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
