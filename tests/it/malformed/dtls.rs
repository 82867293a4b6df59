//! B28: handshakes over bad paths, and records that no DTLS library sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use str0m::config::DtlsCert;

use super::stage::{Stage, short, start_of};
use crate::support::relay::Direction;
use crate::support::webrtc::Options;
use crate::support::{Relay, Server, WhepPlayer, join_all};

/// Datagrams of a handshake in one direction, with some to spare.
const DATAGRAMS: usize = 8;

fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// What happens to one datagram of a handshake.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Lost,
    /// A byte in the middle is another.
    Changed,
    /// It is cut in half.
    Cut,
}

/// A viewer the `number`th of whose DTLS datagrams in a direction has a mishap: whether he is connected all the same, and how
/// many such datagrams there were.
async fn joins(server: &Server, direction: Direction, number: usize, mishap: Mishap) -> (bool, usize) {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let relay = Relay::tampering(server.udp, move |way, datagram| {
        if way != direction || !is_dtls(datagram) || count.fetch_add(1, Ordering::Relaxed) != number {
            return true;
        }
        let middle = datagram.len() / 2;
        match mishap {
            Mishap::Lost => return false,
            Mishap::Changed => datagram[middle] ^= 0x55,
            Mishap::Cut => datagram.truncate(middle),
        }
        true
    })
    .await;
    let options = Options { via: Some(relay.address), ..Options::default() };
    let mut player = WhepPlayer::begin(server, "kitchen", &options).await;
    let connected = player.session.connects().await;
    if connected {
        // Where the server's last flight was lost, its first packets came before their keys.
        player.request_keyframe().await;
        player.until_pictures(1).await;
        assert_eq!(player.session.resource.delete().await, 200);
    }
    (connected, seen.load(Ordering::Relaxed))
}

/// A stage on which publishers may say nothing for a while.
async fn patient_stage(setup_seconds: u64) -> Stage {
    Stage::with(|config| {
        config.webrtc.setup_timeout = Duration::from_secs(setup_seconds);
        config.rtmp.idle_timeout = Duration::from_secs(300);
    })
    .await
}

/// A mishap to each datagram of a handshake in turn: which there were, and whether the viewer was connected.
async fn every_mishap(mishap: Mishap) -> (Stage, Vec<(Direction, usize, bool)>) {
    let stage = patient_stage(20).await;
    let _encoder = stage.on_air().await;
    let mut attempts = Vec::new();
    for direction in [Direction::Up, Direction::Down] {
        for number in 0..DATAGRAMS {
            let server = &stage.server;
            attempts.push(async move {
                let (connected, seen) = joins(server, direction, number, mishap).await;
                // Later datagrams than there are have no mishap.
                (seen > number).then_some((direction, number, connected))
            });
        }
    }
    let results: Vec<_> = join_all(attempts).await.into_iter().flatten().collect();
    assert!(results.len() >= 4, "{results:?}");
    (stage, results)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b28_whichever_datagram_of_the_handshake_is_lost_the_viewer_is_connected() {
    let (mut stage, results) = every_mishap(Mishap::Lost).await;
    for (direction, number, connected) in results {
        assert!(connected, "{direction:?} {number}");
    }
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b28_a_changed_or_cut_datagram_costs_at_most_its_own_session() {
    for mishap in [Mishap::Changed, Mishap::Cut] {
        let (mut stage, results) = every_mishap(mishap).await;
        println!("{mishap:?}: {results:?}");
        stage.server.until_at("onair_webrtc_sessions", 0.0).await;
        stage.is_unharmed().await;
    }
}

/// A DTLS 1.2 record of epoch 0.
fn record(content: u8, sequence: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, sequence];
    record.extend(u16::try_from(body.len()).expect("a length").to_be_bytes());
    record.extend(body);
    record
}

/// A handshake message's fragment.
fn fragment(kind: u8, total: u32, number: u16, offset: u32, body: &[u8]) -> Vec<u8> {
    let mut fragment = vec![kind];
    fragment.extend(&total.to_be_bytes()[1..]);
    fragment.extend(number.to_be_bytes());
    fragment.extend(&offset.to_be_bytes()[1..]);
    fragment.extend(&(body.len() as u32).to_be_bytes()[1..]);
    fragment.extend(body);
    fragment
}

/// Records that are wrong each in its own way.
fn nonsense() -> Vec<Vec<u8>> {
    let mut records = vec![
        record(22, 1, &[]),
        record(22, 2, &fragment(1, 0, 0, 0, &[])),
        // A message of 16 MiB, of which a byte comes.
        record(22, 3, &fragment(2, 0xff_ffff, 0, 0, &[0])),
        record(22, 4, &fragment(2, 0xff_ffff, 0, 0xff_fffe, &[0])),
        record(22, 5, &fragment(11, 100, 1, 200, &[0; 50])),
        record(22, 6, &fragment(1, 10, 0xffff, 0, &[0; 10])),
        // A hello that wants no encryption (TLS_NULL_WITH_NULL_NULL).
        record(22, 7, &fragment(2, 38, 0, 0, &[&[0xfe, 0xfd][..], &[9; 32], &[0, 0, 0, 0]].concat())),
        record(20, 8, &[1]),
        record(20, 9, &[1, 1, 1]),
        // Warnings, and the same one many times.
        record(21, 10, &[1, 90]),
        record(21, 11, &[1]),
        record(23, 12, b"application data before its time"),
        record(99, 13, &[0; 20]),
        vec![22],
        vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 14, 0xff, 0xff, 1, 2, 3],
        vec![0x2f; 40],
        vec![63; 1_200],
    ];
    records.extend(std::iter::repeat_n(record(21, 15, &[1, 90]), 50));
    // Pieces of later messages that never become whole.
    records.extend((0..500_u16).map(|number| {
        record(22, 16, &fragment(11, 60_000, number % 40, u32::from(number) * 100, &[0; 100]))
    }));
    records
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b28_nonsense_in_place_of_a_handshake_costs_at_most_its_own_session() {
    let mut stage = patient_stage(5).await;
    let _encoder = stage.on_air().await;
    let mut survived = 0;
    let nonsense = nonsense();
    for part in [&nonsense[..8], &nonsense[8..17], &nonsense[17..67], &nonsense[67..], &nonsense[..]] {
        let mut player = WhepPlayer::begin(&stage.server, "kitchen", &Options::default()).await;
        player.session.mute(is_dtls).await;
        player.session.checked().await;
        player.session.send_raw(part.to_vec()).await;
        player.session.mute(|_| false).await;
        survived += u32::from(connects(&stage, &mut player).await);
    }
    println!("{survived} of 5 sessions were connected all the same");
    stage.is_unharmed().await;
    WhepPlayer::join(&stage.server, "kitchen").await.until_pictures(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b28_nonsense_after_the_handshake_changes_nothing() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    player.session.send_raw(nonsense()).await;
    // A fatal alert that anybody could have written.
    player.session.send_raw(vec![record(21, 90, &[2, 40]), record(21, 91, &[1, 0])]).await;
    encoder.send(&short().tags[start_of(&short()).len()..]).await;
    player.until_pictures(60).await;
    assert!(!player.gone);
    stage.is_unharmed().await;
}

/// Whether the only session there is gets connected before the server gives it up; it is ended either way.
async fn connects(stage: &Stage, player: &mut WhepPlayer) -> bool {
    let connected = tokio::select! {
        connected = player.session.connects() => connected,
        () = stage.server.until_at("onair_webrtc_sessions", 0.0) => false,
    };
    if connected {
        assert_eq!(player.session.resource.delete().await, 200);
    }
    stage.server.until_at("onair_webrtc_sessions", 0.0).await;
    connected
}

/// A certificate with many names in it.
fn large_certificate() -> DtlsCert {
    let names: Vec<String> =
        (0..300).map(|number| format!("a-rather-long-name-{number}.example.org")).collect();
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate =
        rcgen::CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate");
    DtlsCert { certificate: certificate.der().to_vec(), private_key: key.serialize_der() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b28_a_certificate_of_many_datagrams_is_taken_or_costs_its_own_session() {
    let mut stage = patient_stage(5).await;
    let _encoder = stage.on_air().await;
    let options =
        Options { configure: |config| config.set_dtls_cert(large_certificate()), ..Options::default() };
    let mut player = WhepPlayer::begin(&stage.server, "kitchen", &options).await;
    let connected = connects(&stage, &mut player).await;
    println!("connected: {connected}");
    stage.is_unharmed().await;
    WhepPlayer::join(&stage.server, "kitchen").await.until_pictures(1).await;
}
