//! Who watches, and what he has been sent.

use super::*;

fn millis(millis: i64) -> MediaTime {
    MediaTime::from_millis(millis)
}

fn seen(since: i64, until: i64) -> Option<Seen> {
    Some(Seen { since: millis(since), until: millis(until) })
}

fn shown(since: Option<i64>, until: i64) -> Shown {
    Shown { since: since.map(millis), until: millis(until), variant: 0 }
}

#[tokio::test]
async fn the_audience_is_who_watches_the_programme_over_a_connection() {
    let channel = channel(Config::default());
    let opus = Rendition::PROGRAM.with_sound(Codec::Opus);
    let viewers = [
        channel.viewer(Protocol::Rtmp),
        channel.viewer(Protocol::HttpFlv),
        channel.viewer_of(&opus, Protocol::WebRtc, Arc::default()),
        channel.viewer(Protocol::Hls),
        channel.viewer_of(&Rendition::Source, Protocol::WebRtc, Arc::default()),
        channel.viewer_of(&Rendition::Source.with_sound(Codec::Opus), Protocol::WebRtc, Arc::default()),
    ];
    let counted: u64 = channel.status().viewers.iter().map(|(_, count)| count).sum();
    assert_eq!(counted, 6, "all are counted");
    let protocols = |channel: &Channel| {
        let mut protocols: Vec<_> =
            channel.audience().iter().map(|watching| watching.protocol as usize).collect();
        protocols.sort_unstable();
        protocols
    };
    assert_eq!(
        protocols(&channel),
        [Protocol::Rtmp, Protocol::HttpFlv, Protocol::WebRtc].map(|p| p as usize)
    );
    let [rtmp, flv, rest @ ..] = viewers;
    drop((rtmp, rest));
    assert_eq!(protocols(&channel), [Protocol::HttpFlv as usize]);
    drop(flv);
    assert!(channel.audience().is_empty());
}

#[tokio::test]
async fn a_session_has_a_name_of_its_own_until_it_is_given_another() {
    let channel = channel(Config::default());
    let (one, _two) = (channel.viewer(Protocol::Rtmp), channel.viewer(Protocol::Rtmp));
    let [a, b] = &channel.audience()[..] else { panic!("two") };
    assert_ne!(a.session, b.session);
    assert!(one.identify(7) && !one.identify(8));
    assert_eq!(channel.audience().iter().filter(|watching| watching.session == 7).count(), 1);
    assert!(channel.audience().iter().all(|watching| watching.session != 8));
}

#[tokio::test]
async fn what_a_viewer_has_seen_ends_with_what_was_written_last() {
    let channel = channel(Config::default());
    let viewer = channel.viewer(Protocol::HttpFlv);
    let standing = || channel.audience()[0].seen;
    assert_eq!(standing(), None);
    viewer.saw(shown(Some(1_000), 1_000));
    viewer.saw(shown(None, 1_040));
    assert_eq!(standing(), seen(1_000, 1_040));

    let bytes = viewer.saw_when_written(Bytes::from_static(b"FLV"), shown(None, 1_080));
    assert_eq!((&bytes[..], standing()), (&b"FLV"[..], seen(1_000, 1_040)), "not written yet");
    drop(bytes);
    assert_eq!(standing(), seen(1_000, 1_080));
    viewer.saw(shown(Some(5_000), 5_040));
    assert_eq!(standing(), seen(5_000, 5_040), "something was missing");
}

#[tokio::test]
async fn bytes_of_a_wire_form_say_what_they_show() {
    let (channel, mut publisher) = super::on_air(Config { window: Duration::ZERO, ..Config::default() });
    let mut viewer = channel.wire::<Toy>(Rendition::PROGRAM).unwrap();
    // Shown later than decoded, as pictures that others are made from are.
    publisher.write(Frame { pts: millis(80), ..frame(VIDEO, 0, true) });
    assert_eq!(viewer.next_batch().await.shown, Some(shown(Some(80), 0)));
    publisher.write(frame(AUDIO, 20, true));
    publisher.write(frame(AUDIO, 45, true));
    publisher.write(frame(AUDIO, 70, true));
    let batch = viewer.next_batch().await;
    assert_eq!((batch.chunks.len(), batch.shown), (1, None), "sound beside a picture");
    publisher.write(frame(VIDEO, 80, false));
    assert_eq!(viewer.next_batch().await.shown, Some(shown(None, 80)));

    for n in 3..=20 {
        publisher.write(frame(VIDEO, n * 40, n % 5 == 0));
        tokio::task::yield_now().await;
    }
    let batch = viewer.next_batch().await;
    assert_eq!((batch.missed > 0, batch.shown), (true, Some(shown(Some(800), 800))), "he was too slow");

    drop(channel.take_program(1).unwrap());
    publisher.write(frame(VIDEO, 840, false));
    assert_eq!(viewer.next_batch().await.shown, None, "what cannot be decoded is not seen");
    publisher.write(frame(VIDEO, 880, true));
    publisher.write(frame(VIDEO, 920, false));
    assert_eq!(viewer.next_batch().await.shown, Some(shown(Some(880), 920)), "the programme has a gap");
}

#[tokio::test]
async fn sound_alone_is_seen_as_well() {
    let channel = channel(Config::default());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(audio_track());
    let mut viewer = channel.wire::<Toy>(Rendition::PROGRAM).unwrap();
    publisher.write(frame(AUDIO, 0, true));
    assert_eq!(viewer.next_batch().await.shown, Some(shown(Some(0), 0)));
    publisher.write(frame(AUDIO, 21, true));
    publisher.write(frame(AUDIO, 42, true));
    assert_eq!(viewer.next_batch().await.shown, Some(shown(None, 42)));
}
