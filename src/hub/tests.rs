//! Channels, publishers and subscribers together.

mod audience;
mod conversion;
mod cues;
mod program;
mod variants;

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::*;
use crate::media::VideoParams;
use crate::media::{
    AudioParams, Codec, Cue, CueId, CueOrigin, CueState, Frame, MediaTime, Params, Track, TrackId,
};

const VIDEO: TrackId = TrackId(0);
const AUDIO: TrackId = TrackId(1);

fn channel(config: Config) -> Arc<Channel> {
    Hub::new(config, Arc::default()).create(&"kitchen".parse().unwrap())
}

fn on_air(config: Config) -> (Arc<Channel>, Publisher) {
    let channel = channel(config);
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    publisher.configure(audio_track());
    (channel, publisher)
}

fn video_track(width: u32) -> Track {
    let params = Params::Video(VideoParams { width, height: 360, reorder_depth: Some(0) });
    Track { id: VIDEO, group: 0, rank: 0, codec: Codec::H264, config: Bytes::from_static(b"avcC"), params }
}

fn audio_track() -> Track {
    let params = Params::Audio(AudioParams { sample_rate: 48_000, channels: 2, frame_samples: Some(1024) });
    Track { id: AUDIO, group: 1, rank: 0, codec: Codec::Aac, config: Bytes::from_static(b"asc"), params }
}

fn frame(track: TrackId, millis: i64, keyframe: bool) -> Frame {
    let time = MediaTime::from_millis(millis);
    let payload = Bytes::copy_from_slice(&millis.to_be_bytes());
    Frame { track, pts: time, dts: time, keyframe, disposable: false, payload }
}

fn cue(id: &str, revision: u32, start: i64, duration: i64) -> Cue {
    Cue {
        id: CueId::new(id),
        revision,
        state: CueState::Announced,
        start: MediaTime::from_millis(start),
        duration: Some(MediaTime::from_millis(duration)),
        origin: CueOrigin::Api,
        scte35: None,
    }
}

/// What a batch is, in short: `T` track, `V`/`A` frame with its media time, `C` cue, `L` lagged, `I`, `E`.
fn shorthand(batch: &[Item]) -> String {
    let word = |item: &Item| match item {
        Item::Track(track) => format!("T{}", track.id.0),
        Item::Frame(frame) if frame.track == VIDEO => format!("V{}", frame.dts.as_millis()),
        Item::Frame(frame) => format!("A{}", frame.dts.as_millis()),
        Item::Cue(cue) => format!("C{}", cue.id),
        Item::Lagged(_) => "L".to_owned(),
        Item::Interrupted => "I".to_owned(),
        Item::Ended => "E".to_owned(),
    };
    batch.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// What is there to read; nothing when nothing is.
async fn read(subscriber: &mut Subscriber) -> String {
    let mut text = Vec::new();
    while let Ok(batch) = tokio::time::timeout(Duration::ZERO, subscriber.next_batch()).await {
        text.push(shorthand(&batch));
        if matches!(batch.last(), Some(Item::Ended)) {
            break;
        }
    }
    text.join(" ")
}

#[tokio::test]
async fn that_pictures_are_reordered_is_told_when_it_shows() {
    let (channel, mut publisher) = on_air(Config::default());
    let silent = Params::Video(VideoParams { width: 640, height: 360, reorder_depth: None });
    publisher.configure(Track { params: silent, ..video_track(640) });
    let mut subscriber = channel.subscribe(&Rendition::PROGRAM).unwrap();
    for (dts, pts) in [(0, 40), (40, 160), (80, 80)] {
        let shown = MediaTime::from_millis(pts);
        publisher.write(Frame { pts: shown, ..frame(VIDEO, dts, dts == 0) });
    }
    let batch = subscriber.next_batch().await;
    assert_eq!(shorthand(&batch), "T0 T1 V0 V40 T0 V80");
    let depth = |item: &Item| match item {
        Item::Track(track) => track.video().map(|video| video.reorder_depth),
        _ => None,
    };
    assert_eq!(batch.iter().filter_map(depth).collect::<Vec<_>>(), [None, Some(1)]);
}

#[tokio::test]
async fn a_new_viewer_gets_tracks_then_the_newest_gop() {
    let (channel, mut publisher) = on_air(Config { window: Duration::ZERO, ..Config::default() });
    for n in 0..6 {
        publisher.write(frame(VIDEO, n * 40, n % 3 == 0));
        publisher.write(frame(AUDIO, n * 40 + 5, true));
    }
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V120 A125 V160 A165 V200 A205");
}

#[tokio::test]
async fn sound_alone_starts_on_any_frame_and_is_not_held_back() {
    let channel = channel(Config::default());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(audio_track());
    publisher.write(frame(AUDIO, 0, true));
    let mut viewer = channel.subscribe(&Rendition::Source).unwrap();
    assert_eq!(shorthand(&viewer.next_batch().await), "T1 A0");
    let reading = tokio::spawn(async move { viewer.next_batch().await });
    tokio::task::yield_now().await;
    publisher.write(frame(AUDIO, 21, true));
    publisher.write(frame(AUDIO, 42, true));
    assert_eq!(shorthand(&reading.await.unwrap()), "A21 A42");
}

#[tokio::test]
async fn cues_that_stand_are_told_at_join_and_those_that_are_over_are_not() {
    let (channel, mut publisher) = on_air(Config::default());
    publisher.write(frame(VIDEO, 0, true));
    publisher.cue(cue("short", 1, 0, 100));
    publisher.cue(cue("long", 1, 0, 60_000));
    publisher.cue(cue("long", 1, 0, 60_000));
    publisher.cue(Cue { state: CueState::Cancelled, ..cue("withdrawn", 1, 0, 60_000) });
    publisher.write(frame(VIDEO, 2_000, true));
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 Clong V2000");
}

#[tokio::test]
async fn a_returning_publisher_goes_on_in_real_time_on_the_same_broadcast() {
    let (channel, mut publisher) = on_air(Config::default());
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    publisher.write(frame(VIDEO, 1_000, true));
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V0");
    drop(publisher);
    assert_eq!(shorthand(&viewer.next_batch().await), "I");
    let status = channel.status();
    assert!(!status.live && status.interrupted);

    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    publisher.write(frame(VIDEO, 0, true));
    let batch = viewer.next_batch().await;
    let [Item::Frame(first)] = &batch[..] else { panic!("{}", shorthand(&batch)) };
    assert!(first.dts > MediaTime::ZERO, "media time does not go back");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_ends_when_nobody_returns_in_time() {
    let (channel, mut publisher) = on_air(Config::default());
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    drop(publisher);
    let mut changes = channel.changes();
    changes.mark_unchanged();
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V0 I");
    assert_eq!(shorthand(&viewer.next_batch().await), "E");
    assert_eq!(shorthand(&viewer.next_batch().await), "E", "and again");
    assert!(changes.has_changed().unwrap() && !channel.status().interrupted);
    assert_eq!(channel.subscribe(&Rendition::PROGRAM).unwrap_err(), SubscribeError::Offline);
}

#[tokio::test]
async fn b35_the_newest_publisher_wins_and_the_old_one_is_told() {
    let (channel, mut old) = on_air(Config::default());
    old.write(frame(VIDEO, 0, true));
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    viewer.next_batch().await;
    let mut new = channel.publish(Protocol::Rtmp).unwrap();
    assert_eq!(old.dismissed().await, Dismissal::Replaced);
    old.write(frame(VIDEO, 40, true));
    drop(old);
    new.configure(video_track(1280));
    new.write(frame(VIDEO, 0, true));
    let batch = viewer.next_batch().await;
    let [Item::Track(track), Item::Frame(_)] = &batch[..] else { panic!("{}", shorthand(&batch)) };
    assert_eq!(
        track.video().map(|video| video.width),
        Some(1280),
        "no interruption, no frame of the old one"
    );
    assert!(channel.is_live());
}

#[tokio::test]
async fn b35_a_fight_of_encoders_leaves_the_incumbent() {
    let (channel, first) = on_air(Config::default());
    let mut publishers = vec![first];
    for _ in 0..3 {
        publishers.push(channel.publish(Protocol::Rtmp).unwrap());
    }
    assert_eq!(channel.publish(Protocol::Rtmp).unwrap_err(), PublishError::TakeoverFight);
    drop(publishers.pop());
    assert!(channel.publish(Protocol::Rtmp).is_ok(), "an empty place is no takeover");
}

#[tokio::test]
async fn a_removed_channel_sends_everybody_away() {
    let hub = Hub::new(Config::default(), Arc::default());
    let name = "kitchen".parse().unwrap();
    let channel = hub.create(&name);
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    hub.remove(&name);
    assert_eq!(publisher.dismissed().await, Dismissal::ChannelRemoved);
    assert_eq!(shorthand(&viewer.next_batch().await), "E");
    assert_eq!(channel.publish(Protocol::Rtmp).unwrap_err(), PublishError::ChannelRemoved);
    assert!(hub.channel(&name).is_none());
}

#[tokio::test]
async fn viewers_are_counted_while_they_watch() {
    let channel = channel(Config::default());
    let count = |channel: &Arc<Channel>| channel.status().viewers[Protocol::Hls as usize];
    let (one, two) = (channel.viewer(Protocol::Hls), channel.viewer(Protocol::Hls));
    assert_eq!(count(&channel), (Protocol::Hls, 2));
    drop((one, two));
    assert_eq!(count(&channel), (Protocol::Hls, 0));
}

/// A container for tests: `H` and the number of tracks, then the last byte of each payload.
#[derive(Default)]
struct Toy;

impl WireFormat for Toy {
    fn header(&mut self, tracks: &[Arc<Track>], _: MediaTime) -> Bytes {
        Bytes::from(vec![b'H', tracks.len() as u8])
    }

    fn write(&mut self, item: &Item, out: &mut BytesMut) {
        if let Item::Frame(frame) = item {
            out.put_u8(frame.payload[7]);
        }
    }
}

#[tokio::test]
async fn a_wire_form_is_made_once_and_shared_by_its_viewers() {
    let (channel, mut publisher) = on_air(Config::default());
    let mut viewers: Vec<_> = (0..3).map(|_| channel.wire::<Toy>(Rendition::PROGRAM).unwrap()).collect();
    publisher.write(frame(VIDEO, 0, true));
    let mut pointers = Vec::new();
    for viewer in &mut viewers {
        let batch = viewer.next_batch().await;
        assert_eq!(batch.chunks, [&b"H\x02"[..], &[0]]);
        pointers.push(batch.chunks[1].as_ptr());
    }
    assert!(pointers.iter().all(|&pointer| pointer == pointers[0]), "the same bytes in memory");
    publisher.write(frame(AUDIO, 10, true));
    publisher.write(frame(AUDIO, 30, true));
    publisher.write(frame(VIDEO, 40, false));
    for viewer in &mut viewers {
        assert_eq!(viewer.next_batch().await.chunks, [&[10, 30, 40][..]], "sound goes with the next picture");
    }
    channel.dismiss(Dismissal::KeyRotated);
    channel.end();
    assert!(viewers[0].next_batch().await.ended);
}

#[tokio::test]
async fn a_slow_viewer_of_a_wire_form_skips_to_the_newest_keyframe() {
    let (channel, mut publisher) = on_air(Config { window: Duration::ZERO, ..Config::default() });
    let mut viewer = channel.wire::<Toy>(Rendition::PROGRAM).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    viewer.next_batch().await;
    for n in 1..=20 {
        publisher.write(frame(VIDEO, n, n % 5 == 0));
        tokio::task::yield_now().await;
    }
    let batch = viewer.next_batch().await;
    assert_eq!((batch.chunks.concat(), batch.missed), (b"H\x02\x14".to_vec(), 19));
}
