//! A stream as RTMP messages, the same for every viewer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::wire::Limits;
use super::wire::chunk::{CSID_AUDIO, CSID_DATA, CSID_VIDEO, write_message};
use crate::format::flv::file::TagKind;
use crate::format::flv::{Muxer, TagParts};
use crate::hub::{Item, WireFormat};
use crate::media::{MediaTime, Track};

/// The message stream that viewers play. A session gives it to a client's first `createStream`, and a client that
/// plays on another one is refused: the bytes that all viewers share name this one.
pub(super) const PLAY_STREAM: u32 = 1;

/// A stream as RTMP messages in chunks, every one with a full header, on the one message stream that viewers play.
#[derive(Debug, Default)]
pub(super) struct RtmpMedia {
    muxer: Muxer,
    newest: MediaTime,
}

impl WireFormat for RtmpMedia {
    fn header(&mut self, tracks: &[Arc<Track>], time: MediaTime) -> Bytes {
        let mut out = BytesMut::new();
        self.muxer.header(tracks, time, |tag| write(&mut out, tag));
        out.freeze()
    }

    fn write(&mut self, item: &Item, out: &mut BytesMut) {
        match item {
            Item::Track(track) => self.muxer.track(track, self.newest, |tag| write(out, tag)),
            Item::Frame(frame) => {
                self.newest = frame.dts;
                self.muxer.frame(frame, |tag| write(out, tag));
            }
            Item::Cue(cue) => self.muxer.cue(cue, self.newest, |tag| write(out, tag)),
            _ => {}
        }
    }
}

fn write(out: &mut BytesMut, tag: TagParts<'_>) {
    let csid = match tag.kind {
        TagKind::Audio => CSID_AUDIO,
        TagKind::Video => CSID_VIDEO,
        TagKind::Script => CSID_DATA,
    };
    let chunk_size = Limits::default().out_chunk_size;
    let type_id = tag.kind.id();
    // A frame that is too long for RTMP cannot have come in by it; from elsewhere, viewers of RTMP miss it.
    let written = write_message(out, csid, tag.timestamp_ms, type_id, PLAY_STREAM, chunk_size, &tag.body);
    debug_assert!(written.is_ok(), "longer than 16 MiB");
}
