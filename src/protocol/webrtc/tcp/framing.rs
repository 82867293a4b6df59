//! Datagrams over a stream: each has its length before it (RFC 4571 §2), as ICE over TCP wants it (RFC 6544 §10.1).

use bytes::{Buf as _, Bytes, BytesMut};

/// The longest datagram that is taken, in bytes: longer ones are nobody's media.
const MAX_DATAGRAM: usize = 2048;

/// The stream has something other than datagrams of a sensible length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes; the longest that is taken has {MAX_DATAGRAM}")]
pub struct TooLong(usize);

/// The first datagram of what was received; `None` until it is complete.
///
/// # Errors
/// When it is too long to be one: nothing after it can be read then.
pub fn first(received: &[u8]) -> Result<Option<&[u8]>, TooLong> {
    let Some((length, rest)) = received.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*length));
    if length > MAX_DATAGRAM {
        return Err(TooLong(length));
    }
    Ok(rest.get(..length))
}

/// Takes the first datagram off what was received; `None` until it is complete.
///
/// # Errors
/// As [`first`].
pub fn take(received: &mut BytesMut) -> Result<Option<Bytes>, TooLong> {
    let Some(length) = first(received)?.map(<[u8]>::len) else { return Ok(None) };
    received.advance(2);
    Ok(Some(received.split_to(length).freeze()))
}

/// Appends a datagram with its length: what `write` appends. One that is longer than a length can say is left out.
pub fn put(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 2]);
    write(out);
    match u16::try_from(out.len() - start - 2) {
        Ok(length) if length > 0 => out[start..start + 2].copy_from_slice(&length.to_be_bytes()),
        _ => out.truncate(start),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_whole_however_the_stream_is_cut() {
        let mut stream = Vec::new();
        for length in [1, 300, MAX_DATAGRAM] {
            put(&mut stream, |out| out.resize(out.len() + length, 7));
        }
        put(&mut stream, |_| {});
        put(&mut stream, |out| out.resize(out.len() + 70_000, 7));
        let (mut received, mut lengths) = (BytesMut::new(), Vec::new());
        for byte in stream {
            received.extend_from_slice(&[byte]);
            lengths.extend(take(&mut received).unwrap().map(|datagram| datagram.len()));
        }
        assert_eq!(lengths, [1, 300, MAX_DATAGRAM]);
        assert!(received.is_empty());
    }

    #[test]
    fn a_length_that_no_datagram_has_ends_the_stream() {
        let mut received = BytesMut::from(b"GET / HTTP/1.1\r\n".as_slice());
        assert_eq!(take(&mut received), Err(TooLong(0x4745)));
    }
}
