//! The machine's limit: what writing the stream to many TCP connections costs when nothing else is done.

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::crowd::Crowd;
use super::machine::{self, CpuTime};
use super::source::FRAME_RATE;
use super::stage::Stage;
use crate::clock;

/// One picture of 1.5 Mbit/s and the sound that goes with it, in bytes.
const FRAME: usize = 6_900;
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
    let stop = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let stop = Arc::clone(&stop);
        move || write(&far, core, &stop)
    });
    sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    while !writer.is_finished() {
        sleep(Duration::from_millis(10)).await;
    }
    drop(readers);
    let (used, bytes) = writer.join().map_err(|_| io::Error::other("the writing thread has failed"))??;
    Ok(used.total().as_secs_f64() * 1e12 / (bytes as f64 * 8.0))
}

fn write(connections: &[TcpStream], core: usize, stop: &AtomicBool) -> io::Result<(CpuTime, u64)> {
    machine::pin(core)?;
    let frame = [0x5a; FRAME];
    let interval = Duration::from_nanos(1_000_000_000 / FRAME_RATE);
    let mut bytes = 0;
    let before = CpuTime::of_this_thread()?;
    let mut next = clock::monotonic();
    while !stop.load(Ordering::Relaxed) {
        for mut connection in connections {
            // One that is full is left out: the time it took counts, as it would in a server.
            bytes += connection.write(&frame).unwrap_or(0) as u64;
        }
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
        let cost = LocalSet::new().run_until(measure(500, core, Duration::from_secs(1))).await.unwrap();
        assert!(cost > 0.0 && cost.is_finite(), "{cost}");
    }
}
