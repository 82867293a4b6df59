//! Answers that stream for hours: sent without what HTTP/1.1 keeps for a next request.
//!
//! hyper holds a read buffer of 8 KiB and its state for as long as an answer runs. A viewer of a stream sends no
//! second request, so once the head is out the connection is taken from hyper, and the body goes to the socket in
//! vectored writes, each a chunk (RFC 9112 §7.1): as much as is there in each, so that writes merge when viewers or the
//! machine fall behind.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Response, Version};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::upgrade::{Successor, Upgrade};
use crate::net::vectored;

/// Marks an answer that streams, as an extension. Over HTTP/1.1 its end is then the end of the connection; over
/// HTTP/2 the mark changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Streaming;

/// Slices of a body gathered for one write: what frames them takes three more.
const MAX_GATHERED_SLICES: usize = vectored::MAX_SLICES - 3;
/// Bytes gathered for one write: more than a socket takes at once.
const MAX_GATHERED: usize = 512 << 10;

/// Where a marked answer's body waits for its head to be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    diverted: Arc<Mutex<Option<Diverted>>>,
    /// What takes the connection over after an answer `101`.
    upgrade: Arc<Mutex<Option<Upgrade>>>,
    /// All that was written to the connection has left it.
    flushed: Arc<AtomicBool>,
}

/// The body of a marked answer.
#[derive(Debug)]
pub(super) struct Diverted {
    body: Body,
    /// In chunks, which tell its end from a broken connection; HTTP/1.0 has none.
    chunked: bool,
}

impl Slot {
    /// Keeps a marked answer's body and leaves one in its place that never comes, so that hyper sends the head alone.
    pub(super) fn divert(
        &self,
        method: &Method,
        version: Version,
        response: Response<Body>,
    ) -> Response<Body> {
        let (mut head, body) = response.into_parts();
        if let Some(upgrade) = head.extensions.remove::<Upgrade>() {
            *self.upgrade.lock().unwrap_or_else(PoisonError::into_inner) = Some(upgrade);
        }
        if head.extensions.remove::<Streaming>().is_none() || method == Method::HEAD {
            return Response::from_parts(head, body);
        }
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let diverted = Diverted { body, chunked: version == Version::HTTP_11 };
        *self.diverted.lock().unwrap_or_else(PoisonError::into_inner) = Some(diverted);
        self.flushed.store(false, Ordering::Relaxed);
        Response::from_parts(head, Body::new(Never))
    }

    /// The body, once the head before it is sent.
    pub(super) fn take(&self) -> Option<Diverted> {
        if !self.flushed.load(Ordering::Relaxed) {
            return None;
        }
        self.diverted.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What takes the connection over, once HTTP is done with it.
    pub(super) fn successor(&self) -> Option<Successor> {
        self.upgrade.lock().unwrap_or_else(PoisonError::into_inner).take()?.take()
    }

    /// Watches when what is written to a connection has left it.
    pub(super) fn watch<IO>(&self, io: IO) -> Watched<IO> {
        Watched { io, flushed: Arc::clone(&self.flushed) }
    }
}

/// A body whose length is not known and whose first byte does not come.
struct Never;

impl http_body::Body for Never {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Poll::Pending
    }
}

/// A connection that tells when what was written to it has left it.
#[derive(Debug)]
pub(super) struct Watched<IO> {
    io: IO,
    flushed: Arc<AtomicBool>,
}

impl<IO> Watched<IO> {
    pub(super) fn into_inner(self) -> IO {
        self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.flushed.store(false, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.flushed.store(false, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// hyper flushes when its own buffer is empty.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(context))?;
        self.flushed.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// Sends a body to its end, or until the peer hangs up.
pub(super) async fn send<IO>(io: IO, diverted: Diverted) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let Diverted { body, chunked } = diverted;
    let mut sending = Sending { io, body, chunked, waiting: VecDeque::new(), unflushed: false, ended: false };
    std::future::poll_fn(|context| sending.poll(context)).await
}

struct Sending<IO> {
    io: IO,
    body: Body,
    chunked: bool,
    waiting: VecDeque<Bytes>,
    unflushed: bool,
    ended: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Sending<IO> {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.poll_hung_up(context)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.waiting.is_empty() {
                self.gather(context)?;
            }
            if self.waiting.is_empty() {
                if self.unflushed {
                    ready!(Pin::new(&mut self.io).poll_flush(context))?;
                    self.unflushed = false;
                }
                if self.ended {
                    return Pin::new(&mut self.io).poll_shutdown(context);
                }
                return Poll::Pending;
            }
            ready!(vectored::poll_write(Pin::new(&mut self.io), context, &mut self.waiting))?;
            self.unflushed = true;
        }
    }

    /// Takes what the body has, until that is enough for a write.
    fn gather(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let mut gathered = 0;
        let was_ended = self.ended;
        while !self.ended && self.waiting.len() < MAX_GATHERED_SLICES && gathered < MAX_GATHERED {
            let Poll::Ready(frame) = http_body::Body::poll_frame(Pin::new(&mut self.body), context) else {
                break;
            };
            match frame.transpose().map_err(io::Error::other)? {
                None => self.ended = true,
                Some(frame) => {
                    if let Some(bytes) = frame.into_data().ok().filter(|bytes| !bytes.is_empty()) {
                        gathered += bytes.len();
                        self.waiting.push_back(bytes);
                    }
                }
            }
        }
        if self.chunked {
            if gathered > 0 {
                self.waiting.push_front(Bytes::from(format!("{gathered:x}\r\n")));
                self.waiting.push_back(Bytes::from_static(b"\r\n"));
            }
            if self.ended && !was_ended {
                self.waiting.push_back(Bytes::from_static(b"0\r\n\r\n"));
            }
        }
        Ok(())
    }

    /// Ready when the peer has closed. What it sends is of no interest: the request said that it is the last.
    fn poll_hung_up(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scrap = [0; 256];
        loop {
            let mut buffer = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
