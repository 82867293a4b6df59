//! What a handler may know of the connection its request came by.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};

use tokio::net::TcpStream;

use crate::net::socket;

/// The connection below a request; an extension of every request.
#[derive(Clone, Debug)]
pub struct Connection {
    peer: SocketAddr,
    secure: bool,
    /// Weak, so that a handler that outlives the connection does not keep the socket open.
    stream: Weak<TcpStream>,
}

impl Connection {
    pub(super) fn new(peer: SocketAddr, secure: bool, stream: &Arc<TcpStream>) -> Self {
        Self { peer, secure, stream: Arc::downgrade(stream) }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether TLS protects it.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Bounds the kernel's buffer for an answer that streams, see [`socket::bound_send`]. A connection that is gone
    /// needs no bound.
    pub fn bound_send(&self, send_buffer: usize, unsent: u32) {
        let Some(stream) = self.stream.upgrade() else { return };
        if let Err(error) = socket::bound_send(&*stream, send_buffer, unsent) {
            tracing::debug!(peer = %self.peer, %error, "send buffer not bounded");
        }
    }
}
