//! RTCP: reports (RFC 3550 §6), feedback (RFC 4585, RFC 5104) and bandwidth estimates (draft-alvestrand-rmcat-remb).
//!
//! [`packets`] takes apart what came in one datagram; the `write_` functions append to one. Feedback may come without a
//! report before it (RFC 5506), as browsers send it.

mod lists;
mod parse;
mod write;

#[cfg(test)]
mod tests;

use std::time::Duration;

pub use lists::{FirRequest, FirRequests, LostPackets, ReportBlocks, SdesChunk, SdesChunks, Ssrcs};
pub use parse::packets;
pub use write::{write_bye, write_nack, write_pli, write_receiver_report, write_sender_report};

const VERSION: u8 = 2;
/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1).
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
/// Formats of transport feedback.
const NACK: u8 = 1;
const TRANSPORT_CC: u8 = 15;
/// Formats of payload-specific feedback.
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION_FEEDBACK: u8 = 15;
/// What an estimate begins with among the application's own messages.
const REMB: [u8; 4] = *b"REMB";
/// The item of a source description that names the participant.
const CNAME: u8 = 1;
/// The most that the five bits in a header can count.
const MAX_COUNT: usize = 31;

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet<'a> {
    /// What a sender has sent, and how what it receives arrives (RFC 3550 §6.4.1).
    SenderReport {
        /// The sender.
        ssrc: u32,
        /// What it has sent.
        info: SenderInfo,
        /// About the streams it receives.
        blocks: ReportBlocks<'a>,
    },
    /// How streams arrive at who sends none (RFC 3550 §6.4.2).
    ReceiverReport {
        /// The receiver.
        ssrc: u32,
        /// About the streams it receives.
        blocks: ReportBlocks<'a>,
    },
    /// Who the sources are (RFC 3550 §6.5).
    Sdes(SdesChunks<'a>),
    /// Sources that end (RFC 3550 §6.6).
    Bye {
        /// Which.
        ssrcs: Ssrcs<'a>,
        /// Why, in text that should be UTF-8.
        reason: Option<&'a [u8]>,
    },
    /// Packets did not arrive (RFC 4585 §6.2.1).
    Nack {
        /// Who misses them.
        sender_ssrc: u32,
        /// Of which stream.
        media_ssrc: u32,
        /// Which.
        lost: LostPackets<'a>,
    },
    /// The decoder has lost the picture: a keyframe is needed (RFC 4585 §6.3.1).
    Pli {
        /// Who needs it.
        sender_ssrc: u32,
        /// Of which stream.
        media_ssrc: u32,
    },
    /// A keyframe is demanded (RFC 5104 §4.3.1).
    Fir {
        /// Who demands it.
        sender_ssrc: u32,
        /// Of which streams.
        requests: FirRequests<'a>,
    },
    /// What the receiver thinks the path can carry (draft-alvestrand-rmcat-remb §2.2).
    Remb {
        /// The receiver.
        sender_ssrc: u32,
        /// Bits a second for all the streams together; `u64::MAX` when the number is larger.
        bitrate: u64,
        /// The streams.
        ssrcs: Ssrcs<'a>,
    },
    /// When packets arrived (draft-holmer-rmcat-transport-wide-cc-extensions §3.1), as it came.
    TransportCc {
        /// Who received them.
        sender_ssrc: u32,
        /// One of the streams.
        media_ssrc: u32,
        /// From the base sequence number on. Not looked into.
        feedback: &'a [u8],
    },
    /// Anything else: extended reports, application messages, feedback without a meaning here.
    Unknown {
        /// The packet type.
        packet_type: u8,
        /// The five bits that hold a count or a format.
        format: u8,
        /// What follows the header, without padding.
        body: &'a [u8],
    },
}

/// What a sender has sent (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// The wall clock of this report, as [`ntp`](super::ntp) gives it.
    pub ntp: u64,
    /// The RTP timestamp of the same moment.
    pub rtp_timestamp: u32,
    /// Packets sent so far; wraps.
    pub packets: u32,
    /// Bytes of payload sent so far, without headers and padding; wraps.
    pub octets: u32,
}

/// How one stream arrives (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream.
    pub ssrc: u32,
    /// Packets lost since the last report, in 1/256 of those expected.
    pub fraction_lost: u8,
    /// Packets lost in all, less those that came twice: 24 bits with a sign.
    pub cumulative_lost: i32,
    /// The highest sequence number that arrived, with how often it has wrapped in the upper half.
    pub highest_sequence_number: u32,
    /// How unevenly packets arrive, in units of the RTP timestamp.
    pub jitter: u32,
    /// The middle 32 bits of the [`ntp`](super::ntp) time of the last sender report that arrived; 0 if none did.
    pub last_sender_report: u32,
    /// How long ago that was, in 1/65536 s.
    pub delay_since_last: u32,
}

impl ReportBlock {
    /// How long a packet is on its way there and back, for a report that arrived at the given [`ntp`](super::ntp) time.
    /// `None` if the receiver has seen no sender report, or if its delay is longer than the time that went by.
    pub fn round_trip(&self, arrival_ntp: u64) -> Option<Duration> {
        if self.last_sender_report == 0 {
            return None;
        }
        let arrival = (arrival_ntp >> 16) as u32;
        let ticks = arrival.wrapping_sub(self.last_sender_report).wrapping_sub(self.delay_since_last);
        // The clock wraps after 18 hours; what seems to be more than 9 is less than nothing.
        let is_negative = ticks > u32::MAX / 2;
        (!is_negative).then(|| Duration::from_nanos((u64::from(ticks) * 1_000_000_000) >> 16))
    }
}
