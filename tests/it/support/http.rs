//! A small HTTP/1.1 client that shows what is on the wire: one request a connection.

use std::net::SocketAddr;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::in_time;

/// An answer whose head has come.
pub struct Response {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

/// An answer's body, as it comes.
pub struct Body {
    stream: TcpStream,
    buffer: BytesMut,
    framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
    Over,
}

/// Sends a request; comes back with the head of the answer.
pub async fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n");
    if !body.is_empty() {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let sent = async {
        let mut stream = TcpStream::connect(server).await.expect("HTTP is served");
        stream.write_all(&[head.as_bytes(), body].concat()).await.expect("the request is taken");
        Response::read(stream).await
    };
    in_time("an HTTP answer", sent).await
}

impl Response {
    async fn read(mut stream: TcpStream) -> Self {
        let mut buffer = BytesMut::new();
        let end = loop {
            if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            let read = stream.read_buf(&mut buffer).await.expect("an answer");
            assert!(read > 0, "the connection was closed before the answer: {buffer:?}");
        };
        let head = String::from_utf8(buffer.split_to(end + 4).to_vec()).expect("a head in ASCII");
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let find =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let framing = match (find("transfer-encoding"), find("content-length")) {
            (Some("chunked"), _) => Framing::Chunked,
            (_, Some(length)) => Framing::Length(length.parse().expect("a length")),
            _ if status.starts_with("20") && status != "204" => Framing::UntilClose,
            _ => Framing::Over,
        };
        Self { status: status.parse().expect("a status"), body: Body { stream, buffer, framing }, headers }
    }

    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All headers of this name, in lower case.
    pub fn headers_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body, to be read as it comes.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The whole body.
    pub async fn bytes(mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        while let Some(part) = self.body.next().await {
            whole.extend_from_slice(&part);
        }
        whole
    }

    /// The whole body as JSON.
    pub async fn json(self) -> Value {
        let body = self.bytes().await;
        serde_json::from_slice(&body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&body)))
    }
}

impl Body {
    /// The next bytes; `None` at the proper end. Cancel-safe between chunks.
    pub async fn next(&mut self) -> Option<Bytes> {
        match self.framing {
            Framing::Over | Framing::Length(0) => None,
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill().await;
                }
                let part = self.buffer.split_to(self.buffer.len().min(left)).freeze();
                self.framing = Framing::Length(left - part.len());
                Some(part)
            }
            Framing::Chunked => self.chunk().await,
            Framing::UntilClose => {
                if self.buffer.is_empty() && !self.more().await {
                    self.framing = Framing::Over;
                    return None;
                }
                Some(self.buffer.split().freeze())
            }
        }
    }

    async fn chunk(&mut self) -> Option<Bytes> {
        let line = loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                break at;
            }
            self.fill().await;
        };
        let size = std::str::from_utf8(&self.buffer[..line]).expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size in hexadecimal");
        while self.buffer.len() < line + 2 + size + 2 {
            self.fill().await;
        }
        self.buffer.advance(line + 2);
        let part = self.buffer.split_to(size).freeze();
        self.buffer.advance(2);
        if size == 0 {
            self.framing = Framing::Over;
            return None;
        }
        Some(part)
    }

    async fn fill(&mut self) {
        assert!(self.more().await, "the answer was cut off in the middle");
    }

    /// Reads more; whether there was any.
    async fn more(&mut self) -> bool {
        let read = in_time("more of an answer", self.stream.read_buf(&mut self.buffer)).await;
        read.expect("the connection lives") > 0
    }
}
