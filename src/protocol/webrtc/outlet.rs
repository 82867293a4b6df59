//! The ways out of a shard: its UDP socket, and the connections of those whom UDP does not reach.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;

use str0m::net::Protocol;
use tokio::net::UdpSocket;

use super::relay::MTU;
use super::tcp::Queue;
use crate::net::udp::{Flushed, Outbox};

/// A way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Path {
    /// Datagrams to this address.
    Udp(SocketAddr),
    /// The connection from this address.
    Tcp(SocketAddr),
}

impl Path {
    /// The peer's address.
    pub const fn address(self) -> SocketAddr {
        match self {
            Self::Udp(address) | Self::Tcp(address) => address,
        }
    }

    /// As the WebRTC library names it.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Udp(_) => Protocol::Udp,
            Self::Tcp(_) => Protocol::Tcp,
        }
    }

    /// The way by which the WebRTC library wants something to go.
    pub const fn of(protocol: Protocol, address: SocketAddr) -> Self {
        match protocol {
            Protocol::Tcp => Self::Tcp(address),
            _ => Self::Udp(address),
        }
    }
}

/// What is to be sent, by whichever way.
#[derive(Default)]
pub(super) struct Outlet {
    udp: Outbox,
    tcp: HashMap<SocketAddr, Rc<Queue>>,
    /// Datagrams for connections since the last flush.
    queued: Flushed,
}

impl Outlet {
    /// Adds a datagram: what `write` appends. It is dropped when its connection takes no more.
    pub fn push(&mut self, path: Path, write: impl FnOnce(&mut Vec<u8>)) {
        match path {
            Path::Udp(address) => self.udp.push(address, write),
            Path::Tcp(address) => match self.tcp.get(&address).is_some_and(|queue| queue.push(write)) {
                true => self.queued.datagrams += 1,
                false => self.queued.dropped += 1,
            },
        }
    }

    /// How many packets may follow now: a socket takes any number, a connection what its peer has made room for.
    pub fn room(&self, path: Path) -> usize {
        match path {
            Path::Udp(_) => usize::MAX,
            Path::Tcp(address) => self.tcp.get(&address).map_or(0, |queue| queue.room() / MTU),
        }
    }

    /// Whether enough has been gathered to be sent before more is added.
    pub fn is_full(&self) -> bool {
        self.udp.is_full()
    }

    /// Sends what has been gathered for the socket; connections are written to as they are ready.
    pub fn flush(&mut self, socket: &UdpSocket) -> Flushed {
        let queued = std::mem::take(&mut self.queued);
        let flushed = self.udp.flush(socket);
        Flushed { datagrams: flushed.datagrams + queued.datagrams, dropped: flushed.dropped + queued.dropped }
    }

    /// A connection from this address is there.
    pub fn connect(&mut self, address: SocketAddr, queue: Rc<Queue>) {
        if let Some(before) = self.tcp.insert(address, queue) {
            before.close();
        }
    }

    /// The connection from this address is to end, or has ended.
    pub fn disconnect(&mut self, address: SocketAddr) {
        if let Some(queue) = self.tcp.remove(&address) {
            queue.close();
        }
    }
}
