//! What the `webrtc` crate publishes over WHIP, it plays over WHEP, picture by picture.

use std::time::Duration;

use bytes::Bytes;
use onair_interop::server::Server;
use onair_interop::webrtc_crate::{self, Packet, Player};

/// What takes longer than this does not happen at all.
const DEADLINE: Duration = Duration::from_secs(60);

/// The pictures of the recording.
fn pictures() -> Vec<Bytes> {
    let path = format!("{}/../../media-fixtures/vp8.ivf", env!("CARGO_MANIFEST_DIR"));
    let file = Bytes::from(std::fs::read(path).expect("a fixture"));
    let (mut at, mut pictures) = (32, Vec::new());
    while at < file.len() {
        let length = u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
        pictures.push(file.slice(at + 12..at + 12 + length));
        at += 12 + length;
    }
    pictures
}

/// The payload behind its descriptor (RFC 7741 §4.2).
fn behind_descriptor(payload: &[u8]) -> &[u8] {
    let mut length = 1;
    if payload[0] & 0x80 != 0 {
        let extensions = payload[1];
        length = 2;
        if extensions & 0x80 != 0 {
            length += if payload[length] & 0x80 != 0 { 2 } else { 1 };
        }
        length += usize::from(extensions & 0x40 != 0) + usize::from(extensions & 0x30 != 0);
    }
    &payload[length..]
}

/// The next whole picture and its time.
async fn picture(player: &mut Player, before: &mut Option<u16>) -> (Vec<u8>, u32) {
    let mut picture = Vec::new();
    loop {
        let next = tokio::time::timeout(DEADLINE, player.packets.recv()).await.expect("a packet in time");
        let (payload, marker, sequence, timestamp): Packet = next.expect("the player lives");
        assert!(before.is_none_or(|before| sequence == before.wrapping_add(1)), "{before:?} {sequence}");
        *before = Some(sequence);
        picture.extend_from_slice(behind_descriptor(&payload));
        if marker {
            return (picture, timestamp);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_webrtc_crate_publishes_it_plays() {
    let server = Server::start().await;
    let pictures = pictures();
    let publisher = webrtc_crate::publisher(server.http, &server.key).await;
    let sent = pictures.clone();
    let publishing = tokio::spawn(async move {
        let mut clock = tokio::time::interval(Duration::from_millis(33));
        for picture in sent.iter().cycle() {
            clock.tick().await;
            publisher.send(picture.clone()).await;
        }
    });
    let mut player = webrtc_crate::player(server.http).await;

    let known =
        |shown: &[u8]| pictures.iter().position(|picture| *picture == shown).expect("a known picture");
    let mut sequence = None;
    let (first, mut time) = picture(&mut player, &mut sequence).await;
    let mut place = known(&first);
    // More than a round.
    for _ in 0..200 {
        let (shown, timestamp) = picture(&mut player, &mut sequence).await;
        let next = known(&shown);
        assert_eq!(next, (place + 1) % pictures.len());
        assert!((1..90_000).contains(&timestamp.wrapping_sub(time)), "from {time} to {timestamp}");
        (place, time) = (next, timestamp);
    }
    publishing.abort();
}
