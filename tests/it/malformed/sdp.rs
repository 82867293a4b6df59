//! B23 and B24: bodies that are no offers, and offers that cannot be answered.

use std::net::Ipv4Addr;

use str0m::media::Direction;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::stage::Stage;
use crate::support::http::request;
use crate::support::webrtc::Options;
use crate::support::webrtc::session::Offering;
use crate::support::webrtc::signalling::{SDP, post, refusal, text_of};
use crate::support::{WhepPlayer, in_time};

/// A browser's offer to watch.
async fn offer(stage: &Stage) -> String {
    Offering::make(&stage.server, Direction::RecvOnly, &Options::default()).await.offer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b23_bodies_that_are_no_offers_are_refused() {
    let mut stage = Stage::set().await;
    let _encoder = stage.on_air().await;
    let http = stage.server.http;
    let key = stage.channel.key.clone();
    for body in ["", "\0", "v=1\r\n", "{}", "<html>", "v=0\r\n"] {
        for (path, key) in [("/whep/kitchen", None), ("/whip/kitchen", Some(key.as_str()))] {
            let (status, code, words) = refusal(post(http, path, key, body).await).await;
            assert_eq!((status, code.as_str()), (400, "invalid_offer"), "{path} {body:?}: {words}");
        }
    }
    let not_text =
        request(http, "POST", "/whep/kitchen", &[("content-type", SDP)], &[b'v', b'=', b'0', 0xff]).await;
    assert_eq!(not_text.status, 400);
    let large = format!("v=0\r\n{}", "a=x\r\n".repeat(30_000));
    assert_eq!(post(http, "/whep/kitchen", None, &large).await.status, 413);
    for method in ["PUT", "DELETE", "TRACE", "PROPFIND"] {
        assert_eq!(
            request(http, method, "/whep/kitchen", &[("content-type", SDP)], b"v=0").await.status,
            405,
            "{method}"
        );
    }
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b23_a_body_without_an_end_is_cut_off() {
    let mut stage = Stage::set().await;
    let _encoder = stage.on_air().await;
    let mut stream = TcpStream::connect(stage.server.http).await.expect("HTTP is served");
    let head = format!(
        "POST /whep/kitchen HTTP/1.1\r\nhost: x\r\ncontent-type: {SDP}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    let mut answer = Vec::new();
    let endless = async {
        let (mut read, mut write) = stream.split();
        let feed = async { while write.write_all(b"10\r\na=xxxxxxxxxxxxxx\r\n").await.is_ok() {} };
        tokio::select! {
            () = feed => {}
            _ = read.read_to_end(&mut answer) => {}
        }
        let _ = read.read_to_end(&mut answer).await;
    };
    in_time("the end of the endless", endless).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 413"), "{}", answer.escape_ascii());
    stage.is_unharmed().await;
}

/// Offers with something wrong, and a word of what the server says of it.
fn wrong(good: &str) -> Vec<(&'static str, String, &'static str)> {
    let without = |prefix: &str| -> String {
        good.lines().filter(|line| !line.starts_with(prefix)).map(|line| format!("{line}\r\n")).collect()
    };
    let section_at = good.find("m=audio").expect("a section");
    let sections = &good[section_at..];
    let mid = good.lines().find_map(|line| line.strip_prefix("a=mid:")).expect("a name");
    let other_mid = good.lines().filter_map(|line| line.strip_prefix("a=mid:")).nth(1).expect("two names");
    vec![
        ("no BUNDLE", without("a=group:BUNDLE"), "BUNDLE"),
        ("no rtcp-mux", without("a=rtcp-mux"), "rtcp-mux"),
        ("inactive", good.replace("a=recvonly", "a=inactive"), "inactive"),
        ("the wrong way", good.replace("a=recvonly", "a=sendonly"), "sendonly"),
        ("100 sections", format!("{good}{}", sections.repeat(50)), "more than one"),
        ("two of a name", good.replace(other_mid, mid), "distinct"),
        ("no names", without("a=mid:"), "a=mid"),
        ("no fingerprint", without("a=fingerprint:"), "fingerprint"),
        ("SHA-1", good.replace("sha-256", "sha-1"), "SHA-256"),
        ("no name fragment", without("a=ice-ufrag:"), "ice-ufrag"),
        ("no password", without("a=ice-pwd:"), "ice-pwd"),
        ("data channels", good.replace("m=video", "m=application"), "neither audio nor video"),
        (
            "10,000 candidates",
            good.replace(
                "a=mid:",
                &format!("{}a=mid:", "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(1_200)),
            ),
            "lines",
        ),
        ("a line without an end", good.replace("s=-", &format!("s={}", "x".repeat(20_000))), "bytes"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b24_offers_that_cannot_be_answered_are_refused_in_words() {
    let mut stage = Stage::set().await;
    let _encoder = stage.on_air().await;
    let good = offer(&stage).await;
    for (what, offer, word) in wrong(&good) {
        assert!(offer != good, "{what}: nothing is wrong");
        let response = post(stage.server.http, "/whep/kitchen", None, &offer).await;
        if offer.len() > 64 << 10 {
            assert_eq!(response.status, 413, "{what}");
            continue;
        }
        let (status, code, words) = refusal(response).await;
        assert_eq!((status, code.as_str()), (400, "invalid_offer"), "{what}: {words}");
        assert!(words.contains(word), "{what}: {words}");
    }
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b24_what_is_odd_is_answered_or_refused_but_never_breaks_anything() {
    let mut stage = Stage::set().await;
    let _encoder = stage.on_air().await;
    let good = offer(&stage).await;
    let odd = [
        ("no setup", good.replace("a=setup:actpass\r\n", "")),
        ("holdconn", good.replace("a=setup:actpass", "a=setup:holdconn")),
        ("a format without a number", good.replace("a=fmtp:", "a=fmtp:x ")),
        ("formats that lie", good.replace("packetization-mode=1", "packetization-mode=99999999999999999999")),
        ("a profile of nothing", good.replace("profile-level-id=", "profile-level-id=zz")),
        ("payload types beyond", good.replace("a=rtpmap:", "a=rtpmap:999")),
        ("an empty map", good.replace("a=rtpmap:", "a=rtpmap: ")),
        ("apt in a circle", good.replace("apt=", "apt=1")),
        (
            "two of an SSRC",
            good.replace("a=mid:", "a=ssrc:1 cname:a\r\na=ssrc:1 cname:b\r\na=ssrc-group:FID 1 1\r\na=mid:"),
        ),
        ("extensions beyond", good.replace("a=extmap:", "a=extmap:99999")),
        ("an extension of number 0", good.replace("a=extmap:1 ", "a=extmap:0 ")),
        (
            "simulcast from a viewer",
            good.replace("a=recvonly", "a=recvonly\r\na=rid:x send\r\na=simulcast:send x;~x,,;"),
        ),
        ("a fingerprint of nothing", good.replace("a=fingerprint:sha-256 ", "a=fingerprint:sha-256 ZZ")),
        ("only line feeds", good.replace("\r\n", "\n")),
        ("nul", good.replace("s=-", "s=\0")),
        ("no time", good.replace("t=0 0\r\n", "")),
        ("a port of 0", good.replace("m=video 9", "m=video 0")),
        ("a section with nothing in it", good.replace("UDP/TLS/RTP/SAVPF ", "UDP/TLS/RTP/SAVPF 5 ")),
    ];
    let mut answered = Vec::new();
    for (what, offer) in odd {
        let response = post(stage.server.http, "/whep/kitchen", None, &offer).await;
        assert!([201, 400, 406, 422].contains(&response.status), "{what}: {}", response.status);
        // To a counter-offer there is a session, too.
        if matches!(response.status, 201 | 406) {
            answered.push(what);
        }
    }
    println!("answered: {answered:?}");
    stage.server.until_at("onair_webrtc_sessions", answered.len() as f64).await;
    // And every prefix of a good one.
    for length in (0..good.len()).step_by(97) {
        let status = post(stage.server.http, "/whep/kitchen", None, &good[..length]).await.status;
        assert!([201, 400, 406, 422].contains(&status), "{status} after {length} bytes");
    }
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b24_nothing_is_sent_to_addresses_that_an_offer_names() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let victim = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
    let address = victim.local_addr().expect("an address");
    let candidates = [
        format!("a=candidate:1 1 udp 2130706431 {} {} typ host\r\n", address.ip(), address.port()),
        "a=candidate:2 1 udp 2130706431 169.254.169.254 80 typ host\r\n".to_owned(),
        "a=candidate:3 1 udp 2130706431 10.0.0.1 53 typ srflx raddr 0.0.0.0 rport 9\r\n".to_owned(),
        "a=candidate:4 1 tcp 2130706431 127.0.0.1 22 typ host tcptype passive\r\n".to_owned(),
        "a=candidate:5 1 udp 2130706431 4b36cac1-b3d1-41b4-9f9e-2f5c5b4f1c3a.local 5000 typ host\r\n"
            .to_owned(),
        "a=candidate:nonsense\r\n".to_owned(),
    ]
    .concat();
    let offering = Offering::make(&stage.server, Direction::RecvOnly, &Options::default()).await;
    let offer = offering.offer.replace("a=mid:", &format!("{candidates}a=mid:"));
    let response = post(stage.server.http, "/whep/kitchen", None, &offer).await;
    let answer = text_of(response, 201).await;
    assert!(!answer.contains("169.254"), "{answer}");

    // A whole session beside it connects and gets pictures: in that time something would have been sent.
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    encoder.send(&super::stage::short().tags[super::stage::start_of(&super::stage::short()).len()..]).await;
    player.until_pictures(60).await;
    let mut buffer = [0; 2048];
    let got = victim.try_recv_from(&mut buffer);
    assert!(got.is_err(), "{got:?}");
    stage.is_unharmed().await;
}
