//! The handshake both ways: the plain one of the specification (RTMP §5.2), and for servers also the signed one
//! that Flash-era encoders ask for.
//!
//! Nothing is taken from the input before a whole packet is there, so no buffer is held here.

mod digest;
#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Length of C1, S1, C2 and S2 (RTMP §5.2.3, §5.2.4).
pub const PACKET_LENGTH: usize = 1536;

/// Random bytes one handshake needs.
pub const RANDOM_LENGTH: usize = PACKET_LENGTH - 8;

const VERSION: u8 = 3;

/// Why a peer's first bytes are not an RTMP handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A request of HTTP: a browser or a tool pointed at the wrong port.
    #[error("the peer speaks HTTP on an RTMP port")]
    Http,
    /// A TLS hello: RTMPS sent to the plain port.
    #[error("the peer speaks TLS on a plain RTMP port; rtmps:// needs the RTMPS port")]
    Tls,
    /// The encrypted variant RTMPE.
    #[error("the peer asks for RTMPE (version {0}), which is not supported; use rtmps://")]
    Encrypted(u8),
    /// Any other first byte.
    #[error("the peer asks for RTMP version {0}, only 3 is supported")]
    Version(u8),
}

fn check_version(first: u8) -> Result<(), HandshakeError> {
    match first {
        VERSION => Ok(()),
        // The record type of a TLS handshake (RFC 8446 §5.1).
        0x16 => Err(HandshakeError::Tls),
        // Every method of HTTP begins with an upper-case letter, and so does the preface of HTTP/2.
        b'A'..=b'Z' => Err(HandshakeError::Http),
        6 | 8 | 9 => Err(HandshakeError::Encrypted(first)),
        other => Err(HandshakeError::Version(other)),
    }
}

/// Takes one packet of the handshake off the input, if all of it is there.
fn packet(input: &mut BytesMut) -> Option<Bytes> {
    (input.len() >= PACKET_LENGTH).then(|| input.split_to(PACKET_LENGTH).freeze())
}

/// Takes the version byte and the packet after it, if all of it is there; a wrong version is told at once.
fn version_and_packet(input: &mut BytesMut) -> Result<Option<Bytes>, HandshakeError> {
    let Some(first) = input.first() else { return Ok(None) };
    check_version(*first)?;
    if input.len() <= PACKET_LENGTH {
        return Ok(None);
    }
    let _version = input.split_to(1);
    Ok(packet(input))
}

/// The server's side: waits for C0 and C1, answers S0, S1 and S2, waits for C2.
#[derive(Debug)]
pub struct ServerHandshake {
    random: [u8; RANDOM_LENGTH],
    answered: bool,
}

impl ServerHandshake {
    /// A handshake that sends `random` in S1.
    pub fn new(random: [u8; RANDOM_LENGTH]) -> Self {
        Self { random, answered: false }
    }

    /// Consumes what it can of `input`, appends what has to be sent to `out`, and tells whether it is complete.
    /// The content of C2 is not checked: many encoders fill it wrongly, and nothing depends on it.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub fn receive(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<bool, HandshakeError> {
        if !self.answered {
            let Some(c1) = version_and_packet(input)? else { return Ok(false) };
            self.answer(&c1, out);
            self.answered = true;
        }
        Ok(packet(input).is_some())
    }

    fn answer(&self, c1: &[u8], out: &mut BytesMut) {
        out.reserve(1 + 2 * PACKET_LENGTH);
        out.put_u8(VERSION);
        if let Some(answer) = digest::answer(c1, &self.random) {
            out.put_slice(&answer.s1);
            out.put_slice(&answer.s2);
            return;
        }
        // S1: a timestamp that counts from here, four zero bytes, random bytes; S2 returns C1.
        out.put_bytes(0, 8);
        out.put_slice(&self.random);
        out.put_slice(c1);
    }
}

/// The client's side: sends C0 and C1, waits for S0 and S1, answers C2, waits for S2.
#[derive(Debug)]
pub struct ClientHandshake {
    answered: bool,
}

impl ClientHandshake {
    /// Begins a handshake by appending C0 and C1, with `random` in it, to `out`.
    pub fn new(random: &[u8; RANDOM_LENGTH], out: &mut BytesMut) -> Self {
        out.reserve(1 + PACKET_LENGTH);
        out.put_u8(VERSION);
        out.put_bytes(0, 8);
        out.put_slice(random);
        Self { answered: false }
    }

    /// Consumes what it can of `input`, appends what has to be sent to `out`, and tells whether it is complete.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub fn receive(&mut self, input: &mut BytesMut, out: &mut BytesMut) -> Result<bool, HandshakeError> {
        if !self.answered {
            let Some(s1) = version_and_packet(input)? else { return Ok(false) };
            out.put_slice(&s1);
            self.answered = true;
        }
        Ok(packet(input).is_some())
    }
}
