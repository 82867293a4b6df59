//! Opus (RFC 7587): a packet is a payload.

use super::Writer;
use crate::codec::Malformed;
use crate::codec::opus::{OpusHead, packet_samples};
use crate::media::Frame;

/// Whether packets hold one stream, mono or stereo: the RTP format has no word for more. A configuration that cannot be
/// read says nothing against it.
pub(super) fn is_single_stream(config: &[u8]) -> bool {
    let mapping = OpusHead::parse(config).ok().and_then(|head| head.mapping);
    mapping.is_none_or(|mapping| mapping.streams == 1)
}

pub(super) fn packetize(frame: &Frame, to: &mut Writer<'_>) -> Result<(), Malformed> {
    packet_samples(&frame.payload)?;
    // It cannot be divided. 120 ms at 64 kbit/s are 960 bytes.
    if frame.payload.len() > to.max_payload {
        let (value, max) = (frame.payload.len() as u64, to.max_payload as u64);
        return Err(Malformed::TooLarge { element: "Opus packet", value, max });
    }
    to.push(frame.payload.clone());
    Ok(())
}
