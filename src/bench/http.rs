//! As much of an HTTP/1.1 client as the measurement needs: it must cost little beside the server that is measured.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest head of a response, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// The longest line with the size of a chunk, in bytes.
const MAX_CHUNK_LINE: usize = 256;
/// The longest body that is taken as a whole, in bytes: a part of video, or a playlist.
const MAX_BODY: usize = 16 << 20;
/// Room made for each read, in bytes.
const READ: usize = 64 << 10;

/// Why a response cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is not HTTP/1.
    #[error("the server's answer is not HTTP/1: {0}")]
    Malformed(&'static str),
    /// The server does not want to.
    #[error("the server answers {status}: {text}")]
    Status {
        /// The status code.
        status: u16,
        /// The beginning of the body.
        text: String,
    },
}

/// The first lines of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// How the body ends.
    pub framing: Framing,
}

/// How the end of a body is told (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By its length.
    Length(usize),
    /// By a chunk of no bytes.
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Head {
    /// Takes a head off `input`, or nothing until it is complete.
    ///
    /// # Errors
    /// [`HttpError::Malformed`].
    pub fn take(input: &mut BytesMut) -> Result<Option<Self>, HttpError> {
        let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
            return if input.len() > MAX_HEAD { Err(HttpError::Malformed("endless head")) } else { Ok(None) };
        };
        let head = Self::parse(&input[..end]);
        input.advance(end + 4);
        head.map(Some)
    }

    fn parse(head: &[u8]) -> Result<Self, HttpError> {
        let text = std::str::from_utf8(head).map_err(|_| HttpError::Malformed("head is not text"))?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let is_http = words.next().is_some_and(|version| version.starts_with("HTTP/1."));
        let status = words.next().and_then(|status| status.parse().ok()).filter(|_| is_http);
        let status = status.ok_or(HttpError::Malformed("no status line"))?;
        let mut framing = if matches!(status, 204 | 304) { Framing::Length(0) } else { Framing::Close };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunked;
            } else if name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
                let length = value.trim().parse().map_err(|_| HttpError::Malformed("content-length"))?;
                framing = Framing::Length(length);
            }
        }
        Ok(Self { status, framing })
    }
}

/// Takes a body out of its framing.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    framing: Framing,
    /// Bytes of the body, or of its chunk, that are to come.
    remaining: usize,
    /// A chunk's data must be followed by the end of a line.
    after_chunk: bool,
    complete: bool,
}

impl Body {
    /// The body behind a head.
    pub const fn new(framing: Framing) -> Self {
        let remaining = match framing {
            Framing::Length(length) => length,
            Framing::Chunked => 0,
            Framing::Close => usize::MAX,
        };
        Self {
            framing,
            remaining,
            after_chunk: false,
            complete: remaining == 0 && !matches!(framing, Framing::Chunked),
        }
    }

    /// Whether all of it has been taken.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes what has come of the body off `input`; nothing until there is more.
    ///
    /// # Errors
    /// [`HttpError::Malformed`].
    pub fn take(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, HttpError> {
        if self.complete
            || (self.framing == Framing::Chunked && self.remaining == 0 && !self.begin_chunk(input)?)
        {
            return Ok(None);
        }
        let length = self.remaining.min(input.len());
        if length == 0 {
            return Ok(None);
        }
        if self.framing != Framing::Close {
            self.remaining -= length;
        }
        self.complete = self.remaining == 0 && self.framing != Framing::Chunked;
        Ok(Some(input.split_to(length).freeze()))
    }

    /// Reads the line with a chunk's size; false until it is there, and at the end.
    fn begin_chunk(&mut self, input: &mut BytesMut) -> Result<bool, HttpError> {
        let skip = if self.after_chunk { 2 } else { 0 };
        let Some(end) = input.get(skip..).and_then(|rest| rest.windows(2).position(|bytes| bytes == b"\r\n"))
        else {
            return if input.len() > MAX_CHUNK_LINE {
                Err(HttpError::Malformed("endless chunk size"))
            } else {
                Ok(false)
            };
        };
        let line = input.get(skip..skip + end).unwrap_or_default();
        let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        self.remaining = size.ok_or(HttpError::Malformed("chunk size"))?;
        input.advance(skip + end + 2);
        self.after_chunk = true;
        self.complete = self.remaining == 0;
        Ok(!self.complete)
    }
}

/// A response with its body.
#[derive(Clone, Debug)]
pub struct Response {
    /// The body.
    pub body: Bytes,
    /// Bytes on the wire, head and framing included.
    pub received: u64,
}

/// A connection that is kept for several requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: BytesMut,
}

impl Connection {
    /// Takes over a connection that was just made.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, input: BytesMut::new() }
    }

    /// Asks for a resource and takes the whole answer.
    ///
    /// # Errors
    /// See [`HttpError`]; a status other than 200 to 299 is one.
    pub async fn get(&mut self, host: &str, path: &str) -> Result<Response, HttpError> {
        self.exchange(&get(host, path)).await
    }

    /// Sends a JSON body with a bearer token and takes the whole answer.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(
        &mut self,
        host: &str,
        path: &str,
        token: &str,
        json: &str,
    ) -> Result<Response, HttpError> {
        let length = json.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}"
        );
        self.exchange(&request).await
    }

    /// Sends an SDP offer and takes the whole answer.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn offer(&mut self, host: &str, path: &str, sdp: &str) -> Result<Response, HttpError> {
        let length = sdp.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/sdp\r\n\
             Content-Length: {length}\r\n\r\n{sdp}"
        );
        self.exchange(&request).await
    }

    async fn exchange(&mut self, request: &str) -> Result<Response, HttpError> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut received = 0;
        let head = loop {
            if let Some(head) = Head::take(&mut self.input)? {
                break head;
            }
            received += self.read().await?;
        };
        let mut whole = BytesMut::new();
        let mut body = Body::new(head.framing);
        loop {
            while let Some(piece) = body.take(&mut self.input)? {
                whole.extend_from_slice(&piece);
            }
            if body.is_complete() {
                break;
            }
            if whole.len() > MAX_BODY {
                return Err(HttpError::Malformed("endless body"));
            }
            received += self.read().await?;
        }
        if !(200..300).contains(&head.status) {
            let text = String::from_utf8_lossy(&whole[..whole.len().min(200)]).into_owned();
            return Err(HttpError::Status { status: head.status, text });
        }
        Ok(Response { body: whole.freeze(), received })
    }

    async fn read(&mut self) -> Result<u64, HttpError> {
        self.input.reserve(READ);
        match self.stream.read_buf(&mut self.input).await? {
            0 => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            length => Ok(length as u64),
        }
    }
}

/// The request for a resource.
pub fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: onair-bench\r\nAccept: */*\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds a response byte by byte.
    fn read(response: &[u8]) -> Result<(Head, Vec<u8>, bool), HttpError> {
        let mut input = BytesMut::new();
        let mut found: Option<(Head, Body)> = None;
        let mut whole = Vec::new();
        for byte in response {
            input.extend_from_slice(&[*byte]);
            if found.is_none() {
                found = Head::take(&mut input)?.map(|head| (head, Body::new(head.framing)));
            }
            if let Some((_, body)) = &mut found {
                while let Some(piece) = body.take(&mut input)? {
                    whole.extend_from_slice(&piece);
                }
            }
        }
        let (head, body) = found.ok_or(HttpError::Malformed("incomplete"))?;
        Ok((head, whole, body.is_complete()))
    }

    #[test]
    fn bodies_are_taken_out_of_every_framing() {
        let (head, body, complete) =
            read(b"HTTP/1.1 200 OK\r\nContent-LENGTH: 5\r\n\r\nhello and more").unwrap();
        assert_eq!((head.status, body.as_slice(), complete), (200, b"hello".as_slice(), true));

        let chunked =
            b"HTTP/1.1 206 Partial\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        let (head, body, complete) = read(chunked).unwrap();
        assert_eq!((head.status, body.as_slice(), complete), (206, b"hello".as_slice(), true));

        let (head, body, complete) = read(b"HTTP/1.0 404 Not Found\r\n\r\nhello").unwrap();
        assert_eq!((head.status, head.framing, complete), (404, Framing::Close, false));
        assert_eq!(body, b"hello");

        let (_, body, complete) = read(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        assert_eq!((body.len(), complete), (0, true));
    }

    #[test]
    fn what_is_not_http_is_refused() {
        for response in [
            b"\x03\x00\x00\x00 RTMP\r\n\r\n".as_slice(),
            b"HTTP/1.1 huh\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        ] {
            assert!(matches!(read(response), Err(HttpError::Malformed(_))));
        }
        let mut endless = BytesMut::from([b'x'; MAX_HEAD + 1].as_slice());
        assert!(matches!(Head::take(&mut endless), Err(HttpError::Malformed(_))));
    }
}
