//! Converted renditions, with a converter that only pretends.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A frame with this payload makes the conversion panic.
const POISON: &[u8] = b"poison";

/// Says of AAC that it is Opus now; refuses tracks whose configuration is `HE-AAC`.
#[derive(Default)]
struct Pretender {
    /// Conversions that were made.
    made: Arc<AtomicUsize>,
}

impl Converter for Pretender {
    fn conversion(
        &self,
        rendition: &Rendition,
        tracks: &[Arc<Track>],
    ) -> Option<Result<Box<dyn Conversion>, Refusal>> {
        let Rendition::Converted { audio: Some(Codec::Opus), .. } = rendition else { return None };
        if tracks.iter().any(|track| &track.config[..] == b"HE-AAC") {
            return Some(Err(Refusal::Unconvertible("HE-AAC".to_owned())));
        }
        self.made.fetch_add(1, Ordering::Relaxed);
        Some(Ok(Box::new(Pretence)))
    }
}

struct Pretence;

impl Conversion for Pretence {
    fn convert(&mut self, item: Item, out: &mut Batch) {
        out.push(match item {
            Item::Track(track) if track.codec == Codec::Aac => {
                Item::Track(Arc::new(Track { codec: Codec::Opus, ..(*track).clone() }))
            }
            Item::Frame(frame) if frame.track == AUDIO => {
                assert_ne!(&frame.payload[..], POISON);
                Item::Frame(Frame { payload: Bytes::from_static(b"Opus"), ..frame })
            }
            item => item,
        });
    }
}

fn opus() -> Rendition {
    Rendition::Converted { of: Box::new(Rendition::PROGRAM), video: None, audio: Some(Codec::Opus) }
}

/// A channel on the air, with the number of conversions made and of those that run.
fn convertible(config: Config) -> (Arc<Channel>, Publisher, Arc<AtomicUsize>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::default());
    let hub = Hub::new(config, Arc::clone(&metrics));
    let pretender = Pretender::default();
    let made = Arc::clone(&pretender.made);
    hub.register(pretender);
    let channel = hub.create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    publisher.configure(audio_track());
    (channel, publisher, made, metrics)
}

/// Lets the conversions that can run do so.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_conversion_is_made_once_for_all_subscribers_and_shares_the_pictures_bytes() {
    let (channel, mut publisher, made, metrics) = convertible(Config::default());
    let mut source = channel.subscribe(&Rendition::PROGRAM).unwrap();
    let mut viewers: Vec<_> = (0..3).map(|_| channel.subscribe(&opus()).unwrap()).collect();
    publisher.write(frame(VIDEO, 0, true));
    publisher.write(frame(AUDIO, 10, true));
    publisher.cue(cue("break", 1, 0, 60_000));
    publisher.write(frame(VIDEO, 40, false));
    settle().await;
    let original = source.next_batch().await;
    let pointer = |item: &Item| match item {
        Item::Frame(frame) if frame.track == VIDEO => Some(frame.payload.as_ptr()),
        _ => None,
    };
    let pointers: Vec<_> = original.iter().filter_map(pointer).collect();
    for viewer in &mut viewers {
        let batch = viewer.next_batch().await;
        assert_eq!(shorthand(&batch), "T0 T1 V0 A10 Cbreak V40");
        assert!(matches!(&batch[1], Item::Track(track) if track.codec == Codec::Opus));
        assert!(matches!(&batch[3], Item::Frame(frame) if &frame.payload[..] == b"Opus"));
        assert_eq!(batch.iter().filter_map(pointer).collect::<Vec<_>>(), pointers, "no picture is copied");
        assert_eq!((viewer.epoch(), viewer.broadcast_id()), (source.epoch(), source.broadcast_id()));
    }
    assert_eq!((made.load(Ordering::Relaxed), metrics.conversions.get()), (1, 1));
    publisher.write(frame(VIDEO, 80, true));
    settle().await;
    let mut late = channel.subscribe(&opus()).unwrap();
    assert_eq!(shorthand(&late.next_batch().await), "T0 T1 Cbreak V80", "as in any rendition");
}

#[tokio::test]
async fn a_conversion_runs_from_the_first_subscriber_to_the_last() {
    let (channel, mut publisher, made, metrics) = convertible(Config::default());
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!((made.load(Ordering::Relaxed), metrics.conversions.get()), (0, 0));
    let mut one = channel.subscribe(&opus()).unwrap();
    let two = channel.subscribe(&opus()).unwrap();
    assert_eq!(shorthand(&one.next_batch().await), "T0 T1 V0");
    drop(two);
    publisher.write(frame(VIDEO, 40, false));
    assert_eq!(shorthand(&one.next_batch().await), "V40");
    drop(one);
    publisher.write(frame(VIDEO, 80, false));
    settle().await;
    assert_eq!((made.load(Ordering::Relaxed), metrics.conversions.get()), (1, 0));
    let mut again = channel.subscribe(&opus()).unwrap();
    assert_eq!(shorthand(&again.next_batch().await), "T0 T1 V0 V40 V80", "as if it had always been there");
    assert_eq!((made.load(Ordering::Relaxed), metrics.conversions.get()), (2, 1));
}

#[tokio::test]
async fn readers_of_a_conversion_are_woken_once_a_picture() {
    let (channel, mut publisher, ..) = convertible(Config::default());
    let mut viewer = channel.subscribe(&opus()).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    viewer.next_batch().await;
    let reading = tokio::spawn(async move { viewer.next_batch().await });
    for millis in [10, 30] {
        publisher.write(frame(AUDIO, millis, true));
        settle().await;
    }
    assert!(!reading.is_finished());
    publisher.write(frame(VIDEO, 40, false));
    assert_eq!(shorthand(&reading.await.unwrap()), "A10 A30 V40");
}

#[tokio::test]
async fn a_conversion_outlives_the_publisher_and_ends_with_the_broadcast() {
    let (channel, mut publisher, made, metrics) = convertible(Config::default());
    let mut viewer = channel.subscribe(&opus()).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V0");
    drop(publisher);
    assert_eq!(shorthand(&viewer.next_batch().await), "I");
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(1280));
    publisher.write(frame(VIDEO, 0, true));
    let batch = viewer.next_batch().await;
    assert!(matches!(&batch[..], [Item::Track(_), Item::Frame(_)]), "{}", shorthand(&batch));
    channel.end();
    assert_eq!(shorthand(&viewer.next_batch().await), "E");
    assert_eq!(shorthand(&viewer.next_batch().await), "E", "and again");
    settle().await;
    assert_eq!((made.load(Ordering::Relaxed), metrics.conversions.get()), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_converted_is_refused_in_words() {
    let (channel, mut publisher, ..) = convertible(Config::default());
    let other =
        Rendition::Converted { of: Box::new(Rendition::PROGRAM), video: Some(Codec::H264), audio: None };
    assert_eq!(channel.subscribe(&other).unwrap_err(), SubscribeError::Unavailable);
    publisher.configure(Track { config: Bytes::from_static(b"HE-AAC"), ..audio_track() });
    let refusal = channel.subscribe(&opus()).unwrap_err();
    assert_eq!(refusal, SubscribeError::Unconvertible("HE-AAC".to_owned()));
    assert_eq!(channel.wire::<Toy>(opus()).unwrap_err(), refusal);
    channel.end();
    assert_eq!(channel.subscribe(&opus()).unwrap_err(), SubscribeError::Offline);
}

#[tokio::test]
async fn a_conversion_that_falls_behind_tells_its_subscribers_and_what_stands() {
    let (channel, mut publisher, ..) = convertible(Config { window: Duration::ZERO, ..Config::default() });
    let mut viewer = channel.subscribe(&opus()).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V0");
    // All of it before the conversion gets its turn.
    for n in 1..=6 {
        publisher.write(frame(VIDEO, 40 * n, n % 3 == 0));
    }
    assert_eq!(shorthand(&viewer.next_batch().await), "L T0 T1 V240");
}

#[tokio::test]
async fn a_conversion_that_panics_leaves_nobody_waiting() {
    let (channel, mut publisher, _, metrics) = convertible(Config::default());
    let mut viewer = channel.subscribe(&opus()).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V0");
    publisher.write(Frame { payload: Bytes::from_static(POISON), ..frame(AUDIO, 10, true) });
    publisher.write(frame(VIDEO, 40, true));
    assert_eq!(shorthand(&viewer.next_batch().await), "E");
    settle().await;
    assert_eq!(metrics.conversions.get(), 0);
}

#[tokio::test]
async fn a_wire_form_is_made_of_a_converted_rendition_as_of_any() {
    let (channel, mut publisher, made, _) = convertible(Config::default());
    let mut viewers: Vec<_> = (0..2).map(|_| channel.wire::<Kinds>(opus()).unwrap()).collect();
    publisher.write(frame(VIDEO, 0, true));
    publisher.write(frame(AUDIO, 10, true));
    publisher.write(frame(VIDEO, 40, false));
    settle().await;
    for viewer in &mut viewers {
        assert_eq!(viewer.next_batch().await.chunks.concat(), b"H.264 Opus VAV");
    }
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn conversions_are_made_of_conversions() {
    let (channel, mut publisher, made, _) = convertible(Config::default());
    let twice = Rendition::Converted { of: Box::new(opus()), video: None, audio: Some(Codec::Opus) };
    let mut viewer = channel.subscribe(&twice).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 V0");
    assert_eq!(made.load(Ordering::Relaxed), 2);
}

/// A container for tests that names the codecs, and then the kinds of the frames.
#[derive(Default)]
struct Kinds;

impl WireFormat for Kinds {
    fn header(&mut self, tracks: &[Arc<Track>], _: MediaTime) -> Bytes {
        tracks.iter().map(|track| format!("{} ", track.codec)).collect::<String>().into()
    }

    fn write(&mut self, item: &Item, out: &mut BytesMut) {
        if let Item::Frame(frame) = item {
            out.put_u8(if frame.track == VIDEO { b'V' } else { b'A' });
        }
    }
}

/// Has its work done elsewhere: what it is given comes back later, sound as Opus, each frame once the next is there. The
/// first `fragile` of those that were made break down at the first frame after 100 ms.
struct Elsewhere {
    made: Arc<AtomicUsize>,
    fragile: usize,
}

impl Converter for Elsewhere {
    fn conversion(
        &self,
        rendition: &Rendition,
        _: &[Arc<Track>],
    ) -> Option<Result<Box<dyn Conversion>, Refusal>> {
        let Rendition::Converted { audio: Some(Codec::Opus), .. } = rendition else { return None };
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        if number >= 9 {
            return Some(Err(Refusal::Busy("nine are enough".to_owned())));
        }
        let breaks = number < self.fragile;
        Some(Ok(Box::new(Distant { breaks, inside: Vec::new(), after: None })))
    }
}

struct Distant {
    breaks: bool,
    inside: Batch,
    after: Option<MediaTime>,
}

impl Conversion for Distant {
    fn convert(&mut self, item: Item, _: &mut Batch) {
        self.inside.push(item);
    }

    fn later(&mut self) -> Later<'_> {
        Box::pin(async {
            if self.inside.len() < 2 {
                return std::future::pending().await;
            }
            let is_late =
                |item: &Item| matches!(item, Item::Frame(frame) if frame.dts > MediaTime::from_millis(100));
            if self.breaks && self.inside.iter().any(is_late) {
                return Err("broken".to_owned());
            }
            let after = self.after;
            let wanted = |item: &Item| !matches!(item, Item::Frame(frame) if Some(frame.dts) <= after);
            let last = self.inside.len() - 1;
            Ok(self.inside.drain(..last).filter(wanted).collect())
        })
    }

    fn finish(&mut self) -> Later<'_> {
        Box::pin(async { Ok(std::mem::take(&mut self.inside)) })
    }

    fn resume_after(&mut self, newest: &[(TrackId, MediaTime)]) {
        self.after = newest.iter().map(|(_, dts)| *dts).min();
    }
}

fn distant(fragile: usize) -> (Arc<Channel>, Publisher, Arc<AtomicUsize>) {
    let hub = Hub::new(Config::default(), Arc::default());
    let made = Arc::new(AtomicUsize::new(0));
    hub.register(Elsewhere { made: Arc::clone(&made), fragile });
    let channel = hub.create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    (channel, publisher, made)
}

/// All frames that a viewer gets until the broadcast has ended.
async fn until_end(viewer: &mut Subscriber) -> String {
    let mut all = Vec::new();
    while !matches!(all.last(), Some(Item::Ended)) {
        all.extend(viewer.next_batch().await);
    }
    shorthand(&all)
}

#[tokio::test]
async fn what_comes_later_comes_too_and_so_does_what_is_inside_at_the_end() {
    let (channel, mut publisher, _) = distant(0);
    let mut viewer = channel.subscribe(&opus()).unwrap();
    publisher.write(frame(VIDEO, 0, true));
    publisher.write(frame(VIDEO, 40, false));
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 V0");
    publisher.write(frame(VIDEO, 80, false));
    settle().await;
    channel.end();
    assert_eq!(until_end(&mut viewer).await, "V40 V80 E");
}

#[tokio::test]
async fn a_conversion_that_breaks_down_is_replaced_and_no_frame_comes_twice_or_not_at_all() {
    let (channel, mut publisher, made) = distant(2);
    let mut viewer = channel.subscribe_from(Start::Oldest, &opus()).unwrap();
    for n in 0..8 {
        publisher.write(frame(VIDEO, 40 * n, n % 4 == 0));
        settle().await;
    }
    channel.end();
    let all = until_end(&mut viewer).await;
    assert_eq!(all, "T0 V0 V40 V80 V120 V160 V200 V240 V280 E");
    assert_eq!(made.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_conversion_that_breaks_down_again_and_again_is_given_up() {
    let (channel, mut publisher, made) = distant(usize::MAX);
    let mut viewer = channel.subscribe(&opus()).unwrap();
    for n in 0..8 {
        publisher.write(frame(VIDEO, 40 * n, n % 4 == 0));
        settle().await;
    }
    assert!(until_end(&mut viewer).await.ends_with(" E"));
    assert_eq!(made.load(Ordering::Relaxed), 4, "the first, and three in its place");
    // Whoever comes now gets a new one, though somebody still holds on to the old.
    for made_then in 5..=9 {
        drop(channel.subscribe(&opus()).unwrap());
        assert_eq!(made.load(Ordering::Relaxed), made_then);
    }
    let refusal = channel.subscribe(&opus()).unwrap_err();
    assert_eq!(refusal, SubscribeError::Busy("nine are enough".to_owned()));
}

#[tokio::test]
async fn viewers_who_come_before_the_sound_is_described_wait_for_that() {
    let channel = Hub::new(Config::default(), Arc::default()).create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    let read = channel.wire_without::<Kinds>(0, Codec::Opus, Codec::Aac);
    let describe = async {
        settle().await;
        publisher.configure(audio_track());
        publisher.write(frame(VIDEO, 0, true));
        publisher.write(frame(AUDIO, 1, true));
    };
    // It was AAC: the programme it is, with all of its tracks at the beginning.
    let (read, ()) = tokio::join!(read, describe);
    let batch = read.unwrap().next_batch().await;
    let bytes: Vec<u8> = batch.chunks.iter().flatten().copied().collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), "H.264 AAC VA");
}

#[tokio::test]
async fn nobody_waits_long_for_sound_that_does_not_come() {
    let channel = Hub::new(Config::default(), Arc::default()).create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    publisher.write(frame(VIDEO, 0, true));
    let read = channel.wire_without::<Kinds>(0, Codec::Opus, Codec::Aac);
    assert!(tokio::time::timeout(Duration::from_secs(60), read).await.expect("in time").is_ok());
    // Nor for a publisher who goes away.
    let waiting = channel.wire_without::<Kinds>(0, Codec::Opus, Codec::Aac);
    let (_, gone) = tokio::join!(waiting, async {
        drop(publisher);
        channel.end();
        channel.wire_without::<Kinds>(0, Codec::Opus, Codec::Aac).await.err()
    });
    assert!(matches!(gone, Some(SubscribeError::Offline)));
}
