//! TCP sockets as this server wants them: no delay, bounded send buffers, a limit on writes that stand still.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

/// Connections that wait to be accepted. A thousand viewers may arrive within the same few milliseconds.
const BACKLOG: i32 = 4096;

/// Opens a listener. An IPv6 wildcard takes IPv4 as well.
///
/// # Errors
/// When the address cannot be bound, with the address in the message.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let open = || {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        // After a restart the old connections' TIME_WAIT must not keep the port.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|error| io::Error::new(error.kind(), format!("cannot listen on {address}: {error}")))
}

/// Bounds what the kernel keeps for a viewer: `send_buffer` bytes in all, of which `unsent` may wait behind a closed
/// window before the socket stops to be writable.
///
/// # Errors
/// When the kernel refuses the option.
pub fn bound_send(socket: &impl AsFd, send_buffer: usize, unsent: u32) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_send_buffer_size(send_buffer)?;
    socket.set_tcp_notsent_lowat(unsent)
}

/// A connection whose writes fail when the peer takes nothing for a while.
#[derive(Debug)]
pub struct Socket {
    stream: Arc<TcpStream>,
    stall_timeout: Duration,
    /// Runs while a write waits; absent while the peer takes what it is given.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Takes a new connection and switches Nagle's delay off. A write that makes no progress for `stall_timeout`
    /// fails with [`io::ErrorKind::TimedOut`].
    ///
    /// # Errors
    /// When the connection is gone already.
    pub fn new(stream: TcpStream, stall_timeout: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream: Arc::new(stream), stall_timeout, stalled: None })
    }

    /// The TCP connection below.
    pub fn stream(&self) -> &Arc<TcpStream> {
        &self.stream
    }

    fn poll_written(
        &mut self,
        context: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        while self.stream.poll_write_ready(context)?.is_ready() {
            match write(&self.stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                result => {
                    self.stalled = None;
                    return Poll::Ready(result);
                }
            }
        }
        let limit = self.stall_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer has stopped to read")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(length) => {
                    buffer.advance(length);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_written(context, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_written(context, |stream| stream.try_write_vectored(slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn pair() -> (Socket, TcpStream) {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (near, _) = listener.accept().await.unwrap();
        (Socket::new(near, Duration::from_millis(200)).unwrap(), far)
    }

    #[tokio::test]
    async fn a_peer_that_reads_gets_everything() {
        let (mut near, mut far) = pair().await;
        assert!(near.stream().nodelay().unwrap());
        let sent: Vec<u8> = (0..1_000_000).map(|i| i as u8).collect();
        let expected = sent.clone();
        let writer = tokio::spawn(async move {
            near.write_all(&sent).await.unwrap();
            near.shutdown().await.unwrap();
            near
        });
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert!(received == expected);
        far.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        writer.await.unwrap().read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
    }

    #[tokio::test]
    async fn b30_a_peer_that_stops_reading_fails_the_write_and_holds_a_bounded_number_of_bytes() {
        let (mut near, far) = pair().await;
        bound_send(near.stream(), 32 << 10, 16 << 10).unwrap();
        SockRef::from(&far).set_recv_buffer_size(16 << 10).unwrap();
        let chunk = vec![0; 4096];
        let mut taken = 0;
        let error = loop {
            match near.write(&chunk).await {
                Ok(length) => taken += length,
                Err(error) => break error,
            }
            assert!(taken < 16 << 20, "the kernel took {taken} bytes for a viewer who reads nothing");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let error = listen(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }
}
