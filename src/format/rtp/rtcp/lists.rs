//! The lists in RTCP packets: read entry by entry from the bytes as they came, without a copy.

use super::parse::Body;
use super::{CNAME, ReportBlock};
use crate::format::rtp::ParseError;

/// Report blocks, at most 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlocks<'a>(pub(super) &'a [[u8; 24]]);

impl<'a> ReportBlocks<'a> {
    /// The blocks.
    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.0.iter().map(|block| {
            let [s0, s1, s2, s3, fraction_lost, l0, l1, l2, rest @ ..] = *block;
            let [h0, h1, h2, h3, j0, j1, j2, j3, r0, r1, r2, r3, delay @ ..] = rest;
            ReportBlock {
                ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
                fraction_lost,
                // Shifted down again with its sign.
                cumulative_lost: i32::from_be_bytes([l0, l1, l2, 0]) >> 8,
                highest_sequence_number: u32::from_be_bytes([h0, h1, h2, h3]),
                jitter: u32::from_be_bytes([j0, j1, j2, j3]),
                last_sender_report: u32::from_be_bytes([r0, r1, r2, r3]),
                delay_since_last: u32::from_be_bytes(delay),
            }
        })
    }
}

/// Streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrcs<'a>(pub(super) &'a [[u8; 4]]);

impl<'a> Ssrcs<'a> {
    /// The streams' identifiers.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }
}

/// Packets that were lost: sequence numbers, each with a bit map of the sixteen that follow it (RFC 4585 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostPackets<'a>(pub(super) &'a [[u8; 4]]);

impl<'a> LostPackets<'a> {
    /// The sequence numbers, in the order sent: at most 17 for each four bytes of the packet.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.0.iter().flat_map(|&[p0, p1, b0, b1]| {
            let (first, following) = (u16::from_be_bytes([p0, p1]), u16::from_be_bytes([b0, b1]));
            let is_lost = move |offset: &u16| *offset == 0 || following >> (offset - 1) & 1 == 1;
            (0..=16).filter(is_lost).map(move |offset| first.wrapping_add(offset))
        })
    }
}

/// Demands for keyframes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirRequests<'a>(pub(super) &'a [[u8; 8]]);

/// A demand for a keyframe (RFC 5104 §4.3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirRequest {
    /// Of which stream.
    pub ssrc: u32,
    /// Rises with each demand; a repetition has the same one.
    pub sequence_number: u8,
}

impl<'a> FirRequests<'a> {
    /// The demands.
    pub fn iter(&self) -> impl Iterator<Item = FirRequest> + use<'a> {
        self.0.iter().map(|&[s0, s1, s2, s3, sequence_number, ..]| FirRequest {
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            sequence_number,
        })
    }
}

/// Descriptions of sources, at most 31, and well-formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesChunks<'a> {
    pub(super) body: Body<'a>,
    pub(super) count: u8,
}

/// The description of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SdesChunk<'a> {
    /// The source.
    pub ssrc: u32,
    /// The name of its participant, in text that should be UTF-8; the other items are passed over.
    pub cname: Option<&'a [u8]>,
}

impl<'a> SdesChunks<'a> {
    /// The descriptions.
    pub fn iter(&self) -> impl Iterator<Item = SdesChunk<'a>> + use<'a> {
        let mut body = self.body;
        // They were all read once, when the packet was.
        (0..self.count).map_while(move |_| SdesChunk::read(&mut body).ok())
    }
}

impl<'a> SdesChunk<'a> {
    /// Reads a chunk with its terminator and padding (RFC 3550 §6.5).
    pub(super) fn read(body: &mut Body<'a>) -> Result<Self, ParseError> {
        let ssrc = body.u32("SDES chunk")?;
        let mut cname = None;
        loop {
            let [item] = body.array("SDES item")?;
            if item == 0 {
                break;
            }
            let [len] = body.array("SDES item")?;
            let text = body.bytes("SDES item", usize::from(len))?;
            if item == CNAME {
                cname = Some(text);
            }
        }
        // Packets begin at multiples of four bytes, and so do chunks.
        body.bytes("SDES padding", body.at().next_multiple_of(4) - body.at())?;
        Ok(Self { ssrc, cname })
    }
}
