//! The listener against peers that do not behave, over real sockets.

mod http2;
mod plain;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http_body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::context::Life;
use crate::metrics::Metrics;
use crate::net::socket::listen;

/// Longer than any limit below: a test that waits so long has failed.
const SOON: Duration = Duration::from_secs(10);

/// A server with short limits and routes that show what reached them.
struct Running {
    address: SocketAddr,
    life: Life,
    metrics: Metrics,
}

#[derive(serde::Deserialize)]
struct Order {
    pizza: String,
}

/// A body of numbered lines, each in its turn.
struct Lines(std::ops::Range<u32>);

impl http_body::Body for Lines {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(number) = self.0.next() else { return Poll::Ready(None) };
        // Now and then there is nothing for a moment.
        if number % 100 == 99 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Ok(Frame::data(format!("line {number}\n").into()))))
    }
}

/// A body that never ends.
struct Endless(Bytes);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
    }
}

fn endless() -> Body {
    Body::new(Endless(Bytes::from_static(&[b'x'; 16 << 10])))
}

/// A body that says nothing and does not end.
struct Silence;

impl http_body::Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

async fn host(host: Option<Extension<RequestHost>>) -> String {
    host.map_or_else(|| "none".to_owned(), |Extension(host)| host.as_str().to_owned())
}

async fn fails() -> &'static str {
    panic!("on purpose")
}

fn routes() -> Router {
    Router::new()
        .route("/", get(host))
        .route("/order", post(|Json(order): Json<Order>| async move { order.pizza }))
        .route("/fails", get(fails))
        .route("/never", get(std::future::pending::<String>))
        .route("/endless", get(|| async { endless() }))
        .route("/lines", get(|| async { (Extension(Streaming), Body::new(Lines(0..100_000))) }))
        .route("/stream", get(|| async { (Extension(Streaming), endless()) }))
        .route("/silence", get(|| async { (Extension(Streaming), Body::new(Silence)) }))
        .route(
            "/page/{*path}",
            get(|request: Request| async move { format!("path {}", request.uri().path()) }),
        )
}

async fn start(tls: Option<TlsAcceptor>) -> Running {
    let config = Config {
        max_connections: 8,
        max_body_size: 1000,
        idle_timeout: Duration::from_millis(400),
        request_timeout: Duration::from_millis(400),
        stall_timeout: Duration::from_millis(300),
        ..Config::default()
    };
    let running =
        Running { address: "127.0.0.1:0".parse().unwrap(), life: Life::default(), metrics: Metrics::new() };
    let listener = listen(running.address).unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new(&config, &running.metrics);
    let life = running.life.clone();
    tokio::spawn(async move { server.serve(listener, tls, routes(), life).await });
    Running { address, ..running }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends bytes and reads until the server closes.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        until_closed(&mut stream).await
    }

    /// Sends a GET for the raw target and returns the whole answer.
    async fn get(&self, target: &str) -> String {
        self.exchange(
            format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
        )
        .await
    }

    async fn connections_end(&self) {
        let ended = async {
            while !self.metrics.text().contains("onair_http_connections 0\n") {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(SOON, ended).await.expect("all connections end");
    }
}

/// What the server sends until it closes; a reset is a close.
async fn until_closed(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    drop(tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.expect("the server closes"));
    String::from_utf8_lossy(&answer).into_owned()
}
