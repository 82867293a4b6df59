//! Chunks: what is written is read again, and what peers may send instead.

use bytes::BytesMut;

use super::super::message::Message;
use super::*;

fn decoder() -> ChunkDecoder {
    ChunkDecoder::new(DecoderLimits {
        max_message: 1 << 20,
        max_buffered: 2 << 20,
        max_chunk_streams: 8,
        max_chunk_size: 65_536,
    })
}

/// All messages in `bytes`, or the error.
fn decode(decoder: &mut ChunkDecoder, bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    let mut input = BytesMut::from(bytes);
    std::iter::from_fn(|| decoder.next(&mut input).transpose()).collect()
}

fn timestamps(decoder: &mut ChunkDecoder, bytes: &[u8]) -> Result<Vec<u32>, ChunkError> {
    Ok(decode(decoder, bytes)?.iter().map(|message| message.timestamp).collect())
}

fn body(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7) as u8).collect()
}

/// A header of format 0 on `csid` (below 64), for type 9 on stream 1.
fn full_header(csid: u8, timestamp: u32, length: u32) -> Vec<u8> {
    let [_, t2, t1, t0] = timestamp.min(EXTENDED).to_be_bytes();
    let [_, l2, l1, l0] = length.to_be_bytes();
    let mut header = vec![csid, t2, t1, t0, l2, l1, l0, 9, 1, 0, 0, 0];
    if timestamp >= EXTENDED {
        header.extend(timestamp.to_be_bytes());
    }
    header
}

#[test]
fn what_is_written_is_read_again_whole_and_byte_by_byte() {
    for csid in [2, 63, 64, 319, 320, 65_599] {
        for timestamp in [0, 0xff_fffe, 0xff_ffff, 0x0100_0000, u32::MAX] {
            for length in [0, 1, 127, 128, 129, 1000] {
                let body = body(length);
                let mut bytes = BytesMut::new();
                let (head, tail) = body.split_at(length / 3);
                write_message(&mut bytes, csid, timestamp, 9, 0x0102_0304, 128, &[head, &[], tail]).unwrap();
                let expected =
                    Message { type_id: 9, stream_id: 0x0102_0304, timestamp, body: body.clone().into() };
                assert_eq!(decode(&mut decoder(), &bytes), Ok(vec![expected.clone()]));

                let (mut decoder, mut input, mut messages) = (decoder(), BytesMut::new(), Vec::new());
                for byte in bytes {
                    input.extend_from_slice(&[byte]);
                    messages.extend(decoder.next(&mut input).unwrap());
                }
                assert_eq!(messages, [expected]);
            }
        }
    }
}

#[test]
fn a_message_beyond_24_bits_is_refused_by_the_writer() {
    let mut out = BytesMut::new();
    let body = vec![0; 0x100_0000];
    let written = write_message(&mut out, 6, 0, 9, 1, 4096, &[&body]);
    assert_eq!((written, out.len()), (Err(MessageTooLong(0x100_0000)), 0));
}

#[test]
fn messages_on_different_chunk_streams_interleave() {
    let video = body(200);
    let bytes = [
        &full_header(6, 40, 200)[..],
        &video[..128],
        &[4, 0, 0, 50, 0, 0, 1, 8, 1, 0, 0, 0, 0xaf],
        &[0xc6],
        &video[128..],
    ]
    .concat();
    let messages = decode(&mut decoder(), &bytes).unwrap();
    assert_eq!(messages.iter().map(|message| message.type_id).collect::<Vec<_>>(), [8, 9]);
    assert_eq!(messages[1].body, video);
}

#[test]
fn short_headers_inherit_and_their_timestamps_are_steps() {
    let bytes = [
        &full_header(6, 1000, 1)[..],
        &[1],
        // Format 1: a step of 40 and a new length.
        &[0x46, 0, 0, 40, 0, 0, 2, 9, 1, 2],
        // Format 2: a step of 33; format 3: the same step again.
        &[0x86, 0, 0, 33, 3, 4],
        &[0xc6, 5, 6],
    ]
    .concat();
    let messages = decode(&mut decoder(), &bytes).unwrap();
    let seen: Vec<_> = messages.iter().map(|m| (m.timestamp, m.body.len(), m.stream_id)).collect();
    assert_eq!(seen, [(1000, 1, 1), (1040, 2, 1), (1073, 2, 1), (1106, 2, 1)]);
}

#[test]
fn a_message_fills_its_buffer_exactly() {
    let mut bytes = BytesMut::new();
    write_message(&mut bytes, 6, 0, 9, 1, 128, &[&body(100_000)]).unwrap();
    let (mut decoder, mut input) = (decoder(), BytesMut::new());
    for part in bytes.chunks(1000) {
        input.extend_from_slice(part);
        if let Some(message) = decoder.next(&mut input).unwrap() {
            let vector = Vec::from(message.body);
            assert_eq!((vector.len(), vector.capacity()), (100_000, 100_000));
            return;
        }
    }
    panic!("no message");
}

#[test]
fn b3_chunk_sizes_out_of_range_are_refused_and_one_is_accepted() {
    let mut decoder = decoder();
    for size in [0, 65_537, 0x7fff_ffff, 0x8000_0000, 0x8000_1000, u32::MAX] {
        assert_eq!(decoder.set_chunk_size(size), Err(ChunkError::ChunkSize { size, limit: 65_536 }));
    }
    assert_eq!(decoder.set_chunk_size(1), Ok(()));
    let bytes = [&full_header(6, 0, 3)[..], &[1, 0xc6, 2, 0xc6, 3]].concat();
    assert_eq!(decode(&mut decoder, &bytes).unwrap()[0].body, [1, 2, 3][..]);
}

#[test]
fn b4_the_chunk_size_changes_while_a_message_is_half_read() {
    for size in [64, 150] {
        let body = body(300);
        let mut decoder = decoder();
        let first = [&full_header(6, 0, 300)[..], &body[..128]].concat();
        assert_eq!(decode(&mut decoder, &first), Ok(vec![]));
        decoder.set_chunk_size(size).unwrap();
        let rest: Vec<u8> =
            body[128..].chunks(size as usize).flat_map(|part| [&[0xc6], part].concat()).collect();
        assert_eq!(decode(&mut decoder, &rest).unwrap()[0].body, body);
    }
}

#[test]
fn b5_announced_lengths_take_no_memory() {
    let mut decoder = decoder();
    for csid in 2..10 {
        let bytes = [&full_header(csid, 0, 1 << 20)[..], &[0; 128]].concat();
        assert_eq!(decode(&mut decoder, &bytes), Ok(vec![]));
    }
    assert_eq!(decoder.buffered(), 8 * 128);
    let error = decode(&mut decoder, &full_header(10, 0, 1));
    assert_eq!(error, Err(ChunkError::TooManyChunkStreams(8)));
}

#[test]
fn b5_incomplete_messages_share_one_limit() {
    let mut decoder = decoder();
    decoder.set_chunk_size(65_536).unwrap();
    let part = [0; 65_536];
    let mut sent = 0;
    let error = 'filling: loop {
        for csid in 2..10_u8 {
            let header =
                if sent < 8 * part.len() { full_header(csid, 0, 1 << 20) } else { vec![0xc0 | csid] };
            if let Err(error) = decode(&mut decoder, &[&header[..], &part].concat()) {
                break 'filling error;
            }
            sent += part.len();
        }
    };
    assert_eq!(error, ChunkError::TooMuchBuffered(2 << 20));
    assert!(sent >= 1 << 20, "what is legal fits");
}

#[test]
fn b5_a_message_beyond_the_limit_is_refused_at_its_header() {
    let expected = ChunkError::MessageTooLong { csid: 6, length: 0xff_ffff, limit: 1 << 20 };
    assert_eq!(decode(&mut decoder(), &full_header(6, 0, 0xff_ffff)), Err(expected));
}

#[test]
fn b6_headers_that_refer_to_nothing_are_refused() {
    let refused = |bytes: &[u8]| decode(&mut decoder(), bytes);
    assert_eq!(refused(&[0x86, 0, 0, 1]), Err(ChunkError::NoPreviousHeader { csid: 6, format: 2 }));
    assert_eq!(refused(&[0xc6]), Err(ChunkError::NoPreviousHeader { csid: 6, format: 3 }));
    assert_eq!(refused(&[0xc1, 0, 1]), Err(ChunkError::NoPreviousHeader { csid: 320, format: 3 }));
}

#[test]
fn b6_the_first_ping_of_librtmp_has_no_message_stream() {
    let ping = [0x42, 0, 0, 0, 0, 0, 6, 4, 0, 6, 0, 0, 0x0d, 0x0f];
    let messages = decode(&mut decoder(), &ping).unwrap();
    assert_eq!((messages[0].stream_id, messages[0].type_id), (0, 4));
}

#[test]
fn b6_a_message_begun_inside_another_is_refused() {
    let bytes = [&full_header(6, 0, 300)[..], &[0; 128], &full_header(6, 0, 300)].concat();
    assert_eq!(decode(&mut decoder(), &bytes), Err(ChunkError::Interrupted { csid: 6, missing: 172 }));
}

#[test]
fn b7_extended_timestamps_are_repeated_or_not() {
    let body = body(300);
    let header = full_header(6, 0x0123_4567, 300);
    let repeated = [0xc6, 0x01, 0x23, 0x45, 0x67];
    let with = [&header[..], &body[..128], &repeated, &body[128..256], &repeated, &body[256..]].concat();
    let without = [&header[..], &body[..128], &[0xc6], &body[128..256], &[0xc6], &body[256..]].concat();
    for bytes in [with, without] {
        let messages = decode(&mut decoder(), &bytes).unwrap();
        assert_eq!((messages[0].timestamp, &messages[0].body[..]), (0x0123_4567, &body[..]));
    }
}

#[test]
fn b7_a_short_end_without_repeated_timestamp_is_not_waited_for() {
    let body = body(129);
    let bytes = [&full_header(6, 0x0123_4567, 129)[..], &body[..128], &[0xc6, 0x55]].concat();
    assert_eq!(decode(&mut decoder(), &bytes).unwrap().len(), 1);
}

#[test]
fn b7_steps_wrap_and_may_go_back() {
    let bytes = [
        &full_header(6, u32::MAX - 9, 1)[..],
        &[0],
        // A step of 20 over the end of 32 bits.
        &[0x86, 0, 0, 20, 0],
        // A step back by 16, as a step of 2³² − 16.
        &[0x86, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0, 0],
    ]
    .concat();
    assert_eq!(timestamps(&mut decoder(), &bytes), Ok(vec![u32::MAX - 9, 10, 10_u32.wrapping_sub(16)]));
}

#[test]
fn b7_the_24_bit_field_ends_where_extension_begins() {
    let bytes = [
        &full_header(6, 0xff_fffe, 1)[..],
        &[0],
        &[0x86, 0, 0, 1, 0],
        &full_header(6, 0xff_ffff, 1),
        &[0],
        &full_header(6, 0x0100_0000, 1),
        &[0],
        // Without a header after an extended moment: the same moment, with or without its repetition.
        &[0xc6, 1, 0, 0, 0, 0],
        &[0xc6, 9],
    ]
    .concat();
    let expected = vec![0xff_fffe, 0xff_ffff, 0xff_ffff, 0x0100_0000, 0x0100_0000, 0x0100_0000];
    assert_eq!(timestamps(&mut decoder(), &bytes), Ok(expected));
}

#[test]
fn b7_a_message_without_header_repeats_the_step_even_after_a_full_one() {
    let bytes = [&full_header(6, 40, 1)[..], &[0, 0xc6, 0, 0xc6, 0]].concat();
    assert_eq!(timestamps(&mut decoder(), &bytes), Ok(vec![40, 80, 120]));
}

#[test]
fn b8_abort_drops_what_has_arrived_and_nothing_else() {
    let mut decoder = decoder();
    let half = [&full_header(6, 0, 300)[..], &[7; 128]].concat();
    assert_eq!(decode(&mut decoder, &half), Ok(vec![]));
    decoder.abort(99);
    decoder.abort(6);
    assert_eq!(decoder.buffered(), 0);
    let bytes = [&full_header(6, 5, 1)[..], &[1]].concat();
    assert_eq!(decode(&mut decoder, &bytes).unwrap()[0].body, [1][..]);
}
