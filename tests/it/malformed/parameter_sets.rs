//! B16: configurations of H.264 that lie, and parameter sets that change.

use onair::format::flv::file::{Tag, TagKind};

use super::stage::{MALFORMED, Stage, short, start_of};
use crate::support::fixture::tag;
use crate::support::packet::assert_same;
use crate::support::{Content, Fixture, Packet};

/// The configuration record of a recording.
fn record(name: &str) -> Vec<u8> {
    let tags = Fixture::read(name).tags;
    let record = tags.iter().find_map(|tag| match Packet::parse(tag) {
        Content::Config { codec, record } if codec == *b"avc1" => Some(record.to_vec()),
        _ => None,
    });
    record.expect("a configuration")
}

/// A sequence header of this record.
fn header(record: &[u8]) -> Tag {
    tag(TagKind::Video, 0, [&[0x17, 0, 0, 0, 0], record].concat())
}

/// SPS and PPS of a record with one of each.
fn sets(record: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let sps_end = 8 + usize::from(u16::from_be_bytes([record[6], record[7]]));
    let pps_end = sps_end + 3 + usize::from(u16::from_be_bytes([record[sps_end + 1], record[sps_end + 2]]));
    (record[8..sps_end].to_vec(), record[sps_end + 3..pps_end].to_vec())
}

/// A record of these sets.
fn record_of(sps: &[&[u8]], pps: &[&[u8]], length_size: u8) -> Vec<u8> {
    let mut record = vec![1, 100, 0, 31, 0xfc | (length_size - 1), 0xe0 | u8::try_from(sps.len()).unwrap()];
    for set in sps {
        record.extend_from_slice(&u16::try_from(set.len()).unwrap().to_be_bytes());
        record.extend_from_slice(set);
    }
    record.push(u8::try_from(pps.len()).unwrap());
    for set in pps {
        record.extend_from_slice(&u16::try_from(set.len()).unwrap().to_be_bytes());
        record.extend_from_slice(set);
    }
    record
}

/// A baseline SPS of these Exp-Golomb values: from `seq_parameter_set_id` to the cropping flag.
fn sps(values: &[u32]) -> Vec<u8> {
    let mut bits = String::new();
    for value in values {
        let code = format!("{:b}", u64::from(*value) + 1);
        bits.push_str(&"0".repeat(code.len() - 1));
        bits.push_str(&code);
    }
    bits.push('1');
    while !bits.len().is_multiple_of(8) {
        bits.push('0');
    }
    let rbsp = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap());
    let mut nal = vec![0x67, 66, 0, 30];
    for byte in rbsp {
        // Emulation prevention.
        if byte <= 3 && nal.ends_with(&[0, 0]) {
            nal.push(3);
        }
        nal.push(byte);
    }
    nal
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b16_configurations_that_lie_are_dropped_and_the_next_right_one_counts() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let right = record("short");
    let (good_sps, good_pps) = sets(&right);
    let lies: Vec<(&str, Vec<u8>)> = vec![
        ("one byte", vec![1]),
        ("31 SPS announced, one there", {
            let mut lie = right.clone();
            lie[5] = 0xff;
            lie
        }),
        ("cut off in the SPS", right[..20].to_vec()),
        ("cut off after the SPS", right[..8 + good_sps.len()].to_vec()),
        ("an SPS of no bytes", record_of(&[&[]], &[&good_pps], 4)),
        ("a PPS of no bytes", record_of(&[&good_sps], &[&[]], 4)),
        ("no SPS", record_of(&[], &[&good_pps], 4)),
        ("no PPS", record_of(&[&good_sps], &[], 4)),
        ("PPS and SPS in each other's place", record_of(&[&good_pps], &[&good_sps], 4)),
        ("b17: lengths of three bytes", record_of(&[&good_sps], &[&good_pps], 3)),
        ("version 0", {
            let mut lie = right.clone();
            lie[0] = 0;
            lie
        }),
        // seq_parameter_set_id, log2_max_frame_num_minus4, pic_order_cnt_type 2, max_num_ref_frames, gap flag and width …
        (
            "a picture of two million pixels' width",
            record_of(&[&sps(&[0, 0, 2, 1, 0, 131_071, 16])], &[&good_pps], 4),
        ),
        ("log2_max_frame_num of 100", record_of(&[&sps(&[0, 96, 2, 1, 0, 19, 16])], &[&good_pps], 4)),
        (
            "two billion reference frames",
            record_of(&[&sps(&[0, 0, 2, 0x7fff_ffff, 0, 19, 16])], &[&good_pps], 4),
        ),
        ("SPS number 4 billion", record_of(&[&sps(&[u32::MAX - 1, 0, 2, 1, 0, 19, 16])], &[&good_pps], 4)),
        ("an SPS of ones", record_of(&[&[0x67; 200]], &[&good_pps], 4)),
        ("an SPS of zeros", record_of(&[&[&[0x67][..], &[0; 200]].concat()], &[&good_pps], 4)),
    ];
    let mut encoder = stage.encoder().await;
    let mut viewer = stage.viewer().await;
    for (count, (what, lie)) in lies.iter().enumerate() {
        encoder.send(&[header(lie)]).await;
        let counted = stage.server.until_counted(MALFORMED, (count + 1) as f64);
        tokio::time::timeout(std::time::Duration::from_secs(20), counted)
            .await
            .unwrap_or_else(|_| panic!("{what}"));
    }
    stage.counted(MALFORMED, lies.len() as f64).await;
    encoder.send(start_of(&fixture)).await;
    viewer.frame().await;
    encoder.send(&fixture.tags[start_of(&fixture).len()..]).await;
    viewer.frames(fixture.expected().len() - 1).await;
    assert_same("after the right one", &viewer.packets(), &fixture.expected());
    stage.is_unharmed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b16_a_configuration_that_changes_in_mid_gop_reaches_viewers_at_its_place() {
    let mut stage = Stage::set().await;
    let fixture = short();
    let (start, rest) = fixture.tags.split_at(start_of(&fixture).len());
    let mut encoder = stage.encoder().await;
    let mut viewer = stage.viewer().await;
    encoder.send(start).await;
    viewer.frame().await;
    encoder.send(&rest[..30]).await;
    encoder.send(&[header(&record("resolution-2"))]).await;
    encoder.send(&rest[30..]).await;
    let expected = fixture.expected();
    viewer.frames(expected.len() - 1).await;
    assert_same("frames", &viewer.packets(), &expected);
    let configs: Vec<usize> =
        viewer.configs().iter().filter(|(_, codec, _)| codec == b"avc1").map(|(at, ..)| *at).collect();
    assert_eq!(configs, [0, 1 + 30]);
    stage.is_unharmed().await;
}
