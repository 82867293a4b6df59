//! The programme, where somebody writes it.

use super::*;

fn on_air() -> (Arc<Channel>, Publisher) {
    let hub = Hub::new(Config::default(), Arc::default());
    let channel = hub.create(&"kitchen".parse().unwrap());
    let mut publisher = channel.publish(Protocol::Rtmp).unwrap();
    publisher.configure(video_track(640));
    publisher.write(frame(VIDEO, 0, true));
    publisher.write(frame(VIDEO, 40, false));
    (channel, publisher)
}

#[tokio::test]
async fn viewers_of_the_programme_and_of_the_source_part_at_an_item() {
    let (channel, mut publisher) = on_air();
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    let mut purist = channel.subscribe(&Rendition::Source).unwrap();
    assert_eq!(read(&mut viewer).await, "T0 V0 V40");
    let mut program = channel.take_program(1).unwrap();
    assert_eq!(channel.take_program(1).unwrap_err(), TakeError::Taken);
    assert_eq!(shorthand(&program.take_history()), "T0 V0 V40");
    publisher.write(frame(VIDEO, 80, false));
    assert_eq!(shorthand(&program.next_batch().await), "V80");
    program.write(0, Item::Frame(frame(VIDEO, 81, true)));
    assert_eq!(read(&mut viewer).await, "V81");
    assert_eq!(read(&mut purist).await, "T0 V0 V40 V80", "from the same feed into the fork");
    let mut late = channel.subscribe(&Rendition::PROGRAM).unwrap();
    assert_eq!(read(&mut late).await, "T0 V81");
    let mut late_purist = channel.subscribe(&Rendition::Source).unwrap();
    assert_eq!(read(&mut late_purist).await, "T0 V0 V40 V80");
}

#[tokio::test]
async fn a_programme_that_is_given_back_is_the_source_again() {
    let (channel, mut publisher) = on_air();
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    let mut purist = channel.subscribe(&Rendition::Source).unwrap();
    let mut program = channel.take_program(1).unwrap();
    publisher.write(frame(VIDEO, 80, false));
    assert!(!program.give_back(), "there is something to read");
    for item in program.next_batch().await {
        program.write(0, item);
    }
    assert!(program.give_back(), "all was read");
    drop(program);
    publisher.write(frame(VIDEO, 120, false));
    for subscriber in [&mut viewer, &mut purist] {
        assert_eq!(read(subscriber).await, "T0 V0 V40 V80 V120");
    }
    // And again: the source has its own feed already.
    let mut program = channel.take_program(1).unwrap();
    assert_eq!(shorthand(&program.take_history()), "T0 V0 V40 V80 V120");
    publisher.write(frame(VIDEO, 160, true));
    assert_eq!(shorthand(&program.next_batch().await), "V160");
}

#[tokio::test]
async fn a_programme_that_is_dropped_has_a_gap_and_goes_on() {
    let (channel, mut publisher) = on_air();
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    assert_eq!(read(&mut viewer).await, "T0 V0 V40");
    drop(channel.take_program(1).unwrap());
    publisher.write(frame(VIDEO, 80, true));
    assert_eq!(read(&mut viewer).await, "L T0 V80");
    channel.end();
    assert_eq!(read(&mut viewer).await, "E");
}

#[tokio::test]
async fn the_end_waits_for_the_last_of_the_programme() {
    let (channel, mut publisher) = on_air();
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    let mut program = channel.take_program(1).unwrap();
    publisher.write(frame(VIDEO, 80, false));
    channel.end();
    assert_eq!(read(&mut viewer).await, "T0 V0 V40");
    assert_eq!(shorthand(&program.next_batch().await), "V80");
    assert_eq!(shorthand(&program.next_batch().await), "E");
    program.write(0, Item::Frame(frame(VIDEO, 80, false)));
    program.write(0, Item::Ended);
    assert_eq!(read(&mut viewer).await, "V80 E");
    drop(program);
    assert_eq!(channel.take_program(1).unwrap_err(), TakeError::Offline);
    // One that is dropped ends as well.
    let (channel, _publisher) = on_air();
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    let program = channel.take_program(1).unwrap();
    channel.end();
    drop(program);
    assert_eq!(read(&mut viewer).await, "T0 V0 V40 L T0 E");
}

#[tokio::test]
async fn tracks_and_cues_of_the_programme_are_told_to_who_joins_it() {
    let (channel, mut publisher) = on_air();
    let mut program = channel.take_program(1).unwrap();
    program.write(0, Item::Track(Arc::new(video_track(1280))));
    program.write(0, Item::Cue(cue("break", 1, 0, 60_000)));
    program.write(0, Item::Frame(frame(VIDEO, 80, true)));
    publisher.write(frame(VIDEO, 80, true));
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    let batch = viewer.next_batch().await;
    assert_eq!(shorthand(&batch), "T0 Cbreak V80");
    assert!(matches!(&batch[0], Item::Track(track) if track.video().unwrap().width == 1280));
    let mut purist = channel.subscribe(&Rendition::Source).unwrap();
    assert_eq!(shorthand(&purist.next_batch().await), "T0 V80");
}

#[tokio::test]
async fn the_programmes_readers_are_woken_once_a_picture_by_whoever_writes_it() {
    let (channel, mut publisher) = on_air();
    publisher.configure(audio_track());
    let mut viewer = channel.subscribe(&Rendition::PROGRAM).unwrap();
    read(&mut viewer).await;
    let mut program = channel.take_program(1).unwrap();
    let reading = tokio::spawn(async move { viewer.next_batch().await });
    tokio::task::yield_now().await;
    publisher.write(frame(VIDEO, 80, false));
    program.write(0, Item::Frame(frame(AUDIO, 60, true)));
    tokio::task::yield_now().await;
    assert!(!reading.is_finished());
    program.write(0, Item::Frame(frame(VIDEO, 120, false)));
    assert_eq!(shorthand(&reading.await.unwrap()), "A60 V120");
}
