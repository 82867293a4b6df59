//! The conversation over a WebSocket, once HTTP is done with the connection.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::admission::Caller;
use super::event::{Event, Farewell};
use super::hall::Feed;
use super::line::Happened;
use super::message::Request;
use super::metrics::Way;
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
}

impl Conversation {
    /// A connection after its handshake, and what the other end has sent already.
    pub fn new(io: Box<dyn Duplex>, read: &[u8], max_message: usize) -> Self {
        let mut decoder = Decoder::new(max_message);
        decoder.receive(read);
        Self { io, decoder }
    }

    /// Talks until one side leaves.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn run(mut self, shared: &Arc<Shared>, name: &ChannelName, caller: &Caller) -> io::Result<()> {
        let Ok(joined) = timeout(JOIN_TIMEOUT, Box::pin(self.join(shared, name, caller))).await else {
            return end(&mut self.io, 1008).await;
        };
        let Some(mut feed) = joined? else { return Ok(()) };
        let _connected = shared.metrics.connected(Way::WebSocket);
        let Self { io, decoder } = self;
        // From here on the room writes to the connection.
        feed.line().attach(io);
        let Some(code) = attend(&mut feed, decoder).await? else { return Ok(()) };
        let Some((mut io, begun)) = feed.line().detach() else { return Ok(()) };
        drop(feed);
        vectored::write_all(&mut io, begun).await?;
        end(&mut io, code).await
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
                Ok(Some(Incoming::Close)) => return end(&mut self.io, 1000).await.map(|()| None),
                Ok(None) => {
                    let mut buffer = [0; READ];
                    let length = self.io.read(&mut buffer).await?;
                    if length == 0 {
                        return Ok(None);
                    }
                    self.decoder.receive(&buffer[..length]);
                }
                Err(error) => return end(&mut self.io, error.code()).await.map(|()| None),
            }
        };
        let join = match Request::parse(&text) {
            Ok(Request::Join(join)) => join,
            Ok(_) | Err(_) => {
                self.send(&Event::Bye { code: Farewell::NoJoin, reconnect: false }).await?;
                return end(&mut self.io, 1008).await.map(|()| None);
            }
        };
        match shared.enter(name, caller, &join).await {
            Ok(feed) => Ok(Some(feed)),
            Err(refused) => {
                self.send(&refusal(refused)).await?;
                end(&mut self.io, 1008).await.map(|()| None)
            }
        }
    }

    async fn send(&mut self, event: &Event) -> io::Result<()> {
        let mut frame = BytesMut::new();
        websocket::write_text(&event.json(), &mut frame);
        self.io.write_all(&frame).await
    }
}

/// Passes on what either side says until one leaves; gives the code to say goodbye with, if there is anybody to hear it.
async fn attend(feed: &mut Feed, mut decoder: Decoder) -> io::Result<Option<u16>> {
    let mut heard: Instant = clock::monotonic().into();
    let mut asked: Option<Instant> = None;
    loop {
        while let Some(message) = decoder.poll().transpose() {
            match message {
                Ok(Incoming::Text(text)) => feed.say(&text),
                Ok(Incoming::Ping(payload)) => feed.line().send(websocket::pong(&payload)),
                Ok(Incoming::Pong) => {}
                Ok(Incoming::Close) => return Ok(Some(1000)),
                Err(error) => return Ok(Some(FrameError::code(error))),
            }
        }
        let mut buffer = [0; READ];
        let quiet_at = asked.unwrap_or(heard) + PING_INTERVAL;
        let happened = tokio::select! {
            happened = feed.talk(&mut buffer) => Some(happened?),
            () = sleep_until(quiet_at) => None,
        };
        match happened {
            Some(Happened::Last) => return Ok(Some(1008)),
            Some(Happened::Read(0)) => return Ok(None),
            Some(Happened::Read(length)) => {
                heard = clock::monotonic().into();
                asked = None;
                decoder.receive(&buffer[..length]);
            }
            None if asked.is_some() => return Err(io::ErrorKind::TimedOut.into()),
            None => {
                asked = Some(clock::monotonic().into());
                feed.line().send(websocket::ping());
            }
        }
    }
}

/// Says goodbye, and gives the other end a moment to hear it.
async fn end(io: &mut Box<dyn Duplex>, code: u16) -> io::Result<()> {
    io.write_all(&websocket::close(code)).await?;
    io.shutdown().await?;
    let heard_out = async {
        let mut scrap = [0; READ];
        while io.read(&mut scrap).await.is_ok_and(|length| length > 0) {}
    };
    // Bytes that arrive after the socket is closed would make the kernel throw our last ones away.
    drop(timeout(GOODBYE, heard_out).await);
    Ok(())
}

/// The refusal of somebody who wants to come in.
fn refusal(refused: Refused) -> Event {
    let Refused { code, message, retry } = refused;
    let retry_ms = retry.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    Event::Refused { id: None, code, message, retry_ms }
}
