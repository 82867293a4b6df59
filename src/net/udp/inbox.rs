//! Receiving: what has arrived, many datagrams a call.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use super::Control;

/// The longest datagram that is received: longer ones are nobody's media.
pub(super) const MAX_DATAGRAM: usize = 2048;
/// Messages in one system call that receives. Each may be a train of datagrams.
const TRAINS: usize = 32;
/// The longest train.
const MAX_TRAIN: usize = 65_536;

/// Lets the kernel hand over consecutive datagrams of one peer as one buffer (`UDP_GRO`), for [`Inbox`] to take apart. A
/// kernel that does not hands them over one by one.
pub fn receive_trains(socket: &impl AsFd) {
    let on: libc::c_int = 1;
    // SAFETY: the option is an integer, and the kernel reads it during the call.
    let set = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            mem::size_of_val(&on) as libc::socklen_t,
        )
    };
    if set < 0 {
        tracing::debug!(error = %io::Error::last_os_error(), "datagrams are received one by one");
    }
}

/// Room for the datagrams of one system call.
pub struct Inbox {
    bytes: Vec<u8>,
    trains: Vec<Train>,
}

/// Datagrams from one peer, all of one length but perhaps the last.
struct Train {
    from: SocketAddr,
    slot: usize,
    length: usize,
    segment: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Self {
        Self { bytes: vec![0; TRAINS * MAX_TRAIN], trains: Vec::with_capacity(TRAINS) }
    }

    /// Takes what has arrived; the datagrams are in [`datagrams`](Self::datagrams) then.
    ///
    /// # Errors
    /// Those of the socket; [`io::ErrorKind::WouldBlock`] when nothing has arrived.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<()> {
        self.trains.clear();
        let mut addresses: [SockAddrStorage; TRAINS] = std::array::from_fn(|_| SockAddrStorage::zeroed());
        let mut buffers: [libc::iovec; TRAINS] =
            [const { libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 } }; TRAINS];
        let mut controls: [Control; TRAINS] = [const { Control { bytes: [0; 32] } }; TRAINS];
        // SAFETY: all zeros are valid values of the structure.
        let mut messages: [libc::mmsghdr; TRAINS] = unsafe { mem::zeroed() };
        let base = self.bytes.as_mut_ptr();
        for index in 0..TRAINS {
            // SAFETY: the buffer has TRAINS places of MAX_TRAIN bytes.
            buffers[index].iov_base = unsafe { base.add(index * MAX_TRAIN) }.cast();
            buffers[index].iov_len = MAX_TRAIN;
            let header = &mut messages[index].msg_hdr;
            header.msg_name = (&raw mut addresses[index]).cast();
            header.msg_namelen = addresses[index].size_of();
            header.msg_iov = &mut buffers[index];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut controls[index]).cast();
            header.msg_controllen = mem::size_of::<Control>() as _;
        }
        // SAFETY: TRAINS messages are filled in, and everything they point to outlives the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                messages.as_mut_ptr(),
                TRAINS as u32,
                0,
                ptr::null_mut(),
            )
        };
        if count < 0 {
            return Err(io::Error::last_os_error());
        }
        let filled = messages.iter().zip(addresses).enumerate().take(count as usize);
        for (slot, (message, address)) in filled {
            let length = message.msg_len as usize;
            let segment = segment(&message.msg_hdr).unwrap_or(length);
            // SAFETY: the kernel wrote an address of this length.
            let address = unsafe { SockAddr::new(address, message.msg_hdr.msg_namelen) };
            if let (Some(from), true) = (address.as_socket(), segment > 0) {
                let from = SocketAddr::new(from.ip().to_canonical(), from.port());
                self.trains.push(Train { from, slot, length, segment });
            }
        }
        Ok(())
    }

    /// The datagrams of the last call, with their senders. IPv4 senders are IPv4 addresses on IPv6 sockets too. Longer
    /// datagrams than media has are left out.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.trains
            .iter()
            .flat_map(|train| {
                let start = train.slot * MAX_TRAIN;
                let bytes = &self.bytes[start..start + train.length];
                bytes.chunks(train.segment).map(|datagram| (train.from, datagram))
            })
            .filter(|(_, datagram)| datagram.len() <= MAX_DATAGRAM)
    }
}

/// The length of the datagrams of a train, if the kernel says that it is one.
fn segment(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has filled in the control messages and their length, and `header` points to them.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header).as_ref()?;
        let is_train = control.cmsg_level == libc::SOL_UDP && control.cmsg_type == libc::UDP_GRO;
        is_train.then(|| ptr::read_unaligned(libc::CMSG_DATA(control).cast::<libc::c_int>()) as usize)
    }
}
