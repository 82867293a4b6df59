//! B30: viewers who stop reading, a thousand of them, on the real program.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::packet::assert_same;
use crate::support::process::Process;
use crate::support::{Encoder, Fixture, Packet, Player, Viewer, in_time};

/// Viewers of each protocol.
const SLEEPERS: usize = 500;

const CONFIG: &str = r#"
[rtmp]
stall_timeout = "2s"
send_buffer = "64KiB"
[http]
stall_timeout = "2s"
[flv]
send_buffer = "64KiB"
[broadcast]
window_bytes = "4MiB"
"#;

/// What `[broadcast]` and `[rtmp]` above allow: the frames, and their form in each of two containers; for a viewer, the
/// state of a connection, and what he holds of a batch that has left memory meanwhile.
const RINGS: u64 = 3 * (4 << 20);
const PER_VIEWER: u64 = 32 << 10;

/// A connection whose receiver has room for next to nothing.
async fn narrow(server: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.connect(server).await.expect("a connection")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b30_a_thousand_viewers_who_stop_reading_cost_what_was_stated_and_nobody_else_notices() {
    let server = Process::start(CONFIG).await;
    let channel = server.channel("kitchen").await;
    // A minute of 4 Mbit/s.
    let second = Fixture::read("video-only").padded(16 << 10).until_last_picture();
    let mut encoder = Encoder::publish(server.rtmp, &channel.key).await;
    let mut viewers =
        [Viewer::rtmp_at(server.rtmp, "kitchen").await, Viewer::flv_at(server.http, "kitchen").await];
    let start = second.until_joinable();
    encoder.send(&second.tags[..start]).await;
    for viewer in &mut viewers {
        viewer.frame().await;
    }
    let before = server.memory();

    let mut sleepers = Vec::new();
    for _ in 0..SLEEPERS {
        let stream = narrow(server.rtmp).await;
        sleepers.push(Player::join_on(stream, server.rtmp, "kitchen").await);
    }
    let mut downloads = Vec::new();
    for _ in 0..SLEEPERS {
        let mut stream = narrow(server.http).await;
        stream.write_all(b"GET /live/kitchen.flv HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request");
        downloads.push(stream);
    }
    let all_there = async {
        while server.metrics().await.value("onair_viewers{protocol=\"http_flv\"}") < (SLEEPERS + 1) as f64 {}
    };
    in_time("a thousand viewers", all_there).await;

    let budget = before + RINGS + 2 * SLEEPERS as u64 * PER_VIEWER;
    let mut most = 0;
    let mut shown = 1;
    let mut rounds = 0;
    let gone = async {
        loop {
            let metrics = server.metrics().await;
            let left = metrics.value("onair_viewers{protocol=\"rtmp\"}")
                + metrics.value("onair_viewers{protocol=\"http_flv\"}");
            // At least the whole minute, and on until the last sleeper is gone.
            if rounds >= 10 && left == 2.0 {
                break;
            }
            let round = second.clone().later(rounds * 6_000);
            let tags = if rounds == 0 { &round.tags[start..] } else { &round.tags[1..] };
            for tags in tags.chunks(30) {
                encoder.send(tags).await;
                for viewer in &mut viewers {
                    viewer.frames(tags.len()).await;
                }
                shown += tags.len();
                most = most.max(server.memory());
            }
            rounds += 1;
        }
    };
    in_time("the sleepers' end", gone).await;
    assert!(most <= budget, "{} KiB beyond the {} KiB at the start", (most - before) >> 10, before >> 10);

    let one = Packet { dts: 0, ..second.expected()[0].clone() };
    for viewer in &viewers {
        let received = viewer.packets();
        assert_eq!(received.len(), shown, "{}", viewer.protocol);
        assert_same(viewer.protocol, &received[..1], std::slice::from_ref(&one));
        let times: Vec<i64> = received.iter().map(|packet| packet.dts).collect();
        assert!(
            times.windows(2).all(|pair| (30..=67).contains(&(pair[1] - pair[0]))),
            "{}: a gap",
            viewer.protocol
        );
    }
    let metrics = server.metrics().await;
    assert_eq!(metrics.value("onair_rtmp_failed_total{reason=\"socket\"}"), SLEEPERS as f64);
    assert_eq!(metrics.value("onair_rtmp_connections"), 2.0);
    println!(
        "{rounds} rounds; {} KiB more for {} viewers",
        (most.saturating_sub(before)) >> 10,
        2 * SLEEPERS
    );
}
