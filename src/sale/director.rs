//! A broadcast's director: its cue bus, and what it says done: slots announced, sold, shown, charged.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::sleep;

use super::charges::{Charged, charge};
use super::decision::{Decided, Job};
use super::moment::HashtagMoment;
use super::record::{CueNumber, CueRecord, Outcome, Shown, Stage};
use super::server::Sale;
use super::slots::{Closing, Slots, Todo};
use super::variants::Variants;
use crate::av::worker::ipc::OverlayId;
use crate::clock;
use crate::cue::{CueBus, Moment, Proposal, Refused, Slot, SlotChange};
use crate::hub::{Channel, OnAir};
use crate::ledger::Event;
use crate::media::{Cue, CueId, CueOrigin, CueState, MediaTime, Signal};
use crate::overlay::splice::{self, SlotEvent, Why};

/// How often displays are counted while an overlay is on.
const COUNTING: Duration = Duration::from_millis(250);
/// The shortest wait: media time does not go on exactly as the wall clock does.
const SHORTEST: Duration = Duration::from_millis(5);
/// How long overlays have to say that they ended with their broadcast.
const ENDING: Duration = Duration::from_secs(2);
/// What a director is asked.
#[derive(Debug)]
pub(super) enum Command {
    Propose(Proposal, oneshot::Sender<Result<CueNumber, Refused>>),
    Update(CueId, SlotChange, oneshot::Sender<Result<(), Refused>>),
    Cancel(CueId, oneshot::Sender<Result<(), Refused>>),
    Veto(CueId, oneshot::Sender<Result<(), Refused>>),
    /// No slot is to begin for so long from now on.
    HoldOff(Duration, oneshot::Sender<()>),
    Signal(Signal),
}

/// Directs a broadcast from its first frame to its last.
pub(super) struct Director {
    sale: Sale,
    channel: Arc<Channel>,
    air: OnAir,
    bus: CueBus,
    commands: mpsc::Receiver<Command>,
    /// What the publisher's stream wants.
    heard: mpsc::Receiver<Cue>,
    /// Slots that something may still come of.
    pub(super) slots: Slots,
    decisions: JoinSet<(CueId, Decided)>,
    /// Of which slot each decision is: one that breaks off does not say so.
    deciding: HashMap<task::Id, CueId>,
    charges: JoinSet<Charged>,
    moment: HashtagMoment,
    /// Which groups of the programme's viewers get which variant of it.
    variants: Arc<Mutex<Variants>>,
}

impl Director {
    pub fn new(
        sale: Sale,
        channel: Arc<Channel>,
        air: OnAir,
        mut bus: CueBus,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        bus.begin();
        Self {
            heard: channel.take_cues(),
            sale,
            channel,
            air,
            bus,
            commands,
            slots: Slots::default(),
            decisions: JoinSet::new(),
            deciding: HashMap::new(),
            charges: JoinSet::new(),
            moment: HashtagMoment::default(),
            variants: Arc::default(),
        }
    }

    /// Directs until the broadcast is over.
    pub async fn run(mut self) {
        let mut changes = self.channel.changes();
        let mut events = self.sale.inner().overlays.events();
        loop {
            if !self.look() {
                return self.end(&mut events).await;
            }
            self.bus.handle_timeout(self.now());
            self.take_changes();
            self.decide_what_is_due();
            self.count();
            let timeout = self.timeout();
            tokio::select! {
                Some(command) = self.commands.recv() => self.command(command),
                Some(cue) = self.heard.recv() => self.hear(cue),
                Some(decided) = self.decisions.join_next_with_id() => self.joined(decided),
                Some(charged) = self.charges.join_next() => self.charged(charged.ok()),
                event = events.recv() => self.event(event),
                changed = changes.changed() => if changed.is_err() {
                    return self.end(&mut events).await;
                },
                () = after(timeout) => {}
            }
        }
    }

    /// Whether the broadcast is still on the air, and what its time is.
    fn look(&mut self) -> bool {
        let air = self.channel.on_air().filter(|air| air.broadcast == self.air.broadcast);
        self.air = air.unwrap_or(self.air);
        air.is_some()
    }

    fn now(&self) -> Moment {
        Moment { media: self.air.newest, unix_millis: clock::unix_now() }
    }

    /// Until there is something to do though nothing happens.
    fn timeout(&self) -> Option<Duration> {
        let now = self.air.newest;
        let ahead = self.sale.inner().config.decide_ahead.into();
        let due = self.slots.next_start().map(|start| start - ahead);
        let due = due.into_iter().chain(self.bus.next_timeout()).min();
        let due = due.map(|due| (due - now).max(MediaTime::ZERO));
        let due = due.map(|due| Duration::from_nanos(due.as_nanos().unsigned_abs()).max(SHORTEST));
        let counting = self.slots.is_any_sold().then_some(COUNTING);
        due.into_iter().chain(counting).min()
    }

    fn command(&mut self, command: Command) {
        self.look();
        let now = self.now();
        // Whoever asked may be gone.
        match command {
            Command::Propose(proposal, answer) => {
                let proposed = self.bus.propose(proposal, now);
                self.take_changes();
                // What was opened just now is on its way.
                let number = |id: CueId| self.slots.number(&id).ok_or(Refused::Unknown);
                let _ = answer.send(self.told(proposed).and_then(number));
            }
            Command::Update(id, change, answer) => {
                let updated = self.bus.update(&id, change, now);
                self.changed(updated, answer);
            }
            Command::Cancel(id, answer) => {
                let cancelled = self.bus.cancel(&id, now);
                self.changed(cancelled, answer);
            }
            Command::Veto(id, answer) => {
                let vetoed = self.bus.veto(&id, now);
                self.changed(vetoed, answer);
            }
            Command::HoldOff(time, answer) => {
                self.bus.hold_off(now.media + time.into(), now);
                let _ = answer.send(());
            }
            Command::Signal(signal) => {
                if let Signal::Hashtag { at, tag, count } = &signal {
                    self.moment.add(*at, tag, *count, now.media);
                }
                self.bus.signal(&signal, now);
            }
        }
    }

    fn hear(&mut self, cue: Cue) {
        self.look();
        let id = cue.id.clone();
        let heard = self.bus.hear(cue, self.now());
        if let Err(reason) = self.told(heard) {
            tracing::info!(channel = %self.channel.name(), cue = %id, %reason, "a cue of the stream is not served");
        }
    }

    /// Answers when what was changed can be seen by whoever asks next.
    fn changed(&mut self, result: Result<(), Refused>, answer: oneshot::Sender<Result<(), Refused>>) {
        self.take_changes();
        // Whoever asked may be gone.
        let _ = answer.send(self.told(result));
    }

    fn told<T>(&self, result: Result<T, Refused>) -> Result<T, Refused> {
        if result.is_err() {
            self.sale.inner().metrics.refused();
        }
        result
    }

    /// Takes over what the bus has decided.
    fn take_changes(&mut self) {
        while let Some(slot) = self.bus.poll() {
            tracing::info!(
                channel = %self.channel.name(), cue = %slot.cue.id, origin = ?slot.cue.origin, start = ?slot.cue.start,
                duration = ?slot.cue.duration, state = ?slot.cue.state, "slot"
            );
            self.channel.announce(slot.cue.clone());
            match self.slots.revise(&slot) {
                Some((number, todo)) => {
                    self.sale.inner().records.change(number, |record| record.revise(&slot));
                    self.do_what_is_due(&slot.cue.id, number, todo);
                }
                None if slot.cue.state == CueState::Announced => self.open(slot),
                // All of it is over and done with.
                None => {}
            }
        }
    }

    fn open(&mut self, slot: Slot) {
        let inner = self.sale.inner();
        let number = inner.records.number();
        let (name, broadcast) = (self.channel.name(), self.air.broadcast);
        inner.records.add(CueRecord::new(number, name, broadcast, &slot, clock::unix_now()));
        inner.metrics.opened(origin(slot.cue.origin));
        self.slots.open(number, slot);
    }

    fn do_what_is_due(&mut self, cue: &CueId, number: CueNumber, todo: Todo) {
        let inner = Arc::clone(self.sale.inner());
        let name = self.channel.name();
        match todo {
            Todo::Nothing => {}
            Todo::Forget => self.over(cue, Outcome::Withdrawn),
            Todo::Withdraw(overlays) => {
                inner.guided.withdraw(name, number);
                if overlays.is_empty() {
                    let closing = self.slots.withdrawn(cue, self.air.newest, Why::Cancelled);
                    self.close(closing);
                }
                overlays.into_iter().for_each(|overlay| inner.overlays.cancel(overlay));
            }
            Todo::EndAt(overlays, end) => {
                self.sale.guide_until(name, number, end);
                overlays.into_iter().for_each(|overlay| inner.overlays.shorten(overlay, end));
            }
            Todo::SellAgain(overlays, slot) => {
                inner.guided.withdraw(name, number);
                overlays.into_iter().for_each(|overlay| inner.overlays.cancel(overlay));
                inner.records.change(number, |record| {
                    record.stage = Stage::Announced;
                    record.sold = None;
                });
                self.tell_ledger(Event::Release { slot });
            }
        }
    }

    /// Asks for what is to be shown soon.
    fn decide_what_is_due(&mut self) {
        let ahead = MediaTime::from(self.sale.inner().config.decide_ahead);
        let by = self.air.newest + ahead;
        let hashtags = self.moment.hashtags(self.air.newest);
        for (number, slot) in self.slots.due(by) {
            let cue = slot.cue.id.clone();
            self.bus.commit(&cue);
            self.sale.inner().records.change(number, |record| record.stage = Stage::Deciding);
            let job = Job {
                sale: self.sale.clone(),
                channel: Arc::clone(&self.channel),
                broadcast: self.air.broadcast,
                began_at: clock::unix_millis(self.air.epoch),
                starts_at: self.air.arrival(slot.cue.start),
                number,
                slot,
                hashtags: hashtags.clone(),
                engagement: self.bus.engagement(),
                variants: Arc::clone(&self.variants),
            };
            let of = cue.clone();
            let decision = self.decisions.spawn(async move { (of, job.run().await) });
            self.deciding.insert(decision.id(), cue);
        }
    }

    fn joined(&mut self, decided: Result<(task::Id, (CueId, Decided)), JoinError>) {
        let id = decided.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let cue = self.deciding.remove(&id);
        match (decided, cue) {
            (Ok((_, (cue, decided))), _) => self.decided(&cue, decided),
            // That is our bug, which the log has. What it may have reserved comes back at its deadline.
            (Err(error), Some(cue)) if error.is_panic() => {
                self.over(&cue, Outcome::Failed { why: "the decision broke off".to_owned() });
            }
            // The broadcast is over.
            (Err(_), _) => {}
        }
    }

    fn decided(&mut self, cue: &CueId, decided: Decided) {
        match decided {
            Decided::Unsold(outcome) => self.over(cue, outcome),
            Decided::Sold(sold) => {
                let (live, standing) = *sold;
                let Some((number, todo)) = self.slots.sold(cue, live) else { return };
                if let Some(standing) = standing {
                    self.sale.guide(self.channel.name(), standing);
                }
                // The slot may have changed in the meantime, and something may have become of the overlay.
                self.do_what_is_due(cue, number, todo);
                self.catch_up();
            }
        }
    }

    /// Something has become of an overlay.
    fn event(&mut self, event: Result<(OverlayId, SlotEvent), RecvError>) {
        let (overlay, event) = match event {
            Ok(event) => event,
            Err(RecvError::Lagged(_)) => return self.catch_up(),
            Err(RecvError::Closed) => return,
        };
        let cue = self.slots.of_overlay(overlay);
        if let Some(cue) = cue {
            match event {
                SlotEvent::Ready => {}
                SlotEvent::Began { first_pts, .. } => self.began(&cue, overlay, first_pts),
                SlotEvent::Closed { shown, why } => self.closed(&cue, overlay, shown, why),
            }
        }
    }

    /// Events were missed: what has become of the overlays is asked for.
    fn catch_up(&mut self) {
        for (cue, overlay) in self.slots.drawn() {
            let Some(slot) = self.sale.inner().overlays.slot(overlay) else { continue };
            if let Some(first) = slot.shown.first_pts {
                self.began(&cue, overlay, first);
            }
            if let Some((why, _)) = slot.over {
                self.closed(&cue, overlay, slot.shown, why);
            }
        }
    }

    fn began(&mut self, cue: &CueId, overlay: OverlayId, first: MediaTime) {
        let inner = self.sale.inner();
        let required = inner.config.display_time.into();
        let Some(number) = self.slots.began(cue, overlay, first, required) else { return };
        inner.records.change(number, |record| {
            record.stage = Stage::OnAir;
            record.shown = Some(Shown { first_pts_ns: Some(first.as_nanos()), ..Shown::default() });
        });
    }

    fn closed(&mut self, cue: &CueId, overlay: OverlayId, shown: splice::Shown, why: Why) {
        let delay = self.sale.inner().config.max_viewer_delay.as_millis();
        let delay = i64::try_from(delay).unwrap_or(i64::MAX);
        let closing =
            self.slots.closed(cue, overlay, (shown, why), self.air.newest, clock::unix_now(), delay);
        self.close(closing);
    }

    /// Writes down what has come of a slot that was sold.
    fn close(&self, closing: impl IntoIterator<Item = Closing>) {
        let inner = self.sale.inner();
        for Closing { number, outcome, shown, event } in closing {
            inner.metrics.over(outcome.label());
            inner.records.change(number, |record| {
                record.shown = shown.or(record.shown);
                record.end(outcome);
            });
            event.into_iter().for_each(|event| self.tell_ledger(event));
        }
    }

    /// Tells the ledger what is only about money that comes back earlier.
    fn tell_ledger(&self, event: Event) {
        let inner = Arc::clone(self.sale.inner());
        tokio::spawn(async move { inner.ledger.submit(event).await });
    }

    /// A slot came to an end without a sale.
    fn over(&mut self, cue: &CueId, outcome: Outcome) {
        let Some(number) = self.slots.remove(cue) else { return };
        tracing::info!(channel = %self.channel.name(), %cue, ?outcome, "slot not sold");
        self.sale.inner().metrics.over(outcome.label());
        self.sale.inner().records.change(number, |record| record.end(outcome));
        // Its time is free for another, and players are told that nothing comes of it. It may be withdrawn already.
        let _ = self.bus.cancel(cue, self.now());
    }

    /// Charges the displays that there have been by now, and forgets slots that take no more of them.
    fn count(&mut self) {
        let now = self.air.newest;
        let delay = MediaTime::from(self.sale.inner().config.max_viewer_delay);
        let completed = self.slots.completed(now);
        self.close(completed);
        for number in self.slots.forget(now, delay, clock::unix_now()) {
            self.sale.inner().guided.forget(self.channel.name(), number);
        }
        if !self.slots.is_any_counted() {
            return;
        }
        for due in self.slots.displays(&self.channel.audience()) {
            let sale = self.sale.clone();
            self.charges.spawn(async move { charge(&sale, due).await });
        }
    }

    /// What could not be charged is tried again.
    fn charged(&mut self, charged: Option<Charged>) {
        if let Some(Charged { cue, slot, lot, failed }) = charged {
            self.slots.uncount(&cue, slot, lot, &failed);
        }
    }

    /// The broadcast is over.
    async fn end(mut self, events: &mut broadcast::Receiver<(OverlayId, SlotEvent)>) {
        // Nobody will be shown anything for what is being decided: that money goes back by itself.
        self.decisions.abort_all();
        while let Some(decided) = self.decisions.join_next_with_id().await {
            self.joined(decided);
        }
        let ended = tokio::time::timeout(ENDING, async {
            while !self.slots.drawn().is_empty() {
                let event = events.recv().await;
                self.event(event);
            }
        });
        if ended.await.is_err() {
            self.end_unanswered();
        }
        self.count();
        while let Some(charged) = self.charges.join_next().await {
            self.charged(charged.ok());
        }
        for number in self.slots.numbers() {
            self.sale.inner().guided.withdraw(self.channel.name(), number);
        }
        for cue in self.slots.only_guided() {
            let closing = self.slots.withdrawn(&cue, self.air.newest, Why::BroadcastEnded);
            self.close(closing);
        }
        for cue in self.slots.unsold() {
            self.over(&cue, Outcome::BroadcastEnded);
        }
    }

    /// Overlays of a broadcast that is over have not said so in time, and will not: their slots end all the same.
    fn end_unanswered(&mut self) {
        for (cue, overlay) in self.slots.drawn() {
            tracing::warn!(channel = %self.channel.name(), %cue, overlay = overlay.0, "an overlay does not say that it is over");
            let overlays = &self.sale.inner().overlays;
            overlays.cancel(overlay);
            let shown = overlays.slot(overlay).map_or_else(splice::Shown::default, |slot| slot.shown);
            self.closed(&cue, overlay, shown, Why::BroadcastEnded);
        }
    }
}

async fn after(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => sleep(timeout).await,
        None => pending().await,
    }
}

const fn origin(origin: CueOrigin) -> &'static str {
    match origin {
        CueOrigin::Publisher => "publisher",
        CueOrigin::Api => "api",
        CueOrigin::Studio => "studio",
        CueOrigin::Schedule => "schedule",
        CueOrigin::Engagement => "engagement",
    }
}
