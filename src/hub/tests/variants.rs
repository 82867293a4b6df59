//! Variants of the programme: who gets which, and how he goes over from one to the other.

use super::*;
use crate::media::{Code, Cohort};

fn of(country: &str) -> Arc<Cohort> {
    Arc::new(Cohort { consent: true, country: country.parse::<Code>().ok(), ..Cohort::default() })
}

/// Those of one country get variant 1.
fn apart(channel: &Channel, country: &str) {
    let apart = of(country).country;
    assert!(channel.arrange(2, move |cohort| u8::from(cohort.country == apart)));
}

/// What a viewer is sent now: the last byte of each payload.
async fn sent(wire: &mut WireReader, viewer: &Viewer) -> Vec<u8> {
    let mut bytes = Vec::new();
    tokio::task::yield_now().await;
    while let Ok(batch) = tokio::time::timeout(Duration::ZERO, wire.next_batch()).await {
        bytes.extend(batch.chunks.concat());
        if let Some(shown) = batch.shown {
            viewer.saw(shown);
        }
        wire.follow::<Toy>(viewer);
        tokio::task::yield_now().await;
    }
    bytes
}

#[tokio::test]
async fn variants_are_the_programme_until_somebody_writes_them_apart() {
    let (channel, mut publisher) = on_air(Config::default());
    publisher.write(frame(VIDEO, 0, true));
    let [mut everybody, mut few] =
        [0, 1].map(|variant| channel.subscribe(&Rendition::Program { variant }).unwrap());
    assert!(channel.subscribe(&Rendition::Program { variant: MAX_VARIANTS }).is_err());
    let joined = read(&mut everybody).await;
    assert!(joined.ends_with("V0"));
    assert_eq!(read(&mut few).await, joined);

    let mut program = channel.take_program(2).unwrap();
    assert_eq!(program.variants(), 2);
    publisher.write(frame(VIDEO, 40, false));
    assert_eq!(shorthand(&program.next_batch().await), "V40");
    program.write(0, Item::Frame(frame(VIDEO, 40, false)));
    program.write(1, Item::Frame(frame(VIDEO, 41, true)));
    assert_eq!(read(&mut everybody).await, "V40");
    assert_eq!(read(&mut few).await, "V41");
    assert!(program.give_back());
    publisher.write(frame(VIDEO, 80, true));
    for viewer in [&mut everybody, &mut few] {
        assert_eq!(read(viewer).await, "V80", "the source is in both again");
    }
    // Whoever takes it for one variant writes all that there are.
    let program = channel.take_program(1).unwrap();
    assert_eq!(program.variants(), 2);
    drop(program);
    assert!(read(&mut few).await.starts_with('L'), "the gap is told in both");
    drop(publisher);
    channel.end();
    assert!(read(&mut everybody).await.ends_with('E') && read(&mut few).await.ends_with('E'));
}

#[tokio::test]
async fn those_who_come_get_their_variant_and_those_who_are_there_are_told() {
    let (channel, _publisher) = on_air(Config::default());
    let (german, french) = (of("de"), of("fr"));
    assert_eq!((channel.variants(), channel.variant_of(&french)), (1, 0));
    let watch = |cohort: &Arc<Cohort>| {
        let rendition = Rendition::Program { variant: channel.variant_of(cohort) };
        channel.viewer_of(&rendition, Protocol::Rtmp, Arc::clone(cohort))
    };
    let there = [watch(&german), watch(&french)];
    apart(&channel, "fr");
    assert_eq!(there.each_ref().map(Viewer::goes_over), [None, Some(1)]);
    assert_eq!((channel.variants(), channel.variant_of(&french), channel.variant_of(&german)), (2, 1, 0));
    let late = watch(&french);
    assert_eq!(late.goes_over(), None);
    let variants = |channel: &Channel| {
        let mut variants: Vec<u8> = channel.audience().iter().map(|watching| watching.variant).collect();
        variants.sort_unstable();
        variants
    };
    assert_eq!(variants(&channel), [0, 0, 1], "one of them is only on his way");
    // Of the next broadcast nothing is said yet.
    channel.end();
    assert_eq!((channel.variants(), channel.variant_of(&french)), (1, 0));
    assert!(!channel.arrange(2, |_| 1), "nothing is on the air");
}

#[tokio::test]
async fn who_was_still_connecting_when_all_were_arranged_is_told_too() {
    let (channel, mut publisher) = on_air(Config::default());
    publisher.write(frame(VIDEO, 0, true));
    let austrian = of("at");
    let rendition = Rendition::Program { variant: channel.variant_of(&austrian) };
    apart(&channel, "at");
    let viewer = channel.viewer_of(&rendition, Protocol::WebRtc, austrian);
    assert_eq!((rendition.variant(), viewer.goes_over()), (0, Some(1)));
}

#[tokio::test]
async fn a_viewer_goes_over_at_a_picture_that_both_variants_have() {
    let (channel, mut publisher) = on_air(Config::default());
    let cohort = of("fr");
    let mut wire = channel.wire::<Toy>(Rendition::PROGRAM).unwrap();
    let viewer = channel.viewer_of(&Rendition::PROGRAM, Protocol::Rtmp, cohort);
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!(sent(&mut wire, &viewer).await, b"H\x02\x00");

    // While the variants differ, he stays where he is.
    let mut program = channel.take_program(2).unwrap();
    program.write(0, Item::Frame(frame(VIDEO, 10, true)));
    program.write(1, Item::Frame(frame(VIDEO, 11, true)));
    apart(&channel, "fr");
    assert_eq!(sent(&mut wire, &viewer).await, [10]);
    program.write(0, Item::Frame(frame(VIDEO, 20, false)));
    program.write(1, Item::Frame(frame(VIDEO, 21, false)));
    assert_eq!(sent(&mut wire, &viewer).await, [20]);
    assert!(program.give_back());
    publisher.write(frame(VIDEO, 30, true));
    publisher.write(frame(VIDEO, 40, false));
    assert_eq!(sent(&mut wire, &viewer).await, [30, 40]);
    let mut program = channel.take_program(2).unwrap();
    program.write(0, Item::Frame(frame(VIDEO, 50, true)));
    program.write(1, Item::Frame(frame(VIDEO, 51, true)));
    assert_eq!(sent(&mut wire, &viewer).await, [51], "nothing is missing, nothing comes twice");
    let [watching] = &channel.audience()[..] else { panic!("one") };
    let [since, until] = [50, 51].map(MediaTime::from_millis);
    assert_eq!(watching.variant, 1);
    assert!(watching.seen.is_some_and(|seen| seen.since > since && seen.until == until), "{watching:?}");
}

#[tokio::test]
async fn a_viewer_goes_over_though_the_other_variant_is_always_a_moment_behind() {
    let (channel, mut publisher) = on_air(Config::default());
    let mut wire = channel.wire::<Toy>(Rendition::PROGRAM).unwrap();
    let viewer = channel.viewer_of(&Rendition::PROGRAM, Protocol::Rtmp, of("fr"));
    publisher.write(frame(VIDEO, 0, true));
    assert_eq!(sent(&mut wire, &viewer).await, b"H\x02\x00");
    let mut program = channel.take_program(2).unwrap();
    program.write(0, Item::Frame(frame(VIDEO, 5, true)));
    program.write(1, Item::Frame(frame(VIDEO, 6, true)));
    apart(&channel, "fr");
    assert_eq!(sent(&mut wire, &viewer).await, [5]);
    // Whenever he is sent a picture, the other variant does not have it yet.
    program.write(0, Item::Frame(frame(VIDEO, 10, true)));
    assert_eq!(sent(&mut wire, &viewer).await, [10]);
    program.write(1, Item::Frame(frame(VIDEO, 10, true)));
    tokio::task::yield_now().await;
    program.write(0, Item::Frame(frame(VIDEO, 20, false)));
    program.write(1, Item::Frame(frame(VIDEO, 21, false)));
    assert_eq!(sent(&mut wire, &viewer).await, [21]);
}
