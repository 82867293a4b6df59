//! VP8 (RFC 7741): each packet has a part of the frame behind a descriptor of four bytes.
//!
//! With a PictureID and no layer index, Chromium takes every frame to depend on the one numbered before it
//! (`RtpFrameIdOnlyRefFinder` of libwebrtc): pictures are numbered without gaps.

use super::{PictureId, Writer};
use crate::codec::Malformed;
use crate::codec::vp8::FrameHeader;
use crate::media::Frame;

const DESCRIPTOR_LEN: usize = 4;
/// X: there is a second byte.
const EXTENDED: u8 = 0x80;
/// N: no other frame refers to this one.
const NON_REFERENCE: u8 = 0x20;
/// S: the packet begins with the start of a partition. All packets say partition 0, as other senders do.
const START: u8 = 0x10;
/// I, in the second byte: there is a PictureID.
const HAS_PICTURE_ID: u8 = 0x80;

#[derive(Debug, Default)]
pub(super) struct Vp8 {
    next: PictureId,
}

impl Vp8 {
    pub(super) fn packetize(&mut self, frame: &Frame, to: &mut Writer<'_>) -> Result<(), Malformed> {
        FrameHeader::parse(&frame.payload)?;
        let [id_high, id_low] = self.next.bytes();
        self.next = self.next.next();
        let mut flags = EXTENDED | START;
        if frame.disposable {
            flags |= NON_REFERENCE;
        }
        for part in frame.payload.chunks(to.max_payload - DESCRIPTOR_LEN) {
            to.put(&[flags, HAS_PICTURE_ID, id_high, id_low]);
            to.put(part);
            to.end_payload();
            flags &= !START;
        }
        Ok(())
    }
}
