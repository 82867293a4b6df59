//! UDP for media: one port for many threads, and datagrams that cross into the kernel in batches.
//!
//! A system call a packet is the largest cost of sending media. Datagrams of one size to one address go in as a single
//! buffer that the kernel cuts up (`UDP_SEGMENT`), and several such buffers go in one `sendmmsg`.

use std::io;
use std::mem;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _};
use std::ptr;

use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, SockRef, Socket, Type};

/// What the kernel may hold for a socket: some tens of milliseconds of a thousand viewers.
const SOCKET_BUFFER: usize = 8 << 20;
/// The most segments of one buffer that every kernel with `UDP_SEGMENT` takes.
const MAX_SEGMENTS: usize = 64;
/// The longest buffer that is cut up: a UDP datagram's limit, less the headers.
const MAX_RUN: usize = 65_000;
/// Messages in one system call.
const BATCH: usize = 64;
/// How much is gathered before it should be sent.
const FULL: usize = 1 << 20;
/// The longest datagram that is received: longer ones are nobody's media.
const MAX_DATAGRAM: usize = 2048;

/// Opens one port for `shards` sockets; the kernel spreads the peers over them. Port 0 lets the first socket choose.
///
/// # Errors
/// When the address cannot be bound, or another program has it.
pub fn bind_group(address: SocketAddr, shards: usize) -> io::Result<Vec<UdpSocket>> {
    // Sockets that share a port share it with those of another server as well: that one would take half of the peers.
    drop(UdpSocket::bind(address)?);
    let mut address = address;
    let mut sockets = Vec::with_capacity(shards);
    for _ in 0..shards {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        // The system's limit may be lower: then that much.
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Datagrams that are to be sent together.
pub struct Outbox {
    bytes: Vec<u8>,
    runs: Vec<Run>,
    /// The kernel cuts buffers up.
    segments: bool,
    /// The socket speaks IPv6, and IPv4 by mapped addresses; learned at the first flush.
    is_ipv6: Option<bool>,
}

/// Consecutive datagrams to one address, all of one length but perhaps the last.
struct Run {
    to: SocketAddr,
    start: usize,
    end: usize,
    segment: usize,
    count: usize,
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
    fn split_runs(&mut self, next: usize) {
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

/// Room for one control message with a 16-bit number.
#[repr(C)]
union Control {
    _align: libc::cmsghdr,
    // CMSG_SPACE(sizeof(u16)) is 24 on the platforms that there are.
    bytes: [u8; 32],
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

/// Room for the datagrams of one system call.
pub struct Inbox {
    bytes: Vec<u8>,
    received: Vec<Received>,
}

struct Received {
    from: SocketAddr,
    slot: usize,
    length: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Self {
        Self { bytes: vec![0; BATCH * MAX_DATAGRAM], received: Vec::with_capacity(BATCH) }
    }

    /// Takes what has arrived, and tells how many datagrams that are. Longer ones than media has are left out.
    ///
    /// # Errors
    /// Those of the socket; [`io::ErrorKind::WouldBlock`] when nothing has arrived.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.received.clear();
        let mut addresses: [SockAddrStorage; BATCH] = std::array::from_fn(|_| SockAddrStorage::zeroed());
        let mut buffers: [libc::iovec; BATCH] =
            [const { libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 } }; BATCH];
        // SAFETY: all zeros are valid values of the structure.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let base = self.bytes.as_mut_ptr();
        for index in 0..BATCH {
            // SAFETY: the buffer has BATCH places of MAX_DATAGRAM bytes.
            buffers[index].iov_base = unsafe { base.add(index * MAX_DATAGRAM) }.cast();
            buffers[index].iov_len = MAX_DATAGRAM;
            let header = &mut messages[index].msg_hdr;
            header.msg_name = (&raw mut addresses[index]).cast();
            header.msg_namelen = addresses[index].size_of();
            header.msg_iov = &mut buffers[index];
            header.msg_iovlen = 1;
        }
        // SAFETY: BATCH messages are filled in, and everything they point to outlives the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as u32,
                0,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let filled = messages.iter().zip(addresses).enumerate().take(count as usize);
        for (slot, (message, address)) in filled {
            // SAFETY: the kernel wrote an address of this length.
            let address = unsafe { SockAddr::new(address, message.msg_hdr.msg_namelen) };
            let truncated = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            if let (Some(from), false) = (address.as_socket(), truncated) {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                self.received.push(Received { from, slot, length: message.msg_len as usize });
            }
        }
        Ok(count as usize)
    }

    /// The datagrams of the last call, with their senders. IPv4 senders are IPv4 addresses on IPv6 sockets too.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.received.iter().map(|received| {
            let start = received.slot * MAX_DATAGRAM;
            (received.from, &self.bytes[start..start + received.length])
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn receiver() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn sender(address: &str) -> UdpSocket {
        bind_group(address.parse().unwrap(), 1).unwrap().remove(0)
    }

    /// The lengths of the datagrams that come, each of which begins with its number.
    fn lengths(socket: &UdpSocket, count: usize) -> Vec<usize> {
        let mut buffer = [0; 4096];
        (0..count)
            .map(|number| {
                let (length, _) = socket.recv_from(&mut buffer).unwrap();
                assert_eq!(buffer[0], number as u8, "in order");
                length
            })
            .collect()
    }

    const SIZES: [usize; 9] = [1200, 1200, 1200, 700, 700, 1200, 40, 1200, 1200];

    fn fill(outbox: &mut Outbox, to: &[SocketAddr]) {
        for (number, size) in SIZES.into_iter().enumerate() {
            for to in to {
                outbox.push(*to, |out| {
                    out.push(number as u8);
                    out.resize(out.len() + size - 1, 7);
                });
            }
        }
    }

    #[test]
    fn datagrams_arrive_whole_and_in_order_however_they_are_sent() {
        for segments in [true, false] {
            for bound in ["127.0.0.1:0", "[::]:0"] {
                let ((one, to_one), (two, to_two)) = (receiver(), receiver());
                let mut outbox = Outbox { segments, ..Outbox::new() };
                fill(&mut outbox, &[to_one]);
                fill(&mut outbox, &[to_two]);
                if !segments {
                    outbox.split_runs(0);
                }
                let flushed = outbox.flush(&sender(bound));
                assert_eq!(flushed, Flushed { datagrams: 2 * SIZES.len(), dropped: 0 }, "{bound}");
                assert_eq!(lengths(&one, SIZES.len()), SIZES);
                assert_eq!(lengths(&two, SIZES.len()), SIZES);
                assert!(outbox.runs.is_empty() && outbox.bytes.is_empty());
            }
        }
    }

    #[test]
    fn equal_sizes_to_one_address_are_one_buffer() {
        let (_, to) = receiver();
        let mut outbox = Outbox::new();
        fill(&mut outbox, &[to]);
        let counts: Vec<usize> = outbox.runs.iter().map(|run| run.count).collect();
        assert_eq!(counts, [4, 1, 2, 2], "a shorter one ends a run, a longer one begins another");
        outbox.push(to, |_| {});
        assert_eq!(outbox.runs.len(), 4, "nothing is no datagram");
    }

    #[test]
    fn an_address_that_cannot_be_reached_keeps_nobody_else_from_getting_theirs() {
        let (socket, to) = receiver();
        let mut outbox = Outbox::new();
        outbox.push("[2001:db8::1]:9".parse().unwrap(), |out| out.push(9));
        fill(&mut outbox, &[to]);
        let flushed = outbox.flush(&sender("127.0.0.1:0"));
        assert_eq!(flushed, Flushed { datagrams: SIZES.len(), dropped: 1 });
        assert_eq!(lengths(&socket, SIZES.len()), SIZES);
    }

    #[test]
    fn a_group_shares_its_port_and_an_inbox_takes_what_comes() {
        let group = bind_group("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        let addresses: Vec<SocketAddr> = group.iter().map(|socket| socket.local_addr().unwrap()).collect();
        assert!(addresses.windows(2).all(|two| two[0] == two[1]));
        let taken = bind_group(addresses[0], 1).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse, "a second server is not let in");
        let sockets: Vec<UdpSocket> = (0..30).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for socket in &sockets {
            socket.send_to(b"media", addresses[0]).unwrap();
            socket.send_to(&[0; MAX_DATAGRAM + 1], addresses[0]).unwrap();
        }
        let mut inbox = Inbox::new();
        let mut senders = Vec::new();
        for socket in &group {
            while inbox.receive(socket).is_ok() {
                senders.extend(inbox.datagrams().map(|(from, datagram)| {
                    assert_eq!(datagram, b"media", "one that is too long is left out");
                    from
                }));
            }
        }
        senders.sort();
        let mut expected: Vec<SocketAddr> =
            sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        expected.sort();
        assert_eq!(senders, expected);
    }
}
