//! B29, the viewer's side: control packets that are forged, repeated, broken, or far too many.

use onair::format::rtp::rtcp;
use onair::protocol::webrtc::demux::{self, Kind};
use onair::protocol::webrtc::srtp::{MasterKey, Profile, Sealer};

use super::stage::{Stage, short, start_of};
use crate::support::relay::Direction;
use crate::support::webrtc::Options;
use crate::support::{Encoder, Relay, WhepPlayer};

const NOT_AUTHENTIC: &str = "onair_webrtc_discarded_total{reason=\"srtcp\"}";
const KEYFRAMES: &str = "onair_webrtc_keyframe_requests_total";
const SENT_AGAIN: &str = "onair_webrtc_retransmitted_total";
const SENT: &str = "onair_webrtc_packets_sent_total";

fn is_control(datagram: &[u8]) -> bool {
    demux::kind(datagram) == Some(Kind::Rtcp)
}

/// A viewer whose own library sends no control packets any more, what seals in its place, and the SSRC of its picture.
struct Handmade {
    player: WhepPlayer,
    sealer: Sealer,
    ssrc: u32,
    sequence: u16,
}

impl Handmade {
    async fn join(stage: &Stage) -> Self {
        let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
        player.session.mute(is_control).await;
        player.until_pictures(1).await;
        let ssrc = *player.tally.sources.iter().next().expect("a source");
        let sequence = *player.pictures[0].sequence.end() as u16;
        Self { sealer: player.session.sealer(), player, ssrc, sequence }
    }

    fn seal(&mut self, compound: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        self.sealer.seal_rtcp(compound, &mut sealed).expect("the key is young");
        sealed
    }

    /// Sends compounds.
    async fn send(&mut self, compounds: &[Vec<u8>]) {
        let sealed = compounds.iter().map(|compound| self.seal(compound)).collect();
        self.player.session.send_raw(sealed).await;
    }

    fn pli(&self) -> Vec<u8> {
        let mut compound = Vec::new();
        rtcp::write_pli(1, self.ssrc, &mut compound);
        compound
    }

    /// The rest of the short recording comes through.
    async fn goes_on(&mut self, encoder: &mut Encoder) {
        encoder.send(&short().tags[start_of(&short()).len()..]).await;
        self.player.until(|player| player.pictures.len() >= 60).await;
        assert!(!self.player.gone);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_control_packets_under_another_key_or_changed_or_repeated_are_dropped() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let relay = Relay::tampering(stage.server.udp, |_, _| true).await;
    let options = Options { via: Some(relay.address), ..Options::default() };
    let mut player = WhepPlayer::with(&stage.server, "kitchen", options).await;
    player.session.mute(is_control).await;
    player.until_pictures(1).await;
    let ssrc = *player.tally.sources.iter().next().expect("a source");
    let mut handmade = Handmade { sealer: player.session.sealer(), player, ssrc, sequence: 0 };

    let pli = handmade.pli();
    let genuine = handmade.seal(&pli);
    handmade.player.session.send_raw(vec![genuine.clone()]).await;
    stage.server.until_counted(KEYFRAMES, 1.0).await;
    // Repeated by somebody on the path, twenty times.
    for _ in 0..20 {
        relay.inject(Direction::Up, genuine.clone());
    }
    stage.server.until_counted(NOT_AUTHENTIC, 20.0).await;
    // Changed anywhere.
    let fresh = handmade.seal(&pli);
    let changed: Vec<Vec<u8>> = (0..fresh.len())
        .map(|at| {
            let mut changed = fresh.clone();
            // What it is stays readable.
            changed[at] ^= if at < 2 { 0 } else { 0x10 };
            changed.push(0);
            changed
        })
        .collect();
    let count = changed.len() as f64;
    handmade.player.session.send_raw(changed).await;
    stage.server.until_counted(NOT_AUTHENTIC, 20.0 + count).await;
    // Under other keys, and in the clear.
    for (profile, key, salt) in [
        (Profile::AeadAes128Gcm, &[7; 16][..], &[7; 12][..]),
        (Profile::AeadAes256Gcm, &[7; 32], &[7; 12]),
        (Profile::Aes128CmHmacSha1_80, &[7; 16], &[7; 14]),
    ] {
        let mut other = Sealer::new(&MasterKey::new(profile, key, salt).expect("a key")).expect("keys");
        let mut sealed = Vec::new();
        other.seal_rtcp(&pli, &mut sealed).expect("a packet");
        handmade.player.session.send_raw(vec![sealed]).await;
    }
    handmade.player.session.send_raw(vec![pli.clone(), pli[..8].to_vec()]).await;
    stage.server.until_counted(NOT_AUTHENTIC, 25.0 + count).await;
    assert_eq!(stage.server.metrics().await.value(KEYFRAMES), 1.0, "only the genuine one counts");
    handmade.goes_on(&mut encoder).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_broken_compounds_under_the_right_key_change_nothing() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut handmade = Handmade::join(&stage).await;
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let ssrc = handmade.ssrc;
    let mut compounds = vec![
        // Feedback of transport-wide congestion control for 65,535 packets, in one run and in none.
        words(&[0x8fcd_0005, 1, ssrc, 0x0000_ffff, 0x0000_0000, 0x3fff_0000]),
        words(&[0x8fcd_0004, 1, ssrc, 0x0000_ffff, 0]),
        // Bandwidth estimates of nothing, of everything, and for more sources than follow.
        words(&[0x8fce_0005, 1, 0, u32::from_be_bytes(*b"REMB"), 0x0100_0000, ssrc]),
        words(&[0x8fce_0005, 1, 0, u32::from_be_bytes(*b"REMB"), 0x01ff_ffff, ssrc]),
        words(&[0x8fce_0005, 1, 0, u32::from_be_bytes(*b"REMB"), 0xff00_0001, ssrc]),
        // Lengths that lie, versions that are not, padding beyond the packet.
        words(&[0x81c9_ffff, 1, 2]),
        words(&[0x9fc8_0001, 1]),
        words(&[0x01c9_0001, 1]),
        words(&[0xa0c9_0001, 1, 0xa1c9_0001, 0xff]),
        words(&[0x81ce_0002, 1, 0]),
        words(&[0x84ce_0002, 1, 0]),
        words(&[0x8000_0000, 0, 0, 0]),
    ];
    let mut whole = Vec::new();
    rtcp::write_receiver_report(
        1,
        &[rtcp::ReportBlock { ssrc, ..rtcp::ReportBlock::default() }],
        "name",
        &mut whole,
    );
    rtcp::write_nack(1, ssrc, [1, 2, 3, 60_000], &mut whole);
    compounds.extend((8..whole.len()).map(|length| whole[..length].to_vec()));
    compounds.push(vec![0x80; 1_400]);
    let count = compounds.len();
    handmade.send(&compounds).await;
    // Behind them all, one that is understood.
    let pli = handmade.pli();
    let before = stage.server.metrics().await.value(KEYFRAMES);
    handmade.send(&[pli]).await;
    stage.server.until_counted(KEYFRAMES, before + 1.0).await;
    println!("{count} compounds");
    handmade.goes_on(&mut encoder).await;
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_a_storm_of_nacks_is_answered_with_no_more_than_was_sent() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut handmade = Handmade::join(&stage).await;
    // For what was never sent: nothing is sent again.
    let ssrc = handmade.ssrc;
    let nack = |ssrc: u32, sequences: Vec<u16>| {
        let mut compound = Vec::new();
        rtcp::write_nack(1, ssrc, sequences, &mut compound);
        compound
    };
    let next = handmade.sequence.wrapping_add(1);
    let never_sent: Vec<Vec<u8>> = (0..50_u16)
        .map(|round| nack(ssrc, (0..100).map(|number| next.wrapping_add(round * 100 + number)).collect()))
        .collect();
    handmade.send(&never_sent).await;
    // Of a source that is nobody's.
    let nobodys: Vec<Vec<u8>> = (0..20).map(|_| nack(ssrc ^ 0xffff, (0..200).collect())).collect();
    handmade.send(&nobodys).await;
    let pli = handmade.pli();
    handmade.send(std::slice::from_ref(&pli)).await;
    stage.server.until_counted(KEYFRAMES, 1.0).await;
    assert_eq!(stage.server.metrics().await.value(SENT_AGAIN), 0.0);

    // For what was sent, again and again: bounded by what was sent at all, and a little.
    handmade.goes_on(&mut encoder).await;
    let metrics = stage.server.metrics().await;
    let (sent, asked_before) = (metrics.value(SENT), metrics.value(KEYFRAMES));
    let first = *handmade.player.pictures[0].sequence.start() as u16;
    let last = *handmade.player.pictures[59].sequence.end() as u16;
    let all: Vec<u16> = (0..=last.wrapping_sub(first)).map(|number| first.wrapping_add(number)).collect();
    let storm: Vec<Vec<u8>> = (0..100).map(|_| nack(ssrc, all.clone())).collect();
    handmade.send(&storm).await;
    handmade.send(&[pli]).await;
    stage.server.until_counted(KEYFRAMES, asked_before + 1.0).await;
    let again = stage.server.metrics().await.value(SENT_AGAIN);
    println!("{} packets asked for 100 times, {again} sent again; {sent} sent before", all.len());
    assert!(again > 0.0 && again <= 300.0 + sent, "{again} sent again of {sent}");
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_a_storm_of_keyframe_requests_restarts_the_viewer_now_and_then() {
    let mut stage = Stage::set().await;
    let mut encoder = stage.on_air().await;
    let mut handmade = Handmade::join(&stage).await;
    let before = stage.server.metrics().await.value(SENT);
    let pli = handmade.pli();
    let began = onair::clock::monotonic();
    for _ in 0..10 {
        let storm = vec![pli.clone(); 200];
        handmade.send(&storm).await;
    }
    stage.server.until_counted(KEYFRAMES, 1_000.0).await;
    let took = onair::clock::monotonic() - began;
    let sent = stage.server.metrics().await.value(SENT) - before;
    // One picture is in memory: what a restart costs is a packet or two, twice a second at most.
    let most = 20.0 + 4.0 * (took.as_secs_f64() * 2.0 + 1.0);
    println!("{sent} datagrams in {took:?} of storm");
    assert!(sent <= most, "{sent} datagrams in {took:?}");
    handmade.goes_on(&mut encoder).await;
    stage.is_unharmed().await;
}
