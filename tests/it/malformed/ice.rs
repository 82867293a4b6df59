//! B27: connectivity checks that are forged, malformed or nobody's; and what an address that has proved nothing gets to see.

use std::net::Ipv4Addr;

use str0m::IceCreds;
use tokio::net::UdpSocket;

use super::stage::{Stage, short, start_of};
use crate::support::webrtc::stun::{Stun, USERNAME};
use crate::support::{Server, WhepPlayer, in_time};

/// An address of which the server knows nothing.
struct Stranger {
    socket: UdpSocket,
}

impl Stranger {
    async fn of(server: &Server) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        socket.connect(server.udp).await.expect("an address");
        Self { socket }
    }

    async fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).await.expect("a datagram");
    }

    /// The next datagram from the server.
    async fn next(&self) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = in_time("an answer", self.socket.recv(&mut buffer)).await.expect("a datagram");
        buffer[..length].to_vec()
    }

    /// The first thing that the server says to this address is the answer to this check.
    async fn has_heard_nothing_before(&self, check: &[u8]) -> usize {
        self.send(check).await;
        let answer = self.next().await;
        assert_eq!(answer[..2], [1, 1], "a success response: {}", answer.escape_ascii());
        assert_eq!(answer[8..20], check[8..20], "to this check and not to another");
        answer.len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b27_forged_and_malformed_checks_are_not_answered_and_valid_ones_not_with_more_than_they_sent() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    let server = player.session.server_credentials();
    let client = player.session.credentials().await;
    let valid = |transaction| {
        Stun::check(transaction, &server, &client).authentic(&server.pass).fingerprinted().bytes()
    };
    let nobody = IceCreds { ufrag: "00nobodynobody".to_owned(), pass: server.pass.clone() };
    let of_no_shard = IceCreds { ufrag: "zzzz".to_owned(), pass: server.pass.clone() };
    let far_shard = IceCreds { ufrag: "ffnobodynobody".to_owned(), pass: server.pass.clone() };

    let stranger = Stranger::of(&stage.server).await;
    let good = valid(1);
    let mut bad = vec![
        Stun::request(1).bytes(),
        Stun::request(1).fingerprinted().bytes(),
        Stun::check(1, &server, &client).bytes(),
        Stun::check(1, &server, &client).fingerprinted().bytes(),
        Stun::check(1, &server, &client).authentic("not the password").fingerprinted().bytes(),
        Stun::check(1, &server, &client).authentic("").fingerprinted().bytes(),
        Stun::check(1, &nobody, &client).authentic(&server.pass).fingerprinted().bytes(),
        Stun::check(1, &of_no_shard, &client).authentic(&server.pass).fingerprinted().bytes(),
        Stun::check(1, &far_shard, &client).authentic(&server.pass).fingerprinted().bytes(),
        Stun::request(1).with(USERNAME, &[b'a'; 1_000]).authentic(&server.pass).bytes(),
        Stun::request(1).with(USERNAME, b":").authentic(&server.pass).bytes(),
        Stun::request(1).with(USERNAME, &[0xff; 20]).authentic(&server.pass).bytes(),
        Stun::request(1).with(0x7fff, &[0; 1_400]).bytes(),
    ];
    // Every truncation, every flipped byte but those of the checksum, other types of messages.
    bad.extend((0..good.len()).map(|length| good[..length].to_vec()));
    for at in 0..good.len() - 8 {
        let mut changed = good.clone();
        changed[at] ^= 0x11;
        bad.push(changed);
    }
    for kind in [0x0011_u16, 0x0101, 0x0111, 0x0003, 0x0004, 0x3fff] {
        let mut other = good.clone();
        other[..2].copy_from_slice(&kind.to_be_bytes());
        bad.push(other);
    }
    for datagram in bad.iter().filter(|datagram| !datagram.is_empty()) {
        stranger.send(datagram).await;
    }
    let check = valid(99);
    let answered = stranger.has_heard_nothing_before(&check).await;
    assert!(answered <= check.len(), "{answered} bytes for {}", check.len());
    stage.server.until_counted("onair_webrtc_discarded_total{reason=\"unknown\"}", 5.0).await;
    stage.server.until_counted("onair_webrtc_discarded_total{reason=\"forged check\"}", 5.0).await;

    // An address that has now proved itself did not take the stream away: it was told nothing of media's keys, and the
    // player's next check takes it back.
    drop(stranger);
    let own = valid(77);
    player.session.send_raw(vec![own]).await;
    encoder.send(&short().tags[start_of(&short()).len()..]).await;
    player.until(|player| player.pictures.len() >= 2).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b27_b28_who_has_proved_nothing_gets_no_answer_whatever_he_sends() {
    let mut stage = Stage::set().await;
    let _encoder = stage.on_air().await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    let server = player.session.server_credentials();
    let client = player.session.credentials().await;
    let before = stage.server.metrics().await.value("onair_webrtc_packets_sent_total");

    let stranger = Stranger::of(&stage.server).await;
    let mut client_hello =
        vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xfe, 0xfd];
    client_hello.extend([7; 32]);
    client_hello.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let mut sent = 0.0;
    for datagram in [
        &client_hello[..],
        &[20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1],
        &[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40],
        &[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3],
        &[0x80, 200, 0, 1, 0, 0, 0, 1],
        &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2],
        &[0x2f; 64],
        &[0xff; 1_400],
        b"GET / HTTP/1.1\r\n\r\n",
        &[0],
    ] {
        for _ in 0..20 {
            stranger.send(datagram).await;
            sent += 1.0;
        }
    }
    let check = Stun::check(9, &server, &client).authentic(&server.pass).fingerprinted().bytes();
    stranger.has_heard_nothing_before(&check).await;
    let metrics = stage.server.metrics().await;
    let discarded: f64 = ["unknown", "nonsense"]
        .map(|reason| metrics.value(&format!("onair_webrtc_discarded_total{{reason=\"{reason}\"}}")))
        .iter()
        .sum();
    assert!(discarded >= sent, "{discarded} of {sent} are counted");
    let answered = metrics.value("onair_webrtc_packets_sent_total") - before;
    assert!(answered < 50.0, "{answered} datagrams were sent meanwhile");
    stage.is_unharmed().await;
}
