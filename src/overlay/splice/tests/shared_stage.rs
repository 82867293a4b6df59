//! The splicers of several variants that share model workers, on a virtual clock: what `engagement` does, without its tasks.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::programme::Programme;
use super::random::Random;
use super::shared_worker::{Health, SharedWorker};
use super::source::{Shape, audio_track};
use crate::av::worker::ipc::{FromWorker, Overlay, OverlayId, Rect, Size, Sprite, ToWorker};
use crate::clock;
use crate::hub::Item;
use crate::media::{MediaTime, Track};
use crate::overlay::sharing::{Sharing, Todo, WorkerId};
use crate::overlay::splice::{Ask, Limits, Order, Output, Splicer, State};

/// What the next worker is like.
#[derive(Clone, Copy, Debug)]
pub enum Next {
    Starts(Health),
    /// There is no room for it.
    Refused,
}

/// One variant, and what came of it.
pub struct Variant {
    pub splicer: Splicer,
    pub programme: Programme,
    /// How often its splicer gave a worker up.
    pub abandoned: usize,
}

pub struct SharedStage {
    pub variants: Vec<Variant>,
    limits: Limits,
    sharing: Sharing,
    workers: Vec<(WorkerId, SharedWorker)>,
    /// All that were asked for.
    known: Vec<WorkerId>,
    /// All that are of no more use.
    ended: Vec<WorkerId>,
    pub random: Random,
    /// Media time zero.
    epoch: Instant,
    pub now: Instant,
    /// Reorder depths of the source's tracks, by their configuration.
    depths: HashMap<Vec<u8>, usize>,
    /// What the next workers are like; healthy ones after these.
    pub next: VecDeque<Next>,
    /// Workers that failed, or may be taken for failed.
    pub bad: usize,
    /// An overlay that cannot be drawn, as the picture is too small.
    pub too_large: Option<OverlayId>,
}

impl SharedStage {
    pub fn new(variants: usize, shape: &Shape, seed: u64, limits: Limits) -> Self {
        let epoch = clock::monotonic() + Duration::from_secs(3600);
        let variant = |_| {
            let mut splicer = Splicer::new(limits);
            splicer.recall(&Item::Track(Arc::new(shape.track())));
            splicer.recall(&Item::Track(audio_track()));
            Variant { splicer, programme: Programme::default(), abandoned: 0 }
        };
        let mut stage = Self {
            variants: (0..variants).map(variant).collect(),
            limits,
            sharing: Sharing::default(),
            workers: Vec::new(),
            known: Vec::new(),
            ended: Vec::new(),
            random: Random::new(seed),
            epoch,
            now: epoch,
            depths: HashMap::new(),
            next: VecDeque::new(),
            bad: 0,
            too_large: None,
        };
        stage.knows(&shape.track(), shape);
        stage
    }

    /// The source may have this track.
    pub fn knows(&mut self, track: &Track, shape: &Shape) {
        self.depths.insert(track.config.to_vec(), shape.depth());
    }

    /// A worker that does its work.
    pub fn healthy(random: &mut Random) -> Health {
        let start = Duration::from_millis(1 + random.below(300));
        Health { start, cost: Duration::from_micros(200 + random.below(2_800)), failure: None }
    }

    /// Lets time go by up to this moment of media time.
    pub fn advance(&mut self, to: MediaTime) {
        let to = self.at(to);
        loop {
            let work = self.workers.iter().filter_map(|(id, worker)| Some((worker.busy_until?, *id)));
            let work = work.min_by_key(|(at, _)| *at);
            let timeout = self.variants.iter().filter_map(|variant| variant.splicer.next_timeout()).min();
            let next = work.map(|(at, _)| at).into_iter().chain(timeout).min();
            let Some(next) = next.filter(|next| *next <= to) else { break };
            self.now = self.now.max(next);
            match work {
                Some((at, id)) if at == next => self.work(id),
                _ => {
                    let now = self.now;
                    self.variants.iter_mut().for_each(|variant| variant.splicer.timeout(now));
                    let mut timeouts =
                        self.variants.iter().filter_map(|variant| variant.splicer.next_timeout());
                    assert!(timeouts.all(|at| at > now), "what has taken too long is given up");
                    self.carry_out();
                }
            }
        }
        self.now = self.now.max(to);
    }

    pub fn source(&mut self, at: MediaTime, item: &Item) {
        self.advance(at);
        for variant in &mut self.variants {
            variant.splicer.source(item.clone(), self.now);
        }
        self.carry_out();
    }

    pub fn ask(&mut self, of: &[usize], id: u64, start: Option<MediaTime>, duration: MediaTime) {
        for &variant in of {
            self.variants[variant].splicer.ask(Ask { id: OverlayId(id), start, duration }, self.now);
        }
        self.carry_out();
    }

    /// Ends a slot at `at`, or at once.
    pub fn shorten(&mut self, id: u64, at: Option<MediaTime>) {
        for variant in &mut self.variants {
            variant.splicer.shorten(OverlayId(id), at.unwrap_or(MediaTime::ZERO));
        }
        self.carry_out();
    }

    pub fn expect(&mut self, of: &[usize], until: MediaTime) {
        let until = self.at(until);
        for &variant in of {
            self.variants[variant].splicer.expect(until, self.now);
        }
        self.carry_out();
    }

    pub fn expect_nothing(&mut self) {
        self.variants.iter_mut().for_each(|variant| variant.splicer.expect_nothing());
        self.carry_out();
    }

    /// All workers do nothing for a while.
    pub fn hold_up(&mut self, time: Duration) {
        for (_, worker) in &mut self.workers {
            worker.hold_up(time, self.now);
            self.bad += 1;
        }
    }

    /// All workers die, which is noticed a little later.
    pub fn kill(&mut self) {
        for (_, worker) in &mut self.workers {
            worker.kill(self.now + Duration::from_micros(self.random.below(20_000)));
            self.bad += 1;
        }
    }

    pub fn has_worker(&self) -> bool {
        !self.workers.is_empty()
    }

    pub fn started(&self) -> usize {
        self.known.len()
    }

    fn at(&self, time: MediaTime) -> Instant {
        self.epoch + time.since(MediaTime::ZERO)
    }

    /// Lets a worker work, and reads one after the other what it says.
    fn work(&mut self, id: WorkerId) {
        let now = self.now;
        let Some(worker) = self.worker(id) else { return };
        for said in worker.work(now) {
            if self.worker(id).is_none() {
                // What it said last is not heard any more.
                return;
            }
            self.hear(id, said);
        }
    }

    fn hear(&mut self, id: WorkerId, said: Option<FromWorker>) {
        self.sharing.hear(id, said);
        self.carry_out();
    }

    fn worker(&mut self, id: WorkerId) -> Option<&mut SharedWorker> {
        self.workers.iter_mut().find_map(|(known, worker)| (*known == id).then_some(worker))
    }

    fn carry_out(&mut self) {
        loop {
            (0..self.variants.len()).for_each(|variant| self.hear_out(variant));
            let mut is_done = true;
            while let Some((variant, report)) = self.sharing.news() {
                is_done = false;
                let now = self.now;
                self.variants[usize::from(variant)].splicer.report(report, now);
                self.hear_out(usize::from(variant));
            }
            while let Some(todo) = self.sharing.poll() {
                is_done = false;
                self.carry_out_one(todo);
            }
            if is_done {
                break;
            }
        }
        self.check_bounds();
    }

    fn hear_out(&mut self, number: usize) {
        let variant = &mut self.variants[number];
        while let Some(output) = variant.splicer.poll() {
            match output {
                Output::Route(item) => variant.programme.route(item, self.now),
                Output::Worker(order) => {
                    variant.abandoned += usize::from(order == Order::Abandon);
                    self.sharing.order(number as u8, order);
                }
                Output::RequestKeyframe => {}
                Output::Slot(id, event) => variant.programme.events.push((id, event)),
            }
        }
    }

    fn carry_out_one(&mut self, todo: Todo) {
        match todo {
            Todo::Start(id, track) => self.start(id, &track),
            Todo::Tell(id, message) => self.tell(id, message),
            Todo::Draw { worker, output, variant, id, start, end } => {
                if self.too_large == Some(id) {
                    return self.variants[usize::from(variant)].splicer.refuse(id);
                }
                let sprite = Sprite { size: Size { width: 2, height: 2 }, frames: Vec::new() };
                let (canvas, place) = (Size { width: 1280, height: 720 }, Rect::default());
                let overlay = Overlay { id, start, end, sprite, canvas, place, squeeze: None };
                self.tell(worker, ToWorker::Overlay { output, overlay });
            }
            Todo::End(id) => {
                assert!(self.known.contains(&id) && !self.ended.contains(&id), "a worker ends once");
                self.ended.push(id);
                self.workers.retain(|(known, _)| *known != id);
            }
        }
    }

    fn start(&mut self, id: WorkerId, track: &Track) {
        assert!(!self.known.contains(&id), "no worker is asked for twice");
        let is_there =
            |(_, worker): &(WorkerId, SharedWorker)| !worker.is_stopped && worker.burns_into(track);
        assert!(!self.workers.iter().any(is_there), "nobody gets a worker of his own");
        self.known.push(id);
        let next = self.next.pop_front().unwrap_or_else(|| Next::Starts(Self::healthy(&mut self.random)));
        match next {
            Next::Starts(health) => {
                let is_slow =
                    health.start > Duration::from_millis(300) || health.cost > Duration::from_millis(3);
                self.bad += usize::from(is_slow || health.failure.is_some());
                let depth = self.depths[&track.config[..]];
                self.workers.push((id, SharedWorker::new(track, depth, health, self.now)));
                self.tell(id, ToWorker::Track(track.clone()));
            }
            Next::Refused => {
                self.bad += 1;
                self.sharing.hear(id, None);
            }
        }
    }

    fn tell(&mut self, id: WorkerId, message: ToWorker) {
        assert!(self.known.contains(&id) && !self.ended.contains(&id), "orders are for those who are there");
        let now = self.now;
        // One that did not start, or is lost, has been told of already.
        if let Some(worker) = self.worker(id)
            && !worker.tell(message, now)
        {
            self.sharing.hear(id, None);
        }
    }

    /// What must hold at any moment.
    fn check_bounds(&self) {
        assert!(self.workers.len() <= self.variants.len(), "no worker is left that nobody uses");
        for variant in &self.variants {
            let (splicer, limits) = (&variant.splicer, self.limits);
            assert!(splicer.memory.frames().count() <= limits.memory_frames);
            let (kept, owed) = match &splicer.state {
                State::Pass | State::Prime | State::Await => (0, 0),
                State::Enter(enter) => (enter.held().len(), 0),
                State::Splice(splice) => (0, splice.owed.len()),
                State::Leave(leave) => (leave.held.len(), leave.splice.owed.len()),
            };
            assert!(kept <= limits.held_frames && owed <= limits.held_frames, "{kept} kept, {owed} owed");
            // Where few may be kept, a sound worker may come too late.
            let is_tight = limits.held_frames < Limits::default().held_frames;
            assert!(is_tight || variant.abandoned <= self.bad, "who fails is lost once, and nobody else is");
        }
    }
}
