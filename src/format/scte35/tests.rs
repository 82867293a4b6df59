//! The published vectors, field by field, both ways; what must be refused; mutations.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value, json};

use super::bits::BitWriter;
use super::*;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/media-fixtures/vectors/scte35.json"));

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

fn bytes_of(vector: &Value) -> Vec<u8> {
    // Some vectors were published without their padding, and one, cut off, with too much of it.
    let text = vector["base64"].as_str().unwrap().trim_end_matches('=');
    let text = if text.len() % 4 == 1 { &text[..text.len() - 1] } else { text };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&STANDARD, config).decode(text).unwrap()
}

fn named(name: &str) -> Vec<u8> {
    bytes_of(vectors().iter().find(|vector| vector["name"] == name).unwrap())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[test]
fn valid_vectors_decode_to_every_expected_field_and_encode_to_the_same_bytes() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| vector["valid"] == true) {
        let name = &vector["name"];
        let bytes = bytes_of(vector);
        let section = SpliceInfoSection::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut expected = vector["expected"].clone();
        if let Some(effective) = vector["summary"]["effective_pts"].as_u64() {
            expected["effective_pts"] = effective.into();
        }
        assert_eq!(as_json(&section, &bytes, &expected), expected, "{name}");
        assert_eq!(hex(&section.encode().unwrap()), hex(&bytes), "{name}");
        checked += 1;
    }
    assert_eq!(checked, 113);
}

#[test]
fn negative_vectors_are_refused() {
    let mut checked = 0;
    for vector in vectors().iter().filter(|vector| vector["valid"] == false) {
        let error = SpliceInfoSection::decode(&bytes_of(vector)).expect_err(vector["name"].as_str().unwrap());
        let reason = vector["reject_reason"].as_str().unwrap();
        let agrees = match error {
            DecodeError::Crc => reason.contains("CRC_32"),
            DecodeError::SectionLength { .. } => reason.contains("section"),
            DecodeError::TableId(_) => reason.contains("table_id"),
            DecodeError::ProtocolVersion(1) => reason.contains("protocol_version"),
            DecodeError::ReservedCommand(20) => reason.contains("reserved splice_command_type"),
            DecodeError::Truncated(_) => reason.contains("overruns") || reason.contains("truncated"),
            _ => false,
        };
        assert!(agrees, "{}: {error} where the vector says {reason}", vector["name"]);
        checked += 1;
    }
    assert_eq!(checked, 25);
}

/// The section in the shape of the vectors' `expected`; `expected` is asked only whether it tells effective times.
fn as_json(section: &SpliceInfoSection, bytes: &[u8], expected: &Value) -> Value {
    let command_length = written(|writer| section.command.encode(writer));
    let mut json = json!({
        "table_id": 0xFC, "section_syntax_indicator": 0, "private_indicator": 0, "sap_type": section.sap_type,
        "section_length": bytes.len() - 3, "protocol_version": 0, "encrypted_packet": 0,
        "encryption_algorithm": section.encryption_algorithm, "pts_adjustment": section.pts_adjustment,
        "cw_index": section.cw_index, "tier": section.tier,
        "splice_command_length": if section.legacy_command_length { 0xFFF } else { command_length },
        "splice_command_type": section.command.type_id(), "length_ok": true, "crc_ok": true,
        "crc_32": format!("0x{}", hex(&bytes[bytes.len() - 4..])), "command_length_ok": true,
        "descriptor_loop_length": section.descriptors.iter().map(|d| 2 + length_of(d)).sum::<usize>(),
        "descriptors": section.descriptors.iter().map(descriptor_json).collect::<Vec<_>>(),
    });
    let (name, command, time) = command_json(&section.command);
    json["command_name"] = name.into();
    json["command"] = command;
    if expected.get("effective_pts").is_some() {
        json["effective_pts"] = section.adjusted(time.unwrap()).into();
    }
    json
}

fn command_json(command: &Command) -> (&'static str, Value, SpliceTime) {
    match command {
        Command::Null => ("splice_null", json!({}), None),
        Command::BandwidthReservation => ("bandwidth_reservation", json!({}), None),
        Command::Schedule(_) => ("splice_schedule", json!({}), None),
        Command::Private { identifier, data } => {
            let identifier = String::from_utf8(identifier.to_vec()).unwrap();
            ("private_command", json!({ "identifier": identifier, "private_hex": hex(data) }), None)
        }
        Command::TimeSignal(time) => ("time_signal", time_json(*time), *time),
        Command::Insert(insert) => {
            let mut json = json!({
                "splice_event_id": insert.event_id, "splice_event_cancel_indicator": u8::from(insert.splice.is_none()),
            });
            let Some(splice) = &insert.splice else { return ("splice_insert", json, None) };
            let (program, immediate) = match splice.mode {
                SpliceMode::ProgramImmediate => (1, 1),
                SpliceMode::Program(_) => (1, 0),
                SpliceMode::ComponentsImmediate(_) => (0, 1),
                SpliceMode::Components(_) => (0, 0),
            };
            json["out_of_network_indicator"] = u8::from(splice.out_of_network).into();
            json["program_splice_flag"] = program.into();
            json["duration_flag"] = u8::from(splice.duration.is_some()).into();
            json["splice_immediate_flag"] = immediate.into();
            let mut time = None;
            match &splice.mode {
                SpliceMode::ProgramImmediate => {}
                SpliceMode::Program(at) => {
                    json["splice_time"] = time_json(*at);
                    time = *at;
                }
                SpliceMode::ComponentsImmediate(tags) => json["components"] = json!(tags),
                SpliceMode::Components(components) => {
                    json["components"] =
                        components.iter().map(|c| json!({ "component_tag": c.tag })).collect();
                }
            }
            if let Some(duration) = splice.duration {
                json["break_duration"] =
                    json!({ "auto_return": u8::from(duration.auto_return), "duration": duration.ticks });
            }
            json["unique_program_id"] = splice.unique_program_id.into();
            json["avail_num"] = splice.avail_num.into();
            json["avails_expected"] = splice.avails_expected.into();
            ("splice_insert", json, time)
        }
    }
}

fn time_json(time: SpliceTime) -> Value {
    match time {
        Some(ticks) => json!({ "time_specified_flag": 1, "pts_time": ticks }),
        None => json!({ "time_specified_flag": 0 }),
    }
}

fn length_of(descriptor: &Descriptor) -> usize {
    written(|writer| Descriptor::encode_loop(std::slice::from_ref(descriptor), writer)) - 2
}

/// How many bytes `write` writes.
fn written(write: impl FnOnce(&mut BitWriter<'_>) -> Result<(), EncodeError>) -> usize {
    BitWriter::new(&[]).nested(write).unwrap().len()
}

fn descriptor_json(descriptor: &Descriptor) -> Value {
    let identifier = descriptor.identifier().map(|name| String::from_utf8(name.to_vec()).unwrap());
    let mut json = json!({
        "splice_descriptor_tag": descriptor.tag(), "descriptor_length": length_of(descriptor),
        "identifier": identifier.unwrap_or_default(),
    });
    match descriptor {
        Descriptor::Avail { provider_avail_id } => json["provider_avail_id"] = (*provider_avail_id).into(),
        Descriptor::Dtmf { preroll, tones } => {
            json["preroll"] = (*preroll).into();
            json["dtmf"] = tones.as_str().into();
        }
        Descriptor::Segmentation(descriptor) => segmentation_json(descriptor, json.as_object_mut().unwrap()),
        Descriptor::Other { data, .. } if descriptor.identifier() != Some(CUE_IDENTIFIER) => {
            json["private_hex"] = hex(data.get(4..).unwrap_or_default()).into();
        }
        _ => {}
    }
    json
}

fn segmentation_json(descriptor: &SegmentationDescriptor, json: &mut Map<String, Value>) {
    let mut put = |key: &str, value: Value| drop(json.insert(key.to_owned(), value));
    put("segmentation_event_id", descriptor.event_id.into());
    put("segmentation_event_cancel_indicator", u8::from(descriptor.segmentation.is_none()).into());
    let Some(segmentation) = &descriptor.segmentation else { return };
    put("program_segmentation_flag", u8::from(segmentation.components.is_none()).into());
    put("segmentation_duration_flag", u8::from(segmentation.duration.is_some()).into());
    put("delivery_not_restricted_flag", u8::from(segmentation.restrictions.is_none()).into());
    if let Some(restrictions) = segmentation.restrictions {
        put("web_delivery_allowed_flag", u8::from(restrictions.web_delivery_allowed).into());
        put("no_regional_blackout_flag", u8::from(restrictions.no_regional_blackout).into());
        put("archive_allowed_flag", u8::from(restrictions.archive_allowed).into());
        put("device_restrictions", restrictions.device_restrictions.into());
    }
    if let Some(duration) = segmentation.duration {
        put("segmentation_duration", duration.into());
    }
    put("segmentation_upid_length", segmentation.upid.value.len().into());
    put("upid", upid_json(&segmentation.upid));
    put("segmentation_type_id", segmentation.type_id.into());
    put("segment_num", segmentation.segment_num.into());
    put("segments_expected", segmentation.segments_expected.into());
    if let Some(sub_segment) = segmentation.sub_segment {
        put("sub_segment_num", sub_segment.num.into());
        put("sub_segments_expected", sub_segment.expected.into());
    }
    if !segmentation.trailing.is_empty() {
        put("trailing_bytes", segmentation.trailing.len().into());
    }
}

fn upid_json(upid: &Upid) -> Value {
    let mut json = json!({ "segmentation_upid_type": upid.kind, "hex": hex(&upid.value) });
    if let Some(text) = upid.text() {
        json["text"] = text.into();
    }
    if let Some(airing) = upid.airing() {
        json["ti"] = airing.into();
    }
    if let Some((owner, data)) = upid.managed() {
        json["mpu_format_identifier"] = String::from_utf8(owner.to_vec()).unwrap().into();
        json["mpu_private_hex"] = hex(data).into();
    }
    let parts = upid.parts().unwrap();
    if parts != [upid.clone()] {
        json["mid"] = parts.iter().map(upid_json).collect();
    }
    json
}

#[test]
fn an_overlay_slot_says_when_how_long_and_how_it_is_cancelled() {
    let section = SpliceInfoSection::decode(&named("derived/overlay-pts-adjust-wrap")).unwrap();
    let Command::TimeSignal(Some(time)) = section.command else { panic!("a time_signal with a time") };
    assert_eq!(section.adjusted(time), 4 * u64::from(TICKS_PER_SECOND));
    let segmentation = section.segmentations().next().unwrap().segmentation.clone().unwrap();
    assert_eq!((segmentation.type_id, segmentation.duration), (0x38, Some(900_000)));

    let cancel = SpliceInfoSection::decode(&named("derived/overlay-cancel")).unwrap();
    let descriptor = cancel.segmentations().next().unwrap();
    assert_eq!((descriptor.event_id, &descriptor.segmentation), (0x4A00_0001, &None));
}

#[test]
fn commands_and_descriptors_that_no_vector_has_round_trip() {
    let point = SplicePoint {
        out_of_network: true,
        event_id_compliance: false,
        mode: SpliceMode::Components(vec![
            ComponentTime { tag: 1, time: None },
            ComponentTime { tag: 2, time: Some((1 << 33) - 1) },
        ]),
        duration: Some(BreakDuration { auto_return: true, ticks: 2_700_000 }),
        unique_program_id: 7,
        avail_num: 1,
        avails_expected: 2,
    };
    let scheduled = ScheduledSplice {
        out_of_network: true,
        mode: ScheduledMode::Components(vec![(9, 1_300_000_000)]),
        duration: None,
        unique_program_id: 1,
        avail_num: 0,
        avails_expected: 0,
    };
    let whole =
        ScheduledSplice { mode: ScheduledMode::Program(1), duration: point.duration, ..scheduled.clone() };
    let segmentation = Segmentation {
        components: Some(vec![SegmentationComponent { tag: 3, pts_offset: 1 << 32 }]),
        restrictions: None,
        duration: Some((1 << 40) - 1),
        upid: Upid::NONE,
        type_id: 0x3A,
        segment_num: 1,
        segments_expected: 2,
        sub_segment: Some(SubSegment { num: 1, expected: 3 }),
        trailing: Default::default(),
    };
    let commands = [
        Command::Insert(SpliceInsert { event_id: 5, splice: None }),
        Command::Insert(SpliceInsert { event_id: 6, splice: Some(point.clone()) }),
        Command::Insert(SpliceInsert {
            event_id: 8,
            splice: Some(SplicePoint { mode: SpliceMode::ComponentsImmediate(vec![1, 2]), ..point }),
        }),
        Command::Schedule(vec![
            ScheduledEvent { event_id: 1, event_id_compliance: true, splice: None },
            ScheduledEvent { event_id: 2, event_id_compliance: false, splice: Some(scheduled) },
            ScheduledEvent { event_id: 3, event_id_compliance: true, splice: Some(whole) },
        ]),
    ];
    let descriptors = vec![
        Descriptor::Time { tai_seconds: 1 << 40, tai_nanos: 999, utc_offset: 37 },
        Descriptor::Audio(vec![AudioComponent {
            tag: 1,
            language: *b"eng",
            bit_stream_mode: 5,
            channels: 9,
            full_service: true,
        }]),
        Descriptor::Segmentation(SegmentationDescriptor {
            event_id: 4,
            event_id_compliance: false,
            segmentation: Some(segmentation),
        }),
    ];
    for command in commands {
        let mut section = SpliceInfoSection::new(command, descriptors.clone());
        section.stuffing = vec![0xFF; 3].into();
        assert_eq!(SpliceInfoSection::decode(&section.encode().unwrap()), Ok(section));
    }
}

#[test]
fn an_encrypted_section_is_refused_as_such() {
    let mut bytes = named("derived/overlay-provider-start-10s");
    bytes[4] |= 0x82;
    let end = bytes.len() - 4;
    let crc = super::crc::crc32(&bytes[..end]);
    bytes[end..].copy_from_slice(&crc.to_be_bytes());
    assert_eq!(SpliceInfoSection::decode(&bytes), Err(DecodeError::Encrypted { algorithm: 1, cw_index: 0 }));
}

#[test]
fn what_does_not_fit_is_not_written() {
    let mut section = SpliceInfoSection::new(Command::Null, vec![]);
    section.tier = 0x1000;
    assert_eq!(section.encode(), Err(EncodeError::OutOfRange("tier")));
    let private = Command::Private { identifier: *b"LIVE", data: vec![0; 5000].into() };
    let mut section = SpliceInfoSection::new(private, vec![]);
    assert_eq!(section.encode(), Err(EncodeError::OutOfRange("splice_command_length")));
    section.legacy_command_length = true;
    assert_eq!(section.encode(), Err(EncodeError::UnboundedPrivateCommand));
}

#[test]
fn every_truncation_is_refused() {
    for vector in vectors().iter().filter(|vector| vector["valid"] == true) {
        let bytes = bytes_of(vector);
        for length in 0..bytes.len() {
            assert!(
                SpliceInfoSection::decode(&bytes[..length]).is_err(),
                "{} cut to {length}",
                vector["name"]
            );
        }
    }
}

#[test]
fn mutated_sections_never_panic_and_what_decodes_can_be_encoded() {
    let originals: Vec<_> = vectors().iter().filter(|v| v["valid"] == true).map(bytes_of).collect();
    let mut random = 0x5C7E_0035_u64;
    let mut next = move |below: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % below
    };
    let mut decoded = 0;
    for _ in 0..30_000 {
        let mut bytes = originals[next(originals.len())].clone();
        for _ in 0..=next(4) {
            let place = 3 + next(bytes.len() - 7);
            bytes[place] ^= 1 << next(8);
        }
        // With the checksum made right, the mutation reaches the parsers behind it.
        let end = bytes.len() - 4;
        let crc = super::crc::crc32(&bytes[..end]);
        bytes[end..].copy_from_slice(&crc.to_be_bytes());
        if let Ok(section) = SpliceInfoSection::decode(&bytes) {
            decoded += 1;
            let again = section.encode().unwrap();
            assert_eq!(SpliceInfoSection::decode(&again), Ok(section));
        }
    }
    assert!(decoded > 5_000, "only {decoded} mutants were decoded");
}
