//! B29, the publisher's side: media packets that are repeated, forged, wrongly numbered, or lie about themselves; and numbers
//! that come to their end.

use std::sync::{Arc, Mutex};

use bytes::BufMut as _;
use onair::media::{Codec, Kind};
use onair::protocol::webrtc::demux::{self, Kind as Datagram};
use onair::protocol::webrtc::srtp::{MasterKey, Profile, Sealer};

use super::stage::Stage;
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

    /// Packets with these numbers, the time of each its place in the recording.
    async fn send(&mut self, numbers: impl IntoIterator<Item = (usize, u64)>) {
        let datagrams = numbers.into_iter().map(|(place, index)| {
            let head = header(0x80, self.payload_type, index as u16, place as u32 * 960, self.ssrc);
            sealed(&self.sealer, self.ssrc, index, &head, &sound(place))
        });
        let datagrams = datagrams.collect();
        self.publisher.session.send_raw(datagrams).await;
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
    let relay = Relay::tampering(stage.server.udp, {
        let mut count = 0;
        // Now and then one is lost, so that some are lost around the wrap.
        move |direction, datagram| {
            count += u32::from(direction == Direction::Down && is_media(datagram));
            direction == Direction::Up || !is_media(datagram) || count % 997 != 0
        }
    })
    .await;
    // A hundred packets a picture, and a first number below 2^15: some six hundred pictures are enough to wrap.
    let large = Fixture::read("video-only").enlarged(110_000).tags;
    let mut encoder = Encoder::publish(stage.server.rtmp, &stage.channel.key).await;
    encoder.send(&large[..2]).await;
    stage.server.until_tracks("kitchen", 1).await;
    let options = Options {
        via: Some(relay.address),
        // Ten times faster than real time, many packets come before the one that is sent again.
        configure: |config| config.set_reordering_size_video(5_000),
        ..player::without_sound()
    };
    let mut player = WhepPlayer::with(&stage.server, "kitchen", options).await;
    player.until_pictures(1).await;
    let start = player.pictures[0].ticks;
    for number in 1..700 {
        let mut tag = large[1 + number % 180].clone();
        tag.timestamp_ms = number as u32 * 33;
        encoder.send(&[tag]).await;
        // A lost last packet shows with the next picture.
        let shown = number.saturating_sub(3) as u64 * 33 * 90;
        player
            .until(|player| player.pictures.last().is_some_and(|frame| frame.ticks + 90 >= start + shown))
            .await;
        if has_wrapped(&player) {
            break;
        }
    }
    assert!(has_wrapped(&player), "{:?}", player.tally);
    // What was lost came again, before the wrap and after it; where the machine itself loses more, not all of it.
    let pictures = &player.pictures;
    assert!(
        player.tally.nacked > 10 && pictures.len() > 300,
        "{} pictures, {:?}",
        pictures.len(),
        player.tally
    );
    let known: Vec<_> = crate::support::fixture::packets(&large);
    for frame in pictures {
        let number = usize::try_from((frame.ticks - start + 45) / (33 * 90)).expect("a number");
        let sent = essence_of_payload(Codec::H264, &known[number % 180].payload);
        assert!(essence(frame.codec, &frame.data) == sent, "picture {number} is another");
    }
    stage.is_unharmed().await;
}

/// The numbers have come to their end, and begun again.
fn has_wrapped(player: &WhepPlayer) -> bool {
    player.pictures.last().is_some_and(|frame| *frame.sequence.end() > 66_000)
}
