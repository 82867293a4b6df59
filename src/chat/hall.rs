//! A room with its connections: hands messages in, events out, and records to the store.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinSet, unconstrained, yield_now};

use super::Shared;
use super::event::{Event, Farewell};
use super::line::{Delivery, Happened, Line};
use super::message::Join;
use super::now::Now;
use super::posts::{Framing, Posts};
use super::room::{Arrival, Batch, Counts, Output, Record, Refused, Room, SessionId};
use super::rounds::Rounds;
use super::sampling::Reader;
use super::writer::Job;
use crate::clock;
use crate::media::ChannelName;

/// How often a room is told what is on the air, while somebody is in it.
const LOOK: Duration = Duration::from_secs(1);
/// How long an empty room stays in memory.
const LINGER: Duration = Duration::from_secs(300);
/// Viewers who are handed a batch before other tasks have their turn: some hundred microseconds.
const AT_ONCE: usize = 32;
/// Rooms with more viewers than this hand out on several processors.
const MANY: usize = 1000;

/// A room in memory.
pub(super) struct Hall {
    name: ChannelName,
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
    /// Something happened: the pump looks when it has to act next.
    wake: Notify,
}

struct Inner {
    room: Room,
    /// In the order in which they came, as they lie in memory: to hand out goes through all of them.
    lines: BTreeMap<SessionId, Arc<Line>>,
    rounds: Rounds,
    counted: Counts,
    /// Out of memory: another one has to be made.
    closed: bool,
}

impl Hall {
    /// A room, and the task that flushes it.
    pub fn open(name: ChannelName, room: Room, shared: Arc<Shared>) -> Arc<Self> {
        let rounds = Rounds::new(shared.config.batch_interval);
        let inner = Inner { room, lines: BTreeMap::new(), rounds, counted: Counts::default(), closed: false };
        let hall = Arc::new(Self { name, shared, inner: Mutex::new(inner), wake: Notify::new() });
        hall.look(&mut hall.lock());
        hall.shared.metrics.rooms.inc();
        tokio::spawn(Arc::clone(&hall).pump());
        hall
    }

    /// Lets somebody in; `None` when the room has just gone out of memory.
    ///
    /// # Errors
    /// When they may not come in.
    pub fn enter(self: &Arc<Self>, arrival: Arrival, join: &Join) -> Result<Option<Feed>, Refused> {
        let mut inner = self.lock();
        if inner.closed {
            return Ok(None);
        }
        if inner.lines.is_empty() {
            // Nobody was here to be told what is on the air.
            self.look(&mut inner);
        }
        let now = self.shared.now();
        let entered = inner.room.enter(arrival, join, now)?;
        let reader = Reader::new(entered.user, entered.seen, entered.role.moderates());
        let line = Arc::new(Line::new(reader, inner.rounds.end()));
        inner.lines.insert(entered.session, Arc::clone(&line));
        self.work(&mut inner);
        drop(inner);
        self.wake.notify_one();
        Ok(Some(Feed { hall: Arc::clone(self), session: entered.session, line }))
    }

    /// A connection's message.
    pub fn receive(self: &Arc<Self>, session: SessionId, text: &str) {
        let mut inner = self.lock();
        inner.room.receive(session, text, self.shared.now());
        self.work(&mut inner);
        drop(inner);
        self.wake.notify_one();
    }

    /// The store has kept a record, or cannot.
    pub fn stored(self: &Arc<Self>, ticket: u64, kept: bool) {
        let mut inner = self.lock();
        inner.room.stored(ticket, kept, self.shared.now());
        self.work(&mut inner);
        drop(inner);
        self.wake.notify_one();
    }

    /// The room's number of its present life.
    pub fn epoch(&self) -> u64 {
        self.lock().room.epoch()
    }

    fn leave(self: &Arc<Self>, session: SessionId) {
        let mut inner = self.lock();
        inner.lines.remove(&session);
        inner.room.leave(session, self.shared.now());
        self.work(&mut inner);
        drop(inner);
        self.wake.notify_one();
    }

    /// Flushes the room when it is time, and goes round its viewers, until it is empty for long or the server goes down.
    async fn pump(self: Arc<Self>) {
        let mut looked = clock::monotonic();
        let mut busy = looked;
        let mut is_leaving = false;
        let mut walkers = JoinSet::new();
        loop {
            let now = clock::monotonic();
            let wait = {
                let mut inner = self.lock();
                if now.saturating_duration_since(looked) >= LOOK {
                    looked = now;
                    self.look(&mut inner);
                }
                self.flush(&mut inner);
                self.count(&mut inner);
                let is_idle = inner.room.is_idle();
                if !is_idle {
                    busy = now;
                } else if is_leaving || now.saturating_duration_since(busy) >= LINGER {
                    inner.closed = true;
                    break;
                }
                let uptime = self.shared.now().uptime;
                if inner.rounds.begin(uptime) {
                    self.go_round(&mut inner, &mut walkers);
                }
                let longest = if is_idle { LINGER } else { LOOK };
                let due = [inner.room.next_timeout(), inner.rounds.next()].into_iter().flatten().min();
                due.map_or(longest, |at| at.saturating_sub(uptime)).min(longest)
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
                Some(_) = walkers.join_next() => if walkers.is_empty() {
                    self.lock().rounds.finish(self.shared.now().uptime);
                },
                () = self.shared.life.draining(), if !is_leaving => {
                    is_leaving = true;
                    let mut inner = self.lock();
                    inner.room.close(Farewell::Restart, true);
                    self.work(&mut inner);
                }
            }
        }
        self.shared.metrics.rooms.dec();
        self.shared.forget(&self.name, &self);
    }

    /// Makes a batch of what all viewers get, if it is time.
    fn flush(self: &Arc<Self>, inner: &mut Inner) {
        let interval = inner.rounds.interval();
        inner.room.wait_for_others(interval);
        let Batch { events, signals } = inner.room.flush(self.shared.now());
        if !events.is_empty() {
            inner.rounds.push(Posts::new(events));
        }
        for signal in signals {
            // Nobody need listen.
            drop(self.shared.signals.send((self.name.clone(), signal)));
        }
        self.work(inner);
    }

    /// Hands everybody what they have not had: at once in a small room, else by tasks, each for its share of the viewers.
    fn go_round(self: &Arc<Self>, inner: &mut Inner, walkers: &mut JoinSet<()>) {
        // Who comes in later has had all this by the welcome.
        let mut lines: Vec<Arc<Line>> = inner.lines.values().map(Arc::clone).collect();
        if lines.len() <= AT_ONCE {
            let (first, batches) = inner.rounds.batches();
            self.hand_out(&lines, first, &batches);
            return inner.rounds.finish(self.shared.now().uptime);
        }
        let workers = if lines.len() < MANY { 1 } else { Handle::current().metrics().num_workers() };
        let share = lines.len().div_ceil(workers.max(1));
        while !lines.is_empty() {
            let some = lines.split_off(lines.len().saturating_sub(share));
            walkers.spawn(Arc::clone(self).walk(some));
        }
    }

    async fn walk(self: Arc<Self>, lines: Vec<Arc<Line>>) {
        for some in lines.chunks(AT_ONCE) {
            let (first, batches) = self.lock().rounds.batches();
            // Tokio's budget for one task would make sockets look full that are not.
            unconstrained(async { self.hand_out(some, first, &batches) }).await;
            yield_now().await;
        }
    }

    fn hand_out(&self, lines: &[Arc<Line>], first: u64, batches: &[Arc<Posts>]) {
        for line in lines {
            line.deliver(first, batches, self.shared.config.max_behind, &self.shared.metrics);
        }
    }

    /// Tells the room what is on the air.
    fn look(self: &Arc<Self>, inner: &mut Inner) {
        let channels = &self.shared.channels;
        let now = self.shared.now();
        inner.room.set_air(channels.air(&self.name), now);
        if !channels.exists(&self.name) {
            inner.room.close(Farewell::Gone, false);
        }
        self.work(inner);
    }

    /// Does what the room wants done.
    fn work(self: &Arc<Self>, inner: &mut Inner) {
        while let Some(output) = inner.room.poll() {
            match output {
                Output::Direct { session, json } => {
                    if let Some(line) = inner.lines.get(&session) {
                        line.put(json);
                    }
                }
                Output::Close { session } => {
                    if let Some(line) = inner.lines.get(&session) {
                        line.close();
                    }
                }
                Output::Role { session, role } => {
                    if let Some(line) = inner.lines.get(&session) {
                        line.reads_everything(role.moderates());
                    }
                }
                Output::Invite { session, id } => {
                    if let Some(line) = inner.lines.get(&session)
                        && let Some(token) = self.shared.invitation(&self.name)
                    {
                        line.put(Event::Invite { id, token }.json());
                    }
                }
                Output::Store { ticket, record } => self.keep(inner, ticket, record),
            }
        }
    }

    fn keep(self: &Arc<Self>, inner: &mut Inner, ticket: u64, record: Record) {
        let job = Job::Keep {
            hall: Arc::clone(self),
            channel: self.name.clone(),
            ticket,
            record: Box::new(record),
        };
        if self.shared.jobs.try_send(job).is_err() {
            self.shared.metrics.unkept.inc();
            inner.room.stored(ticket, false, self.shared.now());
        }
    }

    fn count(&self, inner: &mut Inner) {
        let counts = inner.room.counts();
        self.shared.metrics.add(std::mem::replace(&mut inner.counted, counts), counts);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place in a room; dropping it leaves the room.
pub(super) struct Feed {
    hall: Arc<Hall>,
    session: SessionId,
    line: Arc<Line>,
}

impl Feed {
    /// What to send next, as soon as there is something. Cancel-safe.
    pub async fn next(&mut self, framing: Framing) -> Delivery {
        poll_fn(|context| self.line.poll_next(context, framing, &self.hall.shared.metrics)).await
    }

    /// The way out: a WebSocket gives its connection to it.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Writes what there is for the connection, and waits for what it says. Cancel-safe.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn talk(&mut self, buffer: &mut [u8]) -> io::Result<Happened> {
        poll_fn(|context| self.line.poll_talk(context, buffer, &self.hall.shared.metrics)).await
    }

    /// The connection says something.
    pub fn say(&self, text: &str) {
        self.hall.receive(self.session, text);
    }

    /// The room and the connection's number in it.
    pub fn place(&self) -> (Arc<Hall>, SessionId) {
        (Arc::clone(&self.hall), self.session)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.hall.leave(self.session);
    }
}

impl Shared {
    /// This moment.
    pub fn now(&self) -> Now {
        let uptime = clock::monotonic().saturating_duration_since(self.started);
        Now { uptime, unix_millis: clock::unix_now() }
    }
}

/// Where the clock of intervals begins: before anything happens in a room, and long enough ago that nothing is due yet.
pub(super) fn beginning() -> Instant {
    clock::monotonic().checked_sub(Duration::from_secs(3600)).unwrap_or_else(clock::monotonic)
}

/// A queue of records.
pub(super) type Jobs = mpsc::Sender<Job>;
