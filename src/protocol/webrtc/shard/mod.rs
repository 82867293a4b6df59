//! One shard: a thread with its own socket, its sessions and its relays. Everything here runs on that one thread.
//!
//! This file is the driver: the tasks that wait for datagrams, requests, time and streams. What they do is in
//! `sessions` (who is there) and `streams` (what they send and get).

mod sessions;
mod streams;
mod variants;

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::Config;
use super::fragment::Credentials;
use super::metrics::Metrics;
use super::offer::Offer;
use super::outlet::{Outlet, Path};
use super::peer::{Addresses, News, OpenError, Peer};
use super::publisher::Publisher;
use super::registry::{Registry, SessionId};
use super::relay::{Agreed, Relay};
use super::setup::Identity;
use super::tcp::Arrived;
use super::viewer::Viewer;
use crate::clock;
use crate::context::Life;
use crate::hub::{Channel, Rendition, Subscriber};
use crate::media::{ChannelName, Cohort};
use crate::net::udp::Inbox;

/// Datagrams from other shards that may wait.
const FOREIGN_QUEUE: usize = 1024;
/// Requests from HTTP, and TCP connections, that may wait.
const COMMAND_QUEUE: usize = 256;
/// Viewers who are behind get more this often.
const PACE: Duration = Duration::from_millis(5);
/// Packets of video that a viewer gets at once: a large keyframe is spread over a few milliseconds (1200 B × 32 in 5 ms
/// are 61 Mbit/s).
const BURST: usize = 32;

/// What another thread asks a shard for.
pub(super) enum Command {
    /// Make a session.
    Open(Box<Open>, oneshot::Sender<Result<String, OpenError>>),
    /// Take the answer to a counter-offer.
    Answer(SessionId, Box<Offer>, oneshot::Sender<Result<(), OpenError>>),
    /// Prepare an ICE restart; the answer is the server's fragment and its new name fragment.
    Restart(SessionId, Credentials, oneshot::Sender<Option<(String, Arc<str>)>>),
    /// End a session.
    Close(SessionId),
}

/// A session to be made.
pub(super) struct Open {
    pub id: SessionId,
    /// The peer's; none where we make one.
    pub offer: Option<Offer>,
    pub purpose: Purpose,
    pub addresses: Addresses,
    pub channel: Arc<Channel>,
    /// Who asked, for the log.
    pub asker: SocketAddr,
}

/// What a session is for.
pub(super) enum Purpose {
    /// To put the channel on the air.
    Publish,
    /// To watch.
    Watch(Agreed, Rendition, Watcher),
}

/// Who watches.
#[derive(Clone, Debug)]
pub(super) struct Watcher {
    /// What is known of him.
    pub cohort: Arc<Cohort>,
    /// The number that his page is known by, if it is.
    pub page: Option<u64>,
}

/// A datagram that arrived at another shard.
pub(super) struct Foreign {
    pub source: SocketAddr,
    pub datagram: Bytes,
}

/// How other threads reach a shard.
#[derive(Clone)]
pub(super) struct Handle {
    pub commands: mpsc::Sender<Command>,
    pub foreign: mpsc::Sender<Foreign>,
    pub streams: mpsc::Sender<Arrived>,
}

/// What a shard reads.
pub(super) struct Inlets {
    commands: mpsc::Receiver<Command>,
    foreign: mpsc::Receiver<Foreign>,
    streams: mpsc::Receiver<Arrived>,
}

/// The two ends of a shard's queues.
pub(super) fn queues() -> (Handle, Inlets) {
    let (commands, command_inlet) = mpsc::channel(COMMAND_QUEUE);
    let (foreign, foreign_inlet) = mpsc::channel(FOREIGN_QUEUE);
    let (streams, stream_inlet) = mpsc::channel(COMMAND_QUEUE);
    let inlets = Inlets { commands: command_inlet, foreign: foreign_inlet, streams: stream_inlet };
    (Handle { commands, foreign, streams }, inlets)
}

/// What a shard is made with.
pub(super) struct Settings {
    pub index: usize,
    pub config: Config,
    pub identity: Identity,
    pub registry: Registry,
    pub shards: Vec<Handle>,
    pub metrics: Metrics,
    pub life: Life,
    /// Cancelled when the server is dropped.
    pub running: CancellationToken,
}

/// A stream that viewers of a shard watch.
pub(super) type RelayKey = (ChannelName, Rendition, Agreed);

struct Shard {
    settings: Settings,
    sessions: Vec<Option<Session>>,
    vacant: Vec<usize>,
    by_id: HashMap<SessionId, usize>,
    by_ufrag: HashMap<Arc<str>, usize>,
    by_path: HashMap<Path, usize>,
    relays: HashMap<RelayKey, Relay>,
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    /// Viewers who are behind and are sent more at the next pace.
    behind: Vec<usize>,
    /// When that is, if there are any.
    pace_at: Option<Instant>,
    outlet: Outlet,
    socket: Rc<UdpSocket>,
    news: Vec<News>,
    /// The timers or the viewers behind have changed.
    changed: Rc<Notify>,
    /// Relays to be started by the driver, which owns the tasks.
    started: Vec<(RelayKey, Subscriber)>,
    /// Publishers to be watched over by the driver.
    published: Vec<(usize, SessionId)>,
}

struct Session {
    id: SessionId,
    peer: Peer,
    channel: Arc<Channel>,
    /// Who asked for it, for the log.
    asker: SocketAddr,
    /// When it ends unless something is heard of the peer.
    deadline: Instant,
    /// Ways to the peer that a check has verified.
    paths: Vec<Path>,
    /// When it is woken.
    timer: Option<Instant>,
    side: Side,
}

/// What a session is for, before and after ICE and DTLS are done.
enum Side {
    Publishing,
    Publisher(Box<Publisher>),
    Watching(RelayKey, Watcher),
    Viewer(RelayKey, Box<Viewer>),
}

/// Runs a shard until the server drains, or is dropped.
pub(super) async fn run(
    settings: Settings,
    socket: std::net::UdpSocket,
    inlets: Inlets,
) -> std::io::Result<()> {
    let socket = Rc::new(UdpSocket::from_std(socket)?);
    let (life, running) = (settings.life.clone(), settings.running.clone());
    let changed = Rc::new(Notify::new());
    let shard = Rc::new(RefCell::new(Shard::new(settings, Rc::clone(&socket), Rc::clone(&changed))));
    let tasks = [
        tokio::task::spawn_local(receive(Rc::clone(&shard), socket)),
        tokio::task::spawn_local(obey(Rc::clone(&shard), inlets)),
        tokio::task::spawn_local(keep_time(Rc::clone(&shard), changed)),
    ];
    tokio::select! {
        () = life.draining() => {}
        () = running.cancelled() => {}
    }
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    shard.borrow_mut().close_all();
    Ok(())
}

/// Takes datagrams as they come.
async fn receive(shard: Rc<RefCell<Shard>>, socket: Rc<UdpSocket>) {
    let mut inbox = Inbox::new();
    loop {
        if let Err(error) = socket.readable().await {
            return tracing::error!(%error, "a WebRTC shard receives no more");
        }
        match socket.try_io(Interest::READABLE, || inbox.receive(&*socket)) {
            Ok(()) => {
                let mut shard = shard.borrow_mut();
                let now = clock::monotonic();
                for (source, datagram) in inbox.datagrams() {
                    shard.datagram(source, datagram, now);
                }
                shard.flush();
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // An error that a peer's unreachable port left on the socket is nobody else's.
            Err(error) => tracing::debug!(%error, "receiving failed"),
        }
        start_tasks(&shard);
        tokio::task::yield_now().await;
    }
}

/// Does what other threads ask for.
async fn obey(shard: Rc<RefCell<Shard>>, mut inlets: Inlets) {
    loop {
        tokio::select! {
            Some(command) = inlets.commands.recv() => {
                let now = clock::monotonic();
                shard.borrow_mut().command(command, now);
            }
            Some(Foreign { source, datagram }) = inlets.foreign.recv() => {
                let now = clock::monotonic();
                shard.borrow_mut().own_datagram(Path::Udp(source), &datagram, now);
            }
            Some(arrived) = inlets.streams.recv() => {
                tokio::task::spawn_local(carry(Rc::clone(&shard), arrived));
            }
            else => return,
        }
        shard.borrow_mut().flush();
        start_tasks(&shard);
    }
}

/// Brings what a connection sends to its session, until one of them is over.
async fn carry(shard: Rc<RefCell<Shard>>, arrived: Arrived) {
    let path = Path::Tcp(arrived.source);
    let Ok((mut incoming, queue)) = arrived.open() else { return };
    shard.borrow_mut().outlet.connect(path.address(), Rc::clone(&queue));
    loop {
        let datagram = tokio::select! {
            datagram = incoming.next() => datagram,
            () = queue.closed() => None,
        };
        let Some(datagram) = datagram else { break };
        let known = {
            let mut shard = shard.borrow_mut();
            shard.own_datagram(path, &datagram, clock::monotonic());
            shard.flush();
            shard.by_path.contains_key(&path)
        };
        start_tasks(&shard);
        // Whose first word was no check of a session here has nothing to say.
        if !known {
            break;
        }
    }
    shard.borrow_mut().disconnected(path);
}

/// Wakes sessions when their time has come, and paces those who are behind.
async fn keep_time(shard: Rc<RefCell<Shard>>, changed: Rc<Notify>) {
    loop {
        let next = shard.borrow().next_wake();
        let sleep = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {
                let mut shard = shard.borrow_mut();
                let now = clock::monotonic();
                shard.time(now);
                shard.pace(now);
                shard.flush();
            }
            () = changed.notified() => {}
        }
        start_tasks(&shard);
    }
}

/// Starts what new relays and publishers need.
fn start_tasks(shard: &Rc<RefCell<Shard>>) {
    let (started, published) = {
        let mut shard = shard.borrow_mut();
        (std::mem::take(&mut shard.started), std::mem::take(&mut shard.published))
    };
    for (key, subscriber) in started {
        tokio::task::spawn_local(relay(Rc::clone(shard), key, subscriber));
    }
    for (place, id) in published {
        tokio::task::spawn_local(attend(Rc::clone(shard), place, id));
    }
}

/// Brings a stream to the viewers of this shard.
async fn relay(shard: Rc<RefCell<Shard>>, key: RelayKey, mut subscriber: Subscriber) {
    let Some(stop) = shard.borrow().relays.get(&key).map(|relay| relay.stop.clone()) else { return };
    loop {
        let batch = tokio::select! {
            batch = subscriber.next_batch() => batch,
            () = stop.cancelled() => return,
        };
        let mut shard = shard.borrow_mut();
        if stop.is_cancelled() || !shard.relay(&key, batch, subscriber.epoch()) {
            return;
        }
    }
}

/// Hands what the channel wants of its publisher to the session.
async fn attend(shard: Rc<RefCell<Shard>>, place: usize, id: SessionId) {
    let Some((mut dismissal, mut keyframes)) = shard.borrow().channel_wishes(place, &id) else { return };
    loop {
        tokio::select! {
            reason = dismissal.wait_for(Option::is_some) => {
                let reason = reason.ok().and_then(|reason| *reason);
                shard.borrow_mut().dismissed(place, &id, reason);
                return;
            }
            // The channel asks a publisher no more whom it is about to dismiss.
            Ok(()) = keyframes.changed() => {
                if !shard.borrow_mut().ask_for_keyframe(place, &id) {
                    return;
                }
                // Requests of many viewers within this time are one.
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        }
    }
}

impl Shard {
    fn new(settings: Settings, socket: Rc<UdpSocket>, changed: Rc<Notify>) -> Self {
        Self {
            settings,
            sessions: Vec::new(),
            vacant: Vec::new(),
            by_id: HashMap::new(),
            by_ufrag: HashMap::new(),
            by_path: HashMap::new(),
            relays: HashMap::new(),
            timers: BinaryHeap::new(),
            behind: Vec::new(),
            pace_at: None,
            outlet: Outlet::default(),
            socket,
            news: Vec::new(),
            changed,
            started: Vec::new(),
            published: Vec::new(),
        }
    }

    /// Sends what has been gathered.
    fn flush(&mut self) {
        let flushed = self.outlet.flush(&self.socket);
        self.settings.metrics.packets_sent.inc_by(flushed.datagrams as u64);
        self.settings.metrics.packets_dropped.inc_by(flushed.dropped as u64);
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open(open, answer) => {
                let id = open.id.clone();
                let opened = self.open(*open, now);
                // Whoever asked may have given up meanwhile: nobody would ever come to the session.
                if answer.send(opened).is_err()
                    && let Some(&place) = self.by_id.get(&id)
                {
                    self.close(place, "abandoned");
                }
            }
            Command::Answer(id, description, answer) => {
                let taken = self.take_answer(&id, &description, now);
                if let (Err(_), Some(&place)) = (&taken, self.by_id.get(&id)) {
                    self.close(place, "answer");
                }
                // A dropped answer only means that nobody waits for it any more.
                let _ = answer.send(taken);
            }
            Command::Restart(id, credentials, answer) => {
                // A dropped answer only means that nobody waits for it any more.
                let _ = answer.send(self.restart(&id, credentials));
            }
            Command::Close(id) => {
                if let Some(&place) = self.by_id.get(&id) {
                    self.close(place, "deleted");
                }
            }
        }
    }
}
