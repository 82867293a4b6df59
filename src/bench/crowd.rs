//! Viewers of whom only is known that they get their bytes.
//!
//! A client that parses what it gets costs more than the server that sends it. So most viewers, once they are served,
//! throw away what the kernel has received for them, without copying it. They do so as soon as it is there: a viewer
//! that lets it lie acknowledges late, which makes a server with Nagle's algorithm look cheaper than it is, and one
//! without dearer.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::stage::{STALL, Stage, WANTED};
use crate::protocol::rtmp::wire::message::Control;

/// What one viewer can have waiting; the memory is never touched.
const MOST: usize = 8 << 20;
/// An RTMP viewer acknowledges what he has received every so many bytes: less than any server's window.
const ACKNOWLEDGE: u64 = 1 << 20;

/// Many viewers. Clones are the same crowd.
#[derive(Clone, Debug, Default)]
pub struct Crowd(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    members: Vec<Member>,
    sink: Sink,
}

#[derive(Debug)]
struct Member {
    /// Bytes on the wire.
    bytes: u64,
    /// Of these, before the interval that counts.
    before: u64,
    /// Told to an RTMP server; nothing is told to others.
    acknowledged: Option<u64>,
    last_progress: Duration,
    longest_gap: Duration,
    gone: bool,
}

/// How the crowd fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Viewers who got their bytes without a stall.
    pub ok: usize,
    /// Viewers who lost the connection.
    pub gone: usize,
    /// Viewers with a stall.
    pub stalled: usize,
    /// Viewers without either who got too few bytes.
    pub short: usize,
}

impl Crowd {
    /// Takes in a viewer who is served, and throws away what comes for him until the connection ends. `received` is
    /// what he has read so far.
    ///
    /// # Errors
    /// When the connection cannot be watched.
    pub async fn join(
        &self,
        stream: TcpStream,
        received: u64,
        acknowledges: bool,
        stage: &Stage,
    ) -> io::Result<()> {
        let number = self.0.borrow().members.len();
        self.0.borrow_mut().members.push(Member {
            bytes: received,
            before: received,
            acknowledged: acknowledges.then_some(received),
            last_progress: stage.now(),
            longest_gap: Duration::ZERO,
            gone: false,
        });
        loop {
            stream.readable().await?;
            let State { members, sink } = &mut *self.0.borrow_mut();
            let Some(member) = members.get_mut(number) else { return Ok(()) };
            let mut taken = Ok(None);
            let clear = stream.try_io(Interest::READABLE, || -> io::Result<()> {
                // TCP discards what it would copy (tcp(7), MSG_TRUNC).
                let flags = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
                taken = SockRef::from(&stream).recv_with_flags(sink.room(), flags).map(Some);
                // Everything was taken at once: the runtime need not look again until the kernel says so.
                Err(io::ErrorKind::WouldBlock.into())
            });
            debug_assert!(clear.is_err(), "the closure has no other result");
            match taken {
                Ok(Some(length)) if length > 0 => member.received(length as u64, &stream, stage),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(Some(_)) | Err(_) => {
                    member.gone = true;
                    return Ok(());
                }
            }
        }
    }

    /// The interval that counts begins: what has come so far does not count.
    pub fn begin(&self, now: Duration) {
        for member in &mut self.0.borrow_mut().members {
            member.before = member.bytes;
            member.last_progress = now;
        }
    }

    /// The interval that counts ends.
    pub fn end(&self, now: Duration, stage: &Stage) {
        self.0.borrow_mut().members.iter_mut().for_each(|member| member.wait(now, stage));
    }

    /// Bytes on the wire, of all viewers.
    pub fn bytes(&self) -> u64 {
        self.0.borrow().members.iter().map(|member| member.bytes).sum()
    }

    /// How all fared, when `published` bytes were sent in the interval that counts.
    pub fn tally(&self, published: u64) -> Tally {
        let wanted = WANTED * published as f64;
        let mut tally = Tally::default();
        for member in &self.0.borrow().members {
            let count = match member {
                Member { gone: true, .. } => &mut tally.gone,
                Member { longest_gap, .. } if *longest_gap > STALL => &mut tally.stalled,
                Member { bytes, before, .. } if ((bytes - before) as f64) < wanted => &mut tally.short,
                _ => &mut tally.ok,
            };
            *count += 1;
        }
        tally
    }
}

impl Member {
    fn received(&mut self, length: u64, stream: &TcpStream, stage: &Stage) {
        let now = stage.now();
        self.wait(now, stage);
        self.last_progress = now;
        self.bytes += length;
        self.acknowledge(stream);
    }

    /// Notes how long nothing has come.
    fn wait(&mut self, now: Duration, stage: &Stage) {
        if stage.is_measuring() {
            self.longest_gap = self.longest_gap.max(now.saturating_sub(self.last_progress));
        }
    }

    fn acknowledge(&mut self, stream: &TcpStream) {
        let Some(acknowledged) = self.acknowledged else { return };
        if self.bytes - acknowledged < ACKNOWLEDGE {
            return;
        }
        let mut message = BytesMut::new();
        // The count is modulo 2³² by definition (RTMP §5.4.3).
        Control::Acknowledgement(self.bytes as u32).write(&mut message);
        // One that does not fit is made good by the next.
        drop(stream.try_write(&message));
        self.acknowledged = Some(self.bytes);
    }
}

/// Room that the kernel is offered and does not use.
#[derive(Debug)]
struct Sink(Vec<u8>);

impl Default for Sink {
    fn default() -> Self {
        Self(Vec::with_capacity(MOST))
    }
}

impl Sink {
    fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        self.0.spare_capacity_mut()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;
    use tokio::task::{LocalSet, spawn_local, yield_now};

    use super::*;

    async fn member(crowd: &Crowd, stage: &Rc<Stage>) -> TcpStream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (crowd, stage) = (crowd.clone(), Rc::clone(stage));
        spawn_local(async move { crowd.join(near, 0, false, &stage).await.unwrap() });
        listener.accept().await.unwrap().0
    }

    async fn until_received(crowd: &Crowd, bytes: u64) {
        while crowd.bytes() < bytes {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn viewers_are_ok_who_got_their_bytes() {
        let stage = Rc::new(Stage::default());
        let crowd = Crowd::default();
        let watched = async {
            let mut full = member(&crowd, &stage).await;
            let mut short = member(&crowd, &stage).await;
            let gone = member(&crowd, &stage).await;
            full.write_all(&[0; 500]).await.unwrap();
            until_received(&crowd, 500).await;
            stage.begin();
            crowd.begin(stage.now());

            full.write_all(&[0; 100_000]).await.unwrap();
            short.write_all(&[0; 98_000]).await.unwrap();
            drop(gone);
            until_received(&crowd, 198_500).await;
            while crowd.tally(100_000).gone == 0 {
                yield_now().await;
            }
            assert_eq!(crowd.tally(100_000), Tally { ok: 1, gone: 1, stalled: 0, short: 1 });
            crowd.end(stage.now() + STALL * 2, &stage);
            assert_eq!(crowd.tally(100_000), Tally { ok: 0, gone: 1, stalled: 2, short: 0 });
        };
        LocalSet::new().run_until(watched).await;
    }
}
