//! Cues of publishers and of those who decide on them.

use super::*;

#[tokio::test]
async fn taken_cues_go_to_the_taker_and_announced_ones_to_everybody() {
    let (channel, mut publisher) = on_air(Config::default());
    assert!(channel.announce(cue("early", 1, 1_000, 10_000)));
    publisher.write(frame(VIDEO, 0, true));
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 T1 Cearly V0");

    let mut cues = channel.take_cues();
    publisher.cue(cue("asked", 1, 2_000, 10_000));
    assert_eq!(cues.recv().await.unwrap().id.as_str(), "asked");
    publisher.write(frame(VIDEO, 40, false));
    assert_eq!(shorthand(&viewer.next_batch().await), "V40", "nobody hears of it");

    let reading = tokio::spawn(async move { (viewer.next_batch().await, viewer) });
    tokio::task::yield_now().await;
    assert!(channel.announce(cue("decided", 1, 2_000, 10_000)));
    let (batch, mut viewer) = reading.await.unwrap();
    assert_eq!(shorthand(&batch), "Cdecided", "told at once, though no frame comes");

    drop(cues);
    publisher.cue(cue("straight", 1, 3_000, 10_000));
    publisher.write(frame(VIDEO, 80, false));
    assert_eq!(shorthand(&viewer.next_batch().await), "Cstraight V80");
}

#[tokio::test]
async fn the_newest_taker_has_the_cues_and_what_he_has_no_room_for_is_counted() {
    let metrics = Arc::new(Metrics::default());
    let hub = Hub::new(Config::default(), Arc::clone(&metrics));
    let channel = hub.create(&"kitchen".parse().unwrap());
    assert!(!channel.announce(cue("nobody", 1, 0, 1_000)), "the channel is offline");
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    publisher.write(frame(VIDEO, 0, true));
    let mut before = channel.take_cues();
    let mut cues = channel.take_cues();
    assert!(before.recv().await.is_none());
    for n in 0..70 {
        publisher.cue(cue(&n.to_string(), 1, n, 1_000));
    }
    assert_eq!(metrics.cues_dropped.get(), 6);
    for n in 0..64 {
        assert_eq!(cues.try_recv().unwrap().id.as_str(), n.to_string());
    }
    assert!(cues.try_recv().is_err());
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    assert_eq!(shorthand(&viewer.next_batch().await), "T0 V0");
}

#[tokio::test]
async fn that_a_cue_is_over_is_announced_once_unless_it_was_withdrawn() {
    let (channel, mut publisher) = on_air(Config::default());
    let mut announcements = channel.announcements();
    publisher.write(frame(VIDEO, 0, true));
    assert!(channel.announce(cue("ends", 1, 100, 900)));
    assert!(channel.announce(cue("cut", 1, 100, 9_000)));
    assert!(channel.announce(cue("cut", 2, 100, 400)));
    assert!(channel.announce(cue("withdrawn", 1, 100, 900)));
    assert!(channel.announce(Cue { state: CueState::Cancelled, ..cue("withdrawn", 2, 100, 900) }));
    let mut told = Vec::new();
    for millis in [400, 500, 960, 1_000, 1_040, 9_200] {
        // The last two before the end are sound and picture at one time.
        publisher.write(frame(if millis == 960 { AUDIO } else { VIDEO }, millis, true));
        while let Ok((cue, now)) = tokio::time::timeout(Duration::ZERO, announcements.next()).await {
            let word = if cue.end() <= Some(now) { "over" } else { "on" };
            told.push(format!("{} {} {word} {}", cue.id, cue.revision, now.as_millis()));
        }
    }
    let expected = [
        "ends 1 on 400",
        "cut 1 on 400",
        "cut 2 on 400",
        "withdrawn 1 on 400",
        "withdrawn 2 on 400",
        "cut 2 over 500",
        "ends 1 over 1000",
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn announcements_are_told_each_once_and_begin_with_those_that_stand() {
    let (channel, mut publisher) = on_air(Config::default());
    let mut early = channel.announcements();
    publisher.write(frame(VIDEO, 0, true));
    publisher.cue(cue("over", 1, 0, 50));
    assert!(channel.announce(cue("stands", 1, 1_000, 10_000)));
    publisher.write(frame(VIDEO, 100, false));
    let mut late = channel.announcements();
    assert!(channel.announce(cue("stands", 1, 1_000, 10_000)), "a repetition");
    assert!(channel.announce(cue("stands", 2, 1_000, 5_000)));
    let told = async |announcements: &mut Announcements| {
        let mut told = Vec::new();
        while let Ok((cue, _)) = tokio::time::timeout(Duration::ZERO, announcements.next()).await {
            told.push(format!("{} {}", cue.id, cue.revision));
        }
        told.join(", ")
    };
    assert_eq!(told(&mut early).await, "over 1, stands 1, stands 2");
    assert_eq!(told(&mut late).await, "stands 1, stands 2");
    assert_eq!(channel.announcements().next().await.1, MediaTime::from_millis(100));

    let mut cues = channel.take_cues();
    publisher.cue(cue("asked", 1, 1_000, 10_000));
    assert!(cues.try_recv().is_ok());
    assert_eq!(told(&mut early).await, "", "nobody has decided on it");

    // Who was away for long is told of what stands, and the next broadcast may use the names again.
    for revision in 3..=100 {
        channel.announce(cue("stands", revision, 1_000, 5_000));
    }
    assert_eq!(told(&mut late).await, "stands 100");
    let before = channel.newest().unwrap().0;
    channel.end();
    drop(publisher);
    // Broadcasts are told apart by the millisecond.
    let _publisher = loop {
        let publisher = channel.publish(Protocol::Rtmp).unwrap();
        if channel.newest().unwrap().0 != before {
            break publisher;
        }
        channel.end();
    };
    channel.announce(cue("stands", 1, 1_000, 5_000));
    assert_eq!(told(&mut late).await, "stands 1");
}
