//! The recordings in `media-fixtures/`, as tags, and ways to make more of them.

use std::path::PathBuf;

use bytes::{BufMut, Bytes, BytesMut};
use onair::format::flv::file::{MAX_BODY, Reader, Tag, TagKind};

use super::packet::{Content, Packet};

/// A recording.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Its tags, script data left out.
    pub tags: Vec<Tag>,
}

impl Fixture {
    /// The file of a recording.
    pub fn path(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("media-fixtures").join(name).with_extension("flv")
    }

    /// The recording of this name.
    pub fn read(name: &str) -> Self {
        Self::of(&std::fs::read(Self::path(name)).expect("a fixture"))
    }

    /// An FLV file.
    pub fn of(bytes: &[u8]) -> Self {
        let tags = tags_of(bytes);
        Self { tags: tags.into_iter().filter(|tag| tag.kind != TagKind::Script).collect() }
    }

    /// The same with all timestamps later by so many milliseconds.
    pub fn later(mut self, millis: u32) -> Self {
        for tag in &mut self.tags {
            tag.timestamp_ms = tag.timestamp_ms.wrapping_add(millis);
        }
        self
    }

    /// This and then the other.
    pub fn then(mut self, other: Self) -> Self {
        self.tags.extend(other.tags);
        self
    }

    /// The same with every H.264 picture made `bytes` larger by a filler NAL unit, which decoders pass over.
    pub fn padded(mut self, bytes: usize) -> Self {
        for tag in &mut self.tags {
            if let Content::Frame(packet) = Packet::parse(tag)
                && packet.codec == *b"avc1"
            {
                let mut body = BytesMut::from(&tag.body[..]);
                body.put_u32(u32::try_from(bytes + 2).expect("a length"));
                body.put_u8(12);
                body.put_bytes(0xff, bytes);
                body.put_u8(0x80);
                tag.body = body.freeze();
            }
        }
        self
    }

    /// The same with so many bytes more in every H.264 picture's last slice: words that encoders append to fill a bitrate
    /// (`cabac_zero_words`, ITU-T H.264 §7.3.2.8), and that are handed on even where filler is not.
    pub fn enlarged(mut self, bytes: usize) -> Self {
        for tag in &mut self.tags {
            if let Content::Frame(packet) = Packet::parse(tag)
                && packet.codec == *b"avc1"
            {
                let (mut at, mut last) = (tag.body.len() - packet.payload.len(), 0);
                let length =
                    |at: usize| u32::from_be_bytes(tag.body[at..at + 4].try_into().expect("a length"));
                while at < tag.body.len() {
                    last = at;
                    at += 4 + length(at) as usize;
                }
                let words = [0, 0, 3].repeat(bytes / 3);
                let enlarged = length(last) + u32::try_from(words.len()).expect("a length");
                let mut body = BytesMut::from(&tag.body[..]);
                body[last..last + 4].copy_from_slice(&enlarged.to_be_bytes());
                body.put_slice(&words);
                tag.body = body.freeze();
            }
        }
        self
    }

    /// The same without sound.
    pub fn only_pictures(mut self) -> Self {
        self.tags.retain(|tag| tag.kind == TagKind::Video);
        self
    }

    /// The same without what follows the last picture: sound waits for the next picture on its way to viewers, so that
    /// all of this is seen by them while the publisher is still there.
    pub fn until_last_picture(mut self) -> Self {
        let picture = |tag: &Tag| matches!(Packet::parse(tag), Content::Frame(packet) if packet.is_video());
        self.tags.truncate(self.tags.iter().rposition(picture).expect("pictures") + 1);
        self
    }

    /// How many tags there are up to and including the first place where a viewer can begin: the first keyframe, or,
    /// where there is no picture, some sound: the server lets viewers sleep through the first 40 ms of it.
    pub fn until_joinable(&self) -> usize {
        let has_video = self.tags.iter().any(|tag| tag.kind == TagKind::Video);
        let frames = |tag: &&Tag| matches!(Packet::parse(tag), Content::Frame(_));
        let keyframe = |tag: &Tag| matches!(Packet::parse(tag), Content::Frame(packet) if packet.keyframe);
        match has_video {
            true => {
                self.tags.iter().position(|tag| tag.kind == TagKind::Video && keyframe(tag)).map(|at| at + 1)
            }
            false => self.tags.iter().enumerate().filter(|(_, tag)| frames(tag)).map(|(at, _)| at + 1).nth(4),
        }
        .expect("a keyframe")
    }

    /// What a viewer must get who is there from the first keyframe on. Times are from the first frame on, which may
    /// come before that keyframe; what is earlier still is shown at zero.
    pub fn expected(&self) -> Vec<Packet> {
        let packets = packets(&self.tags);
        let zero = packets.first().expect("frames").dts;
        let has_video = packets.iter().any(Packet::is_video);
        packets
            .into_iter()
            .map(|packet| Packet { dts: (packet.dts - zero).max(0), ..packet.canonical() })
            .skip_while(|packet| has_video && !(packet.is_video() && packet.keyframe))
            .collect()
    }
}

/// The tags of an FLV file.
pub fn tags_of(bytes: &[u8]) -> Vec<Tag> {
    let mut reader = Reader::new(MAX_BODY);
    reader.push(bytes);
    std::iter::from_fn(|| reader.next_tag().expect("whole tags")).collect()
}

/// The frames among tags.
pub fn packets(tags: &[Tag]) -> Vec<Packet> {
    let frame = |tag| match Packet::parse(tag) {
        Content::Frame(packet) => Some(packet),
        _ => None,
    };
    tags.iter().filter_map(frame).collect()
}

/// A tag of these bytes.
pub fn tag(kind: TagKind, timestamp_ms: u32, body: impl Into<Vec<u8>>) -> Tag {
    Tag { kind, timestamp_ms, body: Bytes::from(body.into()) }
}
