//! A channel's programme, while it is written: reads the source, and runs the splicers of its variants and their worker.

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use tokio::time::sleep_until;

use super::VariantSet;
use super::driver::{AHEAD, Command, Driver, Pending};
use super::image::Image;
use super::placement::Format;
use super::sharing::{Sharing, Todo, WorkerId};
use super::splice::{LEAD, Output, SlotEvent, Splicer};
use crate::av::worker::Session;
use crate::av::worker::ipc::{
    BurnIn, Encoding, FromWorker, Job, Overlay, OverlayId, Size, Squeeze, ToWorker,
};
use crate::clock;
use crate::hub::{Item, Program};
use crate::media::{MediaTime, Track};

/// Where neither picture nor sprite are.
const BACKGROUND: [u8; 3] = [0, 0, 0];

/// The programme, and everything that it is made with.
pub(super) struct Engagement<'a> {
    driver: &'a mut Driver,
    program: Program,
    /// One for each variant.
    splicers: Vec<Splicer>,
    sharing: Sharing,
    workers: Vec<(WorkerId, Session)>,
    slots: HashMap<OverlayId, Slot>,
    /// The size of the picture that is drawn on.
    canvas: Size,
    /// Variants that have ended with the broadcast.
    ended: usize,
}

/// A slot that the splicers have in hand.
struct Slot {
    format: Format,
    image: Image,
    /// The variants that it is not over in. What becomes of it is told of the first.
    variants: Vec<u8>,
    told_of: u8,
}

impl<'a> Engagement<'a> {
    pub fn new(driver: &'a mut Driver, mut program: Program) -> Self {
        let history = program.take_history();
        let splicer = |_| {
            let mut splicer = Splicer::new(driver.overlays.limits());
            history.iter().for_each(|item| splicer.recall(item));
            splicer
        };
        Self {
            splicers: (0..program.variants()).map(splicer).collect(),
            driver,
            program,
            sharing: Sharing::default(),
            workers: Vec::new(),
            slots: HashMap::new(),
            canvas: Size::default(),
            ended: 0,
        }
    }

    /// Writes the programme until no slot needs that any more.
    pub async fn run(mut self) {
        self.ask();
        self.expect();
        loop {
            self.carry_out();
            if self.ended == self.splicers.len() {
                self.driver.expected.clear();
                return self.driver.close_of(self.program.broadcast_id());
            }
            let is_idle = self.splicers.iter().all(Splicer::is_idle);
            if is_idle && !self.is_due_soon() && self.program.give_back() {
                return;
            }
            let timeout = self.splicers.iter().filter_map(Splicer::next_timeout).min();
            tokio::select! {
                batch = self.program.next_batch() => {
                    for item in batch {
                        for splicer in &mut self.splicers {
                            splicer.source(item.clone(), clock::monotonic());
                        }
                        self.carry_out();
                    }
                    self.ask();
                }
                (worker, said) = said(&mut self.workers) => self.sharing.hear(worker, said),
                Some(command) = self.driver.commands.recv() => self.command(command),
                () = until(timeout) => {
                    let now = clock::monotonic();
                    self.splicers.iter_mut().for_each(|splicer| splicer.timeout(now));
                    self.driver.expected.retain(|expected| now < expected.until);
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Cancel(id) if self.slots.contains_key(&id) => {
                self.splicers.iter_mut().for_each(|splicer| splicer.cancel(id));
            }
            Command::Shorten(id, at) if self.slots.contains_key(&id) => {
                self.splicers.iter_mut().for_each(|splicer| splicer.shorten(id, at));
            }
            command => self.driver.command(command),
        }
        self.ask();
        self.expect();
    }

    /// The latest moment of which a slot is in hand that begins there.
    fn soon(&self) -> MediaTime {
        self.splicers.first().and_then(Splicer::newest).unwrap_or_default() + LEAD + AHEAD
    }

    /// Whether a slot that waits is better waited for here.
    fn is_due_soon(&self) -> bool {
        let (soon, here) = (self.soon(), self.program.broadcast_id());
        let mut waiting = self.driver.waiting.iter().filter(|pending| pending.broadcast == here);
        waiting.any(|pending| pending.ask.start.is_none_or(|start| start <= soon))
    }

    /// The variants that somebody gets: a slot for all is drawn in each of them.
    fn in_use(&self) -> u8 {
        self.driver.channel.variants().min(self.program.variants())
    }

    /// Lets the splicers get ready for what is about to be asked for.
    fn expect(&mut self) {
        let in_use = self.in_use();
        for (splicer, variant) in self.splicers.iter_mut().zip(0..) {
            let here = |of: VariantSet| of.numbers(in_use).any(|number| number == variant);
            let expected = self.driver.expected.iter().filter(|expected| here(expected.variants));
            match expected.map(|expected| expected.until).max() {
                Some(until) => splicer.expect(until, clock::monotonic()),
                None => splicer.expect_nothing(),
            }
        }
    }

    /// Gives the splicers the slots whose time has come.
    fn ask(&mut self) {
        let (soon, here, in_use) = (self.soon(), self.program.broadcast_id(), self.in_use());
        let is_due = |pending: &mut Pending| {
            pending.broadcast == here && pending.ask.start.is_none_or(|start| start <= soon)
        };
        let due: Vec<Pending> = self.driver.waiting.extract_if(.., is_due).collect();
        for Pending { ask, variants, format, image, .. } in due {
            let variants = variants.numbers(in_use).filter(|variant| *variant < self.program.variants());
            let variants: Vec<u8> = variants.collect();
            let told_of = variants.first().copied().unwrap_or_default();
            for variant in &variants {
                self.splicers[usize::from(*variant)].ask(ask, clock::monotonic());
            }
            self.slots.insert(ask.id, Slot { format, image, variants, told_of });
        }
    }

    /// Does what the splicers want done, until they want nothing.
    fn carry_out(&mut self) {
        loop {
            (0..self.program.variants()).for_each(|variant| self.hear_out(variant));
            let mut is_done = true;
            while let Some((variant, report)) = self.sharing.news() {
                is_done = false;
                self.splicers[usize::from(variant)].report(report, clock::monotonic());
                self.hear_out(variant);
            }
            // A worker that several are about to share is told of all of them before it begins.
            while let Some(todo) = self.sharing.poll() {
                is_done = false;
                self.work(todo);
            }
            if is_done {
                return;
            }
        }
    }

    fn hear_out(&mut self, variant: u8) {
        while let Some(output) = self.splicers[usize::from(variant)].poll() {
            self.carry_out_one(variant, output);
        }
    }

    fn carry_out_one(&mut self, variant: u8, output: Output) {
        match output {
            Output::Route(item) => {
                self.ended += usize::from(matches!(item, Item::Ended));
                self.program.write(variant, item);
            }
            Output::Worker(order) => self.sharing.order(variant, order),
            Output::RequestKeyframe => {
                self.driver.channel.request_keyframe();
            }
            Output::Slot(id, event) => {
                let Some(slot) = self.slots.get_mut(&id) else { return };
                let is_told = slot.told_of == variant;
                if matches!(event, SlotEvent::Closed { .. }) {
                    slot.variants.retain(|of| *of != variant);
                    if slot.variants.is_empty() {
                        self.slots.remove(&id);
                    }
                }
                if is_told {
                    self.driver.overlays.note(self.driver.channel.name(), id, &event);
                }
            }
        }
    }

    fn work(&mut self, todo: Todo) {
        match todo {
            Todo::Start(worker, track) => self.start(worker, &track),
            Todo::Tell(worker, message) => self.tell(worker, message),
            Todo::Draw { worker, output, variant, id, start, end } => match self.overlay(id, start, end) {
                Some(overlay) => self.tell(worker, ToWorker::Overlay { output, overlay }),
                // The picture is too small for it.
                None => self.splicers[usize::from(variant)].refuse(id),
            },
            Todo::End(worker) => self.workers.retain(|(known, _)| *known != worker),
        }
    }

    fn start(&mut self, worker: WorkerId, track: &Track) {
        if let Some(video) = track.video() {
            self.canvas = Size { width: video.width, height: video.height };
        }
        let job = Job::BurnIn(BurnIn { encoding: Encoding::default() });
        match self.driver.overlays.workers().give(job) {
            Ok(session) => {
                self.workers.push((worker, session));
                self.tell(worker, ToWorker::Track(track.clone()));
            }
            Err(reason) => {
                tracing::warn!(channel = %self.driver.channel.name(), %reason, "no worker for an overlay");
                self.sharing.hear(worker, None);
            }
        }
    }

    fn tell(&mut self, worker: WorkerId, message: ToWorker) {
        // One that did not start, or is lost, has been told of already.
        if let Some((_, session)) = self.workers.iter().find(|(known, _)| *known == worker)
            && !session.orders.send(message)
        {
            self.sharing.hear(worker, None);
        }
    }

    fn overlay(&self, id: OverlayId, start: MediaTime, end: MediaTime) -> Option<Overlay> {
        let Slot { format, image, .. } = self.slots.get(&id)?;
        let sprite = image.sprite();
        let placement = format.place(self.canvas, sprite.size)?;
        let transition = format.transition(end - start);
        let squeeze =
            placement.picture.map(|picture| Squeeze { picture, background: BACKGROUND, transition });
        let (canvas, place, sprite) = (self.canvas, placement.place, sprite.clone());
        Some(Overlay { id, start, end, sprite, canvas, place, squeeze })
    }
}

/// What one of the workers says next; `None` when it is lost.
async fn said(workers: &mut [(WorkerId, Session)]) -> (WorkerId, Option<FromWorker>) {
    poll_fn(|context| {
        for (worker, session) in &mut *workers {
            if let Poll::Ready(said) = pin!(session.reports.next()).poll(context) {
                return Poll::Ready((*worker, said.ok()));
            }
        }
        Poll::Pending
    })
    .await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
