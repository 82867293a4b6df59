//! From the bytes of a publisher's data messages to slots: all three dialects, and SCTE 35 in them.

use super::*;
use crate::format::amf::Value;
use crate::format::cue_message::{self, Cues, SlotTypes};

fn object(name: &str, fields: &[(&str, Value)]) -> Vec<Value> {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    vec![Value::String(name.to_owned()), Value::Object(fields)]
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

/// A bus that hears these messages, at 10 s on both clocks.
fn heard(types: SlotTypes, messages: &[Vec<Value>]) -> Vec<(String, u32, i64, i64)> {
    let (mut bus, mut cues) = (live(|_| {}), Cues::new(types));
    let now = cue_message::Moment { publisher: millis(10_000), media: millis(10_000) };
    for message in messages {
        let announcement = cue_message::parse(message).unwrap().unwrap();
        for cue in cues.announce(announcement, now).unwrap() {
            let _ = bus.hear(cue, at(10_000));
        }
    }
    given(&mut bus)
}

#[test]
fn each_dialect_opens_its_slot_once() {
    let youtube = object(
        "onCuePoint",
        &[
            ("type", text("com.youtube.cuepoint")),
            ("cue_point_start", Value::Boolean(true)),
            ("pre_roll_time_sec", Value::Number(8.0)),
            ("break_duration_sec", Value::Number(20.0)),
            ("splice_event_id", Value::Number(77.0)),
        ],
    );
    let parameters = Value::Object(vec![("id".into(), text("e1")), ("duration".into(), text("20"))]);
    let elemental = object(
        "onCuePoint",
        &[("name", text("scte35")), ("time", Value::Number(18.0)), ("parameters", parameters)],
    );
    let primetime = object(
        "onAdCue",
        &[
            ("cue", text("SpliceOut")),
            ("id", text("p1")),
            ("time", Value::Number(18.0)),
            ("duration", Value::Number(20.0)),
        ],
    );
    for (message, id) in [(youtube, "77"), (elemental, "e1"), (primetime, "p1")] {
        let messages = [message.clone(), message];
        assert_eq!(heard(SlotTypes::default(), &messages), [slot(id, 1, 18_000, 38_000)]);
    }
}

/// A `time_signal` with one segmentation descriptor of a type, of 30 s.
fn time_signal(type_id: u8) -> Vec<Value> {
    use base64::Engine as _;

    use crate::format::scte35::{Command, Descriptor, SegmentationDescriptor, SpliceInfoSection};
    let spec_example = "/DA0AAAAAAAA///wBQb+cr0AUAAeAhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIAmsnRfg==";
    let base64 = base64::engine::general_purpose::STANDARD;
    let mut section = SpliceInfoSection::decode(&base64.decode(spec_example).unwrap()).unwrap();
    assert!(matches!(section.command, Command::TimeSignal(_)));
    let Some(Descriptor::Segmentation(SegmentationDescriptor { segmentation: Some(of), .. })) =
        section.descriptors.first_mut()
    else {
        panic!("the example has one");
    };
    of.type_id = type_id;
    of.duration = Some(30 * 90_000);
    object(
        "onAdCue",
        &[
            ("cue", text(&base64.encode(section.encode().unwrap()))),
            ("type", text("scte35")),
            ("time", Value::Number(18.0)),
        ],
    )
}

#[test]
fn overlay_opportunities_open_slots_and_other_types_only_where_that_is_set() {
    let id = "1207959694";
    for start in [0x38, 0x3a] {
        assert_eq!(heard(SlotTypes::default(), &[time_signal(start)]), [slot(id, 1, 18_000, 48_000)]);
        let ended = heard(SlotTypes::default(), &[time_signal(start), time_signal(start + 1)]);
        assert_eq!(ended.last(), Some(&slot(id, 2, 18_000, -1)), "its end, at its start");
    }
    for other in [0x22, 0x30, 0x34, 0x36, 0x3c] {
        assert_eq!(heard(SlotTypes::default(), &[time_signal(other)]), []);
    }
    let recipe = SlotTypes { segmentation_starts: vec![0x34], ..SlotTypes::default() };
    assert_eq!(heard(recipe, &[time_signal(0x34)]).len(), 1);
}
