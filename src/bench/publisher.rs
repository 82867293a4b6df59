//! A publisher of the synthetic stream, over RTMP.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::source::{Due, Mark, Schedule, Source};
use super::stage::Stage;
use super::viewer::{Destination, rtmp_session};
use crate::clock;
use crate::format::amf::Value;
use crate::protocol::rtmp::wire::{ClientEvent, ClientSession, Intake, Output, Purpose, SessionError};

/// How long the server may take to let a publisher in.
const SETUP: Duration = Duration::from_secs(15);
/// Room made for each read, in bytes; servers say little to publishers.
const READ: usize = 4 << 10;

/// Why a publisher has ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server does not want to, or does not speak RTMP.
    #[error(transparent)]
    Rtmp(#[from] SessionError),
    /// No answer.
    #[error("the server did not let the publisher in within {} s", SETUP.as_secs())]
    Timeout,
    /// The server has hung up.
    #[error("the server has closed the connection")]
    Closed,
}

/// A publisher whom the server has let in.
pub struct Publisher {
    stream: TcpStream,
    session: ClientSession,
    input: BytesMut,
    accepted: bool,
}

impl Publisher {
    /// Connects and asks to publish. `number` tells which of several publishers this is.
    ///
    /// # Errors
    /// See [`PublisherError`].
    pub async fn connect(destination: &Destination, number: usize) -> Result<Self, PublisherError> {
        let setup = async {
            let stream = destination.connect(number).await?;
            let session = rtmp_session(&destination.target, Purpose::Publish);
            let mut publisher = Self { stream, session, input: BytesMut::new(), accepted: false };
            publisher.flush().await?;
            while !publisher.accepted {
                publisher.input.reserve(READ);
                let read = publisher.stream.read_buf(&mut publisher.input).await?;
                publisher.received(read).await?;
            }
            Ok(publisher)
        };
        timeout(SETUP, setup).await.map_err(|_| PublisherError::Timeout)?
    }

    /// Publishes until the connection ends. The first picture is sent at `start`, a time of the stage's clock.
    ///
    /// # Errors
    /// See [`PublisherError`]; it never ends otherwise.
    pub async fn run(
        &mut self,
        source: &Source,
        start: Duration,
        stage: &Stage,
    ) -> Result<(), PublisherError> {
        let metadata = Value::object([
            ("width", 1280.0.into()),
            ("height", 720.0.into()),
            ("framerate", 30.0.into()),
            ("videocodecid", 7.0.into()),
            ("audiocodecid", 10.0.into()),
        ]);
        self.session.send_data(0, &["@setDataFrame".into(), "onMetaData".into(), metadata])?;
        self.session.send_video(0, &source.video_config())?;
        self.session.send_audio(0, &source.audio_config())?;
        let origin = Instant::from_std(clock::monotonic()) + start.saturating_sub(stage.now());
        for due in Schedule::default() {
            self.wait(origin + due.at()).await?;
            if stage.is_paused() {
                continue;
            }
            let now = stage.now();
            let late = now.saturating_sub(start + due.at());
            let (frames, bytes) = match due {
                Due::Video(number) => {
                    let body = source.video(Mark { number, sent: now });
                    self.session.send_video(due.timestamp(), &body)?;
                    (1, body.len())
                }
                Due::Audio(number) => {
                    let body = source.audio(number);
                    self.session.send_audio(due.timestamp(), &body)?;
                    (0, body.len())
                }
            };
            self.flush().await?;
            stage.sent(frames, bytes, late);
        }
        Ok(())
    }

    /// Waits for a moment, and listens meanwhile.
    async fn wait(&mut self, moment: Instant) -> Result<(), PublisherError> {
        loop {
            self.input.reserve(READ);
            let read = tokio::select! {
                biased;
                () = sleep_until(moment) => return Ok(()),
                read = self.stream.read_buf(&mut self.input) => read?,
            };
            self.received(read).await?;
        }
    }

    async fn received(&mut self, length: usize) -> Result<(), PublisherError> {
        if length == 0 {
            return Err(PublisherError::Closed);
        }
        while self.session.receive(&mut self.input, clock::monotonic())? == Intake::Backlogged {
            self.flush().await?;
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), PublisherError> {
        while let Some(output) = self.session.poll() {
            match output {
                Output::Send(bytes) => self.stream.write_all(&bytes).await?,
                Output::Event(ClientEvent::Publishing) => self.accepted = true,
                Output::Event(ClientEvent::Closed) => return Err(PublisherError::Closed),
                Output::Event(_) => {}
            }
        }
        Ok(())
    }
}
