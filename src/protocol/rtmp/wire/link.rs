//! What both ends of a session share: handshake, chunks, protocol control, acknowledgements, and the output queue.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::chunk::DecoderLimits;
use super::chunk::{ChunkDecoder, DEFAULT_CHUNK_SIZE};
use super::command::Command;
use super::handshake::{ClientHandshake, ServerHandshake};
use super::message::{AGGREGATE, Control, Message, UserControl};
use super::{Limits, SessionError, aggregate};
use crate::format::amf::Value;

/// Events and bytes that may wait to be polled before the input is left alone.
const MAX_PENDING_EVENTS: usize = 256;
const MAX_PENDING_BYTES: usize = 64 << 10;

/// Acknowledgements are sent at least this far apart, in bytes, however small a window the peer asks for, so that
/// they cannot become a multiple of what it sends; and at most so far, however large.
const ACKNOWLEDGE_EVERY: std::ops::RangeInclusive<u32> = 4096..=(1 << 30);

/// Used until the peer tells its window: some encoders never do, and still wait for acknowledgements.
const DEFAULT_WINDOW: u32 = 2_500_000;

/// What a session gives out.
#[derive(Clone, Debug, PartialEq)]
pub enum Output<E> {
    /// Bytes to be sent, in this order.
    Send(Bytes),
    /// Something that happened.
    Event(E),
}

/// How far `receive` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Intake {
    /// All that can be used of the input is used: read more. An incomplete header may be left in it.
    Drained,
    /// Enough is waiting, or a request is to be answered: `poll` until it gives nothing, then call `receive` again
    /// with the same input, even if that is empty.
    Backlogged,
}

/// One audio or video message: the body of an FLV tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaMessage {
    /// As on the wire, in milliseconds; wraps at 2³².
    pub timestamp: u32,
    /// The codec header and the payload; never empty.
    pub body: Bytes,
}

#[derive(Debug)]
enum Handshake {
    Server(Box<ServerHandshake>),
    Client(ClientHandshake),
    Done,
}

/// One end of the connection, below commands and media.
#[derive(Debug)]
pub(super) struct Link<E> {
    handshake: Handshake,
    decoder: ChunkDecoder,
    /// Messages of an aggregate that have not been handed out yet.
    split: VecDeque<Message>,
    /// Everything received, handshake included, modulo 2³².
    received: u32,
    acknowledged: u32,
    window: u32,
    pub(super) out: BytesMut,
    pub(super) out_chunk_size: u32,
    events: VecDeque<E>,
}

impl<E> Link<E> {
    fn new(handshake: Handshake, limits: &Limits, out: BytesMut) -> Self {
        Self {
            handshake,
            decoder: ChunkDecoder::new(DecoderLimits {
                max_message: limits.max_message.min(limits.max_setup_buffered),
                max_buffered: limits.max_setup_buffered,
                max_chunk_streams: limits.max_chunk_streams,
                max_chunk_size: limits.max_chunk_size,
            }),
            split: VecDeque::new(),
            received: 0,
            acknowledged: 0,
            window: DEFAULT_WINDOW,
            out,
            out_chunk_size: DEFAULT_CHUNK_SIZE,
            events: VecDeque::new(),
        }
    }

    pub(super) fn server(handshake: ServerHandshake, limits: &Limits) -> Self {
        Self::new(Handshake::Server(Box::new(handshake)), limits, BytesMut::new())
    }

    pub(super) fn client(random: &[u8; super::handshake::RANDOM_LENGTH], limits: &Limits) -> Self {
        let mut out = BytesMut::new();
        let handshake = ClientHandshake::new(random, &mut out);
        Self::new(Handshake::Client(handshake), limits, out)
    }

    /// Lifts the limits that hold while nobody has said who the peer is.
    pub(super) fn trust(&mut self, limits: &Limits) {
        self.decoder.set_message_limits(limits.max_message, limits.max_buffered);
    }

    pub(super) fn buffered(&self) -> usize {
        self.decoder.buffered()
    }

    /// Works on the handshake; true once it is complete.
    pub(super) fn shake(&mut self, input: &mut BytesMut) -> Result<bool, SessionError> {
        let before = input.len();
        let done = match &mut self.handshake {
            Handshake::Server(handshake) => handshake.receive(input, &mut self.out)?,
            Handshake::Client(handshake) => handshake.receive(input, &mut self.out)?,
            Handshake::Done => return Ok(true),
        };
        self.count(before - input.len());
        if done {
            self.handshake = Handshake::Done;
        }
        Ok(done)
    }

    /// The next message that is not about the link itself.
    pub(super) fn message(&mut self, input: &mut BytesMut) -> Result<Option<Message>, SessionError> {
        loop {
            if let Some(message) = self.split.pop_front() {
                return Ok(Some(message));
            }
            let before = input.len();
            let next = self.decoder.next(input)?;
            self.count(before - input.len());
            let Some(message) = next else { return Ok(None) };
            if message.type_id == AGGREGATE {
                self.split = aggregate::split(&message)?.into();
                continue;
            }
            let Some(control) = Control::read(&message)? else { return Ok(Some(message)) };
            if let Control::User(UserControl::PingResponse(_)) = control {
                return Ok(Some(message));
            }
            self.control(control)?;
            if self.is_backlogged() {
                return Ok(None);
            }
        }
    }

    fn control(&mut self, control: Control) -> Result<(), SessionError> {
        match control {
            Control::SetChunkSize(size) => self.decoder.set_chunk_size(size)?,
            Control::Abort(csid) => self.decoder.abort(csid),
            // Nothing can be acknowledged every 0 bytes: the window stays.
            Control::WindowAcknowledgementSize(0) => {}
            Control::WindowAcknowledgementSize(size) => {
                self.window = size.clamp(*ACKNOWLEDGE_EVERY.start(), *ACKNOWLEDGE_EVERY.end());
            }
            Control::User(UserControl::PingRequest(number)) => {
                self.send_control(Control::User(UserControl::PingResponse(number)));
            }
            // How fast to send is settled by TCP and the driver's queue, as in all other servers.
            Control::Acknowledgement(_) | Control::SetPeerBandwidth(_) | Control::User(_) => {}
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) {
        // The count is modulo 2³² by definition (RTMP §5.4.3).
        self.received = self.received.wrapping_add(bytes as u32);
        let handshaking = !matches!(self.handshake, Handshake::Done);
        if handshaking || self.received.wrapping_sub(self.acknowledged) < self.window {
            return;
        }
        self.acknowledged = self.received;
        self.send_control(Control::Acknowledgement(self.received));
    }

    pub(super) fn send_control(&mut self, control: Control) {
        control.write(&mut self.out);
    }

    pub(super) fn send_command(
        &mut self,
        stream_id: u32,
        name: &str,
        transaction: f64,
        object: Value,
        arguments: Vec<Value>,
    ) {
        let command = Command { name: name.to_owned(), transaction, object, arguments };
        let written = command.write(stream_id, self.out_chunk_size, &mut self.out);
        debug_assert!(written.is_ok(), "a command of this side has some kilobytes at most");
    }

    /// Announces the chunk size for what is sent from now on.
    pub(super) fn send_chunk_size(&mut self, size: u32) {
        // The highest bit must be zero (RTMP §5.4.1).
        let size = size.clamp(1, 0x7fff_ffff);
        self.send_control(Control::SetChunkSize(size));
        self.out_chunk_size = size;
    }

    pub(super) fn push(&mut self, event: E) {
        self.events.push_back(event);
    }

    pub(super) fn is_backlogged(&self) -> bool {
        self.events.len() >= MAX_PENDING_EVENTS || self.out.len() >= MAX_PENDING_BYTES
    }

    /// Bytes first: what is to be sent never waits for the application.
    pub(super) fn poll(&mut self) -> Option<Output<E>> {
        if !self.out.is_empty() {
            // The allocation goes along: a viewer's session is silent from here on, and should hold nothing.
            return Some(Output::Send(std::mem::take(&mut self.out).freeze()));
        }
        self.events.pop_front().map(Output::Event)
    }
}
