//! A batch of events as bytes for every protocol, made once for all viewers.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut as _, Bytes, BytesMut};

use super::message::Seq;
use super::sampling::{Audience, Posted, Reader};
use crate::http::websocket;

/// How events are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each a text message of a WebSocket.
    WebSocket,
    /// Each an event of an event stream, with an id to resume by.
    EventStream {
        /// The room's.
        epoch: u64,
    },
}

/// A batch, shared by all viewers of a room.
#[derive(Debug)]
pub struct Posts {
    events: Vec<Arc<Posted>>,
    /// Everybody gets all of it.
    is_uniform: bool,
    first: Seq,
    last: Seq,
    messages: Wrapped,
    stream: OnceLock<Wrapped>,
}

/// Events one after the other, and where each ends.
#[derive(Debug)]
struct Wrapped {
    bytes: Bytes,
    ends: Vec<usize>,
}

impl Framing {
    /// Wraps an event with a number, or 0.
    pub fn wrap(self, seq: Seq, json: &[u8], out: &mut BytesMut) {
        match self {
            Self::WebSocket => websocket::write_text(json, out),
            Self::EventStream { epoch } => {
                if seq > 0 {
                    out.put_slice(format!("id: {epoch}-{seq}\n").as_bytes());
                }
                // JSON has no line breaks of its own.
                out.put_slice(b"data: ");
                out.put_slice(json);
                out.put_slice(b"\n\n");
            }
        }
    }
}

impl Posts {
    /// Of events in order.
    pub fn new(events: Vec<Arc<Posted>>) -> Self {
        let is_for_all = |event: &Arc<Posted>| event.audience == Audience::Everyone;
        let numbers = || events.iter().map(|event| event.seq).filter(|seq| *seq > 0);
        Self {
            is_uniform: events.iter().all(is_for_all),
            first: numbers().min().unwrap_or(Seq::MAX),
            last: numbers().max().unwrap_or(0),
            messages: Wrapped::new(&events, Framing::WebSocket),
            stream: OnceLock::new(),
            events,
        }
    }

    /// What one reader gets of it, in slices of the shared bytes, and how many events that is.
    pub fn for_reader(&self, reader: &mut Reader, framing: Framing, slices: &mut VecDeque<Bytes>) -> usize {
        let wrapped = match framing {
            Framing::WebSocket => &self.messages,
            Framing::EventStream { .. } => self.stream.get_or_init(|| Wrapped::new(&self.events, framing)),
        };
        if self.is_uniform && reader.takes_all_from(self.first, self.last) {
            slices.push_back(wrapped.bytes.clone());
            return self.events.len();
        }
        let mut count = 0;
        let mut start = 0;
        let mut run = 0..0;
        for (event, end) in self.events.iter().zip(&wrapped.ends) {
            if reader.wants(event) {
                count += 1;
                // Neighbours go out as one slice.
                if run.end != start {
                    if !run.is_empty() {
                        slices.push_back(wrapped.bytes.slice(run));
                    }
                    run = start..start;
                }
                run.end = *end;
            }
            start = *end;
        }
        if !run.is_empty() {
            slices.push_back(wrapped.bytes.slice(run));
        }
        count
    }
}

impl Wrapped {
    fn new(events: &[Arc<Posted>], framing: Framing) -> Self {
        let mut bytes = BytesMut::new();
        let mut ends = Vec::with_capacity(events.len());
        for event in events {
            framing.wrap(event.seq, &event.json, &mut bytes);
            ends.push(bytes.len());
        }
        Self { bytes: bytes.freeze(), ends }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::person::UserId;

    fn event(seq: Seq, share: Option<u32>) -> Arc<Posted> {
        let audience = share.map_or(Audience::Everyone, |share| Audience::Sample {
            author: UserId(9),
            share,
            addressed: Box::default(),
        });
        Arc::new(Posted { seq, json: format!("{{\"n\":{seq}}}").into(), audience })
    }

    fn read(posts: &Posts, seen: Seq) -> (String, usize, usize) {
        let mut slices = VecDeque::new();
        let mut reader = Reader::new(UserId(1), seen, false);
        let count = posts.for_reader(&mut reader, Framing::EventStream { epoch: 3 }, &mut slices);
        (String::from_utf8(slices.make_contiguous().concat()).unwrap(), count, slices.len())
    }

    #[test]
    fn all_readers_share_one_slice_while_nothing_is_sampled() {
        let posts = Posts::new(vec![event(4, None), event(0, None), event(5, None)]);
        let text = "id: 3-4\ndata: {\"n\":4}\n\ndata: {\"n\":0}\n\nid: 3-5\ndata: {\"n\":5}\n\n";
        assert_eq!(read(&posts, 3), (text.to_owned(), 3, 1));
        assert_eq!(read(&posts, 4).1, 2, "what was seen is left out");
        assert_eq!(read(&posts, 5).1, 1);
    }

    #[test]
    fn a_sample_is_cut_out_of_the_same_bytes() {
        let posts = Posts::new(vec![
            event(1, Some(0)),
            event(2, None),
            event(3, Some(u32::MAX)),
            event(4, Some(0)),
            event(5, None),
        ]);
        let (text, count, slices) = read(&posts, 0);
        assert_eq!((count, slices), (3, 2));
        assert!(text.contains("\"n\":2}\n\nid: 3-3") && text.ends_with("\"n\":5}\n\n"), "{text}");
    }
}
