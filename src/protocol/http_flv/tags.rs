//! A stream as FLV tags, the same for every viewer.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::format::flv::file::write_tag;
use crate::format::flv::{Muxer, TagParts};
use crate::hub::{Item, WireFormat};
use crate::media::{MediaTime, Track};

/// A stream as FLV tags. The file header, which comes once a viewer, is not among them.
#[derive(Debug, Default)]
pub(super) struct FlvTags {
    muxer: Muxer,
    newest: MediaTime,
}

impl WireFormat for FlvTags {
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
    write_tag(out, tag.kind, tag.timestamp_ms, &tag.body);
}
