//! WebSocket (RFC 6455), the server's side: the handshake, and frames without sockets.
//!
//! No extension is ever agreed to: what would be compressed is an error, so that there is nothing to blow up.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, Method, Version};

/// RFC 6455 §1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A control frame's payload, RFC 6455 §5.5.
const MAX_CONTROL: usize = 125;

/// The `Sec-WebSocket-Accept` of an opening handshake; `None` when the request is none (RFC 6455 §4.2.1).
pub fn accept(method: &Method, version: Version, headers: &HeaderMap) -> Option<String> {
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
    };
    let is_upgrade = method == Method::GET
        && version == Version::HTTP_11
        && has(UPGRADE, "websocket")
        && has(CONNECTION, "upgrade")
        && headers.get(SEC_WEBSOCKET_VERSION).is_some_and(|version| version == "13");
    let key = headers.get(SEC_WEBSOCKET_KEY)?.to_str().ok()?.trim();
    let is_key = STANDARD.decode(key).is_ok_and(|key| key.len() == 16);
    (is_upgrade && is_key).then(|| {
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{MAGIC}").as_bytes());
        STANDARD.encode(hash)
    })
}

/// What a peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text message.
    Text(String),
    /// To be answered with [`pong`].
    Ping(Bytes),
    /// The answer to a ping.
    Pong,
    /// The peer is leaving; to be answered with [`close`].
    Close,
}

/// Why a peer is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// Against the rules of framing: not masked, reserved bits, fragments out of order, a long control frame.
    #[error("against the rules of framing")]
    Protocol,
    /// Binary data, which is not taken here.
    #[error("binary data")]
    Binary,
    /// A text that is no UTF-8.
    #[error("no UTF-8")]
    Encoding,
    /// Longer than a message may be.
    #[error("too long")]
    TooLong,
}

impl FrameError {
    /// RFC 6455 §7.4.1.
    pub const fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::Binary => 1003,
            Self::Encoding => 1007,
            Self::TooLong => 1009,
        }
    }
}

/// Takes a peer's bytes apart into messages of bounded length.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// The fragments of a message so far.
    message: Option<Vec<u8>>,
    max_message: usize,
    /// The peer is a client: it masks.
    is_masked: bool,
}

impl Decoder {
    /// For a client's messages, of at most `max_message` bytes.
    pub fn new(max_message: usize) -> Self {
        Self { buffer: BytesMut::new(), message: None, max_message, is_masked: true }
    }

    /// For a server's messages, as our own clients read them.
    pub fn for_client(max_message: usize) -> Self {
        Self { is_masked: false, ..Self::new(max_message) }
    }

    /// Takes what the peer sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, once all of it is there.
    ///
    /// # Errors
    /// When the connection has to end.
    pub fn poll(&mut self) -> Result<Option<Incoming>, FrameError> {
        while let Some((head, payload)) = self.frame()? {
            let is_final = head & 0x80 != 0;
            match head & 0x0f {
                0x8 => return Ok(Some(Incoming::Close)),
                0x9 => return Ok(Some(Incoming::Ping(payload.into()))),
                0xa => return Ok(Some(Incoming::Pong)),
                opcode @ (0x0 | 0x1) => {
                    let begins = opcode == 0x1;
                    if begins == self.message.is_some() {
                        return Err(FrameError::Protocol);
                    }
                    let message = self.message.get_or_insert_default();
                    message.extend_from_slice(&payload);
                    if is_final {
                        let message = self.message.take().unwrap_or_default();
                        let text = String::from_utf8(message).map_err(|_| FrameError::Encoding)?;
                        return Ok(Some(Incoming::Text(text)));
                    }
                }
                0x2 => return Err(FrameError::Binary),
                _ => return Err(FrameError::Protocol),
            }
        }
        if self.buffer.is_empty() {
            // An idle connection holds no memory.
            self.buffer = BytesMut::new();
        }
        Ok(None)
    }

    /// The first byte and the payload of the next frame.
    fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, FrameError> {
        let [head, length, ..] = self.buffer[..] else { return Ok(None) };
        let is_control = head & 0x08 != 0;
        // Reserved bits belong to extensions.
        if head & 0x70 != 0 || (length & 0x80 != 0) != self.is_masked || (is_control && head & 0x80 == 0) {
            return Err(FrameError::Protocol);
        }
        let (length, extended) = match (length & 0x7f, &self.buffer[2..]) {
            (126, [a, b, ..]) => (u64::from(u16::from_be_bytes([*a, *b])), 2),
            (127, [a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), 8),
            (126 | 127, _) => return Ok(None),
            (short, _) => (u64::from(short), 0),
        };
        let so_far = self.message.as_ref().map_or(0, Vec::len);
        let length = usize::try_from(length).map_err(|_| FrameError::TooLong)?;
        if is_control && length > MAX_CONTROL {
            return Err(FrameError::Protocol);
        }
        if !is_control && length > self.max_message.saturating_sub(so_far) {
            return Err(FrameError::TooLong);
        }
        let mask_len = if self.is_masked { 4 } else { 0 };
        let start = 2 + extended + mask_len;
        if self.buffer.len() < start + length {
            return Ok(None);
        }
        let mask = self.is_masked.then(|| [0, 1, 2, 3].map(|byte| self.buffer[2 + extended + byte]));
        self.buffer.advance(start);
        let mut payload = self.buffer.split_to(length).to_vec();
        if let Some(mask) = mask {
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        Ok(Some((head, payload)))
    }
}

/// Appends a text message.
pub fn write_text(text: &[u8], out: &mut BytesMut) {
    write_frame(0x81, text, out);
}

/// A ping.
pub fn ping() -> Bytes {
    Bytes::from_static(&[0x89, 0])
}

/// The answer to a ping.
pub fn pong(payload: &[u8]) -> Bytes {
    control(0x8a, payload)
}

/// The end, with a code of RFC 6455 §7.4.1.
pub fn close(code: u16) -> Bytes {
    control(0x88, &code.to_be_bytes())
}

fn control(head: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 2);
    write_frame(head, &payload[..payload.len().min(MAX_CONTROL)], &mut out);
    out.freeze()
}

fn write_frame(head: u8, payload: &[u8], out: &mut BytesMut) {
    out.reserve(payload.len() + 10);
    out.put_u8(head);
    match payload.len() {
        short @ 0..=125 => out.put_u8(short as u8),
        middle @ 126..=0xffff => {
            out.put_u8(126);
            out.put_u16(middle as u16);
        }
        long => {
            out.put_u8(127);
            out.put_u64(long as u64);
        }
    }
    out.put_slice(payload);
}

/// The head of a client's opening handshake, for our own clients: `key` is 16 random bytes.
pub fn request(host: &str, path: &str, key: [u8; 16], headers: &[(&str, &str)]) -> String {
    let key = STANDARD.encode(key);
    let mut head = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
    );
    for (name, value) in headers {
        // Writing to a string does not fail.
        let _ = write!(head, "{name}: {value}\r\n");
    }
    head + "\r\n"
}

/// A client's text message, masked.
pub fn client_text(text: &[u8], mask: [u8; 4]) -> Bytes {
    let mut plain = BytesMut::new();
    write_text(text, &mut plain);
    let start = plain.len() - text.len();
    let mut out = BytesMut::with_capacity(plain.len() + 4);
    out.put_slice(&plain[..start]);
    out[1] |= 0x80;
    out.put_slice(&mask);
    out.extend(plain[start..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8]) -> Result<Vec<Incoming>, FrameError> {
        let mut decoder = Decoder::new(1000);
        let mut messages = Vec::new();
        // Byte by byte: nothing may depend on how the bytes come.
        for byte in bytes {
            decoder.receive(&[*byte]);
            while let Some(message) = decoder.poll()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn masked(head: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = client_text(payload, [1, 2, 3, 4]).to_vec();
        frame[0] = head;
        frame
    }

    #[test]
    fn the_handshake_of_the_specification_is_accepted() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let accepted = accept(&Method::GET, Version::HTTP_11, &headers);
        assert_eq!(accepted.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(accept(&Method::POST, Version::HTTP_11, &headers), None);
        for (name, bad) in
            [("sec-websocket-version", "8"), ("sec-websocket-key", "c2hvcnQ="), ("upgrade", "h2c")]
        {
            let mut headers = headers.clone();
            headers.insert(name, bad.parse().unwrap());
            assert_eq!(accept(&Method::GET, Version::HTTP_11, &headers), None, "{name}");
        }
    }

    #[test]
    fn messages_come_out_however_they_are_cut() {
        let long = "x".repeat(600);
        let mut bytes = masked(0x81, "grüße".as_bytes());
        bytes.extend(masked(0x01, b"one "));
        bytes.extend(masked(0x89, b"still there?"));
        bytes.extend(masked(0x80, b"message"));
        bytes.extend(masked(0x81, long.as_bytes()));
        bytes.extend(masked(0x8a, b""));
        bytes.extend(masked(0x88, &[3, 232]));
        let text = |text: &str| Incoming::Text(text.to_owned());
        let ping = Incoming::Ping(Bytes::from_static(b"still there?"));
        assert_eq!(
            decode(&bytes).unwrap(),
            [text("grüße"), ping, text("one message"), text(&long), Incoming::Pong, Incoming::Close]
        );
    }

    #[test]
    fn b32_bad_frames_end_the_connection() {
        let mut unmasked = BytesMut::new();
        write_text(b"x", &mut unmasked);
        let huge = [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        let twice = [masked(0x01, &[b'x'; 600]), masked(0x80, &[b'x'; 600])].concat();
        for (bytes, error) in [
            (unmasked.to_vec(), FrameError::Protocol),
            (masked(0xc1, b"deflated"), FrameError::Protocol),
            (masked(0x80, b"goes on from nothing"), FrameError::Protocol),
            ([masked(0x01, b"a"), masked(0x81, b"b")].concat(), FrameError::Protocol),
            (masked(0x09, b"a ping in parts"), FrameError::Protocol),
            (masked(0x89, &[0; 126]), FrameError::Protocol),
            (masked(0x83, b""), FrameError::Protocol),
            (masked(0x82, b"binary"), FrameError::Binary),
            (masked(0x81, &[0xc3, 0x28]), FrameError::Encoding),
            (masked(0x81, &[b'x'; 1001]), FrameError::TooLong),
            (huge.to_vec(), FrameError::TooLong),
            (twice, FrameError::TooLong),
        ] {
            assert_eq!(decode(&bytes), Err(error), "{:x?}", &bytes[..bytes.len().min(12)]);
        }
    }

    #[test]
    fn what_is_written_has_the_right_length() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let mut out = BytesMut::new();
            write_text(&vec![b'x'; length], &mut out);
            let head = match length {
                0..=125 => 2,
                126..=65_535 => 4,
                _ => 10,
            };
            assert_eq!(out.len(), head + length);
            let mut decoder = Decoder::new(100_000);
            decoder.receive(&client_text(&vec![b'x'; length], [9; 4]));
            assert!(matches!(decoder.poll(), Ok(Some(Incoming::Text(text))) if text.len() == length));
        }
    }
}
