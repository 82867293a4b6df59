//! The conversation over a WebSocket, once HTTP is done with the connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::admission::Caller;
use super::event::{Event, Farewell};
use super::hall::{Delivery, Feed};
use super::message::Request;
use super::metrics::Way;
use super::posts::Framing;
use super::room::Refused;
use super::server::Shared;
use crate::clock;
use crate::http::Duplex;
use crate::http::websocket::{self, Decoder, FrameError, Incoming};
use crate::media::ChannelName;
use crate::net::vectored;

/// How long somebody may take to come in after the handshake.
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a quiet connection is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(25);
/// How long the kernel's buffers and ours may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);
/// Read at a time. A comment is shorter.
const READ: usize = 512;

/// A WebSocket with somebody at the other end.
pub(super) struct Conversation {
    io: Box<dyn Duplex>,
    decoder: Decoder,
    /// When the other end sent something last.
    heard: Instant,
}

/// What happened first.
enum Happened {
    Delivery(Delivery),
    Read(usize),
    Quiet,
}

impl Conversation {
    /// A connection after its handshake, and what the other end has sent already.
    pub fn new(io: Box<dyn Duplex>, read: &[u8], max_message: usize) -> Self {
        let mut decoder = Decoder::new(max_message);
        decoder.receive(read);
        Self { io, decoder, heard: clock::monotonic().into() }
    }

    /// Talks until one side leaves.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn run(&mut self, shared: &Arc<Shared>, name: &ChannelName, caller: &Caller) -> io::Result<()> {
        let Ok(joined) = timeout(JOIN_TIMEOUT, Box::pin(self.join(shared, name, caller))).await else {
            return self.end(1008).await;
        };
        let Some(feed) = joined? else { return Ok(()) };
        let _connected = shared.metrics.connected(Way::WebSocket);
        self.attend(feed).await
    }

    /// Waits for the first message and comes in; `None` when that comes to nothing and was said so.
    async fn join(
        &mut self,
        shared: &Arc<Shared>,
        name: &ChannelName,
        caller: &Caller,
    ) -> io::Result<Option<Feed>> {
        let text = loop {
            match self.decoder.poll() {
                Ok(Some(Incoming::Text(text))) => break text,
                Ok(Some(Incoming::Ping(payload))) => self.io.write_all(&websocket::pong(&payload)).await?,
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close)) => return self.end(1000).await.map(|()| None),
                Ok(None) => {
                    let mut buffer = [0; READ];
                    let length = self.io.read(&mut buffer).await?;
                    if length == 0 {
                        return Ok(None);
                    }
                    self.decoder.receive(&buffer[..length]);
                }
                Err(error) => return self.end(error.code()).await.map(|()| None),
            }
        };
        let join = match Request::parse(&text) {
            Ok(Request::Join(join)) => join,
            Ok(_) | Err(_) => {
                self.send(&Event::Bye { code: Farewell::NoJoin, reconnect: false }).await?;
                return self.end(1008).await.map(|()| None);
            }
        };
        match shared.enter(name, caller, &join).await {
            Ok(feed) => Ok(Some(feed)),
            Err(refused) => {
                self.send(&refusal(refused)).await?;
                self.end(1008).await.map(|()| None)
            }
        }
    }

    /// Passes on what either side says until one leaves.
    async fn attend(&mut self, mut feed: Feed) -> io::Result<()> {
        self.heard = clock::monotonic().into();
        let mut asked: Option<Instant> = None;
        loop {
            while let Some(message) = self.decoder.poll().transpose() {
                match message {
                    Ok(Incoming::Text(text)) => feed.say(&text),
                    Ok(Incoming::Ping(payload)) => self.io.write_all(&websocket::pong(&payload)).await?,
                    Ok(Incoming::Pong) => {}
                    Ok(Incoming::Close) => return self.end(1000).await,
                    Err(error) => return self.end(FrameError::code(error)).await,
                }
            }
            let mut buffer = [0; READ];
            let quiet_at = asked.unwrap_or(self.heard) + PING_INTERVAL;
            let happened = tokio::select! {
                delivery = feed.next(Framing::WebSocket) => Happened::Delivery(delivery),
                read = self.io.read(&mut buffer) => Happened::Read(read?),
                () = sleep_until(quiet_at) => Happened::Quiet,
            };
            match happened {
                Happened::Delivery(delivery) => {
                    vectored::write_all(&mut self.io, delivery.slices.into()).await?;
                    if delivery.last {
                        drop(feed);
                        return self.end(1008).await;
                    }
                }
                Happened::Read(0) => return Ok(()),
                Happened::Read(length) => {
                    self.heard = clock::monotonic().into();
                    asked = None;
                    self.decoder.receive(&buffer[..length]);
                }
                Happened::Quiet if asked.is_some() => return Err(io::ErrorKind::TimedOut.into()),
                Happened::Quiet => {
                    asked = Some(clock::monotonic().into());
                    self.io.write_all(&websocket::ping()).await?;
                }
            }
        }
    }

    async fn send(&mut self, event: &Event) -> io::Result<()> {
        let mut frame = BytesMut::new();
        websocket::write_text(&event.json(), &mut frame);
        self.io.write_all(&frame).await
    }

    /// Says goodbye, and gives the other end a moment to hear it.
    async fn end(&mut self, code: u16) -> io::Result<()> {
        self.io.write_all(&websocket::close(code)).await?;
        self.io.shutdown().await?;
        let io = &mut self.io;
        let heard_out = async {
            let mut scrap = [0; READ];
            while io.read(&mut scrap).await.is_ok_and(|length| length > 0) {}
        };
        // Bytes that arrive after the socket is closed would make the kernel throw our last ones away.
        drop(timeout(GOODBYE, heard_out).await);
        Ok(())
    }
}

/// The refusal of somebody who wants to come in.
fn refusal(refused: Refused) -> Event {
    let Refused { code, message, retry } = refused;
    let retry_ms = retry.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    Event::Refused { id: None, code, message, retry_ms }
}
