//! Opus in packets.

use super::*;
use crate::codec::opus::OpusHead;

fn head(family: u8) -> Vec<u8> {
    let mapping: &[u8] = match family {
        0 => &[],
        _ => &[4, 2, 0, 4, 1, 2, 3, 5],
    };
    let channels = if family == 0 { 2 } else { 6 };
    [&b"OpusHead"[..], &[1, channels, 56, 1, 0x80, 0xbb, 0, 0, 0, 0, family], mapping].concat()
}

#[test]
fn a_packet_is_a_payload_and_not_copied() {
    let mut packetizer = Packetizer::new(&track(Codec::Opus, head(0)), 1200).unwrap();
    let sent = frame(vec![0xfc, 1, 2, 3], true);
    let payloads = packetize(&mut packetizer, &sent, 1200);
    assert_eq!(payloads, [Payload { bytes: sent.payload.clone(), marker: false }]);
    assert_eq!(payloads[0].bytes.as_ptr(), sent.payload.as_ptr());
}

#[test]
fn a_packet_that_fits_no_payload_is_refused() {
    let mut packetizer = Packetizer::new(&track(Codec::Opus, head(0)), 1200).unwrap();
    let error = packetizer.packetize(&frame(vec![0xfc; 1201], true), &mut Vec::new());
    assert_eq!(error, Err(Malformed::TooLarge { element: "Opus packet", value: 1201, max: 1200 }));
}

#[test]
fn surround_has_no_payload_format() {
    assert_eq!(OpusHead::parse(&head(1)).unwrap().mapping.unwrap().streams, 4);
    let unsupported = Packetizer::new(&track(Codec::Opus, head(1)), 1200).unwrap_err();
    assert_eq!(unsupported, Unsupported { codec: Codec::Opus });
}
