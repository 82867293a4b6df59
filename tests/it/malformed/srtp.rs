//! B29, the publisher's side: media packets that are repeated, forged, wrongly numbered, or lie about themselves; and numbers
//! that come to their end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BufMut as _;
use onair::media::{Codec, Kind};
use onair::protocol::webrtc::demux::{self, Kind as Datagram};
use onair::protocol::webrtc::srtp::{MasterKey, Profile, Sealer};
use tokio::time::MissedTickBehavior;

use super::stage::Stage;
use crate::support::packet::{Content, Packet};
use crate::support::relay::Direction;
use crate::support::webrtc::recording::essence_of_payload;
use crate::support::webrtc::{Options, Unit, essence, player};
use crate::support::{Encoder, Fixture, Recording, Relay, WhepPlayer, WhipPublisher};

fn is_media(datagram: &[u8]) -> bool {
    demux::kind(datagram) == Some(Datagram::Rtp)
}

/// A publisher with a recording on the air, a viewer who has the first picture, and the rest of the recording.
async fn on_air(stage: &Stage, options: Options) -> (WhipPublisher, WhepPlayer, Vec<Vec<Unit>>) {
    let recording = Recording::read("h264-opus");
    let mut publisher = WhipPublisher::with(&stage.server, &stage.channel, options).await;
    stage.server.until_live("kitchen", true).await;
    let mut steps: Vec<Vec<Unit>> = recording.steps().map(<[Unit]>::to_vec).collect();
    publisher.send(&steps.remove(0)).await;
    stage.server.until_tracks("kitchen", 2).await;
    let mut player = WhepPlayer::join(&stage.server, "kitchen").await;
    player.until_pictures(1).await;
    (publisher, player, steps)
}

/// The stream goes on with these pictures, and nothing else has come to the viewer.
async fn goes_on(publisher: &mut WhipPublisher, player: &mut WhepPlayer, steps: &[Vec<Unit>]) {
    let before = player.pictures.len();
    for (index, step) in steps.iter().enumerate() {
        publisher.send(step).await;
        player.until_pictures(before + index + 1).await;
        let sent = step.last().expect("a picture").essence();
        let frame = player.pictures.last().expect("pictures");
        assert!(crate::support::webrtc::essence(frame.codec, &frame.data) == sent, "another picture");
    }
    assert_eq!(player.pictures.len(), before + steps.len());
    player.assert_no_gap(Kind::Video);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_media_that_is_repeated_is_published_once() {
    let mut stage = Stage::set().await;
    let recorded = Arc::new(Mutex::new(Vec::new()));
    let tape = Arc::clone(&recorded);
    let relay = Relay::tampering(stage.server.udp, move |direction, datagram| {
        if direction == Direction::Up && matches!(demux::kind(datagram), Some(Datagram::Rtp | Datagram::Rtcp))
        {
            tape.lock().unwrap().push(datagram.clone());
        }
        true
    })
    .await;
    let options = Options { via: Some(relay.address), ..WhipPublisher::of(Codec::H264) };
    let (mut publisher, mut player, steps) = on_air(&stage, options).await;
    goes_on(&mut publisher, &mut player, &steps[..30]).await;
    let tape = recorded.lock().unwrap().clone();
    assert!(tape.len() > 60, "{} packets", tape.len());
    for datagram in tape.iter().chain(&tape) {
        relay.inject(Direction::Up, datagram.clone());
    }
    goes_on(&mut publisher, &mut player, &steps[30..60]).await;
    player.assert_no_gap(Kind::Audio);
    let sounds = player.ticks(Kind::Audio);
    assert!(
        sounds.windows(2).all(|pair| pair[1] - pair[0] == 960),
        "a packet of sound came twice, or not at all"
    );
    stage.is_unharmed().await;
}

/// A header of 12 bytes.
fn header(first: u8, payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let mut header = vec![first, payload_type];
    header.put_u16(sequence);
    header.put_u32(timestamp);
    header.put_u32(ssrc);
    header
}

fn sealed(sealer: &Sealer, ssrc: u32, index: u64, header: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sealer.seal_rtp(ssrc, index, header, &[payload], &mut out);
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_media_that_is_forged_or_lies_about_itself_is_dropped() {
    let mut stage = Stage::set().await;
    let (mut publisher, mut player, steps) = on_air(&stage, WhipPublisher::of(Codec::H264)).await;
    let sealer = publisher.session.sealer();
    let (sound, sound_type) = publisher.session.run(|driver| driver.source(Codec::Opus)).await;
    let (picture, picture_type) = publisher.session.run(|driver| driver.source(Codec::H264)).await;

    let mut datagrams = Vec::new();
    // Under other keys, and in the clear.
    for (profile, key, salt) in [
        (Profile::AeadAes128Gcm, &[7; 16][..], &[7; 12][..]),
        (Profile::AeadAes256Gcm, &[7; 32], &[7; 12]),
        (Profile::Aes128CmHmacSha1_80, &[7; 16], &[7; 14]),
    ] {
        let other = Sealer::new(&MasterKey::new(profile, key, salt).expect("a key")).expect("keys");
        for (ssrc, payload_type) in [(sound, sound_type), (picture, picture_type)] {
            datagrams.push(sealed(&other, ssrc, 9, &header(0x80, payload_type, 9, 9, ssrc), &[1; 100]));
            datagrams.push(sealed(&other, ssrc, 9, &header(0x80, payload_type, 9, 9, ssrc), &[]));
        }
    }
    datagrams.push([&header(0x80, picture_type, 10, 10, picture)[..], &[1; 60]].concat());
    datagrams
        .extend((0..12).map(|length| header(0x80, picture_type, 10, 10, picture)[..length.max(1)].to_vec()));
    // Under the right key, on a source of their own so that no genuine number is used up: sources that are not, lengths of
    // extensions and of padding that lie, and a payload of every codec that is none.
    for (number, (first, payload)) in [
        (0x80, vec![]),
        (0x90, vec![0xbe, 0xde, 0xff, 0xff]),
        (0x90, vec![0xbe, 0xde, 0, 1, 0xff, 0xff, 0xff, 0xff]),
        (0x90, vec![0x10, 0, 0, 1, 1, 255, 0, 0]),
        (0xa0, vec![0xff]),
        (0xa0, vec![0]),
        (0xa0, vec![1, 2, 3, 200]),
        (0x8f, vec![0; 8]),
        (0xbf, vec![0xff; 64]),
        (0x00, vec![0; 20]),
        (0x80, vec![0x7c]),
        (0x80, vec![0x7c, 0x85]),
        (0x80, vec![0x78, 0xff, 0xff, 1]),
        (0x80, vec![0x78, 0, 0, 0, 0]),
        (0x80, vec![0x5c, 0xff]),
        (0x80, vec![0xff; 1_100]),
    ]
    .into_iter()
    .enumerate()
    {
        for (offset, payload_type) in [(1, sound_type), (2, picture_type), (3, 127), (4, 0)] {
            let ssrc = picture.wrapping_add(offset * 1_000);
            let head = header(first, payload_type, number as u16, 1, ssrc);
            datagrams.push(sealed(&sealer, ssrc, number as u64, &head, &payload));
        }
    }
    publisher.session.send_raw(datagrams).await;
    goes_on(&mut publisher, &mut player, &steps[..30]).await;
    // A flood of sources.
    for round in 0..20_u32 {
        let flood = (0..250_u32).map(|number| {
            let ssrc = 0x1000_0000 + round * 250 + number;
            sealed(&sealer, ssrc, 1, &header(0x80, picture_type, 1, 1, ssrc), &[0x41, 1, 2, 3])
        });
        publisher.session.send_raw(flood.collect()).await;
        goes_on(&mut publisher, &mut player, &steps[30 + round as usize..31 + round as usize]).await;
    }
    stage.is_unharmed().await;
}

/// A publisher of sound alone, whose packets the test makes by hand, and a viewer.
struct Handmade {
    publisher: WhipPublisher,
    player: WhepPlayer,
    sealer: Sealer,
    ssrc: u32,
    payload_type: u8,
}

/// Something of 20 ms that nobody decodes, with its number in it.
fn sound(place: usize) -> Vec<u8> {
    vec![0xfc, place as u8, 1, 2, 3, 4]
}

impl Handmade {
    async fn on_air(stage: &Stage) -> Self {
        let options = Options { codecs: vec![Codec::Opus], ..Options::default() };
        let publisher = WhipPublisher::with(&stage.server, &stage.channel, options).await;
        publisher.session.mute(is_media).await;
        let (ssrc, payload_type) = publisher.session.run(|driver| driver.source(Codec::Opus)).await;
        stage.server.until_tracks("kitchen", 1).await;
        let player = WhepPlayer::join(&stage.server, "kitchen").await;
        // He is in before the server knows it.
        stage.server.until_at("onair_viewers{protocol=\"webrtc\"}", 1.0).await;
        Self { sealer: publisher.session.sealer(), publisher, player, ssrc, payload_type }
    }

    /// Packets with these numbers, one after the other in real time: who is behind by a second is moved to the present.
    async fn send(&mut self, numbers: impl IntoIterator<Item = (usize, u64)>) {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for (place, index) in numbers {
            clock.tick().await;
            let head = header(0x80, self.payload_type, index as u16, place as u32 * 960, self.ssrc);
            let datagram = sealed(&self.sealer, self.ssrc, index, &head, &sound(place));
            self.publisher.session.send_raw(vec![datagram]).await;
        }
    }

    /// The viewer has this packet or one behind it. The last two wait for company on their way to viewers.
    async fn comes_to(&mut self, place: usize) {
        let reached =
            |player: &WhepPlayer| player.sounds.last().map_or(0, |frame| usize::from(frame.data[1]));
        self.player.until(|player| reached(player) >= place).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_sequence_numbers_wrap_and_the_rollover_counter_is_not_talked_into_jumping() {
    let mut stage = Stage::set().await;
    let mut handmade = Handmade::on_air(&stage).await;
    // Up to the end of the numbers and over it.
    handmade.send((0..40).map(|place| (place, 65_500 + place as u64))).await;
    handmade.comes_to(37).await;
    // A rollover counter of 5, of 2^31: nobody has come there.
    handmade.send([(40, 5 << 16), (41, 1 << 47), (42, (1 << 16) + 40_000)]).await;
    handmade.send((43..100).map(|place| (place, 65_500 + place as u64))).await;
    handmade.comes_to(97).await;
    handmade.player.assert_no_gap(Kind::Audio);
    let places: Vec<u8> = handmade.player.sounds.iter().map(|frame| frame.data[1]).collect();
    assert!(places.windows(2).all(|pair| pair[1] > pair[0]), "{places:?}");
    assert!([35, 36, 37].iter().all(|place| places.contains(place)), "what wrapped is missing: {places:?}");
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b29_a_viewers_sequence_numbers_wrap_without_a_gap_and_what_is_lost_there_is_sent_again() {
    let mut stage = Stage::set().await;
    // The first packets that come with the last and with the first number are lost.
    let mut ends = vec![u16::MAX, 0];
    let relay = Relay::tampering(stage.server.udp, move |direction, datagram| {
        if direction == Direction::Up || !is_media(datagram) {
            return true;
        }
        let sequence = u16::from_be_bytes([datagram[2], datagram[3]]);
        ends.iter().position(|end| *end == sequence).map(|at| ends.remove(at)).is_none()
    })
    .await;
    // A hundred packets a picture, as the first number is below 2^15; near the end small ones, of which the library asks
    // for every packet that is missing: it forgets what is more than a hundred packets ago.
    let small = Fixture::read("video-only");
    let large = small.clone().enlarged(110_000).tags;
    let small = small.tags;
    let mut encoder = Encoder::publish(stage.server.rtmp, &stage.channel.key).await;
    encoder.send(&large[..2]).await;
    stage.server.until_tracks("kitchen", 1).await;
    let options = Options { via: Some(relay.address), ..player::without_sound() };
    let mut player = WhepPlayer::with(&stage.server, "kitchen", options).await;
    player.until_pictures(1).await;
    let start = player.pictures[0].ticks;
    let mut sent = vec![&large[1]];
    while has_come_to(&player, 65_636).is_none() {
        let number = sent.len();
        let source = if has_come_to(&player, 65_200).is_none() { &large } else { &small };
        sent.push(&source[1 + number % 180]);
        let mut tag = source[1 + number % 180].clone();
        tag.timestamp_ms = number as u32 * 33;
        encoder.send(&[tag]).await;
        // A lost last packet shows with the next picture.
        let shown = number.saturating_sub(3) as u64 * 33 * 90;
        player
            .until(|player| player.pictures.last().is_some_and(|frame| frame.ticks + 90 >= start + shown))
            .await;
    }
    let from = has_come_to(&player, 65_200).expect("it has come further");
    assert!(
        from < has_come_to(&player, 65_535).expect("it has come further"),
        "no small ones before the end"
    );
    let pictures = &player.pictures;
    for pair in pictures[from..].windows(2) {
        assert_eq!(pair[0].sequence.end() + 1, *pair[1].sequence.start(), "{:?}", player.tally);
        assert!(pair[1].contiguous, "{:?}: {:?}", pair[1].sequence, player.tally);
    }
    assert!(player.tally.nacked >= 2, "{:?}", player.tally);
    for frame in pictures {
        let number = usize::try_from((frame.ticks - start + 45) / (33 * 90)).expect("a number");
        let Content::Frame(packet) = Packet::parse(sent[number]) else { panic!("picture {number} is none") };
        let known = essence_of_payload(Codec::H264, &packet.payload);
        assert!(essence(frame.codec, &frame.data) == known, "picture {number} is another");
    }
    stage.is_unharmed().await;
}

/// The place of the first picture with a packet of this number or a later one.
fn has_come_to(player: &WhepPlayer, number: u64) -> Option<usize> {
    player.pictures.iter().position(|frame| *frame.sequence.end() >= number)
}
