//! The published messages, every dialect, the life of a slot, and mutations.

use base64::Engine;
use bytes::BytesMut;
use serde_json::Value as Json;

use super::*;
use crate::format::amf::amf0;
use crate::format::scte35::{
    BreakDuration, Command, Descriptor, Segmentation, SegmentationDescriptor, SpliceInsert, SpliceMode,
    SplicePoint, Upid,
};
use crate::media::{Cue, CueState};

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/media-fixtures/vectors/amf0_cues.json"));

fn vectors() -> Vec<Json> {
    serde_json::from_str(VECTORS).unwrap()
}

fn bytes_of(vector: &Json) -> Vec<u8> {
    let digits: Vec<u32> =
        vector["hex"].as_str().unwrap().chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

fn named(name: &str) -> Vec<Value> {
    let vectors = vectors();
    let vector = vectors.iter().find(|vector| vector["name"] == name).unwrap();
    amf0::decode_all(&bytes_of(vector)).unwrap()
}

fn secs(seconds: i64) -> MediaTime {
    MediaTime::from_millis(seconds * 1000)
}

/// Now, at a time of a publisher whose clock began 100 s before the broadcast.
fn at(seconds: i64) -> Moment {
    Moment { publisher: secs(seconds + 100), media: secs(seconds) }
}

fn announced(action: Action, id: Option<&str>, start: Start, duration: Option<i64>) -> Announcement {
    Announcement { id: id.map(str::to_owned), action, start, duration: duration.map(secs) }
}

fn out(id: &str, start: i64, duration: Option<i64>) -> Announcement {
    announced(Action::Out, Some(id), Start::At(secs(start + 100)), duration)
}

fn one(news: Result<Vec<Cue>, CueError>) -> Cue {
    let news = news.unwrap();
    assert_eq!(news.len(), 1, "{news:?}");
    news[0].clone()
}

fn nothing(news: Result<Vec<Cue>, CueError>) {
    assert_eq!(news, Ok(vec![]));
}

fn section(command: Command, segmentations: &[(u32, u8, Option<u64>)]) -> Announcement {
    let descriptor = |&(event_id, type_id, duration): &(u32, u8, Option<u64>)| {
        let segmentation = Segmentation {
            components: None,
            restrictions: None,
            duration,
            upid: Upid::NONE,
            type_id,
            segment_num: 0,
            segments_expected: 0,
            sub_segment: None,
            trailing: Bytes::new(),
        };
        let segmentation = (type_id != 0).then_some(segmentation);
        Descriptor::Segmentation(SegmentationDescriptor { event_id, event_id_compliance: true, segmentation })
    };
    let section = SpliceInfoSection::new(command, segmentations.iter().map(descriptor).collect());
    let bytes = section.encode().unwrap();
    let text = BASE64.encode(&bytes);
    let cue = Value::object([("cue", text.into()), ("type", "scte35".into())]);
    let announcement = parse(&["onAdCue".into(), cue]).unwrap().unwrap();
    assert_eq!(announcement.action, Action::Section { section, bytes });
    announcement
}

fn splice_insert(event_id: u32, out_of_network: bool) -> Command {
    let splice = SplicePoint {
        out_of_network,
        event_id_compliance: true,
        mode: SpliceMode::ProgramImmediate,
        duration: Some(BreakDuration { auto_return: true, ticks: 30 * 90_000 }),
        unique_program_id: 1,
        avail_num: 0,
        avails_expected: 0,
    };
    Command::Insert(SpliceInsert { event_id, splice: Some(splice) })
}

#[test]
fn published_messages_are_read() {
    let youtube = parse(&named("youtube-cuepoint")).unwrap().unwrap();
    let pre_roll = Start::After(MediaTime::from_millis(2_560));
    assert_eq!(youtube, announced(Action::Out, None, pre_roll, Some(30)));

    let elemental = parse(&named("elemental-scte35-ecma")).unwrap().unwrap();
    assert_eq!(elemental, announced(Action::Out, Some("1241513985"), Start::At(secs(1000)), Some(10)));

    let primetime = parse(&named("primetime-scte35-overlay")).unwrap().unwrap();
    assert_eq!((primetime.start, primetime.duration), (Start::At(secs(1000)), Some(secs(10))));
    let Action::Section { section, bytes } = primetime.action else { panic!("a section") };
    assert_eq!(section.segmentations().count(), 1);
    assert_eq!(section.encode().unwrap(), bytes);

    assert_eq!(parse(&named("setDataFrame-wrapped")), Ok(None));
    assert_eq!(parse(&named("neg-nan-time")), Err(CueError::OutOfRange("time")));
    let nested = vectors().iter().find(|vector| vector["name"] == "neg-deep-nesting").map(bytes_of).unwrap();
    assert!(amf0::decode_all(&nested).is_err());
}

/// What a player that reads what is written of a cue takes for news.
fn heard(cues: &mut Cues, cue: &Cue, now: MediaTime) -> Vec<Cue> {
    let values = amf0::decode_all(&on_ad_cue(cue, now)).unwrap();
    let moment = Moment { publisher: now, media: now };
    cues.announce(parse(&values).unwrap().expect("a cue"), moment).unwrap()
}

#[test]
fn what_viewers_are_told_is_read_as_the_same_slot() {
    let mut cue = Cue {
        id: CueId::new("1234"),
        revision: 1,
        state: CueState::Announced,
        start: secs(40),
        duration: Some(secs(15)),
        origin: crate::media::CueOrigin::Api,
        scte35: None,
    };
    let mut cues = Cues::default();
    let [read] = &heard(&mut cues, &cue, secs(32))[..] else { panic!("one") };
    assert_eq!((&read.id, read.start, read.duration), (&cue.id, cue.start, cue.duration));
    assert!(heard(&mut cues, &cue, secs(44)).is_empty(), "a repetition, though it has begun");

    (cue.revision, cue.duration) = (2, Some(secs(5)));
    let [read] = &heard(&mut cues, &cue, secs(44))[..] else { panic!("one") };
    assert_eq!((read.revision, read.start, read.duration), (2, secs(40), Some(secs(5))), "shorter");
    let mut cues = Cues::default();
    let [_] = &heard(&mut cues, &Cue { duration: Some(secs(15)), ..cue.clone() }, secs(32))[..] else {
        panic!("one")
    };
    let [read] = &heard(&mut cues, &cue, secs(45))[..] else { panic!("one") };
    assert_eq!((read.state, read.duration), (CueState::Announced, Some(secs(5))), "over");

    let mut cues = Cues::default();
    heard(&mut cues, &cue, secs(32));
    cue.state = CueState::Cancelled;
    let [read] = &heard(&mut cues, &cue, secs(33))[..] else { panic!("one") };
    assert_eq!((&read.id, read.state), (&cue.id, CueState::Cancelled));

    // A name that is no number has one in the section; a duration that is not known is none.
    let named = Cue { id: CueId::new("half \"time\""), state: CueState::Announced, duration: None, ..cue };
    let [read] = &heard(&mut Cues::default(), &named, secs(32))[..] else { panic!("one") };
    assert_eq!(read.id.as_str(), crate::format::scte35::slot::event_id(&named).to_string());
    assert_eq!((read.start, read.duration), (secs(40), None));
}

#[test]
fn other_messages_are_no_cues() {
    let object = |name: &str| Value::object([("name", name.into()), ("type", "navigation".into())]);
    for values in [
        vec![],
        vec![Value::Null],
        vec!["onMetaData".into(), Value::ecma_array([("width", 640_u32.into())])],
        vec!["onCuePoint".into()],
        vec!["onCuePoint".into(), object("chapter")],
        vec!["onAdCue".into(), object("x")],
        vec![WRAPPER.into()],
    ] {
        assert_eq!(parse(&values), Ok(None), "{values:?}");
    }
}

#[test]
fn a_plain_ad_cue_is_read_with_and_without_a_wrapper() {
    let cue = Value::object([
        ("cue", "SpliceOut".into()),
        ("id", "slot-2".into()),
        ("duration", 10.0.into()),
        ("elapsed", 2.0.into()),
    ]);
    let expected = announced(Action::Out, Some("slot-2"), Start::After(secs(-2)), Some(10));
    assert_eq!(parse(&["onAdCue".into(), cue.clone()]), Ok(Some(expected.clone())));
    assert_eq!(parse(&[WRAPPER.into(), "onAdCue".into(), Value::Null, cue]), Ok(Some(expected)));
}

#[test]
fn numbers_and_texts_that_make_no_sense_are_refused() {
    let ad_cue = |field: &'static str, value: Value| {
        let cue = Value::object([("cue", "SpliceOut".into()), (field, value)]);
        parse(&["onAdCue".into(), cue])
    };
    for number in [f64::NAN, f64::INFINITY, -1.0, -0.001, 1e9] {
        for field in ["time", "duration", "elapsed"] {
            assert_eq!(ad_cue(field, number.into()), Err(CueError::OutOfRange(field)), "{field} {number}");
        }
    }
    assert_eq!(ad_cue("duration", "ten".into()), Err(CueError::Type("duration")));
    assert_eq!(ad_cue("duration", "NaN".into()), Err(CueError::OutOfRange("duration")));
    assert_eq!(ad_cue("duration", true.into()), Err(CueError::Type("duration")));
    assert_eq!(ad_cue("id", "x".repeat(129).into()), Err(CueError::TooLong("id")));
    assert_eq!(ad_cue("id", f64::NAN.into()), Err(CueError::OutOfRange("id")));
    assert!(ad_cue("duration", 0.0.into()).unwrap().unwrap().duration.is_none(), "zero is unknown");

    let section = |text: String| {
        parse(&["onAdCue".into(), Value::object([("cue", text.into()), ("type", "scte35".into())])])
    };
    assert_eq!(section("not base64!".into()), Err(CueError::Base64));
    assert_eq!(section("A".repeat(6_000)), Err(CueError::TooLong("cue")));
    assert!(matches!(section("AAAA".into()), Err(CueError::Section(_))));

    let youtube = Value::object([("type", "com.youtube.cuepoint".into())]);
    assert_eq!(parse(&["onCuePoint".into(), youtube]), Err(CueError::Missing("cue_point_start")));
}

#[test]
fn times_on_the_publishers_clock_become_media_time() {
    let mut cues = Cues::default();
    let cue = one(cues.announce(out("1", 20, Some(10)), at(12)));
    assert_eq!((cue.id.as_str(), cue.revision, cue.state), ("1", 1, CueState::Announced));
    assert_eq!((cue.start, cue.end()), (secs(20), Some(secs(30))));
    let soon = announced(Action::Out, Some("2"), Start::After(secs(3)), None);
    assert_eq!(one(cues.announce(soon, at(12))).start, secs(15));
    let now = announced(Action::Out, Some("3"), Start::Immediate, None);
    assert_eq!(one(cues.announce(now, at(12))).start, secs(12));
    assert_eq!(cues.announce(out("4", 90_000, None), at(12)), Err(CueError::FarAway));
}

#[test]
fn a_repetition_is_no_news_and_an_update_raises_the_revision() {
    let mut cues = Cues::default();
    one(cues.announce(out("1", 20, None), at(10)));
    nothing(cues.announce(out("1", 20, None), at(12)));
    nothing(cues.announce(announced(Action::Out, Some("1"), Start::Immediate, None), at(13)));
    let longer = one(cues.announce(out("1", 20, Some(10)), at(14)));
    assert_eq!((longer.revision, longer.duration), (2, Some(secs(10))));
    let later = one(cues.announce(out("1", 25, Some(10)), at(15)));
    assert_eq!((later.revision, later.start, later.id.as_str()), (3, secs(25), "1"));
    // Running: repetitions come on, the start stays.
    nothing(cues.announce(out("1", 25, None), at(27)));
    let extended = one(cues.announce(out("1", 25, Some(15)), at(28)));
    assert_eq!((extended.revision, extended.start, extended.duration), (4, secs(25), Some(secs(15))));
    // Over: late repetitions are nothing.
    nothing(cues.announce(out("1", 25, Some(15)), at(50)));
}

#[test]
fn the_end_of_a_slot_sets_its_duration() {
    let mut cues = Cues::default();
    one(cues.announce(out("1", 20, None), at(10)));
    let end = |seconds: i64| announced(Action::In, Some("1"), Start::At(secs(seconds + 100)), None);
    let ended = one(cues.announce(end(35), at(30)));
    assert_eq!((ended.revision, ended.duration, ended.state), (2, Some(secs(15)), CueState::Announced));
    nothing(cues.announce(end(35), at(31)));
    nothing(cues.announce(end(40), at(36)));
    nothing(cues.announce(announced(Action::In, Some("other"), Start::Immediate, None), at(32)));

    one(cues.announce(out("2", 60, Some(30)), at(50)));
    let never = announced(Action::In, Some("2"), Start::Immediate, None);
    assert_eq!(one(cues.announce(never, at(55))).state, CueState::Cancelled);
}

#[test]
fn slots_without_names_are_told_apart_by_their_start() {
    let mut cues = Cues::default();
    let youtube = |action, pre_roll| announced(action, None, Start::After(secs(pre_roll)), Some(30));
    let first = one(cues.announce(youtube(Action::Out, 5), at(10)));
    assert_eq!(first.id.as_str(), "cue-15000");
    nothing(cues.announce(youtube(Action::Out, 3), at(12)));
    let ended = one(cues.announce(youtube(Action::In, 0), at(20)));
    assert_eq!((ended.id, ended.revision, ended.duration), (first.id, 2, Some(secs(5))));
    assert_eq!(one(cues.announce(youtube(Action::Out, 5), at(100))).id.as_str(), "cue-105000");
}

#[test]
fn a_name_used_again_is_another_cue() {
    let mut cues = Cues::default();
    one(cues.announce(out("1", 20, Some(10)), at(10)));
    let again = one(cues.announce(out("1", 80, Some(10)), at(70)));
    assert_eq!((again.id.as_str(), again.revision), ("1@80000", 1));
    nothing(cues.announce(out("1", 80, Some(10)), at(75)));
    // A slot that was never ended ends where the next of its name begins.
    one(cues.announce(out("open", 100, None), at(95)));
    let news = cues.announce(out("open", 200, None), at(190)).unwrap();
    assert_eq!(news.iter().map(|cue| cue.id.as_str()).collect::<Vec<_>>(), ["open", "open@200000"]);
    assert_eq!(news[0].duration, Some(secs(100)));
}

#[test]
fn sections_announce_end_and_cancel_slots() {
    let mut cues = Cues::default();
    let start = section(Command::TimeSignal(Some(90)), &[(7, 0x38, Some(900_000))]);
    let cue = one(cues.announce(start.clone(), at(10)));
    assert_eq!((cue.id.as_str(), cue.start, cue.duration), ("7", secs(10), Some(secs(10))));
    let Action::Section { bytes, .. } = &start.action else { panic!("a section") };
    assert_eq!(cue.scte35.as_ref(), Some(bytes));
    nothing(cues.announce(start, at(11)));
    let end = section(Command::TimeSignal(None), &[(7, 0x39, None)]);
    assert_eq!(one(cues.announce(end, at(15))).duration, Some(secs(5)));

    one(cues.announce(section(Command::TimeSignal(None), &[(8, 0x3A, None)]), at(20)));
    let cancel = section(Command::TimeSignal(None), &[(8, 0, None)]);
    let cancelled = one(cues.announce(cancel.clone(), at(21)));
    assert_eq!((cancelled.state, cancelled.revision), (CueState::Cancelled, 2));
    nothing(cues.announce(cancel, at(22)));
}

#[test]
fn one_section_may_end_a_slot_and_begin_the_next() {
    let mut cues = Cues::default();
    one(cues.announce(section(Command::TimeSignal(None), &[(1, 0x38, None)]), at(10)));
    let both =
        section(Command::TimeSignal(None), &[(1, 0x39, None), (2, 0x38, Some(900_000)), (3, 0x22, None)]);
    let news = cues.announce(both, at(20)).unwrap();
    let told: Vec<_> = news.iter().map(|cue| (cue.id.as_str(), cue.end())).collect();
    assert_eq!(told, [("1", Some(secs(20))), ("2", Some(secs(30)))]);
}

#[test]
fn which_sections_mean_a_slot_is_configurable() {
    let break_start = section(Command::TimeSignal(None), &[(1, 0x34, None)]);
    nothing(Cues::default().announce(break_start.clone(), at(10)));
    let mut cues = Cues::new(SlotTypes { segmentation_starts: vec![0x34], splice_insert: false });
    one(cues.announce(break_start, at(10)));
    one(cues.announce(section(Command::TimeSignal(None), &[(1, 0x35, None)]), at(20)));
    nothing(cues.announce(section(Command::TimeSignal(None), &[(2, 0x38, None)]), at(30)));
    nothing(cues.announce(section(splice_insert(3, true), &[]), at(40)));

    let mut cues = Cues::default();
    let cue = one(cues.announce(section(splice_insert(3, true), &[]), at(10)));
    assert_eq!((cue.id.as_str(), cue.duration), ("3", Some(secs(30))));
    assert_eq!(one(cues.announce(section(splice_insert(3, false), &[]), at(15))).duration, Some(secs(5)));
    // The descriptor speaks for the command that carries it.
    let both = section(splice_insert(4, true), &[(5, 0x38, Some(900_000))]);
    assert_eq!(one(cues.announce(both, at(20))).id.as_str(), "5");
}

#[test]
fn b38_a_storm_of_cues_is_bounded() {
    let mut cues = Cues::default();
    for number in 0..64 {
        one(cues.announce(out(&number.to_string(), 20, Some(10)), at(10)));
    }
    assert_eq!(cues.announce(out("more", 20, None), at(10)), Err(CueError::TooMany(64)));
    nothing(cues.announce(out("5", 20, None), at(10)));
    for number in 100..10_000 {
        one(cues.announce(out(&number.to_string(), number, Some(1)), at(number)));
    }
}

#[test]
fn damaged_messages_never_panic() {
    let mut originals: Vec<_> =
        vectors().iter().filter(|vector| vector["valid"] == true).map(bytes_of).collect();
    let plain = Value::object([("cue", "SpliceOut".into()), ("id", "1".into()), ("time", 15.0.into())]);
    let mut message = BytesMut::new();
    amf0::encode(&"onAdCue".into(), &mut message);
    amf0::encode(&plain, &mut message);
    originals.push(message.to_vec());
    let mut random = 0xC0E5_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut cues = Cues::default();
    let (mut told, mut refused) = (0, 0);
    for round in 0..20_000 {
        let mut bytes = originals[next(originals.len())].clone();
        for _ in 0..next(4) {
            let place = next(bytes.len());
            bytes[place] = if next(2) == 0 { bytes[place] ^ (1 << next(8)) } else { next(256) as u8 };
        }
        let Ok(values) = amf0::decode_all(&bytes) else { continue };
        match parse(&values) {
            Ok(None) => {}
            Err(_) => refused += 1,
            Ok(Some(announcement)) => match cues.announce(announcement, at(round)) {
                Ok(news) => told += news.len(),
                Err(_) => refused += 1,
            },
        }
    }
    assert!(told > 1_000 && refused > 1_000, "{told} told, {refused} refused");
}
