//! Sending: datagrams gathered, and handed to the kernel in as few calls as there can be.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _};
use std::ptr;

use socket2::{Domain, SockAddr, SockRef};

use super::Control;

/// The most segments of one buffer that every kernel with `UDP_SEGMENT` takes.
const MAX_SEGMENTS: usize = 64;
/// The longest buffer that is cut up: a UDP datagram's limit, less the headers.
const MAX_RUN: usize = 65_000;
/// Messages in one system call.
const BATCH: usize = 64;
/// How much is gathered before it should be sent.
const FULL: usize = 1 << 20;

/// Datagrams that are to be sent together.
pub struct Outbox {
    pub(super) bytes: Vec<u8>,
    pub(super) runs: Vec<Run>,
    /// The kernel cuts buffers up.
    pub(super) segments: bool,
    /// The socket speaks IPv6, and IPv4 by mapped addresses; learned at the first flush.
    is_ipv6: Option<bool>,
}

/// Consecutive datagrams to one address, all of one length but perhaps the last.
pub(super) struct Run {
    to: SocketAddr,
    start: usize,
    end: usize,
    segment: usize,
    pub(super) count: usize,
}

/// What became of the datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Handed to the kernel.
    pub datagrams: usize,
    /// Not sent: the socket's buffer was full, or the address cannot be reached.
    pub dropped: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// An empty outbox.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), runs: Vec::new(), segments: true, is_ipv6: None }
    }

    /// Adds a datagram: what `write` appends.
    pub fn push(&mut self, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        if length == 0 {
            return;
        }
        if let Some(run) = self.runs.last_mut()
            && run.takes(to, length)
        {
            run.end += length;
            run.count += 1;
            return;
        }
        self.runs.push(Run { to, start, end: start + length, segment: length, count: 1 });
    }

    /// Whether enough has been gathered to be sent before more is added.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Sends everything, always by the same socket. What the kernel does not take at once is dropped: media that waits is media too late.
    pub fn flush(&mut self, socket: &impl AsFd) -> Flushed {
        let mut flushed = Flushed::default();
        let is_ipv6 = *self.is_ipv6.get_or_insert_with(|| {
            SockRef::from(socket).local_addr().is_ok_and(|local| local.domain() == Domain::IPV6)
        });
        let mut next = 0;
        while next < self.runs.len() {
            let batch = &self.runs[next..self.runs.len().min(next + BATCH)];
            match send(socket, &mut self.bytes, batch, is_ipv6) {
                Ok(0) => break,
                Ok(sent) => {
                    flushed.datagrams += batch[..sent].iter().map(|run| run.count).sum::<usize>();
                    next += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if self.segments && batch[0].count > 1 && is_unsupported(&error) => {
                    tracing::info!(%error, "this kernel does not cut up datagrams; each is sent alone");
                    self.segments = false;
                    self.split_runs(next);
                }
                // Such an address cannot be reached, and it alone.
                Err(_) => {
                    flushed.dropped += batch[0].count;
                    next += 1;
                }
            }
        }
        flushed.dropped += self.runs[next..].iter().map(|run| run.count).sum::<usize>();
        self.bytes.clear();
        self.runs.clear();
        flushed
    }

    /// Makes each datagram from `next` on a run of its own.
    pub(super) fn split_runs(&mut self, next: usize) {
        let rest = self.runs.split_off(next);
        for run in rest {
            for start in (run.start..run.end).step_by(run.segment) {
                let end = run.end.min(start + run.segment);
                self.runs.push(Run { to: run.to, start, end, segment: end - start, count: 1 });
            }
        }
    }
}

impl Run {
    /// Whether a datagram can be added: every one but the last has the same length.
    fn takes(&self, to: SocketAddr, length: usize) -> bool {
        self.to == to
            && length <= self.segment
            && (self.end - self.start) == self.segment * self.count
            && self.count < MAX_SEGMENTS
            && self.end - self.start + length <= MAX_RUN
    }
}

/// Sends up to [`BATCH`] runs and tells how many were taken.
fn send(socket: &impl AsFd, bytes: &mut [u8], runs: &[Run], is_ipv6: bool) -> io::Result<usize> {
    let addresses: Vec<SockAddr> = runs.iter().map(|run| on_socket(run.to, is_ipv6).into()).collect();
    let base = bytes.as_mut_ptr();
    let mut buffers: [libc::iovec; BATCH] =
        [const { libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 } }; BATCH];
    let mut controls: [Control; BATCH] = [const { Control { bytes: [0; 32] } }; BATCH];
    // SAFETY: all zeros are valid values of the structure.
    let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
    for (index, run) in runs.iter().enumerate().take(BATCH) {
        // SAFETY: a run lies within `bytes`.
        buffers[index].iov_base = unsafe { base.add(run.start) }.cast();
        buffers[index].iov_len = run.end - run.start;
        let header = &mut messages[index].msg_hdr;
        header.msg_name = addresses[index].as_ptr().cast_mut().cast();
        header.msg_namelen = addresses[index].len();
        header.msg_iov = &mut buffers[index];
        header.msg_iovlen = 1;
        if run.count > 1 {
            header.msg_control = (&raw mut controls[index]).cast();
            // SAFETY: computes a size.
            header.msg_controllen = unsafe { libc::CMSG_SPACE(mem::size_of::<u16>() as u32) } as _;
            // SAFETY: the control buffer is large enough for one message and aligned for its header.
            unsafe {
                let control = libc::CMSG_FIRSTHDR(header);
                (*control).cmsg_level = libc::SOL_UDP;
                (*control).cmsg_type = libc::UDP_SEGMENT;
                (*control).cmsg_len = libc::CMSG_LEN(mem::size_of::<u16>() as u32) as _;
                ptr::write_unaligned(libc::CMSG_DATA(control).cast::<u16>(), run.segment as u16);
            }
        }
    }
    let count = runs.len().min(BATCH) as u32;
    // SAFETY: `count` messages are filled in, and everything they point to outlives the call.
    let sent = unsafe { libc::sendmmsg(socket.as_fd().as_raw_fd(), messages.as_mut_ptr(), count, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
}

/// The address as this socket wants it.
fn on_socket(address: SocketAddr, is_ipv6: bool) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if is_ipv6 => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        other => other,
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EIO | libc::ENOPROTOOPT | libc::EOPNOTSUPP))
}
