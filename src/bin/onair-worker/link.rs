//! The pipes to the server: one message after the other.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::FromRawFd;

use bytes::BytesMut;
use onair::av::worker::ipc::{Decoder, FromWorker, Message, ToWorker};

use crate::error::JobError;

/// Bytes that are read at a time: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// Both pipes.
pub struct Link {
    input: File,
    output: File,
    received: BytesMut,
    chunk: Box<[u8]>,
    decoder: Decoder<ToWorker>,
    to_send: BytesMut,
}

impl Link {
    /// Standard input and output, without the buffers that the standard library puts around them. To be called once.
    pub fn open() -> Self {
        // SAFETY: nobody else in this program uses the two, or closes them.
        let (input, output) = unsafe { (File::from_raw_fd(0), File::from_raw_fd(1)) };
        Self {
            input,
            output,
            received: BytesMut::new(),
            chunk: vec![0; CHUNK].into(),
            decoder: Decoder::default(),
            to_send: BytesMut::new(),
        }
    }

    /// Waits for the next message; `None` when the server has closed the pipe.
    ///
    /// # Errors
    /// When the pipe breaks, or what comes is no message.
    pub fn next(&mut self) -> Result<Option<ToWorker>, JobError> {
        loop {
            if let Some(message) = self.decoder.next(&mut self.received)? {
                return Ok(Some(message));
            }
            match self.input.read(&mut self.chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.received.extend_from_slice(&self.chunk[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says something, and waits until the pipe has taken it.
    ///
    /// # Errors
    /// When the pipe breaks, or the message is too long.
    pub fn say(&mut self, message: &FromWorker) -> Result<(), JobError> {
        self.to_send.clear();
        message.encode(&mut self.to_send)?;
        self.output.write_all(&self.to_send)?;
        Ok(())
    }
}
