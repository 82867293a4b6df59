//! HTTP/2 over TLS, frame by frame.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::clock;
use crate::net::tls;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const NO_ERROR: u32 = 0;
const END_HEADERS: u8 = 4;

/// A peer that sends whatever frames a test wants.
struct Peer {
    stream: TlsStream<TcpStream>,
}

struct Received {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

async fn secure_server() -> (Running, Arc<ClientConfig>) {
    let dir = std::env::temp_dir().join(format!(
        "onair-h2-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::create_dir_all(&dir).unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = tls::Config { cert: Some(cert.clone()), key: Some(key), self_signed: false };
    let certificates = tls::Certificates::load(&config).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&cert).unwrap()).unwrap();
    std::fs::remove_dir_all(dir).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (start(Some(certificates.acceptor(ALPN))).await, Arc::new(client))
}

async fn tls_stream(
    server: &Running,
    client: &Arc<ClientConfig>,
    protocols: &[&[u8]],
) -> TlsStream<TcpStream> {
    let mut client = ClientConfig::clone(client);
    client.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(client)).connect(name, server.connect().await).await.unwrap()
}

/// HPACK for `GET path` of localhost, with raw literals after it.
fn get_headers(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut block = vec![0x82, 0x87]; // :method GET, :scheme https
    for (index, value) in [(0x01, "localhost"), (0x04, path)] {
        block.extend([index, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    for (name, value) in more {
        block.extend([0, u8::try_from(name.len()).unwrap()]);
        block.extend(name.as_bytes());
        assert!(value.len() < 127);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend(value.as_bytes());
    }
    block
}

impl Peer {
    async fn connect(server: &Running, client: &Arc<ClientConfig>) -> Self {
        let stream = tls_stream(server, client, &[b"h2"]).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let mut peer = Self { stream };
        peer.stream.write_all(PREFACE).await.unwrap();
        peer.send(SETTINGS, 0, 0, &[]).await.unwrap();
        peer
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    async fn get(&mut self, stream: u32, path: &str) -> std::io::Result<()> {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &get_headers(path, &[])).await
    }

    /// The next frame, `None` when the connection is over.
    async fn receive(&mut self) -> Option<Received> {
        let frame = async {
            let mut head = [0; 9];
            self.stream.read_exact(&mut head).await.ok()?;
            let [a, b, c, kind, flags, s @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.stream.read_exact(&mut payload).await.ok()?;
            Some(Received { kind, flags, stream: u32::from_be_bytes(s), payload })
        };
        tokio::time::timeout(SOON, frame).await.expect("a frame or the end")
    }

    /// Reads until the server gives the connection up; the error of its GOAWAY, if it sent one.
    async fn end(&mut self) -> Option<u32> {
        while let Some(frame) = self.receive().await {
            if frame.kind == GOAWAY {
                return frame.payload[4..8].try_into().map(u32::from_be_bytes).ok();
            }
        }
        None
    }
}

#[tokio::test]
async fn tls_offers_both_versions_and_http2_answers() {
    let (server, client) = secure_server().await;
    let mut old = tls_stream(&server, &client, &[b"http/1.1"]).await;
    old.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut old).await.ends_with("localhost"));
    let mut viewer = tls_stream(&server, &client, &[b"http/1.1"]).await;
    viewer.write_all(b"GET /lines HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(until_closed(&mut viewer).await.ends_with("line 99998\n\r\n0\r\n\r\n"));

    let mut peer = Peer::connect(&server, &client).await;
    peer.get(1, "/").await.unwrap();
    let body = loop {
        let frame = peer.receive().await.expect("an answer");
        if frame.kind == DATA && frame.stream == 1 {
            break frame.payload;
        }
    };
    assert_eq!(body, b"localhost");
}

#[tokio::test]
async fn b26_reset_floods_end_the_connection() {
    let (server, client) = secure_server().await;
    let mut peer = Peer::connect(&server, &client).await;
    for stream in (1..20_000).step_by(2) {
        let sent = async {
            peer.get(stream, "/never").await?;
            peer.send(RST_STREAM, 0, stream, &8_u32.to_be_bytes()).await
        };
        if sent.await.is_err() {
            break;
        }
    }
    assert_ne!(peer.end().await, Some(NO_ERROR));
    assert!(Peer::connect(&server, &client).await.get(1, "/").await.is_ok());
}

#[tokio::test]
async fn b26_headers_without_end_end_the_connection() {
    let (server, client) = secure_server().await;
    let mut peer = Peer::connect(&server, &client).await;
    peer.send(HEADERS, END_STREAM, 1, &get_headers("/", &[])).await.unwrap();
    let filler: Vec<u8> = get_headers("/", &[("x-filler", &"a".repeat(100))])[20..].to_vec();
    for _ in 0..10_000 {
        if peer.send(CONTINUATION, 0, 1, &filler).await.is_err() {
            break;
        }
    }
    assert_ne!(peer.end().await, Some(NO_ERROR));
}

#[tokio::test]
async fn b26_a_continuation_out_of_place_ends_the_connection() {
    let (server, client) = secure_server().await;
    let mut peer = Peer::connect(&server, &client).await;
    peer.send(HEADERS, END_STREAM, 1, &get_headers("/", &[])).await.unwrap();
    peer.get(3, "/").await.unwrap();
    assert_ne!(peer.end().await, Some(NO_ERROR));
    let mut peer = Peer::connect(&server, &client).await;
    peer.send(HEADERS, END_STREAM | END_HEADERS, 1, &[0x80, 0xff, 0xff, 0xff]).await.unwrap();
    assert_ne!(peer.end().await, Some(NO_ERROR));
}

#[tokio::test]
async fn b26_a_header_list_beyond_the_limit_is_refused() {
    let (server, client) = secure_server().await;
    let mut peer = Peer::connect(&server, &client).await;
    let value = "v".repeat(100);
    let many: Vec<(&str, &str)> = (0..120).map(|_| ("x-many", value.as_str())).collect();
    let block = get_headers("/", &many);
    peer.send(HEADERS, END_STREAM | END_HEADERS, 1, &block).await.unwrap();
    loop {
        let Some(frame) = peer.receive().await else { break };
        let answered_well = frame.kind == HEADERS && frame.payload.first() == Some(&0x88);
        assert!(!answered_well, "a list of {} bytes was taken", block.len());
        if matches!(frame.kind, RST_STREAM | GOAWAY) || frame.kind == HEADERS {
            break;
        }
    }
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_served() {
    let (server, client) = secure_server().await;
    let mut peer = Peer::connect(&server, &client).await;
    for stream in (1..=2 * 100).step_by(2) {
        peer.get(stream, "/never").await.unwrap();
    }
    let (mut refused, mut answered) = (0, 0);
    while refused + answered < 100 {
        let frame = peer.receive().await.expect("the connection stays");
        match frame.kind {
            RST_STREAM => refused += 1,
            HEADERS => answered += 1,
            _ => {}
        }
    }
    assert_eq!((refused, answered), (36, 64));
}

#[tokio::test]
async fn an_idle_http2_connection_is_let_go_and_a_streaming_one_is_not() {
    let (server, client) = secure_server().await;
    let mut idle = Peer::connect(&server, &client).await;
    assert_eq!(idle.end().await, Some(NO_ERROR));
    drop(idle);
    server.connections_end().await;

    let mut streaming = Peer::connect(&server, &client).await;
    streaming.get(1, "/stream").await.unwrap();
    let began = clock::monotonic();
    let mut taken = 0;
    // Well beyond the idle limit, taking a little at a time.
    while clock::monotonic() - began < Duration::from_secs(2) {
        let frame = streaming.receive().await.expect("the stream goes on");
        assert!(frame.kind != RST_STREAM, "the stream was reset");
        if frame.kind == SETTINGS && frame.flags & ACK == 0 {
            streaming.send(SETTINGS, ACK, 0, &[]).await.unwrap();
        }
        if frame.kind == DATA {
            taken += frame.payload.len();
            let credit = u32::try_from(frame.payload.len()).unwrap().to_be_bytes();
            for stream in [0, 1] {
                streaming.send(8, 0, stream, &credit).await.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    assert!(taken > 1 << 20, "{taken}");
}
