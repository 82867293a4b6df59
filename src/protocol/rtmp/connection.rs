//! A socket and the session on it: bytes both ways, one event at a time.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::wire::{ClientEvent, ClientSession, Event, Intake, Output, ServerSession, SessionError};
use crate::clock;

/// How much is read at a time from somebody who has not said what he wants: a handshake and some commands.
const SETUP_READ_SIZE: usize = 4 << 10;

/// How much is read at a time from a publisher: a few frames.
const PUBLISHER_READ_SIZE: usize = 32 << 10;

/// How much is read at a time from a viewer, who only acknowledges.
const VIEWER_READ_SIZE: usize = 256;

/// What a peer may still take of our last words.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Ended {
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// The socket failed, or the peer stopped to read.
    #[error(transparent)]
    Socket(#[from] io::Error),
    /// The peer broke the protocol.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The peer was silent.
    #[error("the peer has sent nothing for too long")]
    Idle,
}

impl Ended {
    /// A label for metrics; `None` where nothing went wrong.
    pub(super) const fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::Socket(_) => Some("socket"),
            Self::Session(SessionError::SetupTimeout) => Some("setup_timeout"),
            Self::Session(SessionError::Handshake(_)) => Some("handshake"),
            Self::Session(_) => Some("protocol"),
            Self::Idle => Some("idle"),
        }
    }
}

/// Either end of the protocol.
pub trait Session {
    /// What happens on it.
    type Event;

    /// See [`ServerSession::receive`].
    ///
    /// # Errors
    /// When the connection is of no more use.
    fn receive(&mut self, input: &mut BytesMut, now: Instant) -> Result<Intake, SessionError>;

    /// See [`ServerSession::poll`].
    fn poll(&mut self) -> Option<Output<Self::Event>>;

    /// See [`ServerSession::next_timeout`].
    fn next_timeout(&self) -> Option<Instant>;

    /// See [`ServerSession::timeout`].
    ///
    /// # Errors
    /// When the peer took too long.
    fn timeout(&mut self, now: Instant) -> Result<(), SessionError>;
}

/// A socket and the session on it.
#[derive(Debug)]
pub struct Connection<S, P> {
    stream: S,
    /// The protocol's state.
    pub session: P,
    input: BytesMut,
    output: BytesMut,
    read_size: usize,
    /// The session gave all it could of `input`.
    drained: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin, P: Session> Connection<S, P> {
    /// A connection on which nothing has been said yet.
    pub fn new(stream: S, session: P) -> Self {
        Self {
            stream,
            session,
            input: BytesMut::new(),
            output: BytesMut::new(),
            read_size: SETUP_READ_SIZE,
            drained: true,
        }
    }

    /// Sends what the session wants sent. Cancel-safe.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(&mut self) -> io::Result<()> {
        self.gather();
        self.flush().await
    }

    /// From now on the peer is a publisher: much comes, and it comes steadily.
    pub fn becomes_publisher(&mut self) {
        self.read_size = PUBLISHER_READ_SIZE;
    }

    /// Sends what the session wants sent; from now on the peer is a viewer: there are many, and each says little.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn becomes_viewer(&mut self) -> io::Result<()> {
        self.send().await?;
        self.read_size = VIEWER_READ_SIZE;
        self.input = BytesMut::from(&self.input[..]);
        self.output = BytesMut::new();
        Ok(())
    }

    /// The next thing that happens, after sending what the session wants sent; `idle` bounds the peer's silence.
    /// Cancel-safe.
    ///
    /// # Errors
    /// Why the connection is over.
    pub async fn next_event(&mut self, idle: Duration) -> Result<P::Event, Ended> {
        loop {
            while let Some(output) = self.session.poll() {
                match output {
                    Output::Send(bytes) => self.output.extend_from_slice(&bytes),
                    Output::Event(event) => return Ok(event),
                }
            }
            self.flush().await?;
            if !self.drained {
                self.drained = self.session.receive(&mut self.input, clock::monotonic())? == Intake::Drained;
                continue;
            }
            self.read(idle).await?;
            self.drained = false;
        }
    }

    /// Sends what was taken from the session. Cancel-safe.
    async fn flush(&mut self) -> io::Result<()> {
        while self.output.has_remaining() {
            if self.stream.write_buf(&mut self.output).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }

    /// Writes chunks in order with as few calls as the kernel allows. Not cancel-safe: a chunk may be cut.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn write_chunks(&mut self, chunks: &mut [Bytes]) -> io::Result<()> {
        let mut next = 0;
        while next < chunks.len() {
            let mut written = poll_fn(|context| self.poll_write(context, &chunks[next..])).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            while next < chunks.len() && written >= chunks[next].len() {
                written -= chunks[next].len();
                next += 1;
            }
            if written > 0 {
                chunks[next].advance(written);
            }
        }
        Ok(())
    }

    /// The slices live in this call only: kept over an await, they would be in the memory of every waiting viewer.
    fn poll_write(&mut self, context: &mut Context<'_>, chunks: &[Bytes]) -> Poll<io::Result<usize>> {
        const MOST_SLICES: usize = 64;
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let count = chunks.len().min(MOST_SLICES);
        for (slice, chunk) in slices.iter_mut().zip(chunks) {
            *slice = IoSlice::new(chunk);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, &slices[..count])
    }

    /// Sends the session's last words, for as long as the peer takes them, and closes.
    pub async fn farewell(mut self) {
        self.gather();
        // Whoever does not listen any more does not get them.
        let _ = timeout(FAREWELL, async {
            self.flush().await?;
            self.stream.shutdown().await?;
            // Closing with unread input would reset the connection and take the last words back.
            loop {
                self.input.clear();
                if self.stream.read_buf(&mut self.input).await? == 0 {
                    return io::Result::Ok(());
                }
            }
        })
        .await;
    }

    /// Takes what the session wants sent, and leaves events aside: they come too late.
    fn gather(&mut self) {
        while let Some(output) = self.session.poll() {
            if let Output::Send(bytes) = output {
                self.output.extend_from_slice(&bytes);
            }
        }
    }

    async fn read(&mut self, idle: Duration) -> Result<(), Ended> {
        let now = clock::monotonic();
        let deadline = self.session.next_timeout().map(|at| at.saturating_duration_since(now));
        self.input.reserve(self.read_size);
        match timeout(deadline.unwrap_or(idle), self.stream.read_buf(&mut self.input)).await {
            Ok(Ok(0)) => Err(Ended::Closed),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) if deadline.is_some() => {
                self.session.timeout(clock::monotonic())?;
                Ok(())
            }
            Err(_) => Err(Ended::Idle),
        }
    }
}

macro_rules! session {
    ($end:ty, $event:ty) => {
        impl Session for $end {
            type Event = $event;

            fn receive(&mut self, input: &mut BytesMut, now: Instant) -> Result<Intake, SessionError> {
                self.receive(input, now)
            }

            fn poll(&mut self) -> Option<Output<$event>> {
                self.poll()
            }

            fn next_timeout(&self) -> Option<Instant> {
                self.next_timeout()
            }

            fn timeout(&mut self, now: Instant) -> Result<(), SessionError> {
                self.timeout(now)
            }
        }
    };
}

session!(ServerSession, Event);
session!(ClientSession, ClientEvent);
