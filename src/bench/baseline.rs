//! The machine's limit: what writing the stream to many sockets costs when nothing else is done.

use std::cell::RefCell;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::crowd::Crowd;
use super::machine::{self, CpuTime};
use super::source::FRAME_RATE;
use super::stage::Stage;
use crate::clock;
use crate::net::udp::{Inbox, Outbox, bind_group, receive_trains};

/// One picture of 1.5 Mbit/s and the sound that goes with it, in bytes.
const FRAME: usize = 6_900;
/// The picture in datagrams: full ones, and what is left.
const DATAGRAM: usize = 1_200;
const FULL_DATAGRAMS: usize = 5;
const LAST_DATAGRAM: usize = 360;
/// More connections than this cost the same each.
const MOST: usize = 1_000;

/// For `time`, writes one frame to each of up to `connections` connections 30 times a second, in one thread on the
/// server's processor, and gives the processor time in µs per Mbit.
///
/// # Errors
/// When connections cannot be made.
pub async fn measure(connections: usize, core: usize, time: Duration) -> io::Result<f64> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let stage = Rc::new(Stage::default());
    let crowd = Crowd::default();
    let mut far = Vec::new();
    let mut readers = JoinSet::new();
    for _ in 0..connections.min(MOST) {
        let near = tokio::net::TcpStream::connect(address).await?;
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        far.push(stream);
        let (crowd, stage) = (crowd.clone(), Rc::clone(&stage));
        readers.spawn_local(async move { crowd.join(near, 0, false, &stage).await });
    }
    let cost = in_a_thread(time, move |stop| write(&far, core, stop)).await;
    drop(readers);
    cost
}

/// Lets a thread write for a time, and gives its processor time in µs per Mbit.
async fn in_a_thread(
    time: Duration,
    write: impl FnOnce(&AtomicBool) -> io::Result<(CpuTime, u64)> + Send + 'static,
) -> io::Result<f64> {
    let stop = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || write(&stop)
    });
    sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    while !writer.is_finished() {
        sleep(Duration::from_millis(10)).await;
    }
    let (used, bytes) = writer.join().map_err(|_| io::Error::other("the writing thread has failed"))??;
    Ok(used.total().as_secs_f64() * 1e12 / (bytes as f64 * 8.0))
}

/// For `time`, sends what [`measure`] writes as datagrams, a train for the picture and one for the sound, to each of up
/// to `sockets` sockets, and gives the processor time in µs per Mbit.
///
/// # Errors
/// When sockets cannot be made.
pub async fn datagrams(sockets: usize, core: usize, time: Duration) -> io::Result<f64> {
    let mut addresses = Vec::new();
    let mut readers = JoinSet::new();
    let inbox = Rc::new(RefCell::new(Inbox::new()));
    for _ in 0..sockets.min(MOST) {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        receive_trains(&socket);
        addresses.push(socket.local_addr()?);
        let inbox = Rc::clone(&inbox);
        readers.spawn_local(async move {
            loop {
                socket.readable().await?;
                let taken = socket.try_io(Interest::READABLE, || inbox.borrow_mut().receive(&socket));
                if let Err(error) = taken
                    && error.kind() != io::ErrorKind::WouldBlock
                {
                    return Err::<(), io::Error>(error);
                }
            }
        });
    }
    let cost = in_a_thread(time, move |stop| send(&addresses, core, stop)).await;
    drop(readers);
    cost
}

fn send(addresses: &[SocketAddr], core: usize, stop: &AtomicBool) -> io::Result<(CpuTime, u64)> {
    machine::pin(core)?;
    let socket = bind_group((Ipv4Addr::LOCALHOST, 0).into(), 1)?.remove(0);
    let mut outbox = Outbox::new();
    every_frame(stop, || {
        let mut bytes = 0;
        for address in addresses {
            let sound = FRAME - FULL_DATAGRAMS * DATAGRAM - LAST_DATAGRAM;
            for length in [DATAGRAM; FULL_DATAGRAMS].into_iter().chain([LAST_DATAGRAM, sound / 2, sound / 2])
            {
                outbox.push(*address, |out| out.resize(out.len() + length, 0x5a));
                bytes += length as u64;
            }
            if outbox.is_full() {
                outbox.flush(&socket);
            }
        }
        outbox.flush(&socket);
        bytes
    })
}

fn write(connections: &[TcpStream], core: usize, stop: &AtomicBool) -> io::Result<(CpuTime, u64)> {
    machine::pin(core)?;
    let frame = [0x5a; FRAME];
    every_frame(stop, || {
        // One that is full is left out: the time it took counts, as it would in a server.
        connections.iter().map(|mut connection| connection.write(&frame).unwrap_or(0) as u64).sum()
    })
}

/// Calls `write`, which gives the bytes that it has written, 30 times a second.
fn every_frame(stop: &AtomicBool, mut write: impl FnMut() -> u64) -> io::Result<(CpuTime, u64)> {
    let interval = Duration::from_nanos(1_000_000_000 / FRAME_RATE);
    let mut bytes = 0;
    let before = CpuTime::of_this_thread()?;
    let mut next = clock::monotonic();
    while !stop.load(Ordering::Relaxed) {
        bytes += write();
        next += interval;
        thread::sleep(next.saturating_duration_since(clock::monotonic()));
    }
    Ok((CpuTime::of_this_thread()?.since(before), bytes))
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn writing_costs_something() {
        let core = machine::Cores::choose().unwrap().server;
        for cost in [
            LocalSet::new().run_until(measure(500, core, Duration::from_secs(1))).await.unwrap(),
            LocalSet::new().run_until(datagrams(500, core, Duration::from_secs(1))).await.unwrap(),
        ] {
            assert!(cost > 0.0 && cost.is_finite(), "{cost}");
        }
    }
}
