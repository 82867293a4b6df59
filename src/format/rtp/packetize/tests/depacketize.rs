//! What a receiver does, written from the specifications and nothing else. A payload that breaks a rule is a panic.

use super::Payload;

/// NAL units of an access unit (RFC 6184 §5).
pub(super) fn h264(payloads: &[Payload]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut fragmented = false;
    for payload in payloads {
        let bytes = &payload.bytes[..];
        let kind = bytes[0] & 0x1f;
        assert!(!fragmented || kind == 28, "a fragmented NAL unit is interrupted by packet type {kind}");
        match kind {
            1..=23 => units.push(bytes.to_vec()),
            24 => {
                let mut rest = &bytes[1..];
                let mut importance = 0;
                while !rest.is_empty() {
                    let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                    assert!(len > 0, "an empty NAL unit in a STAP-A");
                    units.push(rest[2..2 + len].to_vec());
                    importance = importance.max(rest[2] & 0x60);
                    rest = &rest[2 + len..];
                }
                assert_eq!(bytes[0] & 0x60, importance, "NRI is the highest of those inside");
            }
            28 => {
                let (starts, ends) = (bytes[1] & 0x80 != 0, bytes[1] & 0x40 != 0);
                assert!(!(starts && ends), "a fragment that is the whole");
                assert_eq!(bytes[1] & 0x20, 0, "the reserved bit");
                assert_eq!(starts, !fragmented);
                assert!(bytes.len() > 2, "an empty fragment");
                let header = bytes[0] & 0xe0 | bytes[1] & 0x1f;
                if starts {
                    units.push(vec![header]);
                }
                let unit = units.last_mut().unwrap();
                assert_eq!(unit[0], header, "all fragments have the same header");
                unit.extend_from_slice(&bytes[2..]);
                fragmented = !ends;
            }
            other => panic!("packet type {other}"),
        }
    }
    assert!(!fragmented, "the last NAL unit has no end");
    units
}

/// What a VP8 descriptor says of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Vp8Frame {
    pub(super) payload: Vec<u8>,
    pub(super) picture_id: Option<u16>,
    pub(super) non_reference: bool,
}

/// A VP8 frame (RFC 7741 §4.2).
pub(super) fn vp8(payloads: &[Payload]) -> Vp8Frame {
    let mut frame = Vp8Frame { payload: Vec::new(), picture_id: None, non_reference: false };
    for (index, payload) in payloads.iter().enumerate() {
        let mut bytes = payload.bytes.iter().copied();
        let mut next = || bytes.next().unwrap();
        let first = next();
        assert_eq!(first & 0x10 != 0 && first & 7 == 0, index == 0, "S and PID tell the first packet");
        frame.non_reference = first & 0x20 != 0;
        let extensions = if first & 0x80 != 0 { next() } else { 0 };
        let mut picture_id = None;
        if extensions & 0x80 != 0 {
            let id = next();
            let long = id & 0x80 != 0;
            let id = u16::from(id & 0x7f);
            picture_id = Some(if long { id << 8 | u16::from(next()) } else { id });
        }
        if extensions & 0x40 != 0 {
            next();
        }
        if extensions & 0x30 != 0 {
            next();
        }
        assert!(index == 0 || frame.picture_id == picture_id);
        frame.picture_id = picture_id;
        let before = frame.payload.len();
        frame.payload.extend(bytes);
        assert!(frame.payload.len() > before, "an empty packet");
    }
    frame
}

/// What VP9 descriptors say of a frame.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Vp9Frame {
    pub(super) payload: Vec<u8>,
    pub(super) picture_id: Option<u16>,
    pub(super) inter_picture: bool,
    pub(super) flexible: bool,
    /// The layer byte.
    pub(super) layer: Option<u8>,
    /// P_DIFFs.
    pub(super) references: Vec<u8>,
    /// Of the scalability structure.
    pub(super) size: Option<(u16, u16)>,
}

/// A VP9 frame of one spatial layer (RFC 9628 §4.2).
pub(super) fn vp9(payloads: &[Payload]) -> Vp9Frame {
    let mut frame = Vp9Frame::default();
    for (index, payload) in payloads.iter().enumerate() {
        let mut bytes = payload.bytes.iter().copied();
        let mut next = || bytes.next().unwrap();
        let flags = next();
        let has = |bit: u8| flags & bit != 0;
        assert_eq!(has(8), index == 0, "B tells the first packet");
        assert_eq!(has(4), index + 1 == payloads.len(), "E tells the last packet");
        let mut said = Vp9Frame { inter_picture: has(0x40), flexible: has(0x10), ..Vp9Frame::default() };
        if has(0x80) {
            let id = next();
            let long = id & 0x80 != 0;
            let id = u16::from(id & 0x7f);
            said.picture_id = Some(if long { id << 8 | u16::from(next()) } else { id });
        }
        if has(0x20) {
            said.layer = Some(next());
            if !has(0x10) {
                next();
            }
        }
        if has(0x40) && has(0x10) {
            loop {
                let reference = next();
                said.references.push(reference >> 1);
                if reference & 1 == 0 {
                    break;
                }
            }
        }
        let mut size = None;
        if has(2) {
            let structure = next();
            assert_eq!(structure >> 5, 0, "one spatial layer");
            assert_eq!(structure & 0x0f, 0, "no pattern, and no reserved bits");
            if structure & 0x10 != 0 {
                size = Some((u16::from_be_bytes([next(), next()]), u16::from_be_bytes([next(), next()])));
            }
        }
        let part: Vec<u8> = bytes.collect();
        assert!(!part.is_empty(), "an empty packet");
        if index == 0 {
            frame = Vp9Frame { size, payload: part, ..said };
        } else {
            assert_eq!(size, None, "the structure comes in the first packet");
            frame.payload.extend(part);
            let told = |of: Vp9Frame| (of.picture_id, of.inter_picture, of.flexible, of.layer, of.references);
            let first = Vp9Frame { payload: Vec::new(), references: frame.references.clone(), ..frame };
            assert_eq!(told(said), told(first), "packet {index}");
        }
    }
    frame
}

/// OBUs of a temporal unit as they were sent, and the N bit of the first packet (AV1 RTP §4).
pub(super) fn av1(payloads: &[Payload]) -> (Vec<Vec<u8>>, bool) {
    let mut obus: Vec<Vec<u8>> = Vec::new();
    let mut to_be_continued = false;
    for (index, payload) in payloads.iter().enumerate() {
        let header = payload.bytes[0];
        let count = usize::from(header >> 4 & 3);
        assert_eq!(header & 7, 0, "reserved bits");
        assert_eq!(header & 0x80 != 0, to_be_continued, "Z of packet {index} is Y of the one before");
        assert!(index == 0 || header & 8 == 0, "N in a packet that is not the first");
        let mut rest = &payload.bytes[1..];
        let mut number = 0;
        while !rest.is_empty() {
            number += 1;
            let len = if number == count { rest.len() } else { leb128(&mut rest) };
            assert!(len > 0, "an empty element");
            let (element, after) = rest.split_at(len);
            if number == 1 && to_be_continued {
                obus.last_mut().unwrap().extend_from_slice(element);
            } else {
                obus.push(element.to_vec());
            }
            rest = after;
        }
        assert!(count == 0 || number == count, "W says {count}, there are {number}");
        to_be_continued = header & 0x40 != 0;
    }
    assert!(!to_be_continued, "the last OBU has no end");
    (obus, payloads.first().is_some_and(|payload| payload.bytes[0] & 8 != 0))
}

fn leb128(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}
