//! The slots of a channel that are not over: waits for their time, and has the programme written then.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::VariantSet;
use super::engagement::Engagement;
use super::image::Image;
use super::overlays::Overlays;
use super::placement::Format;
use super::splice::{Ask, LEAD, Shown, SlotEvent, Why};
use crate::av::worker::ipc::OverlayId;
use crate::hub::Channel;
use crate::media::MediaTime;

/// The programme is taken so long before a slot that its worker may be started [`LEAD`] before it.
pub(super) const AHEAD: MediaTime = MediaTime::from_millis(1000);

/// What a driver is told.
#[derive(Debug)]
pub(super) enum Command {
    /// A slot will be asked for, if its image is good.
    Expect(Expected),
    Ask(Pending),
    Cancel(OverlayId),
    /// It is to end at this moment instead of later.
    Shorten(OverlayId, MediaTime),
}

/// A slot that is about to be asked for, to begin soon.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub id: OverlayId,
    /// In which variants of the programme.
    pub variants: VariantSet,
    /// By when it will be.
    pub until: Instant,
}

/// A slot that was taken on.
#[derive(Debug)]
pub(super) struct Pending {
    pub ask: Ask,
    /// In which variants of the programme.
    pub variants: VariantSet,
    /// The broadcast that it is for.
    pub broadcast: u64,
    pub format: Format,
    pub image: Image,
}

/// Runs while a channel has slots that are not over.
#[derive(Debug)]
pub(super) struct Driver {
    pub overlays: Overlays,
    pub channel: Arc<Channel>,
    pub commands: mpsc::UnboundedReceiver<Command>,
    /// Slots whose time has not come.
    pub waiting: Vec<Pending>,
    /// Slots that are about to be asked for.
    pub expected: Vec<Expected>,
}

impl Driver {
    pub const fn new(
        overlays: Overlays,
        channel: Arc<Channel>,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self { overlays, channel, commands, waiting: Vec::new(), expected: Vec::new() }
    }

    pub async fn run(mut self) {
        let mut changes = self.channel.changes();
        loop {
            while let Ok(command) = self.commands.try_recv() {
                self.command(command);
            }
            let newest = self.channel.newest();
            self.close_other_than(newest.map(|(broadcast, _)| broadcast));
            if !self.expected.is_empty() && newest.is_some() {
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

    pub fn command(&mut self, command: Command) {
        match command {
            Command::Expect(expected) => self.expected.push(expected),
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
        self.expected.retain(|expected| expected.id != id);
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
    pub fn close_of(&mut self, broadcast: u64) {
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
        let program = match self.channel.take_program(self.overlays.variants()) {
            Ok(program) => program,
            Err(reason) => {
                self.expected.clear();
                tracing::debug!(channel = %self.channel.name(), %reason, "the programme cannot be taken");
                return self.close_other_than(None);
            }
        };
        self.overlays.metrics().spliced.inc();
        Engagement::new(self, program).run().await;
        self.overlays.metrics().spliced.dec();
    }
}
