//! UDP for media: one port for many threads, and datagrams that cross into the kernel in batches.
//!
//! A system call a packet is the largest cost of sending media. Datagrams of one size to one address go in as a single
//! buffer that the kernel cuts up (`UDP_SEGMENT`), and several such buffers go in one `sendmmsg`; received ones come in
//! the same way (`UDP_GRO`, `recvmmsg`).

mod inbox;
mod outbox;

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

pub use inbox::{Inbox, receive_trains};
pub use outbox::{Flushed, Outbox};

/// What the kernel may hold for a socket: some tens of milliseconds of a thousand viewers.
const SOCKET_BUFFER: usize = 8 << 20;

/// Opens one port for `shards` sockets; the kernel spreads the peers over them. Port 0 lets the first socket choose.
///
/// # Errors
/// When the address cannot be bound, or another program has it.
pub fn bind_group(address: SocketAddr, shards: usize) -> io::Result<Vec<UdpSocket>> {
    let mut address = address;
    let mut sockets = Vec::with_capacity(shards);
    for shard in 0..shards {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // The first binds alone. Sockets that share a port would share it with those of another server as well, which took half
        // of the peers; and of ports that are shared the system counts each as free when it chooses one.
        let is_first = shard == 0;
        socket.set_reuse_port(!is_first)?;
        socket.set_nonblocking(true)?;
        // The system's limit may be lower: then that much.
        socket.set_recv_buffer_size(SOCKET_BUFFER)?;
        socket.set_send_buffer_size(SOCKET_BUFFER)?;
        receive_trains(&socket);
        socket.bind(&address.into())?;
        if is_first {
            socket.set_reuse_port(true)?;
        }
        let socket = UdpSocket::from(socket);
        address = socket.local_addr()?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Room for one control message with a number of 16 or 32 bits.
#[repr(C)]
union Control {
    _align: libc::cmsghdr,
    // CMSG_SPACE of either is 24 on the platforms that there are.
    bytes: [u8; 32],
}

#[cfg(test)]
mod tests;
