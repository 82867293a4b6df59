//! Connections between cues, which are minutes apart.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time;
use tokio_rustls::server::TlsStream;

use super::stage::{Lab, guard, reply, tls};
use crate::clock;
use crate::format::link::Link;
use crate::sale::exchange::client::{Client, Trust};

/// Further away than any test's time gets.
const FAR: Duration = Duration::from_secs(24 * 3600);

/// Frames of HTTP/2 (RFC 9113, section 6).
const HEADERS: u8 = 1;
const PING: u8 = 6;
/// What every client begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test]
async fn a_connection_is_still_there_at_the_next_cue() {
    let lab = Lab::open(|_| Box::pin(async { reply(200, Body::empty()) })).await;
    let (client, link) = (lab.client(), lab.link("good", "/"));
    client.fetch(&link, 1000, clock::monotonic() + FAR).await.unwrap();
    time::pause();
    time::advance(Duration::from_secs(9 * 60)).await;
    time::resume();
    client.fetch(&link, 1000, clock::monotonic() + FAR).await.unwrap();
    assert_eq!(lab.connections.load(Ordering::Relaxed), 1);
}

/// The type of the next frame.
async fn frame(stream: &mut TlsStream<TcpStream>) -> u8 {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("the connection is kept");
    let [high, middle, low, kind, ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, high, middle, low]) as usize];
    stream.read_exact(&mut payload).await.expect("the connection is kept");
    kind
}

#[tokio::test]
async fn a_connection_is_pinged_while_nothing_is_asked() {
    let (acceptor, roots) = tls(&["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let link = format!("https://good.lab:{}/", listener.local_addr().unwrap().port());
    let link = Link::parse(&link).unwrap();
    let serving = tokio::spawn(async move {
        let mut stream = acceptor.accept(listener.accept().await.unwrap().0).await.unwrap();
        let mut preface = [0; PREFACE.len()];
        stream.read_exact(&mut preface).await.unwrap();
        assert_eq!(preface, PREFACE);
        // Settings that change nothing.
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        while frame(&mut stream).await != HEADERS {}
        // Status 200, and nothing else, on the first stream.
        stream.write_all(&[0, 0, 1, HEADERS, 5, 0, 0, 0, 1, 0x88]).await.unwrap();
        stream
    });
    let client = Client::guarded(&Trust::new(roots), &guard());
    client.fetch(&link, 1000, clock::monotonic() + FAR).await.unwrap();
    let mut stream = serving.await.unwrap();
    // From here on time is over as soon as nobody has anything to do.
    time::pause();
    while frame(&mut stream).await != PING {}
}
