//! Compound packets taken apart.

use super::lists::{FirRequests, LostPackets, ReportBlocks, SdesChunk, SdesChunks, Ssrcs};
use super::{
    APPLICATION_FEEDBACK, BYE, FIR, NACK, PAYLOAD_FEEDBACK, PLI, Packet, RECEIVER_REPORT, REMB, SDES,
    SENDER_REPORT, SenderInfo, TRANSPORT_CC, TRANSPORT_FEEDBACK, VERSION,
};
use crate::format::rtp::ParseError;

const HEADER_LEN: usize = 4;

/// The packets of a datagram that has been decrypted. One whose content is wrong is an error, and the next one follows;
/// after one whose header or length is wrong there is nothing more.
pub fn packets(compound: &[u8]) -> impl Iterator<Item = Result<Packet<'_>, ParseError>> {
    Packets { rest: Body { bytes: compound, at: 0 } }
}

struct Packets<'a> {
    rest: Body<'a>,
}

/// One packet, framed.
struct Framed<'a> {
    packet_type: u8,
    /// Five bits: a count or a format.
    count: u8,
    has_padding: bool,
    body: Body<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.bytes.is_empty() {
            return None;
        }
        match Framed::read(&mut self.rest) {
            Ok(framed) => Some(framed.parse()),
            Err(error) => {
                self.rest.bytes = &[];
                Some(Err(error))
            }
        }
    }
}

impl<'a> Framed<'a> {
    fn read(compound: &mut Body<'a>) -> Result<Self, ParseError> {
        let at = compound.at;
        let [flags, packet_type, l0, l1] = compound.array::<HEADER_LEN>("RTCP header")?;
        if flags >> 6 != VERSION {
            return Err(ParseError::Invalid { element: "version", at, value: u32::from(flags >> 6) });
        }
        let body_at = compound.at;
        let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        let bytes = compound.bytes("RTCP packet", len)?;
        let body = Body { bytes, at: body_at };
        Ok(Self { packet_type, count: flags & 0x1f, has_padding: flags & 0x20 != 0, body })
    }

    fn parse(mut self) -> Result<Packet<'a>, ParseError> {
        if self.has_padding {
            self.body.strip_padding()?;
        }
        let body = self.body;
        match (self.packet_type, self.count) {
            (SENDER_REPORT, count) => sender_report(body, count),
            (RECEIVER_REPORT, count) => receiver_report(body, count),
            (SDES, count) => source_description(body, count),
            (BYE, count) => goodbye(body, count),
            (TRANSPORT_FEEDBACK, NACK) => nack(body),
            (TRANSPORT_FEEDBACK, TRANSPORT_CC) => transport_cc(body),
            (PAYLOAD_FEEDBACK, PLI) => pli(body),
            (PAYLOAD_FEEDBACK, FIR) => fir(body),
            (PAYLOAD_FEEDBACK, APPLICATION_FEEDBACK) if body.bytes.get(8..12) == Some(&REMB) => remb(body),
            (packet_type, format) => Ok(Packet::Unknown { packet_type, format, body: body.bytes }),
        }
    }
}

fn sender_report(mut body: Body<'_>, count: u8) -> Result<Packet<'_>, ParseError> {
    let ssrc = body.u32("SSRC")?;
    let info = SenderInfo {
        ntp: u64::from_be_bytes(body.array("NTP timestamp")?),
        rtp_timestamp: body.u32("RTP timestamp")?,
        packets: body.u32("packet count")?,
        octets: body.u32("octet count")?,
    };
    // What follows the blocks is of a profile that nobody here speaks.
    Ok(Packet::SenderReport { ssrc, info, blocks: ReportBlocks(body.list("report blocks", count.into())?) })
}

fn receiver_report(mut body: Body<'_>, count: u8) -> Result<Packet<'_>, ParseError> {
    let ssrc = body.u32("SSRC")?;
    Ok(Packet::ReceiverReport { ssrc, blocks: ReportBlocks(body.list("report blocks", count.into())?) })
}

fn source_description(body: Body<'_>, count: u8) -> Result<Packet<'_>, ParseError> {
    let mut rest = body;
    for _ in 0..count {
        SdesChunk::read(&mut rest)?;
    }
    Ok(Packet::Sdes(SdesChunks { body, count }))
}

fn goodbye(mut body: Body<'_>, count: u8) -> Result<Packet<'_>, ParseError> {
    let ssrcs = Ssrcs(body.list("SSRC list", count.into())?);
    let mut reason = None;
    if !body.bytes.is_empty() {
        let [len] = body.array("reason for leaving")?;
        reason = Some(body.bytes("reason for leaving", len.into())?);
    }
    Ok(Packet::Bye { ssrcs, reason })
}

/// Who gives feedback, and on what: the start of all feedback (RFC 4585 §6.1).
fn feedback_ssrcs(body: &mut Body<'_>) -> Result<(u32, u32), ParseError> {
    Ok((body.u32("SSRC of packet sender")?, body.u32("SSRC of media source")?))
}

fn nack(mut body: Body<'_>) -> Result<Packet<'_>, ParseError> {
    let (sender_ssrc, media_ssrc) = feedback_ssrcs(&mut body)?;
    Ok(Packet::Nack { sender_ssrc, media_ssrc, lost: LostPackets(body.remaining("NACK entries")?) })
}

fn transport_cc(mut body: Body<'_>) -> Result<Packet<'_>, ParseError> {
    let (sender_ssrc, media_ssrc) = feedback_ssrcs(&mut body)?;
    Ok(Packet::TransportCc { sender_ssrc, media_ssrc, feedback: body.bytes })
}

fn pli(mut body: Body<'_>) -> Result<Packet<'_>, ParseError> {
    let (sender_ssrc, media_ssrc) = feedback_ssrcs(&mut body)?;
    Ok(Packet::Pli { sender_ssrc, media_ssrc })
}

fn fir(mut body: Body<'_>) -> Result<Packet<'_>, ParseError> {
    // The entries name the streams; the field for one is not used.
    let (sender_ssrc, _) = feedback_ssrcs(&mut body)?;
    Ok(Packet::Fir { sender_ssrc, requests: FirRequests(body.remaining("FIR entries")?) })
}

fn remb(mut body: Body<'_>) -> Result<Packet<'_>, ParseError> {
    let (sender_ssrc, _) = feedback_ssrcs(&mut body)?;
    body.bytes("REMB", REMB.len())?;
    let [count, b0, b1, b2] = body.array("REMB bitrate")?;
    let exponent = u32::from(b0 >> 2);
    let mantissa = u128::from(u32::from_be_bytes([0, b0 & 3, b1, b2]));
    // 18 bits moved by 63 at most.
    let bitrate = u64::try_from(mantissa << exponent).unwrap_or(u64::MAX);
    Ok(Packet::Remb { sender_ssrc, bitrate, ssrcs: Ssrcs(body.list("SSRC list", count.into())?) })
}

/// Bytes not yet read, and where they stand in the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Body<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Body<'a> {
    /// The position of the next byte in the datagram.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn bytes(&mut self, element: &'static str, len: usize) -> Result<&'a [u8], ParseError> {
        let Some((bytes, rest)) = self.bytes.split_at_checked(len) else {
            return Err(self.overrun(element, len));
        };
        self.bytes = rest;
        self.at += len;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self, element: &'static str) -> Result<[u8; N], ParseError> {
        let Some((array, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(self.overrun(element, N));
        };
        self.bytes = rest;
        self.at += N;
        Ok(*array)
    }

    pub(super) fn u32(&mut self, element: &'static str) -> Result<u32, ParseError> {
        Ok(u32::from_be_bytes(self.array(element)?))
    }

    /// So many entries.
    fn list<const N: usize>(
        &mut self,
        element: &'static str,
        count: usize,
    ) -> Result<&'a [[u8; N]], ParseError> {
        Ok(self.bytes(element, count * N)?.as_chunks().0)
    }

    /// As many entries as there are, to the end; one at least, and no half one.
    fn remaining<const N: usize>(&self, element: &'static str) -> Result<&'a [[u8; N]], ParseError> {
        match self.bytes.as_chunks() {
            (entries, []) if !entries.is_empty() => Ok(entries),
            (entries, _) => Err(self.overrun(element, (entries.len() + 1) * N)),
        }
    }

    /// Takes off the padding, of which the last byte is the length (RFC 3550 §6.4.1).
    fn strip_padding(&mut self) -> Result<(), ParseError> {
        let padding = self.bytes.last().copied().unwrap_or(0);
        let len = self.bytes.len().checked_sub(padding.into()).filter(|_| padding > 0);
        let Some(bytes) = len.and_then(|len| self.bytes.get(..len)) else {
            // Without a body, the byte before the next packet is the header's last.
            let at = self.at + self.bytes.len() - 1;
            return Err(ParseError::Invalid { element: "padding", at, value: padding.into() });
        };
        self.bytes = bytes;
        Ok(())
    }

    fn overrun(&self, element: &'static str, needed: usize) -> ParseError {
        ParseError::Overrun { element, at: self.at, needed, remaining: self.bytes.len() }
    }
}
