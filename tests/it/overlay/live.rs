//! Live: ffmpeg publishes, an operator asks for overlays, viewers over every output see them on the exact frames, and of
//! everything else what was sent.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use onair::codec::h264::AccessUnit;
use onair::codec::nal;
use onair::hub::Item;
use onair::media::{Codec, Frame, Kind, MediaTime};

use super::splicer::recording;
use super::stage::{TURN, Told, Wish, count, publish, server, shown, until_end};
use super::{decode, number_and_overlay};
use crate::support::hls::Rendition;
use crate::support::webrtc::driver::Frame as Picture;
use crate::support::webrtc::recording::essence_of_payload;
use crate::support::{Channel, Fixture, Packet, Server, Viewer, WhepPlayer, fixture, fmp4, http, in_time};
use crate::worker::material::{Material, has_no_b_frames};

/// Slots in an ordinary run, over all channels. `ONAIR_LIVE_SLOTS=30` for more.
const SLOTS: usize = 6;
/// The splice begins no earlier before its first overlay: where frames are shown in another order than they are decoded, it
/// waits for a place where that can be.
const EARLIEST: i64 = 600;
/// No more pictures of any recording here are decoded ahead of one that is shown before them.
const REORDERED: usize = 4;
/// Every recording that is published here has pictures of this size.
const SIZE: (usize, usize) = (320, 180);

/// What came over one output. Times are in milliseconds of media time.
struct Seen {
    output: &'static str,
    /// Presentation time and access unit of each picture, in the order of decoding.
    pictures: Vec<(i64, Bytes)>,
    sounds: Vec<Bytes>,
    /// Decoding time of the last picture.
    end: i64,
    /// A file that plays.
    file: (Vec<u8>, &'static str),
    /// Keyframes got their parameter sets on the way.
    with_parameter_sets: bool,
}

impl Seen {
    fn of_viewer(viewer: &Viewer) -> Self {
        let (video, audio): (Vec<Packet>, Vec<Packet>) =
            viewer.packets().into_iter().partition(Packet::is_video);
        assert!(
            video.windows(2).all(|pair| pair[0].dts < pair[1].dts),
            "{}: decoding times rise",
            viewer.protocol
        );
        Self {
            output: viewer.protocol,
            end: video.last().expect("pictures").dts,
            pictures: video
                .into_iter()
                .map(|packet| (packet.dts + i64::from(packet.cts), packet.payload))
                .collect(),
            sounds: audio.into_iter().map(|packet| packet.payload).collect(),
            file: (viewer.recording(), ".flv"),
            with_parameter_sets: false,
        }
    }

    fn of_rendition(rendition: &Rendition) -> Self {
        let tracks = fmp4::tracks(&rendition.init);
        let samples = |audio: bool| {
            let track = tracks.iter().find(|track| (&track.entry == b"mp4a") == audio);
            rendition.samples(*track.expect("sound and picture"))
        };
        let pictures = samples(false);
        assert!(pictures.windows(2).all(|pair| pair[0].dts < pair[1].dts), "HLS: decoding times rise");
        Self {
            output: "LL-HLS",
            end: pictures.last().expect("pictures").dts,
            pictures: pictures.into_iter().map(|sample| (sample.pts, sample.payload)).collect(),
            sounds: samples(true).into_iter().map(|sample| sample.payload).collect(),
            file: (rendition.file(), ".mp4"),
            with_parameter_sets: true,
        }
    }

    /// Whether an access unit is the one that was sent, bit for bit.
    fn is(&self, payload: &Bytes, sent: &Bytes) -> bool {
        let essence = |payload| essence_of_payload(Codec::H264, payload);
        payload == sent || self.with_parameter_sets && essence(payload) == essence(sent)
    }
}

/// Asks for slots one after the other while a viewer watches.
async fn slots(server: &Server, channel: &Channel, viewer: &mut Viewer, count: usize) -> Vec<Told> {
    let mut told = Vec::new();
    // A GOP and a bit: what is asked for at once has something to begin with.
    viewer.frames(200).await;
    for slot in 0..count {
        let newest = viewer.frame().await.dts;
        let start = (newest + 4_000) * 1_000_000 + 7_777_777 * slot as i64;
        let mut wish = Wish::white(1_000 + 333 * (slot as u64 % 8));
        if slot % 2 == 1 {
            wish.start = start.to_string();
        }
        told.push(shown(server, channel, viewer, &wish).await);
        // Some slots follow at once, others after the source is back.
        viewer.frames(if slot % 3 == 0 { 1 } else { 250 }).await;
    }
    viewer.frames(250).await;
    told
}

/// What came is what the recording has, and the overlays are on exactly the frames that were told. Gives the number of the
/// picture at each time.
async fn check(seen: &Seen, name: &str, told: &[Told]) -> HashMap<i64, u16> {
    let what = format!("{name} over {}", seen.output);
    let original = Fixture::read(name);
    let sent = fixture::packets(&original.tags);
    let (mut pictures, sound): (Vec<&Packet>, Vec<&Packet>) =
        sent.iter().partition(|packet| packet.is_video());

    let begins = sound.iter().position(|packet| packet.payload == seen.sounds[0]).expect("its first sound");
    for (place, payload) in seen.sounds.iter().enumerate() {
        assert_eq!(payload, &sound[(begins + place) % sound.len()].payload, "{what}: sound {place}");
    }

    let mut shown = seen.pictures.clone();
    shown.sort_unstable_by_key(|(pts, _)| *pts);
    let (file, suffix) = &seen.file;
    let decoded = decode(file, suffix, SIZE, number_and_overlay).await;
    assert_eq!(decoded.len(), shown.len(), "{what}: every picture is decoded");
    // The publisher is cut off anywhere: of what is shown after the last frame is decoded, some may be missing.
    shown.retain(|(pts, _)| *pts <= seen.end);
    let begins = usize::from(decoded[0].0);
    pictures.sort_unstable_by_key(|packet| packet.dts + i64::from(packet.cts));
    let originals: Vec<&Packet> =
        (0..shown.len()).map(|place| pictures[(begins + place) % pictures.len()]).collect();
    let mut numbers = HashMap::new();
    for (place, ((pts, _), (number, overlaid))) in shown.iter().zip(&decoded).enumerate() {
        assert_eq!(usize::from(*number), (begins + place) % pictures.len(), "{what}: in order, at {pts} ms");
        assert_eq!(*overlaid, told.iter().any(|told| told.is_on(*pts)), "{what}: at {pts} ms");
        numbers.insert(*pts, *number);
    }
    for told in told {
        let Some(start) = told.start else { continue };
        let (first, _) = shown.iter().find(|(pts, _)| pts * 1_000_000 >= start).expect("a picture");
        assert_eq!(told.first, first * 1_000_000, "{what}: the first picture at or after the start");
    }
    let times: Vec<i64> = shown.iter().map(|(pts, _)| *pts).collect();
    let spliced: Vec<bool> = shown
        .iter()
        .zip(&originals)
        .map(|((_, payload), original)| !seen.is(payload, &original.payload))
        .collect();
    let keyframes: Vec<bool> = originals.iter().map(|packet| packet.keyframe).collect();
    check_splices(&what, &times, &spliced, &keyframes, told);
    numbers
}

/// Access units are the source's but from just before an overlay up to the next keyframe after it.
fn check_splices(what: &str, times: &[i64], spliced: &[bool], keyframes: &[bool], told: &[Told]) {
    let mut explained = 0;
    let mut place = 0;
    for run in spliced.chunk_by(|one, other| one == other) {
        let (from, until) = (place, place + run.len());
        place = until;
        if !run[0] {
            continue;
        }
        let within = |told: &&Told| (times[from]..=times[until - 1]).contains(&(told.first / 1_000_000));
        let slots: Vec<&Told> = told.iter().filter(within).collect();
        let (Some(first), Some(last)) = (slots.first(), slots.last()) else {
            panic!("{what}: the access units from {} ms on are strange for no reason", times[from]);
        };
        let early = first.first / 1_000_000 - times[from];
        assert!(early <= EARLIEST, "{what}: the splice begins {early} ms before {first:?}");
        let after = (from..until).filter(|place| times[*place] * 1_000_000 > last.last);
        let ignored: Vec<usize> = after.filter(|place| keyframes[*place]).collect();
        assert!(ignored.is_empty(), "{what}: keyframes after {last:?} that are no way back: {ignored:?}");
        assert!(until == times.len() || keyframes[until], "{what}: back at {} ms", times[until]);
        explained += slots.len();
    }
    assert_eq!(explained, told.len(), "{what}: every slot has its splice");
    let by_worker = spliced.iter().filter(|spliced| **spliced).count();
    println!("{what}: {} pictures, {by_worker} of them by the worker, the others bit for bit", times.len());
}

/// The pictures that came over WebRTC, none of which may be missing. Times are the stream's own.
pub fn frames_over_whep(player: &WhepPlayer, name: &str) -> Vec<Frame> {
    player.assert_no_gap(Kind::Video);
    let track = Material::read(name, Kind::Video).track;
    let frame = |(picture, ticks): (&Picture, i64)| {
        let payload = nal::from_annex_b(&picture.data).expect("Annex B");
        let keyframe = AccessUnit::inspect(&payload).expect("H.264").is_idr;
        let pts = MediaTime::from_millis((ticks + 45) / 90);
        Frame { track: track.id, pts, dts: pts, keyframe, disposable: false, payload }
    };
    player.pictures.iter().zip(player.ticks(Kind::Video)).map(frame).collect()
}

/// They as an FLV file.
pub fn recording_of(frames: &[Frame], name: &str) -> Vec<u8> {
    let items: Vec<Item> = frames.iter().cloned().map(Item::Frame).collect();
    recording(&items, &Material::read(name, Kind::Video).track)
}

/// Every picture once and in order, the overlays on the same pictures as everywhere else, and as far apart in time. There may be
/// another conversion on the way, so that nothing is said of bits.
async fn check_whep(player: &WhepPlayer, name: &str, told: &[Told], numbers: &HashMap<i64, u16>) {
    let what = format!("{name} over WHEP");
    let ticks = player.ticks(Kind::Video);
    let frames = frames_over_whep(player, name);
    assert!(has_no_b_frames(&frames), "{what}");
    let seen = decode(&recording_of(&frames, name), ".flv", SIZE, number_and_overlay).await;
    assert_eq!(seen.len(), frames.len(), "{what}: every picture is decoded");
    let all = fixture::packets(&Fixture::read(name).tags).iter().filter(|packet| packet.is_video()).count();
    // The publisher is cut off anywhere: the last pictures may be missing some of those that lie between them.
    for (place, (number, _)) in seen.iter().enumerate().take(seen.len() - REORDERED) {
        let wanted = (usize::from(seen[0].0) + place) % all;
        assert_eq!(usize::from(*number), wanted, "{what}: in order, picture {place}");
    }
    let mut overlaid = Vec::new();
    let mut place = 0;
    for run in seen.chunk_by(|one, other| one.1 == other.1) {
        let (first, last) = (place, place + run.len() - 1);
        if run[0].1 {
            overlaid.push((run[0].0, run[run.len() - 1].0, (ticks[last] - ticks[first] + 45) / 90));
        }
        place = last + 1;
    }
    // Slots that touch each other look like one.
    let number = |nanos: i64| numbers[&(nanos / 1_000_000)];
    let told: Vec<(u16, u16, i64)> = told
        .iter()
        .map(|told| (number(told.first), number(told.last), (told.last - told.first) / 1_000_000))
        .collect();
    assert_eq!(
        overlaid, told,
        "{what}: first and last picture with an overlay, and milliseconds between them"
    );
    println!("{what}: {} pictures", seen.len());
}

/// Watches until the broadcast is over.
async fn watch(mut player: WhepPlayer) -> WhepPlayer {
    while !player.gone {
        in_time("something over WebRTC", player.step()).await;
    }
    player
}

async fn broadcast(name: &'static str, count: usize) -> Vec<Told> {
    let server = server(|_| {}).await;
    let channel = server.channel("kitchen").await;
    let mut publisher = publish(&server, &channel, name);
    server.until_live("kitchen", true).await;
    server.until_tracks("kitchen", 2).await;
    let [mut rtmp, mut flv] = Viewer::of_each(&server, "kitchen").await;
    let whep = WhepPlayer::join(&server, "kitchen").await;
    let playlist = http::request(server.http, "GET", "/hls/kitchen/index.m3u8", &[], b"").await;
    let watching = tokio::spawn(async move {
        until_end(&mut flv).await;
        flv
    });
    let whep = tokio::spawn(watch(whep));
    let told = slots(&server, &channel, &mut rtmp, count).await;
    publisher.kill().await.expect("ffmpeg ends");
    until_end(&mut rtmp).await;
    let flv = watching.await.expect("a viewer");
    let whep = whep.await.expect("a viewer");
    let rendition = Rendition::of_ended(&server, playlist).await;
    let numbers = check(&Seen::of_viewer(&rtmp), name, &told).await;
    check(&Seen::of_viewer(&flv), name, &told).await;
    check(&Seen::of_rendition(&rendition), name, &told).await;
    assert!(!rendition.playlist.contains("#EXT-X-DISCONTINUITY\n"), "{}", rendition.playlist);
    assert_eq!(rendition.playlist.matches("#EXT-X-MAP").count(), 1, "{}", rendition.playlist);
    check_whep(&whep, name, &told, &numbers).await;
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overlays_are_on_the_exact_frames_over_every_output() {
    let _turn = TURN.lock().await;
    let each = count("ONAIR_LIVE_SLOTS", SLOTS).div_ceil(3);
    // WHEP viewers of the second get a conversion without B-frames.
    let (plain, reordered, fast) = tokio::join!(
        broadcast("h264-aac", each),
        broadcast("h264-bframes-aac", each),
        broadcast("60fps", each),
    );
    let mut delays: Vec<Duration> =
        plain.iter().chain(&reordered).chain(&fast).map(|told| told.delay).collect();
    delays.sort_unstable();
    println!("{} slots; delays: {delays:?}", delays.len());
}
