//! A broadcast's cue bus, and its slots on their way: announced, sold, shown, counted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::decision::{Decided, Job, OnItsWay};
use super::displays::Displays;
use super::record::{CueNumber, CueRecord, Outcome, Shown, Stage};
use super::server::Sale;
use crate::av::worker::ipc::OverlayId;
use crate::clock;
use crate::cue::{CueBus, Moment, Proposal, Refused, Slot, SlotChange};
use crate::hub::{Channel, OnAir};
use crate::ledger::{DisplayClass, Event, LedgerError, Receipt, SessionId, SlotId, UnixMillis};
use crate::media::{Cue, CueId, CueOrigin, CueState, MediaTime, Signal};
use crate::overlay::splice::{SlotEvent, Why};

/// How often displays are counted while an overlay is on.
const COUNTING: Duration = Duration::from_millis(250);
/// The shortest wait: media time does not go on exactly as the wall clock does.
const SHORTEST: Duration = Duration::from_millis(5);
/// Hashtags of comments make up the moment for so long.
const MOMENT: MediaTime = MediaTime::from_millis(60_000);
/// Counts of hashtags that are remembered.
const MAX_HASHTAGS: usize = 1000;
/// Hashtags that make up a moment: the most used ones.
const HASHTAGS_OF_MOMENT: usize = 20;
/// How long overlays have to say that they ended with their broadcast.
const ENDING: Duration = Duration::from_secs(2);
/// How long after the last viewer has seen its end a slot that was cut short takes displays.
const GRACE_MS: i64 = 5000;

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
    slots: BTreeMap<CueId, Running>,
    decisions: JoinSet<(CueId, Decided)>,
    charges: JoinSet<Charged>,
    hashtags: VecDeque<(MediaTime, Arc<str>, u32)>,
}

/// A slot on its way.
struct Running {
    number: CueNumber,
    slot: Slot,
    state: State,
}

enum State {
    Waiting,
    Deciding,
    OnItsWay(Live),
}

/// A slot that was sold.
struct Live {
    slot: SlotId,
    /// What is drawn into the programme, and which lot that is.
    burned: Option<(OverlayId, u16)>,
    /// Pages draw it too.
    guided: bool,
    /// When it was sold to begin.
    start: MediaTime,
    deadline: UnixMillis,
    /// Once its first frame was sent.
    displays: Option<Displays>,
    /// Its last frame was sent, or none will be.
    closed: bool,
}

impl Live {
    fn is(&self, overlay: OverlayId) -> bool {
        self.burned.is_some_and(|(burned, _)| burned == overlay)
    }
}

/// Displays that the ledger was told of.
struct Charged {
    cue: CueId,
    slot: SlotId,
    /// Those that it could not take, and may be told again.
    failed: Vec<SessionId>,
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
            slots: BTreeMap::new(),
            decisions: JoinSet::new(),
            charges: JoinSet::new(),
            hashtags: VecDeque::new(),
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
                Some(decided) = self.decisions.join_next() => self.decided(decided.ok()),
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
        Moment { media: self.air.newest, unix_millis: unix_millis() }
    }

    /// Until there is something to do though nothing happens.
    fn timeout(&self) -> Option<Duration> {
        let now = self.air.newest;
        let ahead = self.sale.inner().config.decide_ahead.into();
        let waiting = self.slots.values().filter(|running| matches!(running.state, State::Waiting));
        let due = waiting.map(|running| running.slot.cue.start - ahead);
        let due = due.chain(self.bus.next_timeout()).min().map(|due| (due - now).max(MediaTime::ZERO));
        let due = due.map(|due| Duration::from_nanos(due.as_nanos().unsigned_abs()).max(SHORTEST));
        let counts = self.slots.values().any(|running| matches!(running.state, State::OnItsWay(_)));
        let counting = counts.then_some(COUNTING);
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
                let number = |id: CueId| {
                    // What was opened just now is on its way.
                    self.slots.get(&id).map(|running| running.number).ok_or(Refused::Unknown)
                };
                let _ = answer.send(self.told(proposed).and_then(number));
            }
            Command::Update(id, change, answer) => {
                let updated = self.bus.update(&id, change, now);
                let _ = answer.send(self.told(updated));
            }
            Command::Cancel(id, answer) => {
                let cancelled = self.bus.cancel(&id, now);
                let _ = answer.send(self.told(cancelled));
            }
            Command::Veto(id, answer) => {
                let vetoed = self.bus.veto(&id, now);
                let _ = answer.send(self.told(vetoed));
            }
            Command::HoldOff(time, answer) => {
                self.bus.hold_off(now.media + time.into(), now);
                let _ = answer.send(());
            }
            Command::Signal(signal) => {
                if let Signal::Hashtag { at, tag, count } = &signal {
                    self.hashtags.push_back((*at, Arc::clone(tag), *count));
                    let is_over = |at: MediaTime| at < now.media - MOMENT;
                    while self.hashtags.len() > MAX_HASHTAGS
                        || self.hashtags.front().is_some_and(|(at, _, _)| is_over(*at))
                    {
                        self.hashtags.pop_front();
                    }
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
            match self.slots.get_mut(&slot.cue.id) {
                Some(running) => running.slot = slot.clone(),
                None if slot.cue.state == CueState::Announced => self.open(&slot),
                // All of it is over and done with.
                None => continue,
            }
            self.change(slot);
        }
    }

    fn open(&mut self, slot: &Slot) {
        let inner = self.sale.inner();
        let number = inner.records.number();
        let (name, broadcast) = (self.channel.name(), self.air.broadcast);
        inner.records.add(CueRecord::new(number, name, broadcast, slot, unix_millis()));
        inner.metrics.opened(origin(slot.cue.origin));
        let running = Running { number, slot: slot.clone(), state: State::Waiting };
        self.slots.insert(slot.cue.id.clone(), running);
    }

    /// A slot is new, or has changed.
    fn change(&mut self, slot: Slot) {
        let inner = self.sale.inner();
        let Some(running) = self.slots.get(&slot.cue.id) else { return };
        inner.records.change(running.number, |record| record.revise(&slot));
        let withdrawn = slot.cue.state == CueState::Cancelled;
        match &running.state {
            State::Waiting if withdrawn => self.over(&slot.cue.id, Outcome::Withdrawn),
            // A decision that is under way is looked at when it is there.
            State::Waiting | State::Deciding => {}
            State::OnItsWay(live) if withdrawn => {
                inner.guided.withdraw(self.channel.name(), running.number);
                match live.burned {
                    Some((overlay, _)) => inner.overlays.cancel(overlay),
                    None => self.withdrawn(&slot.cue.id),
                }
            }
            // What was sold ends earlier, if it is to, and never later.
            State::OnItsWay(live) if live.start == slot.cue.start => {
                self.sale.guide_until(self.channel.name(), running.number, slot.end());
                if let Some((overlay, _)) = live.burned {
                    inner.overlays.shorten(overlay, slot.end());
                }
            }
            State::OnItsWay(_) => self.sell_again(&slot.cue.id),
        }
    }

    /// A slot was moved after it was sold, and before it began.
    fn sell_again(&mut self, cue: &CueId) {
        let inner = Arc::clone(self.sale.inner());
        let Some(running) = self.slots.get_mut(cue) else { return };
        let State::OnItsWay(live) = std::mem::replace(&mut running.state, State::Waiting) else { return };
        inner.guided.withdraw(self.channel.name(), running.number);
        if let Some((overlay, _)) = live.burned {
            inner.overlays.cancel(overlay);
        }
        inner.records.change(running.number, |record| {
            record.stage = Stage::Announced;
            record.sold = None;
        });
        // Money that is not given back now is given back at the deadline.
        tokio::spawn(async move { inner.ledger.submit(Event::Release { slot: live.slot }).await });
    }

    /// Asks for what is to be shown soon.
    fn decide_what_is_due(&mut self) {
        let ahead = MediaTime::from(self.sale.inner().config.decide_ahead);
        let by = self.air.newest + ahead;
        let hashtags = self.moment();
        for running in self.slots.values_mut() {
            if !matches!(running.state, State::Waiting) || running.slot.cue.start > by {
                continue;
            }
            running.state = State::Deciding;
            self.sale.inner().records.change(running.number, |record| record.stage = Stage::Deciding);
            let job = Job {
                sale: self.sale.clone(),
                channel: Arc::clone(&self.channel),
                broadcast: self.air.broadcast,
                epoch: clock::unix_millis(self.air.epoch),
                number: running.number,
                slot: running.slot.clone(),
                hashtags: hashtags.clone(),
                engagement: self.bus.engagement(),
            };
            let cue = running.slot.cue.id.clone();
            self.decisions.spawn(async move { (cue, job.run().await) });
        }
    }

    /// The hashtags that are used most just now.
    fn moment(&self) -> BTreeSet<Arc<str>> {
        let since = self.air.newest - MOMENT;
        let mut counts: BTreeMap<&Arc<str>, u64> = BTreeMap::new();
        for (at, tag, count) in &self.hashtags {
            if *at >= since {
                *counts.entry(tag).or_default() += u64::from(*count);
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts.into_iter().take(HASHTAGS_OF_MOMENT).map(|(tag, _)| Arc::clone(tag)).collect()
    }

    fn decided(&mut self, decided: Option<(CueId, Decided)>) {
        // A decision that broke off is our bug, which the log has; its money comes back at its deadline.
        let Some((cue, decided)) = decided else { return };
        let Some(running) = self.slots.get_mut(&cue) else { return };
        match decided {
            Decided::Unsold(outcome) => self.over(&cue, outcome),
            Decided::Sold(OnItsWay { slot, burned, guided, start, deadline }) => {
                let is_guided = guided.is_some();
                let live =
                    Live { slot, burned, guided: is_guided, start, deadline, displays: None, closed: false };
                running.state = State::OnItsWay(live);
                if let Some(standing) = guided {
                    self.sale.guide(self.channel.name(), standing);
                }
                // The slot may have changed in the meantime, and something may have become of the overlay.
                let Some(running) = self.slots.get(&cue) else { return };
                let slot = running.slot.clone();
                self.change(slot);
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
        let of = |running: &Running| matches!(&running.state, State::OnItsWay(live) if live.is(overlay));
        let cue = self.slots.iter().find(|(_, running)| of(running)).map(|(cue, _)| cue.clone());
        if let Some(cue) = cue {
            match event {
                SlotEvent::Ready => {}
                SlotEvent::Began { first_pts, .. } => self.began(&cue, first_pts),
                SlotEvent::Closed { shown, why } => self.closed(&cue, shown, why),
            }
        }
    }

    /// Events were missed: what has become of the overlays is asked for.
    fn catch_up(&mut self) {
        let live = self.slots.iter().filter_map(|(cue, running)| match &running.state {
            State::OnItsWay(Live { burned: Some((overlay, _)), closed: false, .. }) => {
                Some((cue.clone(), *overlay))
            }
            _ => None,
        });
        for (cue, overlay) in live.collect::<Vec<_>>() {
            let Some(slot) = self.sale.inner().overlays.slot(overlay) else { continue };
            if let Some(first) = slot.shown.first_pts {
                self.began(&cue, first);
            }
            if let Some((why, _)) = slot.over {
                self.closed(&cue, slot.shown, why);
            }
        }
    }

    fn began(&mut self, cue: &CueId, first: MediaTime) {
        let inner = self.sale.inner();
        let required = inner.config.display_time.into();
        let Some(running) = self.slots.get_mut(cue) else { return };
        let State::OnItsWay(live) = &mut running.state else { return };
        if live.displays.is_some() {
            return;
        }
        live.displays = Some(Displays::new(first, running.slot.end(), required));
        inner.records.change(running.number, |record| {
            record.stage = Stage::OnAir;
            record.shown = Some(Shown { first_pts_ns: Some(first.as_nanos()), ..Shown::default() });
        });
    }

    fn closed(&mut self, cue: &CueId, shown: crate::overlay::splice::Shown, why: Why) {
        let inner = Arc::clone(self.sale.inner());
        let Some(running) = self.slots.get_mut(cue) else { return };
        let State::OnItsWay(live) = &mut running.state else { return };
        live.closed = true;
        let end = shown.last_pts.map(|last| last + MediaTime::from_nanos(1));
        if let (Some(displays), Some(end)) = (&mut live.displays, end) {
            displays.shorten(end);
        }
        let (slot, guided) = (live.slot, live.guided);
        let outcome = match (shown.frames, why) {
            // Pages go on without the programme.
            (0, why) if guided => Outcome::CutShort { why: why.label().to_owned() },
            (0, why) => Outcome::NotShown { why: why.label().to_owned() },
            (_, Why::Completed) => Outcome::Completed,
            (_, why) => Outcome::CutShort { why: why.label().to_owned() },
        };
        let early = match &outcome {
            Outcome::NotShown { .. } => Some(Event::Release { slot }),
            Outcome::CutShort { .. } if !guided => {
                let delay = i64::try_from(inner.config.max_viewer_delay.as_millis()).unwrap_or(i64::MAX);
                let deadline =
                    unix_millis().saturating_add(delay).saturating_add(GRACE_MS).min(live.deadline);
                live.deadline = deadline;
                Some(Event::Shorten { slot, deadline })
            }
            _ => None,
        };
        inner.metrics.over(outcome.label());
        inner.records.change(running.number, |record| {
            record.shown = Some(Shown {
                first_pts_ns: shown.first_pts.map(MediaTime::as_nanos),
                last_pts_ns: shown.last_pts.map(MediaTime::as_nanos),
                frames: shown.frames,
            });
            record.end(outcome);
        });
        if let Some(event) = early {
            // Money that is not given back now is given back at the deadline.
            tokio::spawn(async move { inner.ledger.submit(event).await });
        }
        if shown.frames == 0 && !guided {
            self.slots.remove(cue);
        }
    }

    /// What pages alone were to draw is withdrawn.
    fn withdrawn(&mut self, cue: &CueId) {
        let inner = Arc::clone(self.sale.inner());
        let Some(running) = self.slots.get_mut(cue) else { return };
        let State::OnItsWay(live) = &mut running.state else { return };
        if std::mem::replace(&mut live.closed, true) {
            return;
        }
        let outcome = match self.air.newest < live.start {
            true => Outcome::Withdrawn,
            false => Outcome::CutShort { why: Why::Cancelled.label().to_owned() },
        };
        inner.metrics.over(outcome.label());
        inner.records.change(running.number, |record| record.end(outcome));
    }

    /// Slots that only pages draw come to their end by the time alone.
    fn end_guided(&mut self) {
        let now = self.air.newest;
        for running in self.slots.values_mut() {
            let State::OnItsWay(live) = &mut running.state else { continue };
            if live.burned.is_some() || live.closed || now < running.slot.end() {
                continue;
            }
            live.closed = true;
            let inner = self.sale.inner();
            inner.metrics.over(Outcome::Completed.label());
            inner.records.change(running.number, |record| record.end(Outcome::Completed));
        }
    }

    /// A slot came to an end without a sale.
    fn over(&mut self, cue: &CueId, outcome: Outcome) {
        let Some(running) = self.slots.remove(cue) else { return };
        tracing::info!(channel = %self.channel.name(), %cue, ?outcome, "slot not sold");
        self.sale.inner().metrics.over(outcome.label());
        self.sale.inner().records.change(running.number, |record| record.end(outcome));
        // Its time is free for another, and players are told that nothing comes of it. It may be withdrawn already.
        let _ = self.bus.cancel(cue, self.now());
    }

    /// Charges the displays that there have been by now, and forgets slots that take no more of them.
    fn count(&mut self) {
        let (now, at) = (self.air.newest, unix_millis());
        let delay = MediaTime::from(self.sale.inner().config.max_viewer_delay);
        self.end_guided();
        self.slots.retain(|_, running| {
            let State::OnItsWay(live) = &running.state else { return true };
            let stays = !live.closed || (now < running.slot.end() + delay && at < live.deadline);
            if !stays {
                self.sale.inner().guided.forget(self.channel.name(), running.number);
            }
            stays
        });
        let is_counted =
            |running: &Running| matches!(&running.state, State::OnItsWay(live) if live.displays.is_some());
        if !self.slots.values().any(is_counted) {
            return;
        }
        let audience = self.channel.audience();
        for (cue, running) in &mut self.slots {
            let State::OnItsWay(Live { slot, displays: Some(displays), burned: Some((_, lot)), .. }) =
                &mut running.state
            else {
                continue;
            };
            let due = displays.due(&audience);
            if due.is_empty() {
                continue;
            }
            due.iter().for_each(|session| displays.count(*session));
            let (sale, cue, slot, lot) = (self.sale.clone(), cue.clone(), *slot, *lot);
            self.charges.spawn(async move { charge(&sale, cue, (slot, lot), due).await });
        }
    }

    /// What could not be charged is tried again.
    fn charged(&mut self, charged: Option<Charged>) {
        let Some(Charged { cue, slot, failed }) = charged else { return };
        let running = self.slots.get_mut(&cue).map(|running| &mut running.state);
        if let Some(State::OnItsWay(Live { slot: of, displays: Some(displays), .. })) = running
            && *of == slot
        {
            failed.iter().for_each(|session| displays.uncount(*session));
        }
    }

    /// The broadcast is over.
    async fn end(mut self, events: &mut tokio::sync::broadcast::Receiver<(OverlayId, SlotEvent)>) {
        // Nobody will be shown anything for what is being decided: that money goes back by itself.
        self.decisions.abort_all();
        while let Some(decided) = self.decisions.join_next().await {
            self.decided(decided.ok());
        }
        let ended = tokio::time::timeout(ENDING, async {
            while self
                .slots
                .values()
                .any(|running| matches!(&running.state, State::OnItsWay(live) if !live.closed))
            {
                let event = events.recv().await;
                self.event(event);
            }
        });
        drop(ended.await);
        self.count();
        while let Some(charged) = self.charges.join_next().await {
            self.charged(charged.ok());
        }
        for running in self.slots.values() {
            self.sale.inner().guided.withdraw(self.channel.name(), running.number);
        }
        for cue in self.slots.keys().cloned().collect::<Vec<_>>() {
            if matches!(&self.slots[&cue].state, State::OnItsWay(live) if live.burned.is_none()) {
                self.withdrawn(&cue);
            }
        }
        let unsold = self.slots.iter().filter(|(_, running)| !matches!(running.state, State::OnItsWay(_)));
        for cue in unsold.map(|(cue, _)| cue.clone()).collect::<Vec<_>>() {
            self.over(&cue, Outcome::BroadcastEnded);
        }
    }
}

/// Tells the ledger of displays.
async fn charge(sale: &Sale, cue: CueId, (slot, lot): (SlotId, u16), sessions: Vec<SessionId>) -> Charged {
    let inner = sale.inner();
    let mut answers = JoinSet::new();
    for session in sessions {
        let ledger = inner.ledger.clone();
        let event = Event::Display { slot, lot, session, class: DisplayClass::Server };
        answers.spawn(async move { (session, ledger.submit(event).await) });
    }
    let mut failed = Vec::new();
    while let Some(Ok((session, answer))) = answers.join_next().await {
        inner.metrics.display(match &answer {
            Ok(Receipt::Charged(_)) => "charged",
            Ok(Receipt::Free) => "free",
            Ok(_) => "repeated",
            Err(LedgerError::Refused(_)) => "refused",
            Err(_) => "failed",
        });
        if matches!(answer, Err(LedgerError::Unavailable(_))) {
            failed.push(session);
        }
    }
    Charged { cue, slot, failed }
}

async fn after(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => sleep(timeout).await,
        None => pending().await,
    }
}

fn unix_millis() -> UnixMillis {
    clock::unix_millis(clock::wall())
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
