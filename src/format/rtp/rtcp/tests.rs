//! RTCP written and read, and what hostile peers make of it.

use super::*;
use crate::format::rtp::ParseError;

const INFO: SenderInfo =
    SenderInfo { ntp: 0x0102_0304_0506_0708, rtp_timestamp: 90_000, packets: 17, octets: 20_000 };

fn block(ssrc: u32) -> ReportBlock {
    ReportBlock {
        ssrc,
        fraction_lost: 64,
        cumulative_lost: -3,
        highest_sequence_number: 0x0001_ffff,
        jitter: 450,
        last_sender_report: 0x0304_0506,
        delay_since_last: 65_536,
    }
}

fn read(compound: &[u8]) -> Vec<Packet<'_>> {
    packets(compound).collect::<Result<_, _>>().unwrap()
}

fn error(compound: &[u8]) -> ParseError {
    packets(compound).find_map(Result::err).unwrap()
}

/// Feedback of any kind about stream 2 from 1.
fn feedback(packet_type: u8, format: u8, rest: &[u8]) -> Vec<u8> {
    let words = u16::try_from(2 + rest.len() / 4).unwrap().to_be_bytes();
    [&[0x80 | format, packet_type][..], &words, &[0, 0, 0, 1, 0, 0, 0, 2], rest].concat()
}

#[test]
fn a_sender_report_is_written_as_the_rfc_has_it() {
    let mut compound = Vec::new();
    write_sender_report(0xa1b2_c3d4, &INFO, &[], "ada", &mut compound);
    let report = [
        0x80, 200, 0, 6, 0xa1, 0xb2, 0xc3, 0xd4, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 0x5f, 0x90, 0, 0, 0, 17, 0, 0,
        0x4e, 0x20,
    ];
    let description = [0x81, 202, 0, 3, 0xa1, 0xb2, 0xc3, 0xd4, 1, 3, b'a', b'd', b'a', 0, 0, 0];
    assert_eq!(compound, [&report[..], &description].concat());
}

#[test]
fn reports_are_read_as_they_were_written() {
    for count in [0, 1, 2, 31, 32, 70] {
        let blocks: Vec<_> = (0..count).map(block).collect();
        let mut compound = Vec::new();
        write_sender_report(7, &INFO, &blocks, "name", &mut compound);
        let mut seen = Vec::new();
        let packets = read(&compound);
        assert!(matches!(packets[0], Packet::SenderReport { ssrc: 7, info: INFO, .. }));
        for packet in packets {
            match packet {
                Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, ssrc: 7 } => {
                    seen.extend(blocks.iter());
                }
                Packet::Sdes(chunks) => {
                    let wanted = SdesChunk { ssrc: 7, cname: Some(b"name") };
                    assert_eq!(chunks.iter().collect::<Vec<_>>(), [wanted]);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(seen, blocks);

        let mut compound = Vec::new();
        write_receiver_report(7, &blocks, "name", &mut compound);
        let blocks_of = |packet| match packet {
            Packet::ReceiverReport { ssrc: 7, blocks } => blocks.iter().collect(),
            _ => Vec::new(),
        };
        let packets = read(&compound);
        assert!(matches!(packets.first(), Some(Packet::ReceiverReport { .. })), "even without a block");
        assert_eq!(packets.into_iter().flat_map(blocks_of).collect::<Vec<_>>(), blocks);
    }
}

#[test]
fn losses_have_a_sign_and_stay_within_24_bits() {
    for (written, seen) in [(-1, -1), (0x7f_ffff, 0x7f_ffff), (i32::MAX, 0x7f_ffff), (i32::MIN, -0x80_0000)] {
        let mut compound = Vec::new();
        write_receiver_report(1, &[ReportBlock { cumulative_lost: written, ..block(1) }], "", &mut compound);
        let Packet::ReceiverReport { blocks, .. } = read(&compound)[0] else { panic!() };
        let block = blocks.iter().next().unwrap();
        assert_eq!((block.cumulative_lost, block.fraction_lost), (seen, 64));
    }
}

#[test]
fn a_report_tells_the_round_trip() {
    // RFC 3550 figure 2: the report arrives at b710:8000, having seen b705:2000 5.25 s before.
    let block = ReportBlock { last_sender_report: 0xb705_2000, delay_since_last: 0x0005_4000, ..block(1) };
    assert_eq!(block.round_trip(0xb44d_b710_8000_0000), Some(Duration::from_millis(6_125)));
    assert_eq!(block.round_trip(0xb44d_b70a_0000_0000), None, "before it could be");
    assert_eq!(ReportBlock::default().round_trip(0xb44d_b710_8000_0000), None, "nothing was seen");
}

#[test]
fn a_farewell_names_streams_and_reason() {
    let mut compound = Vec::new();
    write_bye(&[1, 2], "the broadcast has ended", &mut compound);
    write_bye(&[3], "", &mut compound);
    let [Packet::Bye { ssrcs, reason }, Packet::Bye { ssrcs: last, reason: None }] = read(&compound)[..]
    else {
        panic!("{:?}", read(&compound));
    };
    assert_eq!(ssrcs.iter().chain(last.iter()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(reason, Some(&b"the broadcast has ended"[..]));
    let mut many = Vec::new();
    write_bye(&(0..40).collect::<Vec<_>>(), "", &mut many);
    assert_eq!(read(&many).len(), 2, "31 to a packet");
}

#[test]
fn texts_are_cut_between_characters() {
    let mut compound = Vec::new();
    write_receiver_report(1, &[], &"é".repeat(200), &mut compound);
    write_bye(&[1], &"é".repeat(200), &mut compound);
    let cut = "é".repeat(127).into_bytes();
    let packets = read(&compound);
    let Packet::Sdes(chunks) = packets[1] else { panic!() };
    assert_eq!(chunks.iter().next().unwrap().cname, Some(&cut[..]));
    let Packet::Bye { reason, .. } = packets[2] else { panic!() };
    assert_eq!(reason, Some(&cut[..]));
}

#[test]
fn missing_packets_are_named_in_few_words() {
    let lost = [10, 11, 13, 26, 27, 500, 65_535, 0, 15];
    let mut compound = Vec::new();
    write_nack(1, 2, lost, &mut compound);
    let entries =
        [&[0, 10, 0x80, 0b101][..], &[0, 27, 0, 0], &[1, 0xf4, 0, 0], &[0xff, 0xff, 0x80, 1]].concat();
    assert_eq!(compound, feedback(205, 1, &entries));
    let Packet::Nack { sender_ssrc: 1, media_ssrc: 2, lost: read } = read(&compound)[0] else { panic!() };
    assert_eq!(read.iter().collect::<Vec<_>>(), lost);
    let mut none = Vec::new();
    write_nack(1, 2, [], &mut none);
    assert!(none.is_empty());
    let mut many = Vec::new();
    write_nack(1, 2, (0..u16::MAX).step_by(17), &mut many);
    assert!(packets(&many).count() > 10, "each fits a datagram");
}

#[test]
fn keyframes_are_demanded_in_two_ways() {
    let mut compound = Vec::new();
    write_pli(1, 2, &mut compound);
    assert_eq!(compound, feedback(206, 1, &[]));
    let fir = feedback(206, 4, &[0, 0, 0, 9, 5, 0, 0, 0, 0, 0, 0, 8, 6, 0, 0, 0]);
    compound.extend_from_slice(&fir);
    let packets = read(&compound);
    assert_eq!(packets[0], Packet::Pli { sender_ssrc: 1, media_ssrc: 2 });
    let Packet::Fir { sender_ssrc: 1, requests } = packets[1] else { panic!() };
    let wanted = [FirRequest { ssrc: 9, sequence_number: 5 }, FirRequest { ssrc: 8, sequence_number: 6 }];
    assert_eq!(requests.iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_is_not_known_is_handed_on() {
    let (xr, app) = ([0x80, 207, 0, 1, 0, 0, 0, 1], [0x85, 204, 0, 2, 0, 0, 0, 1, b't', b'e', b's', b't']);
    let other_feedback = feedback(206, 15, b"LIKE\0\0\0\0");
    let compound = [&xr[..], &app, &other_feedback].concat();
    let kinds: Vec<_> = read(&compound)
        .into_iter()
        .map(|packet| match packet {
            Packet::Unknown { packet_type, format, body } => (packet_type, format, body.len()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, [(207, 0, 4), (204, 5, 8), (206, 15, 16)]);
}

#[test]
fn other_items_of_a_description_are_passed_over() {
    // Two chunks: NAME and CNAME, then nothing but the terminator.
    let chunks = [0, 0, 0, 1, 2, 1, b'A', 1, 2, b'i', b'd', 0, 0, 0, 0, 2, 0, 0, 0, 0];
    let compound = [&[0x82, 202, 0, 5][..], &chunks].concat();
    let Packet::Sdes(chunks) = read(&compound)[0] else { panic!() };
    let wanted = [SdesChunk { ssrc: 1, cname: Some(b"id") }, SdesChunk { ssrc: 2, cname: None }];
    assert_eq!(chunks.iter().collect::<Vec<_>>(), wanted);
}

#[test]
fn one_packet_of_nonsense_does_not_hide_the_next() {
    let mut compound = feedback(205, 1, &[]);
    write_pli(1, 2, &mut compound);
    let mut packets = packets(&compound);
    let error = ParseError::Overrun { element: "NACK entries", at: 12, needed: 4, remaining: 0 };
    assert_eq!(packets.next(), Some(Err(error)));
    assert_eq!(packets.next(), Some(Ok(Packet::Pli { sender_ssrc: 1, media_ssrc: 2 })));
    assert_eq!(packets.next(), None);
}

#[test]
fn b29_a_compound_cut_off_anywhere_is_an_error_that_names_the_place() {
    let mut compound = Vec::new();
    write_sender_report(1, &INFO, &[block(2), block(3)], "cname", &mut compound);
    let ends = [0, 76, compound.len()];
    for len in 0..compound.len() {
        let found = packets(&compound[..len]).find_map(Result::err);
        match ends.contains(&len) {
            true => assert_eq!(found, None, "cut between packets"),
            false => assert!(found.is_some(), "cut to {len} bytes"),
        }
    }
    let cut = ParseError::Overrun { element: "RTCP packet", at: 80, needed: 12, remaining: 11 };
    assert_eq!(error(&compound[..91]), cut);
    assert_eq!(cut.to_string(), "RTCP packet at byte 80 needs 12 bytes where 11 remain");
}

#[test]
fn b29_counts_and_lengths_that_lie_are_refused() {
    let mut report = Vec::new();
    write_receiver_report(1, &[block(2)], "cname", &mut report);
    // 31 report blocks, where one is.
    report[0] = 0x80 | 31;
    let overrun = ParseError::Overrun { element: "report blocks", at: 8, needed: 31 * 24, remaining: 24 };
    assert_eq!(error(&report), overrun);
    // A packet of 256 KiB.
    report[2..4].fill(0xff);
    let overrun = ParseError::Overrun { element: "RTCP packet", at: 4, needed: 262_140, remaining: 44 };
    assert_eq!(error(&report), overrun);
    assert_eq!(packets(&report).count(), 1, "and nothing after it");

    let cases: [&[u8]; 10] = [
        // Of another version; without a sender; a sender report without its information.
        &[0x40, 201, 0, 1, 0, 0, 0, 1],
        &[0x80, 201, 0, 0],
        &[0x80, 200, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0],
        // A farewell with more streams than there are, and with a reason longer than it is.
        &[0x82, 203, 0, 1, 0, 0, 0, 1],
        &[0x81, 203, 0, 2, 0, 0, 0, 1, 4, b'a', b'b', b'c'],
        // An item longer than the packet, one without an end, and a chunk that is not there.
        &[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, b'a', 0],
        &[0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b'],
        &[0x82, 202, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0],
        // A demand for a keyframe of nobody, and of half a stream.
        &[0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0],
        &[0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9],
    ];
    for case in cases {
        assert_eq!(packets(case).filter(Result::is_err).count(), 1, "{case:02x?}");
    }
}

#[test]
fn b29_padding_longer_than_the_packet_is_refused() {
    let mut padded = feedback(206, 1, &[0, 0, 0, 4]);
    padded[0] |= 0x20;
    assert_eq!(read(&padded), [Packet::Pli { sender_ssrc: 1, media_ssrc: 2 }]);
    for padding in [0, 13, 255] {
        padded[15] = padding;
        let invalid = ParseError::Invalid { element: "padding", at: 15, value: padding.into() };
        assert_eq!(error(&padded), invalid);
    }
    assert_eq!(error(&[0xa0, 201, 0, 0]), ParseError::Invalid { element: "padding", at: 3, value: 0 });
    // Padding that eats what must be there.
    padded[15] = 8;
    assert!(packets(&padded).all(|packet| packet.is_err()));
}

#[test]
fn b29_a_nack_storm_names_no_more_than_its_bytes_can() {
    let words = 300;
    let storm = feedback(205, 1, &[0xff, 0xf8, 0xff, 0xff].repeat(words));
    let Packet::Nack { lost, .. } = read(&storm)[0] else { panic!() };
    assert_eq!(lost.iter().count(), 17 * words);
    let wrapped: Vec<_> = lost.iter().take(17).collect();
    assert_eq!(wrapped, (65_528..=65_535).chain(0..=8).collect::<Vec<u16>>());
}

#[test]
fn b29_a_pli_storm_is_one_packet_for_each_twelve_bytes() {
    let storm = feedback(206, 1, &[]).repeat(100);
    assert_eq!(read(&storm).len(), 100);
}

#[test]
fn b29_a_transport_feedback_that_claims_65535_packets_is_not_expanded() {
    let claim = [0, 1, 0xff, 0xff, 0, 0, 0, 0, 0x20, 0, 0, 0];
    let compound = feedback(205, 15, &claim);
    let wanted = Packet::TransportCc { sender_ssrc: 1, media_ssrc: 2, feedback: &claim };
    assert_eq!(read(&compound), [wanted]);
}

#[test]
fn b29_estimates_of_nothing_and_of_everything_are_numbers() {
    let estimate = |exponent: u8, mantissa: u32| {
        let [_, high, middle, low] = mantissa.to_be_bytes();
        let compound =
            feedback(206, 15, &[b'R', b'E', b'M', b'B', 1, exponent << 2 | high, middle, low, 0, 0, 0, 9]);
        let Packet::Remb { sender_ssrc: 1, bitrate, ssrcs } = read(&compound)[0] else { panic!() };
        assert_eq!(ssrcs.iter().collect::<Vec<_>>(), [9]);
        bitrate
    };
    assert_eq!(estimate(0, 0), 0);
    assert_eq!(estimate(63, 0), 0);
    assert_eq!(estimate(3, 200_000), 1_600_000);
    assert_eq!(estimate(46, 0x3_ffff), 0x3_ffff << 46);
    assert_eq!(estimate(47, 0x3_ffff), u64::MAX);
    assert_eq!(estimate(63, 0x3_ffff), u64::MAX);
    // More streams than there are.
    let lie = feedback(206, 15, &[b'R', b'E', b'M', b'B', 2, 0, 0, 0, 0, 0, 0, 9]);
    assert!(packets(&lie).all(|packet| packet.is_err()));
}
