//! ICE over TCP (RFC 6544), for networks that let no UDP through: the server waits, the browser connects.
//!
//! A connection's first datagram must be a connectivity check; it names the session, and so the shard, which the
//! connection is given to.

pub(super) mod framing;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::demux::Check;
use super::metrics::Metrics;
use super::setup::shard_of;
use super::shard::Handle;
use crate::context::Life;
use crate::net::accept::{Arrival, accept};
use crate::net::limits::{Admission, Permit};
use crate::net::socket::bound_send;

/// Bytes that may wait for a connection in this process: two frames of a high bit rate.
const MAX_QUEUE: usize = 64 << 10;
/// Bytes that the kernel may hold for it, and of these, not yet sent: what lies there is late already.
const SEND_BUFFER: usize = 128 << 10;
const UNSENT: u32 = 16 << 10;
/// A peer who takes nothing for so long is gone.
const STALL: Duration = Duration::from_secs(10);
/// Room made for each read.
const READ: usize = 4096;

/// A connection whose first datagram has told which shard it is for.
pub(super) struct Arrived {
    stream: std::net::TcpStream,
    pub source: SocketAddr,
    /// What has been read: at least one datagram.
    received: BytesMut,
    _permit: Permit,
}

/// Waits for connections until the server drains.
pub(super) async fn listen(
    listener: TcpListener,
    admission: Admission,
    shards: Vec<Handle>,
    patience: Duration,
    metrics: Metrics,
    life: Life,
) {
    accept(listener, admission, life, |arrival| match arrival {
        Arrival::Admitted(stream, source, permit) => {
            let (shards, metrics) = (shards.clone(), metrics.clone());
            tokio::spawn(async move {
                let introduced = timeout(patience, introduce(stream, source, permit, &shards)).await;
                if !matches!(introduced, Ok(Ok(()))) {
                    metrics.discarded("TCP connection");
                }
            });
        }
        Arrival::TurnedAway(..) => metrics.discarded("TCP connection"),
    })
    .await;
}

/// Reads a connection's first datagram, and gives the connection to the shard that it names.
async fn introduce(
    mut stream: TcpStream,
    source: SocketAddr,
    permit: Permit,
    shards: &[Handle],
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    bound_send(&stream, SEND_BUFFER, UNSENT)?;
    let mut received = BytesMut::with_capacity(READ);
    loop {
        if let Some(datagram) = framing::first(&received).map_err(io::Error::other)? {
            let shard = Check::parse(datagram).and_then(|check| shard_of(check.ufrag));
            let shard = shard.and_then(|shard| shards.get(shard)).ok_or(io::ErrorKind::NotFound)?;
            let source = SocketAddr::new(source.ip().to_canonical(), source.port());
            let arrived = Arrived { stream: stream.into_std()?, source, received, _permit: permit };
            return shard.streams.try_send(arrived).map_err(|_| io::ErrorKind::OutOfMemory.into());
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

impl Arrived {
    /// On the shard's thread: the connection's two ends, and what it has already brought.
    pub fn open(self) -> io::Result<(Incoming, Rc<Queue>)> {
        let (reader, writer) = TcpStream::from_std(self.stream)?.into_split();
        let queue = Rc::new(Queue::default());
        let incoming = Incoming { reader, received: self.received, _permit: self._permit };
        tokio::task::spawn_local(write(writer, Rc::clone(&queue)));
        Ok((incoming, queue))
    }
}

/// What a connection brings.
pub(super) struct Incoming {
    reader: OwnedReadHalf,
    received: BytesMut,
    _permit: Permit,
}

impl Incoming {
    /// The next datagram; `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match framing::take(&mut self.received) {
                Ok(Some(datagram)) => return Some(datagram),
                Ok(None) => {}
                Err(_) => return None,
            }
            self.received.reserve(READ);
            match self.reader.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }
}

/// What waits to be written to a connection.
#[derive(Default)]
pub(super) struct Queue {
    bytes: RefCell<Vec<u8>>,
    closed: Cell<bool>,
    /// For the one who writes: there is something to write, or nothing more will come.
    filled: Notify,
    /// For the one who reads: it is over. Of two who wait at one bell, only one would be woken.
    ended: Notify,
}

impl Queue {
    /// How many bytes there is room for.
    pub fn room(&self) -> usize {
        MAX_QUEUE.saturating_sub(self.bytes.borrow().len())
    }

    /// Adds a datagram, what `write` appends; `false` when there is no room.
    pub fn push(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        if self.room() == 0 || self.closed.get() {
            return false;
        }
        framing::put(&mut self.bytes.borrow_mut(), write);
        self.filled.notify_one();
        true
    }

    /// Ends the connection when what waits has been written.
    pub fn close(&self) {
        self.closed.set(true);
        self.filled.notify_one();
        self.ended.notify_one();
    }

    /// Until the connection is to end.
    pub async fn closed(&self) {
        while !self.closed.get() {
            self.ended.notified().await;
        }
    }
}

/// Writes what waits, until the queue is closed or the connection fails.
async fn write(mut writer: OwnedWriteHalf, queue: Rc<Queue>) {
    loop {
        let bytes = queue.bytes.take();
        if bytes.is_empty() {
            if queue.closed.get() {
                return;
            }
            queue.filled.notified().await;
        } else if !matches!(timeout(STALL, writer.write_all(&bytes)).await, Ok(Ok(()))) {
            return queue.close();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;

    #[tokio::test]
    async fn what_is_pushed_is_written_at_once_though_somebody_waits_for_the_end_too() {
        LocalSet::new()
            .run_until(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let mut far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
                let (_reader, writer) = listener.accept().await.unwrap().0.into_split();
                let queue = Rc::new(Queue::default());
                let end = spawn_local({
                    let queue = Rc::clone(&queue);
                    async move { queue.closed().await }
                });
                yield_now().await;
                spawn_local(write(writer, Rc::clone(&queue)));
                yield_now().await;

                let mut received = [0; 7];
                for _ in 0..3 {
                    assert!(queue.push(|out| out.extend_from_slice(b"media")));
                    let read = timeout(Duration::from_secs(10), far.read_exact(&mut received));
                    read.await.expect("it is written").unwrap();
                    assert_eq!(&received, b"\0\x05media");
                }
                assert!(queue.push(|out| out.extend_from_slice(b"adieu")));
                queue.close();
                assert!(!queue.push(|out| out.extend_from_slice(b"never")));
                timeout(Duration::from_secs(10), end).await.expect("it ends").unwrap();
                far.read_exact(&mut received).await.unwrap();
                assert_eq!(&received, b"\0\x05adieu");
            })
            .await;
    }
}
