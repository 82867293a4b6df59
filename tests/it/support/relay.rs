//! A bad path: a UDP relay between one WebRTC peer and the server that loses, delays, reorders and throttles with
//! numbers that are the same every time, or does to each datagram what a test says.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use onair::clock;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

/// Which way a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the peer to the server.
    Up,
    /// From the server to the peer.
    Down,
}

/// What the path does in one direction.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// One datagram in so many is lost; 0 for none.
    pub loss_one_in: u32,
    /// How long each takes.
    pub delay: Duration,
    /// And up to so much longer.
    pub jitter: Duration,
    /// One in so many is overtaken by those behind it; 0 for none.
    pub reorder_one_in: u32,
    /// Bits a second; 0 for no limit.
    pub rate: u64,
    /// What would have to wait for longer because of the rate is lost.
    pub queue: Duration,
}

impl Path {
    /// A perfect one.
    pub const CLEAN: Self = Self {
        loss_one_in: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        reorder_one_in: 0,
        rate: 0,
        queue: Duration::from_millis(200),
    };
}

/// What a test does to a datagram: `false` loses it; it may be changed.
pub type Tamper = Box<dyn FnMut(Direction, &mut Vec<u8>) -> bool + Send>;

/// A running relay; it ends with the test's runtime.
pub struct Relay {
    /// What the peer is told.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    up: Path,
    down: Path,
    seed: u64,
    tamper: Option<Tamper>,
    /// A new source address towards the server is wanted.
    reroute: bool,
    /// Datagrams that are sent once more, or for the first time.
    injected: Vec<(Direction, Vec<u8>)>,
    counts: [Counts; 2],
}

/// What became of the datagrams of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Came in.
    pub taken: u64,
    /// Were lost, by chance, by the queue or by the test.
    pub lost: u64,
    /// Bytes that went out.
    pub bytes: u64,
}

impl Relay {
    /// A relay to the server with this path each way.
    pub async fn start(server: SocketAddr, seed: u64, up: Path, down: Path) -> Self {
        Self::run(server, seed, up, down, None).await
    }

    /// A relay that does to each datagram what the test says.
    pub async fn tampering(
        server: SocketAddr,
        tamper: impl FnMut(Direction, &mut Vec<u8>) -> bool + Send + 'static,
    ) -> Self {
        Self::run(server, 1, Path::CLEAN, Path::CLEAN, Some(Box::new(tamper))).await
    }

    async fn run(server: SocketAddr, seed: u64, up: Path, down: Path, tamper: Option<Tamper>) -> Self {
        let near = socket().await;
        let address = near.local_addr().expect("an address");
        let counts = [Counts::default(); 2];
        let state = State { up, down, seed: seed | 1, tamper, reroute: false, injected: Vec::new(), counts };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() });
        tokio::spawn(carry(Arc::clone(&shared), near, socket().await, server));
        Self { address, shared }
    }

    /// From now on the server sees the peer at another address, as when a phone changes its network.
    pub fn reroute(&self) {
        self.shared.state.lock().unwrap().reroute = true;
        self.shared.changed.notify_one();
    }

    /// Sends a datagram as if it had just come through.
    pub fn inject(&self, direction: Direction, datagram: Vec<u8>) {
        self.shared.state.lock().unwrap().injected.push((direction, datagram));
        self.shared.changed.notify_one();
    }

    /// What became of the datagrams of a direction.
    pub fn counts(&self, direction: Direction) -> Counts {
        self.shared.state.lock().unwrap().counts[direction as usize]
    }
}

async fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20).expect("a buffer");
    socket
}

/// When a datagram goes on, its number, whether it goes up, and what it is.
type Waiting = (Instant, u64, bool, Vec<u8>);

/// When each datagram goes on.
#[derive(Default)]
struct Schedule {
    waiting: BinaryHeap<Reverse<Waiting>>,
    number: u64,
    /// Per direction: when the line is free, and the latest due time of one that may not be overtaken.
    free_at: [Option<Instant>; 2],
    latest: [Option<Instant>; 2],
}

impl Schedule {
    fn take(&mut self, state: &mut State, direction: Direction, mut datagram: Vec<u8>, now: Instant) {
        let at = direction as usize;
        state.counts[at].taken += 1;
        let path = if direction == Direction::Up { state.up } else { state.down };
        let passes = state.tamper.as_mut().is_none_or(|tamper| tamper(direction, &mut datagram));
        let mut number = || {
            state.seed ^= state.seed << 13;
            state.seed ^= state.seed >> 7;
            state.seed ^= state.seed << 17;
            state.seed
        };
        let (lost, late, jitter) = (number(), number(), number());
        let one_in = |random: u64, parts: u32| parts > 0 && random.is_multiple_of(u64::from(parts));
        if !passes || one_in(lost, path.loss_one_in) {
            state.counts[at].lost += 1;
            return;
        }
        let mut due = now;
        if let Some(nanos) = (datagram.len() as u64 * 8_000_000_000).checked_div(path.rate) {
            let start = self.free_at[at].map_or(now, |free| free.max(now));
            if start - now > path.queue {
                state.counts[at].lost += 1;
                return;
            }
            due = start + Duration::from_nanos(nanos);
            self.free_at[at] = Some(due);
        }
        let most = path.jitter.as_nanos() as u64;
        due += path.delay + Duration::from_nanos(if most > 0 { jitter % most } else { 0 });
        if one_in(late, path.reorder_one_in) {
            due += path.jitter + Duration::from_millis(5);
        } else {
            due = self.latest[at].map_or(due, |latest| due.max(latest));
            self.latest[at] = Some(due);
        }
        self.number += 1;
        self.waiting.push(Reverse((due, self.number, direction == Direction::Up, datagram)));
    }

    fn due(&mut self, now: Instant) -> Option<(Direction, Vec<u8>)> {
        self.waiting.peek().filter(|Reverse((due, ..))| *due <= now)?;
        let Reverse((.., up, datagram)) = self.waiting.pop()?;
        Some((if up { Direction::Up } else { Direction::Down }, datagram))
    }

    fn next(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((due, ..))| *due)
    }
}

async fn carry(shared: Arc<Shared>, near: UdpSocket, mut far: UdpSocket, server: SocketAddr) {
    let mut schedule = Schedule::default();
    let mut peer: Option<SocketAddr> = None;
    let (mut from_near, mut from_far) = ([0; 2048], [0; 2048]);
    loop {
        let next = schedule.next();
        let timer = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let taken = tokio::select! {
            received = near.recv_from(&mut from_near) => received.ok().map(|(length, source)| {
                peer = Some(source);
                (Direction::Up, from_near[..length].to_vec())
            }),
            received = far.recv_from(&mut from_far) => {
                received.ok().map(|(length, _)| (Direction::Down, from_far[..length].to_vec()))
            }
            () = shared.changed.notified() => None,
            () = timer => None,
        };
        let now = clock::monotonic();
        let (injected, reroute) = {
            let mut state = shared.state.lock().unwrap();
            if let Some((direction, datagram)) = taken {
                schedule.take(&mut state, direction, datagram, now);
            }
            (std::mem::take(&mut state.injected), std::mem::take(&mut state.reroute))
        };
        if reroute {
            far = socket().await;
        }
        let due: Vec<_> = std::iter::from_fn(|| schedule.due(now)).collect();
        for (direction, datagram) in due.into_iter().chain(injected) {
            shared.state.lock().unwrap().counts[direction as usize].bytes += datagram.len() as u64;
            // A peer that is gone is not the path's concern.
            let _ = match (direction, peer) {
                (Direction::Up, _) => far.send_to(&datagram, server).await,
                (Direction::Down, Some(peer)) => near.send_to(&datagram, peer).await,
                (Direction::Down, None) => Ok(0),
            };
        }
    }
}
