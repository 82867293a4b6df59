//! Writing: one message as chunks whose bytes do not depend on what was sent before.

use bytes::{BufMut, BytesMut};
use thiserror::Error;

use super::EXTENDED;

/// A message longer than its 24-bit length field can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an RTMP message of {0} bytes is longer than 16,777,215")]
pub struct MessageTooLong(pub usize);

/// Appends one message, whose body is `parts` one after the other, as chunks of `chunk_size` bytes.
///
/// Every message begins with a full header, so the bytes are the same for every receiver with this chunk size, and
/// can be made once for all viewers of a stream. `timestamp` is in milliseconds and wraps at 2³².
///
/// # Errors
/// A body of more than 16,777,215 bytes; nothing is appended then.
pub fn write_message(
    out: &mut BytesMut,
    csid: u32,
    timestamp: u32,
    type_id: u8,
    stream_id: u32,
    chunk_size: u32,
    parts: &[&[u8]],
) -> Result<(), MessageTooLong> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length_field = u32::try_from(length).ok().filter(|length| *length <= 0xff_ffff);
    let length_field = length_field.ok_or(MessageTooLong(length))?;
    let chunk_size = usize::try_from(chunk_size).unwrap_or(usize::MAX).max(1);
    let extended = (timestamp >= EXTENDED).then_some(timestamp);

    out.reserve(length + 18 + length / chunk_size * 7);
    put_basic_header(out, 0, csid);
    out.put_uint(u64::from(timestamp.min(EXTENDED)), 3);
    out.put_uint(u64::from(length_field), 3);
    out.put_u8(type_id);
    out.put_u32_le(stream_id);
    put_extended(out, extended);

    let mut room = chunk_size;
    for part in parts {
        let mut rest = *part;
        while !rest.is_empty() {
            if room == 0 {
                put_basic_header(out, 3, csid);
                put_extended(out, extended);
                room = chunk_size;
            }
            let (now, later) = rest.split_at(rest.len().min(room));
            out.put_slice(now);
            room -= now.len();
            rest = later;
        }
    }
    Ok(())
}

/// One to three bytes with the format and the chunk stream (RTMP §5.3.1.1).
fn put_basic_header(out: &mut BytesMut, format: u8, csid: u32) {
    let format = format << 6;
    match csid {
        2..=63 => out.put_u8(format | csid as u8),
        64..=319 => {
            out.put_u8(format);
            out.put_u8((csid - 64) as u8);
        }
        _ => {
            out.put_u8(format | 1);
            out.put_u16_le(csid.saturating_sub(64).min(u32::from(u16::MAX)) as u16);
        }
    }
}

fn put_extended(out: &mut BytesMut, timestamp: Option<u32>) {
    if let Some(timestamp) = timestamp {
        out.put_u32(timestamp);
    }
}
