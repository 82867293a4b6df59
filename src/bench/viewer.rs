//! One viewer of an endless stream over TCP: RTMP play or HTTP-FLV.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::crowd::Crowd;
use super::http::{self, Body, Head, HttpError};
use super::source::Mark;
use super::stage::{Record, Stage};
use super::target::{Target, source_address};
use crate::clock;
use crate::format::flv::file::{FileError, MAX_BODY, Reader, TagKind};
use crate::protocol::rtmp::wire::handshake::RANDOM_LENGTH;
use crate::protocol::rtmp::wire::{
    ClientEvent, ClientSession, ClientSettings, Intake, Output, Purpose, SessionError,
};

/// Room made for each read, in bytes.
const READ: usize = 64 << 10;
/// How long the server may take to serve a viewer.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a viewer is not served any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ViewerError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// RTMP failed.
    #[error(transparent)]
    Rtmp(#[from] SessionError),
    /// HTTP failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// FLV failed.
    #[error(transparent)]
    Flv(#[from] FileError),
    /// Nothing comes.
    #[error("not served within {} s", JOIN_TIMEOUT.as_secs())]
    Unserved,
    /// The server has hung up.
    #[error("the server has closed the connection")]
    Closed,
    /// What a playlist says cannot be used.
    #[error("the playlist cannot be used: {0}")]
    Playlist(&'static str),
}

/// What a viewer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RTMP play.
    Rtmp,
    /// FLV over HTTP.
    Flv,
}

/// Where viewers go.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The stream.
    pub target: Target,
    /// The server.
    pub address: SocketAddr,
}

impl Destination {
    /// A connection from the address of the viewer with this number.
    pub async fn connect(&self, number: usize) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((source_address(self.address, number), 0).into())?;
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Plays the stream and notes everything, until the connection ends.
pub async fn watch(
    destination: &Destination,
    protocol: Protocol,
    number: usize,
    record: &RefCell<Record>,
    stage: &Stage,
) -> Result<(), ViewerError> {
    let mut viewer = Viewer::connect(destination, protocol, number, stage).await?;
    loop {
        let received = timeout(JOIN_TIMEOUT, viewer.receive()).await.map_err(|_| ViewerError::Unserved)??;
        let now = stage.now();
        let mut record = record.borrow_mut();
        record.bytes += received;
        for mark in viewer.marks.drain(..) {
            if record.joined.is_none() && mark.is_keyframe() {
                record.joined = Some(now - viewer.began);
            }
            record.progress(now, stage);
            record.picture(mark, now, stage);
        }
    }
}

/// Asks for the stream, and is one of the crowd once it comes.
pub async fn join(
    destination: &Destination,
    protocol: Protocol,
    number: usize,
    crowd: &Crowd,
    stage: &Stage,
) -> Result<(), ViewerError> {
    let mut viewer = Viewer::connect(destination, protocol, number, stage).await?;
    let mut received = 0;
    let served = async {
        while !viewer.is_served {
            received += viewer.receive().await?;
        }
        Ok(())
    };
    timeout(JOIN_TIMEOUT, served).await.map_err(|_| ViewerError::Unserved).flatten()?;
    Ok(crowd.join(viewer.stream, received, protocol == Protocol::Rtmp, stage).await?)
}

struct Viewer {
    stream: TcpStream,
    began: Duration,
    input: BytesMut,
    speech: Speech,
    /// The server has agreed to send the stream.
    is_served: bool,
    /// Pictures that have come and were not looked at.
    marks: Vec<Mark>,
}

enum Speech {
    Rtmp(Box<ClientSession>),
    Flv { body: Option<Body>, reader: Box<Reader> },
}

impl Viewer {
    async fn connect(
        destination: &Destination,
        protocol: Protocol,
        number: usize,
        stage: &Stage,
    ) -> Result<Self, ViewerError> {
        let began = stage.now();
        let stream = destination.connect(number).await?;
        let speech = match protocol {
            Protocol::Rtmp => Speech::Rtmp(Box::new(rtmp_session(&destination.target, Purpose::Play))),
            Protocol::Flv => Speech::Flv { body: None, reader: Box::new(Reader::new(MAX_BODY)) },
        };
        let mut viewer =
            Self { stream, began, input: BytesMut::new(), speech, is_served: false, marks: Vec::new() };
        match &viewer.speech {
            Speech::Rtmp(_) => viewer.work().await?,
            Speech::Flv { .. } => {
                let request = http::get(&destination.target.host, &destination.target.path);
                viewer.stream.write_all(request.as_bytes()).await?;
            }
        }
        Ok(viewer)
    }

    /// Reads once, and works on what has come; gives the number of bytes.
    async fn receive(&mut self) -> Result<u64, ViewerError> {
        self.input.reserve(READ);
        let length = self.stream.read_buf(&mut self.input).await?;
        if length == 0 {
            return Err(ViewerError::Closed);
        }
        self.work().await?;
        Ok(length as u64)
    }

    async fn work(&mut self) -> Result<(), ViewerError> {
        match &mut self.speech {
            Speech::Rtmp(session) => loop {
                let intake = session.receive(&mut self.input, clock::monotonic())?;
                while let Some(output) = session.poll() {
                    match output {
                        Output::Send(bytes) => self.stream.write_all(&bytes).await?,
                        Output::Event(ClientEvent::Playing) => self.is_served = true,
                        Output::Event(ClientEvent::Video(video)) => {
                            self.marks.extend(Mark::find_all(&video.body))
                        }
                        Output::Event(ClientEvent::Closed) => return Err(ViewerError::Closed),
                        Output::Event(_) => {}
                    }
                }
                if intake == Intake::Drained {
                    return Ok(());
                }
            },
            Speech::Flv { body, reader } => {
                let body = match body {
                    Some(body) => body,
                    None => match Head::take(&mut self.input)? {
                        Some(Head { status: 200, framing }) => body.insert(Body::new(framing)),
                        Some(Head { status, .. }) => {
                            return Err(HttpError::Status { status, text: String::new() }.into());
                        }
                        None => return Ok(()),
                    },
                };
                self.is_served = true;
                while let Some(piece) = body.take(&mut self.input)? {
                    reader.push(&piece);
                    while let Some(tag) = reader.next_tag()? {
                        if tag.kind == TagKind::Video {
                            self.marks.extend(Mark::find_all(&tag.body));
                        }
                    }
                }
                if body.is_complete() { Err(ViewerError::Closed) } else { Ok(()) }
            }
        }
    }
}

/// A client session for an RTMP URL.
pub fn rtmp_session(target: &Target, purpose: fn(String) -> Purpose) -> ClientSession {
    let (app, stream) = target.app_and_stream();
    let settings = ClientSettings::new(&target.host, app, purpose(stream.to_owned()));
    // Random bytes would tell clients apart; nobody here wants to.
    ClientSession::new(settings, &[0x5a; RANDOM_LENGTH], clock::monotonic())
}
