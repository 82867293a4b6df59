//! VP9 (RFC 9628) in flexible mode: each packet has a part of the frame behind a descriptor that says which picture it
//! depends on. A superframe is one frame.
//!
//! Flexible mode, because the other one describes the references by a pattern that repeats, which streams from elsewhere
//! do not have. With the layer byte there, Chromium takes the references from the descriptor (`RtpVp9RefFinder` of
//! libwebrtc, flexible mode); without it, it would take each frame to depend on the one before (`RtpFrameIdOnlyRefFinder`),
//! and one that was left out on purpose would stop the picture. Seen with Chromium 156: a stream of two temporal layers plays
//! whole, and without its disposable pictures.

use super::{PictureId, Writer};
use crate::codec::Malformed;
use crate::codec::vp9::{FrameHeader, KeyFrame};
use crate::media::Frame;

/// I: there is a PictureID.
const HAS_PICTURE_ID: u8 = 0x80;
/// P: predicted from an earlier picture. Receivers take pictures without it for keyframes.
const INTER_PICTURE: u8 = 0x40;
/// L: there are layer indices.
const HAS_LAYER: u8 = 0x20;
/// F: flexible mode.
const FLEXIBLE: u8 = 0x10;
/// B: the packet begins a frame.
const BEGIN: u8 = 0x08;
/// E: the packet ends a frame.
const END: u8 = 0x04;
/// V: there is a scalability structure.
const HAS_STRUCTURE: u8 = 0x02;
/// Z: no upper spatial layer refers to this frame, for there is none.
const TOP_LAYER: u8 = 0x01;

/// The only layer: temporal 0, spatial 0, not predicted from a lower one.
const LAYER: u8 = 0;
/// The most that P_DIFF can say.
const MAX_DISTANCE: u16 = 127;

#[derive(Debug, Default)]
pub(super) struct Vp9 {
    next: PictureId,
    /// The newest picture that others may refer to.
    reference: Option<PictureId>,
}

impl Vp9 {
    pub(super) fn packetize(&mut self, frame: &Frame, to: &mut Writer<'_>) -> Result<(), Malformed> {
        let header = FrameHeader::parse(&frame.payload)?;
        let id = self.next;
        self.next = id.next();
        let mut fields = Vec::with_capacity(4);
        fields.extend_from_slice(&id.bytes());
        fields.push(LAYER);
        let mut flags = HAS_PICTURE_ID | HAS_LAYER | FLEXIBLE | TOP_LAYER;
        if header.key_frame.is_none() {
            flags |= INTER_PICTURE;
            fields.push(self.distance(id) << 1);
        }
        if !frame.disposable {
            self.reference = Some(id);
        }

        let structure = header.key_frame.map(structure);
        let mut structure: &[u8] = structure.as_ref().map_or(&[], |structure| structure);
        let mut rest = &frame.payload[..];
        flags |= BEGIN;
        while !rest.is_empty() {
            let room = to.max_payload - 1 - fields.len() - structure.len();
            let (part, after) = rest.split_at(rest.len().min(room));
            rest = after;
            if rest.is_empty() {
                flags |= END;
            }
            if !structure.is_empty() {
                flags |= HAS_STRUCTURE;
            }
            to.put(&[flags]);
            to.put(&fields);
            to.put(structure);
            to.put(part);
            to.end_payload();
            flags &= !(BEGIN | HAS_STRUCTURE);
            structure = &[];
        }
        Ok(())
    }

    /// P_DIFF: how many pictures ago the newest reference was. Every picture depends on it, if only because it depends on
    /// what that one depends on. One too far back to be named is replaced by the picture just before.
    fn distance(&self, id: PictureId) -> u8 {
        let distance = self.reference.map_or(1, |reference| id.since(reference));
        if (1..=MAX_DISTANCE).contains(&distance) { distance as u8 } else { 1 }
    }
}

/// The scalability structure of a stream without layers: its size. Stands in the first packet of a keyframe.
fn structure(key: KeyFrame) -> [u8; 5] {
    /// Y: the size is told. N_S is 0, one spatial layer; G is 0, no pattern.
    const HAS_SIZE: u8 = 0x10;
    // Sizes have been checked against a limit of 14 bits.
    let ([w0, w1], [h0, h1]) = ((key.width as u16).to_be_bytes(), (key.height as u16).to_be_bytes());
    [HAS_SIZE, w0, w1, h0, h1]
}
