//! Packets written, one after the other into a compound.

use super::{
    BYE, CNAME, MAX_COUNT, NACK, PAYLOAD_FEEDBACK, PLI, RECEIVER_REPORT, ReportBlock, SDES, SENDER_REPORT,
    SenderInfo, TRANSPORT_FEEDBACK, VERSION,
};

/// The longest text of an item or a reason, in bytes.
const MAX_TEXT: usize = u8::MAX as usize;
/// Entries in one NACK, so that a packet stays well below a datagram: 1 KiB.
const MAX_NACK_ENTRIES: usize = 256;
/// The sequence numbers after the first that an entry can name.
const NACK_BITS: u16 = 16;

/// Appends a sender report and the description of its source, which makes a compound of its own (RFC 3550 §6.1). A name
/// is cut at 255 bytes; more blocks than a report can hold go into receiver reports behind it.
pub fn write_sender_report(
    ssrc: u32,
    info: &SenderInfo,
    blocks: &[ReportBlock],
    cname: &str,
    to: &mut Vec<u8>,
) {
    let (first, others) = blocks.split_at(blocks.len().min(MAX_COUNT));
    let report = Open::new(SENDER_REPORT, first.len(), to);
    put(to, ssrc);
    to.extend_from_slice(&info.ntp.to_be_bytes());
    put(to, info.rtp_timestamp);
    put(to, info.packets);
    put(to, info.octets);
    put_blocks(first, to);
    report.close(to);
    for blocks in others.chunks(MAX_COUNT) {
        put_receiver_report(ssrc, blocks, to);
    }
    put_name(ssrc, cname, to);
}

/// Appends a receiver report and the description of its source, as [`write_sender_report`] does.
pub fn write_receiver_report(ssrc: u32, blocks: &[ReportBlock], cname: &str, to: &mut Vec<u8>) {
    if blocks.is_empty() {
        put_receiver_report(ssrc, blocks, to);
    }
    for blocks in blocks.chunks(MAX_COUNT) {
        put_receiver_report(ssrc, blocks, to);
    }
    put_name(ssrc, cname, to);
}

/// Appends the end of these streams, with a reason in words unless it is empty; it is cut at 255 bytes. To be put behind
/// a report (RFC 3550 §6.1).
pub fn write_bye(ssrcs: &[u32], reason: &str, to: &mut Vec<u8>) {
    for ssrcs in ssrcs.chunks(MAX_COUNT) {
        let bye = Open::new(BYE, ssrcs.len(), to);
        for ssrc in ssrcs {
            put(to, *ssrc);
        }
        if !reason.is_empty() {
            put_text(reason, to);
        }
        bye.close(to);
    }
}

/// Appends a demand for packets that did not arrive, by their sequence numbers, best in rising order. Nothing is written
/// when there are none.
pub fn write_nack(sender_ssrc: u32, media_ssrc: u32, lost: impl IntoIterator<Item = u16>, to: &mut Vec<u8>) {
    let mut entries: Vec<(u16, u16)> = Vec::new();
    for number in lost {
        if let Some((first, following)) = entries.last_mut() {
            let distance = number.wrapping_sub(*first);
            if distance == 0 {
                continue;
            }
            if distance <= NACK_BITS {
                *following |= 1 << (distance - 1);
                continue;
            }
        }
        entries.push((number, 0));
    }
    for entries in entries.chunks(MAX_NACK_ENTRIES) {
        let nack = Open::new(TRANSPORT_FEEDBACK, NACK.into(), to);
        put(to, sender_ssrc);
        put(to, media_ssrc);
        for (first, following) in entries {
            put(to, u32::from(*first) << 16 | u32::from(*following));
        }
        nack.close(to);
    }
}

/// Appends a demand for a keyframe.
pub fn write_pli(sender_ssrc: u32, media_ssrc: u32, to: &mut Vec<u8>) {
    let pli = Open::new(PAYLOAD_FEEDBACK, PLI.into(), to);
    put(to, sender_ssrc);
    put(to, media_ssrc);
    pli.close(to);
}

fn put(to: &mut Vec<u8>, value: u32) {
    to.extend_from_slice(&value.to_be_bytes());
}

fn put_receiver_report(ssrc: u32, blocks: &[ReportBlock], to: &mut Vec<u8>) {
    let report = Open::new(RECEIVER_REPORT, blocks.len(), to);
    put(to, ssrc);
    put_blocks(blocks, to);
    report.close(to);
}

fn put_blocks(blocks: &[ReportBlock], to: &mut Vec<u8>) {
    const MAX_LOST: i32 = 0x7f_ffff;
    for block in blocks {
        put(to, block.ssrc);
        let lost = block.cumulative_lost.clamp(-MAX_LOST - 1, MAX_LOST);
        put(to, u32::from(block.fraction_lost) << 24 | lost as u32 & 0xff_ffff);
        put(to, block.highest_sequence_number);
        put(to, block.jitter);
        put(to, block.last_sender_report);
        put(to, block.delay_since_last);
    }
}

/// A source description with the name alone (RFC 3550 §6.5.1).
fn put_name(ssrc: u32, cname: &str, to: &mut Vec<u8>) {
    let description = Open::new(SDES, 1, to);
    put(to, ssrc);
    to.push(CNAME);
    put_text(cname, to);
    // Ends the items. What fills up the last word is zero too.
    to.push(0);
    description.close(to);
}

/// Text behind a byte for its length.
fn put_text(text: &str, to: &mut Vec<u8>) {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default();
    // Cut to what a byte can say.
    to.push(text.len() as u8);
    to.extend_from_slice(text.as_bytes());
}

/// A packet whose length is not known yet.
struct Open {
    start: usize,
}

impl Open {
    /// `count` is at most 31.
    fn new(packet_type: u8, count: usize, to: &mut Vec<u8>) -> Self {
        let start = to.len();
        to.extend_from_slice(&[VERSION << 6 | count as u8 & 0x1f, packet_type, 0, 0]);
        Self { start }
    }

    /// Fills up the last word, and puts the length into the header: in words, without the header.
    fn close(self, to: &mut Vec<u8>) {
        let len = (to.len() - self.start).next_multiple_of(4);
        to.resize(self.start + len, 0);
        // All packets here are shorter than 2 KiB.
        let words = (len / 4 - 1) as u16;
        if let Some(field) = to.get_mut(self.start + 2..self.start + 4) {
            field.copy_from_slice(&words.to_be_bytes());
        }
    }
}
