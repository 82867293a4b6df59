//! A channel's programme, while somebody has a slot there: reads the source, runs the splicer and its worker.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};

use super::image::Image;
use super::overlays::Overlays;
use super::placement::Format;
use super::splice::{Ask, LEAD, Order, Output, Report, Shown, SlotEvent, Splicer, Why};
use crate::av::worker::Session;
use crate::av::worker::ipc::{
    BurnIn, Encoding, FromWorker, Job, OutputId, Overlay, OverlayId, Size, Squeeze, ToWorker,
};
use crate::clock;
use crate::hub::{Channel, Item, Program};
use crate::media::{MediaTime, Track};

/// The programme is taken so long before a slot that its worker may be started [`LEAD`] before it.
const AHEAD: MediaTime = MediaTime::from_millis(1000);
/// Where neither picture nor sprite are.
const BACKGROUND: [u8; 3] = [0, 0, 0];
/// The worker's one output: the programme.
const OUTPUT: OutputId = OutputId(0);

/// What a driver is told.
#[derive(Debug)]
pub(super) enum Command {
    /// A slot of this name that is to begin as soon as possible will be asked for by then, if its image is good.
    Expect(OverlayId, Instant),
    Ask(Pending),
    Cancel(OverlayId),
    /// It is to end at this moment instead of later.
    Shorten(OverlayId, MediaTime),
}

/// A slot that was taken on.
#[derive(Debug)]
pub(super) struct Pending {
    pub ask: Ask,
    /// The broadcast that it is for.
    pub broadcast: u64,
    pub format: Format,
    pub image: Image,
}

/// What is drawn in a slot.
#[derive(Debug)]
struct Creative {
    format: Format,
    image: Image,
}

/// Runs while a channel has slots that are not over.
#[derive(Debug)]
pub(super) struct Driver {
    overlays: Overlays,
    channel: Arc<Channel>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Slots whose time has not come.
    waiting: Vec<Pending>,
    /// A slot that is about to be asked for, and by when it will be.
    expected: Option<(OverlayId, Instant)>,
}

impl Driver {
    pub const fn new(
        overlays: Overlays,
        channel: Arc<Channel>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self { overlays, channel, commands, waiting: Vec::new(), expected: None }
    }

    pub async fn run(mut self) {
        let mut changes = self.channel.changes();
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.command(command);
            }
            let newest = self.channel.newest();
            self.close_other_than(newest.map(|(broadcast, _)| broadcast));
            if self.expected.is_some() && newest.is_some() {
                self.engage().await;
                continue;
            }
            if self.waiting.is_empty() {
                if self.overlays.dismiss(self.channel.name(), &self.commands) {
                    return;
                }
                continue;
            }
            let now = newest.map_or(MediaTime::ZERO, |(_, newest)| newest);
            let Some(first) = self.waiting.iter().map(|pending| pending.ask.start).min().flatten() else {
                self.engage().await;
                continue;
            };
            let early = (first - LEAD - AHEAD).since(now);
            if early.is_zero() {
                self.engage().await;
                continue;
            }
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.command(command),
                    None => return,
                },
                () = sleep(early) => {}
                _ = changes.changed() => {}
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Expect(id, until) => self.expected = Some((id, until)),
            Command::Ask(pending) => {
                self.forget_expected(pending.ask.id);
                self.waiting.push(pending);
            }
            Command::Cancel(id) => {
                self.forget_expected(id);
                self.waiting.retain(|pending| pending.ask.id != id);
                self.close(id, Why::Cancelled);
            }
            Command::Shorten(id, at) => {
                for pending in self.waiting.iter_mut().filter(|pending| pending.ask.id == id) {
                    let most = pending.ask.start.map_or(MediaTime::ZERO, |start| at - start);
                    pending.ask.duration = pending.ask.duration.min(most);
                }
                if self
                    .waiting
                    .extract_if(.., |pending| pending.ask.id == id && pending.ask.duration <= MediaTime::ZERO)
                    .next()
                    .is_some()
                {
                    self.close(id, Why::Cancelled);
                }
            }
        }
    }

    fn forget_expected(&mut self, id: OverlayId) {
        self.expected = self.expected.filter(|(expected, _)| *expected != id);
    }

    /// Slots of a broadcast that is over are over.
    fn close_other_than(&mut self, broadcast: Option<u64>) {
        let (here, gone) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|pending| Some(pending.broadcast) == broadcast);
        self.waiting = here;
        for pending in gone {
            self.close(pending.ask.id, Why::BroadcastEnded);
        }
    }

    /// A broadcast is over, and so are its slots.
    fn close_of(&mut self, broadcast: u64) {
        for pending in
            self.waiting.extract_if(.., |pending| pending.broadcast == broadcast).collect::<Vec<_>>()
        {
            self.close(pending.ask.id, Why::BroadcastEnded);
        }
    }

    fn close(&self, id: OverlayId, why: Why) {
        let event = SlotEvent::Closed { shown: Shown::default(), why };
        self.overlays.note(self.channel.name(), id, &event);
    }

    /// Takes the programme, and writes it until no slot needs that any more.
    async fn engage(&mut self) {
        let program = match self.channel.take_program() {
            Ok(program) => program,
            Err(reason) => {
                self.expected = None;
                tracing::debug!(channel = %self.channel.name(), %reason, "the programme cannot be taken");
                return self.close_other_than(None);
            }
        };
        self.overlays.metrics().spliced.inc();
        Engagement::new(self, program).run().await;
        self.overlays.metrics().spliced.dec();
    }
}

/// The programme, and everything that it is made with.
struct Engagement<'a> {
    driver: &'a mut Driver,
    program: Program,
    splicer: Splicer,
    creatives: HashMap<OverlayId, Creative>,
    worker: Option<Session>,
    /// The size of the picture that the worker draws on.
    canvas: Size,
    /// There is no worker, or it takes nothing.
    lost: bool,
    ended: bool,
}

impl<'a> Engagement<'a> {
    fn new(driver: &'a mut Driver, mut program: Program) -> Self {
        let mut splicer = Splicer::new(driver.overlays.limits());
        for item in program.take_history() {
            splicer.recall(&item);
        }
        Self {
            driver,
            program,
            splicer,
            creatives: HashMap::new(),
            worker: None,
            canvas: Size::default(),
            lost: false,
            ended: false,
        }
    }

    async fn run(mut self) {
        self.ask();
        self.expect();
        loop {
            self.carry_out();
            if self.ended {
                self.driver.expected = None;
                return self.driver.close_of(self.program.broadcast_id());
            }
            if self.splicer.is_idle() && !self.is_due_soon() && self.program.give_back() {
                return;
            }
            let timeout = self.splicer.next_timeout();
            tokio::select! {
                batch = self.program.next_batch() => {
                    for item in batch {
                        self.splicer.source(item, clock::monotonic());
                        self.carry_out();
                    }
                    self.ask();
                }
                report = report(&mut self.worker) => self.splicer.report(report, clock::monotonic()),
                Some(command) = self.driver.commands.recv() => self.command(command),
                () = until(timeout) => {
                    let now = clock::monotonic();
                    self.splicer.timeout(now);
                    self.driver.expected = self.driver.expected.filter(|(_, until)| now < *until);
                }
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Cancel(id) if self.creatives.contains_key(&id) => self.splicer.cancel(id),
            Command::Shorten(id, at) if self.creatives.contains_key(&id) => self.splicer.shorten(id, at),
            command => self.driver.command(command),
        }
        self.ask();
        self.expect();
    }

    /// Whether a slot that waits is better waited for here.
    fn is_due_soon(&self) -> bool {
        let soon = self.splicer.newest().unwrap_or_default() + LEAD + AHEAD;
        let here = self.program.broadcast_id();
        let mut waiting = self.driver.waiting.iter().filter(|pending| pending.broadcast == here);
        waiting.any(|pending| pending.ask.start.is_none_or(|start| start <= soon))
    }

    /// Lets the splicer get ready for what is about to be asked for.
    fn expect(&mut self) {
        match self.driver.expected {
            Some((_, until)) => self.splicer.expect(until, clock::monotonic()),
            None => self.splicer.expect_nothing(),
        }
    }

    /// Gives the splicer the slots whose time has come.
    fn ask(&mut self) {
        let soon = self.splicer.newest().unwrap_or_default() + LEAD + AHEAD;
        let here = self.program.broadcast_id();
        let is_due = |pending: &mut Pending| {
            pending.broadcast == here && pending.ask.start.is_none_or(|start| start <= soon)
        };
        let due: Vec<Pending> = self.driver.waiting.extract_if(.., is_due).collect();
        for Pending { ask, format, image, .. } in due {
            self.creatives.insert(ask.id, Creative { format, image });
            self.splicer.ask(ask, clock::monotonic());
        }
    }

    /// Does what the splicer wants done.
    fn carry_out(&mut self) {
        loop {
            while let Some(output) = self.splicer.poll() {
                match output {
                    Output::Route(item) => {
                        self.ended |= matches!(item, Item::Ended);
                        self.program.write(item);
                    }
                    Output::Worker(order) => self.order(order),
                    Output::RequestKeyframe => {
                        self.driver.channel.request_keyframe();
                    }
                    Output::Slot(id, event) => {
                        if matches!(event, SlotEvent::Closed { .. }) {
                            self.creatives.remove(&id);
                        }
                        self.driver.overlays.note(self.driver.channel.name(), id, &event);
                    }
                }
            }
            if !std::mem::take(&mut self.lost) {
                return;
            }
            self.splicer.report(Report::Lost, clock::monotonic());
        }
    }

    fn order(&mut self, order: Order) {
        let message = match order {
            Order::Start(track) => return self.start(&track),
            Order::Drop => {
                self.worker = None;
                self.lost = false;
                return;
            }
            Order::Frame(frame) => ToWorker::Frame(frame),
            Order::Overlay { id, start, end } => match self.overlay(id, start, end) {
                Some(overlay) => ToWorker::Overlay { output: OUTPUT, overlay },
                // The picture has become too small for it.
                None => return self.splicer.cancel(id),
            },
            Order::Cancel { id, at } => ToWorker::Cancel { output: OUTPUT, id, at },
            Order::Cut { dts, pts } => ToWorker::Cut { output: OUTPUT, dts, pts },
            Order::Stop { before } => ToWorker::Stop { before },
        };
        self.send(message);
    }

    fn start(&mut self, track: &Track) {
        if let Some(video) = track.video() {
            self.canvas = Size { width: video.width, height: video.height };
        }
        let job = Job::BurnIn(BurnIn { encoding: Encoding::default() });
        match self.driver.overlays.workers().give(job) {
            Ok(session) => {
                self.worker = Some(session);
                self.send(ToWorker::Track(track.clone()));
                self.send(ToWorker::Open { output: OUTPUT });
            }
            Err(reason) => {
                tracing::warn!(channel = %self.driver.channel.name(), %reason, "no worker for an overlay");
                self.lost = true;
            }
        }
    }

    fn send(&mut self, message: ToWorker) {
        self.lost |= !self.worker.as_ref().is_some_and(|worker| worker.orders.send(message));
    }

    fn overlay(&self, id: OverlayId, start: MediaTime, end: MediaTime) -> Option<Overlay> {
        let Creative { format, image } = self.creatives.get(&id)?;
        let sprite = image.sprite();
        let placement = format.place(self.canvas, sprite.size)?;
        let transition = format.transition(end - start);
        let squeeze =
            placement.picture.map(|picture| Squeeze { picture, background: BACKGROUND, transition });
        let (canvas, place, sprite) = (self.canvas, placement.place, sprite.clone());
        Some(Overlay { id, start, end, sprite, canvas, place, squeeze })
    }
}

/// What the worker says next.
async fn report(worker: &mut Option<Session>) -> Report {
    let Some(worker) = worker else { return pending().await };
    loop {
        return match worker.reports.next().await {
            Ok(FromWorker::OutputTrack { track, .. }) => Report::Track(track),
            Ok(FromWorker::OutputFrame { frame, .. }) => Report::Frame(frame),
            Ok(FromWorker::Progress { dts }) => Report::Progress { dts },
            // The end of its only output is the worker's own, which follows.
            Ok(FromWorker::Stopped { .. }) => continue,
            Ok(FromWorker::Ended) => Report::Ended,
            Ok(_) | Err(_) => Report::Lost,
        };
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => pending().await,
    }
}
