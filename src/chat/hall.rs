//! A room with its connections: hands messages in, events out, and records to the store.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{Notify, broadcast, mpsc};

use super::Shared;
use super::event::{Event, Farewell};
use super::message::Join;
use super::now::Now;
use super::person::Role;
use super::posts::{Framing, Posts};
use super::room::{Arrival, Batch, Counts, Output, Record, Refused, Room, SessionId};
use super::sampling::Reader;
use super::writer::Job;
use crate::clock;
use crate::media::ChannelName;

/// How often a room is told what is on the air, while somebody is in it.
const LOOK: Duration = Duration::from_secs(1);
/// How long an empty room stays in memory.
const LINGER: Duration = Duration::from_secs(300);
/// Slices of batches that go into one write.
const MAX_MERGED: usize = 16;
/// What may wait for one connection beside the room's events. More than anybody needs who comes back; who does not read
/// it has to come back once more.
const MAX_LETTERS: usize = 2 << 20;

/// A room in memory.
pub(super) struct Hall {
    name: ChannelName,
    shared: Arc<Shared>,
    inner: Mutex<Inner>,
    posts: broadcast::Sender<Arc<Posts>>,
    /// Something happened: the pump looks when it has to act next.
    wake: Notify,
}

struct Inner {
    room: Room,
    mailboxes: HashMap<SessionId, Arc<Mailbox>>,
    counted: Counts,
    /// Out of memory: another one has to be made.
    closed: bool,
}

/// What waits for one connection alone.
#[derive(Debug, Default)]
struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Letters {
    queue: VecDeque<Bytes>,
    bytes: usize,
    role: Option<Role>,
    /// The connection ends after these.
    last: bool,
}

impl Hall {
    /// A room, and the task that flushes it.
    pub fn open(name: ChannelName, room: Room, shared: Arc<Shared>) -> Arc<Self> {
        let posts = broadcast::Sender::new(shared.config.max_behind);
        let inner = Inner { room, mailboxes: HashMap::new(), counted: Counts::default(), closed: false };
        let hall = Arc::new(Self { name, shared, inner: Mutex::new(inner), posts, wake: Notify::new() });
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
        let mailbox = Arc::new(Mailbox::default());
        // Before the room is asked: what comes after its answer is not missed.
        let posts = self.posts.subscribe();
        if inner.mailboxes.is_empty() {
            // Nobody was here to be told what is on the air.
            self.look(&mut inner);
        }
        let now = self.shared.now();
        let entered = inner.room.enter(arrival, join, now)?;
        inner.mailboxes.insert(entered.session, Arc::clone(&mailbox));
        self.work(&mut inner);
        drop(inner);
        self.wake.notify_one();
        let reader = Reader::new(entered.user, entered.seen, entered.role.moderates());
        Ok(Some(Feed { hall: Arc::clone(self), session: entered.session, reader, posts, mailbox }))
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
        inner.mailboxes.remove(&session);
        inner.room.leave(session, self.shared.now());
        self.work(&mut inner);
        drop(inner);
        self.wake.notify_one();
    }

    /// Flushes the room when it is time, until it is empty for long or the server goes down.
    async fn pump(self: Arc<Self>) {
        let mut looked = clock::monotonic();
        let mut busy = looked;
        let mut is_leaving = false;
        loop {
            let now = clock::monotonic();
            let (batch, wait) = {
                let mut inner = self.lock();
                if now.saturating_duration_since(looked) >= LOOK {
                    looked = now;
                    self.look(&mut inner);
                }
                let batch = inner.room.flush(self.shared.now());
                self.work(&mut inner);
                self.count(&mut inner);
                let is_idle = inner.room.is_idle();
                if !is_idle {
                    busy = now;
                } else if is_leaving || now.saturating_duration_since(busy) >= LINGER {
                    inner.closed = true;
                    break;
                }
                let longest = if is_idle { LINGER } else { LOOK };
                let uptime = self.shared.now().uptime;
                let due = inner.room.next_timeout().map_or(longest, |at| at.saturating_sub(uptime));
                (batch, due.min(longest))
            };
            // Outside of the lock: ten thousand are woken. Who comes in meanwhile has had these events by the welcome.
            self.send(batch);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
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
                    if let Some(mailbox) = inner.mailboxes.get(&session) {
                        mailbox.put(json);
                    }
                }
                Output::Close { session } => {
                    if let Some(mailbox) = inner.mailboxes.get(&session) {
                        mailbox.close();
                    }
                }
                Output::Role { session, role } => {
                    if let Some(mailbox) = inner.mailboxes.get(&session) {
                        mailbox.set_role(role);
                    }
                }
                Output::Invite { session, id } => {
                    if let Some(mailbox) = inner.mailboxes.get(&session)
                        && let Some(token) = self.shared.invitation(&self.name)
                    {
                        mailbox.put(Event::Invite { id, token }.json());
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

    fn send(&self, batch: Batch) {
        let Batch { events, signals } = batch;
        for signal in signals {
            // Nobody need listen.
            drop(self.shared.signals.send((self.name.clone(), signal)));
        }
        if !events.is_empty() {
            drop(self.posts.send(Arc::new(Posts::new(events))));
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

impl Mailbox {
    fn put(&self, json: Bytes) {
        let mut letters = self.lock();
        letters.bytes += json.len();
        if letters.bytes > MAX_LETTERS {
            letters.last = true;
        } else {
            letters.queue.push_back(json);
        }
        drop(letters);
        self.arrived.notify_one();
    }

    fn close(&self) {
        self.lock().last = true;
        self.arrived.notify_one();
    }

    fn set_role(&self, role: Role) {
        self.lock().role = Some(role);
        self.arrived.notify_one();
    }

    fn take(&self) -> Letters {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection's place in a room; dropping it leaves the room.
pub(super) struct Feed {
    hall: Arc<Hall>,
    session: SessionId,
    reader: Reader,
    posts: broadcast::Receiver<Arc<Posts>>,
    mailbox: Arc<Mailbox>,
}

/// What a connection is to be sent.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// In order.
    pub slices: Vec<Bytes>,
    /// It ends after that.
    pub last: bool,
}

impl Feed {
    /// What to send next, as soon as there is something. Cancel-safe.
    pub async fn next(&mut self, framing: Framing) -> Delivery {
        loop {
            let mut delivery = Delivery::default();
            tokio::select! {
                biased;
                // Letters first: the welcome comes before the events that follow it.
                () = self.mailbox.arrived.notified() => {
                    let Letters { queue, role, last, .. } = self.mailbox.take();
                    if let Some(role) = role {
                        self.reader.reads_everything(role.moderates());
                    }
                    let mut bytes = BytesMut::new();
                    queue.iter().for_each(|json| framing.wrap(0, json, &mut bytes));
                    if !bytes.is_empty() {
                        delivery.slices.push(bytes.freeze());
                    }
                    delivery.last = last;
                }
                posts = self.posts.recv() => match posts {
                    Ok(posts) => self.take(&posts, framing, &mut delivery),
                    Err(RecvError::Lagged(missed)) => self.miss(missed, framing, &mut delivery),
                    Err(RecvError::Closed) => delivery.last = true,
                },
            }
            if delivery.last || !delivery.slices.is_empty() {
                return delivery;
            }
        }
    }

    /// Takes a batch, and those that have come since: where viewers or the machine fall behind, writes merge.
    fn take(&mut self, posts: &Posts, framing: Framing, delivery: &mut Delivery) {
        let mut count = posts.for_reader(&mut self.reader, framing, &mut delivery.slices);
        while delivery.slices.len() < MAX_MERGED {
            match self.posts.try_recv() {
                Ok(posts) => count += posts.for_reader(&mut self.reader, framing, &mut delivery.slices),
                Err(TryRecvError::Lagged(missed)) => self.miss(missed, framing, delivery),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.hall.shared.metrics.delivered.inc_by(count as u64);
    }

    /// The ring has moved on.
    fn miss(&self, missed: u64, framing: Framing, delivery: &mut Delivery) {
        self.hall.shared.metrics.lagged.inc_by(missed);
        let mut bytes = BytesMut::new();
        framing.wrap(0, &Event::Lagged { missed }.json(), &mut bytes);
        delivery.slices.push(bytes.freeze());
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
        Now { uptime, unix_millis: clock::unix_millis(clock::wall()) }
    }
}

/// Where the clock of intervals begins: before anything happens in a room, and long enough ago that nothing is due yet.
pub(super) fn beginning() -> Instant {
    clock::monotonic().checked_sub(Duration::from_secs(3600)).unwrap_or_else(clock::monotonic)
}

/// A queue of records.
pub(super) type Jobs = mpsc::Sender<Job>;
