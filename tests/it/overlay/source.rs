//! Who watches the source sees no overlay.

use std::time::Duration;

use onair::av::worker::Workers;
use onair::context::Life;
use onair::hub::{self, Hub, Item, Protocol, Rendition, Subscriber};
use onair::media::{Frame, Kind, MediaTime};
use onair::metrics::Metrics;
use onair::overlay::placement::Format;
use onair::overlay::slots::State;
use onair::overlay::{Config, Overlays, Request, VariantSet, Wanted};

use super::stage::{TURN, WHITE};
use crate::support::in_time;
use crate::worker::material::{Material, PATIENCE, config};

/// Reads until there are so many frames in all.
async fn read(subscriber: &mut Subscriber, frames: &mut Vec<Frame>, count: usize) {
    while frames.len() < count {
        for item in in_time(&format!("{count} frames, after {}", frames.len()), subscriber.next_batch()).await
        {
            match item {
                Item::Frame(frame) => frames.push(frame),
                Item::Ended => panic!("it has ended after {} frames", frames.len()),
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_of_the_source_see_what_was_sent_while_the_programme_has_an_overlay() {
    let _turn = TURN.lock().await;
    let metrics = Metrics::new();
    let workers = Workers::start(&config(), &metrics);
    let own = Config { stall_timeout: PATIENCE, hand_over_timeout: PATIENCE, ..Config::default() };
    let overlays = Overlays::new(&own, workers, Life::default(), &metrics);
    let hub = Hub::new(hub::Config::default(), Default::default());
    let channel = hub.create(&"kitchen".parse().expect("a name"));
    let mut publisher = channel.publish(Protocol::Rtmp).expect("nobody else");
    let Material { track, frames: sent } = Material::read("h264-aac", Kind::Video);
    publisher.configure(track);
    publisher.write(sent[0].clone());
    let mut source = channel.subscribe(&Rendition::Source).expect("on the air");
    let mut programme = channel.subscribe(&Rendition::PROGRAM).expect("on the air");
    let (start, duration) = (MediaTime::from_millis(1_500), Duration::from_secs(1));
    let wanted =
        Wanted { format: Format::LowerThird, start: Some(start), duration, variants: VariantSet::ALL };
    let request = Request { wanted, image: WHITE.into() };
    let id = overlays.ask(&channel, request).await.expect("a good image");

    let (mut of_source, mut of_programme) = (Vec::new(), Vec::new());
    // In real time: a worker that is far behind would not be let in.
    let mut frame_time = tokio::time::interval(Duration::from_millis(33));
    for (place, frame) in sent.iter().enumerate().skip(1) {
        frame_time.tick().await;
        publisher.write(frame.clone());
        if place == 40 {
            in_time("a worker", async {
                while overlays.slot(id).expect("a slot").state() == State::Waiting {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
        // Nobody falls out of the ring.
        read(&mut source, &mut of_source, place.saturating_sub(20)).await;
        read(&mut programme, &mut of_programme, place.saturating_sub(20)).await;
    }
    drop(publisher);
    read(&mut programme, &mut of_programme, sent.len()).await;
    read(&mut source, &mut of_source, sent.len()).await;
    let timed = |frames: &[Frame]| -> Vec<(MediaTime, bytes::Bytes)> {
        frames.iter().map(|frame| (frame.pts - frames[0].pts, frame.payload.clone())).collect()
    };
    assert!(timed(&of_source) == timed(&sent), "the source's viewers get what was sent");
    let changed: Vec<i64> = of_source
        .iter()
        .zip(&of_programme)
        .filter(|(source, programme)| source.payload != programme.payload)
        .map(|(source, _)| source.pts.as_millis())
        .collect();
    let shown = overlays.slot(id).expect("a slot").shown;
    let on = [shown.first_pts, shown.last_pts].map(|pts| pts.expect("it was shown").as_millis());
    assert!(changed.contains(&on[0]) && changed.contains(&on[1]), "{on:?} in {changed:?}");
    assert_eq!(shown.frames, 30);
}
