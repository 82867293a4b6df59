//! A splicer between a source and model workers on a virtual clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::model::{Failure, Model, Picture};
use super::programme::Programme;
use super::random::Random;
use super::source::{Shape, audio_track};
use crate::av::worker::ipc::OverlayId;
use crate::clock;
use crate::hub::Item;
use crate::media::{Frame, MediaTime};
use crate::overlay::splice::{Ask, Limits, Order, Output, Phase, Report, Shown, Splicer, Why};

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
    pub programme: Programme,
    pub keyframe_requests: usize,
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
            programme: Programme::default(),
            keyframe_requests: 0,
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
                Output::Route(item) => self.programme.route(item, self.now),
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
                Output::Slot(id, event) => self.programme.events.push((id, event)),
            }
        }
        if self.phases.last() != Some(&self.splicer.phase()) {
            self.phases.push(self.splicer.phase());
        }
    }

    pub fn pictures(&self) -> Vec<(&Frame, Picture)> {
        self.programme.pictures()
    }

    pub fn closed(&self, id: u64) -> Option<(Shown, Why)> {
        self.programme.closed(id)
    }

    pub fn delay(&self, id: u64) -> Option<Duration> {
        self.programme.delay(id)
    }

    pub fn drawn(&self, id: u64) -> Vec<MediaTime> {
        self.programme.drawn(id)
    }

    pub fn check_programme(&self, source: &[(MediaTime, Item)]) {
        self.programme.check(source);
    }
}
