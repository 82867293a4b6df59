//! A viewer in a room, over a WebSocket.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::BytesMut;
use onair::http::websocket::{self, Decoder, Incoming};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::in_time;

/// A connection to a room.
pub struct ChatClient {
    stream: TcpStream,
    decoder: Decoder,
    /// The cookie that the handshake set, as a browser sends it back.
    pub cookie: Option<String>,
    /// Came and was not looked at.
    waiting: VecDeque<Value>,
    requests: u64,
}

impl ChatClient {
    /// Connects from an address of this machine.
    ///
    /// # Errors
    /// The status of an answer that is no handshake.
    pub async fn connect_from(
        from: Ipv4Addr,
        server: SocketAddr,
        channel: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address");
        Self::connect_by(socket, server, channel, headers).await
    }

    /// Connects by a socket of this kind.
    ///
    /// # Errors
    /// The status of an answer that is no handshake.
    pub async fn connect_by(
        socket: TcpSocket,
        server: SocketAddr,
        channel: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, u16> {
        let connected = async {
            let mut stream = socket.connect(server).await.expect("HTTP is served");
            let head = websocket::request(
                &server.to_string(),
                &format!("/ws/{channel}"),
                *b"0123456789abcdef",
                headers,
            );
            stream.write_all(head.as_bytes()).await.expect("the request is taken");
            let mut buffer = BytesMut::new();
            let end = loop {
                if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    break at + 4;
                }
                assert!(stream.read_buf(&mut buffer).await.expect("an answer") > 0, "an answer");
            };
            let head = String::from_utf8(buffer.split_to(end).to_vec()).expect("a head in ASCII");
            let status: u16 =
                head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            if status != 101 {
                return Err(status);
            }
            let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
            let cookie = cookie.and_then(|cookie| Some(cookie.split(';').next()?.to_owned()));
            let mut decoder = Decoder::for_client(16 << 20);
            decoder.receive(&buffer);
            Ok(Self { stream, decoder, cookie, waiting: VecDeque::new(), requests: 0 })
        };
        in_time("a handshake", connected).await
    }

    /// Connects.
    ///
    /// # Errors
    /// The status of an answer that is no handshake.
    pub async fn connect(server: SocketAddr, channel: &str, headers: &[(&str, &str)]) -> Result<Self, u16> {
        Self::connect_from(Ipv4Addr::LOCALHOST, server, channel, headers).await
    }

    /// Comes in as a page of ours does; gives the welcome.
    pub async fn join(server: SocketAddr, channel: &str, join: Value) -> (Self, Value) {
        let origin = format!("http://{server}");
        let mut client = Self::connect(server, channel, &[("Origin", &origin)]).await.expect("a handshake");
        let welcome = client.enter(join).await;
        (client, welcome)
    }

    /// Sends `join` and waits for the answer.
    pub async fn enter(&mut self, mut join: Value) -> Value {
        join["type"] = json!("join");
        join["v"] = json!(1);
        self.send(&join).await;
        self.next().await.expect("an answer")
    }

    /// Sends a request.
    pub async fn send(&mut self, message: &Value) {
        self.send_bytes(&websocket::client_text(message.to_string().as_bytes(), [1, 2, 3, 4])).await;
    }

    /// Sends whatever it is.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        // What the other end has closed takes nothing any more.
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends a request with an id of its own, and waits for the answer to it; what else comes waits.
    pub async fn ask(&mut self, mut message: Value) -> Value {
        self.requests += 1;
        let id = format!("q{}", self.requests);
        message["id"] = json!(id);
        self.send(&message).await;
        self.until(|event| event["id"] == id && event["type"] != "comment").await
    }

    /// Says something.
    pub async fn say(&mut self, text: &str) -> Value {
        self.ask(json!({"type": "comment", "text": text})).await
    }

    /// The next event of this type; those before it wait.
    pub async fn event(&mut self, kind: &str) -> Value {
        self.until(|event| event["type"] == kind).await
    }

    /// The next event that is wanted; those before it wait.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.waiting.iter().position(&wanted) {
            return self.waiting.remove(place).expect("it is there");
        }
        loop {
            let event = self.read().await.expect("the connection lives");
            if wanted(&event) {
                return event;
            }
            self.waiting.push_back(event);
        }
    }

    /// The next event; `None` when the connection is over.
    pub async fn next(&mut self) -> Option<Value> {
        match self.waiting.pop_front() {
            Some(event) => Some(event),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Option<Value> {
        loop {
            match self.decoder.poll().expect("frames of a server") {
                Some(Incoming::Text(text)) => return Some(serde_json::from_str(&text).expect("JSON")),
                Some(Incoming::Close) => return None,
                Some(Incoming::Ping(_)) => self.send_bytes(&[0x8a, 0x80, 0, 0, 0, 0]).await,
                Some(Incoming::Pong) => {}
                None => {
                    let mut buffer = [0; 4096];
                    match in_time("an event", self.stream.read(&mut buffer)).await {
                        Ok(0) | Err(_) => return None,
                        Ok(length) => self.decoder.receive(&buffer[..length]),
                    }
                }
            }
        }
    }
}
